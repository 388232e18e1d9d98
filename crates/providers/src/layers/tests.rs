//! The layers alone, over a transport without network, in time that the test turns.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use sluicegate_config::{Connection, ConnectionKind, Limits, Retry, Timeouts};
use sluicegate_model::{
    About, CallContext, CallNotice, ChatModel as _, ChatReply, ChatRequest, ModelError, Notices, Phase, Prompt, Usage,
};
use sluicegate_value::Map;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Layered;
use crate::ask::{Answer, Ask};
use crate::transport::{Attempt, Transport};

/// Answers each attempt by its number in the whole test, from 1.
struct Fake<F> {
    answer: F,
    takes: Duration,
    sent: AtomicU32,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

impl<F: Fn(u32, &Attempt<'_>) -> Result<ChatReply, ModelError> + Send + Sync> Transport for Fake<F> {
    async fn send(&self, _: &Ask<'_>, attempt: &Attempt<'_>) -> Result<Answer, ModelError> {
        let number = self.sent.fetch_add(1, Ordering::SeqCst) + 1;
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_flight.fetch_max(now, Ordering::SeqCst);
        sleep(self.takes).await;
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        (self.answer)(number, attempt).map(|reply| Answer::Chat(Box::new(reply)))
    }
}

fn layered<F>(limits: Limits, takes_ms: u64, answer: F) -> Arc<Layered<Fake<F>>>
where
    F: Fn(u32, &Attempt<'_>) -> Result<ChatReply, ModelError> + Send + Sync + 'static,
{
    layered_with(limits, Timeouts::default(), Retry::default(), takes_ms, answer)
}

fn layered_with<F>(limits: Limits, timeouts: Timeouts, retry: Retry, takes_ms: u64, answer: F) -> Arc<Layered<Fake<F>>>
where
    F: Fn(u32, &Attempt<'_>) -> Result<ChatReply, ModelError> + Send + Sync + 'static,
{
    let kind = ConnectionKind::Other { type_name: "test".to_owned() };
    let connection = Connection { limits, timeouts, retry, ..Connection::new("test", kind) };
    let about = About { connection: "test".into(), provider: "test".into(), host: "".into(), port: 0 };
    let fake = Fake {
        answer,
        takes: Duration::from_millis(takes_ms),
        sent: AtomicU32::new(0),
        in_flight: AtomicUsize::new(0),
        most_in_flight: AtomicUsize::new(0),
    };
    let mut layered = Layered::new(fake, about, &connection);
    layered.jitter = || 1.0;
    Arc::new(layered)
}

fn request() -> ChatRequest {
    ChatRequest {
        model: "m".into(),
        prompt: Prompt::Text("hello".into()),
        parameters: Map::new(),
        stream: false,
        called_from: "".into(),
        api: None,
    }
}

fn reply() -> ChatReply {
    ChatReply {
        usage: Usage { input_tokens: Some(60), output_tokens: Some(40), ..Usage::default() },
        ..ChatReply::of_text("ok")
    }
}

fn failed(status: u16) -> ModelError {
    ModelError::ServerFailed { status, retry_after: None, message: String::new() }
}

fn rate_limited(seconds: u64) -> ModelError {
    ModelError::RateLimited { retry_after: Some(Duration::from_secs(seconds)), temporary: true, message: String::new() }
}

#[derive(Default)]
struct Ears(Mutex<Vec<String>>);

impl Notices for Ears {
    fn notice(&self, notice: CallNotice) {
        let line = match notice {
            CallNotice::AttemptFailed { attempt, error, retry_in } => {
                format!("failed {attempt} {} {retry_in:?}", error.code())
            }
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

fn listening() -> (Arc<Ears>, CallContext) {
    let ears = Arc::new(Ears::default());
    let context = CallContext { notices: ears.clone(), ..CallContext::detached() };
    (ears, context)
}

#[tokio::test(start_paused = true)]
async fn pauses_double_and_every_attempt_is_told() {
    let model = layered(Limits::default(), 0, |number, _| if number < 4 { Err(failed(500)) } else { Ok(reply()) });
    let (ears, context) = listening();
    let begun = Instant::now();
    model.chat(&request(), &context).await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 1 + 2 + 4);
    assert_eq!(
        *ears.0.lock().unwrap(),
        [
            "AttemptStarted { attempt: 1 }",
            "failed 1 server_failed Some(1s)",
            "AttemptStarted { attempt: 2 }",
            "failed 2 server_failed Some(2s)",
            "AttemptStarted { attempt: 3 }",
            "failed 3 server_failed Some(4s)",
            "AttemptStarted { attempt: 4 }",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_attempt_fails_for_good() {
    let model = layered(Limits::default(), 0, |_, _| Err(failed(503)));
    let (ears, context) = listening();
    assert_eq!(model.chat(&request(), &context).await, Err(failed(503)));
    assert_eq!(model.transport.sent.load(Ordering::SeqCst), 6);
    assert_eq!(ears.0.lock().unwrap().last().unwrap(), "failed 6 server_failed None");
}

#[tokio::test(start_paused = true)]
async fn what_waiting_does_not_help_is_not_repeated() {
    let quota = ModelError::RateLimited { retry_after: None, temporary: false, message: String::new() };
    let expected = quota.clone();
    let model = layered(Limits::default(), 0, move |_, _| Err(quota.clone()));
    assert_eq!(model.chat(&request(), &CallContext::detached()).await, Err(expected));
    assert_eq!(model.transport.sent.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured_beyond_our_own_longest_pause() {
    let model =
        layered(Limits::default(), 0, |number, _| if number == 1 { Err(rate_limited(90)) } else { Ok(reply()) });
    let begun = Instant::now();
    model.chat(&request(), &CallContext::detached()).await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 91);
}

#[tokio::test(start_paused = true)]
async fn a_pause_beyond_the_deadline_is_not_waited_for() {
    let model = layered(Limits::default(), 0, |_, _| Err(rate_limited(3600)));
    let begun = Instant::now();
    assert_eq!(model.chat(&request(), &CallContext::detached()).await, Err(rate_limited(3600)));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    // The next call knows of the pause, and does not even ask.
    let error = model.chat(&request(), &CallContext::detached()).await.unwrap_err();
    assert_eq!((error.code(), error.retry_after()), ("rate_limited", Some(Duration::from_secs(3600))));
    assert_eq!(model.transport.sent.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn the_caller_s_deadline_ends_the_call() {
    let model = layered(Limits::default(), 60_000, |_, _| Ok(reply()));
    let deadline = Some((Instant::now() + Duration::from_secs(5)).into_std());
    let (ears, context) = listening();
    let error = model.chat(&request(), &CallContext { deadline, ..context }).await.unwrap_err();
    assert_eq!(error, ModelError::TimedOut { phase: Phase::Total, after: Duration::from_secs(5) });
    assert_eq!(*ears.0.lock().unwrap(), ["AttemptStarted { attempt: 1 }", "failed 1 timed_out None"]);
}

#[tokio::test(start_paused = true)]
async fn the_total_timeout_begins_when_a_call_has_its_permit() {
    let limits = Limits { max_in_flight: 1, ..Limits::default() };
    let timeouts = Timeouts { total: Duration::from_secs(1), ..Timeouts::default() };
    let model = layered_with(limits, timeouts, Retry::default(), 700, |_, _| Ok(reply()));
    let mut calls = JoinSet::new();
    for _ in 0..5 {
        let model = model.clone();
        calls.spawn(async move { model.chat(&request(), &CallContext::detached()).await });
    }
    let replies = calls.join_all().await;
    assert!(replies.iter().all(Result::is_ok), "{replies:?}");
}

#[tokio::test(start_paused = true)]
async fn the_caller_s_deadline_ends_the_wait_for_a_permit() {
    let limits = Limits { max_in_flight: 1, ..Limits::default() };
    let model = layered(limits, 60_000, |_, _| Ok(reply()));
    let busy = tokio::spawn({
        let model = model.clone();
        async move { model.chat(&request(), &CallContext::detached()).await }
    });
    sleep(Duration::from_secs(1)).await;
    let deadline = Some((Instant::now() + Duration::from_secs(5)).into_std());
    let (ears, context) = listening();
    let error = model.chat(&request(), &CallContext { deadline, ..context }).await.unwrap_err();
    assert_eq!(error, ModelError::TimedOut { phase: Phase::Total, after: Duration::from_secs(5) });
    assert_eq!(*ears.0.lock().unwrap(), ["Queued"]);
    busy.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_absurd_pause_is_no_further_attempt() {
    let retry = Retry { initial: Duration::MAX, max: Duration::MAX, ..Retry::default() };
    let model = layered_with(Limits::default(), Timeouts::default(), retry, 0, |_, _| Err(failed(500)));
    assert_eq!(model.chat(&request(), &CallContext::detached()).await, Err(failed(500)));
    assert_eq!(model.transport.sent.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_repeats_what_was_passed_on() {
    let model = layered(Limits::default(), 0, |_, attempt| {
        attempt.pass_on("once ");
        Err(failed(500))
    });
    let (ears, context) = listening();
    let error = model.chat(&request(), &context).await.unwrap_err();
    assert!(matches!(error, ModelError::StreamBroken { passed_on: true, .. }), "{error:?}");
    assert!(!error.is_transient());
    assert_eq!(ears.0.lock().unwrap()[1..3], ["FirstChunk { after: 0ns }", "Chunk { text: \"once \" }"]);
}

#[tokio::test(start_paused = true)]
async fn permits_bound_what_is_in_flight() {
    let model = layered(Limits { max_in_flight: 3, ..Limits::default() }, 100, |_, _| Ok(reply()));
    let mut calls = JoinSet::new();
    let ears = Arc::new(Ears::default());
    for _ in 0..10 {
        let (model, context) = (model.clone(), CallContext { notices: ears.clone(), ..CallContext::detached() });
        calls.spawn(async move { model.chat(&request(), &context).await });
    }
    let begun = Instant::now();
    assert_eq!(calls.join_all().await.iter().filter(|reply| reply.is_ok()).count(), 10);
    assert_eq!(model.transport.most_in_flight.load(Ordering::SeqCst), 3);
    assert_eq!(begun.elapsed().as_millis(), 400);
    assert_eq!(ears.0.lock().unwrap().iter().filter(|notice| *notice == "Queued").count(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_permit_is_free_during_back_off() {
    let limits = Limits { max_in_flight: 1, ..Limits::default() };
    let model = layered(limits, 10, |number, _| if number == 1 { Err(failed(500)) } else { Ok(reply()) });
    let begun = Instant::now();
    let first = {
        let model = model.clone();
        async move { model.chat(&request(), &CallContext::detached()).await.map(|_| begun.elapsed()) }
    };
    let second = {
        let model = model.clone();
        async move { model.chat(&request(), &CallContext::detached()).await.map(|_| begun.elapsed()) }
    };
    let (first, second) = tokio::join!(first, second);
    // The second call used the only permit while the first one paused for a second.
    assert_eq!((first.unwrap().as_millis(), second.unwrap().as_millis()), (1020, 20));
}

#[tokio::test(start_paused = true)]
async fn one_call_s_pause_holds_the_others_of_its_model() {
    let model =
        layered(Limits::default(), 0, |number, _| if number == 1 { Err(rate_limited(10)) } else { Ok(reply()) });
    let begun = Instant::now();
    let first = tokio::spawn({
        let model = model.clone();
        async move { model.chat(&request(), &CallContext::detached()).await }
    });
    sleep(Duration::from_secs(1)).await;
    let other = ChatRequest { model: "other".into(), ..request() };
    model.chat(&other, &CallContext::detached()).await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 1);
    let (ears, context) = listening();
    model.chat(&request(), &context).await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert_eq!(ears.0.lock().unwrap()[0], "Queued");
    first.await.unwrap().unwrap();
}

async fn seconds_for(limits: Limits, calls: u32) -> u64 {
    let model = layered(limits, 0, |_, _| Ok(reply()));
    let begun = Instant::now();
    let mut all = JoinSet::new();
    for _ in 0..calls {
        let model = model.clone();
        all.spawn(async move {
            let long = CallContext::detached();
            let mut result = model.chat(&request(), &long).await;
            // The total timeout of ten minutes may pass; the rate is what counts here.
            while result.as_ref().is_err_and(ModelError::is_transient) {
                sleep(Duration::from_secs(1)).await;
                result = model.chat(&request(), &long).await;
            }
            result.unwrap();
        });
    }
    all.join_all().await;
    begun.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn requests_per_minute_are_kept() {
    let limits = Limits { max_in_flight: 1000, requests_per_minute: Some(120), ..Limits::default() };
    let seconds = seconds_for(limits, 600).await;
    assert!((300..=310).contains(&seconds), "{seconds} s for 600 requests at 120 a minute");
}

#[tokio::test(start_paused = true)]
async fn tokens_per_minute_are_kept_by_what_replies_really_used() {
    // Each reply uses 100 tokens, whatever was reserved.
    let limits = Limits { max_in_flight: 4, tokens_per_minute: Some(6_000), ..Limits::default() };
    let seconds = seconds_for(limits, 300).await;
    assert!((285..=315).contains(&seconds), "{seconds} s for 30,000 tokens at 6,000 a minute");
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_while_it_waits_gives_its_turn_back() {
    let limits = Limits { requests_per_minute: Some(6), ..Limits::default() };
    let model = layered(limits, 0, |_, _| Ok(reply()));
    let call = || async { model.chat(&request(), &CallContext::detached()).await.unwrap() };
    call().await;
    let begun = Instant::now();
    assert!(tokio::time::timeout(Duration::from_secs(1), call()).await.is_err());
    call().await;
    assert_eq!(begun.elapsed().as_secs(), 10);
}

/// Tells of a quota, as an endpoint's headers do: what is left of tokens, and of how many, if it says so.
fn tell(attempt: &Attempt<'_>, remaining: u64, limit: Option<u64>) {
    let mut headers = HeaderMap::from_iter([(REMAINING, HeaderValue::from(remaining))]);
    headers.extend(limit.map(|limit| (LIMIT, HeaderValue::from(limit))));
    attempt.hear(&headers);
}

const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining-tokens");
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit-tokens");

#[tokio::test(start_paused = true)]
async fn a_little_that_is_left_is_no_limit() {
    for remaining in [0, 1, 100] {
        let model = layered(Limits::default(), 0, move |_, attempt| {
            tell(attempt, remaining, None);
            Ok(reply())
        });
        let (ears, context) = listening();
        let begun = Instant::now();
        for _ in 0..20 {
            model.chat(&request(), &context).await.unwrap();
        }
        assert_eq!((begun.elapsed(), ears.0.lock().unwrap().len()), (Duration::ZERO, 20));
    }
}

/// Endpoints say odd things of their quotas, a day's in a minute's words among them.
#[tokio::test(start_paused = true)]
async fn a_quota_that_seems_to_let_nothing_through_is_tried_every_minute() {
    let model = layered(Limits::default(), 0, |_, attempt| {
        tell(attempt, 0, Some(1));
        Ok(reply())
    });
    let (ears, context) = listening();
    let begun = Instant::now();
    for _ in 0..5 {
        model.chat(&request(), &context).await.unwrap();
    }
    assert_eq!(begun.elapsed().as_secs(), 4 * 60);
    assert_eq!(ears.0.lock().unwrap()[..2], ["AttemptStarted { attempt: 1 }", "Queued"]);
}

#[tokio::test(start_paused = true)]
async fn a_quota_holds_no_call_for_longer_than_a_call_may_take() {
    let timeouts = Timeouts { total: Duration::from_secs(10), ..Timeouts::default() };
    let model = layered_with(Limits::default(), timeouts, Retry::default(), 0, |_, attempt| {
        tell(attempt, 0, Some(1));
        Ok(reply())
    });
    model.chat(&request(), &CallContext::detached()).await.unwrap();
    let begun = Instant::now();
    let error = model.chat(&request(), &CallContext::detached()).await.unwrap_err();
    assert_eq!((error.code(), begun.elapsed().as_secs()), ("rate_limited", 10));
    assert!(error.to_string().contains("the endpoint's quota is used up"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn models_take_turns_at_the_limit_of_their_connection() {
    let limits = Limits { tokens_per_minute: Some(60_000), ..Limits::default() };
    let model = layered(limits, 10, |_, _| Ok(reply()));
    let end = Instant::now() + Duration::from_secs(60);
    let mut calls = JoinSet::new();
    for (name, callers, words) in [("cheap", 30, 1), ("dear", 3, 5_000)] {
        for _ in 0..callers {
            let model = model.clone();
            let prompt = Prompt::Text("four".repeat(words).into());
            let request = ChatRequest { model: name.into(), prompt, ..request() };
            calls.spawn(async move {
                let mut answered = 0;
                let context = CallContext::detached();
                while let Ok(reply) = tokio::time::timeout_at(end, model.chat(&request, &context)).await {
                    answered += u32::from(reply.is_ok());
                }
                (name, answered)
            });
        }
    }
    let answered = calls.join_all().await;
    let of = |wanted: &str| answered.iter().filter(|(name, _)| *name == wanted).map(|(_, count)| count).sum::<u32>();
    let (cheap, dear) = (of("cheap"), of("dear"));
    assert!(dear >= 10 && cheap.abs_diff(dear) <= 40, "{cheap} cheap ones, {dear} dear ones");
}

#[tokio::test(start_paused = true)]
async fn a_count_that_nobody_can_believe_holds_nobody_for_long() {
    let limits = Limits { tokens_per_minute: Some(60_000), ..Limits::default() };
    let model = layered(limits, 0, |number, _| {
        let tokens = Some(if number == 1 { 1_000_000_000_000_000 } else { 60 });
        Ok(ChatReply { usage: Usage { input_tokens: tokens, output_tokens: tokens, ..Usage::default() }, ..reply() })
    });
    let begun = Instant::now();
    for _ in 0..10 {
        model.chat(&request(), &CallContext::detached()).await.unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(300), "{:?}", begun.elapsed());
}
