//! Events and stores for the tests.

use std::future::Future;

use jiff::Timestamp;
use sluicegate_events::{
    BatchData, CallEnd, Event, EventKind, Failure, LineEnd, NodePath, Outcome, PlanHashes, RunId, RunStatus, Scope,
    SpanRef,
};
use sluicegate_model::{ChatReply, EmbeddingReply, Usage};
use sluicegate_store::{Durability, RunJournal, Store};
use sluicegate_value::{Map, Value};

pub(crate) struct Place {
    pub(crate) store: Store,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    Place { store: Store::open(folder.path().join(".sluicegate")).unwrap(), folder }
}

pub(crate) fn run_id(name: &str) -> RunId {
    RunId(name.into())
}

/// Waits for a future on this thread.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub(crate) fn append(journal: &RunJournal, events: Vec<Event>) {
    use sluicegate_events::Journal as _;
    wait(journal.append(events.into())).unwrap();
}

/// A run with these events and nobody who writes it.
pub(crate) fn written(store: &Store, name: &str, kinds: Vec<EventKind>) -> RunId {
    let run = run_id(name);
    let journal = store.create_run(&run, "0.1.0", Durability::Process).unwrap();
    let events = kinds.into_iter().zip(1..).map(|(kind, seq)| event(&run, seq, kind)).collect();
    append(&journal, events);
    run
}

pub(crate) fn event(run: &RunId, seq: u64, kind: EventKind) -> Event {
    Event {
        seq,
        at: Timestamp::from_second(1_700_000_000 + seq as i64).unwrap(),
        run: run.clone(),
        scope: Scope { path: NodePath::parse("summarise[3]/extract").unwrap(), attempt: 1, ..Scope::default() },
        trace: Some(SpanRef { trace_id: 7, span_id: seq, parent_id: Some(3), sampled: true }),
        redacted: false,
        kind,
    }
}

/// The event that stands at number `seq` in tests that write many: what it says follows from its number.
pub(crate) fn numbered(run: &RunId, seq: u64) -> Event {
    let output = Value::from(format!("output {seq} ").repeat(1 + seq as usize % 7));
    event(run, seq, EventKind::NodeFinished { outcome: completed(output), usage: Usage::default() })
}

pub(crate) fn completed(output: Value) -> Outcome {
    Outcome::Completed { output, headers: Vec::new(), opaque: false, properties: Vec::new() }
}

pub(crate) fn finished_node(output: Value) -> EventKind {
    EventKind::NodeFinished { outcome: completed(output), usage: Usage::default() }
}

pub(crate) fn started(flow: &str, environment: Option<&str>) -> EventKind {
    EventKind::RunStarted {
        flow: flow.into(),
        flow_path: format!("/flows/{flow}"),
        environment: environment.map(Into::into),
        inputs: Map::from([("text", "Alice met Bob")]),
        hashes: PlanHashes { plan: "p".into(), settings: "s".into(), engine: "0.1.0".into() },
        options: Map::new(),
    }
}

pub(crate) fn usage(input: u64, output: u64) -> Usage {
    Usage { input_tokens: Some(input), output_tokens: Some(output), ..Usage::default() }
}

pub(crate) fn replied(used: Usage, cost: f64) -> EventKind {
    let reply = ChatReply {
        text: Some("Alice, Bob".into()),
        message: Value::from(Map::from([("role", "assistant"), ("content", "Alice, Bob")])),
        finish_reason: Some("stop".into()),
        model: Some("gpt-4o-mini".into()),
        id: Some("chatcmpl-1".into()),
        usage: used,
        filter: None,
        refusal: None,
        body: Value::Null,
    };
    let end = CallEnd::Replied { reply: Box::new(reply) };
    EventKind::ModelCallFinished { call: 0, end, attempts: 1, first_chunk_us: None, cost: Some(cost) }
}

pub(crate) fn embedded(vectors: Vec<Vec<f64>>, used: Usage, cost: f64) -> EventKind {
    let reply = EmbeddingReply { vectors, model: Some("text-embedding-3-small".into()), usage: used };
    let end = CallEnd::Embedded { reply: Box::new(reply) };
    EventKind::ModelCallFinished { call: 0, end, attempts: 1, first_chunk_us: None, cost: Some(cost) }
}

pub(crate) fn run_finished(status: RunStatus, used: Usage, cost: Option<f64>) -> EventKind {
    let failure = (status == RunStatus::Failed).then(|| Failure::new("rejected", "node `answer` failed"));
    EventKind::RunFinished { status, outputs: None, failure, usage: used, cost }
}

/// An event of a line.
pub(crate) fn line_event(run: &RunId, seq: u64, line: u64, repeat: u32, kind: EventKind) -> Event {
    let path = match &kind {
        EventKind::LineStarted { .. } | EventKind::LineResumed { .. } | EventKind::LineFinished { .. } => "",
        _ => "answer",
    };
    let path = NodePath::parse(path).unwrap();
    Event { scope: Scope { line: Some(line), repeat, path, attempt: 0 }, ..event(run, seq, kind) }
}

/// An event of the run itself.
pub(crate) fn run_event(run: &RunId, seq: u64, kind: EventKind) -> Event {
    Event { scope: Scope::default(), ..event(run, seq, kind) }
}

pub(crate) fn batch_started(lines: u64) -> EventKind {
    let data = BatchData { sources: vec!["/data.jsonl".into()], lines, ..BatchData::default() };
    EventKind::BatchStarted { data }
}

pub(crate) fn line_started(line: u64) -> EventKind {
    EventKind::LineStarted { inputs: Map::from([("question", format!("question {line}"))]) }
}

pub(crate) fn line_resumed() -> EventKind {
    EventKind::LineResumed { repeated_calls: 0, repeated_nodes: 0 }
}

pub(crate) fn line_finished(end: LineEnd, used: Usage, cost: Option<f64>) -> EventKind {
    EventKind::LineFinished { end, usage: used, cost }
}

pub(crate) fn line_completed(answer: &str) -> LineEnd {
    LineEnd::Completed { outputs: Map::from([("answer", answer)]) }
}

pub(crate) fn line_failed(message: &str) -> LineEnd {
    LineEnd::Failed { failure: Failure::new("rejected", message), node: NodePath::parse("answer").unwrap() }
}

/// The run of a batch with these events and nobody who writes it.
pub(crate) fn written_events(store: &Store, name: &str, events: Vec<Event>) -> RunId {
    let run = run_id(name);
    let journal = store.create_run(&run, "0.1.0", Durability::Process).unwrap();
    append(&journal, events);
    run
}
