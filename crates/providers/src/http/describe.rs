//! What an endpoint says of itself.

use std::sync::Arc;

use reqwest::header::HeaderMap;
use sluicegate_model::{ModelError, Phase};
use sluicegate_value::{Value, json};
use tokio::time::timeout;

use super::{Http, MAX_ERROR, MAX_REPLY};
use crate::failure::{Asked, Said};

/// What a connection's endpoint says of itself, as far as it says anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// The model that it serves.
    pub model: Option<Arc<str>>,
    /// What the model does, such as `chat-completion` or `embedding`.
    pub kind: Option<Arc<str>>,
    /// Who made the model.
    pub maker: Option<Arc<str>>,
}

impl Http {
    /// Asks the endpoint what it serves (`GET /info` of Azure AI model inference). An
    /// endpoint that has no such path says nothing.
    pub(crate) async fn describe(&self) -> Result<Described, ModelError> {
        let url = self.endpoint.address.at(["info"]);
        let client = self.clients.get_for(&url, self.timeouts.connect, &self.settings);
        let client = client.map_err(|message| self.misconfigured(message))?;
        let shown = self.endpoint.authorization.show().await?;
        let mut headers: HeaderMap = self.endpoint.headers.clone();
        headers.extend(self.gateway.authorized(&shown));
        self.gateway.cover(&mut headers);
        let limit = self.timeouts.first_byte;
        let exchange = async {
            let mut response = client.get(url).headers(headers).send().await?;
            let mut body = Vec::new();
            let most = if response.status().is_success() { MAX_REPLY } else { MAX_ERROR };
            while let Some(bytes) = response.chunk().await? {
                body.extend_from_slice(&bytes);
                if body.len() > most {
                    break;
                }
            }
            Ok((response, body))
        };
        let (response, body) = match timeout(limit, exchange).await {
            Ok(exchanged) => exchanged.map_err(|error: reqwest::Error| self.network(&error, ""))?,
            Err(_) => return Err(ModelError::TimedOut { phase: Phase::Total, after: limit }),
        };
        let status = response.status().as_u16();
        let secrets = self.gateway.secrets(&shown);
        let asked = Asked { connection: &self.connection.0, model: "", secrets: &secrets };
        match status {
            200..300 => {}
            // The older endpoints of one model have it; those of many have nothing to say.
            400 | 404 | 405 => return Ok(Described::default()),
            _ => {
                let error = asked.error(&Said { status, headers: response.headers(), body: &body });
                return Err(self.endpoint.authorization.explain(error));
            }
        }
        let body = json::read(&asked.hide(&String::from_utf8_lossy(&body))).unwrap_or_default();
        let word = |name: &str| {
            let word = body.get(name).and_then(Value::as_str).filter(|word| !word.trim().is_empty());
            word.map(Arc::from)
        };
        Ok(Described { model: word("model_name"), kind: word("model_type"), maker: word("model_provider_name") })
    }
}
