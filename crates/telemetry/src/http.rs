//! The HTTP client under the exporter: sends our headers and no others, and remembers why a request failed, which the
//! exporter itself does not tell.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use opentelemetry_http::{HttpClient, HttpError, Request, Response, ResponseBodyTooLarge};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use crate::TelemetrySettings;

/// More than any collector has to say.
const MOST_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Sends the exporter's requests.
pub(crate) struct Sender {
    client: reqwest::Client,
    headers: HeaderMap,
    last: Arc<Mutex<Answered>>,
}

/// How the last request went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answered {
    /// Why it failed, if it did.
    pub(crate) failure: Option<SendFailure>,
    /// Spans that the collector says it rejected, though it took the request.
    pub(crate) rejected: u64,
    /// Why it did.
    pub(crate) rejected_words: String,
}

/// Why a request failed.
#[derive(Clone, Debug)]
pub(crate) struct SendFailure {
    pub(crate) words: String,
    /// Whether the collector answered at all.
    pub(crate) answered: bool,
    /// Whether the same request may succeed later.
    pub(crate) may_pass: bool,
    /// How long the collector asked to wait.
    pub(crate) retry_after: Option<Duration>,
}

impl Sender {
    /// A client for the settings' endpoint, and where it tells how requests went. Must be called inside the runtime
    /// that will use it.
    pub(crate) fn new(settings: &TelemetrySettings) -> Result<(Self, Arc<Mutex<Answered>>), String> {
        // Somebody else in the process may have been first; both mean ring.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .timeout(settings.timeout)
            .connect_timeout(settings.timeout)
            .user_agent(concat!("sluicegate/", env!("CARGO_PKG_VERSION")))
            // A redirect would carry the headers, which hold secrets, to a place that nobody named.
            .redirect(reqwest::redirect::Policy::none())
            // Nothing from the process environment: what counts comes by the settings.
            .no_proxy();
        let exceptions = reqwest::NoProxy::from_string(&settings.proxies.exceptions());
        let mut by_tls = !settings.endpoint.starts_with("http://");
        for (scheme, address) in settings.proxies.each() {
            let proxy = if scheme == "http" { reqwest::Proxy::http(address) } else { reqwest::Proxy::https(address) };
            // Without the address in the words: it may hold a password.
            let proxy = proxy.map_err(|_| format!("the {scheme} proxy's address is not a URL"))?;
            by_tls |= address.starts_with("https:");
            builder = builder.proxy(proxy.no_proxy(exceptions.clone()));
        }
        if !by_tls {
            // No certificate will be looked at: a machine without a root store must do, and loading it takes time.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| innermost(&error))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            let name = HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is no header's name"))?;
            let mut value = HeaderValue::from_str(value.expose())
                .map_err(|_| format!("the value of header `{name}` cannot be sent"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let last = Arc::default();
        Ok((Self { client, headers, last: Arc::clone(&last) }, last))
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        // Of the exporter's headers only those that describe the body: it would add others from the environment.
        let mut headers = self.headers.clone();
        for name in [reqwest::header::CONTENT_TYPE, reqwest::header::CONTENT_ENCODING] {
            if let Some(value) = parts.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        let sent = self.client.post(parts.uri.to_string()).headers(headers).body(body).send().await;
        let mut answer = sent.map_err(|error| self.unanswered(error))?;
        let status = answer.status();
        let retry_after = answer.headers().get(RETRY_AFTER).cloned();
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unanswered(error))? {
            if body.len() + chunk.len() > MOST_ANSWER_BYTES {
                return Err(Box::new(ResponseBodyTooLarge::new()));
            }
            body.extend_from_slice(&chunk);
        }
        let body = body.freeze();

        let mut answered = Answered::default();
        if status.is_success() {
            let said = ExportTraceServiceResponse::decode(body.clone()).ok().and_then(|said| said.partial_success);
            if let Some(said) = said {
                answered.rejected = said.rejected_spans.try_into().unwrap_or(0);
                answered.rejected_words = said.error_message;
            }
        } else {
            let seconds = retry_after.as_ref().and_then(|value| value.to_str().ok()?.trim().parse().ok());
            answered.failure = Some(SendFailure {
                words: format!("it answered {status}"),
                answered: true,
                may_pass: matches!(status.as_u16(), 429 | 502 | 503 | 504),
                retry_after: seconds.map(Duration::from_secs),
            });
        }
        self.remember(answered);
        let mut response = Response::new(body);
        *response.status_mut() = status;
        Ok(response)
    }

    fn unanswered(&self, error: reqwest::Error) -> HttpError {
        let words = if error.is_timeout() { "it did not answer in time".to_owned() } else { innermost(&error) };
        let failure = SendFailure { words, answered: false, may_pass: true, retry_after: None };
        self.remember(Answered { failure: Some(failure), ..Answered::default() });
        Box::new(error.without_url())
    }

    fn remember(&self, answered: Answered) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = answered;
    }
}

impl HttpClient for Sender {
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(self.send(request))
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not derived: the headers hold secrets.
        out.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// What the network said, without the layers that passed it on.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
