//! Secrets are a type: they print as `Secret(..)`, in `Debug` too, and are never serialized.

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

/// A value of a header with fewer bytes is left where it is, as the redactor does with all secrets.
const SHORTEST: usize = 6;

/// A value that must not be shown.
#[derive(Clone)]
pub struct Secret(Arc<SecretString>);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Arc::new(SecretString::from(text.into())))
    }

    /// The text itself: for the request that needs it, and for the redactor.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is secret of a header's or query's value: the whole, and what follows a scheme such as `Bearer`, which
    /// endpoints repeat alone. Short values (`true`, `eu`) are words that stand everywhere.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Secret> {
        let behind = self.expose().split_once(' ').map(|(_, token)| Self::new(token));
        [Some(self.clone()), behind].into_iter().flatten().filter(|part| part.expose().trim().len() >= SHORTEST)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(..)")
    }
}
