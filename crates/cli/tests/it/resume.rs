//! A run that was killed anywhere goes on, and no recorded call is made again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_testkit::project::Project;

use crate::fixture::{KEY, SLUICEGATE, config};

/// Ten llm nodes, each of which reads the one before, and a last one beside them.
fn ten_slow_nodes(endpoint: &Endpoint) -> Project {
    let mut flow = "inputs: { q: { type: string, default: start } }\noutputs:\n  last: { type: string, reference: \"${n9.output}\" }\nnodes:\n".to_owned();
    for index in 0..10 {
        let before = if index == 0 { "${inputs.q}".to_owned() } else { format!("${{n{}.output}}", index - 1) };
        let _ = write!(
            flow,
            "- name: n{index}\n  type: llm\n  api: chat\n  connection: gateway\n  source: {{ type: code, path: n{index}.jinja2 }}\n  inputs: {{ deployment_name: d, text: \"{before}\" }}\n"
        );
    }
    let project = Project::new()
        .file("config/config.yaml", config(&endpoint.url(), ""))
        .file("flows/ask/flow.dag.yaml", flow)
        .variable("THE_KEY", KEY);
    (0..10).fold(project, |project, index| {
        project.file(&format!("flows/ask/n{index}.jinja2"), format!("user:\nnode {index}: {{{{text}}}}\n"))
    })
}

/// How often each node's request was heard.
fn heard(endpoint: &Endpoint) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in endpoint.requests() {
        let content = request.json()["messages"][0]["content"].as_str().expect("content").to_owned();
        let node = content.split(':').next().expect("a node").to_owned();
        *counts.entry(node).or_default() += 1;
    }
    counts
}

#[test]
fn killed_at_twenty_points_it_goes_on_where_it_was() {
    for point in (0..20).map(|_| random_milliseconds()) {
        let endpoint = Endpoint::start();
        endpoint.on(|request| {
            let content = request.json()["messages"][0]["content"].as_str().expect("content").to_owned();
            Some(Answer::text(&format!("done {}", &content[..6])).after(Duration::from_millis(15)))
        });
        let project = ten_slow_nodes(&endpoint);
        let mut child = project.start(SLUICEGATE, &["run", "ask", "-e", "pr"]);
        // From the first call on the run can be resumed; ten calls take about 200 ms.
        endpoint.wait_for(1);
        std::thread::sleep(Duration::from_millis(point));
        child.kill().expect("killed");
        let killed = project.wait(child);

        // Calls whose reply is in the journal when it dies must not be made again.
        let recorded: serde_json::Value = shown(&project);
        let completed = recorded["status"] == "completed";
        let recorded: Vec<String> = recorded["nodes"]
            .as_object()
            .map(|nodes| {
                nodes.iter().filter(|(_, node)| node["status"] == "completed").map(|(name, _)| name.clone()).collect()
            })
            .unwrap_or_default();
        let before = heard(&endpoint);

        let resumed = project.run(SLUICEGATE, &["runs", "resume", "latest"]);
        if killed.code == 0 || completed {
            assert_eq!(resumed.code, 2, "a finished run is not resumed: {}", resumed.shown());
            continue;
        }
        assert_eq!(resumed.code, 0, "point {point}: {}", resumed.shown());
        assert!(resumed.stdout.contains("\"last\": \"done node 9\""), "{}", resumed.shown());
        let after = heard(&endpoint);
        for name in recorded {
            let node = format!("node {}", &name[1..]);
            assert_eq!(after.get(&node), before.get(&node), "point {point}: `{name}` was recorded and asked again");
        }
        let repeated: usize = after.values().sum::<usize>() - 10;
        assert!(repeated <= 1, "point {point}: at most the call in flight is repeated, not {repeated}");
    }
}

/// Another moment each time the test runs; it stands in the message of what fails.
fn random_milliseconds() -> u64 {
    RandomState::new().build_hasher().finish() % 250
}

fn shown(project: &Project) -> serde_json::Value {
    let ran = project.run(SLUICEGATE, &["runs", "show", "latest", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.shown()))
}

#[test]
fn two_at_once_is_refused() {
    let endpoint = Endpoint::start();
    endpoint.on(|_| Some(Answer::text("slow").after(Duration::from_secs(20))));
    let project = ten_slow_nodes(&endpoint);
    let mut child = project.start(SLUICEGATE, &["run", "ask", "-e", "pr"]);
    endpoint.wait_for(1);
    let second = project.run(SLUICEGATE, &["runs", "resume", "latest"]);
    assert_eq!(second.code, 2, "{}", second.shown());
    assert!(second.stderr.contains("is running") || second.stderr.contains("process"), "{}", second.stderr);
    assert_eq!(shown(&project)["status"], "running");
    child.kill().expect("killed");
    let _ = project.wait(child);
    assert_eq!(shown(&project)["status"], "interrupted");
}

#[test]
fn a_changed_flow_is_not_resumed() {
    let endpoint = Endpoint::start();
    endpoint.queue(Answer::error(400, "bad", "No."));
    let project = ten_slow_nodes(&endpoint);
    assert_eq!(project.run(SLUICEGATE, &["run", "ask", "-e", "pr"]).code, 1);
    project.write("flows/ask/n5.jinja2", "user:\nchanged {{text}}\n");
    let resumed = project.run(SLUICEGATE, &["runs", "resume", "latest"]);
    assert_eq!(resumed.code, 2, "{}", resumed.shown());
    assert!(resumed.stderr.contains("changed"), "{}", resumed.stderr);
    assert_eq!(endpoint.count(), 1);
}

#[test]
fn a_failed_run_goes_on_when_its_cause_is_gone() {
    let endpoint = Endpoint::start();
    endpoint.queue(Answer::text("fine")).queue(Answer::error(400, "bad", "No."));
    endpoint.on(|_| Some(Answer::text("fine")));
    let project = ten_slow_nodes(&endpoint);
    let failed = project.run(SLUICEGATE, &["run", "ask", "-e", "pr"]);
    assert_eq!(failed.code, 1, "{}", failed.shown());
    let asked = endpoint.count();
    let resumed = project.run(SLUICEGATE, &["runs", "resume", "latest"]);
    assert_eq!(resumed.code, 0, "{}", resumed.shown());
    assert_eq!(endpoint.count() - asked, 9, "the first node's reply is recorded: {:?}", heard(&endpoint));
}

#[test]
fn a_run_of_another_project_says_where_to_go_on() {
    let endpoint = Endpoint::start();
    endpoint.queue(Answer::error(400, "bad", "No."));
    endpoint.reply_text("fine");
    let project = ten_slow_nodes(&endpoint);
    let elsewhere = Project::new().variable("THE_KEY", KEY);
    let flow = project.path().join("flows/ask").display().to_string();
    let failed = elsewhere.run(SLUICEGATE, &["run", &flow, "-e", "pr"]);
    assert_eq!(failed.code, 1, "{}", failed.shown());
    let command =
        failed.stderr.lines().find_map(|line| line.strip_prefix("go on with: sluicegate ")).expect("a command");
    let words: Vec<String> = command.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let resumed = elsewhere.run(SLUICEGATE, &words);
    assert_eq!(resumed.code, 0, "{}", resumed.shown());
}
