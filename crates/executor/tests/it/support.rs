//! A flow in strings, a model that says what the test tells it, a journal that a test can read.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluicegate_events::{CallEnd, Event, EventKind, FetchEnd, Journal, JournalError, Outcome, RunStatus};
use sluicegate_executor::{Begun, Engine, Listeners, NewRun, Options, Redact, RunReport, Start};
use sluicegate_flow::bind::{self, Bindings, BoundPlan};
use sluicegate_flow::compile::{CompileOptions, compile};
use sluicegate_flow::files::MemoryFiles;
use sluicegate_model::*;
use sluicegate_source::Problem;
use sluicegate_value::{Map, Value, json};

/// Compiles and binds the flow in `flow.dag.yaml` of these files.
pub(crate) fn plan(files: &[(&str, &str)]) -> BoundPlan {
    try_plan(files).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// Compiles and binds a flow of these files.
pub(crate) fn plan_at(files: &[(&str, &str)], root: &str) -> BoundPlan {
    try_plan_at(files, root).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

pub(crate) fn try_plan(files: &[(&str, &str)]) -> Result<BoundPlan, Vec<Problem>> {
    try_plan_at(files, "flow.dag.yaml")
}

fn try_plan_at(files: &[(&str, &str)], root: &str) -> Result<BoundPlan, Vec<Problem>> {
    let compiled = compile(&MemoryFiles::new(files), root, &CompileOptions::default());
    let Some(plan) = compiled.plan else { return Err(compiled.problems) };
    let lookup = |_: &str| None;
    let bindings = Bindings { connection_name: Some("fake".into()), ..Bindings::new(&lookup) };
    bind::bind(&plan, &bindings)
}

/// A flow with one file.
pub(crate) fn flow(yaml: &str) -> BoundPlan {
    plan(&[("flow.dag.yaml", yaml)])
}

pub(crate) fn inputs(text: &str) -> Map {
    json::read(text).unwrap().as_map().unwrap().clone()
}

/// What the model says to a request, and when.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) after: Duration,
    pub(crate) says: Result<Box<ChatReply>, ModelError>,
    /// How many attempts the connection made of it.
    pub(crate) attempts: u32,
    /// What it tells on the way.
    pub(crate) notices: Vec<CallNotice>,
}

impl Answer {
    fn of(says: Result<Box<ChatReply>, ModelError>) -> Self {
        Self { after: Duration::from_millis(10), says, attempts: 1, notices: Vec::new() }
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        let usage = Usage { input_tokens: Some(10), output_tokens: Some(5), ..Usage::default() };
        Self::reply(ChatReply { model: Some("served".into()), usage, ..ChatReply::of_text(text.into()) })
    }

    pub(crate) fn reply(reply: ChatReply) -> Self {
        Self::of(Ok(Box::new(reply)))
    }

    pub(crate) fn error(error: ModelError) -> Self {
        Self::of(Err(error))
    }

    pub(crate) fn notice(mut self, notice: CallNotice) -> Self {
        self.notices.push(notice);
        self
    }

    pub(crate) fn tried(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    pub(crate) fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }
}

/// Answers by the last message and how often that was asked before.
type Script = dyn Fn(&str, usize) -> Answer + Send + Sync;

pub(crate) struct FakeModel {
    about: About,
    script: Box<Script>,
    pub(crate) asked: Mutex<Vec<(ChatRequest, Option<TraceContext>)>>,
    in_flight: AtomicUsize,
    pub(crate) most_in_flight: AtomicUsize,
}

impl FakeModel {
    pub(crate) fn new(script: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            about: About { connection: "fake".into(), provider: "simulated".into(), host: "".into(), port: 0 },
            script: Box::new(script),
            asked: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        })
    }

    /// Says what it hears, in brackets.
    pub(crate) fn echo() -> Arc<Self> {
        Self::new(|text, _| Answer::text(format!("[{text}]")))
    }

    /// The last message of every request, in order.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(request, _)| last_text(request)).collect()
    }
}

fn last_text(request: &ChatRequest) -> String {
    match &request.prompt {
        Prompt::Text(text) => text.to_string(),
        Prompt::Messages(messages) => {
            messages.last().and_then(|message| message.content.as_ref()).map(Content::plain_text).unwrap_or_default()
        }
    }
}

/// Counts down when a call ends or is given up.
struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl ChatModel for FakeModel {
    fn chat<'a>(
        &'a self,
        request: &'a ChatRequest,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        Box::pin(async move {
            let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            let _in_flight = InFlight(&self.in_flight);
            self.most_in_flight.fetch_max(now, Ordering::SeqCst);
            let text = last_text(request);
            let before = self.heard().iter().filter(|heard| **heard == text).count();
            self.asked.lock().unwrap().push((request.clone(), context.trace));
            let answer = (self.script)(&text, before);
            for attempt in 1..=answer.attempts {
                context.notices.notice(CallNotice::AttemptStarted { attempt });
            }
            answer.notices.iter().for_each(|notice| context.notices.notice(notice.clone()));
            tokio::time::sleep(answer.after).await;
            let reply = answer.says?;
            if request.stream {
                context.notices.notice(CallNotice::FirstChunk { after: answer.after });
                for piece in reply.text.iter().flat_map(|text| text.split_inclusive(' ')) {
                    context.notices.notice(CallNotice::Chunk { text: piece.into() });
                }
            }
            Ok(*reply)
        })
    }

    fn about(&self) -> &About {
        &self.about
    }
}

/// Vectors that follow from the text, by the same script: what it says is not heard, when and whether it does is.
impl EmbeddingModel for FakeModel {
    fn embed<'a>(
        &'a self,
        request: &'a EmbeddingRequest,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<EmbeddingReply, ModelError>> {
        Box::pin(async move {
            let texts = request.input.texts();
            let text = format!("vector of {}", texts.join(" and "));
            let before = self.heard().iter().filter(|heard| **heard == text).count();
            let asked = ChatRequest {
                model: request.model.clone(),
                prompt: Prompt::Text(text.as_str().into()),
                parameters: request.parameters.clone(),
                stream: false,
                called_from: request.called_from.clone(),
                api: None,
            };
            self.asked.lock().unwrap().push((asked, context.trace));
            let answer = (self.script)(&text, before);
            tokio::time::sleep(answer.after).await;
            answer.says?;
            let vectors = texts.iter().map(|text| vec![text.len() as f64, 0.1]).collect();
            let usage = Usage { input_tokens: Some(4 * texts.len() as u64), ..Usage::default() };
            Ok(EmbeddingReply { vectors, model: Some("served".into()), usage })
        })
    }

    fn about(&self) -> &About {
        &self.about
    }
}

/// What a server answers to a call, by the address and how often that was called before.
type Server = dyn Fn(&FetchRequest, usize) -> Result<FetchReply, ModelError> + Send + Sync;

/// Answers HTTP calls after 10 ms.
pub(crate) struct FakeFetch {
    server: Box<Server>,
    pub(crate) called: Mutex<Vec<(FetchRequest, Option<TraceContext>)>>,
}

impl FakeFetch {
    pub(crate) fn new(
        server: impl Fn(&FetchRequest, usize) -> Result<FetchReply, ModelError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { server: Box::new(server), called: Mutex::default() })
    }
}

impl Fetch for FakeFetch {
    fn fetch<'a>(
        &'a self,
        request: &'a FetchRequest,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<FetchReply, ModelError>> {
        Box::pin(async move {
            let before = {
                let mut called = self.called.lock().unwrap();
                called.push((request.clone(), context.trace));
                called.iter().filter(|(known, _)| known.url == request.url).count() - 1
            };
            tokio::time::sleep(Duration::from_millis(10)).await;
            (self.server)(request, before)
        })
    }
}

/// One model behind one connection, and one server behind all addresses.
pub(crate) struct FakeModels(pub(crate) Arc<FakeModel>, pub(crate) Arc<FakeFetch>);

impl FakeModels {
    /// Nobody is behind any address.
    pub(crate) fn of(model: &Arc<FakeModel>) -> Self {
        let nobody = |request: &FetchRequest, _| {
            Err(ModelError::Unreachable { endpoint: request.url.to_string(), message: "nobody".to_owned() })
        };
        Self(model.clone(), FakeFetch::new(nobody))
    }

    fn known(&self, connection: &ConnectionName) -> Result<Arc<FakeModel>, ModelError> {
        if *connection != self.0.about.connection {
            let known = vec![self.0.about.connection.to_string()];
            return Err(ModelError::NoSuchConnection { name: connection.to_string(), known });
        }
        Ok(self.0.clone())
    }
}

impl Models for FakeModels {
    fn chat(&self, connection: &ConnectionName) -> Result<Arc<dyn ChatModel>, ModelError> {
        Ok(self.known(connection)?)
    }

    fn embedding(&self, connection: &ConnectionName) -> Result<Arc<dyn EmbeddingModel>, ModelError> {
        Ok(self.known(connection)?)
    }

    fn fetch(&self) -> Arc<dyn Fetch> {
        self.1.clone()
    }
}

/// Keeps events in memory, and fails at a batch if told so.
#[derive(Default)]
pub(crate) struct MemoryJournal {
    pub(crate) kept: Mutex<Vec<Event>>,
    pub(crate) batches: AtomicUsize,
    pub(crate) fails_at: Option<usize>,
    /// How long a commit takes.
    pub(crate) commit: Duration,
    /// Told of the number of events after each batch.
    pub(crate) grown: tokio::sync::watch::Sender<usize>,
}

impl Journal for MemoryJournal {
    fn append(&self, events: Arc<Vec<Event>>) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(async move {
            tokio::time::sleep(self.commit).await;
            if Some(self.batches.fetch_add(1, Ordering::SeqCst)) == self.fails_at {
                return Err(JournalError { place: "memory".to_owned(), message: "disk full".to_owned() });
            }
            let mut kept = self.kept.lock().unwrap();
            kept.extend(events.iter().cloned());
            self.grown.send_replace(kept.len());
            Ok(())
        })
    }
}

impl MemoryJournal {
    pub(crate) fn events(&self) -> Vec<Event> {
        self.kept.lock().unwrap().clone()
    }
}

/// How much of a text's end may be the beginning of `secret`.
pub(crate) fn begun(secret: &'static str) -> Begun {
    Arc::new(move |text| (1..secret.len()).rev().find(|length| text.ends_with(&secret[..*length])).unwrap_or(0))
}

/// An engine of these parts.
pub(crate) fn engine(model: &Arc<FakeModel>, journal: &Arc<MemoryJournal>) -> Engine {
    Engine {
        kept: Default::default(),
        budget: None,
        journal: journal.clone(),
        listeners: Listeners::default(),
        models: Arc::new(FakeModels::of(model)),
        python: None,
        prices: Prices([("m".into(), Price { input: 1.0, cached_input: None, output: 2.0 })].into()),
        redact: Redact {
            rewrite: Arc::new(|text| text.contains("s3cret").then(|| text.replace("s3cret", "***"))),
            begun: begun("s3cret"),
        },
        options: Options::default(),
    }
}

pub(crate) async fn run_with(engine: &Engine, plan: &BoundPlan, given: &str) -> RunReport {
    let inputs = plan.plan().resolve_inputs(&inputs(given)).unwrap();
    sluicegate_executor::run(engine, plan, Start::New(NewRun::of(inputs)), std::future::pending()).await
}

/// Runs with a model of one's own and returns what happened too.
pub(crate) async fn run(plan: &BoundPlan, model: &Arc<FakeModel>, given: &str) -> (RunReport, Vec<Event>) {
    let journal = Arc::new(MemoryJournal::default());
    let report = run_with(&engine(model, &journal), plan, given).await;
    (report, journal.events())
}

pub(crate) fn outputs(report: &RunReport) -> String {
    assert_eq!(report.status, RunStatus::Completed, "{:#?}", report.failure);
    Value::from(report.outputs.clone().unwrap()).to_json()
}

/// Events in short: `+a` began, `-a` ended, `?a` asked a model, `!a` heard from it, `~a` will be tried again, `%a` sends
/// a parameter otherwise.
pub(crate) fn in_short(events: &[Event]) -> String {
    let words = events.iter().map(|event| {
        let path = &event.scope.path;
        match &event.kind {
            EventKind::RunStarted { .. } => "started".to_owned(),
            EventKind::RunResumed { repeated_calls, .. } => format!("resumed({repeated_calls})"),
            EventKind::RunFinished { status, .. } => format!("{status:?}").to_lowercase(),
            EventKind::NodeStarted { .. } => format!("+{path}"),
            EventKind::NodeAttemptFailed { failure, .. } => format!("~{path}({})", failure.code),
            EventKind::NodeFinished { outcome, .. } => match outcome {
                Outcome::Completed { .. } => format!("-{path}"),
                Outcome::Bypassed => format!("-{path}(bypassed)"),
                Outcome::Failed { failure } => format!("-{path}({})", failure.code),
                Outcome::Waiting { .. } => format!("-{path}(waiting)"),
                Outcome::Cancelled => format!("-{path}(cancelled)"),
            },
            EventKind::ModelCallStarted { .. } => format!("?{path}"),
            EventKind::ModelCallFinished { end, .. } => match end {
                CallEnd::Replied { .. } | CallEnd::Embedded { .. } => format!("!{path}"),
                CallEnd::Failed { failure } => format!("!{path}({})", failure.code),
                CallEnd::Cancelled => format!("!{path}(cancelled)"),
            },
            EventKind::ModelCallAdapted { parameter, .. } => format!("%{path}({parameter})"),
            EventKind::FetchStarted { .. } => format!("?{path}"),
            EventKind::FetchFinished { end, .. } => match end {
                FetchEnd::Answered { status, .. } => format!("!{path}({status})"),
                FetchEnd::Failed { failure } => format!("!{path}({})", failure.code),
                FetchEnd::Cancelled => format!("!{path}(cancelled)"),
            },
            other => format!("{other:?}"),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
