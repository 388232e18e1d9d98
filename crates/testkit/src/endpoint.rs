//! A model endpoint on this machine that records what it hears, answers as told, and fails in every way that real
//! ones do: for tests that want real HTTP, and for benchmarks.
//!
//! It speaks the chat and completion paths of OpenAI and Azure OpenAI, which differ in nothing that it looks at: it
//! answers any POST. Its API blocks and needs no runtime: a thread of its own serves.

mod socket;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::tls::Server;
use socket::{Doom, Doors};

/// A model endpoint on 127.0.0.1; stops when dropped.
pub struct Endpoint {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// A request that the endpoint heard.
#[derive(Clone, Debug)]
pub struct Heard {
    /// `POST`, `GET`, …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Header names (lower case) and values, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// When it was complete.
    pub at: Instant,
}

/// What the endpoint answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Status, headers and body, in one piece; `content-type` is JSON unless the headers say otherwise.
    Whole(u16, Vec<(String, String)>, Bytes),
    /// Pieces of a `text/event-stream` body.
    Stream {
        /// The pieces as they go over the wire, one write each.
        pieces: Vec<Bytes>,
        /// Cuts the connection after so many pieces.
        broken_at: Option<usize>,
        /// Rest before each piece.
        delay: Duration,
    },
    /// Nothing, ever.
    Hang,
    /// The connection is reset before a byte of the answer.
    Reset,
    /// Waits, then answers.
    Slow(Duration, Box<Answer>),
}

type Answering = Box<dyn FnMut(&Heard) -> Option<Answer> + Send>;

#[derive(Default)]
struct Shared {
    heard: Mutex<Vec<Heard>>,
    script: Mutex<Script>,
    connections: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Script {
    queue: VecDeque<Answer>,
    paths: BTreeMap<String, Answer>,
    answering: Option<Answering>,
    text: Option<String>,
    latency: Duration,
    forgetful: bool,
}

impl Endpoint {
    /// Starts an endpoint that answers "ok" to everything until it is told otherwise.
    ///
    /// # Panics
    /// If no port is free or no thread can start; then there is no test to run.
    #[must_use]
    pub fn start() -> Self {
        Self::open(0, None)
    }

    /// The same at a port that one had before: an endpoint that was gone is back.
    ///
    /// # Panics
    /// If the port is taken or no thread can start; then there is no test to run.
    #[must_use]
    pub fn start_at(port: u16) -> Self {
        Self::open(port, None)
    }

    /// The same behind TLS: `https://127.0.0.1:PORT`.
    ///
    /// # Panics
    /// If no port is free or no thread can start; then there is no test to run.
    #[must_use]
    pub fn start_tls(server: &Server) -> Self {
        Self::open(0, Some(server.clone()))
    }

    #[expect(clippy::expect_used, clippy::unwrap_used, reason = "a test's foundation: without it there is no test")]
    fn open(port: u16, tls: Option<Server>) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let state = shared.clone();
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                let listener = Doors::open(listener, tls, state.connections.clone()).unwrap();
                let router = Router::new().fallback(answer).with_state(state);
                let service = router.into_make_service_with_connect_info::<Doom>();
                tokio::select! {
                    _ = axum::serve(listener, service) => {}
                    _ = stopped => {}
                }
            });
            // Does not wait for hanging answers.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("endpoint".to_owned()).spawn(serve).expect("a thread");
        Self { address, scheme, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// `http://127.0.0.1:PORT`, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The same by a name of the host.
    #[must_use]
    pub fn url_at(&self, host: &str) -> String {
        format!("{}://{host}:{}", self.scheme, self.port())
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Answers with this text from now on (streamed if asked to stream), where neither the queue nor [`Self::on`]
    /// has an answer.
    pub fn reply_text(&self, text: impl Into<String>) -> &Self {
        lock(&self.shared.script).text = Some(text.into());
        self
    }

    /// Adds an answer for one request; the queue is answered first, in order, then come paths.
    pub fn queue(&self, answer: Answer) -> &Self {
        lock(&self.shared.script).queue.push_back(answer);
        self
    }

    /// Answers requests for this path (its query aside) so from now on, and others as before.
    pub fn answer_at(&self, path: &str, answer: Answer) -> &Self {
        lock(&self.shared.script).paths.insert(path.to_owned(), answer);
        self
    }

    /// Asks this closure for each request; `None` falls back to the text.
    pub fn on(&self, answering: impl FnMut(&Heard) -> Option<Answer> + Send + 'static) -> &Self {
        lock(&self.shared.script).answering = Some(Box::new(answering));
        self
    }

    /// Waits so long before every answer.
    pub fn latency(&self, latency: Duration) -> &Self {
        lock(&self.shared.script).latency = latency;
        self
    }

    /// Records nothing from now on: a benchmark's million requests would fill the memory.
    pub fn forget_requests(&self) -> &Self {
        lock(&self.shared.script).forgetful = true;
        self
    }

    /// What was heard so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Heard> {
        lock(&self.shared.heard).clone()
    }

    /// How many requests were heard so far.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.shared.heard).len()
    }

    /// How many connections were opened so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Waits until so many requests were heard.
    ///
    /// # Panics
    /// After ten seconds.
    pub fn wait_for(&self, count: usize) {
        let start = Instant::now();
        while self.count() < count {
            assert!(start.elapsed() < Duration::from_secs(10), "{} of {count} requests came", self.count());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Heard {
    /// The value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `null` if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Answer {
    /// A JSON body with a status.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::Whole(status, Vec::new(), body.to_string().into())
    }

    /// A whole chat reply (a completion too: the choice has both shapes), with ten tokens in and three out.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::json(200, &reply(text))
    }

    /// An error as OpenAI and Azure spell it.
    #[must_use]
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let kind = if status == 429 { "requests" } else { "invalid_request_error" };
        Self::json(status, &json!({ "error": { "code": code, "message": message, "type": kind, "param": null } }))
    }

    /// A reply that ends in the middle of its JSON.
    #[must_use]
    pub fn broken_json() -> Self {
        Self::Whole(200, Vec::new(), Bytes::from_static(b"{\"id\": \"chatcmpl-1\", \"choices\": [{\"mess"))
    }

    /// A streamed reply, one event per piece of text, with finish reason and `[DONE]`.
    #[must_use]
    pub fn stream(texts: &[&str]) -> Self {
        let mut pieces = vec![event(&chunk(&json!({ "role": "assistant", "content": "" }), None))];
        pieces.extend(texts.iter().map(|text| event(&chunk(&json!({ "content": text }), None))));
        pieces.push(event(&chunk(&json!({}), Some("stop"))));
        pieces.push(Bytes::from_static(b"data: [DONE]\n\n"));
        Self::Stream { pieces, broken_at: None, delay: Duration::ZERO }
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        match self {
            Self::Whole(status, mut headers, body) => {
                headers.push((name.to_owned(), value.to_owned()));
                Self::Whole(status, headers, body)
            }
            other => other,
        }
    }

    /// The same stream, cut after so many pieces.
    #[must_use]
    pub fn cut_after(self, count: usize) -> Self {
        match self {
            Self::Stream { pieces, delay, .. } => Self::Stream { pieces, broken_at: Some(count), delay },
            other => other,
        }
    }

    /// The same answer after a wait.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self::Slow(wait, Box::new(self))
    }
}

/// One server-sent event.
fn event(data: &Value) -> Bytes {
    format!("data: {data}\n\n").into()
}

fn chunk(delta: &Value, finish_reason: Option<&str>) -> Value {
    json!({
        "id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": 1, "model": "mock-1",
        "choices": [{ "index": 0, "delta": delta, "finish_reason": finish_reason }],
    })
}

fn reply(text: &str) -> Value {
    json!({
        "id": "chatcmpl-mock", "object": "chat.completion", "created": 1, "model": "mock-1",
        "choices": [{
            "index": 0, "message": { "role": "assistant", "content": text }, "text": text, "finish_reason": "stop",
        }],
        "usage": { "prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13 },
    })
}

async fn answer(State(shared): State<Arc<Shared>>, ConnectInfo(doom): ConnectInfo<Doom>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let heard = Heard { method: parts.method.to_string(), path, headers, body, at: Instant::now() };
    let (mut answer, latency) = {
        let mut script = lock(&shared.script);
        let queued = script.queue.pop_front();
        let by_path = || script.paths.get(heard.path.split('?').next().unwrap_or_default()).cloned();
        let answer = queued.or_else(by_path);
        let answer = answer.or_else(|| script.answering.as_mut().and_then(|answering| answering(&heard)));
        let answer = answer.unwrap_or_else(|| {
            let text = script.text.as_deref().unwrap_or("ok");
            let streams = heard.json().get("stream") == Some(&Value::Bool(true));
            if streams { Answer::stream(&text.split_inclusive(' ').collect::<Vec<_>>()) } else { Answer::text(text) }
        });
        if !script.forgetful {
            lock(&shared.heard).push(heard);
        }
        (answer, script.latency)
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    loop {
        match answer {
            Answer::Slow(wait, then) => {
                tokio::time::sleep(wait).await;
                answer = *then;
            }
            Answer::Hang => std::future::pending().await,
            Answer::Reset => {
                doom.seal();
                return Response::default();
            }
            Answer::Whole(status, headers, body) => return whole(status, &headers, body),
            Answer::Stream { pieces, broken_at, delay } => return streamed(pieces, broken_at, delay, doom),
        }
    }
}

fn whole(status: u16, headers: &[(String, String)], body: Bytes) -> Response {
    let mut response = Response::builder().status(status);
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        response = response.header("content-type", "application/json");
    }
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).unwrap_or_default()
}

fn streamed(pieces: Vec<Bytes>, broken_at: Option<usize>, delay: Duration, doom: Doom) -> Response {
    let pieces = stream::unfold((pieces.into_iter(), 0_usize), move |(mut pieces, sent)| {
        let doom = doom.clone();
        async move {
            // Even without a delay, so that each piece is a write of its own.
            tokio::time::sleep(delay.max(Duration::from_millis(1))).await;
            if broken_at == Some(sent) {
                doom.seal();
                return Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), (pieces, sent)));
            }
            pieces.next().map(|piece| (Ok(piece), (pieces, sent + 1)))
        }
    });
    let response = Response::builder().header("content-type", "text/event-stream; charset=utf-8");
    response.body(Body::from_stream(pieces)).unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
