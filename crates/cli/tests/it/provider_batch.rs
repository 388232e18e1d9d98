//! `batch --provider-batch`: lines by way of a provider's batch API.

use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use serde_json::json;
use sluicegate_testkit::batches::{BatchProvider, Came, reply, text_of};
use sluicegate_testkit::project::{Project, Ran};

use crate::batch_project::{BATCH, CHAIN, ONE, batch, check_outputs, project, report, resume};
use crate::fixture::{KEY, SLUICEGATE};

fn sizes(provider: &BatchProvider) -> Vec<usize> {
    provider.submitted().iter().map(|batch| batch.lines.len()).collect()
}

/// The manifest of the only run.
fn manifest_file(project: &Project) -> Option<PathBuf> {
    let runs = std::fs::read_dir(project.path().join(".sluicegate/runs")).ok()?;
    let mut paths = runs.map(|entry| entry.expect("an entry").path());
    paths.find(|path| path.to_string_lossy().ends_with(".provider-batches.json"))
}

/// Starts a batch, and waits until its manifest says that it was submitted.
fn submitted(provider: &BatchProvider, project: &Project) -> Child {
    let child = project.start(SLUICEGATE, &[&BATCH[..], &["--provider-batch"]].concat());
    provider.wait_for(1);
    while !manifest_file(project)
        .is_some_and(|file| std::fs::read_to_string(file).is_ok_and(|text| text.contains("\"submitted\"")))
    {
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

fn check_ends_well(ran: &Ran) {
    assert_eq!(ran.code, 0, "{}", ran.shown());
}

#[test]
fn two_nodes_in_a_row_make_two_batches_at_half_the_price() {
    let provider = BatchProvider::start();
    let project = project(provider.endpoint(), CHAIN, 20, "");
    // Calls in flight are of no concern to a batch.
    let ran = batch(&project, &["--provider-batch", "--concurrency", "1", "--json"]);
    check_ends_well(&ran);
    check_outputs(&project, 0..20, |line| format!("[[row {line}]]"));
    assert_eq!(sizes(&provider), [20, 20]);
    let report = report(&ran);
    // 40 calls of 13 tokens for a thousand dollars a million, by half.
    assert_eq!(report["cost_usd"].as_f64().map(|cost| (cost * 1000.0).round()), Some(260.0));
    let run = report["run"].as_str().expect("a run");
    assert_eq!(provider.submitted()[0].request["metadata"]["sluicegate_run"], run);
    for told in
        ["provider batch batch_1: 20 calls submitted by `gateway`", "provider batch batch_2 completed: 20 of 20"]
    {
        assert!(ran.stderr.contains(told), "{}", ran.shown());
    }
    let manifest = std::fs::read_to_string(manifest_file(&project).expect("a manifest")).expect("its text");
    assert!(!manifest.contains(KEY) && !manifest.contains("row 1"), "{manifest}");
}

#[test]
fn lines_that_fail_are_asked_again_by_name_only() {
    let provider = BatchProvider::start();
    provider.answers(|line| match &*text_of(line) {
        "row 2" => Came::Answer(400, json!({ "error": { "message": "Not this one." } })),
        "row 5" => Came::Error("batch_expired"),
        text => reply(&format!("[{text}]")),
    });
    let project = project(provider.endpoint(), ONE, 8, "");
    let ran = batch(&project, &["--provider-batch"]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    for told in ["Not this one.", "expired before this call was answered", "2 failed"] {
        assert!(ran.stderr.contains(told), "{}", ran.shown());
    }
    provider.answers(|line| reply(&format!("[{}]", text_of(line))));
    check_ends_well(&resume(&project, &["--failed"]));
    check_outputs(&project, 0..8, |line| format!("[row {line}]"));
    assert_eq!(sizes(&provider), [8, 2], "a resume goes on by batches, and only with what failed");
}

#[test]
fn a_batch_outlives_a_kill() {
    let provider = BatchProvider::start();
    provider.hold();
    let project = project(provider.endpoint(), CHAIN, 20, "");
    let mut child = submitted(&provider, &project);
    child.kill().expect("killed");
    let _ = project.wait(child);
    provider.release();
    let ran = resume(&project, &["--provider-batch"]);
    check_ends_well(&ran);
    check_outputs(&project, 0..20, |line| format!("[[row {line}]]"));
    assert_eq!(sizes(&provider), [20, 20], "the first wave is not paid for again: {}", ran.shown());
    assert!(ran.stderr.contains("provider batch batch_1: waiting for it again"), "{}", ran.shown());
    assert!(!provider.endpoint().requests().iter().any(|heard| heard.path.contains("chat/completions")));
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_the_batch_and_says_how_to_go_on() {
    let provider = BatchProvider::start();
    provider.hold();
    let project = project(provider.endpoint(), ONE, 3, "");
    let child = submitted(&provider, &project);
    crate::batch_project::ctrl_c(&child);
    let ran = project.wait(child);
    assert_eq!(ran.code, 130, "{}", ran.shown());
    for told in [
        "provider batch batch_1 of connection `gateway` goes on at the provider",
        "--provider-batch",
        "--cancel-provider-batch",
    ] {
        assert!(ran.stderr.contains(told), "{}", ran.shown());
    }
    // A resume goes on by batches without a word about it.
    provider.release();
    let ran = resume(&project, &[]);
    check_ends_well(&ran);
    check_outputs(&project, 0..3, |line| format!("[row {line}]"));
    assert_eq!(sizes(&provider), [3]);
}

#[cfg(unix)]
#[test]
fn a_batch_that_is_left_can_be_cancelled() {
    let provider = BatchProvider::start();
    provider.hold();
    let project = project(provider.endpoint(), ONE, 3, "");
    let child = submitted(&provider, &project);
    crate::batch_project::ctrl_c(&child);
    assert_eq!(project.wait(child).code, 130);
    let ran = project.run(SLUICEGATE, &["batch", "--resume", "latest", "--cancel-provider-batch"]);
    check_ends_well(&ran);
    assert!(ran.stderr.contains("batch_1 of connection `gateway` is cancelling"), "{}", ran.shown());
    assert_eq!(provider.submitted()[0].status, "cancelled");
    let ran = resume(&project, &["--provider-batch", "0"]);
    check_ends_well(&ran);
    assert!(ran.stderr.contains("is not waited for, and paid for all the same"), "{}", ran.shown());
    assert_eq!(sizes(&provider), [3], "the lines were asked one by one");
}

#[test]
fn a_connection_without_batches_is_refused_before_anything_is_sent() {
    let provider = BatchProvider::start();
    let url = provider.endpoint().url();
    let config = format!(
        "connections:\n  gateway: {{ type: anthropic, base_url: {url}, api_key: k }}\nflow_configs:\n  ask: {{ flow_path: \
         flows/ask }}\n  ask_pr: {{ connection_name: gateway, deployment_name: small }}\n"
    );
    let project = project(provider.endpoint(), ONE, 3, "");
    project.write("config/config.yaml", config);
    let ran = batch(&project, &["--provider-batch"]);
    assert_eq!(ran.code, 2, "{}", ran.shown());
    assert!(ran.stderr.contains("connection `gateway`") && ran.stderr.contains("anthropic"), "{}", ran.shown());
    assert_eq!(provider.endpoint().count(), 0);
}

#[test]
fn a_manifest_that_cannot_be_read_stops_a_resume() {
    let provider = BatchProvider::start();
    provider.answers(|_| Came::Answer(500, json!({})));
    let project = project(provider.endpoint(), ONE, 2, "");
    assert_eq!(batch(&project, &["--provider-batch"]).code, 1);
    std::fs::write(manifest_file(&project).expect("a manifest"), "{").expect("written");
    let ran = resume(&project, &["--failed"]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    assert!(ran.stderr.contains("paid for again"), "{}", ran.shown());
    assert_eq!(sizes(&provider), [2]);
}
