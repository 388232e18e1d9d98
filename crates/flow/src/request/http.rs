//! What an `http` node calls, and what it makes of the answer.

use std::fmt::Write as _;
use std::sync::Arc;

use sluicegate_model::{FetchReply, FetchRequest};
use sluicegate_value::{Blob, Map, Value, json};

use super::RequestError;
use crate::plan::{HttpBody, HttpNode, JsonTemplate};
use crate::template::leaf::environment_binding;
use crate::template::{Binding, Nonce, RenderError, Template};

/// Why an `http` node's call cannot be made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HttpError {
    /// One of its templates failed.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// What came out is no request.
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// Fills in an `http` node's call. `inputs` are the node's.
///
/// The address is percent-encoded where it must be, and what `query` says is added to its query: a list as one pair for
/// each item, `null` not at all. A body of `json` is sent as `application/json`, unless a header says another type.
///
/// # Errors
/// A template that fails, an address that is none, a header with a line break, and a value that is no JSON.
pub fn http_request(node: &HttpNode, inputs: &[Binding], nonce: Nonce) -> Result<FetchRequest, HttpError> {
    let environment: Map = node
        .variables
        .iter()
        .map(|variable| (variable.name.clone(), Value::from(variable.value.clone().unwrap_or_default())))
        .collect();
    let fill = Fill {
        texts: inputs.iter().cloned().chain([environment_binding(environment)]).collect(),
        values: inputs.iter().map(|input| (input.name.clone(), input.value.clone())).collect(),
        nonce,
    };
    let mut pairs = Vec::new();
    for (name, template) in &node.query {
        query_pairs(name, &fill.value(template)?, &mut pairs)?;
    }
    let url = address(&fill.text(&node.url)?, &pairs)?;
    let mut headers: Vec<(Arc<str>, Arc<str>)> = Vec::with_capacity(node.headers.len() + 1);
    for (name, template) in &node.headers {
        let value = fill.text(template)?;
        let value = value.trim();
        if value.contains(|letter: char| letter.is_control() && letter != '\t') {
            return Err(refused(format!("header `{name}` holds a line break")).into());
        }
        headers.push((name.clone(), value.into()));
    }
    let body = match &node.body {
        None => None,
        Some(HttpBody::Text(template)) => Some(Arc::from(fill.text(template)?.as_bytes())),
        Some(HttpBody::Json(template)) => {
            let value = fill.value(template)?;
            if !is_json(&value) {
                return Err(refused("`json` holds a number that JSON cannot spell: `nan` or `inf`".to_owned()).into());
            }
            if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                headers.push(("content-type".into(), "application/json".into()));
            }
            Some(Arc::from(value.to_json().as_bytes()))
        }
    };
    Ok(FetchRequest {
        method: node.method.clone(),
        url: url.into(),
        headers,
        body,
        timeout: None,
        redirects: node.redirects,
        max_size: node.max_size,
    })
}

/// The output of an `http` node: `{status, url, headers, json, body}`.
///
/// `headers` has names in lower case, repeated ones joined by `, `. `json` is what a JSON body holds, else `null`.
/// `body` is its text; the bytes of an image, of a sound, of anything that is no text are a blob of their type, which
/// an `llm` node can show to a model if it is an image.
#[must_use]
pub fn http_output(reply: &FetchReply) -> Value {
    let mut headers = Map::new();
    for (name, value) in &reply.headers {
        let name = name.to_ascii_lowercase();
        let joined: Arc<str> = match headers.get(&name).and_then(Value::as_str) {
            Some(before) => format!("{before}, {value}").into(),
            None => value.clone(),
        };
        headers.insert(name, joined);
    }
    let kind = ContentType::of(headers.get("content-type").and_then(Value::as_str).unwrap_or_default());
    let body = match kind.text(&reply.body) {
        Some(text) => Value::from(text),
        None => Value::Blob(Arc::new(Blob::from_bytes(kind.essence.clone(), reply.body.as_slice()))),
    };
    let text = body.as_str().unwrap_or_default();
    let says_nothing = kind.essence.is_empty() && text.trim_start().starts_with(['{', '[']);
    let json = if kind.is_json() || says_nothing { json::read(text).unwrap_or_default() } else { Value::Null };
    Map::from([
        ("status", Value::Int(i64::from(reply.status))),
        ("url", reply.url.clone().into()),
        ("headers", headers.into()),
        ("json", json),
        ("body", body),
    ])
    .into()
}

/// What templates are filled in with.
struct Fill {
    texts: Vec<Binding>,
    values: Vec<(Arc<str>, Value)>,
    nonce: Nonce,
}

impl Fill {
    fn text(&self, template: &Template) -> Result<Arc<str>, RenderError> {
        template.render(&self.texts, self.nonce).map(|rendered| rendered.text)
    }

    fn value(&self, template: &JsonTemplate) -> Result<Value, RenderError> {
        Ok(match template {
            JsonTemplate::Text(template) => self.text(template)?.into(),
            JsonTemplate::Value(expression) => expression.eval(&self.values)?,
            JsonTemplate::List(items) => {
                items.iter().map(|item| self.value(item)).collect::<Result<Vec<_>, _>>()?.into()
            }
            JsonTemplate::Map(entries) => entries
                .iter()
                .map(|(key, value)| Ok((key.clone(), self.value(value)?)))
                .collect::<Result<Map, RenderError>>()?
                .into(),
            JsonTemplate::Literal(value) => value.clone(),
        })
    }
}

/// The pairs that a value adds to a query.
fn query_pairs<'n>(name: &'n str, value: &Value, pairs: &mut Vec<(&'n str, String)>) -> Result<(), RequestError> {
    match value {
        Value::Null => {}
        Value::Str(text) => pairs.push((name, text.to_string())),
        Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) => pairs.push((name, value.to_json())),
        Value::List(items) => {
            for item in items.iter() {
                if matches!(item, Value::List(_)) {
                    return Err(refused(format!("query `{name}` is a list of lists")));
                }
                query_pairs(name, item, pairs)?;
            }
        }
        Value::Map(_) | Value::Blob(_) | Value::Handle(_) => {
            let kind = value.type_name();
            return Err(refused(format!("query `{name}` must be text, a number or a list of them, not {kind}")));
        }
    }
    Ok(())
}

/// The address as it is called, with more pairs in its query.
fn address(written: &str, pairs: &[(&str, String)]) -> Result<String, RequestError> {
    let written = written.trim();
    // Who reads the address would drop the former and take the latter for a `/`: the host would be another one.
    if written.contains(|letter: char| letter.is_control() || letter == '\\') {
        let message = "the address holds a line break, a control character or a backslash: what comes from data wants \
                       `| urlencode`";
        return Err(refused(message.to_owned()));
    }
    let no_address = || refused("the address does not begin with `http://` or `https://` and a host".to_owned());
    let (scheme, rest) = written.split_once("://").ok_or_else(no_address)?;
    if !["http", "https"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return Err(no_address());
    }
    let (host, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if host.is_empty() || host.contains(' ') {
        return Err(no_address());
    }
    let (path, fragment) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
    let mut url = format!("{scheme}://{host}");
    encode(path, is_of_address, &mut url);
    let mut joiner = match path.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    for (name, value) in pairs {
        url.push_str(joiner);
        encode(name, is_unreserved, &mut url);
        url.push('=');
        encode(value, is_unreserved, &mut url);
        joiner = "&";
    }
    encode(fragment, is_of_address, &mut url);
    Ok(url)
}

/// Percent-encodes every byte that may not stay as it is.
fn encode(text: &str, stays: fn(u8) -> bool, out: &mut String) {
    for byte in text.bytes() {
        if stays(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// RFC 3986's unreserved characters: all that a name or a value of a query holds as they are.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// What an address may hold, `%` included: what is encoded already stays so.
fn is_of_address(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"<>^`{|}".contains(&byte)
}

fn is_json(value: &Value) -> bool {
    match value {
        Value::Float(number) => number.is_finite(),
        Value::List(items) => items.iter().all(is_json),
        Value::Map(map) => map.values().all(is_json),
        _ => true,
    }
}

fn refused(message: String) -> RequestError {
    RequestError { class: "ToolValidationError", message }
}

/// What `content-type` says.
struct ContentType {
    /// `application/json`, in lower case; empty if nothing is said.
    essence: Arc<str>,
    charset: String,
}

impl ContentType {
    fn of(written: &str) -> Self {
        let mut parts = written.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase().into();
        let charset = parts
            .find_map(|part| part.split_once('=').filter(|(key, _)| key.trim().eq_ignore_ascii_case("charset")))
            .map(|(_, value)| value.trim().trim_matches('"').to_ascii_lowercase())
            .unwrap_or_default();
        Self { essence, charset }
    }

    fn is_json(&self) -> bool {
        matches!(&*self.essence, "application/json" | "text/json") || self.essence.ends_with("+json")
    }

    /// Types whose bytes are no text, even where they happen to be UTF-8.
    fn is_binary(&self) -> bool {
        let (family, kind) = self.essence.split_once('/').unwrap_or_default();
        match family {
            "image" => !kind.ends_with("+xml"),
            "audio" | "video" | "font" => true,
            "application" => matches!(kind, "octet-stream" | "pdf" | "zip" | "gzip" | "wasm"),
            _ => false,
        }
    }

    /// The bytes as text, without a byte order mark; `None` if they are none.
    fn text(&self, bytes: &[u8]) -> Option<String> {
        if bytes.is_empty() {
            return Some(String::new());
        }
        if self.is_binary() {
            return None;
        }
        if matches!(&*self.charset, "iso-8859-1" | "latin1" | "us-ascii") {
            return Some(bytes.iter().map(|byte| char::from(*byte)).collect());
        }
        let text = std::str::from_utf8(bytes).ok()?;
        Some(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &str, pairs: &[(&str, &str)], expected: &str) {
        let pairs: Vec<(&str, String)> = pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let found = address(written, &pairs).unwrap_or_else(|error| error.message);
        assert_eq!(found, expected, "{written}");
    }

    #[test]
    fn pairs_are_added_to_the_query() {
        check("https://a.b", &[], "https://a.b");
        check("https://a.b/c", &[("q", "x y"), ("r", "1")], "https://a.b/c?q=x%20y&r=1");
        check("https://a.b?z=1#top", &[("q", "&=+#?/")], "https://a.b?z=1&q=%26%3D%2B%23%3F%2F#top");
        check("https://a.b/c?", &[("é k", "ü")], "https://a.b/c?%C3%A9%20k=%C3%BC");
        check("https://a.b/c?x&", &[("q", "-._~")], "https://a.b/c?x&q=-._~");
        check("https://a.b", &[("q", "")], "https://a.b?q=");
    }

    #[test]
    fn what_an_address_cannot_hold_is_encoded_and_what_is_encoded_stays() {
        check(" https://a.b/c d/é?q={x}|%20\n", &[], "https://a.b/c%20d/%C3%A9?q=%7Bx%7D%7C%20");
        check("HTTP://user@a.b:81/;,:@!$'()*", &[], "HTTP://user@a.b:81/;,:@!$'()*");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let no_address = "the address does not begin with `http://` or `https://` and a host";
        for written in ["", "a.b", "ftp://a.b", "https://", "https:///x", "file:///etc/passwd", "http://a b/"] {
            check(written, &[], no_address);
        }
        for written in ["https://good.test\\@evil.test/", "https://a.b/x\ny", "https://a\t.b"] {
            assert!(address(written, &[]).unwrap_err().message.contains("urlencode"), "{written:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn pairs_come_back_from_the_query(name in ".{1,8}", value in ".{0,12}") {
            let url = address("https://a.b/", &[(&name, value.clone())]).unwrap();
            let query = url.strip_prefix("https://a.b/?").unwrap();
            let (found_name, found_value) = query.split_once('=').unwrap();
            proptest::prop_assert!(query.is_ascii() && !query.contains(['&', '#', '?', '+', ' ']));
            proptest::prop_assert_eq!(decoded(found_name), name);
            proptest::prop_assert_eq!(decoded(found_value), value);
        }
    }

    fn decoded(text: &str) -> String {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'%' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other,
            });
        }
        String::from_utf8(bytes).unwrap()
    }
}
