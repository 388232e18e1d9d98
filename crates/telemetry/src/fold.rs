//! Events become spans: each begins with one event, ends with another, and is handed on when it has ended.
//!
//! What the fold expects of the executor: one span per run, per line of a batch, per node (all its attempts together),
//! per model call, per HTTP call and per piece of a node's own code that its author traces, each named by [`SpanRef`]
//! in every event that belongs to it. A line's span is the first of a trace of its own. A resumed run or line has a span
//! of its own in each process, inside of the first one's; a node that goes on after a resume keeps its span.

use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{Event as SpanEvent, SpanKind};
use opentelemetry_sdk::trace::SpanData;
use sluicegate_events::{CallEnd, Event, EventKind, Failure, FetchEnd, LineEnd, Operation, RunStatus, SpanRef};
use sluicegate_model::Usage;
use sluicegate_value::Value;

use crate::attributes::{Attributes, Content, exception};
use crate::evaluation::CaseEvaluation;
use crate::open::{OpenSpan, OpenSpans, SpanKey};
use crate::runs::Runs;
use crate::{fetch, model_call, names, node};

const INPUT: (&str, &str) = (names::INPUT_VALUE, names::INPUT_MIME_TYPE);
const OUTPUT: (&str, &str) = (names::OUTPUT_VALUE, names::OUTPUT_MIME_TYPE);

/// Events so far as spans that have not ended.
#[derive(Debug)]
pub(crate) struct SpanFold {
    open: OpenSpans,
    /// The most spans that may be open: a run that never ends them must not fill the memory.
    limit: usize,
    content: Content,
    scope: InstrumentationScope,
    runs: Runs,
    /// Spans that were not begun since too many were open.
    pub(crate) dropped: u64,
}

impl SpanFold {
    pub(crate) fn new(content: Content, limit: usize) -> Self {
        let scope = InstrumentationScope::builder("sluicegate").with_version(env!("CARGO_PKG_VERSION")).build();
        Self { open: OpenSpans::default(), limit, content, scope, runs: Runs::default(), dropped: 0 }
    }

    /// Learns what happened in earlier processes, which exported their own spans: only what had begun and not ended
    /// stays open, until it ends now or turns out to have been cut off by the crash.
    pub(crate) fn hear_past(&mut self, past: &[Event]) {
        for event in past {
            self.hear(event, &mut |_| {});
        }
        // Whatever of it is still open was cut off not before the last that was heard.
        let Some(crash) = past.last().map(|event| event.at) else { return };
        for open in self.open.of_no_line() {
            open.last = open.last.max(crash);
        }
        for event in past {
            if let Some(span) = event.trace
                && let Some(open) = self.open.get_mut(SpanKey::of(event, span))
            {
                open.last = open.last.max(crash);
            }
        }
    }

    /// Folds one event; spans that ended are handed to `ended`.
    pub(crate) fn hear(&mut self, event: &Event, ended: &mut dyn FnMut(SpanData)) {
        self.runs.hear(event);
        let Some(span) = event.trace.filter(|span| span.sampled) else { return };
        let content = self.content;
        match &event.kind {
            EventKind::RunStarted { inputs, .. } => {
                let (name, mut attributes) = self.runs.describe(&event.run);
                attributes.set_map(content, INPUT, inputs);
                self.begin(event, span, name, SpanKind::Internal, attributes);
            }
            EventKind::RunResumed { repeated_calls, repeated_nodes } => {
                let (name, mut attributes) = self.runs.describe(&event.run);
                self.runs.describe_lines(&event.run, &mut attributes);
                attributes.set(names::REPEATED_CALLS, i64::from(*repeated_calls));
                attributes.set(names::REPEATED_NODES, i64::from(*repeated_nodes));
                self.begin(event, span, name, SpanKind::Internal, attributes);
            }
            EventKind::BatchStarted { .. } => {
                if let Some(open) = self.open.get_mut(SpanKey::of(event, span)) {
                    open.last = event.at;
                    self.runs.describe_lines(&event.run, &mut open.attributes);
                }
            }
            EventKind::LineStarted { inputs } => {
                let (name, mut attributes) = self.runs.describe(&event.run);
                attributes.set_map(content, INPUT, inputs);
                self.begin_line(event, span, name, attributes);
            }
            EventKind::LineResumed { repeated_calls, repeated_nodes } => {
                let (name, mut attributes) = self.runs.describe(&event.run);
                attributes.set(names::LINE_REPEATED_CALLS, i64::from(*repeated_calls));
                attributes.set(names::LINE_REPEATED_NODES, i64::from(*repeated_nodes));
                self.begin_line(event, span, name, attributes);
            }
            EventKind::LineFinished { end, usage, cost } => self.end_line(event, span, (end, usage, *cost), ended),
            EventKind::NodeStarted { node_kind, inputs } => self.begin_node(event, span, node_kind, inputs),
            EventKind::NodeAttemptFailed { failure, retry_in_ms } => {
                self.retry(event, span, event.scope.attempt, failure, Some(*retry_in_ms));
            }
            EventKind::NodeFinished { outcome, .. } => {
                let mut open = self.take(event, span);
                if open.attributes.0.is_empty() {
                    node::describe_place(&mut open.attributes, event);
                    open.attributes.set(names::SPAN_KIND, "CHAIN");
                }
                node::describe_outcome(&mut open, content, event, outcome);
                ended(self.end(open, event.at));
            }
            EventKind::SpanStarted { name, span_type, inputs, attributes: own } => {
                let mut attributes = Attributes::default();
                attributes.set(names::SPAN_KIND, node::code_span_kind(span_type));
                attributes.set(names::CODE_SPAN_TYPE, span_type.clone());
                attributes.set_own(content, own);
                if !inputs.is_null() {
                    attributes.set_content(content, INPUT, inputs);
                }
                self.begin(event, span, name.clone(), SpanKind::Internal, attributes);
            }
            EventKind::SpanFinished { output, failure, attributes: own } => {
                // Of one whose beginning nobody heard there is nothing to tell.
                let Some(mut open) = self.open.remove(SpanKey::of(event, span)) else { return };
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
                attributes.add(names::SPAN_KIND, model_call::span_kind(operation));
                attributes.add(names::OPERATION_NAME, operation.word());
                attributes.add(names::PROVIDER_NAME, provider.clone());
                attributes.add(names::REQUEST_MODEL, model.clone());
                attributes.add(names::CONNECTION, connection.clone());
                match operation {
                    Operation::Embeddings => attributes.add(names::EMBEDDING_MODEL_NAME, model.clone()),
                    Operation::Chat | Operation::TextCompletion => attributes.add(names::REQUEST_STREAM, *stream),
                }
                attributes.add_some(names::SERVER_ADDRESS, (!host.is_empty()).then(|| host.clone()));
                attributes.add_some(names::SERVER_PORT, (*port != 0).then_some(i64::from(*port)));
                model_call::describe_request(&mut attributes, content, operation, request);
                self.begin(event, span, format!("{} {model}", operation.word()), SpanKind::Client, attributes);
            }
            EventKind::ModelAttemptFailed { attempt, failure, retry_in_ms, .. } => {
                self.retry(event, span, *attempt, failure, *retry_in_ms);
            }
            EventKind::ModelCallAdapted { parameter, adaptation, message, .. } => {
                let Some(open) = self.open.get_mut(SpanKey::of(event, span)) else { return };
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
                let left = self.open.remove_all_of(Some(&event.run), Some(SpanKey::of(event, span)));
                self.interrupt(left, ended);
                let mut open = self.take(event, span);
                if open.attributes.0.is_empty() {
                    (open.name, open.attributes) = self.runs.describe(&event.run);
                }
                self.runs.describe_lines(&event.run, &mut open.attributes);
                open.attributes.set(names::RUN_ID, Arc::clone(&event.run.0));
                open.attributes.set_count(names::RUN_INPUT_TOKENS, usage.input_tokens);
                open.attributes.set_count(names::RUN_OUTPUT_TOKENS, usage.output_tokens);
                open.attributes.set_some(names::RUN_COST, *cost);
                if let Some(outputs) = outputs {
                    open.attributes.set_map(content, OUTPUT, outputs);
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

    /// What evaluators said of a case: a span that begins and ends at once, long after the answer.
    pub(crate) fn of_case(&self, case: &CaseEvaluation<'_>) -> SpanData {
        case.open(self.content).end(case.at, &self.scope)
    }

    /// Ends what nobody ended, where it was heard of last.
    pub(crate) fn end_all(&mut self, ended: &mut dyn FnMut(SpanData)) {
        let left = self.open.remove_all_of(None, None);
        self.interrupt(left, ended);
    }

    fn begin(&mut self, event: &Event, span: SpanRef, name: String, kind: SpanKind, mut attributes: Attributes) {
        if self.open.len() >= self.limit {
            self.dropped += 1;
            return;
        }
        node::describe_place(&mut attributes, event);
        self.open.insert(SpanKey::of(event, span), OpenSpan::new(event, span, name, kind, attributes));
    }

    fn begin_line(&mut self, event: &Event, span: SpanRef, name: String, attributes: Attributes) {
        self.begin(event, span, name, SpanKind::Internal, attributes);
        if let Some(open) = self.open.get_mut(SpanKey::of(event, span)) {
            open.link = self.runs.link(&event.run);
        }
    }

    fn end_line(
        &mut self,
        event: &Event,
        span: SpanRef,
        (end, usage, cost): (&LineEnd, &Usage, Option<f64>),
        ended: &mut dyn FnMut(SpanData),
    ) {
        let content = self.content;
        let left = self.open.remove_others_of_line(&event.run, SpanKey::of(event, span));
        self.interrupt(left, ended);
        let mut open = self.take(event, span);
        if open.attributes.0.is_empty() {
            (open.name, open.attributes) = self.runs.describe(&event.run);
            node::describe_place(&mut open.attributes, event);
            open.link = self.runs.link(&event.run);
        }
        open.attributes.set_count(names::LINE_INPUT_TOKENS, usage.input_tokens);
        open.attributes.set_count(names::LINE_OUTPUT_TOKENS, usage.output_tokens);
        open.attributes.set_some(names::LINE_COST, cost);
        let word = match end {
            LineEnd::Completed { outputs } => {
                open.attributes.set_map(content, OUTPUT, outputs);
                "completed"
            }
            LineEnd::Failed { failure, node } => {
                open.fail(event.at, content, failure);
                open.attributes.set_some(names::LINE_FAILED_NODE, (!node.is_root()).then(|| node.to_string()));
                "failed"
            }
            LineEnd::Cancelled => {
                open.stop("cancelled");
                "cancelled"
            }
        };
        open.attributes.set(names::LINE_STATUS, word);
        ended(self.end(open, event.at));
    }

    fn begin_node(&mut self, event: &Event, span: SpanRef, node_kind: &str, inputs: &Value) {
        if let Some(open) = self.open.get_mut(SpanKey::of(event, span)) {
            // A further attempt: the span goes on.
            open.last = event.at;
            return;
        }
        let mut attributes = Attributes::default();
        attributes.add(names::SPAN_KIND, node::span_kind(node_kind));
        attributes.add(names::NODE_KIND, node_kind.to_owned());
        attributes.set_content(self.content, INPUT, inputs);
        self.begin(event, span, event.scope.path.to_string(), SpanKind::Internal, attributes);
    }

    fn retry(&mut self, event: &Event, span: SpanRef, attempt: u32, failure: &Failure, pause: Option<u64>) {
        let content = self.content;
        let Some(open) = self.open.get_mut(SpanKey::of(event, span)) else { return };
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
        self.open.remove(SpanKey::of(event, span)).unwrap_or_else(|| {
            OpenSpan::new(event, span, event.scope.path.to_string(), SpanKind::Internal, Attributes::default())
        })
    }

    /// Ends what nobody ended, where it was heard of last.
    fn interrupt(&self, left: Vec<OpenSpan>, ended: &mut dyn FnMut(SpanData)) {
        for mut open in left {
            open.stop("interrupted");
            let last = open.last;
            ended(self.end(open, last));
        }
    }

    fn end(&self, open: OpenSpan, at: Timestamp) -> SpanData {
        open.end(at, &self.scope)
    }
}

#[cfg(test)]
mod tests;
