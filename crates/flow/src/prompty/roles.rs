//! A rendered prompty of version 2 as messages: role lines with attributes, and conversations put back in.

use std::sync::{Arc, LazyLock};

use regex::Regex;
use sluicegate_model::{Content, Message, Part};
use sluicegate_value::{Blob, Map, Value};

use crate::messages::{Heading, ImageLines, MessagesError, headings, strip};
use crate::template::{Binding, Rendered};

use super::{PromptyFile, bind};

const ROLES: [&str; 6] = ["system", "user", "assistant", "developer", "function", "tool"];

/// What a conversation prints as: the nonce of the render, then the input's name.
static PLACEHOLDER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"__PROMPTY_THREAD_([0-9a-f]{8,32})_([A-Za-z_][A-Za-z0-9_]*?)__").ok());

/// Cuts a rendered text into messages. Text before the first role line is the system's.
pub(super) fn messages(
    prompty: &PromptyFile,
    rendered: &Rendered,
    inputs: &[Binding],
) -> Result<Vec<Message>, MessagesError> {
    let text = &*rendered.text;
    let images = ImageLines::of(&rendered.images);
    let threads = Threads::of(prompty, text, inputs);
    let sections: Vec<(RoleLine, Heading<'_>)> =
        headings(rendered).filter_map(|heading| Some((role_line(&heading)?, heading))).collect();
    let mut messages = Vec::new();
    let first = sections.first().map_or(text.len(), |(_, heading)| heading.start);
    let before = text.get(..first).unwrap_or("");
    if !strip(before).is_empty() {
        let system = RoleLine { role: "system", attributes: Map::new() };
        section(&system, before, &images, &threads, &mut messages)?;
    }
    for (index, (line, heading)) in sections.iter().enumerate() {
        let end = sections.get(index + 1).map_or(text.len(), |(_, next)| next.start);
        section(line, text.get(heading.end..end).unwrap_or(""), &images, &threads, &mut messages)?;
    }
    Ok(messages)
}

/// A role and what stands in brackets behind it.
struct RoleLine {
    role: &'static str,
    attributes: Map,
}

fn role_line(heading: &Heading<'_>) -> Option<RoleLine> {
    if heading.hashes > 1 {
        return None;
    }
    let (word, attributes) = match heading.word.strip_suffix(']').and_then(|open| open.split_once('[')) {
        Some((word, attributes)) => (strip(word), self::attributes(attributes)?),
        None => (heading.word, Map::new()),
    };
    let role = ROLES.iter().copied().find(|role| role.eq_ignore_ascii_case(word))?;
    Some(RoleLine { role, attributes })
}

/// `name="Alice", id=7`: quoted text, numbers, booleans, words. `None` if it is anything else.
fn attributes(written: &str) -> Option<Map> {
    let mut attributes = Map::new();
    let mut rest = strip(written);
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let key = strip(key);
        if key.is_empty() || !key.chars().all(|letter| letter.is_alphanumeric() || letter == '_') {
            return None;
        }
        let after = strip(after);
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, after) = quoted.split_once('"')?;
                (Value::from(value), strip(after))
            }
            None => {
                let (word, after) = after.split_at(after.find(',').unwrap_or(after.len()));
                (plain(strip(word)), after)
            }
        };
        attributes.insert(key, value);
        rest = match after.strip_prefix(',') {
            Some(more) => strip(more),
            None if after.is_empty() => "",
            None => return None,
        };
    }
    Some(attributes)
}

fn plain(word: &str) -> Value {
    match word {
        "true" => true.into(),
        "false" => false.into(),
        _ => word
            .parse::<i64>()
            .map(Value::from)
            .or_else(|_| match word.bytes().next() {
                Some(b'0'..=b'9' | b'-' | b'.') => word.parse::<f64>().map(Value::from).map_err(|_| ()),
                _ => Err(()),
            })
            .unwrap_or_else(|()| word.into()),
    }
}

/// One section: its text, and the turns of each conversation that it prints, where it prints it.
fn section(
    line: &RoleLine,
    body: &str,
    images: &ImageLines,
    threads: &Threads<'_>,
    messages: &mut Vec<Message>,
) -> Result<(), MessagesError> {
    let mut copied = 0;
    let mut has_thread = false;
    for (start, end, turns) in threads.within(body) {
        has_thread = true;
        let text = body.get(copied..start).unwrap_or("");
        if !strip(text).is_empty() {
            messages.push(message(line, text, images));
        }
        for turn in turns {
            messages.push(turn_message(turn)?);
        }
        copied = end;
    }
    let rest = body.get(copied..).unwrap_or("");
    if !has_thread || !strip(rest).is_empty() {
        messages.push(message(line, rest, images));
    }
    Ok(())
}

fn message(line: &RoleLine, text: &str, images: &ImageLines) -> Message {
    let text = text.trim_matches(['\n', '\r']);
    let attribute = |key: &str| line.attributes.get(key).map(|value| Arc::from(sluicegate_value::python::str(value)));
    Message {
        content: Some(content(text, images)),
        name: attribute("name"),
        tool_call_id: attribute("tool_call_id"),
        ..Message::text(line.role, "")
    }
}

/// One text, or images and the texts between them.
fn content(text: &str, images: &ImageLines) -> Content {
    let mut parts = Vec::new();
    let mut between: Vec<&str> = Vec::new();
    let mut has_image = false;
    let flush = |between: &mut Vec<&str>, parts: &mut Vec<Part>| {
        let text = between.join("\n");
        let text = text.trim_matches(['\n', '\r']);
        if !strip(text).is_empty() {
            parts.push(Part::Text(text.into()));
        }
        between.clear();
    };
    if !images.is_empty() {
        for line in text.split('\n') {
            match images.part(line) {
                Some(image) => {
                    flush(&mut between, &mut parts);
                    parts.push(image);
                    has_image = true;
                }
                None => between.push(line),
            }
        }
        flush(&mut between, &mut parts);
    }
    if has_image { Content::Parts(parts) } else { Content::Text(text.into()) }
}

/// The conversations that a text prints.
struct Threads<'a> {
    /// Each with its placeholder.
    turns: Vec<(String, &'a [Value])>,
}

impl<'a> Threads<'a> {
    /// Only what the template printed counts. The nonce is drawn for each render, so a placeholder that stands in an
    /// input was not made by it; and all that were have the same nonce, so that what was pieced together from several
    /// inputs cannot count beside them.
    fn of(prompty: &PromptyFile, text: &str, inputs: &'a [Binding]) -> Self {
        let mut turns: Vec<(String, &[Value])> = Vec::new();
        let mut nonces: Vec<&str> = Vec::new();
        let Some(placeholder) = PLACEHOLDER.as_ref().filter(|_| text.contains("__PROMPTY_THREAD_")) else {
            return Self { turns };
        };
        for found in placeholder.captures_iter(text) {
            let (whole, [nonce, name]) = found.extract();
            let declared = |input: &super::PromptyInput| {
                *input.name == *name && bind::is_thread(prompty.version, input.kind.as_deref())
            };
            let Some(input) = inputs.iter().find(|input| *input.name == *name) else { continue };
            if !prompty.inputs.iter().any(declared) || inputs.iter().any(|input| holds(&input.value, nonce)) {
                continue;
            }
            if !nonces.contains(&nonce) {
                nonces.push(nonce);
            }
            if !turns.iter().any(|(known, _)| known == whole) {
                let list = input.value.get("messages").unwrap_or(&input.value).as_list().unwrap_or_default();
                turns.push((whole.to_owned(), list));
            }
        }
        if nonces.len() > 1 {
            turns.clear();
        }
        Self { turns }
    }

    /// Start, end and turns of each conversation in a text, in order.
    fn within(&self, text: &str) -> Vec<(usize, usize, &'a [Value])> {
        let mut places: Vec<_> = self
            .turns
            .iter()
            .flat_map(|(placeholder, turns)| {
                text.match_indices(placeholder.as_str()).map(|(at, _)| (at, at + placeholder.len(), *turns))
            })
            .collect();
        places.sort_by_key(|(start, ..)| *start);
        places
    }
}

fn holds(value: &Value, nonce: &str) -> bool {
    match value {
        Value::Str(text) => text.contains(nonce),
        Value::List(items) => items.iter().any(|item| holds(item, nonce)),
        Value::Map(map) => map.iter().any(|(key, item)| key.contains(nonce) || holds(item, nonce)),
        _ => false,
    }
}

/// A turn of a conversation: `{role, content}`, its content a text or a list of parts.
fn turn_message(turn: &Value) -> Result<Message, MessagesError> {
    let wrong = |message: String| MessagesError { class: "InvalidThreadError", message };
    let role = turn.get("role").and_then(Value::as_str);
    let role = role.and_then(|role| ROLES.iter().copied().find(|known| known.eq_ignore_ascii_case(role)));
    let Some(role) = role else {
        let found = turn.get("role").map_or_else(|| "none".to_owned(), sluicegate_value::python::repr);
        return Err(wrong(format!("a turn of a conversation needs a role of {}; it has {found}", ROLES.join(", "))));
    };
    let text = |key: &str| turn.get(key).and_then(Value::as_str).map(Arc::from);
    let content = match turn.get("content") {
        None | Some(Value::Null) => None,
        Some(Value::Str(text)) => Some(Content::Text(text.clone())),
        Some(Value::List(parts)) => Some(parts_content(parts)),
        Some(other) => {
            return Err(wrong(format!("the content of a turn must be text or parts, not {}", other.type_name())));
        }
    };
    Ok(Message {
        content,
        name: text("name"),
        tool_call_id: text("tool_call_id"),
        tool_calls: turn.get("tool_calls").filter(|calls| !calls.is_null()).cloned(),
        ..Message::text(role, "")
    })
}

fn parts_content(parts: &[Value]) -> Content {
    let mut parts: Vec<Part> = parts.iter().map(part).collect();
    match parts.as_slice() {
        [] => Content::Text("".into()),
        [Part::Text(_)] => match parts.pop() {
            Some(Part::Text(text)) => Content::Text(text),
            _ => Content::Parts(parts),
        },
        _ => Content::Parts(parts),
    }
}

fn part(value: &Value) -> Part {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    match (text("kind").or_else(|| text("type")), text("value").or_else(|| text("text")).or_else(|| text("source"))) {
        _ if value.as_str().is_some() => Part::Text(value.as_str().unwrap_or("").into()),
        (Some("text"), Some(said)) => Part::Text(said.into()),
        (Some("image"), Some(source)) => {
            let mime = text("mediaType").unwrap_or("image/*");
            let image = match source.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
                Some((mime, content)) => Blob::from_base64(mime, content).ok(),
                None if source.starts_with("http") => Some(Blob::from_url(mime, source)),
                None => Blob::from_base64(mime, source).ok(),
            };
            match image {
                Some(image) => Part::Image { image: Arc::new(image), detail: text("detail").unwrap_or("auto").into() },
                // The endpoint may know what to make of it.
                None => Part::Other(of_type("image_url", Map::from([("url", source)]))),
            }
        }
        (Some("audio"), Some(source)) => {
            let (mime, data) = source
                .strip_prefix("data:")
                .and_then(|rest| rest.split_once(";base64,"))
                .unwrap_or((text("mediaType").unwrap_or("audio/wav"), source));
            Part::Other(of_type("input_audio", Map::from([("data", data), ("format", audio_format(mime))])))
        }
        _ => Part::Other(value.clone()),
    }
}

/// A part as the chat API spells it.
fn of_type(kind: &str, content: Map) -> Value {
    Map::from([("type", Value::from(kind)), (kind, content.into())]).into()
}

/// The API's word for a media type: `mp3` for `audio/mpeg`.
fn audio_format(mime: &str) -> &str {
    match mime.strip_prefix("audio/").unwrap_or(mime) {
        "mpeg" => "mp3",
        "x-wav" | "wave" | "vnd.wave" => "wav",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_attributes(written: &str, expected: Option<&str>) {
        assert_eq!(attributes(written).map(|map| Value::from(map).to_json()).as_deref(), expected, "{written}");
    }

    #[test]
    fn attributes_are_texts_numbers_booleans_and_words() {
        check_attributes("", Some("{}"));
        check_attributes("name=\"Al, ice\"", Some(r#"{"name":"Al, ice"}"#));
        check_attributes(" name = Bob , id=7,x=1.5,y=true,", Some(r#"{"name":"Bob","id":7,"x":1.5,"y":true}"#));
        for text in ["name", "=x", "na me=x", "name=\"x\"y", "name=\"x"] {
            check_attributes(text, None);
        }
    }
}
