//! One attempt over HTTP: addresses, headers, timeouts, and reading what comes back.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, Url};
use sluicegate_config::{Secret, Timeouts};
use sluicegate_model::{About, ChatReply, ChatRequest, ConnectionName, ModelError, Phase, Prompt};
use sluicegate_value::json;
use tokio::time::timeout;

use crate::chat::stream::{Assembler, Brought};
use crate::chat::{reply, request};
use crate::client::Clients;
use crate::failure::{self, Asked, Said};
use crate::sse;
use crate::transport::{Attempt, Transport};

/// The largest reply that is read, after decompression: room for many images, and an end to a runaway endpoint.
const MAX_REPLY: usize = 64 << 20;

/// How much of an error's body is read.
const MAX_ERROR: usize = 1 << 20;

/// What one provider differs in from another.
pub(crate) struct Dialect {
    /// As GenAI semantic conventions name it.
    pub(crate) provider: &'static str,
    pub(crate) address: Address,
    pub(crate) key: Option<Key>,
    pub(crate) headers: HeaderMap,
    /// Whether it is told which of prompt flow's tools calls, as the original does.
    pub(crate) tells_caller: bool,
}

/// Where a provider listens.
pub(crate) struct Address {
    base: Url,
    /// The `api-version`, where the deployment stands in the path.
    deployment_version: Option<String>,
}

/// A key as the header that carries it.
pub(crate) struct Key {
    name: HeaderName,
    value: HeaderValue,
    secret: Secret,
}

/// Reaches one provider.
pub(crate) struct Http {
    connection: ConnectionName,
    dialect: Dialect,
    clients: Arc<Clients>,
    timeouts: Timeouts,
}

impl Address {
    /// Reads the address under which paths begin; it ends with a slash.
    pub(crate) fn parse(connection: &ConnectionName, setting: &str, text: &str) -> Result<Self, ModelError> {
        let misconfigured = |why: &str| ModelError::Misconfigured {
            connection: connection.to_string(),
            message: format!("its `{setting}` {why}"),
        };
        if text.starts_with('/') {
            return Err(misconfigured("is empty"));
        }
        let base = Url::parse(text).map_err(|error| misconfigured(&format!("is not an address: {error}")))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none_or(str::is_empty) {
            return Err(misconfigured("must begin with https:// or http://"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(misconfigured("must not hold a user or password"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(misconfigured("must not hold a query (`?…`) or fragment (`#…`)"));
        }
        Ok(Self { base, deployment_version: None })
    }

    pub(crate) fn by_deployment(self, version: &str) -> Self {
        Self { deployment_version: Some(version.to_owned()), ..self }
    }

    pub(crate) fn is_this_machine(&self) -> bool {
        let host = self.host();
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    fn url(&self, request: &ChatRequest) -> Url {
        let mut url = self.base.clone();
        // `http` and `https` addresses always take path segments.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            if self.deployment_version.is_some() {
                path.push(&request.model);
            }
            path.extend(match request.prompt {
                Prompt::Messages(_) => &["chat", "completions"][..],
                Prompt::Text(_) => &["completions"],
            });
        }
        if let Some(version) = &self.deployment_version {
            url.query_pairs_mut().append_pair("api-version", version);
        }
        url
    }

    /// Scheme, host and port.
    fn origin(&self) -> String {
        self.base.origin().ascii_serialization()
    }
}

impl Key {
    pub(crate) fn new(
        connection: &ConnectionName,
        secret: &Secret,
        name: HeaderName,
        prefix: &str,
    ) -> Result<Self, ModelError> {
        let misconfigured = |message: &str| ModelError::Misconfigured {
            connection: connection.to_string(),
            message: message.to_owned(),
        };
        let key = secret.expose().trim();
        if key.is_empty() {
            return Err(misconfigured("its `api_key` is empty"));
        }
        let value = HeaderValue::from_str(&format!("{prefix}{key}"));
        let mut value = value.map_err(|_| misconfigured("its `api_key` holds characters that no key has"))?;
        value.set_sensitive(true);
        Ok(Self { name, value, secret: Secret::new(key) })
    }
}

impl Http {
    pub(crate) fn new(connection: ConnectionName, dialect: Dialect, clients: Arc<Clients>, timeouts: Timeouts) -> Self {
        Self { connection, dialect, clients, timeouts }
    }

    pub(crate) fn about(&self) -> About {
        About {
            connection: self.connection.clone(),
            provider: self.dialect.provider.into(),
            host: self.dialect.address.host().into(),
            port: self.dialect.address.base.port_or_known_default().unwrap_or_default(),
        }
    }

    async fn post(&self, request: &ChatRequest, attempt: &Attempt<'_>) -> Result<Response, ModelError> {
        let body = request::body(request, &self.connection.0, self.clients.options.stream_usage)?;
        let url = self.dialect.address.url(request);
        let client = self.clients.get(url.scheme() == "https", self.timeouts.connect);
        let client = client.map_err(|message| self.misconfigured(format!("no HTTP client: {message}")))?;
        let mut post = client
            .post(url)
            .headers(self.dialect.headers.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = &self.dialect.key {
            post = post.header(&key.name, &key.value);
        }
        if self.dialect.tells_caller && !request.called_from.is_empty() {
            post = post.header("ms-azure-ai-promptflow-called-from", &*request.called_from);
        }
        if let Some(trace) = &attempt.context.trace {
            post = post.header("traceparent", trace.traceparent());
        }
        let limit = self.timeouts.first_byte;
        match timeout(limit, post.body(body).send()).await {
            Ok(sent) => sent.map_err(|error| self.network(&error, "")),
            Err(_) => Err(ModelError::TimedOut { phase: Phase::FirstByte, after: limit }),
        }
    }

    async fn whole(&self, mut response: Response, asked: &Asked<'_>) -> Result<ChatReply, ModelError> {
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
        let body = json::read(text).map_err(|error| {
            let page = failure::page(&asked.hide(text));
            malformed(format!("it is no JSON ({error}; {kind}): {page}"))
        })?;
        if body.get("error").is_some_and(|error| !error.is_null()) && body.get("choices").is_none() {
            return Err(asked.error_in_body(&body));
        }
        reply::read(body).map_err(|error| hidden(error, asked))
    }

    async fn streamed(
        &self,
        mut response: Response,
        asked: &Asked<'_>,
        attempt: Option<&Attempt<'_>>,
    ) -> Result<ChatReply, ModelError> {
        let mut reader = sse::Reader::default();
        let mut assembler = Assembler::default();
        let mut size = 0;
        let take = |assembler: &mut Assembler, data: &[u8]| match assembler.push(data)? {
            Brought::Text(text) => {
                if let Some(attempt) = attempt {
                    attempt.pass_on(&text);
                }
                Ok(false)
            }
            Brought::Other => Ok(false),
            Brought::Done => Ok(true),
            Brought::Error(body) => Err(asked.error_in_body(&body)),
        };
        let broken = loop {
            let bytes = match timeout(self.timeouts.first_byte, response.chunk()).await {
                Ok(Ok(Some(bytes))) => bytes,
                Ok(Ok(None)) => break None,
                Ok(Err(error)) => break Some(root_cause(&error)),
                Err(_) => break Some(format!("nothing more came for {:?}", self.timeouts.first_byte)),
            };
            size += bytes.len();
            if size > MAX_REPLY {
                return Err(too_large());
            }
            let mut done = false;
            for data in reader.push(&bytes) {
                done |= take(&mut assembler, &data).map_err(|error| hidden(error, asked))?;
            }
            if done {
                // Reading to the very end lets the connection be used again; nothing of interest follows.
                let _ = timeout(Duration::from_millis(50), async { while let Ok(Some(_)) = response.chunk().await {} })
                    .await;
                return assembler.finish().map_err(|error| hidden(error, asked));
            }
        };
        if broken.is_none()
            && let Some(data) = reader.finish()
        {
            // Half an event is no better than none; the check below tells what that means.
            let _ = take(&mut assembler, &data);
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
        let cause = root_cause(error);
        if error.is_timeout() && error.is_connect() {
            return ModelError::TimedOut { phase: Phase::Connect, after: self.timeouts.connect };
        }
        if error.is_builder() {
            return self.misconfigured(format!("no such request can be sent: {cause}"));
        }
        if chain(error).any(|error| matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)))) {
            return self.misconfigured(format!("the certificate of {} is not trusted: {cause}", self.endpoint()));
        }
        let undecodable = |error: &(dyn std::error::Error + 'static)| {
            let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
            matches!(kind, Some(std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput))
        };
        if error.is_decode() && chain(error).any(undecodable) {
            return ModelError::Malformed { message: format!("it cannot be decompressed: {cause}") };
        }
        let by = match self.clients.options.proxies.on_the_way_to(self.dialect.address.base.scheme(), self.host()) {
            Some(proxy) => format!("by way of the proxy {proxy}: "),
            None => String::new(),
        };
        ModelError::Unreachable { endpoint: self.endpoint(), message: format!("{by}{prefix}{cause}") }
    }

    fn misconfigured(&self, message: String) -> ModelError {
        ModelError::Misconfigured { connection: self.connection.to_string(), message }
    }

    fn host(&self) -> &str {
        self.dialect.address.host()
    }

    fn endpoint(&self) -> String {
        self.dialect.address.origin()
    }
}

impl Transport for Http {
    async fn send(&self, request: &ChatRequest, attempt: &Attempt<'_>) -> Result<ChatReply, ModelError> {
        let secret = self.dialect.key.as_ref().map(|key| key.secret.expose());
        let asked = Asked { connection: &self.connection.0, model: &request.model, secret };
        let mut response = self.post(request, attempt).await?;
        if !response.status().is_success() {
            let mut body = Vec::new();
            // What the error says matters less than its status: a broken or slow body is read as far as it comes.
            while let Ok(Ok(Some(bytes))) = timeout(Duration::from_secs(5), response.chunk()).await
                && body.len() < MAX_ERROR
            {
                body.extend_from_slice(&bytes);
            }
            let said = Said { status: response.status().as_u16(), headers: response.headers(), body: &body };
            return Err(asked.error(&said));
        }
        if content_type(&response).starts_with("text/event-stream") {
            return self.streamed(response, &asked, request.stream.then_some(attempt)).await;
        }
        let reply = self.whole(response, &asked).await?;
        // Some servers answer in one piece whatever they are asked; whoever listens wants the text all the same.
        if let (true, Some(text)) = (request.stream, &reply.text) {
            attempt.pass_on(text);
        }
        Ok(reply)
    }
}

/// The words of the innermost cause: the outer ones say "error sending request" and repeat the address.
pub(crate) fn root_cause(error: &reqwest::Error) -> String {
    chain(error).last().map_or_else(|| "no cause given".to_owned(), ToString::to_string)
}

/// An error's causes, from the first to the innermost.
fn chain<'e>(error: &'e reqwest::Error) -> impl Iterator<Item = &'e (dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |error: &&'e (dyn std::error::Error + 'static)| {
        let error = *error;
        // An `io::Error` hides what it wraps from `source`.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        wrapped.map(|wrapped| wrapped as &(dyn std::error::Error + 'static)).or_else(|| error.source())
    })
}

fn content_type(response: &Response) -> String {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.map_or_else(|| "no content type".to_owned(), str::to_ascii_lowercase)
}

fn too_large() -> ModelError {
    ModelError::Malformed { message: format!("it is larger than {} MiB", MAX_REPLY >> 20) }
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
