//! Who hears what a node's code says, and answers what it asks.

use std::sync::Arc;

use sluicegate_events as events;
use sluicegate_events::{Failure, SpanRef};
use sluicegate_model::BoxFuture;
use sluicegate_python::{Argument, Ask, Host, HostError, Stream};
use sluicegate_value::{Map, Value};

use super::answers;
use super::fields::{Fields, span_id};
use super::side::{PythonSide, Workplace};
use crate::calls::{Calls, SaidKind};

/// The host of one attempt of a node. Several questions may be open at once.
pub(crate) struct NodeHost<'a> {
    pub(super) side: &'a Arc<PythonSide>,
    pub(super) calls: &'a Calls<'a>,
    pub(super) workplace: &'a Workplace,
    /// Whether `log_metric` counts: in aggregation nodes only.
    pub(super) counts_metrics: bool,
}

impl<'a> NodeHost<'a> {
    pub(crate) fn new(
        side: &'a Arc<PythonSide>,
        calls: &'a Calls<'a>,
        workplace: &'a Workplace,
        counts_metrics: bool,
    ) -> Self {
        Self { side, calls, workplace, counts_metrics }
    }
}

impl Host for NodeHost<'_> {
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Argument, HostError>> {
        Box::pin(answers::answer(self, ask))
    }

    fn said(&self, stream: Stream, text: &str) {
        let stream = match stream {
            Stream::Stdout => events::Stream::Stdout,
            Stream::Stderr => events::Stream::Stderr,
        };
        self.calls.tell(SaidKind::Printed(stream, text.to_owned()));
    }

    fn chunk(&self, text: &str) {
        if self.calls.engine.options.stream {
            self.calls.tell(SaidKind::Piece(text.to_owned()));
        }
    }

    fn span(&self, note: &Map) {
        let fields = Fields(note);
        let Some(id) = fields.get("span").and_then(span_id) else { return };
        let attributes = fields.map("attributes");
        if fields.text("phase").as_deref() == Some("begin") {
            let parent = fields.get("parent").and_then(span_id);
            let span = SpanRef { span_id: id, ..self.calls.new_span(parent) };
            let text = |name: &str| fields.text(name).map(|text| text.to_string()).unwrap_or_default();
            let (name, span_type) = (text("name"), text("span_type"));
            let inputs = fields.get("inputs").cloned().unwrap_or_default();
            self.calls.tell(SaidKind::SpanStarted { span, name, span_type, inputs, attributes });
        } else {
            let failure = fields.get("error").map(|error| {
                let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
                Failure::new("python", format!("({}) {}", text("type"), text("message")))
            });
            let output = fields.get("output").cloned().unwrap_or_default();
            self.calls.tell(SaidKind::SpanFinished { span_id: id, output, failure, attributes });
        }
    }

    fn metric(&self, key: &str, value: &Value) {
        if self.counts_metrics {
            self.calls.tell(SaidKind::Metric(key.to_owned(), value.clone()));
        }
    }
}

/// The host while tools are loaded: no node runs, so nothing can be asked of models.
pub(super) struct LoadHost<'a> {
    pub(super) side: &'a PythonSide,
}

impl Host for LoadHost<'_> {
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Argument, HostError>> {
        Box::pin(async move { answers::answer_while_loading(self.side, &ask) })
    }

    fn said(&self, _: Stream, text: &str) {
        self.side.world().said(text);
    }
}
