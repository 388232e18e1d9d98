//! One attempt over HTTP: addresses, headers, timeouts, and reading what comes back.

mod describe;
mod exchange;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Response, StatusCode};
use sluicegate_config::{Connection, Timeouts};
use sluicegate_model::{About, ChatReply, ConnectionName, ModelError, Phase};
use sluicegate_value::json;
use tokio::time::timeout;

use crate::ask::{Answer, Ask};
use crate::authorization::Shown;
use crate::client::{Clients, OnTheWay};
use crate::endpoint::{Endpoint, Gateway};
use crate::failure::{self, Asked, Said};
use crate::identity::Identity;
use crate::network_error::{Between, Caller, NetworkError, root_cause};
use crate::sse;
use crate::transport::{Attempt, Transport};
use crate::wire::{Assemble, Brought, Wire, Writing};
pub use describe::Described;
pub(crate) use exchange::{Received, Sending};

/// The largest reply that is read, after decompression: room for many images, and an end to a runaway endpoint.
const MAX_REPLY: usize = 64 << 20;

/// How much of an error's body is read.
const MAX_ERROR: usize = 1 << 20;

/// How long a stream may at least be silent between two pieces: a model that reasons says nothing for minutes.
const SILENCE: Duration = Duration::from_secs(300);

/// Reaches one provider.
pub(crate) struct Http {
    connection: ConnectionName,
    endpoint: Endpoint,
    gateway: Gateway,
    settings: sluicegate_config::Gateway,
    clients: Arc<Clients>,
    timeouts: Timeouts,
}

impl Http {
    pub(crate) fn new(connection: &Connection, clients: Arc<Clients>) -> Result<Self, ModelError> {
        let name = ConnectionName(connection.name.clone());
        let settings = connection.gateway.clone();
        let mut endpoint = Endpoint::of(connection, &clients)?.behind(&name, &settings)?;
        endpoint.authorization = endpoint.authorization.trusting(settings.ca_file.as_deref());
        let http = Self {
            endpoint,
            gateway: Gateway::new(&name, &settings)?,
            connection: name,
            settings,
            clients,
            timeouts: connection.timeouts.clone(),
        };
        http.check_secrecy()?;
        Ok(http)
    }

    /// A token opens more than this one door: it does not travel where others can read it.
    fn check_secrecy(&self) -> Result<(), ModelError> {
        let address = &self.endpoint.address;
        if self.identity().is_none() || address.scheme() == "https" || address.is_this_machine() {
            return Ok(());
        }
        Err(self.misconfigured(format!(
            "its identity's token must not be sent to {}, where everybody on the way can read it; write `https://`, or \
             give it a key in place of `auth: entra`",
            self.origin()
        )))
    }

    pub(crate) fn about(&self) -> About {
        About {
            connection: self.connection.clone(),
            provider: self.endpoint.provider.into(),
            host: self.endpoint.address.host().into(),
            port: self.endpoint.address.port(),
        }
    }

    /// By whose token it is used, if by one.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.endpoint.authorization.identity()
    }

    /// How long to wait for an answer's first byte. What is not streamed begins when it is complete, which takes a model
    /// that reasons as long as it takes: unless `first_byte` was set, only the whole call's time counts.
    fn until_first_byte(&self, ask: &Ask<'_>) -> Duration {
        let Timeouts { first_byte, total, .. } = self.timeouts;
        let is_set = first_byte != Timeouts::default().first_byte;
        if ask.stream() || is_set { first_byte } else { first_byte.max(total) }
    }

    /// An answer that something is not there says where it was looked for: a prefix too many is seen at once then. Of the
    /// query only names are shown, and the version.
    fn with_address(&self, error: ModelError, wire: Wire, ask: &Ask<'_>) -> ModelError {
        let asked = || {
            let mut url = self.endpoint.address.url(wire, ask.model());
            let shown = |(name, value): (Cow<'_, str>, Cow<'_, str>)| match &*name {
                "api-version" => format!("{name}={value}"),
                _ => format!("{name}=…"),
            };
            let query = url.query_pairs().map(shown).collect::<Vec<_>>().join("&");
            url.set_query(None);
            let query = if query.is_empty() { query } else { format!("?{query}") };
            format!("(asked for POST {url}{query})")
        };
        match error {
            ModelError::Rejected { status: status @ (404 | 405), message, parameter } => {
                ModelError::Rejected { status, message: format!("{message} {}", asked()), parameter }
            }
            other => other,
        }
    }

    async fn post(
        &self,
        ask: &Ask<'_>,
        wire: Wire,
        shown: &Shown,
        attempt: &Attempt<'_>,
    ) -> Result<Response, ModelError> {
        let writing = Writing { connection: &self.connection.0, stream_usage: self.clients.options.stream_usage };
        let body = wire.body(ask, writing)?;
        let url = self.endpoint.address.url(wire, ask.model());
        let client = self.clients.get_for(&url, self.timeouts.connect, &self.settings);
        let client = client.map_err(|message| self.misconfigured(message))?;
        let mut headers = self.endpoint.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(self.gateway.authorized(shown));
        if self.endpoint.tells_caller && !ask.called_from().is_empty() {
            let caller = HeaderValue::from_str(ask.called_from());
            headers
                .extend(caller.map(|caller| (HeaderName::from_static("ms-azure-ai-promptflow-called-from"), caller)));
        }
        if let Some(trace) = &attempt.context.trace {
            let trace = HeaderValue::from_str(&trace.traceparent());
            headers.extend(trace.map(|trace| (HeaderName::from_static("traceparent"), trace)));
        }
        self.gateway.cover(&mut headers);
        let limit = self.until_first_byte(ask);
        match timeout(limit, client.post(url).headers(headers).body(body).send()).await {
            Ok(sent) => sent.map_err(|error| self.network(&error, "")),
            Err(_) => Err(ModelError::TimedOut { phase: Phase::FirstByte, after: limit }),
        }
    }

    async fn whole(
        &self,
        mut response: Response,
        ask: &Ask<'_>,
        wire: Wire,
        asked: &Asked<'_>,
        token: Option<&str>,
    ) -> Result<Answer, ModelError> {
        let kind = content_type(&response);
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(bytes)) => body.extend_from_slice(&bytes),
                Ok(None) => break,
                Err(error) => return Err(self.network(&error, "the connection broke in the middle of the reply: ")),
            }
            if body.len() > MAX_REPLY {
                return Err(too_large());
            }
        }
        let malformed = |message: String| ModelError::Malformed { message: asked.hide(&message) };
        let text = std::str::from_utf8(&body).map_err(|_| malformed(format!("it is not UTF-8 text ({kind})")))?;
        let text = without(token, text);
        let body = json::read(&text).map_err(|error| {
            let page = failure::page(&asked.hide(&text));
            malformed(format!("it is no JSON ({error}; {kind}): {page}"))
        })?;
        if body.get("error").is_some_and(|error| !error.is_null()) && !wire.is_answer(&body) {
            return match ask {
                Ask::Chat(_) => asked.reply_or_error(&body, None).map(|reply| Answer::Chat(Box::new(reply))),
                Ask::Embedding(_) => Err(asked.error_in_body(&body)),
            };
        }
        wire.read(ask, body).map_err(|error| hidden(error, asked))
    }

    async fn streamed(
        &self,
        mut response: Response,
        wire: Wire,
        asked: &Asked<'_>,
        token: Option<&str>,
        attempt: Option<&Attempt<'_>>,
    ) -> Result<ChatReply, ModelError> {
        let mut reader = sse::Reader::default();
        let mut assembler = wire.assembler();
        let mut size = 0;
        // An error that may be a content filter's result: what there is of the reply then counts.
        let mut error = None;
        let mut take = |assembler: &mut dyn Assemble, data: &[u8]| match assembler.push(&without_token(token, data))? {
            Brought::Text(text) => {
                if let Some(attempt) = attempt {
                    attempt.pass_on(&text);
                }
                Ok(false)
            }
            Brought::Other => Ok(false),
            Brought::Done => Ok(true),
            Brought::Error(body) => {
                error = Some(body);
                Ok(true)
            }
        };
        let silence = self.timeouts.first_byte.max(SILENCE);
        let broken = loop {
            let bytes = match timeout(silence, response.chunk()).await {
                Ok(Ok(Some(bytes))) => bytes,
                Ok(Ok(None)) => break None,
                Ok(Err(error)) => break Some(root_cause(&error)),
                Err(_) => break Some(format!("nothing more came for {silence:?}")),
            };
            size += bytes.len();
            if size > MAX_REPLY {
                return Err(too_large());
            }
            let mut done = false;
            for data in reader.push(&bytes) {
                done = take(assembler.as_mut(), &data).map_err(|error| hidden(error, asked))?;
                if done {
                    // Whatever stands behind the end is nobody's business.
                    break;
                }
            }
            if done {
                // Reading to the very end lets the connection be used again; nothing of interest follows.
                let _ = timeout(Duration::from_millis(50), async { while let Ok(Some(_)) = response.chunk().await {} })
                    .await;
                if let Some(error) = error {
                    return asked.reply_or_error(&error, assembler.finish().ok());
                }
                return assembler.finish().map_err(|error| hidden(error, asked));
            }
        };
        if broken.is_none()
            && let Some(data) = reader.finish()
        {
            // Half an event is no better than none; the check below tells what that means.
            let _ = take(assembler.as_mut(), &data);
        }
        if assembler.is_complete() {
            return assembler.finish().map_err(|error| hidden(error, asked));
        }
        let seen = assembler.seen();
        let why = broken.unwrap_or_else(|| "the stream ended without an end mark".to_owned());
        let passed_on = attempt.is_some_and(Attempt::passed_on);
        Err(hidden(ModelError::StreamBroken { message: format!("{seen}: {why}"), passed_on }, asked))
    }

    /// What a failure of the network means.
    fn network(&self, error: &reqwest::Error, prefix: &str) -> ModelError {
        let origin = self.origin();
        let proxy = self.proxy();
        match self.between(&origin, proxy.as_ref()).explain(error) {
            NetworkError::ConnectTimedOut => {
                ModelError::TimedOut { phase: Phase::Connect, after: self.timeouts.connect }
            }
            NetworkError::Wrong(message) => self.misconfigured(message),
            NetworkError::Undecodable(message) => ModelError::Malformed { message },
            NetworkError::Forbidden(message) => ModelError::Forbidden { url: origin, message },
            NetworkError::Unreachable(message) => {
                ModelError::Unreachable { endpoint: origin, message: format!("{prefix}{message}") }
            }
        }
    }

    fn between<'a>(&'a self, origin: &'a str, proxy: Option<&'a OnTheWay>) -> Between<'a> {
        let client_certificate = self.settings.client_certificate.as_ref().map(|files| files.certificate.as_path());
        Between { origin, proxy, client_certificate, caller: Caller::Connection }
    }

    fn proxy(&self) -> Option<OnTheWay> {
        self.clients.proxy_to(self.endpoint.address.scheme(), self.endpoint.address.host())
    }

    fn misconfigured(&self, message: String) -> ModelError {
        ModelError::Misconfigured { connection: self.connection.to_string(), message }
    }

    fn origin(&self) -> String {
        self.endpoint.address.origin()
    }
}

impl Transport for Arc<Http> {
    async fn send(&self, ask: &Ask<'_>, attempt: &Attempt<'_>) -> Result<Answer, ModelError> {
        let wire = self.endpoint.wire(&self.connection, ask)?;
        loop {
            let shown = self.endpoint.authorization.show().await?;
            let secrets = self.gateway.secrets(&shown);
            let asked = Asked { connection: &self.connection.0, model: ask.model(), secrets: &secrets };
            let mut response = self.post(ask, wire, &shown, attempt).await?;
            attempt.hear(response.headers());
            if !response.status().is_success() {
                let proxy = self.proxy();
                if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED && proxy.is_some() {
                    let origin = self.origin();
                    return Err(self.misconfigured(self.between(&origin, proxy.as_ref()).proxy_wants_password()));
                }
                // A token may have been taken back before its time; the next one is asked for once.
                if response.status() == StatusCode::UNAUTHORIZED && self.endpoint.authorization.refused(&shown) {
                    continue;
                }
                let mut body = Vec::new();
                // What the error says matters less than its status: a broken or slow body is read as far as it comes.
                while let Ok(Ok(Some(bytes))) = timeout(Duration::from_secs(5), response.chunk()).await
                    && body.len() < MAX_ERROR
                {
                    body.extend_from_slice(&bytes);
                }
                let said = Said { status: response.status().as_u16(), headers: response.headers(), body: &body };
                return asked
                    .answer_or_error(&said, ask)
                    .map_err(|error| self.with_address(self.endpoint.authorization.explain(error), wire, ask));
            }
            if content_type(&response).starts_with("text/event-stream") {
                let listener = ask.stream().then_some(attempt);
                let reply = self.streamed(response, wire, &asked, shown.token(), listener).await?;
                return Ok(Answer::Chat(Box::new(reply)));
            }
            let answer = self.whole(response, ask, wire, &asked, shown.token()).await?;
            // Some servers answer in one piece whatever they are asked; whoever listens wants the text all the same.
            if let (true, Answer::Chat(reply)) = (ask.stream(), &answer)
                && let Some(text) = &reply.text
            {
                attempt.pass_on(text);
            }
            return Ok(answer);
        }
    }
}

fn content_type(response: &Response) -> String {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.map_or_else(|| "no content type".to_owned(), str::to_ascii_lowercase)
}

fn too_large() -> ModelError {
    ModelError::Malformed { message: format!("it is larger than {} MiB", MAX_REPLY >> 20) }
}

/// A reply without the token by which it was asked for: some endpoints repeat a request's headers, and whoever takes
/// secrets out of what is recorded knows only those of the settings.
fn without<'t>(token: Option<&str>, text: &'t str) -> Cow<'t, str> {
    match token {
        Some(token) if !token.is_empty() && text.contains(token) => Cow::Owned(text.replace(token, "***")),
        _ => Cow::Borrowed(text),
    }
}

fn without_token<'t>(token: Option<&str>, data: &'t [u8]) -> Cow<'t, [u8]> {
    match std::str::from_utf8(data).map(|text| without(token, text)) {
        Ok(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
        // What is no text is the reader's to refuse.
        _ => Cow::Borrowed(data),
    }
}

/// Takes the key out of an error that quotes the endpoint.
fn hidden(error: ModelError, asked: &Asked<'_>) -> ModelError {
    match error {
        ModelError::Malformed { message } => ModelError::Malformed { message: asked.hide(&message) },
        ModelError::StreamBroken { message, passed_on } => {
            ModelError::StreamBroken { message: asked.hide(&message), passed_on }
        }
        other => other,
    }
}
