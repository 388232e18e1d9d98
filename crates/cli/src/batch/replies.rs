//! Which replies of a batch were kept ones: nobody was asked for those, and nothing is paid.

use sluicegate_events::{CallEnd, EventKind};
use sluicegate_value::Value;

/// How many model calls of this process were answered, and from where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Replies {
    /// All of them; an endpoint's refusal is one.
    all: u64,
    cache: u64,
    cassette: u64,
}

impl Replies {
    /// Counts an event.
    pub(crate) fn hear(&mut self, kind: &EventKind) {
        match kind {
            EventKind::ModelCallFinished { end: CallEnd::Cancelled, .. } => {}
            EventKind::ModelCallFinished { .. } => self.all += 1,
            EventKind::ReplyFound { by, .. } if by == "cassette" => self.cassette += 1,
            EventKind::ReplyFound { .. } => self.cache += 1,
            _ => {}
        }
    }

    /// In words, of each place from which some came.
    pub(crate) fn words(&self) -> impl Iterator<Item = String> {
        let all = self.all;
        let places = [(self.cache, "the cache"), (self.cassette, "the cassette")];
        places.into_iter().filter(|(count, _)| *count > 0).map(move |(count, place)| match count == all {
            true => format!("all {all} replies from {place}"),
            false => format!("{count} of {all} replies from {place}"),
        })
    }

    /// As entries of a JSON object.
    pub(crate) fn values(&self) -> [(std::sync::Arc<str>, Value); 3] {
        [
            ("replies".into(), Value::from(self.all)),
            ("replies_from_cache".into(), Value::from(self.cache)),
            ("replies_from_cassette".into(), Value::from(self.cassette)),
        ]
    }
}
