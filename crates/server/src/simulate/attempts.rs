//! Which attempt a request is.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::{Mutex, PoisonError};

/// So many requests are remembered (some 16 MB); then all are forgotten at once, for a test or a demo has fewer.
const MOST_REMEMBERED: usize = 1 << 20;

/// Counts requests by their content.
#[derive(Default)]
pub(super) struct Attempts(Mutex<HashMap<u64, u32>>);

impl Attempts {
    /// Counts a request: 1 for the first of its content.
    pub(super) fn count(&self, path: &str, body: &[u8]) -> u32 {
        let mut hasher = DefaultHasher::new();
        hasher.write(path.as_bytes());
        hasher.write_u8(0xff);
        hasher.write(body);
        let content = hasher.finish();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST_REMEMBERED && !counts.contains_key(&content) {
            counts.clear();
        }
        let count = counts.entry(content).or_default();
        *count = count.saturating_add(1);
        *count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_request_is_another_attempt() {
        let attempts = Attempts::default();
        let count = |path: &str, body: &str| attempts.count(path, body.as_bytes());
        assert_eq!((count("/a", "x"), count("/a", "x"), count("/a", "y"), count("/b", "x")), (1, 2, 1, 1));
        assert_eq!(count("/a", "x"), 3);
    }
}
