//! What is done with a request: an answer, a cut, nothing.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use serde::Serialize;

use super::frames::Frames;

/// What is done with a request, and when.
pub(super) struct Decision {
    pub(super) delay: Duration,
    pub(super) chunk_delay: Duration,
    pub(super) cut_after: Option<usize>,
    pub(super) act: Act,
}

pub(super) enum Act {
    Answer(Answer),
    Reset,
    Hang,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) content_type: &'static str,
    pub(super) said: Said,
}

pub(super) enum Said {
    Whole(Vec<u8>),
    Events(Frames),
}

impl Decision {
    pub(super) fn at_once(answer: Answer) -> Self {
        Self { delay: Duration::ZERO, chunk_delay: Duration::ZERO, cut_after: None, act: Act::Answer(answer) }
    }
}

impl Answer {
    /// A JSON body.
    pub(super) fn json(status: u16, body: &impl Serialize) -> Self {
        Self::of(status, Said::json(body))
    }

    pub(super) fn of(status: u16, said: Said) -> Self {
        let content_type = match said {
            Said::Whole(_) => "application/json",
            Said::Events(_) => "text/event-stream; charset=utf-8",
        };
        Self { status, headers: Vec::new(), content_type, said }
    }

    /// The same answer with one more header, unless its value cannot stand in one.
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (HeaderName::from_static(name), value)));
        self
    }
}

impl Said {
    pub(super) fn json(body: &impl Serialize) -> Self {
        // Our own types have text keys and never refuse.
        Self::Whole(serde_json::to_vec(body).unwrap_or_default())
    }
}
