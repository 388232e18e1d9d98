//! What a batch leaves behind: replies to run again from, traces, and no secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine as _;
use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_testkit::project::Project;
use sluicegate_testkit::receiver::Receiver;

use crate::batch_project::{
    BATCH, CHAIN, ONE, batch, check_outputs, echoes, outputs, project, report, resume, text_of,
};
use crate::fixture::{KEY, SLUICEGATE};

fn output_bytes(project: &Project) -> Vec<u8> {
    std::fs::read(project.path().join("out/output.jsonl")).expect("outputs")
}

#[test]
fn what_was_recorded_is_replayed_byte_for_byte_without_endpoint_and_key() {
    let endpoint = Endpoint::start();
    let mut heard = 0;
    // No two replies are the same, also to the same question.
    endpoint.on(move |request| {
        heard += 1;
        Some(Answer::text(&format!("[{}] as answer {heard}", text_of(request))))
    });
    let project = project(&endpoint, CHAIN, 0, "");
    let same: String = (0..30).map(|row| format!("{{\"q\": \"question {}\"}}\n", row % 3)).collect();
    project.write("rows.jsonl", same);
    let ran = batch(&project, &["--record", "tape"]);
    assert_eq!((ran.code, endpoint.count()), (0, 60), "{}", ran.shown());
    let (recorded, asked) = (output_bytes(&project), endpoint.count());
    std::fs::remove_dir_all(project.path().join("out")).expect("removed");
    drop(endpoint);
    let project = project.variable("THE_KEY", "");
    for concurrency in ["1", "64"] {
        let ran = batch(&project, &["--replay", "tape", "--concurrency", concurrency, "--force"]);
        assert_eq!((ran.code, asked), (0, 60), "{}", ran.shown());
        assert!(ran.stderr.contains("all 60 replies from the cassette"), "{}", ran.shown());
        assert!(output_bytes(&project) == recorded, "other bytes: {}", ran.shown());
    }
    // A row that was not recorded is a failure of its line that says so.
    let mut rows = std::fs::read_to_string(project.path().join("rows.jsonl")).expect("rows");
    rows += "{\"q\": \"new question\"}\n";
    project.write("rows.jsonl", rows);
    let ran = batch(&project, &["--replay", "tape", "--force", "--json"]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    assert_eq!(report(&ran)["failures"][0]["line_number"], 30, "{}", ran.shown());
    assert_eq!(outputs(&project).len(), 30);
}

#[test]
fn a_batch_that_was_killed_while_it_recorded_has_a_whole_cassette_in_the_end() {
    let endpoint = Endpoint::start();
    endpoint.on(|request| Some(Answer::text(&format!("[{}]", text_of(request))).after(Duration::from_millis(20))));
    let project = project(&endpoint, CHAIN, 30, "");
    let mut child = project.start(SLUICEGATE, &[&BATCH[..], &["--record", "tape", "--concurrency", "4"]].concat());
    endpoint.wait_for(25);
    child.kill().expect("killed");
    let _ = project.wait(child);
    let resumed = resume(&project, &[]);
    assert_eq!(resumed.code, 0, "{}", resumed.shown());
    let recorded = output_bytes(&project);
    drop(endpoint);
    let ran = batch(&project, &["--replay", "tape", "--force"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert!(output_bytes(&project) == recorded);
}

#[test]
fn a_replay_that_was_stopped_does_not_ask_when_it_goes_on() {
    let endpoint = Endpoint::start();
    echoes(&endpoint);
    let project = project(&endpoint, ONE, 6, "");
    assert_eq!(batch(&project, &["--record", "tape"]).code, 0);
    let mut rows = crate::batch_project::rows(6);
    rows += "{\"q\": \"not recorded\"}\n";
    project.write("rows.jsonl", rows);
    assert_eq!(batch(&project, &["--replay", "tape", "--force"]).code, 1);
    let resumed = resume(&project, &["--failed"]);
    assert_eq!((resumed.code, endpoint.count()), (1, 6), "{}", resumed.shown());
}

#[test]
fn with_the_cache_on_the_second_run_asks_nothing() {
    let endpoint = Endpoint::start();
    echoes(&endpoint);
    let project = project(&endpoint, CHAIN, 25, "");
    let ran = batch(&project, &["--cache", "on"]);
    assert_eq!((ran.code, endpoint.count()), (0, 50), "{}", ran.shown());
    let ran = batch(&project, &["--cache", "on", "--force", "--json"]);
    assert_eq!((ran.code, endpoint.count()), (0, 50), "{}", ran.shown());
    assert_eq!(report(&ran)["cost_usd"], 0.0, "what is kept is paid for");
    assert_eq!(report(&ran)["replies_from_cache"], 50, "{}", ran.shown());
    assert!(ran.stderr.contains("all 50 replies from the cache"), "{}", ran.shown());
    check_outputs(&project, 0..25, |row| format!("[[row {row}]]"));
    let ran = batch(&project, &["--cache", "off", "--force"]);
    assert_eq!((ran.code, endpoint.count()), (0, 100), "{}", ran.shown());
}

/// Every file below a folder of the project that holds one of these.
fn files_that_hold(project: &Project, folder: &str, needles: &[&str]) -> Vec<String> {
    let (mut folders, mut found) = (vec![project.path().join(folder)], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).expect("a file");
            let holds = |needle: &&str| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
            if needles.iter().any(holds) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn a_key_in_rows_and_replies_is_sent_and_not_kept() {
    let endpoint = Endpoint::start();
    echoes(&endpoint);
    let collector = Receiver::start();
    let project = project(&endpoint, CHAIN, 0, "").variable("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address());
    let encoded = base64::engine::general_purpose::STANDARD.encode(KEY);
    project.write(
        "rows.jsonl",
        format!("{{\"q\": \"my key is {KEY}\"}}\n{{\"q\": \"encoded {encoded}\"}}\n{{\"q\": \"none\"}}\n"),
    );
    let ran = batch(&project, &["--cache", "on", "--record", "tape", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert!(endpoint.requests().iter().any(|request| request.json().to_string().contains("my key is sk-very")));
    let needles = [KEY, &encoded];
    for folder in [".sluicegate", "out", "tape"] {
        assert_eq!(files_that_hold(&project, folder, &needles), [""; 0], "{folder}");
    }
    assert!(!needles.iter().any(|needle| ran.shown().contains(needle)), "{}", ran.shown());
    assert_eq!(outputs(&project).len(), 3);
    let _ = collector.wait_for(1, Duration::from_secs(10));
    assert!(!format!("{:?}", collector.spans()).contains(KEY));
}

/// What was redacted in the journal is in the rows still: a line that was killed goes on with the whole of it.
#[test]
fn a_line_whose_inputs_held_a_secret_goes_on_from_its_row() {
    let endpoint = Endpoint::start();
    let mut is_first = true;
    endpoint.on(move |request| {
        let text = text_of(request);
        let hangs = text.starts_with("[my key") && std::mem::take(&mut is_first);
        Some(if hangs { Answer::Hang } else { Answer::text(&format!("[{text}]")) })
    });
    let project = project(&endpoint, CHAIN, 0, "");
    project.write("rows.jsonl", format!("{{\"q\": \"my key is {KEY}\"}}\n"));
    let mut child = project.start(SLUICEGATE, &BATCH);
    endpoint.wait_for(2);
    child.kill().expect("killed");
    let _ = project.wait(child);
    let resumed = resume(&project, &[]);
    assert_eq!(resumed.code, 0, "{}", resumed.shown());
    let heard: Vec<String> = endpoint.requests().iter().map(text_of).collect();
    assert!(heard.iter().all(|text| text.contains(KEY)), "{heard:?}");
    assert_eq!(files_that_hold(&project, ".sluicegate", &[KEY]), [""; 0]);
}

#[test]
fn each_line_is_a_trace_of_its_own_and_linked_to_the_batch() {
    let (endpoint, collector) = (Endpoint::start(), Receiver::start());
    echoes(&endpoint);
    let project = project(&endpoint, CHAIN, 20, "").variable("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address());
    let ran = batch(&project, &["--json"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    // The batch; of each line itself, two nodes and two calls.
    let spans = collector.wait_for(101, Duration::from_secs(20));
    assert_eq!(spans.len(), 101);
    let of_batch = report(&ran)["trace_id"].as_str().expect("a trace").to_owned();
    let mut traces = BTreeMap::<&str, usize>::new();
    spans.iter().for_each(|span| *traces.entry(&span.trace_id).or_default() += 1);
    assert_eq!((traces.len(), traces[of_batch.as_str()]), (21, 1));
    assert!(traces.iter().all(|(trace, spans)| *trace == of_batch || *spans == 5), "{traces:?}");
    let batch = spans.iter().find(|span| span.trace_id == of_batch).expect("the batch");
    let lines: Vec<_> = spans.iter().filter(|span| span.parent_id.is_none() && span.trace_id != of_batch).collect();
    assert_eq!(lines.len(), 20);
    for line in lines {
        assert_eq!(line.links, [(batch.trace_id.clone(), batch.span_id.clone())], "{line:#?}");
    }
    // What the endpoint was told belongs to the line's trace.
    let told: BTreeSet<String> = endpoint
        .requests()
        .iter()
        .filter_map(|request| Some(request.header("traceparent")?.split('-').nth(1)?.to_owned()))
        .collect();
    assert_eq!(told.len(), 20);
    assert!(told.iter().all(|trace| traces.contains_key(trace.as_str())));
}
