//! What goes wrong outside: each one clear message, the right exit code, no panic, no secret.

use std::time::Duration;

use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_testkit::project::{Project, Ran};
#[cfg(unix)]
use sluicegate_testkit::receiver::Receiver;

use crate::fixture::{ASK, KEY, SLUICEGATE, ask, config, one_call};

/// Runs the flow of one call against an endpoint that answers so, and checks the exit code, how often it was asked, and
/// what is said.
fn check(answers: Vec<Answer>, code: i32, asked: usize, said: &[&str]) -> Ran {
    let endpoint = Endpoint::start();
    for answer in answers {
        endpoint.queue(answer);
    }
    let ran = ask(&one_call(&endpoint), &[]);
    assert_eq!(ran.code, code, "{}", ran.shown());
    assert_eq!(endpoint.count(), asked, "{}", ran.shown());
    for words in said {
        assert!(ran.stderr.contains(words), "expected `{words}` in\n{}", ran.shown());
    }
    assert!(!ran.shown().contains(KEY) && !ran.stderr.contains("panicked"), "{}", ran.shown());
    ran
}

fn many(answer: &dyn Fn() -> Answer) -> Vec<Answer> {
    (0..3).map(|_| answer()).collect()
}

#[test]
fn a_rate_limit_is_waited_out() {
    let limited = Answer::error(429, "rate_limit_exceeded", "Slow down.").header("retry-after", "1");
    check(vec![limited, Answer::text("fine")], 0, 2, &[]);
}

#[test]
fn a_rate_limit_that_stays_is_a_failure() {
    let answers = many(&|| Answer::error(429, "rate_limit_exceeded", "Slow down.").header("retry-after-ms", "10"));
    check(answers, 1, 3, &["node `ask` failed", "Slow down."]);
}

#[test]
fn a_failing_endpoint_is_tried_again() {
    check(vec![Answer::error(500, "x", "Oops."), Answer::error(503, "x", "Oops."), Answer::text("fine")], 0, 3, &[]);
    check(many(&|| Answer::error(500, "x", "Oops.")), 1, 3, &["node `ask` failed", "500"]);
}

#[test]
fn a_reset_connection_is_tried_again() {
    check(vec![Answer::Reset, Answer::text("fine")], 0, 2, &[]);
    check(many(&|| Answer::Reset), 1, 3, &["node `ask` failed", "127.0.0.1"]);
}

#[test]
fn broken_json_is_said_to_be_so() {
    check(many(&Answer::broken_json), 1, 1, &["node `ask` failed", "makes no sense"]);
}

#[test]
fn a_wrong_key_is_not_tried_twice() {
    let refused = Answer::error(401, "invalid_api_key", &format!("Incorrect API key provided: {KEY}."));
    let ran = check(vec![refused], 1, 1, &[]);
    insta::with_settings!({filters => vec![
        (r"[0-9a-f]{8}-[0-9a-f-]{27}", "[run]"),
        (r"\d+ ms", "[time]"),
    ]}, {
        insta::assert_snapshot!(ran.shown(), @r"
        exit 1
        --- stdout
        --- stderr
        ask  pr  [time]
        └─ ask  llm        failed  [time]
        error: node `ask` failed
          cause: connection `gateway` refused the key (401): Incorrect API key provided: ***.
          hint: `connections.gateway.api_key` is [secret], set by config/config.yaml:5, from `THE_KEY` of the process
        go on with: sluicegate runs resume [run]
        ");
    });
}

#[test]
fn a_hang_ends_with_the_timeout() {
    let endpoint = Endpoint::start();
    endpoint.queue(Answer::Hang).queue(Answer::Hang).queue(Answer::Hang);
    let more = "    timeout: { connect: 1s, first_byte: 200ms, total: 1s }\n";
    let project = one_call(&endpoint).file("config/config.yaml", config(&endpoint.url(), more));
    let ran = ask(&project, &[]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    assert!(ran.stderr.contains("within"), "{}", ran.stderr);
}

#[test]
fn a_stream_that_breaks_is_a_failure_once_text_was_shown() {
    let endpoint = Endpoint::start();
    endpoint.queue(Answer::stream(&["A ga", "te"]).cut_after(2)).reply_text("never asked");
    let ran = ask(&one_call(&endpoint), &["--stream"]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    assert!(ran.stderr.contains("broke off"), "{}", ran.stderr);
    assert_eq!(endpoint.count(), 1);
}

#[test]
fn nobody_at_the_address() {
    let project = Project::new()
        .file("config/config.yaml", config("http://127.0.0.1:9", ""))
        .file("flows/ask/flow.dag.yaml", ASK)
        .file("flows/ask/ask.jinja2", "user:\n{{question}}\n")
        .variable("THE_KEY", KEY);
    let ran = ask(&project, &[]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    assert!(ran.stderr.contains("cannot reach http://127.0.0.1:9"), "{}", ran.stderr);
}

#[test]
fn an_unset_variable_is_named_with_its_place() {
    let endpoint = Endpoint::start();
    let project = one_call(&endpoint).variable("THE_KEY", "");
    let ran = project.command(SLUICEGATE, &["run", "ask", "-e", "pr"]).env_remove("THE_KEY").output().expect("runs");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(2), "{said}");
    assert!(said.contains("THE_KEY") && said.contains("config/config.yaml:5"), "{said}");
    assert_eq!(endpoint.count(), 0);
}

#[test]
fn a_ten_megabyte_value_goes_through() {
    let endpoint = Endpoint::start();
    endpoint.reply_text("long");
    let project = one_call(&endpoint);
    let text = "word ".repeat(2_000_000);
    project.write("in.json", serde_json::json!({ "question": text }).to_string());
    let ran = ask(&project, &["--inputs", "in.json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let heard = endpoint.requests();
    assert_eq!(heard[0].json()["messages"][1]["content"].as_str().map(str::len), Some(text.trim().len()));
}

#[test]
fn an_unknown_environment_lists_those_that_exist() {
    let endpoint = Endpoint::start();
    let ran = one_call(&endpoint).run(SLUICEGATE, &["run", "ask", "--environment_name", "prod"]);
    assert_eq!(ran.code, 2, "{}", ran.shown());
    assert!(ran.stderr.contains("config environment") && ran.stderr.contains("pr"), "{}", ran.stderr);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_with_130_and_the_way_to_go_on() {
    let endpoint = Endpoint::start();
    endpoint.queue(Answer::text("late").after(Duration::from_secs(30)));
    let project = one_call(&endpoint);
    let child = project.start(SLUICEGATE, &["run", "ask", "-e", "pr"]);
    endpoint.wait_for(1);
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(kill.success());
    let ran = project.wait(child);
    assert_eq!(ran.code, 130, "{}", ran.shown());
    assert!(ran.stderr.contains("sluicegate runs resume"), "{}", ran.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_the_journal_ends_the_run_with_its_own_error() {
    let endpoint = Endpoint::start();
    endpoint.reply_text("paid for ".repeat(100_000));
    let project = one_call(&endpoint);
    // No file of this process may grow beyond 200 KiB: what a full disk says, without one.
    let script = format!("ulimit -f 400; trap '' XFSZ; exec {SLUICEGATE} run ask -e pr");
    let output = project.command("/bin/sh", &["-c", &script]).output().expect("runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("journal") && !said.contains("panicked"), "{said}");
}

#[cfg(unix)]
#[test]
fn the_second_ctrl_c_ends_at_once_whatever_hangs() {
    let endpoint = Endpoint::start();
    endpoint.queue(Answer::Hang);
    let collector = Receiver::start();
    collector.answer(sluicegate_testkit::receiver::Answer::Hang);
    let project = one_call(&endpoint)
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address())
        .variable("OTEL_BSP_EXPORT_TIMEOUT", "600000")
        .variable("OTEL_EXPORTER_OTLP_TIMEOUT", "600000");
    let child = project.start(SLUICEGATE, &["run", "ask", "-e", "pr"]);
    endpoint.wait_for(1);
    let interrupt = || {
        let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(kill.expect("kill").success());
    };
    interrupt();
    // The first is heard once the run is being flushed to the collector, which never answers.
    collector.wait_for_requests(1);
    interrupt();
    let ran = project.wait(child);
    assert_eq!(ran.code, 130, "{}", ran.shown());
}
