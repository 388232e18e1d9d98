//! What a mock has seen.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde_json::{Value, json};

use crate::failure::Failure;

/// Counters that connections share.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicU64,
    requests: AtomicU64,
    pub(crate) refused: AtomicU64,
    in_flight: AtomicU64,
    most_in_flight: AtomicU64,
    pub(crate) other: AtomicU64,
    trace_requests: AtomicU64,
    trace_bytes: AtomicU64,
    spans: AtomicU64,
}

impl Counters {
    /// Counts a chat request that has arrived; gives its number, from 1.
    pub(crate) fn begin(&self) -> u64 {
        let in_flight = self.in_flight.fetch_add(1, Relaxed) + 1;
        self.most_in_flight.fetch_max(in_flight, Relaxed);
        self.requests.fetch_add(1, Relaxed) + 1
    }

    /// Its answer is on its way, or its client is gone.
    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    pub(crate) fn traces(&self, bytes: usize, spans: u64) {
        self.trace_requests.fetch_add(1, Relaxed);
        self.trace_bytes.fetch_add(bytes as u64, Relaxed);
        self.spans.fetch_add(spans, Relaxed);
    }

    pub(crate) fn read(&self) -> Counts {
        Counts {
            requests: self.requests.load(Relaxed),
            refused: self.refused.load(Relaxed),
            connections: self.connections.load(Relaxed),
            most_in_flight: self.most_in_flight.load(Relaxed),
            other: self.other.load(Relaxed),
            trace_requests: self.trace_requests.load(Relaxed),
            trace_bytes: self.trace_bytes.load(Relaxed),
            spans: self.spans.load(Relaxed),
        }
    }
}

/// What a mock has seen, as it says at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Chat requests, those that were refused included.
    pub(crate) requests: u64,
    /// Chat requests that were answered 429.
    pub(crate) refused: u64,
    pub(crate) connections: u64,
    /// The most chat requests that waited for their answer at once.
    pub(crate) most_in_flight: u64,
    /// Requests for anything else, and what was no request.
    pub(crate) other: u64,
    pub(crate) trace_requests: u64,
    pub(crate) trace_bytes: u64,
    /// Spans received; those of compressed requests are not counted.
    pub(crate) spans: u64,
}

impl Counts {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "requests": self.requests,
            "refused": self.refused,
            "connections": self.connections,
            "most_in_flight": self.most_in_flight,
            "other": self.other,
            "trace_requests": self.trace_requests,
            "trace_bytes": self.trace_bytes,
            "spans": self.spans,
        })
    }

    /// Reads what [`Self::to_json`] wrote.
    pub(crate) fn from_json(text: &str) -> Result<Self, Failure> {
        let read: Value = serde_json::from_str(text).map_err(Failure::while_doing("the mock's counts"))?;
        let count = |name: &str| {
            read.get(name)
                .and_then(Value::as_u64)
                .ok_or_else(|| Failure::new(format_args!("the mock counted no `{name}`")))
        };
        Ok(Self {
            requests: count("requests")?,
            refused: count("refused")?,
            connections: count("connections")?,
            most_in_flight: count("most_in_flight")?,
            other: count("other")?,
            trace_requests: count("trace_requests")?,
            trace_bytes: count("trace_bytes")?,
            spans: count("spans")?,
        })
    }
}
