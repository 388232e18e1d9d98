//! Azure AI model inference, and prompt flow's serverless connections: one endpoint for many makers' models. A legacy,
//! whose SDK was retired in August 2026; the endpoints still answer.

use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use sluicegate_config::{Auth, ExtraParameters};
use sluicegate_model::{ConnectionName, ModelError};

use super::{Address, Endpoint};
use crate::authorization::Authorization;
use crate::client::{Clients, USER_AGENT};
use crate::wire::Wire;

/// How to speak to an endpoint, whose address may be given with the path of one of its operations. A key goes in both
/// headers: some endpoints want the one, some the other.
pub(super) fn endpoint(
    connection: &ConnectionName,
    endpoint: &str,
    auth: &Auth,
    api_version: &str,
    extra_parameters: ExtraParameters,
    clients: &Arc<Clients>,
) -> Result<Endpoint, ModelError> {
    let key_headers = [(AUTHORIZATION, "Bearer "), (HeaderName::from_static("api-key"), "")];
    let authorization = Authorization::of(connection, auth, &key_headers, clients)?;
    let (base, query) = endpoint.trim().split_once('?').unwrap_or((endpoint.trim(), ""));
    let base = base.trim_end_matches('/');
    let paths = ["/chat/completions", "/completions", "/embeddings", "/info"];
    let base = paths.iter().find_map(|path| base.strip_suffix(path)).unwrap_or(base);
    let mut address = Address::parse(connection, "endpoint", &format!("{base}/"))?;
    // As portals show it, the address has a version of its own; the setting is somebody's word.
    let shown = query.split('&').find_map(|pair| pair.strip_prefix("api-version="));
    let version = Some(api_version.trim()).filter(|version| !version.is_empty()).or(shown);
    if let Some(version) = version {
        address = address.with_query("api-version", version);
    }
    let mut headers = HeaderMap::new();
    headers.insert("x-ms-useragent", HeaderValue::from_static(USER_AGENT));
    let extra = match extra_parameters {
        ExtraParameters::Unsaid => None,
        ExtraParameters::Error => Some("error"),
        ExtraParameters::Drop => Some("drop"),
        ExtraParameters::PassThrough => Some("pass-through"),
    };
    if let Some(extra) = extra {
        headers.insert("extra-parameters", HeaderValue::from_static(extra));
    }
    Ok(Endpoint {
        provider: "azure.ai.inference",
        address,
        authorization,
        headers,
        tells_caller: false,
        chat: Wire::Chat,
        speaks: &[Wire::Chat, Wire::Completion, Wire::Embeddings],
    })
}
