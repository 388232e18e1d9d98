//! A rate, as a bucket that fills.

use std::time::Duration;

use tokio::time::Instant;

/// Fills at a rate; who takes more than it holds leaves a debt, for which the next ones wait.
pub(super) struct Bucket {
    level: f64,
    capacity: f64,
    per_second: f64,
    at: Instant,
}

impl Bucket {
    /// Holds a quarter of a second's worth, so that not even ten seconds see noticeably more than the limit (endpoints
    /// look at slices of a minute); and one request at least.
    pub(super) fn new(per_minute: f64, now: Instant) -> Self {
        let per_second = per_minute.max(1.0) / 60.0;
        let capacity = (per_second / 4.0).max(1.0);
        Self { level: capacity, capacity, per_second, at: now }
    }

    /// Fills until now, `pace` times as fast as its rate is.
    pub(super) fn fill(&mut self, now: Instant, pace: f64) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now.max(self.at);
        if self.level < self.capacity {
            self.level = (self.level + passed * self.per_second * pace).min(self.capacity);
        }
    }

    /// How long to wait before this may be taken, at this pace; zero if it may be now. Who wants more than it can hold
    /// waits until it is full.
    pub(super) fn wait(&self, cost: f64, pace: f64) -> Duration {
        let missing = cost.min(self.capacity) - self.level;
        // Less than a clock can tell is nothing: a float's last digit shall not cost another round.
        if missing <= 1e-9 * self.capacity.max(1.0) {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(missing / (self.per_second * pace))
            .unwrap_or(Duration::MAX / 4)
            .max(Duration::from_millis(1))
    }

    /// Another rate, with what it holds.
    pub(super) fn retune(&mut self, per_minute: f64) {
        self.per_second = per_minute.max(1.0) / 60.0;
        self.capacity = (self.per_second / 4.0).max(1.0);
    }

    /// The same, with nothing in it.
    pub(super) fn empty(self) -> Self {
        Self { level: 0.0, ..self }
    }

    /// Holds nothing until then.
    pub(super) fn hold_nothing(&mut self, until: Instant) {
        self.level = self.level.min(0.0);
        self.at = self.at.max(until);
    }

    pub(super) fn take(&mut self, cost: f64) {
        self.level -= cost;
    }

    /// Returns what was not used; a negative amount takes what was used beyond the reservation. What was reserved and not
    /// used may fill it beyond its capacity, though not beyond ten seconds' worth: else whoever reserves much and uses
    /// little would never come near the limit. Nor does one answer take more than a minute's worth, however much it says.
    pub(super) fn give_back(&mut self, amount: f64) {
        let most = (self.per_second * 10.0).max(self.capacity);
        let amount = amount.max(-60.0 * self.per_second);
        self.level = (self.level + amount).min(most.max(self.level));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is reserved and used: what was used never exceeds what the time allows by more than what the bucket
        /// holds and what one reservation was wrong by.
        #[test]
        fn what_is_used_never_drifts_from_the_limit(
            per_minute in 5000.0_f64..1e6,
            calls in prop::collection::vec((0.0_f64..5000.0, 0.0_f64..5000.0, 0_u64..3000), 1..200),
        ) {
            let begun = Instant::now();
            let mut bucket = Bucket::new(per_minute, begun);
            let (mut now, mut used, mut worst) = (begun, 0.0, 0.0_f64);
            for (reserved, real, pause) in calls {
                now += Duration::from_millis(pause);
                bucket.fill(now, 1.0);
                while !bucket.wait(reserved, 1.0).is_zero() {
                    now += bucket.wait(reserved, 1.0);
                    bucket.fill(now, 1.0);
                }
                bucket.take(reserved);
                bucket.give_back(reserved - real);
                used += real;
                worst = worst.max(real);
                let allowed = bucket.capacity + now.duration_since(begun).as_secs_f64() * bucket.per_second;
                prop_assert!(used <= allowed + worst + 1e-3 * allowed, "{used} used, {allowed} allowed");
            }
        }

        /// Under a steady load everything that the time allows is used.
        #[test]
        fn what_is_allowed_is_used(per_minute in 600.0_f64..1e6, reserved in 1.0_f64..3.0, real in 0.5_f64..3.0) {
            let begun = Instant::now();
            let (mut bucket, mut now, mut used) = (Bucket::new(per_minute, begun), begun, 0.0);
            for _ in 0..2000 {
                bucket.fill(now, 1.0);
                while !bucket.wait(reserved, 1.0).is_zero() {
                    now += bucket.wait(reserved, 1.0);
                    bucket.fill(now, 1.0);
                }
                bucket.take(reserved);
                bucket.give_back(reserved - real);
                used += real;
            }
            let allowed = bucket.capacity + now.duration_since(begun).as_secs_f64() * bucket.per_second;
            prop_assert!(used >= allowed * 0.97 - 2.0 * bucket.capacity - 6.0, "{used} used of {allowed}");
        }
    }
}
