//! The scripted model over HTTP, in the dialects of OpenAI, Azure OpenAI, Azure AI model inference and Anthropic's
//! messages: for demos, for tests, and for other people's CI.
//!
//! ```text
//!  socket ─► route ─► key ─► read ─► decide ───────────────────► delay ─► answer, whole or piece by piece
//!                                      │ heard: body → `Asked`               (or a reset, or nothing)
//!                                      │ the script's engine → `Turn`
//!                                      │ limits
//!                                      └ dialect: reply → bytes
//! ```
//!
//! The engine ([`sluicegate_model::script`]) has neither clock nor memory. Here is what needs them: limits, delays, and
//! which attempt a request is. Over HTTP nothing tells a repeated attempt from a new request, so attempts are counted by
//! content: of requests with the same path and body, the first is attempt 1, the second attempt 2. A fault with
//! `times: 2` lets the first two identical requests fail, and none later (until so many others came that they are
//! forgotten, about a million).
//!
//! Limits hold for each model or deployment. A request costs its tokens and those it may have in return: `max_tokens` (or
//! its newer names) if it says so, else what the script answers. Answers tell what is left in `x-ratelimit-*`.

mod attempts;
mod body;
mod decide;
mod dialect;
mod failure;
mod frames;
mod heard;
mod limits;
mod route;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::handler::Handler as _;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use futures_util::stream;
use sluicegate_model::script::{ApiKey, Failure, Script};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::listener::{Listener, Report};
use crate::socket::{Doom, Doors};
use attempts::Attempts;
use body::{Act, Decision, Said};
use frames::Frames;
use limits::Ledger;
use route::Route;

/// The most that a request may weigh.
const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// How long open requests may go on once the end has come: enough for a reply that is being written, and not for one
/// that hangs by script.
const GRACE: Duration = Duration::from_secs(1);

/// Before a stream is cut, so that what was sent before is on its way.
const REST_BEFORE_CUT: Duration = Duration::from_millis(20);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const AZURE_REQUEST_ID: HeaderName = HeaderName::from_static("apim-request-id");

/// A scripted model that is to be served.
pub struct Simulate {
    /// What it says.
    pub script: Script,
    /// The model that is listed where the script names none, and that answers requests which name none.
    pub name: Arc<str>,
    /// How long it thinks before each reply, in place of what the script says.
    pub latency: Option<Duration>,
    /// The key that it demands, in place of the script's.
    pub api_key: Option<ApiKey>,
    /// Who hears of each request.
    pub listener: Option<Arc<dyn Listener>>,
}

impl Simulate {
    /// A script, served as it stands.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self { script, name: "simulated".into(), latency: None, api_key: None, listener: None }
    }

    /// Serves until `shutdown` is over, then lets open requests go on for a second. Whatever hangs after that ends with
    /// the runtime.
    ///
    /// # Errors
    /// The listening socket cannot be used.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let shared = Arc::new(Shared::new(self));
        let service = handle.with_state(shared).into_make_service_with_connect_info::<Doom>();
        let (over, mut is_over) = tokio::sync::watch::channel(false);
        let shutdown = async move {
            shutdown.await;
            let _ = over.send(true);
        };
        let serving = axum::serve(Doors(listener), service).with_graceful_shutdown(shutdown);
        let mut serving = std::pin::pin!(serving.into_future());
        tokio::select! {
            result = &mut serving => return result,
            _ = is_over.wait_for(|over| *over) => {}
        }
        tokio::time::timeout(GRACE, serving).await.unwrap_or(Ok(()))
    }
}

/// What all requests share.
struct Shared {
    script: Script,
    name: Arc<str>,
    latency: Option<Duration>,
    api_key: Option<ApiKey>,
    listener: Option<Arc<dyn Listener>>,
    attempts: Option<Attempts>,
    ledger: Option<Ledger>,
    next_id: AtomicU64,
    /// So that ids differ from those of an earlier process.
    born: u64,
}

impl Shared {
    fn new(simulate: Simulate) -> Self {
        let limits = simulate.script.limits();
        let is_limited = limits.requests_per_minute.is_some() || limits.tokens_per_minute.is_some();
        let api_key = simulate.api_key.or_else(|| simulate.script.api_key().cloned());
        Self {
            attempts: simulate.script.counts_attempts().then(Attempts::default),
            ledger: is_limited.then(|| Ledger::new(limits)),
            next_id: AtomicU64::new(1),
            born: since_epoch().as_nanos() as u64,
            script: simulate.script,
            name: simulate.name,
            latency: simulate.latency,
            api_key,
            listener: simulate.listener,
        }
    }

    /// Whether a request has the key, if one is demanded.
    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(key) = &self.api_key else { return true };
        let plain = ["api-key", "x-api-key", "ocp-apim-subscription-key"];
        let mut presented = plain.iter().flat_map(|name| headers.get_all(*name)).map(HeaderValue::as_bytes);
        let mut bearer = headers.get_all("authorization").iter().filter_map(|value| {
            let (scheme, key) = value.as_bytes().split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
        });
        presented.any(|presented| key.is(presented)) || bearer.any(|presented| key.is(presented))
    }

    fn request_id(&self) -> HeaderValue {
        let number = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (high, low) = (self.born, number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.born.rotate_left(32));
        let text = format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0xfff,
            low & 0xffff_ffff_ffff
        );
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("request"))
    }
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(doom): ConnectInfo<Doom>,
    request: Request,
) -> Result<Response, Infallible> {
    let mut report =
        shared.listener.as_ref().map(|listener| Report::new(listener, request.method(), request.uri().path()));
    let decision = decide(&shared, request, report.as_mut()).await;
    if !decision.delay.is_zero() {
        sleep(decision.delay).await;
    }
    let answer = match decision.act {
        Act::Answer(answer) => answer,
        Act::Hang => std::future::pending().await,
        Act::Reset => {
            doom.seal();
            return Ok(Response::default());
        }
    };
    if let Some(report) = &mut report {
        report.status(Some(answer.status));
    }
    let mut response = Response::new(match answer.said {
        Said::Whole(bytes) => Body::from(bytes),
        Said::Events(frames) => match decision.cut_after {
            None if decision.chunk_delay.is_zero() => Body::from(frames.into_bytes()),
            cut => streamed(frames, decision.chunk_delay, cut, doom, report.take()),
        },
    });
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    let id = shared.request_id();
    headers.insert(AZURE_REQUEST_ID, id.clone());
    headers.insert(REQUEST_ID, id);
    for (name, value) in answer.headers {
        headers.insert(name, value);
    }
    Ok(response)
}

async fn decide(shared: &Shared, request: Request, report: Option<&mut Report>) -> Decision {
    let (parts, body) = request.into_parts();
    let route = match Route::find(&parts.method, parts.uri.path(), parts.uri.query()) {
        Ok(route) => route,
        Err(answer) => return Decision::at_once(answer),
    };
    if !route.is_open() && !shared.admits(&parts.headers) {
        let failure = Failure::new(401, "the key is missing, or is not the one that this endpoint demands");
        return Decision::at_once(failure::answer(route.flavour, &failure));
    }
    let body = if route.has_body() {
        match axum::body::to_bytes(body, LARGEST_BODY).await {
            Ok(body) => body,
            Err(_) => {
                let failure = Failure::new(413, format!("the request is larger than {LARGEST_BODY} bytes"));
                return Decision::at_once(failure::answer(route.flavour, &failure));
            }
        }
    } else {
        Bytes::new()
    };
    let (model, decision) = decide::decide(shared, &route, parts.uri.path(), &body);
    if let (Some(report), Some(model)) = (report, model) {
        report.model(&model);
    }
    decision
}

/// A body that goes out piece by piece, and may be cut.
fn streamed(
    frames: Frames,
    chunk_delay: Duration,
    cut_after: Option<usize>,
    doom: Doom,
    report: Option<Report>,
) -> Body {
    let pieces = frames.into_pieces(cut_after).into_iter().enumerate();
    // The report lives as long as the body does.
    Body::from_stream(stream::unfold((pieces, report, doom), move |(mut pieces, report, doom)| async move {
        match pieces.next() {
            Some((index, piece)) => {
                // The head and the first piece go out at once.
                if index > 1 && !chunk_delay.is_zero() {
                    sleep(chunk_delay).await;
                }
                Some((Ok(piece), (pieces, report, doom)))
            }
            None if cut_after.is_some() => {
                sleep(REST_BEFORE_CUT).await;
                doom.seal();
                Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), (pieces, report, doom)))
            }
            None => None,
        }
    }))
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
