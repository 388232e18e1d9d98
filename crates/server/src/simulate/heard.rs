//! From a body to what the script looks at. Unknown fields are let be; what cannot be understood is told as the real
//! endpoints tell it.

use std::borrow::Cow;

use sluicegate_model::script::{Api, Asked, Failure};
use sluicegate_value::{Map, Value, json};

/// The most choices that a request may want.
const MOST_CHOICES: i64 = 128;

/// The most texts of a request for vectors.
const MOST_TEXTS: usize = 2048;

/// Reads a body.
pub(super) fn read(body: &[u8]) -> Result<Value, Failure> {
    let text = std::str::from_utf8(body).map_err(|error| malformed(&format!("the body is not UTF-8: {error}")))?;
    match json::read(text) {
        Ok(value @ Value::Map(_)) => Ok(value),
        Ok(_) => Err(malformed("the body must be a JSON object")),
        Err(error) => Err(malformed(&format!("the body is not JSON: {error}"))),
    }
}

/// A conversation of the chat API.
pub(super) fn chat<'a>(model: &'a str, body: &'a Map) -> Result<Asked<'a>, Failure> {
    let mut asked = Asked::new(Api::Chat, model, body);
    for message in messages(body, "messages")? {
        let (role, content) = spoken(message, "messages")?;
        let text = text(content.unwrap_or(&Value::Null), "messages")?;
        asked.hear(role, text);
    }
    Ok(asked)
}

/// A text to complete.
pub(super) fn completion<'a>(model: &'a str, body: &'a Map) -> Result<Asked<'a>, Failure> {
    let prompt = match body.get("prompt") {
        Some(Value::Str(text)) => &**text,
        Some(Value::List(items)) => match items.as_slice() {
            [Value::Str(text)] => text,
            _ => return Err(invalid("prompt", "`prompt` must be one text: several at once are not simulated")),
        },
        _ => return Err(missing("prompt")),
    };
    let mut asked = Asked::new(Api::Completions, model, body);
    asked.hear("user", Cow::Borrowed(prompt));
    Ok(asked)
}

/// The input of the responses API: a text, or a list of messages, tool calls and their outputs.
pub(super) fn response<'a>(model: &'a str, body: &'a Map) -> Result<Asked<'a>, Failure> {
    let mut asked = Asked::new(Api::Responses, model, body);
    if let Some(instructions) = body.get("instructions").and_then(Value::as_str) {
        asked.hear("system", Cow::Borrowed(instructions));
    }
    match body.get("input") {
        Some(Value::Str(text)) => asked.hear("user", Cow::Borrowed(text)),
        Some(Value::List(items)) if !items.is_empty() => {
            for item in items.iter() {
                match item.get("type").and_then(Value::as_str) {
                    Some("function_call_output" | "custom_tool_call_output") => {
                        asked.hear("tool", text(item.get("output").unwrap_or(&Value::Null), "input")?);
                    }
                    None | Some("message") => {
                        let (role, content) = spoken(item, "input")?;
                        asked.hear(role, text(content.unwrap_or(&Value::Null), "input")?);
                    }
                    // Calls, reasoning and references to them: what they say is no message.
                    Some(_) => {}
                }
            }
        }
        _ => return Err(missing("input")),
    }
    Ok(asked)
}

/// A conversation of Anthropic's messages.
pub(super) fn messages_of_anthropic<'a>(model: &'a str, body: &'a Map) -> Result<Asked<'a>, Failure> {
    let mut asked = Asked::new(Api::Messages, model, body);
    if let Some(system) = body.get("system").filter(|system| !system.is_null()) {
        asked.hear("system", text(system, "system")?);
    }
    for message in messages(body, "messages")? {
        let (role, content) = spoken(message, "messages")?;
        let content = content.ok_or_else(|| missing("messages"))?;
        let answers = content.as_list().unwrap_or_default().iter().filter(|block| is_tool_result(block));
        let answers: Vec<&Value> = answers.collect();
        let said = text(content, "messages")?;
        // A message that only brings what tools answered asks nothing new.
        if answers.is_empty() || !said.is_empty() {
            asked.hear(role, said);
        }
        for answer in answers {
            asked.hear("tool", text(answer.get("content").unwrap_or(&Value::Null), "messages")?);
        }
    }
    Ok(asked)
}

/// Texts that want vectors.
pub(super) struct Texts<'a> {
    pub(super) asked: Asked<'a>,
    pub(super) texts: Vec<Cow<'a, str>>,
    pub(super) dimensions: Option<u64>,
    pub(super) as_base64: bool,
}

/// The texts of a request for vectors: a text, a list of texts, a list of tokens, a list of lists of tokens.
pub(super) fn embeddings<'a>(model: &'a str, body: &'a Map) -> Result<Texts<'a>, Failure> {
    let wrong = || invalid("input", "`input` must be a text, a list of texts, or lists of tokens");
    let texts: Vec<Cow<'a, str>> = match body.get("input") {
        Some(Value::Str(text)) => vec![Cow::Borrowed(&**text)],
        Some(tokens @ Value::List(items)) if items.iter().all(|item| item.as_int().is_some()) && !items.is_empty() => {
            vec![token_text(tokens).ok_or_else(wrong)?]
        }
        Some(Value::List(items)) if (1..=MOST_TEXTS).contains(&items.len()) => {
            let texts = items.iter().map(|item| match item {
                Value::Str(text) => Some(Cow::Borrowed(&**text)),
                other => token_text(other),
            });
            texts.collect::<Option<_>>().ok_or_else(wrong)?
        }
        Some(Value::List(items)) if items.len() > MOST_TEXTS => {
            return Err(invalid("input", &format!("`input` has {} texts, and {MOST_TEXTS} is the most", items.len())));
        }
        None | Some(Value::Null) => return Err(missing("input")),
        Some(_) => return Err(wrong()),
    };
    let dimensions = match body.get("dimensions") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let number = value.as_int().and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0);
            Some(number.ok_or_else(|| invalid("dimensions", "`dimensions` must be a whole number above 0"))?)
        }
    };
    let as_base64 = match body.get("encoding_format").filter(|format| !format.is_null()).map(Value::as_str) {
        None | Some(Some("float")) => false,
        Some(Some("base64")) => true,
        Some(_) => return Err(invalid("encoding_format", "`encoding_format` must be `float` or `base64`")),
    };
    let mut asked = Asked::new(Api::Embeddings, model, body);
    let all = match texts.as_slice() {
        [only] => only.clone(),
        texts => Cow::Owned(texts.join("\n")),
    };
    asked.hear("user", all);
    Ok(Texts { asked, texts, dimensions, as_base64 })
}

/// Whether the reply shall come in pieces.
pub(super) fn streams(body: &Map) -> Result<bool, Failure> {
    match body.get("stream") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(streams)) => Ok(*streams),
        Some(_) => Err(invalid("stream", "`stream` must be `true` or `false`")),
    }
}

/// Whether a streamed reply shall end with its usage.
pub(super) fn includes_usage(body: &Map) -> bool {
    let included = body.get("stream_options").and_then(|options| options.get("include_usage"));
    included.and_then(Value::as_bool).unwrap_or_default()
}

/// How many choices a request wants.
pub(super) fn choices(body: &Map) -> Result<usize, Failure> {
    match body.get("n") {
        None | Some(Value::Null) => Ok(1),
        Some(Value::Int(number @ 1..=MOST_CHOICES)) => Ok(usize::try_from(*number).unwrap_or(1)),
        Some(_) => Err(invalid("n", "`n` must be a whole number from 1 to 128")),
    }
}

/// The most tokens that a reply may have, by whatever name.
pub(super) fn most_tokens(body: &Map) -> Option<u64> {
    let names = ["max_completion_tokens", "max_output_tokens", "max_tokens"];
    names.iter().find_map(|name| u64::try_from(body.get(name)?.as_int()?).ok())
}

fn messages<'a>(body: &'a Map, name: &str) -> Result<&'a [Value], Failure> {
    let messages = body.get(name).and_then(Value::as_list).filter(|messages| !messages.is_empty());
    messages.ok_or_else(|| match body.get(name) {
        None => missing(name),
        Some(_) => invalid(name, &format!("`{name}` must be a list with at least one message")),
    })
}

fn spoken<'a>(message: &'a Value, name: &str) -> Result<(&'a str, Option<&'a Value>), Failure> {
    match message.get("role").and_then(Value::as_str) {
        Some(role) => Ok((role, message.get("content"))),
        None => Err(invalid(name, &format!("each of `{name}` must have a `role`"))),
    }
}

/// What a content says: a text, or the texts among its parts.
fn text<'a>(content: &'a Value, name: &str) -> Result<Cow<'a, str>, Failure> {
    match content {
        Value::Str(text) => Ok(Cow::Borrowed(text)),
        Value::Null => Ok(Cow::Borrowed("")),
        Value::List(parts) => {
            let texts = parts.iter().filter(|part| !is_tool_result(part));
            let texts = texts.filter_map(|part| part.as_str().or_else(|| part.get("text")?.as_str()));
            let texts: Vec<&str> = texts.collect();
            Ok(match texts.as_slice() {
                [only] => Cow::Borrowed(only),
                texts => Cow::Owned(texts.join("\n")),
            })
        }
        _ => Err(invalid(name, &format!("a content in `{name}` must be a text or a list of parts"))),
    }
}

fn is_tool_result(block: &Value) -> bool {
    block.get("type").and_then(Value::as_str) == Some("tool_result")
}

/// Tokens stand for words here: what they are words of only their tokenizer knows.
fn token_text(tokens: &Value) -> Option<Cow<'static, str>> {
    let tokens: Vec<String> =
        tokens.as_list()?.iter().map(|token| Some(token.as_int()?.to_string())).collect::<Option<_>>()?;
    Some(Cow::Owned(tokens.join(" ")))
}

fn missing(name: &str) -> Failure {
    let failure = Failure::new(400, format!("Missing required parameter: '{name}'."));
    Failure { code: Some("missing_required_parameter".into()), parameter: Some(name.into()), ..failure }
}

fn invalid(name: &str, message: &str) -> Failure {
    Failure { parameter: Some(name.into()), ..Failure::new(400, message) }
}

fn malformed(message: &str) -> Failure {
    Failure::new(400, message)
}
