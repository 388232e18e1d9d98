//! Azure OpenAI: the deployment in the path and the version in the query, or the v1 API, which has neither.

use reqwest::header::{HeaderMap, HeaderName};
use sluicegate_config::Secret;
use sluicegate_model::{ConnectionName, ModelError};

use crate::client::USER_AGENT;
use crate::http::{Address, Dialect, Key};

/// How to speak to an Azure OpenAI resource. `api_base` is its address, with or without a trailing slash; `/openai`
/// and `/openai/v1` at its end, as the portal shows them, are allowed.
pub(crate) fn dialect(
    connection: &ConnectionName,
    api_base: &str,
    api_key: Option<&Secret>,
    api_version: Option<&str>,
    v1: bool,
) -> Result<Dialect, ModelError> {
    let misconfigured =
        |message: &str| ModelError::Misconfigured { connection: connection.to_string(), message: message.to_owned() };
    let api_key = api_key.ok_or_else(|| misconfigured("has no `api_key`"))?;
    let key = Key::new(connection, api_key, HeaderName::from_static("api-key"), "")?;
    let base = api_base.trim().trim_end_matches('/');
    let base = base.strip_suffix("/v1").filter(|base| base.ends_with("/openai")).unwrap_or(base);
    let base = base.strip_suffix("/openai").unwrap_or(base);
    let address = if v1 {
        Address::parse(connection, "api_base", &format!("{base}/openai/v1/"))?
    } else {
        let version = api_version.map(str::trim).filter(|version| !version.is_empty());
        let version = version.ok_or_else(|| misconfigured("has no `api_version` (and is not `api: v1`)"))?;
        Address::parse(connection, "api_base", &format!("{base}/openai/deployments/"))?.by_deployment(version)
    };
    let mut headers = HeaderMap::new();
    headers.insert("x-ms-useragent", reqwest::header::HeaderValue::from_static(USER_AGENT));
    Ok(Dialect { provider: "azure.ai.openai", address, key: Some(key), headers, tells_caller: true })
}
