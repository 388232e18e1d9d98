//! Where a model lives, what it may cost in time, and its secret.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::Secret;

/// Where a model lives and its secret, every value resolved.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its name, the key under `connections:`.
    pub name: Arc<str>,
    /// Which kind of service it is.
    pub kind: ConnectionKind,
    /// How many calls at once, and per minute.
    pub limits: Limits,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// How often to try again when the transport fails.
    pub retry: Retry,
}

impl Connection {
    /// Its key, if its kind has one.
    #[must_use]
    pub fn api_key(&self) -> Option<&Secret> {
        match &self.kind {
            ConnectionKind::AzureOpenAi { api_key, .. } | ConnectionKind::OpenAi { api_key, .. } => api_key.as_ref(),
            ConnectionKind::Simulated { .. } | ConnectionKind::Other { .. } => None,
        }
    }
}

/// Which kind of service a connection leads to, with what only that kind needs.
#[derive(Clone, Debug)]
pub enum ConnectionKind {
    /// Azure OpenAI.
    AzureOpenAi {
        /// `https://NAME.openai.azure.com`, with or without a trailing slash.
        api_base: String,
        /// The key; `None` only until identity-based access arrives.
        api_key: Option<Secret>,
        /// The `api-version` of the query; `None` with the v1 API, which has none.
        api_version: Option<String>,
        /// Whether the v1 API is spoken (`/openai/v1/chat/completions`, the deployment only in the body) in place of
        /// the deployment path (`/openai/deployments/NAME/chat/completions?api-version=…`).
        v1: bool,
    },
    /// OpenAI, or anything that speaks its chat API.
    OpenAi {
        /// The address before `/chat/completions`, such as `https://api.openai.com/v1`.
        base_url: String,
        /// The key; a server on this machine often needs none.
        api_key: Option<Secret>,
        /// The `OpenAI-Organization` header.
        organization: Option<String>,
    },
    /// A scripted model, without network or key.
    Simulated {
        /// The script (YAML), an absolute path.
        script: PathBuf,
    },
    /// A kind that prompt flow knows and this version does not speak; kept so that its name can be shown.
    Other {
        /// The `type` as written.
        type_name: String,
    },
}

/// How many calls at once, and per minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls in flight at once; 64 unless set.
    pub max_in_flight: usize,
    /// Requests per minute; `None`: as many as the endpoint takes.
    pub requests_per_minute: Option<u32>,
    /// Tokens per minute, request and reply together; `None`: as many as the endpoint takes.
    pub tokens_per_minute: Option<u32>,
}

/// How long to wait for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a TCP and TLS connection; 10 s unless set.
    pub connect: Duration,
    /// From sending a request to the first byte of its answer; 120 s unless set.
    pub first_byte: Duration,
    /// For a whole call with its attempts and pauses; 600 s unless set.
    pub total: Duration,
}

/// How often to try again when the transport fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all, the first included; 6 unless set.
    pub max_attempts: u32,
    /// The pause before the second attempt, doubled for each further one, with jitter; 1 s unless set.
    pub initial: Duration,
    /// The longest pause of our own; 60 s unless set. What the endpoint asks for by `Retry-After` is honoured beyond
    /// it, as long as the call's total timeout allows.
    pub max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_in_flight: 64, requests_per_minute: None, tokens_per_minute: None }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), first_byte: Duration::from_secs(120), total: Duration::from_secs(600) }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self { max_attempts: 6, initial: Duration::from_secs(1), max: Duration::from_secs(60) }
    }
}
