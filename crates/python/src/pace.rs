//! How long a tool's calls take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Calls that take no longer may wait in a worker behind one another.
pub(crate) const QUICK: Duration = Duration::from_millis(5);

/// The longest time that is remembered, in microseconds: a tool that took longer is as quick again after as many quick calls.
const LONGEST: u64 = 10_000_000;

/// How long the calls of a tool took of late. A slow one weighs more than quick ones: what it holds up is worth more than
/// what they gain. Unknown is slow.
#[derive(Debug)]
pub(crate) struct Pace(AtomicU64);

impl Default for Pace {
    fn default() -> Self {
        Self(AtomicU64::new(UNKNOWN))
    }
}

const UNKNOWN: u64 = u64::MAX;

impl Pace {
    /// A call took so many microseconds.
    pub(crate) fn took(&self, micros: u64) {
        let micros = micros.min(LONGEST);
        // Two at once may lose one of them, which does no harm.
        let next = match self.0.load(Ordering::Relaxed) {
            UNKNOWN => micros,
            past => micros.max((past * 7 + micros) / 8),
        };
        self.0.store(next, Ordering::Relaxed);
    }

    /// A call did not end.
    pub(crate) fn hung(&self) {
        self.took(LONGEST);
    }

    /// Whether its next call will hardly hold others up.
    pub(crate) fn is_quick(&self) -> bool {
        u128::from(self.0.load(Ordering::Relaxed)) < QUICK.as_micros()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_quick(took: &[u64], expected: bool) {
        let pace = Pace::default();
        took.iter().for_each(|micros| pace.took(*micros));
        assert_eq!(pace.is_quick(), expected, "{took:?}");
    }

    #[test]
    fn one_slow_call_outweighs_many_quick_ones() {
        check_quick(&[], false);
        check_quick(&[100], true);
        check_quick(&[7000], false);
        check_quick(&[100, 100, 3_000_000], false);
        let mut since = vec![3_000_000];
        since.extend([100; 20]);
        check_quick(&since, false);
        since.extend([100; 40]);
        check_quick(&since, true);
    }
}
