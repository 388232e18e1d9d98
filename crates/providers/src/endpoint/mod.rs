//! Where a service listens and how it knows us: each kind of connection becomes an [`Endpoint`].

mod anthropic;
mod azure_open_ai;
mod gateway;
mod open_ai;
mod serverless;

use std::sync::Arc;

use reqwest::Url;
use reqwest::header::HeaderMap;
use sluicegate_config::{Connection, ConnectionKind};
use sluicegate_model::{ConnectionName, ModelError};

use crate::ask::Ask;
pub(crate) use gateway::Gateway;

use crate::authorization::Authorization;
use crate::client::Clients;
use crate::wire::Wire;

/// What one service differs in from another.
pub(crate) struct Endpoint {
    /// As GenAI semantic conventions name it.
    pub(crate) provider: &'static str,
    pub(crate) address: Address,
    pub(crate) authorization: Authorization,
    pub(crate) headers: HeaderMap,
    /// Whether it is told which of prompt flow's tools calls, as the original does.
    pub(crate) tells_caller: bool,
    /// The format of its conversations, unless a request says otherwise.
    pub(crate) chat: Wire,
    /// All formats that it speaks.
    pub(crate) speaks: &'static [Wire],
}

/// Where a service listens.
pub(crate) struct Address {
    base: Url,
    /// Whether the deployment stands in the path, in front of the format's own.
    by_deployment: bool,
    /// What every address has in its query.
    query: Vec<(String, String)>,
}

impl Endpoint {
    /// The endpoint of a connection that leads to the network.
    pub(crate) fn of(connection: &Connection, clients: &Arc<Clients>) -> Result<Self, ModelError> {
        let name = ConnectionName(connection.name.clone());
        match &connection.kind {
            ConnectionKind::AzureOpenAi { api_base, auth, api, responses } => {
                azure_open_ai::endpoint(&name, api_base, auth, api, *responses, clients)
            }
            ConnectionKind::OpenAi { base_url, api_key, organization, responses } => {
                open_ai::endpoint(&name, base_url, api_key.as_ref(), organization.as_deref(), *responses)
            }
            ConnectionKind::Serverless { endpoint, auth, api_version, extra_parameters } => {
                serverless::endpoint(&name, endpoint, auth, api_version, *extra_parameters, clients)
            }
            ConnectionKind::Anthropic { base_url, api_key, version } => {
                anthropic::endpoint(&name, base_url, api_key.as_ref(), version)
            }
            ConnectionKind::Simulated { .. } => Err(unsupported(connection, "simulated")),
            ConnectionKind::Other { type_name } => Err(unsupported(connection, type_name)),
        }
    }

    /// The format in which something is asked.
    pub(crate) fn wire(&self, connection: &ConnectionName, ask: &Ask<'_>) -> Result<Wire, ModelError> {
        let unsupported =
            |what: &str| ModelError::Unsupported { connection: connection.to_string(), what: what.to_owned() };
        let wire = Wire::of(ask, self.chat);
        if !self.speaks.contains(&wire) {
            return Err(unsupported(wire.name()));
        }
        if self.address.by_deployment {
            let model = &**ask.model();
            if model.is_empty() {
                return Err(unsupported("a model without a `deployment_name`"));
            }
            // It becomes a part of the path, where these would vanish, or lead elsewhere.
            if matches!(model, "." | "..") || model.contains(char::is_control) {
                return Err(unsupported(&format!("a deployment named `{}`", model.escape_debug())));
            }
        }
        Ok(wire)
    }
}

fn unsupported(connection: &Connection, type_name: &str) -> ModelError {
    ModelError::Unsupported {
        connection: connection.name.to_string(),
        what: format!("models, for this version does not speak its type `{type_name}`"),
    }
}

impl Address {
    /// Reads the address under which paths begin; it ends with a slash.
    pub(crate) fn parse(connection: &ConnectionName, setting: &str, text: &str) -> Result<Self, ModelError> {
        let misconfigured = |why: &str| ModelError::Misconfigured {
            connection: connection.to_string(),
            message: format!("its `{setting}` {why}"),
        };
        if text.starts_with('/') {
            return Err(misconfigured("is empty"));
        }
        let base = Url::parse(text).map_err(|error| misconfigured(&format!("is not an address: {error}")))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none_or(str::is_empty) {
            return Err(misconfigured("must begin with https:// or http://"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(misconfigured("must not hold a user or password"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(misconfigured("must not hold a query (`?…`) or fragment (`#…`)"));
        }
        Ok(Self { base, by_deployment: false, query: Vec::new() })
    }

    /// The deployment stands in the path.
    pub(crate) fn by_deployment(self) -> Self {
        Self { by_deployment: true, ..self }
    }

    /// One more pair in the query.
    pub(crate) fn with_query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn is_this_machine(&self) -> bool {
        let host = self.host();
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    pub(crate) fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    pub(crate) fn port(&self) -> u16 {
        self.base.port_or_known_default().unwrap_or_default()
    }

    pub(crate) fn scheme(&self) -> &str {
        self.base.scheme()
    }

    /// Where a deployment (or model) is asked in a format.
    pub(crate) fn url(&self, wire: Wire, model: &str) -> Url {
        let by_deployment = self.by_deployment && wire.is_by_deployment();
        let deployment = by_deployment.then_some(["deployments", model]);
        self.at(deployment.into_iter().flatten().chain(wire.path().iter().copied()))
    }

    /// What lies under the base address at this path.
    pub(crate) fn at<'p>(&self, segments: impl IntoIterator<Item = &'p str>) -> Url {
        let mut url = self.base.clone();
        // `http` and `https` addresses always take path segments.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            path.extend(segments);
        }
        for (name, value) in &self.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        url
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> String {
        self.base.origin().ascii_serialization()
    }
}
