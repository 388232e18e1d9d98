//! Batches that do not come to their end at once: stopped, over their limits, refused; and how they go on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_testkit::project::Project;
#[cfg(unix)]
use sluicegate_testkit::receiver::{self, Receiver};

#[cfg(unix)]
use crate::batch_project::ctrl_c;
use crate::batch_project::{
    BATCH, CHAIN, ONE, asked, batch, check_outputs, echoes, outputs, project, report, resume, rows, text_of,
};
use crate::fixture::SLUICEGATE;

/// An endpoint that refuses these rows until it is told to take all.
fn refusing(rows: &'static [&'static str]) -> (Endpoint, Arc<AtomicBool>) {
    let (endpoint, takes_all) = (Endpoint::start(), Arc::new(AtomicBool::new(false)));
    let told = takes_all.clone();
    endpoint.on(move |request| {
        let text = text_of(request);
        let refuses = rows.contains(&text.as_str()) && !told.load(Ordering::SeqCst);
        Some(match refuses {
            true => Answer::error(400, "bad", "No."),
            false => Answer::text(&format!("[{text}]")),
        })
    });
    (endpoint, takes_all)
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_is_done_and_says_how_to_go_on() {
    let endpoint = Endpoint::start();
    let is_slow = Arc::new(AtomicBool::new(true));
    let told = is_slow.clone();
    endpoint.on(move |request| {
        let text = text_of(request);
        let answer = Answer::text(&format!("[{text}]"));
        let waits = told.load(Ordering::SeqCst) && text != "row 0";
        Some(if waits { answer.after(Duration::from_secs(60)) } else { answer })
    });
    let project = project(&endpoint, CHAIN, 20, "");
    let child = project.start(SLUICEGATE, &[&BATCH[..], &["--concurrency", "4"]].concat());
    endpoint.wait_for(5);
    ctrl_c(&child);
    let ran = project.wait(child);
    assert_eq!(ran.code, 130, "{}", ran.shown());
    let command = ran.stderr.lines().find_map(|line| line.strip_prefix("go on with: ")).expect("a command");
    check_outputs(&project, [], |_| String::new());

    is_slow.store(false, Ordering::SeqCst);
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    let resumed = project.run(SLUICEGATE, &words);
    assert_eq!(resumed.code, 0, "{}", resumed.shown());
    // Where the outputs go is remembered.
    check_outputs(&project, 0..20, |row| format!("[[row {row}]]"));
    assert_eq!(asked(&endpoint)["row 0"], 1, "it was recorded");
}

#[cfg(unix)]
#[test]
fn the_second_ctrl_c_ends_at_once() {
    let endpoint = Endpoint::start();
    endpoint.on(|_| Some(Answer::Hang));
    let collector = Receiver::start();
    collector.answer(receiver::Answer::Hang);
    let project = project(&endpoint, ONE, 20, "")
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address())
        .variable("OTEL_BSP_EXPORT_TIMEOUT", "600000")
        .variable("OTEL_EXPORTER_OTLP_TIMEOUT", "600000");
    let child = project.start(SLUICEGATE, &BATCH);
    endpoint.wait_for(1);
    ctrl_c(&child);
    collector.wait_for_requests(1);
    ctrl_c(&child);
    let ran = project.wait(child);
    assert_eq!(ran.code, 130, "{}", ran.shown());
}

#[test]
fn lines_that_fail_are_told_and_run_again_when_asked() {
    let (endpoint, takes_all) = refusing(&["row 2", "[row 5]"]);
    let project = project(&endpoint, CHAIN, 8, "");
    let ran = batch(&project, &["--json"]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    let failures = &report(&ran)["failures"];
    assert_eq!((&failures[0]["line_number"], &failures[0]["node"]), (&2.into(), &"first".into()));
    assert_eq!((&failures[1]["line_number"], &failures[1]["node"]), (&5.into(), &"second".into()));
    assert!(ran.stderr.contains("2 of 8 lines failed") && ran.stderr.contains("No."), "{}", ran.stderr);
    check_outputs(&project, [0, 1, 3, 4, 6, 7], |row| format!("[[row {row}]]"));

    takes_all.store(true, Ordering::SeqCst);
    let not_asked_for = resume(&project, &["--json"]);
    assert_eq!(outputs(&project).len(), 6, "{}", not_asked_for.shown());
    let resumed = resume(&project, &["--failed"]);
    assert_eq!(resumed.code, 0, "{}", resumed.shown());
    check_outputs(&project, 0..8, |row| format!("[[row {row}]]"));
    let asked = asked(&endpoint);
    assert_eq!((asked["row 2"], asked["row 5"], asked["[row 5]"], asked["row 0"]), (2, 1, 2, 1));
    let nothing_left = project.run(SLUICEGATE, &["batch", "--resume", "latest", "--failed"]);
    assert_eq!(nothing_left.code, 0, "{}", nothing_left.shown());
    assert!(nothing_left.stderr.contains("is finished: 8 of 8 lines"), "{}", nothing_left.stderr);
}

#[test]
fn so_many_failures_are_allowed() {
    let check = |more: &[&str], code: i32| {
        let (endpoint, _) = refusing(&["row 2", "row 5"]);
        let project = project(&endpoint, ONE, 20, "");
        let ran = batch(&project, more);
        assert_eq!(ran.code, code, "{more:?}: {}", ran.shown());
        assert_eq!(outputs(&project).len(), 18, "{more:?}");
    };
    check(&["--max-failures", "1"], 1);
    check(&["--max-failures", "2"], 0);
    check(&["--max-failures", "9.9%"], 1);
    check(&["--max-failures", "10%"], 0);
}

#[test]
fn what_may_fail_is_remembered() {
    let (endpoint, takes_all) = refusing(&["row 2"]);
    let project = project(&endpoint, ONE, 5, "");
    let ran = batch(&project, &["--max-failures", "0", "--timeout", "10m"]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    let ran = batch(&project, &["--max-failures", "1", "--name", "lenient", "--force"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    // It fails once more, and may.
    let ran = project.run(SLUICEGATE, &["batch", "--resume", "lenient", "--failed"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    takes_all.store(true, Ordering::SeqCst);
    let ran = project.run(SLUICEGATE, &["batch", "--resume", "lenient", "--failed"]);
    assert_eq!((ran.code, outputs(&project).len()), (0, 5), "{}", ran.shown());
}

#[test]
fn with_fail_fast_the_rest_is_left() {
    let (endpoint, takes_all) = refusing(&["row 2"]);
    let project = project(&endpoint, ONE, 400, "");
    let ran = batch(&project, &["--fail-fast", "--concurrency", "1", "--json"]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    let left = report(&ran)["lines"]["left"].as_u64().expect("a count");
    assert!(left > 300, "{}", ran.shown());
    assert!(ran.stderr.contains("go on with:"), "{}", ran.stderr);
    takes_all.store(true, Ordering::SeqCst);
    let resumed = resume(&project, &["--failed", "--concurrency", "16"]);
    assert_eq!(resumed.code, 0, "{}", resumed.shown());
    check_outputs(&project, 0..400, |row| format!("[row {row}]"));
}

#[test]
fn a_batch_that_takes_too_long_is_left_for_a_resume() {
    let endpoint = Endpoint::start();
    endpoint.on(|request| match text_of(request).as_str() {
        "row 7" => Some(Answer::Hang),
        text => Some(Answer::text(&format!("[{text}]"))),
    });
    let project = project(&endpoint, ONE, 10, "");
    let ran = batch(&project, &["--timeout", "1s", "--json"]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    let lines = &report(&ran)["lines"];
    assert_eq!((&lines["completed"], &lines["failed"], &lines["left"]), (&9.into(), &0.into(), &1.into()));
    assert!(ran.stderr.contains("within 1s") && ran.stderr.contains("go on with:"), "{}", ran.stderr);
    echoes(&endpoint);
    let resumed = resume(&project, &[]);
    assert_eq!(resumed.code, 0, "{}", resumed.shown());
    check_outputs(&project, 0..10, |row| format!("[row {row}]"));
    assert_eq!(endpoint.count(), 11);
}

#[test]
fn a_budget_stops_a_batch_and_a_larger_one_completes_it() {
    let endpoint = Endpoint::start();
    echoes(&endpoint);
    let project = project(&endpoint, ONE, 40, "");
    // A call costs 0.013 dollars; 0.02 to 0.05 are reserved for it.
    let limits = ["--budget", "0.2", "--assume-tokens", "10", "--concurrency", "2"];
    let ran = batch(&project, &[&limits[..], &["--json"]].concat());
    assert_eq!(ran.code, 13, "{}", ran.shown());
    let spent = report(&ran)["cost_usd"].as_f64().expect("a cost");
    assert!(spent > 0.1 && spent <= 0.2, "{}", ran.shown());
    assert!(ran.stderr.contains("budget") && ran.stderr.contains("go on with:"), "{}", ran.stderr);

    // The cap is remembered: the command that was printed spends nothing more.
    let asked_before = endpoint.count();
    let capped = project.run(SLUICEGATE, &["runs", "resume", "latest"]);
    assert_eq!(capped.code, 13, "{}", capped.shown());
    assert!(endpoint.count() <= asked_before + 1);

    let command = ran.stderr.lines().find_map(|line| line.strip_prefix("go on with: ")).expect("a command");
    let more: Vec<&str> = command.split(' ').skip(1).chain(["--json"]).collect();
    assert!(more.contains(&"--budget"), "without another cap it stops at once: {command}");
    let resumed = project.run(SLUICEGATE, &more);
    assert_eq!(resumed.code, 0, "{}", resumed.shown());
    check_outputs(&project, 0..40, |row| format!("[row {row}]"));
    assert_eq!(endpoint.count(), 40, "no reply is paid for twice");
    let spent = report(&resumed)["cost_usd"].as_f64().expect("a cost");
    assert!((spent - 0.52).abs() < 1e-9, "{spent}");
}

#[test]
fn a_budget_for_a_model_without_a_price_says_so() {
    let endpoint = Endpoint::start();
    let project = project(&endpoint, ONE, 3, "");
    project.write("config/config.yaml", crate::fixture::config(&endpoint.url(), ""));
    let ran = batch(&project, &["--budget", "1"]);
    assert_eq!((ran.code, endpoint.count()), (13, 0), "{}", ran.shown());
    assert!(ran.stderr.contains("`small` has no price") && ran.stderr.contains("prices:"), "{}", ran.stderr);
    let without = resume(&project, &["--budget", "0"]);
    assert_eq!(without.code, 2, "{}", without.shown());
}

/// Starts a batch that does not end by itself.
fn endless(endpoint: &Endpoint) -> (Project, std::process::Child) {
    endpoint.on(|_| Some(Answer::Hang));
    let project = project(endpoint, ONE, 10, "");
    let child = project.start(SLUICEGATE, &BATCH);
    endpoint.wait_for(1);
    (project, child)
}

#[test]
fn two_processes_do_not_go_on_with_one_batch() {
    let endpoint = Endpoint::start();
    let (project, mut first) = endless(&endpoint);
    let check_refused = || {
        let ran = resume(&project, &[]);
        assert_eq!(ran.code, 2, "{}", ran.shown());
        assert!(ran.stderr.contains("process"), "{}", ran.stderr);
    };
    check_refused();
    first.kill().expect("killed");
    let _ = project.wait(first);
    let asked = endpoint.count();
    let mut second = project.start(SLUICEGATE, &["batch", "--resume", "latest"]);
    endpoint.wait_for(asked + 1);
    check_refused();
    second.kill().expect("killed");
    let _ = project.wait(second);
    echoes(&endpoint);
    assert_eq!(resume(&project, &[]).code, 0);
    check_outputs(&project, 0..10, |row| format!("[row {row}]"));
}

#[test]
fn two_batches_run_in_one_project() {
    let endpoint = Endpoint::start();
    endpoint.on(|request| Some(Answer::text(&format!("[{}]", text_of(request))).after(Duration::from_millis(3))));
    let project = project(&endpoint, CHAIN, 50, "");
    let names = ["one", "two", "three"];
    let children = names.map(|name| {
        let words = ["batch", "ask", "-e", "pr", "--data", "rows.jsonl", "--name", name, "--output", name];
        project.start(SLUICEGATE, &words)
    });
    for (name, child) in names.into_iter().zip(children) {
        let ran = project.wait(child);
        assert_eq!(ran.code, 0, "{}", ran.shown());
        let written = std::fs::read_to_string(project.path().join(name).join("output.jsonl")).expect("outputs");
        assert_eq!(written.lines().count(), 50, "{name}");
    }
    assert_eq!(endpoint.count(), 300);
    let taken = batch(&project, &["--name", "one"]);
    assert!(taken.code == 2 && taken.stderr.contains("a run `one` already"), "{}", taken.shown());
}

/// The batch fails in part, something is changed, and a resume refuses until it is told that this is meant.
fn check_change_is_refused(change: impl Fn(&Project), said: &str) {
    let (endpoint, takes_all) = refusing(&["row 1"]);
    let project = project(&endpoint, ONE, 4, "");
    assert_eq!(batch(&project, &[]).code, 1);
    takes_all.store(true, Ordering::SeqCst);
    change(&project);
    let refused = resume(&project, &["--failed"]);
    assert_eq!((refused.code, endpoint.count()), (2, 4), "{}", refused.shown());
    assert!(refused.stderr.contains(said) && refused.stderr.contains("--allow-changed"), "{}", refused.stderr);
    let allowed = resume(&project, &["--failed", "--allow-changed"]);
    assert_eq!(allowed.code, 0, "{}", allowed.shown());
    assert_eq!(outputs(&project).len(), if said == "the data" { 6 } else { 4 });
}

#[test]
fn a_changed_flow_is_refused() {
    let change = |project: &Project| project.write("flows/ask/ask.jinja2", "user:\nChanged: {{q}}\n");
    check_change_is_refused(change, "the flow's files");
}

#[test]
fn changed_data_are_refused() {
    check_change_is_refused(|project| project.write("rows.jsonl", rows(6)), "the data");
}

#[test]
fn data_that_change_while_they_are_read_end_the_batch() {
    let endpoint = Endpoint::start();
    endpoint.on(|request| Some(Answer::text(&format!("[{}]", text_of(request))).after(Duration::from_millis(30))));
    // More than is read at a time, so that the file is not at its end when it changes.
    let project = project(&endpoint, ONE, 0, "");
    let row = |row: usize| format!("{{\"q\": \"row {row}\", \"rest\": \"{}\"}}\n", "x".repeat(4000));
    let data: String = (0..100).map(row).collect();
    project.write("rows.jsonl", &data);
    let child = project.start(SLUICEGATE, &[&BATCH[..], &["--concurrency", "1", "--json"]].concat());
    endpoint.wait_for(3);
    project.write("rows.jsonl", data.clone() + &row(100));
    let ran = project.wait(child);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    assert!(ran.stderr.contains("`rows.jsonl` has changed"), "{}", ran.stderr);
    let refused = resume(&project, &[]);
    assert!(refused.code == 2 && refused.stderr.contains("the data changed"), "{}", refused.shown());
    project.write("rows.jsonl", &data);
    let resumed = resume(&project, &["--concurrency", "64"]);
    assert_eq!(resumed.code, 0, "{}", resumed.shown());
    check_outputs(&project, 0..100, |row| format!("[row {row}]"));
    let repeated: BTreeSet<_> = asked(&endpoint).into_iter().filter(|(_, count)| *count > 1).collect();
    assert!(repeated.len() <= 2, "{repeated:?}");
}
