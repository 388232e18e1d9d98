//! What goes out: a flow's request, and what becomes of it at a redirect.

use std::sync::Arc;

use reqwest::header::{
    ACCEPT, ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    USER_AGENT,
};
use reqwest::{Method, StatusCode, Url};
use sluicegate_model::{CallContext, FetchRequest, ModelError};

use super::{forbidden, shown};

/// One request, ready to be sent.
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Arc<[u8]>>,
}

/// Headers that belong to the connection (RFC 9110, 7.6.1) or are made from the request itself: written by hand they
/// lead a request past the checks, or two servers to read it differently.
const OURS: [&str; 11] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "proxy-authorization",
    "proxy-connection",
];

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

impl Outgoing {
    /// Reads what a flow wants to send.
    pub(super) fn read(request: &FetchRequest, context: &CallContext) -> Result<Self, ModelError> {
        let url = parse(&request.url, None)?;
        let method = Method::from_bytes(request.method.trim().to_ascii_uppercase().as_bytes());
        let method =
            method.ok().filter(|method| ![Method::CONNECT, Method::TRACE].contains(method)).ok_or_else(|| {
                forbidden(
                    &url,
                    format!("`{}` is no method for a flow; take GET, POST, PUT, PATCH, DELETE …", request.method),
                )
            })?;
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let header = HeaderName::from_bytes(name.trim().as_bytes())
                .map_err(|_| forbidden(&url, format!("`{}` is no header's name", name.escape_debug())))?;
            if OURS.contains(&header.as_str()) {
                let message = format!("the header `{name}` is made with each request and cannot be set by a flow");
                return Err(forbidden(&url, message));
            }
            // The value is not shown: it may be a key.
            let mut value = HeaderValue::from_str(value.trim()).map_err(|_| {
                forbidden(&url, format!("the value of the header `{name}` has characters that no header can hold"))
            })?;
            value.set_sensitive(true);
            headers.append(header, value);
        }
        if let Some(trace) = &context.trace
            && !headers.contains_key(&TRACEPARENT)
            && let Ok(value) = HeaderValue::from_str(&trace.traceparent())
        {
            headers.insert(TRACEPARENT, value);
        }
        Ok(Self { method, url, headers, body: request.body.clone() })
    }

    /// The request that a redirect asks for (RFC 9110, 15.4).
    pub(super) fn redirected(self, status: StatusCode, target: &str) -> Result<Self, ModelError> {
        let from = &self.url;
        let url = parse(target, Some(from))?;
        if from.scheme() == "https" && url.scheme() == "http" {
            let message = format!("{} redirects to it, from https to http, where everybody can read it", shown(from));
            return Err(forbidden(&url, message));
        }
        let Self { mut method, mut headers, mut body, .. } = self;
        let becomes_get = match status.as_u16() {
            303 => method != Method::HEAD,
            301 | 302 => method == Method::POST,
            _ => false,
        };
        if becomes_get {
            method = Method::GET;
            body = None;
            for about_the_body in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE] {
                headers.remove(about_the_body);
            }
        }
        if url.origin() != self.url.origin() {
            // Any of a flow's headers may be a key, and it was meant for the host that the flow named.
            let harmless = [ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, CONTENT_ENCODING, USER_AGENT, TRACEPARENT];
            headers =
                harmless.into_iter().filter_map(|name| Some((name.clone(), headers.get(&name)?.clone()))).collect();
        }
        Ok(Self { method, url, headers, body })
    }
}

/// Reads an address: of a flow, or where `from` redirects to.
fn parse(text: &str, from: Option<&Url>) -> Result<Url, ModelError> {
    let wrong = |message: String| match from {
        None => ModelError::Forbidden { url: unread(text), message },
        Some(from) => forbidden(from, format!("it redirects to {}, and {message}", unread(text))),
    };
    let parsed = from.map_or_else(|| Url::parse(text.trim()), |from| from.join(text.trim()));
    let mut url = parsed.map_err(|error| wrong(format!("that is no address: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("only addresses that begin with https:// or http:// are called".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("an address must not hold a user or password; they belong into a header".to_owned()));
    }
    url.set_fragment(None);
    Ok(url)
}

/// An address that was not understood, without what may be a secret in it.
fn unread(text: &str) -> String {
    let text = text.trim().split(['?', '#']).next().unwrap_or_default();
    let text = match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, behind))) => format!("{scheme}://{behind}"),
        (None, Some((_, behind))) => behind.to_owned(),
        _ => text.to_owned(),
    };
    let short: String = text.chars().filter(|letter| !letter.is_control()).take(200).collect();
    if short.is_empty() { "an empty address".to_owned() } else { short }
}
