//! A reply as it stands on a cassette: short, for people, and alike from one recording to the next.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize};
use sluicegate_model::{ChatReply, EmbeddingReply, FetchReply, Filter, KeptReply, Usage};
use sluicegate_value::{Map, Value};

/// Fields of a reply's body that are new in every reply. They stay, with a value that says nothing: whoever looks for
/// them finds them.
const NEW_EACH_TIME: [&str; 7] =
    ["id", "created", "created_at", "completed_at", "system_fingerprint", "request_id", "_request_id"];

/// Headers that are new in every answer, or say how long it took.
const HEADERS_LEFT_OUT: [&str; 14] = [
    "age",
    "apim-request-id",
    "cf-ray",
    "date",
    "openai-processing-ms",
    "report-to",
    "server-timing",
    "set-cookie",
    "traceparent",
    "x-envoy-upstream-service-time",
    "x-ms-client-request-id",
    "x-ms-request-id",
    "x-request-id",
    "x-response-time",
];

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReplyForm {
    Chat(ChatForm),
    Embedding(EmbeddingReply),
    Fetch(FetchForm),
}

/// What can be found in the body is not said twice.
#[derive(Serialize, Deserialize)]
pub(super) struct ChatForm {
    /// Absent: the message's content.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    text: Option<Option<Arc<str>>>,
    /// Absent: that of the body's first choice.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    message: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finish_reason: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<Arc<str>>,
    usage: Usage,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filter: Option<Filter>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refusal: Option<Arc<str>>,
    body: Value,
}

#[derive(Serialize, Deserialize)]
pub(super) struct FetchForm {
    status: u16,
    url: Arc<str>,
    headers: Vec<(Arc<str>, Arc<str>)>,
    /// The body, if it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The body, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

/// What is there is `Some`, also when it is `null`.
fn there<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl ReplyForm {
    pub(super) fn of(reply: &KeptReply) -> Result<Self, String> {
        Ok(match reply {
            KeptReply::Chat(reply) => Self::Chat(ChatForm::of(reply)?),
            KeptReply::Embedding(reply) => Self::Embedding((**reply).clone()),
            KeptReply::Fetch(reply) => Self::Fetch(FetchForm::of(reply)),
        })
    }

    pub(super) fn into_reply(self) -> Result<KeptReply, String> {
        Ok(match self {
            Self::Chat(form) => KeptReply::Chat(Box::new(form.into_reply())),
            Self::Embedding(reply) => KeptReply::Embedding(Box::new(reply)),
            Self::Fetch(form) => KeptReply::Fetch(Box::new(form.into_reply()?)),
        })
    }
}

impl ChatForm {
    fn of(reply: &ChatReply) -> Result<Self, String> {
        let json = |value: &Value| serde_json::to_string(value).map_err(|error| error.to_string());
        // Word for word, in the same order: equal maps may be written in several.
        let message = match message_in(&reply.body) {
            Some(message) if json(message)? == json(&reply.message)? => None,
            _ => Some(reply.message.clone()),
        };
        let text = (reply.text != text_in(&reply.message)).then(|| reply.text.clone());
        Ok(Self {
            text,
            message,
            finish_reason: reply.finish_reason.clone(),
            model: reply.model.clone(),
            usage: reply.usage,
            filter: reply.filter.clone(),
            refusal: reply.refusal.clone(),
            body: alike(&reply.body),
        })
    }

    fn into_reply(self) -> ChatReply {
        let message = self.message.or_else(|| message_in(&self.body).cloned()).unwrap_or_default();
        ChatReply {
            text: self.text.unwrap_or_else(|| text_in(&message)),
            message,
            finish_reason: self.finish_reason,
            model: self.model,
            id: None,
            usage: self.usage,
            filter: self.filter,
            refusal: self.refusal,
            body: self.body,
        }
    }
}

fn message_in(body: &Value) -> Option<&Value> {
    body.get("choices")?.as_list()?.first()?.get("message")
}

fn text_in(message: &Value) -> Option<Arc<str>> {
    match message.get("content") {
        Some(Value::Str(text)) => Some(Arc::clone(text)),
        _ => None,
    }
}

fn alike(body: &Value) -> Value {
    let Some(fields) = body.as_map() else { return body.clone() };
    let alike = fields.iter().map(|(name, value)| {
        let value = match value {
            Value::Str(_) if NEW_EACH_TIME.contains(&&**name) => Value::from("recorded"),
            Value::Int(_) | Value::Float(_) if NEW_EACH_TIME.contains(&&**name) => Value::from(0i64),
            value => value.clone(),
        };
        (Arc::clone(name), value)
    });
    alike.collect::<Map>().into()
}

impl FetchForm {
    fn of(reply: &FetchReply) -> Self {
        let is_alike = |name: &str| !HEADERS_LEFT_OUT.contains(&name) && !name.starts_with("x-ratelimit-");
        let (text, base64) = match std::str::from_utf8(&reply.body) {
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(STANDARD.encode(&reply.body))),
        };
        Self {
            status: reply.status,
            url: Arc::clone(&reply.url),
            headers: reply.headers.iter().filter(|(name, _)| is_alike(name)).cloned().collect(),
            text,
            base64,
        }
    }

    fn into_reply(self) -> Result<FetchReply, String> {
        let body = match (self.text, self.base64) {
            (Some(text), _) => text.into_bytes(),
            (None, Some(base64)) => STANDARD.decode(base64).map_err(|error| format!("its base64: {error}"))?,
            (None, None) => Vec::new(),
        };
        Ok(FetchReply { status: self.status, url: self.url, headers: self.headers, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: &KeptReply) -> String {
        serde_json::to_string(&ReplyForm::of(reply).unwrap()).unwrap()
    }

    fn read(text: &str) -> KeptReply {
        serde_json::from_str::<ReplyForm>(text).unwrap().into_reply().unwrap()
    }

    fn chat(content: Value, text: Option<&str>) -> ChatReply {
        let message = Value::from(Map::from([("role", Value::from("assistant")), ("content", content)]));
        let choice = Value::from(Map::from([("index", Value::from(0i64)), ("message", message.clone())]));
        let body = Map::from([
            ("id", Value::from("chatcmpl-7")),
            ("created", Value::from(1_700_000_000i64)),
            ("choices", Value::from(vec![choice])),
        ]);
        let id = Some("chatcmpl-7".into());
        ChatReply { text: text.map(Into::into), message, id, body: body.into(), ..ChatReply::of_text("") }
    }

    /// Writes a chat reply and expects it back but for what is new each time.
    fn check_comes_back(reply: ChatReply) -> String {
        let text = written(&KeptReply::Chat(Box::new(reply.clone())));
        let expected = ChatReply { id: None, body: alike(&reply.body), ..reply };
        assert_eq!(read(&text), KeptReply::Chat(Box::new(expected)));
        text
    }

    #[test]
    fn a_chat_reply_says_its_text_once_and_nothing_that_is_new_each_time() {
        let text = check_comes_back(chat("Alice, Bob".into(), Some("Alice, Bob")));
        assert_eq!(
            text,
            r#"{"chat":{"finish_reason":"stop","usage":{"input_tokens":null,"output_tokens":null,"#.to_owned()
                + r#""cached_input_tokens":null,"reasoning_tokens":null},"body":{"id":"recorded","created":0,"#
                + r#""choices":[{"index":0,"message":{"role":"assistant","content":"Alice, Bob"}}]}}}"#
        );
    }

    #[test]
    fn a_chat_reply_in_another_form_comes_back_as_it_was() {
        check_comes_back(chat(Value::Null, None));
        check_comes_back(chat(Value::Null, Some("from elsewhere")));
        check_comes_back(chat("text".into(), None));
        check_comes_back(ChatReply::of_text("no body"));
        check_comes_back(ChatReply { message: Value::Null, ..chat("a".into(), None) });
    }

    #[test]
    fn an_answer_is_text_where_it_can_be_and_keeps_no_dates() {
        let check = |body: &[u8], expected: &str| {
            let headers = vec![("date".into(), "today".into()), ("content-type".into(), "text/plain".into())];
            let reply = FetchReply { status: 200, url: "https://a.test/".into(), headers, body: body.to_vec() };
            let text = written(&KeptReply::Fetch(Box::new(reply.clone())));
            assert!(text.contains(expected) && !text.contains("today"), "{text}");
            let headers = reply.headers[1..].to_vec();
            assert_eq!(read(&text), KeptReply::Fetch(Box::new(FetchReply { headers, ..reply })));
        };
        check("grüße".as_bytes(), r#""text":"grüße""#);
        check(&[0xff, 0], r#""base64":"/wA=""#);
        check(b"", r#""text":"""#);
    }
}
