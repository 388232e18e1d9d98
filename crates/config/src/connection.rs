//! Where a model lives, what it may cost in time, and its secret.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::{ConnectionFacts, Secret};

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
    /// What stands between us and the service.
    pub gateway: Gateway,
    /// What is known of its deployments.
    pub deployments: Deployments,
    /// What code outside of us sees of it; of a kind that no model answers behind, all that there is.
    pub facts: ConnectionFacts,
}

impl Connection {
    /// A connection of this kind with everything else as it is unless set.
    #[must_use]
    pub fn new(name: &str, kind: ConnectionKind) -> Self {
        Self {
            facts: ConnectionFacts::of_kind(name, &kind),
            name: name.into(),
            kind,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            gateway: Gateway::default(),
            deployments: Deployments::default(),
        }
    }

    /// Its key, if it has one.
    #[must_use]
    pub fn api_key(&self) -> Option<&Secret> {
        match &self.kind {
            ConnectionKind::AzureOpenAi { auth, .. } | ConnectionKind::Serverless { auth, .. } => match auth {
                Auth::Key(key) => Some(key),
                Auth::Entra(_) | Auth::Nothing => None,
            },
            ConnectionKind::OpenAi { api_key, .. } | ConnectionKind::Anthropic { api_key, .. } => api_key.as_ref(),
            ConnectionKind::Simulated { .. } | ConnectionKind::Other { .. } => None,
        }
    }

    /// Everything of it that must not be shown: keys, tokens, what its headers and its query hold.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        let mut secrets: Vec<Secret> = self.api_key().cloned().into_iter().collect();
        if let ConnectionKind::AzureOpenAi { auth: Auth::Entra(entra), .. }
        | ConnectionKind::Serverless { auth: Auth::Entra(entra), .. } = &self.kind
        {
            let own = [&entra.token, &entra.client_secret, &entra.github_token, &entra.identity_header];
            secrets.extend(own.into_iter().flatten().flat_map(Secret::parts));
        }
        secrets.extend(self.facts.secrets.iter().map(|(_, secret)| secret.clone()));
        for (_, value) in self.gateway.headers.iter().chain(&self.gateway.query) {
            secrets.extend(value.parts());
        }
        secrets
    }
}

/// Which kind of service a connection leads to, with what only that kind needs.
#[derive(Clone, Debug)]
pub enum ConnectionKind {
    /// Azure OpenAI.
    AzureOpenAi {
        /// `https://NAME.openai.azure.com`, with or without a trailing slash.
        api_base: String,
        /// Key or identity.
        auth: Auth,
        /// Which of its APIs is spoken.
        api: AzureApi,
        /// Whether conversations go to the responses API rather than to chat completions.
        responses: bool,
    },
    /// OpenAI, or anything that speaks its chat API.
    OpenAi {
        /// The address before `/chat/completions`, such as `https://api.openai.com/v1`.
        base_url: String,
        /// The key; a server on this machine often needs none.
        api_key: Option<Secret>,
        /// The `OpenAI-Organization` header.
        organization: Option<String>,
        /// Whether conversations go to the responses API rather than to chat completions.
        responses: bool,
    },
    /// Azure AI model inference, and prompt flow's serverless connections. A legacy: its SDK was retired in August 2026.
    Serverless {
        /// The address, with or without `/chat/completions` at its end.
        endpoint: String,
        /// Key or identity.
        auth: Auth,
        /// The `api-version` of the query.
        api_version: String,
        /// What the service does with parameters that it does not know.
        extra_parameters: ExtraParameters,
    },
    /// Anthropic's messages API.
    Anthropic {
        /// The address before `/v1/messages`, such as `https://api.anthropic.com`.
        base_url: String,
        /// The key; a server on this machine often needs none.
        api_key: Option<Secret>,
        /// The `anthropic-version` header.
        version: String,
    },
    /// A scripted model, without network or key.
    Simulated {
        /// The script (YAML), an absolute path.
        script: PathBuf,
    },
    /// A kind of prompt flow's that no model answers behind: Python tools use it. Its values are the connection's `facts`.
    Other {
        /// The `type` as written.
        type_name: String,
    },
}

/// Which of Azure OpenAI's APIs is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AzureApi {
    /// The deployment path: `/openai/deployments/NAME/chat/completions?api-version=…`, with this `api-version`.
    Dated(String),
    /// `/openai/v1/chat/completions`, the deployment only in the body.
    V1,
}

/// What a service does with parameters that it does not know, by the header `extra-parameters`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExtraParameters {
    /// Nothing is said; the service refuses them.
    #[default]
    Unsaid,
    /// It refuses them: `error`.
    Error,
    /// It leaves them out: `drop`.
    Drop,
    /// It hands them to the model: `pass-through`.
    PassThrough,
}

/// By what a service knows who asks.
#[derive(Clone, Debug)]
pub enum Auth {
    /// By a key.
    Key(Secret),
    /// By an identity of Microsoft Entra.
    Entra(Box<Entra>),
    /// By nothing that we show here: a gateway knows us by a client certificate or by its own headers (`auth: none`).
    Nothing,
}

/// How to get a token of Microsoft Entra. What comes from variables is looked up already.
#[derive(Clone, Debug)]
pub struct Entra {
    /// What the token is for, such as `https://cognitiveservices.azure.com/.default`.
    pub scope: String,
    /// Where tokens are given out, such as `https://login.microsoftonline.com`; by `cloud:`, `authority:` or
    /// AZURE_AUTHORITY_HOST.
    pub authority: String,
    /// The sources of a token, in the order in which they are tried.
    pub sources: Vec<TokenSource>,
    /// The tenant (AZURE_TENANT_ID).
    pub tenant_id: Option<String>,
    /// The application, or the managed identity (AZURE_CLIENT_ID).
    pub client_id: Option<String>,
    /// The application's secret (AZURE_CLIENT_SECRET).
    pub client_secret: Option<Secret>,
    /// A token that somebody else got (AZURE_OPENAI_AD_TOKEN); it cannot be renewed.
    pub token: Option<Secret>,
    /// The file of a workload's own token (AZURE_FEDERATED_TOKEN_FILE), read anew each time.
    pub federated_token_file: Option<PathBuf>,
    /// GitHub's address for a workflow's token (ACTIONS_ID_TOKEN_REQUEST_URL).
    pub github_url: Option<String>,
    /// What is shown at that address (ACTIONS_ID_TOKEN_REQUEST_TOKEN).
    pub github_token: Option<Secret>,
    /// The identity endpoint of App Service, Functions, Container Apps, Arc (IDENTITY_ENDPOINT).
    pub identity_endpoint: Option<String>,
    /// What is shown at that endpoint (IDENTITY_HEADER).
    pub identity_header: Option<Secret>,
    /// The instance metadata service; `http://169.254.169.254` unless AZURE_POD_IDENTITY_AUTHORITY_HOST says otherwise.
    pub imds: String,
    /// Folders in which the command `az` is looked for (PATH).
    pub path: Vec<PathBuf>,
}

/// Where a token comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenSource {
    /// `token`: AZURE_OPENAI_AD_TOKEN.
    Token,
    /// `workload`: a federated token of a cluster's workload.
    Workload,
    /// `github`: a GitHub workflow's own token.
    GitHub,
    /// `client_secret`: an application's secret.
    ClientSecret,
    /// `managed_identity`: the machine's own identity.
    ManagedIdentity,
    /// `az`: whoever is signed in at the command line.
    Az,
}

impl TokenSource {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 6] =
        [Self::Token, Self::Workload, Self::GitHub, Self::ClientSecret, Self::ManagedIdentity, Self::Az];

    /// Its name in config files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Workload => "workload",
            Self::GitHub => "github",
            Self::ClientSecret => "client_secret",
            Self::ManagedIdentity => "managed_identity",
            Self::Az => "az",
        }
    }
}

/// What stands between us and a service.
#[derive(Clone, Debug, Default)]
pub struct Gateway {
    /// Headers that every request carries, in order.
    pub headers: Vec<(String, Secret)>,
    /// What every address carries in its query, in order.
    pub query: Vec<(String, Secret)>,
    /// The header that carries the key, if not the service's own.
    pub auth_header: Option<AuthHeader>,
    /// What stands before the service's own path, such as `/openai-gateway/team-a`.
    pub path_prefix: Option<String>,
    /// The certificate by which we show who we are.
    pub client_certificate: Option<ClientCertificate>,
    /// A file of certificates (PEM) that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// The header that carries the key: `Ocp-Apim-Subscription-Key`, or `Authorization: Bearer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthHeader {
    /// Its name.
    pub name: String,
    /// What stands before the key, with its blank; often nothing.
    pub prefix: String,
}

/// A client's certificate and its key, both PEM; they may be the same file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// The certificate, and those between it and its issuer.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// What is known of a connection's deployments (or models). A deployment's name is free text: nothing is guessed from
/// it.
#[derive(Clone, Debug, Default)]
pub struct Deployments {
    /// By name; `*` is about all others.
    pub by_name: BTreeMap<Arc<str>, Deployment>,
    /// Whether what an endpoint refuses is left alone (`adapt: off`) rather than adapted once and remembered.
    pub never_adapt: bool,
}

/// What is known of a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployment {
    /// It reasons: `max_tokens` is sent as `max_completion_tokens`, and what reasoning models refuse (`temperature`,
    /// `top_p`, penalties, `logprobs`, `logit_bias`) is not sent.
    pub reasoning: bool,
    /// Parameters that are sent by another name.
    pub rename: Vec<(Arc<str>, Arc<str>)>,
    /// Parameters that are not sent.
    pub drop: Vec<Arc<str>>,
}

impl Deployments {
    /// What is known of a deployment: its own entry, else that of all others.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&Deployment> {
        self.by_name.get(name).or_else(|| self.by_name.get("*"))
    }
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
