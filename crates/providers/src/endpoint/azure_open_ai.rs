//! Azure OpenAI: the deployment in the path and the version in the query, or the v1 API, which has neither.

use std::sync::Arc;

use reqwest::header::{HeaderMap, HeaderName};
use sluicegate_config::{Auth, AzureApi};
use sluicegate_model::{ConnectionName, ModelError};

use super::{Address, Endpoint};
use crate::authorization::Authorization;
use crate::client::{Clients, USER_AGENT};
use crate::wire::Wire;

/// How to speak to an Azure OpenAI resource. `api_base` is its address, with or without a trailing slash; `/openai`,
/// `/openai/v1` and the path of an operation at its end, as portals show them, are allowed.
pub(super) fn endpoint(
    connection: &ConnectionName,
    api_base: &str,
    auth: &Auth,
    api: &AzureApi,
    responses: bool,
    clients: &Arc<Clients>,
) -> Result<Endpoint, ModelError> {
    let misconfigured =
        |message: &str| ModelError::Misconfigured { connection: connection.to_string(), message: message.to_owned() };
    let authorization = Authorization::of(connection, auth, &[(HeaderName::from_static("api-key"), "")], clients)?;
    let base = api_base.trim().trim_end_matches('/');
    let operations = ["/chat/completions", "/completions", "/responses", "/embeddings", "/models"];
    let base = operations.iter().find_map(|path| base.strip_suffix(path)).unwrap_or(base);
    let base = base.strip_suffix("/v1").filter(|base| base.ends_with("/openai")).unwrap_or(base);
    let base = base.strip_suffix("/openai").unwrap_or(base);
    let address = match api {
        AzureApi::V1 => Address::parse(connection, "api_base", &format!("{base}/openai/v1/"))?,
        AzureApi::Dated(version) if version.trim().is_empty() => {
            return Err(misconfigured("has no `api_version` (and is not `api: v1`)"));
        }
        AzureApi::Dated(version) => Address::parse(connection, "api_base", &format!("{base}/openai/"))?
            .by_deployment()
            .with_query("api-version", version.trim()),
    };
    let mut headers = HeaderMap::new();
    headers.insert("x-ms-useragent", reqwest::header::HeaderValue::from_static(USER_AGENT));
    Ok(Endpoint {
        provider: "azure.ai.openai",
        address,
        authorization,
        headers,
        tells_caller: true,
        chat: if responses { Wire::Responses } else { Wire::Chat },
        speaks: &[Wire::Chat, Wire::Completion, Wire::Embeddings, Wire::Responses],
    })
}
