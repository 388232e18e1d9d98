//! Where a batch writes, and what it leaves there: never over another run's, unless told; and what is over stays over.

use std::path::PathBuf;

use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_testkit::project::{Project, Ran};

use crate::batch_project::{ONE, batch, check_outputs, echoes, offline, over_rows, project, report, resume, text_of};
use crate::fixture::SLUICEGATE;

const ROWS: &str = "{\"q\": \"a\"}\n{\"q\": \"b\"}\n";

#[track_caller]
fn check_refused(ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code, 2, "{}", ran.shown());
    for word in words {
        assert!(ran.stderr.contains(word), "expected `{word}` in {}", ran.shown());
    }
}

/// A batch of two lines that has ended, the second line failed.
fn half_failed(more: &[&str]) -> (Endpoint, Project) {
    let endpoint = Endpoint::start();
    endpoint.on(|request| match text_of(request).as_str() {
        "row 1" => Some(Answer::error(400, "bad", "No.")),
        text => Some(Answer::text(&format!("[{text}]"))),
    });
    let project = project(&endpoint, ONE, 2, "");
    let ran = batch(&project, &[&["--name", "half"], more].concat());
    assert_eq!(ran.code, 1, "{}", ran.shown());
    (endpoint, project)
}

#[test]
fn outputs_of_another_run_are_not_written_over() {
    let project = offline(ROWS);
    assert_eq!(over_rows(&project, &["--name", "first"]).code, 0);
    check_refused(&over_rows(&project, &["--name", "second"]), &["out` holds the outputs of run `first`", "--force"]);
    project.write("rows.jsonl", "{\"q\": \"c\"}\n");
    let forced = over_rows(&project, &["--name", "third", "--force"]);
    assert_eq!(forced.code, 0, "{}", forced.shown());
    check_outputs(&project, 0..1, |_| "cc".to_owned());
    // The first one's are still in its run.
    project.write("rows.jsonl", ROWS);
    let first = project.run(SLUICEGATE, &["batch", "--resume", "first"]);
    assert_eq!((first.code, first.stdout.as_str()), (0, ""), "{}", first.shown());
    assert!(first.stderr.contains("runs outputs first"), "{}", first.shown());
    let shown = project.run(SLUICEGATE, &["runs", "show", "first"]).stdout;
    assert!(shown.contains("outputs      sluicegate runs outputs first"), "{shown}");
    let told = project.run(SLUICEGATE, &["runs", "outputs", "first"]).stdout;
    assert_eq!(told.lines().count(), 2, "{told}");
}

#[test]
fn a_file_of_somebody_else_is_not_written_over() {
    let project = offline(ROWS).file("out/metrics.json", "{\"mine\": 1}");
    check_refused(&over_rows(&project, &[]), &["there is a file", "metrics.json` already"]);
    let kept = std::fs::read_to_string(project.path().join("out/metrics.json")).expect("the file");
    assert_eq!(kept, "{\"mine\": 1}");
}

#[test]
fn a_run_folder_is_one_runs() {
    let project = offline(ROWS);
    let words = |more: &[&str]| over_rows(&project, &[&["--force", "--run-folder", "rf"], more].concat());
    assert_eq!(words(&["--name", "first"]).code, 0);
    let second = ["batch", "flow", "--data", "rows.jsonl", "--run-folder", "rf"];
    check_refused(&project.run(SLUICEGATE, &second), &["rf` is the run folder of run `first`", "--force"]);
    assert_eq!(words(&["--name", "third"]).code, 0);
    check_refused(&over_rows(&project, &["--force", "--run-folder", "out/"]), &["are one folder", "name two folders"]);
}

#[test]
fn a_resume_writes_the_run_folder_too() {
    let (endpoint, project) = half_failed(&["--run-folder", "rf"]);
    echoes(&endpoint);
    let resumed = project.run(SLUICEGATE, &["runs", "resume", "half", "--failed"]);
    assert_eq!(resumed.code, 0, "{}", resumed.shown());
    let folder: PathBuf = project.path().join("rf");
    let outputs = std::fs::read_to_string(folder.join("flow_outputs/output.jsonl")).expect("outputs");
    assert_eq!(outputs.lines().count(), 2, "{outputs}");
    assert!(!folder.join("error.json").exists());
}

#[test]
fn what_is_finished_is_said_to_be_and_ends_as_it_did() {
    let (endpoint, project) = half_failed(&[]);
    let again = resume(&project, &[]);
    assert_eq!(again.code, 1, "{}", again.shown());
    for word in ["`half` is finished: 1 of 2 lines completed, 1 failed", "runs resume half --failed"] {
        assert!(again.stderr.contains(word), "{}", again.shown());
    }
    echoes(&endpoint);
    assert_eq!(resume(&project, &["--failed"]).code, 0);
    let over = project.run(SLUICEGATE, &["runs", "resume", "half"]);
    assert_eq!(over.code, 0, "{}", over.shown());
    assert!(over.stdout.ends_with("out/output.jsonl\n"), "{}", over.shown());
    let over = resume(&project, &["--json"]);
    assert_eq!(
        (over.code, &report(&over)["status"], &report(&over)["lines"]["completed"]),
        (0, &"completed".into(), &2.into())
    );
    assert_eq!(endpoint.count(), 3);
}

#[test]
fn outputs_that_were_lost_are_written_again() {
    let project = offline(ROWS);
    assert_eq!(over_rows(&project, &["--name", "first"]).code, 0);
    std::fs::remove_dir_all(project.path().join("out")).expect("removed");
    let again = project.run(SLUICEGATE, &["batch", "--resume", "first"]);
    assert!(again.code == 0 && again.stderr.contains("written again"), "{}", again.shown());
    check_outputs(&project, 0..2, |row| ["aa", "bb"][row].to_owned());
}

#[test]
fn a_progress_line_counts_calls_and_lines_apart() {
    let endpoint = Endpoint::start();
    endpoint.on(|_| Some(Answer::Hang));
    let project = project(&endpoint, ONE, 5, "");
    let ran = batch(&project, &["--concurrency", "1", "--timeout", "3s", "--progress", "json"]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    let progress: Vec<serde_json::Value> =
        ran.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let last = progress.last().unwrap_or_else(|| panic!("{}", ran.shown()));
    assert_eq!((&last["calls_in_flight"], &last["lines_running"]), (&1.into(), &2.into()), "{}", ran.shown());
}
