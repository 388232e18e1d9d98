//! How much of a deployment's quota is used, and how many requests it refuses: 64 calls in flight over HTTP against a
//! deployment with a limit of tokens per minute that it keeps in every slice of ten seconds.
//!
//! Targets: at least 95 % used, at most 1 % refused, in every row but the last: where nobody tells of the limit, neither
//! settings nor headers, only refusals show where it is, and somebody has to be refused.
//! `cargo bench -p sluicegate-providers --bench quota`, and `-- --seconds 120` for longer rows.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use sluicegate_config::{Connection, ConnectionKind, Limits, Retry};
use sluicegate_model::{CallContext, ChatRequest, Message, Models as _, Prompt};
use sluicegate_providers::{Options, connect};
use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_value::Map;
use tokio::task::JoinSet;

/// Tokens per minute.
const LIMIT: f64 = 600_000.0;

/// The slice of a minute that the deployment looks at.
const SLICE: Duration = Duration::from_secs(10);

/// How long a reply takes.
const LATENCY: Duration = Duration::from_millis(500);

/// Tokens of each request, and the most that its reply may have.
const INPUT: f64 = 100.0;
const MAXIMUM: f64 = 400.0;

/// How a deployment behaves, and what we are told of it.
struct Row {
    name: &'static str,
    /// `tokens_per_minute` of the connection.
    configured: bool,
    /// The deployment's headers tell what is left.
    tells: bool,
    /// The deployment counts what a reply may have, as Azure does, rather than what it has.
    by_maximum: bool,
}

const ROWS: [Row; 5] = [
    Row { name: "limit configured", configured: true, tells: false, by_maximum: false },
    Row { name: "limit configured, maxima count", configured: true, tells: false, by_maximum: true },
    Row { name: "limit told by headers", configured: false, tells: true, by_maximum: false },
    Row { name: "limit told by headers, maxima count", configured: false, tells: true, by_maximum: true },
    Row { name: "nothing known but refusals", configured: false, tells: false, by_maximum: false },
];

#[derive(Default)]
struct Counted {
    used: VecDeque<(Instant, f64)>,
    total: f64,
    requests: u32,
    refused: u32,
}

impl Counted {
    /// Answers a request as the deployment does.
    fn answer(&mut self, row: &Row) -> Answer {
        let now = Instant::now();
        while self.used.front().is_some_and(|(at, _)| now.duration_since(*at) >= SLICE) {
            self.used.pop_front();
        }
        self.requests += 1;
        // Replies of 50 to 350 tokens, in no order.
        let output = 50.0 + f64::from(self.requests.wrapping_mul(2_654_435_761) >> 8) % 301.0;
        let cost = INPUT + if row.by_maximum { MAXIMUM } else { output };
        let room = LIMIT * SLICE.as_secs_f64() / 60.0;
        let used: f64 = self.used.iter().map(|(_, tokens)| tokens).sum();
        let fits = used + cost <= room;
        let answer = if fits {
            self.used.push_back((now, cost));
            self.total += cost;
            let body = json!({
                "choices": [{ "index": 0, "message": { "role": "assistant", "content": "ok" }, "finish_reason": "stop" }],
                "usage": { "prompt_tokens": INPUT as u64, "completion_tokens": output as u64 },
            });
            Answer::json(200, &body)
        } else {
            self.refused += 1;
            let wait = self.used.front().map_or(SLICE, |(at, _)| SLICE - now.duration_since(*at));
            let wait = wait.max(Duration::from_millis(100)).as_millis().to_string();
            Answer::error(429, "429", "Requests have exceeded the token rate limit.").header("retry-after-ms", &wait)
        };
        let answer = if row.tells {
            let left = (room - used - if fits { cost } else { 0.0 }) / room * LIMIT;
            let header = |number: f64| format!("{number:.0}");
            answer
                .header("x-ratelimit-limit-tokens", &header(LIMIT))
                .header("x-ratelimit-remaining-tokens", &header(left))
        } else {
            answer
        };
        if fits { answer.after(LATENCY) } else { answer }
    }
}

/// Shares in percent: of the quota that was used, of the requests that were refused; and how many requests there were.
async fn run(row: &'static Row, seconds: u64) -> (f64, f64, u32) {
    let endpoint = Endpoint::start();
    endpoint.forget_requests();
    let counted = Arc::new(Mutex::new(Counted::default()));
    let state = counted.clone();
    endpoint.on(move |_| Some(state.lock().unwrap().answer(row)));
    let kind = ConnectionKind::OpenAi { base_url: endpoint.url(), api_key: None, organization: None, responses: false };
    let limits = Limits { tokens_per_minute: row.configured.then_some(LIMIT as u32), ..Limits::default() };
    let retry = Retry { max_attempts: 100, ..Retry::default() };
    let models = connect(vec![Connection { limits, retry, ..Connection::new("c", kind) }], Options::default());
    let model = models.chat(&"c".into()).unwrap();
    let request = Arc::new(ChatRequest {
        model: "m".into(),
        prompt: Prompt::Messages(vec![Message::text("user", "x".repeat(384))]),
        parameters: Map::from([("max_tokens", MAXIMUM)]),
        stream: false,
        called_from: "".into(),
        api: None,
    });
    let begun = Instant::now();
    let end = begun + Duration::from_secs(seconds);
    let mut calls = JoinSet::new();
    for _ in 0..128 {
        let (model, request) = (model.clone(), request.clone());
        calls.spawn(async move {
            while Instant::now() < end {
                let _ = tokio::time::timeout_at(end.into(), model.chat(&request, &CallContext::detached())).await;
            }
        });
    }
    calls.join_all().await;
    let counted = counted.lock().unwrap();
    let used = counted.total / (LIMIT / 60.0 * begun.elapsed().as_secs_f64()) * 100.0;
    (used, f64::from(counted.refused) / f64::from(counted.requests) * 100.0, counted.requests)
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let seconds = arguments.iter().position(|argument| argument == "--seconds");
    let seconds = seconds.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(30);
    // Under `cargo test` benchmarks only show that they start.
    let seconds = if arguments.iter().any(|argument| argument == "--bench") { seconds } else { 1 };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!(
        "{LIMIT} tokens a minute, kept in slices of {SLICE:?}; {seconds} s a row; targets: 95 % used, 1 % refused"
    );
    println!("| {:<36} | used | refused | requests |", "what is known of the limit");
    println!("| {:-<36} | ---: | ------: | -------: |", "");
    for row in &ROWS {
        let (used, refused, requests) = runtime.block_on(run(row, seconds));
        println!("| {:<36} | {used:.1} % | {refused:.2} % | {requests} |", row.name);
    }
    println!("The last row has no target: where nobody tells of the limit, somebody has to be refused to find it.");
}
