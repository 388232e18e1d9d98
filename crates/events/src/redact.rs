//! Every text in an event, to be rewritten before anybody keeps it.
//!
//! Everything is taken apart by name, without `..`: a field that is new does not compile until somebody has decided
//! whether a secret may get into it.

use std::sync::Arc;

use sluicegate_flow::plan::NodeName;
use sluicegate_model::{Adaptation, ChatReply, EmbeddingReply, Filter, FilterFinding};
use sluicegate_value::{Map, Value};

use crate::{
    BatchData, CallEnd, Event, EventKind, Failure, FetchEnd, Found, LineEnd, NodePath, Outcome, PathStep, PlanHashes,
    Property, Scope, WaitFor,
};

impl Event {
    /// Replaces every text for which `rewrite` answers, wherever it came from: inputs, outputs, requests, replies,
    /// messages of failures, names. Numbers, ids and hashes that the engine made stay. Returns whether anything changed.
    ///
    /// The executor passes the redactor here before an event is appended or heard.
    pub fn rewrite_texts(&mut self, rewrite: &mut dyn FnMut(&str) -> Option<String>) -> bool {
        let Self { seq: _, at: _, run: _, scope, trace: _, redacted: _, kind } = self;
        let Scope { line: _, repeat: _, path, attempt: _ } = scope;
        let mut texts = Texts { rewrite, changed: false };
        texts.path(path);
        texts.kind(kind);
        texts.changed
    }
}

struct Texts<'a> {
    rewrite: &'a mut dyn FnMut(&str) -> Option<String>,
    changed: bool,
}

impl Texts<'_> {
    fn kind(&mut self, kind: &mut EventKind) {
        match kind {
            EventKind::RunStarted { flow, flow_path, environment, inputs, hashes, options } => {
                let PlanHashes { plan: _, settings: _, engine: _ } = hashes;
                self.text(flow);
                self.text(flow_path);
                environment.iter_mut().for_each(|name| self.text(name));
                self.map(inputs);
                self.map(options);
            }
            EventKind::RunResumed { repeated_calls: _, repeated_nodes: _ }
            | EventKind::LineResumed { repeated_calls: _, repeated_nodes: _ }
            | EventKind::AggregationStarted { lines: _ }
            | EventKind::BatchFinished { lines: _ }
            | EventKind::TimerFired { until: _ }
            | EventKind::ReplyFound { call: _, by: _ }
            | EventKind::ModelAttemptStarted { call: _, attempt: _ }
            | EventKind::Unknown => {}
            EventKind::BatchStarted { data } => {
                let BatchData { sources, hash: _, lines: _, column_mapping } = data;
                sources.iter_mut().for_each(|source| self.text(source));
                self.map(column_mapping);
            }
            EventKind::LineStarted { inputs } => self.map(inputs),
            EventKind::LineFinished { end, usage: _, cost: _ } => match end {
                LineEnd::Completed { outputs } => self.map(outputs),
                LineEnd::Failed { failure, node } => {
                    self.failure(failure);
                    self.path(node);
                }
                LineEnd::Cancelled => {}
            },
            EventKind::ObjectsLost { worker: _, objects: _, nodes } => {
                nodes.iter_mut().for_each(|path| self.path(path))
            }
            EventKind::NodeStarted { node_kind: _, inputs } => self.value(inputs),
            EventKind::NodeSaid { stream: _, text } => self.text(text),
            EventKind::SpanStarted { name, span_type, inputs, attributes } => {
                self.text(name);
                self.text(span_type);
                self.value(inputs);
                self.map(attributes);
            }
            EventKind::SpanFinished { output, failure, attributes } => {
                self.value(output);
                failure.iter_mut().for_each(|failure| self.failure(failure));
                self.map(attributes);
            }
            EventKind::MetricLogged { key, value } => {
                self.text(key);
                self.value(value);
            }
            EventKind::NodeAttemptFailed { failure, retry_in_ms: _ } => self.failure(failure),
            EventKind::NodeFinished { outcome, usage: _ } => self.outcome(outcome),
            EventKind::ModelCallStarted {
                call: _,
                operation: _,
                connection,
                provider,
                host,
                port: _,
                model,
                request,
                stream: _,
                request_hash: _,
            } => {
                for text in [connection, provider, host, model] {
                    self.text(text);
                }
                self.value(request);
            }
            EventKind::ModelAttemptFailed { call: _, attempt: _, failure, retry_in_ms: _ } => self.failure(failure),
            EventKind::ModelCallFinished { call: _, end, attempts: _, first_chunk_us: _, cost: _ } => match end {
                CallEnd::Replied { reply } => self.reply(reply),
                CallEnd::Embedded { reply } => self.embedding_reply(reply),
                CallEnd::Failed { failure } => self.failure(failure),
                CallEnd::Cancelled => {}
            },
            EventKind::ModelCallAdapted { call: _, connection, model, parameter, adaptation, message } => {
                for text in [connection, model, parameter, message] {
                    self.text(text);
                }
                match adaptation {
                    Adaptation::Renamed(text) | Adaptation::ValueDropped(text) => self.shared(text),
                    Adaptation::Dropped => {}
                }
            }
            EventKind::FetchStarted { call: _, method, url, host, port: _ } => {
                for text in [method, url, host] {
                    self.text(text);
                }
            }
            EventKind::FetchFinished { call: _, end } => match end {
                FetchEnd::Failed { failure } => self.failure(failure),
                FetchEnd::Answered { status: _, size: _ } | FetchEnd::Cancelled => {}
            },
            EventKind::EventReceived { name, data } => {
                self.text(name);
                self.value(data);
            }
            EventKind::RunFinished { status: _, outputs, failure, usage: _, cost: _ } => {
                outputs.iter_mut().for_each(|outputs| self.map(outputs));
                failure.iter_mut().for_each(|failure| self.failure(failure));
            }
            EventKind::Chunk { text } => self.shared(text),
        }
    }

    fn outcome(&mut self, outcome: &mut Outcome) {
        match outcome {
            Outcome::Completed { output, headers, opaque: _, properties } => {
                for Property { path, found } in properties {
                    self.shared(path);
                    match found {
                        Found::Value(value) => self.value(value),
                        Found::Failure(failure) => self.failure(failure),
                    }
                }
                let before = output.as_str().map(str::len);
                self.value(output);
                // Offsets mean nothing in a text of another length.
                if output.as_str().map(str::len) != before {
                    headers.clear();
                }
            }
            Outcome::Failed { failure } => self.failure(failure),
            Outcome::Waiting { wait_for } => match wait_for {
                WaitFor::Event(name) => self.text(name),
                WaitFor::Approval | WaitFor::Until(_) => {}
            },
            Outcome::Bypassed | Outcome::Cancelled => {}
        }
    }

    fn reply(&mut self, reply: &mut ChatReply) {
        let ChatReply { text, message, finish_reason, model, id, usage: _, filter, refusal, body } = reply;
        [text, finish_reason, model, id, refusal].into_iter().flatten().for_each(|text| self.shared(text));
        filter.iter_mut().for_each(|filter| self.filter(filter));
        self.value(message);
        self.value(body);
    }

    fn embedding_reply(&mut self, reply: &mut EmbeddingReply) {
        let EmbeddingReply { vectors: _, model, usage: _ } = reply;
        model.iter_mut().for_each(|model| self.shared(model));
    }

    fn filter(&mut self, filter: &mut Filter) {
        let Filter { state: _, findings, message } = filter;
        message.iter_mut().for_each(|message| self.shared(message));
        for FilterFinding { category, severity, in_reply: _, stopped: _ } in findings {
            std::iter::once(category).chain(severity).for_each(|text| self.shared(text));
        }
    }

    fn failure(&mut self, failure: &mut Failure) {
        // The code is one of a few words of ours.
        let Failure { code: _, message, causes, hint, details } = failure;
        std::iter::once(message).chain(causes).chain(hint).for_each(|text| self.text(text));
        self.value(details);
    }

    fn path(&mut self, path: &mut NodePath) {
        for PathStep { node: NodeName(name), index: _ } in &mut path.0 {
            self.shared(name);
        }
    }

    fn text(&mut self, target: &mut String) {
        if let Some(new) = (self.rewrite)(target) {
            *target = new;
            self.changed = true;
        }
    }

    fn shared(&mut self, target: &mut Arc<str>) {
        if let Some(new) = (self.rewrite)(target) {
            *target = new.into();
            self.changed = true;
        }
    }

    fn value(&mut self, target: &mut Value) {
        if let Some(new) = target.map_strings(self.rewrite) {
            *target = new;
            self.changed = true;
        }
    }

    fn map(&mut self, target: &mut Map) {
        if let Some(new) = target.map_strings(self.rewrite) {
            *target = new;
            self.changed = true;
        }
    }
}
