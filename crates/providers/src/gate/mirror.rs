//! An endpoint's quota as we see it: what its headers said last, and what became of it since.

use std::time::Duration;

use tokio::time::Instant;

use super::bucket::Bucket;
use super::quota::Window;
use super::rates::SHARE;

/// What of a quota shall be left over: room for what was sent meanwhile by others.
const LEFT_OVER: f64 = 0.012;

/// By how much the trim changes in a second in which too much is left, or nothing.
const TRIMMING: f64 = 0.03;

/// How slowly we go at least, so that something comes back that tells of more room.
const SLOWEST: f64 = 0.02;

/// One kind of an endpoint's quota.
pub(super) struct Mirror {
    bucket: Bucket,
    limit: f64,
    remaining: f64,
    /// When the attempt was sent whose answer told this.
    at: Instant,
    /// How much had been sent then, that attempt included.
    sent_then: f64,
    /// Mean cost of an attempt lately.
    mean_cost: f64,
    /// What turns our way of counting into the endpoint's: less than one if it counts more than we do.
    trim: f64,
    looked: Instant,
}

impl Mirror {
    /// Begins with the first answer that tells of a quota; `None` if it does not tell enough.
    pub(super) fn new(window: Window, limit: f64, at: Instant, sent_then: f64, now: Instant) -> Option<Self> {
        window.is_a_minute_s().then(|| Self {
            bucket: Bucket::new(limit, now).empty(),
            limit,
            remaining: window.remaining,
            at,
            sent_then,
            mean_cost: 1.0,
            trim: 1.0,
            looked: now,
        })
    }

    /// Takes what an answer tells; an answer to an older attempt tells nothing new.
    pub(super) fn hear(&mut self, window: Window, limit: Option<f64>, at: Instant, sent_then: f64) {
        if !window.is_a_minute_s() || at < self.at {
            return;
        }
        // Without a word of the limit, it is the most that was ever left.
        let limit = limit.unwrap_or_else(|| self.limit.max(window.remaining));
        if (limit - self.limit).abs() > f64::EPSILON {
            self.bucket.retune(limit);
            self.limit = limit;
        }
        (self.remaining, self.at, self.sent_then) = (window.remaining, at, sent_then);
    }

    /// An attempt was refused though this let it through.
    pub(super) fn refused(&mut self) {
        self.trim = (self.trim * 0.8).max(0.05);
    }

    /// How long to wait before this is sent; `sent` is what was sent until now.
    pub(super) fn wait(&mut self, now: Instant, cost: f64, sent: f64) -> Duration {
        let pace = self.pace(now, sent);
        self.looked = now;
        self.bucket.fill(now, pace);
        self.bucket.wait(cost, pace)
    }

    pub(super) fn take(&mut self, cost: f64) {
        self.bucket.take(cost);
        self.mean_cost = self.mean_cost * 0.9 + cost * 0.1;
    }

    /// Nothing is left, and the endpoint lets nothing through until then: what comes at once afterwards is refused again.
    pub(super) fn exhausted(&mut self, until: Instant) {
        self.bucket.hold_nothing(until);
    }

    pub(super) fn give_back(&mut self, amount: f64) {
        self.bucket.give_back(amount);
    }

    /// How fast to go, as a share of the limit: by how much is left in the endpoint's eyes, less what was sent since it
    /// looked, more what has come back since.
    fn pace(&mut self, now: Instant, sent: f64) -> f64 {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        let left = self.remaining + self.limit / 60.0 * since - (sent - self.sent_then) / self.trim;
        let share = left.min(self.limit) / self.limit;
        let wanted = LEFT_OVER.max(2.0 * self.mean_cost / self.trim / self.limit).min(0.3);
        let passed = now.saturating_duration_since(self.looked).as_secs_f64().min(1.0);
        let ratio = share / wanted;
        self.trim = (self.trim * (1.0 + TRIMMING * passed * (ratio - 1.0).clamp(-1.0, 1.0))).clamp(0.05, 1.0);
        (self.trim * ratio.min(1.0) * SHARE).max(SLOWEST)
    }
}
