//! A real OTLP/HTTP receiver for protobuf traces: what a collector would see, as plain data.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{Span, span, status};
use prost::Message as _;
use serde_json::Value as Json;

/// What the receiver does with a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// Takes the spans.
    #[default]
    Take,
    /// Takes none and answers with this status.
    Status(u16),
    /// Takes none and never answers.
    Hang,
    /// Takes the spans, and says that it rejected some.
    Reject {
        /// How many.
        spans: i64,
        /// Why.
        message: String,
    },
}

/// An OTLP receiver on this machine, on a port of its own.
pub struct Receiver {
    address: String,
    shared: Arc<Shared>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    /// Its headers; names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Bytes,
    /// How many spans it carried.
    pub spans: usize,
}

/// A span as a collector sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedSpan {
    /// The trace, 32 hex digits.
    pub trace_id: String,
    /// The span, 16 hex digits.
    pub span_id: String,
    /// The parent, 16 hex digits; `None` for a trace's first.
    pub parent_id: Option<String>,
    /// Its name.
    pub name: String,
    /// `INTERNAL`, `CLIENT`, …
    pub kind: String,
    /// When it began, in nanoseconds since 1970.
    pub start: u64,
    /// When it ended, in nanoseconds since 1970.
    pub end: u64,
    /// Its attributes.
    pub attributes: BTreeMap<String, Json>,
    /// What happened in it.
    pub events: Vec<ReceivedEvent>,
    /// The spans that it is linked to: their traces and themselves, in hex digits.
    pub links: Vec<(String, String)>,
    /// `UNSET`, `OK` or `ERROR`.
    pub status: String,
    /// Why, with `ERROR`.
    pub status_message: String,
    /// The attributes of the program that sent it.
    pub resource: BTreeMap<String, Json>,
    /// The name of the instrumentation scope.
    pub scope: String,
}

/// An event of a span.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedEvent {
    /// Its name.
    pub name: String,
    /// Its attributes.
    pub attributes: BTreeMap<String, Json>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Default)]
struct Seen {
    answer: Answer,
    requests: Vec<ReceivedRequest>,
    spans: Vec<ReceivedSpan>,
}

impl Receiver {
    /// Starts a receiver that takes everything.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "a test without its parts cannot go on")]
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let router = axum::Router::new()
            .route("/v1/traces", post(receive))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                let serving = std::future::IntoFuture::into_future(axum::serve(listener, router));
                // Not gracefully: a request that hangs on purpose must not keep the test waiting.
                tokio::select! {
                    _ = serving => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// The base address, `http://127.0.0.1:PORT`; traces go to `/v1/traces` under it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Changes what happens with the requests that follow.
    pub fn answer(&self, answer: Answer) {
        self.shared.lock().answer = answer;
    }

    /// The spans taken so far, in the order of their arrival.
    #[must_use]
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        self.shared.lock().spans.clone()
    }

    /// Waits until `count` spans are there, or `timeout` is over, and returns those that are.
    #[must_use]
    pub fn wait_for(&self, count: usize, timeout: Duration) -> Vec<ReceivedSpan> {
        let until = Instant::now() + timeout;
        let mut seen = self.shared.lock();
        while seen.spans.len() < count {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            seen = self.shared.changed.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        seen.spans.clone()
    }

    /// Waits until `count` requests came, those that were refused or are left hanging included.
    pub fn wait_for_requests(&self, count: usize) {
        let mut seen = self.shared.lock();
        while seen.requests.len() < count {
            seen = self.shared.changed.wait(seen).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The requests so far, those that were refused included.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.lock().requests.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let Ok(decoded) = ExportTraceServiceRequest::decode(body.clone()) else {
        return respond(400, Bytes::from_static(b"no OTLP traces in protobuf"));
    };
    let spans = plain(decoded);
    let answer = {
        let mut seen = shared.lock();
        let headers = headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        seen.requests.push(ReceivedRequest { headers, body, spans: spans.len() });
        if matches!(seen.answer, Answer::Take | Answer::Reject { .. }) {
            seen.spans.extend(spans);
        }
        shared.changed.notify_all();
        seen.answer.clone()
    };
    let partial_success = match answer {
        Answer::Take => None,
        Answer::Status(status) => return respond(status, Bytes::from_static(b"as the test wants it")),
        Answer::Hang => std::future::pending().await,
        Answer::Reject { spans, message } => {
            Some(ExportTracePartialSuccess { rejected_spans: spans, error_message: message })
        }
    };
    respond(200, ExportTraceServiceResponse { partial_success }.encode_to_vec().into())
}

fn respond(status: u16, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

fn plain(request: ExportTraceServiceRequest) -> Vec<ReceivedSpan> {
    let mut spans = Vec::new();
    for of_resource in request.resource_spans {
        let resource = attributes(of_resource.resource.map(|resource| resource.attributes).unwrap_or_default());
        for of_scope in of_resource.scope_spans {
            let scope = of_scope.scope.map(|scope| scope.name).unwrap_or_default();
            for span in of_scope.spans {
                spans.push(plain_span(span, &resource, &scope));
            }
        }
    }
    spans
}

fn plain_span(span: Span, resource: &BTreeMap<String, Json>, scope: &str) -> ReceivedSpan {
    let kind = span.kind().as_str_name().trim_start_matches("SPAN_KIND_").to_owned();
    let status = span.status.unwrap_or_default();
    let events: Vec<span::Event> = span.events;
    ReceivedSpan {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_id: (!span.parent_span_id.is_empty()).then(|| hex(&span.parent_span_id)),
        name: span.name,
        kind,
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        attributes: attributes(span.attributes),
        events: events
            .into_iter()
            .map(|event| ReceivedEvent { name: event.name, attributes: attributes(event.attributes) })
            .collect(),
        links: span.links.into_iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
        status: match status.code() {
            status::StatusCode::Unset => "UNSET",
            status::StatusCode::Ok => "OK",
            status::StatusCode::Error => "ERROR",
        }
        .to_owned(),
        status_message: status.message,
        resource: resource.clone(),
        scope: scope.to_owned(),
    }
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, Json> {
    pairs.into_iter().map(|pair| (pair.key, pair.value.map_or(Json::Null, json))).collect()
}

fn json(value: AnyValue) -> Json {
    match value.value {
        Some(any_value::Value::StringValue(text)) => text.into(),
        Some(any_value::Value::BoolValue(yes)) => yes.into(),
        Some(any_value::Value::IntValue(number)) => number.into(),
        Some(any_value::Value::DoubleValue(number)) => number.into(),
        Some(any_value::Value::ArrayValue(list)) => list.values.into_iter().map(json).collect(),
        Some(any_value::Value::KvlistValue(list)) => attributes(list.values).into_iter().collect(),
        Some(any_value::Value::BytesValue(bytes)) => hex(&bytes).into(),
        _ => Json::Null,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
