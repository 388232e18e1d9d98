//! How much of a deployment's quota is used and how often it refuses, in time that the test turns: many calls at once
//! for minutes, against limits as real deployments have them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use sluicegate_config::{Connection, ConnectionKind, Limits, Retry};
use sluicegate_model::{About, CallContext, ChatModel as _, ChatReply, ChatRequest, ModelError, Prompt, Usage};
use sluicegate_value::Map;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Layered;
use crate::ask::{Answer, Ask};
use crate::transport::{Attempt, Transport};

/// How a deployment counts.
#[derive(Clone, Copy, Debug)]
struct Deployment {
    /// Tokens per minute.
    limit: f64,
    /// In which time the limit's share must not be exceeded; real ones look at slices of a minute.
    window: Duration,
    /// How long a reply takes.
    latency: Duration,
    /// Whether what a reply may have counts, rather than what it has.
    by_maximum: bool,
    /// Whether its headers tell of the quota.
    tells: bool,
}

struct Fake {
    deployment: Deployment,
    begun: Instant,
    state: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    used: VecDeque<(Instant, f64)>,
    total: f64,
    answered: u32,
    refused: u32,
    requests: u32,
}

impl Fake {
    /// Takes a request in: how long its reply is, or how long to wait.
    fn admit(&self, maximum: f64, attempt: &Attempt<'_>) -> Result<f64, Duration> {
        let Deployment { limit, window, by_maximum, tells, .. } = self.deployment;
        let mut counted = self.state.lock().unwrap();
        counted.requests += 1;
        let now = Instant::now();
        while counted.used.front().is_some_and(|(at, _)| now.duration_since(*at) >= window) {
            counted.used.pop_front();
        }
        // Replies of 50 to 350 tokens, in no order.
        let output = 50.0 + f64::from(counted.requests.wrapping_mul(2_654_435_761) >> 8) % 301.0;
        let cost = INPUT + if by_maximum { maximum } else { output };
        let room = limit * window.as_secs_f64() / 60.0;
        let used: f64 = counted.used.iter().map(|(_, tokens)| tokens).sum();
        let fits = used + cost <= room;
        if tells {
            let left = (room - used - if fits { cost } else { 0.0 }) / room * limit;
            let headers = [("x-ratelimit-limit-tokens", limit), ("x-ratelimit-remaining-tokens", left)];
            let headers = headers.map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_str(&format!("{value:.0}")).unwrap())
            });
            attempt.hear(&HeaderMap::from_iter(headers));
        }
        if !fits {
            counted.refused += 1;
            let until = counted.used.front().map_or(window, |(at, _)| window - now.duration_since(*at));
            return Err(until.max(Duration::from_millis(100)));
        }
        counted.used.push_back((now, cost));
        counted.total += cost;
        counted.answered += 1;
        Ok(output)
    }
}

/// Tokens of each request; 400 bytes.
const INPUT: f64 = 100.0;

impl Transport for Fake {
    async fn send(&self, ask: &Ask<'_>, attempt: &Attempt<'_>) -> Result<Answer, ModelError> {
        let maximum = ask.parameters().get("max_tokens").and_then(|tokens| tokens.as_number()).unwrap_or(0.0);
        sleep(Duration::from_millis(5)).await;
        match self.admit(maximum, attempt) {
            Ok(output) => {
                sleep(self.deployment.latency).await;
                let usage =
                    Usage { input_tokens: Some(INPUT as u64), output_tokens: Some(output as u64), ..Usage::default() };
                Ok(Answer::Chat(Box::new(ChatReply { usage, ..ChatReply::of_text("ok") })))
            }
            Err(wait) => {
                Err(ModelError::RateLimited { retry_after: Some(wait), temporary: true, message: String::new() })
            }
        }
    }
}

/// Shares of the quota that were used, and of the requests that were refused, in percent.
async fn run(deployment: Deployment, configured: bool, seconds: u64) -> (f64, f64) {
    // As many as the replies take time for.
    let max_in_flight = if deployment.latency < Duration::from_secs(1) { 64 } else { 200 };
    let limits =
        Limits { max_in_flight, tokens_per_minute: configured.then_some(deployment.limit as u32), ..Limits::default() };
    let kind = ConnectionKind::Other { type_name: "test".to_owned() };
    let retry = Retry { max_attempts: 1000, ..Retry::default() };
    let connection = Connection { limits, retry, ..Connection::new("test", kind) };
    let about = About { connection: "test".into(), provider: "test".into(), host: "".into(), port: 0 };
    let fake = Fake { deployment, begun: Instant::now(), state: Mutex::default() };
    let model = Arc::new(Layered::new(fake, about, &connection));
    let request = Arc::new(ChatRequest {
        model: "m".into(),
        prompt: Prompt::Text("x".repeat(400).into()),
        parameters: Map::from([("max_tokens", 1000_i64)]),
        stream: false,
        called_from: "".into(),
        api: None,
    });
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut calls = JoinSet::new();
    for _ in 0..400 {
        let (model, request) = (model.clone(), request.clone());
        calls.spawn(async move {
            while Instant::now() < end {
                let _ = tokio::time::timeout_at(end, model.chat(&request, &CallContext::detached())).await;
            }
        });
    }
    calls.join_all().await;
    let fake = &model.transport;
    let counted = fake.state.lock().unwrap();
    let allowed = deployment.limit / 60.0 * fake.begun.elapsed().as_secs_f64();
    let used = counted.total / allowed * 100.0;
    let refused = f64::from(counted.refused) / f64::from(counted.requests) * 100.0;
    (used, refused)
}

/// The quota is used to at least 95 % with at most 1 % of requests refused.
async fn check(deployment: Deployment, configured: bool) {
    let (used, refused) = run(deployment, configured, 600).await;
    assert!(used >= 95.0 && refused <= 1.0, "{used:.1} % used, {refused:.2} % refused");
}

const BUSY: Deployment = Deployment {
    limit: 600_000.0,
    window: Duration::from_secs(10),
    latency: Duration::from_millis(800),
    by_maximum: false,
    tells: false,
};

#[tokio::test(start_paused = true)]
async fn a_limit_of_the_settings_is_used_and_kept() {
    check(BUSY, true).await;
    check(Deployment { limit: 100_000.0, window: Duration::from_secs(60), ..BUSY }, true).await;
    check(Deployment { latency: Duration::from_secs(3), ..BUSY }, true).await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_the_settings_is_kept_however_the_endpoint_counts() {
    let by_maximum = Deployment { by_maximum: true, ..BUSY };
    check(by_maximum, true).await;
    check(Deployment { limit: 100_000.0, window: Duration::from_secs(60), ..by_maximum }, true).await;
    // Nor does it take long to learn.
    let (used, refused) = run(by_maximum, true, 30).await;
    assert!(used >= 95.0 && refused <= 1.0, "{used:.1} % used, {refused:.2} % refused");
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_headers_tell_is_used_and_kept() {
    let tells = Deployment { tells: true, ..BUSY };
    check(tells, false).await;
    check(tells, true).await;
    check(Deployment { by_maximum: true, ..tells }, false).await;
    check(Deployment { limit: 100_000.0, window: Duration::from_secs(60), ..tells }, false).await;
    check(Deployment { window: Duration::from_secs(60), latency: Duration::from_secs(3), ..tells }, false).await;
}

/// Without a word of the quota only refusals show where it ends, and somebody has to be refused.
#[tokio::test(start_paused = true)]
async fn a_quota_of_which_nobody_tells_is_found_by_its_refusals() {
    let (used, refused) = run(BUSY, false, 600).await;
    assert!(used >= 75.0 && refused <= 3.0, "{used:.1} % used, {refused:.2} % refused");
}
