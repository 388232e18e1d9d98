//! The HTTP client: posts requests with our headers and no others, and says why one failed.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use crate::TelemetrySettings;

/// More than any collector has to say.
const MOST_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Posts requests to one collector.
pub(crate) struct Sender {
    client: reqwest::Client,
    endpoint: Url,
    headers: HeaderMap,
}

/// What the collector says it did not take of a request that it took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rejected {
    /// How many spans.
    pub(crate) spans: u64,
    /// Why.
    pub(crate) words: String,
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
    /// A client for the settings' endpoint. Must be called inside the runtime that will use it.
    pub(crate) fn new(settings: &TelemetrySettings) -> Result<Self, String> {
        let endpoint = Url::parse(&settings.endpoint).map_err(|error| error.to_string())?;
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
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        Ok(Self { client, endpoint, headers })
    }

    /// Posts an `ExportTraceServiceRequest`.
    pub(crate) async fn send(&self, body: Bytes) -> Result<Rejected, SendFailure> {
        let request = self.client.post(self.endpoint.clone()).headers(self.headers.clone()).body(body);
        let mut answer = request.send().await.map_err(SendFailure::unanswered)?;
        let status = answer.status();
        let retry_after = answer.headers().get(RETRY_AFTER).cloned();
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(SendFailure::unanswered)? {
            if body.len() + chunk.len() > MOST_ANSWER_BYTES {
                let words = "its answer is too long".to_owned();
                return Err(SendFailure { words, answered: true, may_pass: false, retry_after: None });
            }
            body.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            let seconds = retry_after.as_ref().and_then(|value| value.to_str().ok()?.trim().parse().ok());
            return Err(SendFailure {
                words: format!("it answered {status}"),
                answered: true,
                may_pass: matches!(status.as_u16(), 429 | 502 | 503 | 504),
                retry_after: seconds.map(Duration::from_secs),
            });
        }
        let said = ExportTraceServiceResponse::decode(body).ok().and_then(|said| said.partial_success);
        let rejected =
            said.map(|said| Rejected { spans: said.rejected_spans.try_into().unwrap_or(0), words: said.error_message });
        Ok(rejected.unwrap_or_default())
    }
}

impl SendFailure {
    fn unanswered(error: reqwest::Error) -> Self {
        let words = if error.is_timeout() { "it did not answer in time".to_owned() } else { innermost(&error) };
        Self { words, answered: false, may_pass: true, retry_after: None }
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
