//! OpenAI, and whatever speaks its chat API: a base address and, mostly, a key.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use sluicegate_config::Secret;
use sluicegate_model::{ConnectionName, ModelError};

use super::{Address, Endpoint};
use crate::authorization::{Authorization, Key};
use crate::wire::Wire;

/// How to speak to an endpoint at `base_url`, the address before `/chat/completions` or `/responses`.
pub(super) fn endpoint(
    connection: &ConnectionName,
    base_url: &str,
    api_key: Option<&Secret>,
    organization: Option<&str>,
    responses: bool,
) -> Result<Endpoint, ModelError> {
    let base = base_url.trim().trim_end_matches('/');
    let operations = ["/chat/completions", "/completions", "/responses", "/embeddings", "/models"];
    let base = operations.iter().find_map(|path| base.strip_suffix(path)).unwrap_or(base);
    let address = Address::parse(connection, "base_url", &format!("{base}/"))?;
    // Servers on this machine seldom want a key, and variables for it are then often set to nothing.
    let api_key = api_key.filter(|key| !(key.expose().trim().is_empty() && address.is_this_machine()));
    let authorization = match api_key {
        Some(key) => Authorization::Key(Key::new(connection, key, &[(AUTHORIZATION, "Bearer ")])?),
        None => Authorization::Nothing,
    };
    let mut headers = HeaderMap::new();
    if let Some(organization) = organization.filter(|organization| !organization.trim().is_empty()) {
        let value = HeaderValue::from_str(organization.trim()).map_err(|_| ModelError::Misconfigured {
            connection: connection.to_string(),
            message: "its `organization` cannot stand in a header".to_owned(),
        })?;
        headers.insert("openai-organization", value);
    }
    Ok(Endpoint {
        provider: "openai",
        address,
        authorization,
        headers,
        tells_caller: false,
        chat: if responses { Wire::Responses } else { Wire::Chat },
        speaks: &[Wire::Chat, Wire::Completion, Wire::Embeddings, Wire::Responses],
    })
}
