//! Events become spans: each begins with one event, ends with another, and is handed on when it has ended.
//!
//! What the fold expects of the executor: one span per run, per node (all its attempts together), per model call, per
//! HTTP call and per piece of a node's own code that its author traces, each named by [`SpanRef`] in every event that belongs to it. A resumed run has a span of its own in each process,
//! inside of the first one's; a node that goes on after a resume keeps its span.

use std::collections::HashMap;
use std::time::SystemTime;

use jiff::Timestamp;
use opentelemetry::trace::{
    Event as SpanEvent, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use sluicegate_events::{CallEnd, Event, EventKind, Failure, FetchEnd, Operation, Outcome, RunId, RunStatus, SpanRef};

use crate::attributes::{Attributes, Content, exception};
use crate::{fetch, model_call, names};

const INPUT: (&str, &str) = (names::INPUT_VALUE, names::INPUT_MIME_TYPE);
/// Names of runs that are remembered; a process that serves for weeks forgets old ones.
const MOST_RUNS: usize = 1024;

const OUTPUT: (&str, &str) = (names::OUTPUT_VALUE, names::OUTPUT_MIME_TYPE);

/// The spans that have begun and not ended.
#[derive(Debug)]
pub(crate) struct SpanFold {
    open: HashMap<(u128, u64), OpenSpan>,
    /// The most spans that may be open: a run that never ends them must not fill the memory.
    limit: usize,
    content: Content,
    scope: InstrumentationScope,
    /// The flows and environments of runs, for those spans of a run that do not begin with it.
    runs: HashMap<RunId, (String, Option<String>)>,
    /// Spans that were not begun since too many were open.
    pub(crate) dropped: u64,
}

#[derive(Debug)]
struct OpenSpan {
    run: RunId,
    span: SpanRef,
    name: String,
    kind: SpanKind,
    start: Timestamp,
    /// The last event that belongs to it; where it ends if nobody ends it.
    last: Timestamp,
    attributes: Attributes,
    events: Vec<SpanEvent>,
    status: Status,
}

impl SpanFold {
    pub(crate) fn new(content: Content, limit: usize) -> Self {
        let scope = InstrumentationScope::builder("sluicegate").with_version(env!("CARGO_PKG_VERSION")).build();
        Self { open: HashMap::new(), limit, content, scope, runs: HashMap::new(), dropped: 0 }
    }

    /// Learns what happened in earlier processes, which exported their own spans: only what had begun and not ended
    /// stays open, until it ends now or turns out to have been cut off by the crash.
    pub(crate) fn hear_past(&mut self, past: &[Event]) {
        for event in past {
            self.hear(event, &mut |_| {});
        }
        if let Some(crash) = past.last() {
            for open in self.open.values_mut() {
                open.last = open.last.max(crash.at);
            }
        }
    }

    /// Folds one event; spans that ended are handed to `ended`.
    pub(crate) fn hear(&mut self, event: &Event, ended: &mut dyn FnMut(SpanData)) {
        let Some(span) = event.trace.filter(|span| span.sampled) else { return };
        let content = self.content;
        match &event.kind {
            EventKind::RunStarted { flow, environment, inputs, .. } => {
                if self.runs.len() >= MOST_RUNS {
                    self.runs.clear();
                }
                self.runs.insert(event.run.clone(), (flow.clone(), environment.clone()));
                let (name, mut attributes) = self.describe_run(&event.run);
                attributes.set_content(content, INPUT, &inputs.clone().into());
                self.begin(event, span, name, SpanKind::Internal, attributes);
            }
            EventKind::RunResumed { repeated_calls, repeated_nodes } => {
                let (name, mut attributes) = self.describe_run(&event.run);
                attributes.set(names::REPEATED_CALLS, i64::from(*repeated_calls));
                attributes.set(names::REPEATED_NODES, i64::from(*repeated_nodes));
                self.begin(event, span, name, SpanKind::Internal, attributes);
            }
            EventKind::NodeStarted { node_kind, inputs } => self.begin_node(event, span, node_kind, inputs),
            EventKind::NodeAttemptFailed { failure, retry_in_ms } => {
                self.retry(event, span, event.scope.attempt, failure, Some(*retry_in_ms));
            }
            EventKind::NodeFinished { outcome, .. } => {
                let mut open = self.take(event, span);
                if open.attributes.0.is_empty() {
                    describe_place(&mut open.attributes, event);
                    open.attributes.set(names::SPAN_KIND, "CHAIN");
                }
                describe_outcome(&mut open, content, event, outcome);
                ended(self.end(open, event.at));
            }
            EventKind::SpanStarted { name, span_type, inputs, attributes: own } => {
                let mut attributes = Attributes::default();
                attributes.set(names::SPAN_KIND, code_span_kind(span_type));
                attributes.set(names::CODE_SPAN_TYPE, span_type.clone());
                attributes.set_own(content, own);
                if !inputs.is_null() {
                    attributes.set_content(content, INPUT, inputs);
                }
                self.begin(event, span, name.clone(), SpanKind::Internal, attributes);
            }
            EventKind::SpanFinished { output, failure, attributes: own } => {
                // Of one whose beginning nobody heard there is nothing to tell.
                let Some(mut open) = self.open.remove(&key(span)) else { return };
                open.attributes.set_own(content, own);
                if !output.is_null() {
                    open.attributes.set_content(content, OUTPUT, output);
                }
                if let Some(failure) = failure {
                    open.fail(event.at, content, failure);
                }
                ended(self.end(open, event.at));
            }
            EventKind::ModelCallStarted {
                operation, connection, provider, host, port, model, request, stream, ..
            } => {
                let operation = operation.unwrap_or_else(|| Operation::of_request(request));
                let mut attributes = Attributes::default();
                attributes.set(names::SPAN_KIND, model_call::span_kind(operation));
                attributes.set(names::OPERATION_NAME, operation.word());
                attributes.set(names::PROVIDER_NAME, provider.clone());
                attributes.set(names::REQUEST_MODEL, model.clone());
                attributes.set(names::CONNECTION, connection.clone());
                match operation {
                    Operation::Embeddings => attributes.set(names::EMBEDDING_MODEL_NAME, model.clone()),
                    Operation::Chat | Operation::TextCompletion => attributes.set(names::REQUEST_STREAM, *stream),
                }
                attributes.set_some(names::SERVER_ADDRESS, (!host.is_empty()).then(|| host.clone()));
                attributes.set_some(names::SERVER_PORT, (*port != 0).then_some(i64::from(*port)));
                model_call::describe_request(&mut attributes, content, operation, request);
                self.begin(event, span, format!("{} {model}", operation.word()), SpanKind::Client, attributes);
            }
            EventKind::ModelAttemptFailed { attempt, failure, retry_in_ms, .. } => {
                self.retry(event, span, *attempt, failure, *retry_in_ms);
            }
            EventKind::ModelCallAdapted { parameter, adaptation, message, .. } => {
                let Some(open) = self.open.get_mut(&key(span)) else { return };
                open.last = event.at;
                open.events.push(SpanEvent::new(
                    names::ADAPTATION,
                    SystemTime::from(event.at),
                    model_call::adaptation(content, parameter, adaptation, message),
                    0,
                ));
            }
            EventKind::ModelCallFinished { end, attempts, first_chunk_us, cost, .. } => {
                let mut open = self.take(event, span);
                if open.attributes.0.is_empty() {
                    let operation = model_call::operation_of(end);
                    open.name = operation.word().to_owned();
                    open.kind = SpanKind::Client;
                    open.attributes.set(names::SPAN_KIND, model_call::span_kind(operation));
                }
                open.attributes.set(names::CALL_ATTEMPTS, i64::from(*attempts));
                let seconds = first_chunk_us.map(|micros| micros as f64 / 1e6);
                open.attributes.set_some(names::RESPONSE_TIME_TO_FIRST_CHUNK, seconds);
                open.attributes.set_some(names::COST_TOTAL, *cost);
                model_call::describe_end(&mut open.attributes, content, end);
                match end {
                    CallEnd::Failed { failure } => open.fail(event.at, content, failure),
                    CallEnd::Cancelled => open.stop("cancelled"),
                    CallEnd::Replied { .. } | CallEnd::Embedded { .. } => {}
                }
                ended(self.end(open, event.at));
            }
            EventKind::FetchStarted { call: _, method, url, host, port } => {
                let mut attributes = Attributes::default();
                fetch::describe_request(&mut attributes, method, url, host, *port);
                self.begin(event, span, method.clone(), SpanKind::Client, attributes);
            }
            EventKind::FetchFinished { call: _, end } => {
                let mut open = self.take(event, span);
                if open.attributes.0.is_empty() {
                    open.name = "HTTP".to_owned();
                    open.kind = SpanKind::Client;
                    open.attributes.set(names::SPAN_KIND, "TOOL");
                }
                fetch::describe_end(&mut open.attributes, &mut open.status, end);
                match end {
                    FetchEnd::Failed { failure } => open.fail(event.at, content, failure),
                    FetchEnd::Cancelled => open.stop("cancelled"),
                    FetchEnd::Answered { .. } => {}
                }
                ended(self.end(open, event.at));
            }
            EventKind::RunFinished { status, outputs, failure, usage, cost } => {
                self.end_leftovers(Some(&event.run), span, ended);
                let mut open = self.take(event, span);
                if open.attributes.0.is_empty() {
                    (open.name, open.attributes) = self.describe_run(&event.run);
                }
                open.attributes.set(names::RUN_ID, event.run.to_string());
                open.attributes.set_count(names::RUN_INPUT_TOKENS, usage.input_tokens);
                open.attributes.set_count(names::RUN_OUTPUT_TOKENS, usage.output_tokens);
                open.attributes.set_some(names::RUN_COST, *cost);
                if let Some(outputs) = outputs {
                    open.attributes.set_content(content, OUTPUT, &outputs.clone().into());
                }
                let (word, is_over) = match status {
                    RunStatus::Completed => ("completed", true),
                    RunStatus::Failed => ("failed", false),
                    RunStatus::Interrupted => ("interrupted", false),
                };
                open.attributes.set(names::RUN_STATUS, word);
                match failure {
                    Some(failure) => open.fail(event.at, content, failure),
                    None if !is_over => open.stop(word),
                    None => {}
                }
                ended(self.end(open, event.at));
            }
            _ => {}
        }
    }

    /// Ends what nobody ended, where it was heard of last.
    pub(crate) fn end_all(&mut self, ended: &mut dyn FnMut(SpanData)) {
        let nobody = SpanRef { trace_id: 0, span_id: 0, parent_id: None, sampled: false };
        self.end_leftovers(None, nobody, ended);
    }

    fn describe_run(&self, run: &RunId) -> (String, Attributes) {
        let mut attributes = Attributes::default();
        attributes.set(names::SPAN_KIND, "CHAIN");
        attributes.set(names::OPERATION_NAME, "invoke_workflow");
        let Some((flow, environment)) = self.runs.get(run) else { return ("run".to_owned(), attributes) };
        attributes.set(names::WORKFLOW_NAME, flow.clone());
        attributes.set_some(names::ENVIRONMENT, environment.clone());
        (flow.clone(), attributes)
    }

    fn begin(&mut self, event: &Event, span: SpanRef, name: String, kind: SpanKind, mut attributes: Attributes) {
        if self.open.len() >= self.limit {
            self.dropped += 1;
            return;
        }
        describe_place(&mut attributes, event);
        let open = OpenSpan {
            run: event.run.clone(),
            span,
            name,
            kind,
            start: event.at,
            last: event.at,
            attributes,
            events: Vec::new(),
            status: Status::Unset,
        };
        self.open.insert(key(span), open);
    }

    fn begin_node(&mut self, event: &Event, span: SpanRef, node_kind: &str, inputs: &sluicegate_value::Value) {
        if let Some(open) = self.open.get_mut(&key(span)) {
            // A further attempt: the span goes on.
            open.last = event.at;
            return;
        }
        let mut attributes = Attributes::default();
        attributes.set(names::SPAN_KIND, span_kind(node_kind));
        attributes.set(names::NODE_KIND, node_kind.to_owned());
        attributes.set_content(self.content, INPUT, inputs);
        self.begin(event, span, event.scope.path.to_string(), SpanKind::Internal, attributes);
    }

    fn retry(&mut self, event: &Event, span: SpanRef, attempt: u32, failure: &Failure, pause: Option<u64>) {
        let content = self.content;
        let Some(open) = self.open.get_mut(&key(span)) else { return };
        open.last = event.at;
        let mut attributes = Attributes::default();
        attributes.set(names::RETRY_ATTEMPT, i64::from(attempt));
        attributes.set(names::ERROR_TYPE, failure.code.clone());
        attributes.0.extend(exception(content, failure));
        // The last attempt's failure is the call's own: it has no pause, and is told when the call ends.
        attributes.set_count(names::RETRY_IN_MS, pause);
        if pause.is_some() {
            open.events.push(SpanEvent::new(names::RETRY, SystemTime::from(event.at), attributes.0, 0));
        }
    }

    /// The open span; where its beginning was not heard (another process heard it), as much as the event tells.
    fn take(&mut self, event: &Event, span: SpanRef) -> OpenSpan {
        self.open.remove(&key(span)).unwrap_or_else(|| OpenSpan {
            run: event.run.clone(),
            span,
            name: event.scope.path.to_string(),
            kind: SpanKind::Internal,
            start: event.at,
            last: event.at,
            attributes: Attributes::default(),
            events: Vec::new(),
            status: Status::Unset,
        })
    }

    fn end_leftovers(&mut self, run: Option<&RunId>, except: SpanRef, ended: &mut dyn FnMut(SpanData)) {
        let left: Vec<(u128, u64)> = self
            .open
            .iter()
            .filter(|(id, open)| **id != key(except) && run.is_none_or(|run| open.run == *run))
            .map(|(id, _)| *id)
            .collect();
        for id in left {
            if let Some(mut open) = self.open.remove(&id) {
                open.stop("interrupted");
                let last = open.last;
                ended(self.end(open, last));
            }
        }
    }

    fn end(&self, open: OpenSpan, at: Timestamp) -> SpanData {
        let mut events = SpanEvents::default();
        events.events = open.events;
        SpanData {
            span_context: SpanContext::new(
                TraceId::from(open.span.trace_id),
                SpanId::from(open.span.span_id),
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: open.span.parent_id.map_or(SpanId::INVALID, SpanId::from),
            parent_span_is_remote: false,
            span_kind: open.kind,
            name: open.name.into(),
            start_time: SystemTime::from(open.start),
            // A clock that was set back must not make a span end before it began.
            end_time: SystemTime::from(at.max(open.start)),
            attributes: open.attributes.0,
            dropped_attributes_count: 0,
            events,
            links: SpanLinks::default(),
            status: open.status,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

impl OpenSpan {
    fn fail(&mut self, at: Timestamp, content: Content, failure: &Failure) {
        self.attributes.set(names::ERROR_TYPE, failure.code.clone());
        self.status = Status::error(content.message_of(failure));
        self.events.push(SpanEvent::new(names::EXCEPTION, SystemTime::from(at), exception(content, failure), 0));
    }

    /// Ended by somebody's wish or a crash, not by a failure of its own.
    fn stop(&mut self, why: &'static str) {
        self.attributes.set(names::ERROR_TYPE, why);
        self.status = Status::error(why);
    }
}

/// Bytes of memory that a span takes, roughly.
pub(crate) fn weight(span: &SpanData) -> usize {
    let events: usize = span.events.iter().map(|event| 96 + Attributes::weight(&event.attributes)).sum();
    400 + span.name.len() + Attributes::weight(&span.attributes) + events
}

fn key(span: SpanRef) -> (u128, u64) {
    (span.trace_id, span.span_id)
}

fn describe_place(attributes: &mut Attributes, event: &Event) {
    attributes.0.push(KeyValue::new(names::RUN_ID, event.run.to_string()));
    attributes.set_count(names::LINE, event.scope.line);
    if event.scope.repeat != 0 {
        attributes.set(names::REPEAT, i64::from(event.scope.repeat));
    }
    if !event.scope.path.is_root() {
        attributes.set(names::NODE_PATH, event.scope.path.to_string());
    }
}

fn describe_outcome(open: &mut OpenSpan, content: Content, event: &Event, outcome: &Outcome) {
    open.attributes.set(names::NODE_ATTEMPTS, i64::from(event.scope.attempt));
    let word = match outcome {
        Outcome::Completed { output, .. } => {
            open.attributes.set_content(content, OUTPUT, output);
            "completed"
        }
        Outcome::Bypassed => "bypassed",
        Outcome::Failed { failure } => {
            open.fail(event.at, content, failure);
            "failed"
        }
        Outcome::Waiting { .. } => "waiting",
        Outcome::Cancelled => {
            open.stop("cancelled");
            "cancelled"
        }
    };
    open.attributes.set(names::NODE_OUTCOME, word);
    open.attributes.set(names::NODE_BYPASSED, matches!(outcome, Outcome::Bypassed));
}

/// OpenInference's word for a span of a node's own code, by prompt flow's type of it.
fn code_span_kind(span_type: &str) -> &'static str {
    match span_type {
        "Tool" => "TOOL",
        "LLM" => "LLM",
        "Embedding" => "EMBEDDING",
        "Retrieval" => "RETRIEVER",
        _ => "CHAIN",
    }
}

/// OpenInference's word for a node's kind. An `llm` node is a chain: the call inside it is the `LLM`; so are nodes around an
/// HTTP call or an embedding.
fn span_kind(node_kind: &str) -> &'static str {
    match node_kind {
        "prompt" => "PROMPT",
        "python" | "expression" => "TOOL",
        _ => "CHAIN",
    }
}
