//! Spans that have begun and not ended, found by their ids and by the line that they belong to.

use std::collections::BTreeMap;
use std::time::SystemTime;

use jiff::Timestamp;
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{
    Event as SpanEvent, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use sluicegate_events::{Event, Failure, RunId, SpanRef};

use crate::attributes::{Attributes, Content, exception};
use crate::names;

/// Which span: those of a line stand together, those of the run itself come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SpanKey {
    line: Option<u64>,
    repeat: u32,
    trace_id: u128,
    span_id: u64,
}

impl SpanKey {
    /// The span that an event names.
    pub(crate) fn of(event: &Event, span: SpanRef) -> Self {
        let scope = &event.scope;
        Self { line: scope.line, repeat: scope.repeat, trace_id: span.trace_id, span_id: span.span_id }
    }
}

/// The spans that have begun and not ended.
#[derive(Debug, Default)]
// Boxed: the tree moves its entries about, and a span is large.
pub(crate) struct OpenSpans(BTreeMap<SpanKey, Box<OpenSpan>>);

impl OpenSpans {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get_mut(&mut self, key: SpanKey) -> Option<&mut OpenSpan> {
        Some(self.0.get_mut(&key)?)
    }

    pub(crate) fn insert(&mut self, key: SpanKey, open: OpenSpan) {
        self.0.insert(key, Box::new(open));
    }

    pub(crate) fn remove(&mut self, key: SpanKey) -> Option<OpenSpan> {
        self.0.remove(&key).map(|open| *open)
    }

    /// The spans of a run itself and of nodes over all lines.
    pub(crate) fn of_no_line(&mut self) -> impl Iterator<Item = &mut OpenSpan> {
        self.0.iter_mut().take_while(|(key, _)| key.line.is_none()).map(|(_, open)| &mut **open)
    }

    /// Takes out the other spans of the run's line that `key` is in: those of an earlier beginning have another trace.
    pub(crate) fn remove_others_of_line(&mut self, run: &RunId, key: SpanKey) -> Vec<OpenSpan> {
        let first = SpanKey { trace_id: 0, span_id: 0, ..key };
        let line = first..=SpanKey { trace_id: u128::MAX, span_id: u64::MAX, ..key };
        let is_meant = |other: &SpanKey, open: &OpenSpan| *other != key && open.run == *run;
        let others: Vec<SpanKey> =
            self.0.range(line).filter(|(other, open)| is_meant(other, open)).map(|(other, _)| *other).collect();
        others.into_iter().filter_map(|other| self.remove(other)).collect()
    }

    /// Takes out the spans of a run, or of all runs, except for one.
    pub(crate) fn remove_all_of(&mut self, run: Option<&RunId>, except: Option<SpanKey>) -> Vec<OpenSpan> {
        let is_meant = |key: &SpanKey, open: &OpenSpan| Some(*key) != except && run.is_none_or(|run| open.run == *run);
        let left: Vec<SpanKey> = self.0.iter().filter(|(key, open)| is_meant(key, open)).map(|(key, _)| *key).collect();
        left.into_iter().filter_map(|key| self.remove(key)).collect()
    }
}

/// A span that has begun and not ended.
#[derive(Debug)]
pub(crate) struct OpenSpan {
    run: RunId,
    span: SpanRef,
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    start: Timestamp,
    /// The last event that belongs to it; where it ends if nobody ends it.
    pub(crate) last: Timestamp,
    pub(crate) attributes: Attributes,
    pub(crate) events: Vec<SpanEvent>,
    pub(crate) link: Option<Link>,
    pub(crate) status: Status,
}

impl OpenSpan {
    /// A span that begins with an event.
    pub(crate) fn new(event: &Event, span: SpanRef, name: String, kind: SpanKind, attributes: Attributes) -> Self {
        Self::at(event.at, event.run.clone(), span, name, kind, attributes)
    }

    /// A span that begins at a time.
    pub(crate) fn at(
        at: Timestamp,
        run: RunId,
        span: SpanRef,
        name: String,
        kind: SpanKind,
        attributes: Attributes,
    ) -> Self {
        Self {
            run,
            span,
            name,
            kind,
            start: at,
            last: at,
            attributes,
            events: Vec::new(),
            link: None,
            status: Status::Unset,
        }
    }

    pub(crate) fn fail(&mut self, at: Timestamp, content: Content, failure: &Failure) {
        self.attributes.set(names::ERROR_TYPE, failure.code.clone());
        self.status = Status::error(content.message_of(failure));
        self.events.push(SpanEvent::new(names::EXCEPTION, SystemTime::from(at), exception(content, failure), 0));
    }

    /// Ended by somebody's wish or a crash, not by a failure of its own.
    pub(crate) fn stop(&mut self, why: &'static str) {
        self.attributes.set(names::ERROR_TYPE, why);
        self.status = Status::error(why);
    }

    /// The span as it is told.
    pub(crate) fn end(self, at: Timestamp, scope: &InstrumentationScope) -> SpanData {
        let (mut events, mut links) = (SpanEvents::default(), SpanLinks::default());
        events.events = self.events;
        links.links.extend(self.link);
        SpanData {
            span_context: SpanContext::new(
                TraceId::from(self.span.trace_id),
                SpanId::from(self.span.span_id),
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            ),
            parent_span_id: self.span.parent_id.map_or(SpanId::INVALID, SpanId::from),
            parent_span_is_remote: false,
            span_kind: self.kind,
            name: self.name.into(),
            start_time: SystemTime::from(self.start),
            // A clock that was set back must not make a span end before it began.
            end_time: SystemTime::from(at.max(self.start)),
            attributes: self.attributes.0,
            dropped_attributes_count: 0,
            events,
            links,
            status: self.status,
            instrumentation_scope: scope.clone(),
        }
    }
}
