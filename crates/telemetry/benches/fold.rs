//! What it costs to tell a collector of a batch: a thousand lines of three spans each (line, node, model call), from
//! events to bytes that a socket took.
//!
//! divan measures how long it takes until everything is sent; `main` tells before it what that costs on the CPU, for the
//! thread that hears and the thread that sends, without the sink's own share.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench without its parts cannot go on, and it reports")]

use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use divan::counter::ItemsCount;
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use sluicegate_events::{
    BatchData, CallEnd, Event, EventKind, LineCounts, LineEnd, Listener as _, NodePath, Operation, Outcome, PlanHashes,
    RunId, RunStatus, Scope, SpanRef,
};
use sluicegate_model::{ChatReply, Usage};
use sluicegate_telemetry::{Telemetry, TelemetrySettings};
use sluicegate_value::{Map, Value};

const LINES: u64 = 1_000;
/// Lines that are open at once.
const IN_FLIGHT: u64 = 200;
const SPANS: u64 = 3 * LINES + 1;

fn main() {
    if std::env::args().any(|argument| argument == "--bench") {
        for capture in [false, true] {
            report(capture);
        }
    }
    divan::main();
}

/// From the first event until the sink has the last span.
#[divan::bench(args = [false, true])]
fn a_thousand_lines(bencher: divan::Bencher<'_, '_>, capture: bool) {
    let (events, sink) = (batch(), Sink::start());
    bencher.counter(ItemsCount::new(SPANS)).bench_local(|| tell(&events, &sink, capture));
}

/// CPU time per span, in the round that was disturbed least.
fn report(capture: bool) {
    let (events, sink) = (batch(), Sink::start());
    let round = |_| {
        let (taking, hearing) = (sink.cpu_ns.load(Ordering::Relaxed), now(ClockId::ThreadCPUTime));
        let whole = now(ClockId::ProcessCPUTime);
        tell(&events, &sink, capture);
        let whole = now(ClockId::ProcessCPUTime) - whole;
        let (taking, hearing) = (sink.cpu_ns.load(Ordering::Relaxed) - taking, now(ClockId::ThreadCPUTime) - hearing);
        (whole.saturating_sub(taking), hearing)
    };
    let (both, hearing) = (0..40).map(round).min().unwrap_or_default();
    let per_span = |nanos: u64| nanos as f64 / 1e3 / SPANS as f64;
    println!(
        "capture {capture}: {:.2} µs CPU per span (hearing {:.2}, sending {:.2})",
        per_span(both),
        per_span(hearing),
        per_span(both.saturating_sub(hearing))
    );
}

fn tell(events: &[Event], sink: &Sink, capture: bool) {
    let settings = TelemetrySettings {
        capture_content: capture,
        flush_deadline: Duration::from_secs(60),
        ..TelemetrySettings::default().at_base(&sink.address)
    };
    let mut telemetry = Telemetry::start(settings);
    for event in events {
        telemetry.hear(event).unwrap();
    }
    telemetry.finish().unwrap();
}

fn now(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Takes requests and forgets them.
struct Sink {
    address: String,
    /// What taking them cost.
    cpu_ns: Arc<AtomicU64>,
}

impl Sink {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let cpu_ns = Arc::new(AtomicU64::new(0));
        let of_thread = Arc::clone(&cpu_ns);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                take_all(&stream.unwrap(), &of_thread);
            }
        });
        Self { address, cpu_ns }
    }
}

/// Answers each request of a connection until it is closed.
fn take_all(stream: &TcpStream, cpu_ns: &AtomicU64) {
    let (mut reader, mut writer) = (BufReader::with_capacity(256 * 1024, stream), stream);
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some(number) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = number.trim().parse().unwrap();
        }
        if line == "\r\n" {
            std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).unwrap();
            writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            cpu_ns.store(now(ClockId::ThreadCPUTime), Ordering::Relaxed);
        }
    }
}

/// A batch of one model call per line.
fn batch() -> Vec<Event> {
    let mut events = Vec::new();
    let (data, counts) = (BatchData { lines: LINES, ..BatchData::default() }, LineCounts::default());
    let map = |name: &str, text: &str| Map::from([(name, Value::from(text))]);
    let text = "Alice met Bob at the harbour, and Carol came by the evening boat from the island.";
    let request = Value::from(Map::from([
        ("messages", Value::from(vec![Value::from(Map::from([("role", "user"), ("content", text)]))])),
        ("temperature", 0_i64.into()),
        ("max_tokens", 256_i64.into()),
    ]));
    let usage = Usage { input_tokens: Some(120), output_tokens: Some(8), ..Usage::default() };
    let outputs = map("entities", "Alice, Bob, Carol");
    let reply = ChatReply {
        text: Some("Alice, Bob, Carol".into()),
        message: Value::from(Map::from([("role", "assistant"), ("content", "Alice, Bob, Carol")])),
        finish_reason: Some("stop".into()),
        model: Some("gpt-4o-mini-2024-07-18".into()),
        id: Some("chatcmpl-9xAbCdEfGhIjKlMnOpQrStUvWxYz0".into()),
        usage,
        filter: None,
        refusal: None,
        body: Value::Null,
    };
    let mut add = |line: Option<u64>, path: &str, kind: EventKind| {
        let of_line = line.map_or(0, |line| line + 1);
        let number = match kind {
            EventKind::ModelCallStarted { .. } | EventKind::ModelCallFinished { .. } => 3,
            _ if path.is_empty() => 1,
            _ => 2,
        };
        let span = SpanRef {
            trace_id: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c ^ u128::from(of_line),
            span_id: of_line << 2 | number,
            parent_id: (number > 1).then_some(of_line << 2 | (number - 1)),
            sampled: true,
        };
        events.push(Event {
            seq: events.len() as u64 + 1,
            at: Timestamp::from_microsecond(1_700_000_000_000_000 + events.len() as i64).unwrap(),
            run: RunId("0193ab00-0000-7000-8000-000000000000".into()),
            scope: Scope {
                line,
                path: NodePath::parse(path).unwrap(),
                attempt: u32::from(!path.is_empty()),
                ..Scope::default()
            },
            trace: Some(span),
            redacted: false,
            kind,
        });
    };
    let started = EventKind::RunStarted {
        flow: "entity_extraction".into(),
        flow_path: "/flows/entity_extraction".into(),
        environment: Some("pr".into()),
        inputs: Map::new(),
        hashes: PlanHashes::default(),
        options: Map::new(),
    };
    add(None, "", started);
    add(None, "", EventKind::BatchStarted { data });
    let line_events = [
        EventKind::LineStarted { inputs: map("text", text) },
        EventKind::NodeStarted { node_kind: "llm".into(), inputs: map("text", text).into() },
        EventKind::ModelCallStarted {
            call: 0,
            operation: Some(Operation::Chat),
            connection: "aoai".into(),
            provider: "azure.ai.openai".into(),
            host: "example.openai.azure.com".into(),
            port: 443,
            model: "gpt-4o-mini".into(),
            request,
            stream: false,
            request_hash: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".into(),
        },
        EventKind::ModelCallFinished {
            call: 0,
            end: CallEnd::Replied { reply: Box::new(reply) },
            attempts: 1,
            first_chunk_us: None,
            cost: Some(0.000_123),
        },
        EventKind::NodeFinished {
            outcome: Outcome::Completed {
                output: "Alice, Bob, Carol".into(),
                headers: Vec::new(),
                opaque: false,
                properties: Vec::new(),
            },
            usage,
        },
        EventKind::LineFinished { end: LineEnd::Completed { outputs }, usage, cost: Some(0.000_123) },
    ];
    for first in (0..LINES).step_by(IN_FLIGHT as usize) {
        for kind in &line_events {
            let of_line = matches!(kind, EventKind::LineStarted { .. } | EventKind::LineFinished { .. });
            for line in first..(first + IN_FLIGHT).min(LINES) {
                add(Some(line), if of_line { "" } else { "extract" }, kind.clone());
            }
        }
    }
    add(None, "", EventKind::BatchFinished { lines: counts });
    let (status, usage) = (RunStatus::Completed, Usage::default());
    add(None, "", EventKind::RunFinished { status, outputs: None, failure: None, usage, cost: None });
    events
}
