//! By what a service knows us: nothing, a key, or a token that expires.

use std::path::Path;
use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use sluicegate_config::{Auth, Secret};
use sluicegate_model::{ConnectionName, ModelError};

use crate::client::Clients;
use crate::identity::Identity;

/// By what a service knows us.
pub(crate) enum Authorization {
    /// By nothing.
    Nothing,
    /// By a key.
    Key(Key),
    /// By a token of Microsoft Entra, in the header `Authorization`.
    Identity(Box<Identity>),
}

/// A key, and the headers that carry it: most services want one, model inference takes two.
pub(crate) struct Key {
    headers: Vec<(HeaderName, HeaderValue)>,
    secret: Secret,
}

/// What one attempt shows.
pub(crate) struct Shown {
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// What an endpoint may echo and nobody shall read.
    pub(crate) secret: Option<Secret>,
    /// Which of an identity's tokens it is.
    token: Option<u64>,
}

impl Authorization {
    /// By what a connection's `auth` says: its key in these headers, each with what stands before the key; or a token.
    pub(crate) fn of(
        connection: &ConnectionName,
        auth: &Auth,
        headers: &[(HeaderName, &str)],
        clients: &Arc<Clients>,
    ) -> Result<Self, ModelError> {
        match auth {
            Auth::Key(key) => Ok(Self::Key(Key::new(connection, key, headers)?)),
            Auth::Nothing => Ok(Self::Nothing),
            Auth::Entra(entra) => Ok(Self::Identity(Box::new(Identity::new(connection, entra, clients.clone())))),
        }
    }

    /// The same, with tokens asked for of whomever the connection's own authorities vouch for as well.
    pub(crate) fn trusting(self, ca_file: Option<&Path>) -> Self {
        match self {
            Self::Identity(identity) => Self::Identity(Box::new(identity.trusting(ca_file))),
            other => other,
        }
    }

    /// What the next attempt shows; a token is got or renewed first.
    pub(crate) async fn show(&self) -> Result<Shown, ModelError> {
        Ok(match self {
            Self::Nothing => Shown { headers: Vec::new(), secret: None, token: None },
            Self::Key(key) => Shown { headers: key.headers.clone(), secret: Some(key.secret.clone()), token: None },
            Self::Identity(identity) => {
                let held = identity.show().await?;
                Shown {
                    headers: vec![(AUTHORIZATION, held.header.clone())],
                    secret: Some(held.secret().clone()),
                    token: Some(held.number),
                }
            }
        })
    }

    /// The endpoint answered 401 to what was shown. Says whether another attempt with something newer makes sense.
    pub(crate) fn refused(&self, shown: &Shown) -> bool {
        match (self, shown.token) {
            (Self::Identity(identity), Some(token)) => identity.refused(token),
            _ => false,
        }
    }

    /// An endpoint's refusal (401, 403), with what it means for the identity that was shown.
    pub(crate) fn explain(&self, error: ModelError) -> ModelError {
        match self {
            Self::Nothing | Self::Key(_) => error,
            Self::Identity(identity) => identity.explain(error),
        }
    }

    /// The identity, if it is one.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Nothing | Self::Key(_) => None,
            Self::Identity(identity) => Some(identity),
        }
    }
}

impl Shown {
    /// What was got at run time, and is therefore unknown to whoever takes secrets out of what is recorded.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.and_then(|_| Some(self.secret.as_ref()?.expose()))
    }
}

impl Key {
    /// A key in these headers, each with what stands before the key.
    pub(crate) fn new(
        connection: &ConnectionName,
        secret: &Secret,
        headers: &[(HeaderName, &str)],
    ) -> Result<Self, ModelError> {
        let misconfigured = |message: &str| ModelError::Misconfigured {
            connection: connection.to_string(),
            message: message.to_owned(),
        };
        let key = secret.expose().trim();
        if key.is_empty() {
            return Err(misconfigured("its `api_key` is empty"));
        }
        let carried = |(name, prefix): &(HeaderName, &str)| {
            let mut value = HeaderValue::from_str(&format!("{prefix}{key}")).ok()?;
            value.set_sensitive(true);
            Some((name.clone(), value))
        };
        let headers: Option<Vec<_>> = headers.iter().map(carried).collect();
        let headers = headers.ok_or_else(|| misconfigured("its `api_key` holds characters that no key has"))?;
        Ok(Self { headers, secret: Secret::new(key) })
    }
}
