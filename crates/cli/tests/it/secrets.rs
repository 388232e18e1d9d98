//! A secret is seen by the endpoint and by nobody else.

use base64::Engine as _;
use sluicegate_testkit::endpoint::{Answer, Endpoint};

use crate::fixture::{KEY, SLUICEGATE, ask, one_call};

/// Everything that is left in a project's folder, and nothing of the secret in it.
fn check_nothing_holds_the_key(project: &sluicegate_testkit::project::Project) {
    let encoded = base64::engine::general_purpose::STANDARD.encode(KEY);
    let mut folders = vec![project.path()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let bytes = std::fs::read(&path).expect("a file");
            for needle in [KEY, &encoded] {
                let found = bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
                assert!(!found, "{} holds the key", path.display());
            }
        }
    }
    assert!(files > 3);
}

#[test]
fn a_key_that_comes_back_in_text_is_not_kept_or_shown() {
    let endpoint = Endpoint::start();
    let encoded = base64::engine::general_purpose::STANDARD.encode(KEY);
    endpoint.reply_text(format!("your key is {KEY}, encoded {encoded}"));
    let project = one_call(&endpoint);
    let ran = ask(&project, &["--inputs", &format!("question=my key is {KEY}"), "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(endpoint.requests()[0].json().to_string().contains("my key is"));
    check_nothing_holds_the_key(&project);
    let shown = project.run(SLUICEGATE, &["runs", "show", "latest", "--json"]);
    assert!(!shown.shown().contains(KEY) && shown.stdout.contains("[secret]"), "{}", shown.shown());
}

#[test]
fn a_key_that_an_error_echoes_is_not_shown() {
    let endpoint = Endpoint::start();
    endpoint.queue(Answer::error(403, "x", &format!("key {KEY} is not allowed")));
    let project = one_call(&endpoint);
    let ran = ask(&project, &["--json"]);
    assert_eq!(ran.code, 1);
    assert!(!ran.shown().contains(KEY), "{}", ran.shown());
    check_nothing_holds_the_key(&project);
}

#[test]
fn settings_are_shown_with_their_origin_and_secrets_masked() {
    let endpoint = Endpoint::start();
    let project = one_call(&endpoint);
    let ran = project.run(SLUICEGATE, &["config", "show", "ask", "--environment_name", "pr"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.shown().contains(KEY), "{}", ran.shown());
    for words in ["connections.gateway.api_key", "THE_KEY", "config/config.yaml:", "deployment_name", "small"] {
        assert!(ran.stdout.contains(words), "expected `{words}` in\n{}", ran.stdout);
    }
    let ran = project.run(SLUICEGATE, &["connections", "show", "gateway"]);
    assert!(ran.code == 0 && !ran.shown().contains(KEY), "{}", ran.shown());
}

#[cfg(unix)]
#[test]
fn the_journal_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let endpoint = Endpoint::start();
    endpoint.reply_text("fine");
    let project = one_call(&endpoint);
    assert_eq!(ask(&project, &[]).code, 0);
    let mode = std::fs::metadata(project.path().join(".sluicegate")).expect("the store").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn an_input_of_type_secret_is_sent_and_not_kept() {
    let endpoint = Endpoint::start();
    endpoint.on(|request| request.json()["messages"][1]["content"].as_str().map(Answer::text));
    let project = one_call(&endpoint);
    project.write(
        "flows/ask/flow.dag.yaml",
        crate::fixture::ASK.replace("{ type: string, default: What is a sluice gate? }", "{ type: secret }"),
    );
    let ran = ask(&project, &["--inputs", "question=hunter2-the-password", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert!(endpoint.requests()[0].json().to_string().contains("hunter2-the-password"));
    assert!(!ran.shown().contains("hunter2-the-password"), "{}", ran.shown());
    assert!(ran.stderr.contains("cannot be resumed"), "{}", ran.stderr);
    let shown = project.run(SLUICEGATE, &["runs", "show", "latest", "--json"]);
    assert!(!shown.shown().contains("hunter2"), "{}", shown.shown());
}

#[test]
fn a_secret_of_an_inner_flow_is_one_of_the_outer_too() {
    let endpoint = Endpoint::start();
    endpoint.reply_text("fine");
    let project = one_call(&endpoint);
    project.write(
        "flows/ask/flow.dag.yaml",
        crate::fixture::ASK.replace("{ type: string, default: What is a sluice gate? }", "{ type: secret }"),
    );
    project.write(
        "flows/outer/flow.dag.yaml",
        "inputs: { s: { type: object } }\noutputs: { a: { type: string, reference: \"${n.output.answer}\" } }\nnodes:\n- { name: n, type: flow, source: { type: code, path: ../ask }, inputs: { question: \"${inputs.s}\" } }\n",
    );
    let arguments = ["run", "flows/outer", "--set", "inputs.s.default=x", "--json", "--inputs"];
    let ran = project.run(SLUICEGATE, &[&arguments[..], &["s=inner-secret-777"]].concat());
    assert!(endpoint.requests().iter().all(|request| request.json().to_string().contains("inner-secret-777")));
    assert!(!ran.shown().contains("inner-secret-777"), "{}", ran.shown());
    let refused = project.run(SLUICEGATE, &[&arguments[..], &["s={\"pw\": \"inner-secret-777\"}"]].concat());
    assert!(refused.code == 2 && refused.stderr.contains("only a text"), "{}", refused.shown());
}

#[test]
fn a_run_that_cannot_be_resumed_does_not_say_how() {
    let endpoint = Endpoint::start();
    endpoint.queue(Answer::error(401, "x", "No."));
    let project = one_call(&endpoint);
    project.write(
        "flows/ask/flow.dag.yaml",
        crate::fixture::ASK.replace("{ type: string, default: What is a sluice gate? }", "{ type: secret }"),
    );
    let ran = ask(&project, &["--inputs", "question=hunter2-the-password"]);
    assert!(ran.code == 1 && !ran.stderr.contains("go on with:"), "{}", ran.shown());
    let resumed = project.run(SLUICEGATE, &["runs", "resume", "latest"]);
    assert!(resumed.code != 0 && !resumed.stderr.contains("go on with:"), "{}", resumed.shown());
    assert_eq!(endpoint.count(), 1);
}
