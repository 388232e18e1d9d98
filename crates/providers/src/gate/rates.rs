//! The limits of the settings, and what an attempt likely costs.

use std::time::Duration;

use sluicegate_config::Limits;
use sluicegate_model::{Message, Prompt};
use tokio::time::Instant;

use super::bucket::Bucket;
use crate::ask::Ask;

/// What of a limit is used: the rest is for what estimates and clocks are wrong by, since endpoints refuse the first
/// token too much.
pub(super) const SHARE: f64 = 0.975;

/// Requests and tokens per minute, as the settings limit them.
pub(super) struct Rates {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

/// What an attempt likely costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cost {
    /// Tokens of the request, before any correction.
    pub(super) input: f64,
    /// The most that the reply may have, if the request says so.
    pub(super) maximum: Option<f64>,
    /// Whether there is a reply of tokens at all.
    pub(super) has_reply: bool,
    /// What was taken for it.
    pub(super) taken: f64,
}

impl Rates {
    /// `None` if nothing is limited.
    pub(super) fn new(limits: &Limits, now: Instant) -> Option<Self> {
        let bucket = |per_minute: u32| Bucket::new(f64::from(per_minute) * SHARE, now);
        let requests = limits.requests_per_minute.map(bucket);
        let tokens = limits.tokens_per_minute.map(bucket);
        (requests.is_some() || tokens.is_some()).then_some(Self { requests, tokens })
    }

    pub(super) fn limits_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    /// How long to wait before one request of so many tokens.
    pub(super) fn wait(&mut self, now: Instant, tokens: f64) -> Duration {
        let wait = |bucket: &mut Option<Bucket>, cost: f64| {
            let Some(bucket) = bucket else { return Duration::ZERO };
            bucket.fill(now, 1.0);
            bucket.wait(cost, 1.0)
        };
        wait(&mut self.requests, 1.0).max(wait(&mut self.tokens, tokens))
    }

    pub(super) fn take(&mut self, tokens: f64) {
        self.take_requests(1.0);
        if let Some(bucket) = &mut self.tokens {
            bucket.take(tokens);
        }
    }

    pub(super) fn take_requests(&mut self, requests: f64) {
        if let Some(bucket) = &mut self.requests {
            bucket.take(requests);
        }
    }

    pub(super) fn give_back(&mut self, tokens: f64) {
        if let Some(bucket) = &mut self.tokens {
            bucket.give_back(tokens);
        }
    }
}

impl Cost {
    pub(super) fn of(ask: &Ask<'_>) -> Self {
        let maximum = ["max_completion_tokens", "max_tokens"]
            .iter()
            .find_map(|name| ask.parameters().get(name)?.as_number())
            .filter(|maximum| maximum.is_finite() && *maximum >= 0.0);
        Self { input: input_estimate(ask), maximum, has_reply: matches!(ask, Ask::Chat(_)), taken: 0.0 }
    }
}

fn input_estimate(ask: &Ask<'_>) -> f64 {
    let request = match ask {
        Ask::Embedding(request) => return request.input.texts().iter().map(|text| estimate(text.len())).sum(),
        Ask::Chat(request) => request,
    };
    match &request.prompt {
        Prompt::Text(text) => estimate(text.len()),
        Prompt::Messages(messages) => {
            let text = |message: &Message| message.content.as_ref().map_or(0, |content| content.plain_text().len());
            messages.iter().map(|message| 4.0 + estimate(text(message))).sum()
        }
    }
}

/// Tokens of so many bytes of text, roughly.
pub(super) fn estimate(bytes: usize) -> f64 {
    (bytes as f64 / 4.0).ceil()
}
