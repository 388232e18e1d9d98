//! What the journal of a batch costs: 10,000 lines of six events each, appended in groups of 50 lines.
//!
//! Target: a few µs of CPU per event, since a batch has 170 µs per line for everything. An item of the output is an
//! event. `text_of_an_event` is a part of it.

#![expect(clippy::unwrap_used, reason = "a bench that cannot run says why")]

use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use jiff::Timestamp;
use sluicegate_events::{
    CallEnd, Event, EventKind, Journal as _, LineEnd, NodePath, Operation, Outcome, RunId, Scope, SpanRef,
};
use sluicegate_model::{ChatReply, Usage};
use sluicegate_store::{Durability, RunJournal, Store};
use sluicegate_value::{Map, Value};
use tempfile::TempDir;

const LINES: u64 = 10_000;
const LINES_IN_A_GROUP: u64 = 50;
const EVENTS_OF_A_LINE: u64 = 6;

fn main() {
    divan::main();
}

#[divan::bench(max_time = 6)]
fn process_durability(bencher: Bencher<'_, '_>) {
    append(bencher, Durability::Process);
}

#[divan::bench(max_time = 6)]
fn power_durability(bencher: Bencher<'_, '_>) {
    append(bencher, Durability::Power);
}

/// The text of an event alone.
#[divan::bench(max_time = 3)]
fn text_of_an_event(bencher: Bencher<'_, '_>) {
    let events = events_of(0);
    bencher.counter(ItemsCount::new(EVENTS_OF_A_LINE)).bench_local(|| {
        for event in &events {
            divan::black_box(serde_json::to_string(divan::black_box(event)).map_or(0, |text| text.len()));
        }
    });
}

fn append(bencher: Bencher<'_, '_>, durability: Durability) {
    let waiter = tokio::runtime::Builder::new_current_thread().build().unwrap();
    bencher
        .counter(ItemsCount::new(LINES * EVENTS_OF_A_LINE))
        .with_inputs(|| (journal(durability), groups()))
        .bench_local_values(|((journal, folder), groups)| {
            waiter.block_on(async {
                for group in groups {
                    journal.append(group.into()).await.unwrap();
                }
            });
            // Until the file is closed; the folder is removed outside of the measured time.
            drop(journal);
            folder
        });
}

fn journal(durability: Durability) -> (RunJournal, TempDir) {
    // Not in memory: what a disk costs is part of it.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = Store::open(folder.path()).unwrap();
    (store.create_run(&run(), "0.1.0", durability).unwrap(), folder)
}

/// Events as they come from many lines at once: those of a group's lines are mixed, one step of each after another.
fn groups() -> Vec<Vec<Event>> {
    let mut seq = 0;
    (0..LINES / LINES_IN_A_GROUP)
        .map(|group| {
            let first = group * LINES_IN_A_GROUP;
            let mut lines: Vec<_> = (first..first + LINES_IN_A_GROUP).map(|line| events_of(line).into_iter()).collect();
            (0..EVENTS_OF_A_LINE)
                .flat_map(|_| lines.iter_mut().map(|line| line.next().unwrap()).collect::<Vec<_>>())
                .map(|mut event| {
                    seq += 1;
                    event.seq = seq;
                    event
                })
                .collect()
        })
        .collect()
}

fn run() -> RunId {
    RunId("0193ab00-0000-7000-8000-000000000000".into())
}

fn events_of(line: u64) -> Vec<Event> {
    let question = format!("Which products did customer {line} ask about, and what should the answer of our shop be?");
    let answer = format!("The customer {line} asked about two tents and a sleeping bag. ").repeat(4);
    let inputs = Map::from([("question", question.as_str()), ("kind", "people")]);
    let usage = Usage { input_tokens: Some(212), output_tokens: Some(58), ..Usage::default() };
    let message = |role: &str, content: &str| Value::from(Map::from([("role", role), ("content", content)]));
    let messages = vec![
        message("system", &"You answer questions about a catalogue, shortly and without guessing. ".repeat(3)),
        message("user", &question),
    ];
    let request = Map::from([("messages", Value::from(messages)), ("temperature", Value::from(0.0))]);
    let choice = Map::from([("index", Value::from(0i64)), ("message", message("assistant", &answer))]);
    let reply = ChatReply {
        message: message("assistant", &answer),
        model: Some("gpt-4o-mini-2024-07-18".into()),
        id: Some("chatcmpl-0123456789".into()),
        usage,
        body: Map::from([
            ("id", Value::from("chatcmpl-0123456789")),
            ("choices", Value::from(vec![Value::from(choice)])),
            ("model", Value::from("gpt-4o-mini-2024-07-18")),
        ])
        .into(),
        ..ChatReply::of_text(answer.as_str())
    };
    let output = Value::from(answer.as_str());
    let kinds = [
        ("", EventKind::LineStarted { inputs: inputs.clone() }),
        ("answer", EventKind::NodeStarted { node_kind: "llm".into(), inputs: inputs.into() }),
        (
            "answer",
            EventKind::ModelCallStarted {
                call: 0,
                operation: Some(Operation::Chat),
                connection: "open_ai_connection".into(),
                provider: "openai".into(),
                host: "api.openai.test".into(),
                port: 443,
                model: "gpt-4o-mini".into(),
                request: request.into(),
                stream: false,
                request_hash: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".into(),
            },
        ),
        (
            "answer",
            EventKind::ModelCallFinished {
                call: 0,
                end: CallEnd::Replied { reply: Box::new(reply) },
                attempts: 1,
                first_chunk_us: None,
                cost: Some(0.000_066_6),
            },
        ),
        (
            "answer",
            EventKind::NodeFinished {
                outcome: Outcome::Completed {
                    output: output.clone(),
                    headers: Vec::new(),
                    opaque: false,
                    properties: Vec::new(),
                },
                usage,
            },
        ),
        (
            "",
            EventKind::LineFinished {
                end: LineEnd::Completed { outputs: Map::from([("answer", output)]) },
                usage,
                cost: Some(0.000_066_6),
            },
        ),
    ];
    let at = Timestamp::from_nanosecond(1_700_000_000_123_456_789).unwrap() + Duration::from_millis(line);
    kinds
        .into_iter()
        .map(|(path, kind)| Event {
            seq: 0,
            at,
            run: run(),
            scope: Scope {
                line: Some(line),
                repeat: 0,
                path: NodePath::parse(path).unwrap(),
                attempt: u32::from(!path.is_empty()),
            },
            trace: Some(SpanRef {
                trace_id: 7 << 64 | u128::from(line),
                span_id: line + 1,
                parent_id: Some(3),
                sampled: true,
            }),
            redacted: false,
            kind,
        })
        .collect()
}
