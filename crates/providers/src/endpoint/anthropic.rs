//! Anthropic's messages API.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use sluicegate_config::Secret;
use sluicegate_model::{ConnectionName, ModelError};

use super::{Address, Endpoint};
use crate::authorization::{Authorization, Key};
use crate::wire::Wire;

/// How to speak to an endpoint at `base_url`, the address before `/v1/messages`.
pub(super) fn endpoint(
    connection: &ConnectionName,
    base_url: &str,
    api_key: Option<&Secret>,
    version: &str,
) -> Result<Endpoint, ModelError> {
    let base = base_url.trim().trim_end_matches('/');
    let base = base.strip_suffix("/messages").unwrap_or(base);
    let base = base.strip_suffix("/v1").unwrap_or(base);
    let address = Address::parse(connection, "base_url", &format!("{base}/"))?;
    let api_key = api_key.filter(|key| !(key.expose().trim().is_empty() && address.is_this_machine()));
    let authorization = match api_key {
        Some(key) => Authorization::Key(Key::new(connection, key, &[(HeaderName::from_static("x-api-key"), "")])?),
        None => Authorization::Nothing,
    };
    let version = HeaderValue::from_str(version.trim()).map_err(|_| ModelError::Misconfigured {
        connection: connection.to_string(),
        message: "its `version` cannot stand in a header".to_owned(),
    })?;
    let mut headers = HeaderMap::new();
    headers.insert("anthropic-version", version);
    Ok(Endpoint {
        provider: "anthropic",
        address,
        authorization,
        headers,
        tells_caller: false,
        chat: Wire::Messages,
        speaks: &[Wire::Messages],
    })
}
