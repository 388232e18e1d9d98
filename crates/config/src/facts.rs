//! A connection as code outside of us sees it: prompt flow's classes with their attributes (spec: promptflow.md §4).

use std::fmt;
use std::sync::Arc;

use sluicegate_value::{Map, Value};

use crate::Secret;
use crate::connection::{Auth, AzureApi, ConnectionKind};

/// The API version of prompt flow's class, where a connection names none.
pub(crate) const AZURE_API_VERSION: &str = "2024-02-01";
/// What OpenAI's own client takes where nothing is said.
pub(crate) const OPEN_AI: &str = "https://api.openai.com/v1";

/// What the original's object of a connection holds. Whoever runs Python makes that object of it. Prints names only.
#[derive(Clone, Default)]
pub struct ConnectionFacts {
    /// The connection's name.
    pub name: Arc<str>,
    /// Its class in `promptflow.connections`, such as `AzureOpenAIConnection`. What the original has no class for
    /// (`anthropic`, `simulated`) is a `CustomConnection`.
    pub class: Arc<str>,
    /// Its `type` as connection files write it, such as `azure_open_ai`.
    pub type_name: Arc<str>,
    /// The author's own class that a custom connection becomes (`custom_type`).
    pub custom_type: Option<Arc<str>>,
    /// The module of that class.
    pub module: Option<Arc<str>>,
    /// What may be shown, in the attributes' names: `api_base`, `api_version`, `auth_mode` …; of a custom connection its
    /// `configs`, as text.
    pub configs: Map,
    /// What may not: `api_key`, or the `secrets` of a custom connection. Empty where an identity signs in.
    pub secrets: Vec<(Arc<str>, Secret)>,
}

impl ConnectionFacts {
    /// The names of everything that it holds, configs first.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.configs.keys().map(|key| &**key).chain(self.secrets.iter().map(|(key, _)| &**key))
    }

    /// One of its values as text, be it a secret, as `${connection.key}` in a flow's `environment_variables` asks for it.
    #[must_use]
    pub fn expose(&self, key: &str) -> Option<Arc<str>> {
        let secret = self.secrets.iter().find(|(name, _)| **name == *key).map(|(_, secret)| secret.expose().into());
        secret.or_else(|| match self.configs.get(key)? {
            Value::Str(text) => Some(text.clone()),
            other => Some(other.to_json().into()),
        })
    }

    /// What a connection's kind tells by itself.
    pub(crate) fn of_kind(name: &str, kind: &ConnectionKind) -> Self {
        let mut facts = Self { name: name.into(), ..Self::default() };
        let (type_name, key) = match kind {
            ConnectionKind::AzureOpenAi { api_base, auth, api, .. } => {
                facts.set("api_base", api_base.as_str());
                facts.set("api_type", "azure");
                let version = match api {
                    AzureApi::Dated(version) => version.as_str(),
                    AzureApi::V1 => AZURE_API_VERSION,
                };
                facts.set("api_version", version);
                facts.set("auth_mode", auth_mode(auth));
                ("azure_open_ai", key_of(auth))
            }
            ConnectionKind::OpenAi { base_url, api_key, organization, .. } => {
                if base_url != OPEN_AI {
                    facts.set("base_url", base_url.as_str());
                }
                if let Some(organization) = organization {
                    facts.set("organization", organization.as_str());
                }
                ("open_ai", api_key.as_ref())
            }
            ConnectionKind::Serverless { endpoint, auth, .. } => {
                facts.set("api_base", endpoint.as_str());
                ("serverless", key_of(auth))
            }
            ConnectionKind::Anthropic { base_url, api_key, version } => {
                facts.set("base_url", base_url.as_str());
                facts.set("version", version.as_str());
                ("anthropic", api_key.as_ref())
            }
            ConnectionKind::Simulated { .. } => ("simulated", None),
            ConnectionKind::Other { type_name } => (type_name.as_str(), None),
        };
        facts.type_name = type_name.into();
        facts.class = class_of(type_name).into();
        facts.secrets.extend(key.map(|key| (Arc::from("api_key"), key.clone())));
        facts
    }

    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.configs.insert(key, value);
    }
}

/// How prompt flow writes the way to sign in.
pub(crate) fn auth_mode(auth: &Auth) -> &'static str {
    match auth {
        Auth::Entra(_) => "meid_token",
        Auth::Key(_) | Auth::Nothing => "key",
    }
}

pub(crate) fn key_of(auth: &Auth) -> Option<&Secret> {
    match auth {
        Auth::Key(key) => Some(key),
        Auth::Entra(_) | Auth::Nothing => None,
    }
}

/// The class of a type in `promptflow.connections`.
fn class_of(type_name: &str) -> &'static str {
    match type_name {
        "azure_open_ai" => "AzureOpenAIConnection",
        "open_ai" => "OpenAIConnection",
        "serverless" => "ServerlessConnection",
        "serp" => "SerpConnection",
        "cognitive_search" => "CognitiveSearchConnection",
        "azure_content_safety" => "AzureContentSafetyConnection",
        "form_recognizer" => "FormRecognizerConnection",
        "azure_ai_services" => "AzureAIServicesConnection",
        "qdrant" => "QdrantConnection",
        "weaviate" => "WeaviateConnection",
        _ => "CustomConnection",
    }
}

impl fmt::Debug for ConnectionFacts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ConnectionFacts")
            .field("name", &self.name)
            .field("class", &self.class)
            .field("custom_type", &self.custom_type)
            .field("keys", &self.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
