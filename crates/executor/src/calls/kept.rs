//! Replies that are kept from one run to the next: what is asked is looked for on the cassette, then in the cache, and a
//! reply that was paid for goes to both.

use std::sync::Arc;

use sluicegate_events::{CallEnd, Event, EventKind, RunId, Scope};
use sluicegate_model::{Asked, ChatReply, EmbeddingReply, KeptReply, ModelError, ReplyKeeper};
use sluicegate_value::Value;

use super::Calls;
use crate::engine::{Engine, LineKey};

/// Where replies are kept from one run to the next.
#[derive(Clone, Default)]
pub struct KeptReplies {
    /// A cassette that is recorded or replayed: all calls of all nodes.
    pub cassette: Option<Arc<dyn ReplyKeeper>>,
    /// The cache.
    pub cache: Option<Cache>,
}

/// The cache, and who uses it.
#[derive(Clone)]
pub struct Cache {
    /// Where replies are.
    pub keeper: Arc<dyn ReplyKeeper>,
    /// Whether all nodes use it but those with `cache: false`; else only those with `cache: true`.
    pub of_all_nodes: bool,
}

/// The keepers of one call, and what it is called there.
pub(super) struct Keepers<'a> {
    asked: Asked,
    engine: &'a Engine,
    cassette: Option<&'a dyn ReplyKeeper>,
    cache: Option<&'a dyn ReplyKeeper>,
}

/// Where a reply was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FoundIn {
    Cassette,
    Cache,
}

impl FoundIn {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Cassette => "cassette",
            Self::Cache => "cache",
        }
    }
}

impl<'a> Keepers<'a> {
    /// The keepers of a call; `None` if there are none. `asked` makes what they know it by, its place apart.
    pub(super) fn of(calls: &Calls<'a>, call: u32, with_cache: bool, asked: impl FnOnce() -> Asked) -> Option<Self> {
        let engine = calls.engine;
        let cassette = engine.kept.cassette.as_deref();
        let wanted = |cache: &&Cache| with_cache && calls.cache.unwrap_or(cache.of_all_nodes);
        let cache = engine.kept.cache.as_ref().filter(wanted).map(|cache| &*cache.keeper);
        if cassette.is_none() && cache.is_none() {
            return None;
        }
        let LineKey { line, repeat } = calls.line;
        let asked = asked();
        let body = masked(engine, &asked.body);
        let asked = Asked { line, repeat, node: calls.path.to_string().into(), call, body, ..asked };
        Some(Self { asked, engine, cassette, cache })
    }

    pub(super) fn find(&self) -> Result<Option<(KeptReply, FoundIn)>, ModelError> {
        if let Some(found) = self.cassette.map(|cassette| cassette.find(&self.asked)).transpose()?.flatten() {
            return Ok(Some((found, FoundIn::Cassette)));
        }
        let found = self.cache.map(|cache| cache.find(&self.asked)).transpose()?.flatten();
        // What is in the cache belongs on a cassette that is being recorded.
        if let (Some(found), Some(cassette)) = (&found, self.cassette) {
            cassette.keep(&self.asked, found);
        }
        Ok(found.map(|found| (found, FoundIn::Cache)))
    }

    pub(super) fn keep(&self, reply: KeptReply) {
        let (reply, redacted) = masked_reply(self.engine, reply);
        if let Some(cassette) = self.cassette {
            cassette.keep(&self.asked, &reply);
        }
        // What was taken out would be missing from the next run, which has not asked for that.
        if let (Some(cache), false) = (self.cache, redacted) {
            cache.keep(&self.asked, &reply);
        }
    }
}

/// A value without its secrets.
fn masked(engine: &Engine, value: &Value) -> Value {
    let kind = EventKind::EventReceived { name: String::new(), data: value.clone() };
    match rewritten(engine, kind).0 {
        EventKind::EventReceived { data, .. } => data,
        _ => Value::Null,
    }
}

/// A text without its secrets.
pub(super) fn masked_text(engine: &Engine, text: &str) -> String {
    (engine.redact.rewrite)(text).unwrap_or_else(|| text.to_owned())
}

/// A reply without its secrets, and whether it had any.
fn masked_reply(engine: &Engine, reply: KeptReply) -> (KeptReply, bool) {
    let end = match reply {
        KeptReply::Chat(reply) => CallEnd::Replied { reply },
        KeptReply::Embedding(reply) => CallEnd::Embedded { reply },
        KeptReply::Fetch(mut reply) => {
            let Ok(text) = std::str::from_utf8(&reply.body) else { return (KeptReply::Fetch(reply), false) };
            let new = (engine.redact.rewrite)(text);
            let redacted = new.is_some();
            if let Some(new) = new {
                reply.body = new.into_bytes();
            }
            for (_, value) in &mut reply.headers {
                *value = masked_text(engine, value).into();
            }
            return (KeptReply::Fetch(reply), redacted);
        }
    };
    let kind = EventKind::ModelCallFinished { call: 0, end, attempts: 0, first_chunk_us: None, cost: None };
    match rewritten(engine, kind) {
        (EventKind::ModelCallFinished { end: CallEnd::Replied { reply }, .. }, redacted) => {
            (KeptReply::Chat(reply), redacted)
        }
        (EventKind::ModelCallFinished { end: CallEnd::Embedded { reply }, .. }, redacted) => {
            (KeptReply::Embedding(reply), redacted)
        }
        // No other comes back.
        _ => (KeptReply::Chat(Box::new(ChatReply::of_text(String::new()))), true),
    }
}

/// One rule for what holds secrets: that of events.
fn rewritten(engine: &Engine, kind: EventKind) -> (EventKind, bool) {
    let (run, scope) = (RunId("".into()), Scope::default());
    let mut event = Event { seq: 0, at: jiff::Timestamp::UNIX_EPOCH, run, scope, trace: None, redacted: false, kind };
    let redacted = event.rewrite_texts(&mut |text| (engine.redact.rewrite)(text));
    (event.kind, redacted)
}

/// A kept reply as the kind that was asked for.
pub(super) fn chat_reply(found: KeptReply) -> Result<ChatReply, ModelError> {
    match found {
        KeptReply::Chat(reply) => Ok(*reply),
        KeptReply::Embedding(_) | KeptReply::Fetch(_) => Err(other_kind()),
    }
}

/// A kept reply as the kind that was asked for.
pub(super) fn embedding_reply(found: KeptReply) -> Result<EmbeddingReply, ModelError> {
    match found {
        KeptReply::Embedding(reply) => Ok(*reply),
        KeptReply::Chat(_) | KeptReply::Fetch(_) => Err(other_kind()),
    }
}

/// What is kept under the hash of a request answers another kind of request.
pub(super) fn other_kind() -> ModelError {
    ModelError::Malformed { message: "the kept reply answers another kind of request".to_owned() }
}
