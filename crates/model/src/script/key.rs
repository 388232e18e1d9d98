//! The key that an endpoint demands.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

/// A key; it is never printed.
#[derive(Clone)]
pub struct ApiKey(Arc<str>);

impl ApiKey {
    /// A key of this text.
    #[must_use]
    pub fn new(key: impl Into<Arc<str>>) -> Self {
        Self(key.into())
    }

    /// Whether this was presented. How long that takes depends on the length of what was presented, and on nothing
    /// else.
    #[must_use]
    pub fn is(&self, presented: &[u8]) -> bool {
        let key = self.0.as_bytes();
        let differs = |(at, byte): (usize, &u8)| {
            let ours = key.get(at % key.len().max(1)).copied().unwrap_or_default();
            ours ^ byte
        };
        let difference = presented.iter().enumerate().map(differs).fold(0, |all, one| black_box(all | one));
        black_box(difference == 0) & (presented.len() == key.len())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ApiKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_itself_is_the_key() {
        let key = ApiKey::new("abc");
        assert!(key.is(b"abc"));
        for other in ["", "ab", "abd", "abca", "abcabc", "ABC"] {
            assert!(!key.is(other.as_bytes()), "{other}");
        }
        assert!(ApiKey::new("").is(b"") && !ApiKey::new("").is(b"a"));
        assert_eq!(format!("{key:?}"), "ApiKey(..)");
    }
}
