//! What nodes say on the way, and what is made of everything that happened: events.

use sluicegate_events::{CallEnd, Event, EventKind, Failure, FetchEnd, NodePath, Scope, SpanRef, Stream};
use sluicegate_flow::plan::NodeKind;
use sluicegate_model::{CallNotice, ConnectionName, Usage};
use sluicegate_value::{Map, Value};

use super::{OpenCall, OpenKind, Run};
use crate::calls::{CallSaid, CallStarted, Said, SaidKind, StartedKind};
use crate::chunks::Chunks;

/// Bytes of what a node prints that are kept: more is a log, and belongs into a file of its own.
const MOST_PRINTED: usize = 1 << 20;

impl Run<'_> {
    pub(super) fn hear_all(&mut self) {
        while let Ok(said) = self.said.try_recv() {
            self.heard(said);
        }
    }

    pub(super) fn heard(&mut self, said: Said) {
        let Said { path, attempt, what } = said;
        if self.nodes.get(&path).is_none_or(|working| working.attempt != attempt) {
            return;
        }
        match what {
            SaidKind::Call(call, CallSaid::Started(started)) => self.call_started(&path, attempt, call, *started),
            SaidKind::Call(call, said) => self.heard_of_call(&path, attempt, call, said),
            SaidKind::Printed(stream, text) => self.printed(&path, stream, &text),
            SaidKind::SpanStarted { span, name, span_type, inputs, attributes } => {
                let inputs = if self.engine.options.capture_content { inputs } else { Value::Null };
                let kind = EventKind::SpanStarted { name, span_type, inputs, attributes };
                if let Some(working) = self.nodes.get_mut(&path) {
                    working.spans.push(span);
                }
                self.record_of_node(&path, attempt, Some(span), kind);
            }
            SaidKind::SpanFinished { span_id, output, failure, attributes } => {
                self.span_finished(&path, attempt, span_id, output, failure, attributes);
            }
            SaidKind::Metric(key, value) => {
                let span = self.span_of(&path);
                self.record_of_node(&path, attempt, Some(span), EventKind::MetricLogged { key, value });
            }
            SaidKind::Piece(text) => {
                let span = self.span_of(&path);
                let Some(working) = self.nodes.get_mut(&path) else { return };
                let text = working.pieces.push(&text, &self.engine.redact);
                self.mention_chunk(&path, attempt, span, text);
            }
        }
    }

    fn heard_of_call(&mut self, path: &NodePath, attempt: u32, call: u32, said: CallSaid) {
        let Some(working) = self.nodes.get_mut(path) else { return };
        let Some(position) = working.calls.iter().position(|open| open.call == call) else { return };
        let waits = matches!(&said, CallSaid::Started(_) | CallSaid::Noticed(CallNotice::Queued));
        if !waits {
            self.call_sent(path, position);
        }
        let Some(working) = self.nodes.get_mut(path) else { return };
        match said {
            CallSaid::Started(_) => {}
            CallSaid::Found(found) => {
                let open = &mut working.calls[position];
                (open.attempts, open.is_kept) = (0, true);
                let (span, by) = (open.span, found.word().to_owned());
                self.record_of_node(path, attempt, Some(span), EventKind::ReplyFound { call, by });
            }
            CallSaid::Noticed(notice) => self.noticed(path, attempt, position, notice),
            CallSaid::Sending(of_call, kept) => {
                let open = &mut working.calls[position];
                open.attempts = open.attempts.max(of_call);
                let span = open.span;
                // The first is told by the call's beginning.
                if of_call > 1 {
                    let kind = EventKind::ModelAttemptStarted { call, attempt: of_call };
                    self.record_of_node(path, attempt, Some(span), kind);
                }
                self.ledger.tell_when_kept(kept);
            }
            CallSaid::ModelEnded(end) => {
                let mut open = working.calls.remove(position);
                let is_python = matches!(working.node.node().kind, NodeKind::Python(_));
                self.mention_rest(path, attempt, &mut open);
                // Only what Python made can get lost, and has to be made again.
                if let (true, OpenKind::Model { request_hash, .. }) = (is_python, &open.what) {
                    self.tally.remember_reply(path, request_hash, &end);
                }
                self.record_model_end(path, attempt, &open, end);
            }
            CallSaid::FetchEnded(end) => {
                let open = working.calls.remove(position);
                self.record_of_node(path, attempt, Some(open.span), EventKind::FetchFinished { call, end });
            }
        }
    }

    /// Tells what a node's own code has printed: what may be the beginning of a secret when it is known how it goes on,
    /// and not more than is of use.
    fn printed(&mut self, path: &NodePath, stream: Stream, text: &str) {
        let Some(working) = self.nodes.get_mut(path) else { return };
        let printed = &mut working.printed[stream as usize];
        let text = printed.push(text, &self.engine.redact);
        self.tell_printed(path, stream, text);
    }

    fn tell_printed(&mut self, path: &NodePath, stream: Stream, mut text: String) {
        let Some(working) = self.nodes.get_mut(path) else { return };
        let (attempt, span) = (working.attempt, working.span);
        // Beyond the most there is once something: that there was more.
        if text.is_empty() || working.printed_bytes > MOST_PRINTED {
            return;
        }
        let room = MOST_PRINTED - working.printed_bytes;
        working.printed_bytes += text.len();
        if text.len() > room {
            text.truncate(text.floor_char_boundary(room));
            text.push_str("\n… what else this node printed is not kept\n");
        }
        self.record_of_node(path, attempt, Some(span), EventKind::NodeSaid { stream, text });
    }

    /// Tells what was held back of what a node printed and gave in pieces, and ends the spans of its own code.
    pub(super) fn close_own(&mut self, path: &NodePath) {
        let Some(working) = self.nodes.get_mut(path) else { return };
        let (attempt, span) = (working.attempt, working.span);
        let rest = working.pieces.rest();
        let printed = working.printed.each_mut().map(Chunks::rest);
        let spans = std::mem::take(&mut working.spans);
        self.mention_chunk(path, attempt, span, rest);
        for (stream, text) in [Stream::Stdout, Stream::Stderr].into_iter().zip(printed) {
            self.tell_printed(path, stream, text);
        }
        // The innermost first.
        for span in spans.into_iter().rev() {
            let failure = Some(Failure::new("cancelled", "the node ended before it"));
            let kind = EventKind::SpanFinished { output: Value::Null, failure, attributes: Map::new() };
            self.record_of_node(path, attempt, Some(span), kind);
        }
    }

    fn span_finished(
        &mut self,
        path: &NodePath,
        attempt: u32,
        span_id: u64,
        output: Value,
        failure: Option<Failure>,
        attributes: Map,
    ) {
        let Some(working) = self.nodes.get_mut(path) else { return };
        let Some(position) = working.spans.iter().position(|span| span.span_id == span_id) else { return };
        let span = working.spans.remove(position);
        let output = if self.engine.options.capture_content { output } else { Value::Null };
        self.record_of_node(path, attempt, Some(span), EventKind::SpanFinished { output, failure, attributes });
    }

    /// What happens during the call at this position of the node's open ones.
    fn noticed(&mut self, path: &NodePath, attempt: u32, position: usize, notice: CallNotice) {
        let Some(open) = self.nodes.get_mut(path).and_then(|working| working.calls.get_mut(position)) else { return };
        // An HTTP call has one attempt, and its answer comes in one piece.
        let OpenKind::Model { connection, .. } = &open.what else { return };
        let (call, span) = (open.call, open.span);
        match notice {
            CallNotice::Queued => {}
            // Told as `Sending`.
            CallNotice::AttemptStarted { .. } => {}
            CallNotice::FirstChunk { after } => open.first_chunk = Some(after),
            CallNotice::Chunk { text } => {
                let text = open.chunks.push(&text, &self.engine.redact);
                self.mention_chunk(path, attempt, span, text);
            }
            CallNotice::AttemptFailed { attempt: of_call, error, retry_in } => {
                open.attempts = open.attempts.max(of_call);
                let kind = EventKind::ModelAttemptFailed {
                    call,
                    attempt: of_call,
                    failure: crate::calls::model_failure(&error, 1),
                    retry_in_ms: retry_in.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
                };
                self.record_of_node(path, attempt, Some(span), kind);
            }
            CallNotice::Adapted { model, parameter, adaptation, message } => {
                let ConnectionName(connection) = connection;
                let kind = EventKind::ModelCallAdapted {
                    call,
                    connection: connection.to_string(),
                    model: model.to_string(),
                    parameter: parameter.to_string(),
                    adaptation,
                    message: message.to_string(),
                };
                self.record_of_node(path, attempt, Some(span), kind);
            }
        }
    }

    pub(super) fn call_started(&mut self, path: &NodePath, attempt: u32, call: u32, started: CallStarted) {
        let CallStarted { span, what } = started;
        let scope = Scope { path: path.clone(), attempt, ..Scope::default() };
        let (open, kind) = match what {
            StartedKind::Model { operation, about, model, request, stream, request_hash } => {
                let request = if self.engine.options.capture_content { request } else { without_content(&request) };
                let hash = request_hash.clone();
                let kind = EventKind::ModelCallStarted {
                    call,
                    operation: Some(operation),
                    connection: about.connection.0.to_string(),
                    provider: about.provider.to_string(),
                    host: about.host.to_string(),
                    port: about.port,
                    model: model.to_string(),
                    request,
                    stream,
                    request_hash,
                };
                (OpenKind::Model { connection: about.connection, model, request_hash: hash }, kind)
            }
            StartedKind::Fetch { method, address, kept } => {
                self.ledger.tell_when_kept(kept);
                let method = method.to_string();
                let kind =
                    EventKind::FetchStarted { call, method, url: address.url, host: address.host, port: address.port };
                (OpenKind::Fetch, kind)
            }
        };
        let event = self.ledger.event(scope, Some(span), kind);
        let (now, unsent) = match open {
            OpenKind::Model { .. } => (None, Some(event)),
            OpenKind::Fetch => (Some(event), None),
        };
        if let Some(working) = self.nodes.get_mut(path) {
            let chunks = Chunks::default();
            let open =
                OpenCall { unsent, call, span, what: open, attempts: 1, is_kept: false, first_chunk: None, chunks };
            working.calls.push(open);
        }
        if let Some(event) = now {
            self.keep(path, event);
        }
    }

    /// Tells of a call's beginning, when something is sent for it or it ends.
    fn call_sent(&mut self, path: &NodePath, position: usize) {
        let open = self.nodes.get_mut(path).and_then(|working| working.calls.get_mut(position));
        if let Some(event) = open.and_then(|open| open.unsent.take()) {
            self.keep(path, event);
        }
    }

    /// Tells what was held back of a call's pieces.
    pub(super) fn mention_rest(&mut self, path: &NodePath, attempt: u32, call: &mut OpenCall) {
        let rest = call.chunks.rest();
        self.mention_chunk(path, attempt, call.span, rest);
    }

    fn mention_chunk(&mut self, path: &NodePath, attempt: u32, span: SpanRef, text: String) {
        if !text.is_empty() {
            let scope = Scope { path: path.clone(), attempt, ..Scope::default() };
            let event = self.ledger.event(scope, Some(span), EventKind::Chunk { text: text.into() });
            self.ledger.mention(event);
        }
    }

    /// Ends a call of which nobody will hear any more.
    pub(super) fn record_cancelled(&mut self, path: &NodePath, attempt: u32, call: &OpenCall) {
        match call.what {
            // It was never sent, and nobody was told of it.
            OpenKind::Model { .. } if call.unsent.is_some() => {}
            OpenKind::Model { .. } => self.record_model_end(path, attempt, call, CallEnd::Cancelled),
            OpenKind::Fetch => {
                let kind = EventKind::FetchFinished { call: call.call, end: FetchEnd::Cancelled };
                self.record_of_node(path, attempt, Some(call.span), kind);
            }
        }
    }

    fn record_model_end(&mut self, path: &NodePath, attempt: u32, call: &OpenCall, end: CallEnd) {
        let kind = EventKind::ModelCallFinished {
            call: call.call,
            cost: self.cost_of(call, &end),
            end,
            attempts: call.attempts,
            first_chunk_us: call.first_chunk.map(|after| u64::try_from(after.as_micros()).unwrap_or(u64::MAX)),
        };
        self.record_of_node(path, attempt, Some(call.span), kind);
    }

    fn cost_of(&self, call: &OpenCall, end: &CallEnd) -> Option<f64> {
        let OpenKind::Model { model, .. } = &call.what else { return None };
        let (served, usage) = match end {
            CallEnd::Replied { reply } => (&reply.model, reply.usage),
            // Vectors have no tokens: endpoints count those of the texts only.
            CallEnd::Embedded { reply } => {
                (&reply.model, Usage { output_tokens: reply.usage.output_tokens.or(Some(0)), ..reply.usage })
            }
            CallEnd::Failed { .. } | CallEnd::Cancelled => return None,
        };
        // What was kept is paid for.
        if call.is_kept { Some(0.0) } else { self.engine.prices.cost(model, served.as_deref(), &usage) }
    }

    pub(super) fn record_of_node(&mut self, path: &NodePath, attempt: u32, span: Option<SpanRef>, kind: EventKind) {
        let event = self.ledger.event(Scope { path: path.clone(), attempt, ..Scope::default() }, span, kind);
        self.keep(path, event);
    }

    /// Records an event of a node.
    fn keep(&mut self, path: &NodePath, event: Event) {
        // The end of a node is what others build upon, so progress hears of it only when the journal has it.
        let hold_back = matches!(event.kind, EventKind::NodeFinished { .. });
        if !hold_back {
            self.take(&event);
        }
        self.tally.hear(path, self.ledger.record(event, hold_back));
    }

    pub(super) fn record_of_run(&mut self, kind: EventKind) {
        let event = self.ledger.event(Scope::default(), Some(self.root), kind);
        self.take(&event);
        self.tally.hear(&NodePath::default(), self.ledger.record(event, false));
    }

    /// Records what progress hears of only when the journal has it, and what is recorded before.
    pub(super) fn record_of_run_held_back(&mut self, kind: EventKind) {
        let event = self.ledger.event(Scope::default(), Some(self.root), kind);
        self.tally.hear(&NodePath::default(), self.ledger.record(event, true));
    }

    /// Tells progress what happened. The engine only tells what progress asked for, so a refusal is its own defect.
    pub(super) fn take(&mut self, event: &Event) {
        if let Err(error) = self.progress.apply(event) {
            self.broken = Some(error.to_string());
        }
    }
}

/// Those of the request's parameters that say how to answer, not what is asked: spans tell temperature and limits though
/// prompts stay home. Whatever else an endpoint takes may hold content (`prediction`, `metadata`, `instructions`).
fn without_content(request: &Value) -> Value {
    const HOW: [&str; 24] = [
        "temperature",
        "top_p",
        "top_k",
        "n",
        "seed",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "presence_penalty",
        "frequency_penalty",
        "logprobs",
        "top_logprobs",
        "best_of",
        "echo",
        "reasoning_effort",
        "verbosity",
        "parallel_tool_calls",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "dimensions",
        "encoding_format",
        "input_type",
    ];
    let Some(map) = request.as_map() else { return Value::Null };
    map.iter()
        .filter(|(name, _)| HOW.contains(&&***name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect::<Map>()
        .into()
}
