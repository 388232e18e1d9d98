//! How much each model still allows: a bucket of requests and one of tokens, which refill steadily.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sluicegate_model::script::Limits;

/// Models by whatever name a client makes up: beyond these they share one bucket.
const MOST_MODELS: usize = 4096;

/// The buckets of all models.
pub(super) struct Ledger {
    limits: Limits,
    models: Mutex<HashMap<String, Buckets>>,
}

/// What is left after a request, or why it is refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Standing {
    pub(super) requests: Option<Level>,
    pub(super) tokens: Option<Level>,
    /// How long until the request would pass, and which limit it is that refuses it; `None`: it passes.
    pub(super) refused: Option<(Duration, &'static str)>,
}

/// How full a bucket is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Level {
    pub(super) limit: u64,
    pub(super) remaining: u64,
    /// Until it is full again.
    pub(super) reset: Duration,
}

struct Buckets {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

struct Bucket {
    per_minute: u64,
    capacity: f64,
    level: f64,
    at: Instant,
}

impl Ledger {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, models: Mutex::default() }
    }

    /// Takes one request of so many tokens, if the model allows it now. What is refused costs nothing.
    pub(super) fn take(&self, model: &str, tokens: u64, now: Instant) -> Standing {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let model = if models.len() < MOST_MODELS || models.contains_key(model) { model } else { "" };
        if !models.contains_key(model) {
            models.insert(model.to_owned(), Buckets::full(&self.limits, now));
        }
        match models.get_mut(model) {
            Some(buckets) => buckets.take(tokens, now),
            None => Standing { requests: None, tokens: None, refused: None },
        }
    }
}

impl Buckets {
    fn full(limits: &Limits, now: Instant) -> Self {
        let bucket = |limit: Option<u64>| limit.map(|limit| Bucket::full(limit, limits.burst, now));
        Self { requests: bucket(limits.requests_per_minute), tokens: bucket(limits.tokens_per_minute) }
    }

    fn take(&mut self, tokens: u64, now: Instant) -> Standing {
        let mut refused: Option<(Duration, &'static str)> = None;
        let demands = [(&mut self.requests, 1.0, "requests"), (&mut self.tokens, tokens as f64, "tokens")];
        for (bucket, cost, what) in demands {
            if let Some(wait) = bucket.as_mut().and_then(|bucket| bucket.wait(cost, now)) {
                refused = refused.max(Some((wait, what)));
            }
        }
        if refused.is_none() {
            for (bucket, cost) in [(&mut self.requests, 1.0), (&mut self.tokens, tokens as f64)] {
                if let Some(bucket) = bucket {
                    bucket.level -= bucket.payable(cost);
                }
            }
        }
        let level = |bucket: &Option<Bucket>| bucket.as_ref().map(Bucket::level);
        Standing { requests: level(&self.requests), tokens: level(&self.tokens), refused }
    }
}

impl Bucket {
    fn full(per_minute: u64, burst: Duration, now: Instant) -> Self {
        // Never less than one request or token, or nothing would ever pass.
        let capacity = (per_minute as f64 * burst.as_secs_f64() / 60.0).max(1.0);
        Self { per_minute, capacity, level: capacity, at: now }
    }

    /// How long until `cost` can be paid; `None`: now.
    fn wait(&mut self, cost: f64, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.per_second()).min(self.capacity);
        self.at = self.at.max(now);
        let missing = self.payable(cost) - self.level;
        // A billionth is an error of arithmetic.
        (missing > 1e-9).then(|| Duration::from_secs_f64(missing / self.per_second()))
    }

    /// What a request costs: one that is larger than the whole bucket passes when that is full.
    fn payable(&self, cost: f64) -> f64 {
        cost.min(self.capacity)
    }

    fn per_second(&self) -> f64 {
        self.per_minute as f64 / 60.0
    }

    fn level(&self) -> Level {
        Level {
            limit: self.per_minute,
            remaining: self.level.max(0.0) as u64,
            reset: Duration::from_secs_f64((self.capacity - self.level).max(0.0) / self.per_second()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(requests: Option<u64>, tokens: Option<u64>, burst: u64) -> Ledger {
        let limits =
            Limits { requests_per_minute: requests, tokens_per_minute: tokens, burst: Duration::from_secs(burst) };
        Ledger::new(limits)
    }

    #[test]
    fn what_was_taken_comes_back_with_time() {
        let ledger = ledger(Some(60), Some(600), 60);
        let start = Instant::now();
        let at = |second: u64| start + Duration::from_secs(second);
        let first = ledger.take("m", 590, start);
        assert_eq!((first.refused, first.tokens.map(|level| level.remaining)), (None, Some(10)));
        let refused = ledger.take("m", 30, start);
        assert_eq!(refused.refused, Some((Duration::from_secs(2), "tokens")));
        assert_eq!(refused.requests.map(|level| level.remaining), Some(59), "what is refused costs nothing");
        assert_eq!(ledger.take("m", 30, at(1)).refused, Some((Duration::from_secs(1), "tokens")));
        let later = ledger.take("m", 30, at(2));
        assert_eq!((later.refused, later.tokens.map(|level| level.remaining)), (None, Some(0)));
        assert_eq!(later.tokens.map(|level| level.reset), Some(Duration::from_secs(60)));
        assert_eq!(ledger.take("other", 600, at(2)).refused, None, "each model has its own");
    }

    #[test]
    fn no_more_comes_at_once_than_the_burst_allows() {
        let ledger = ledger(Some(60), None, 2);
        let start = Instant::now();
        let passes = |second: u64| ledger.take("m", 0, start + Duration::from_secs(second)).refused.is_none();
        assert_eq!([passes(0), passes(0), passes(0)], [true, true, false]);
        assert_eq!([passes(100), passes(100), passes(100)], [true, true, false]);
    }

    #[test]
    fn a_request_larger_than_the_bucket_passes_when_that_is_full() {
        let ledger = ledger(None, Some(100), 60);
        let start = Instant::now();
        assert_eq!(ledger.take("m", 1000, start).refused, None);
        assert_eq!(ledger.take("m", 1000, start).refused, Some((Duration::from_secs(60), "tokens")));
        assert_eq!(ledger.take("m", 1000, start + Duration::from_secs(60)).refused, None);
    }

    #[test]
    fn made_up_models_do_not_fill_the_memory() {
        let ledger = ledger(Some(1), None, 60);
        let now = Instant::now();
        let passed = (0..10_000).filter(|name| ledger.take(&name.to_string(), 0, now).refused.is_none()).count();
        assert_eq!(passed, MOST_MODELS + 1);
    }
}
