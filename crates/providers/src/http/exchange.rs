//! What a provider's batch API is asked besides calls: any path under the connection's address, with its key and its
//! gateway; and the pieces of a call for those who carry it in a file.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use sluicegate_model::{ModelError, Phase};
use sluicegate_value::{Value, json};
use tokio::time::timeout;

use super::{Http, MAX_ERROR, hidden, without};
use crate::ask::{Answer, Ask};
use crate::failure::{Asked, Said};
use crate::retry_after;
use crate::wire::{Wire, Writing};

/// Something to be asked.
pub(crate) struct Sending<'a> {
    pub(crate) method: Method,
    /// Below the connection's base address.
    pub(crate) path: &'a [&'a str],
    pub(crate) query: &'a [(&'a str, &'a str)],
    /// The body, with its content type.
    pub(crate) body: Option<(HeaderValue, Bytes)>,
    /// For the whole exchange.
    pub(crate) limit: Duration,
    /// The most bytes that are read of what comes back.
    pub(crate) most: usize,
    /// The model that it is about, for messages.
    pub(crate) model: &'a str,
}

/// What came back, under a status of success.
pub(crate) struct Received {
    /// As text, without the token that was shown.
    pub(crate) text: String,
    /// How long the endpoint asked to wait before it is asked again.
    pub(crate) retry_after: Option<Duration>,
    /// What of it nobody shall read in a message.
    pub(crate) secrets: Vec<String>,
}

impl Http {
    /// Asks something, once (and once more where a token is no longer taken).
    ///
    /// # Errors
    /// As calls fail; 404 and 405 say what was asked for.
    pub(crate) async fn exchange(&self, sending: &Sending<'_>) -> Result<Received, ModelError> {
        let mut url = self.endpoint.address.at(sending.path.iter().copied());
        for (name, value) in sending.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        let client = self.clients.get_for(&url, self.timeouts.connect, &self.settings);
        let client = client.map_err(|message| self.misconfigured(message))?;
        loop {
            let shown = self.endpoint.authorization.show().await?;
            let mut headers: HeaderMap = self.endpoint.headers.clone();
            headers.extend(self.gateway.authorized(&shown));
            let mut request = client.request(sending.method.clone(), url.clone());
            if let Some((kind, body)) = &sending.body {
                headers.insert(CONTENT_TYPE, kind.clone());
                request = request.body(body.clone());
            }
            self.gateway.cover(&mut headers);
            let exchange = async {
                let mut response = request.headers(headers).send().await?;
                let most = if response.status().is_success() { sending.most } else { MAX_ERROR };
                let mut body = Vec::new();
                while let Some(bytes) = response.chunk().await? {
                    body.extend_from_slice(&bytes);
                    if body.len() > most {
                        break;
                    }
                }
                Ok((response, body))
            };
            let (response, body) = match timeout(sending.limit, exchange).await {
                Ok(exchanged) => exchanged.map_err(|error: reqwest::Error| self.network(&error, ""))?,
                Err(_) => return Err(ModelError::TimedOut { phase: Phase::Total, after: sending.limit }),
            };
            let secrets = self.gateway.secrets(&shown);
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED && self.endpoint.authorization.refused(&shown) {
                continue;
            }
            if !status.is_success() {
                let asked = Asked { connection: &self.connection.0, model: sending.model, secrets: &secrets };
                let said = Said { status: status.as_u16(), headers: response.headers(), body: &body };
                let error = self.endpoint.authorization.explain(asked.error(&said));
                return Err(with_path(error, sending));
            }
            if body.len() > sending.most {
                let message = format!("it is larger than {} MiB", sending.most >> 20);
                return Err(ModelError::Malformed { message });
            }
            let text = match String::from_utf8(body) {
                Ok(text) => text,
                Err(_) => return Err(ModelError::Malformed { message: "it is not UTF-8 text".to_owned() }),
            };
            let text = without(shown.token(), &text).into_owned();
            let retry_after = retry_after::from_headers(response.headers(), SystemTime::now());
            return Ok(Received { text, retry_after, secrets });
        }
    }

    /// The connection's name.
    pub(crate) fn name(&self) -> &str {
        &self.connection.0
    }

    /// The format in which something is asked.
    pub(crate) fn wire(&self, ask: &Ask<'_>) -> Result<Wire, ModelError> {
        self.endpoint.wire(&self.connection, ask)
    }

    /// The body that a call would send.
    pub(crate) fn body(&self, ask: &Ask<'_>, wire: Wire) -> Result<String, ModelError> {
        wire.body(ask, Writing { connection: &self.connection.0, stream_usage: false })
    }

    /// What an answer means that came by another way than a call: its status and its body.
    pub(crate) fn read(
        &self,
        ask: &Ask<'_>,
        wire: Wire,
        status: u16,
        body: &Value,
        secrets: &[String],
    ) -> Result<Answer, ModelError> {
        let asked = Asked { connection: &self.connection.0, model: ask.model(), secrets };
        if !(200..300).contains(&status) {
            let headers = HeaderMap::new();
            return asked.answer_or_error(&Said { status, headers: &headers, body: body.to_json().as_bytes() }, ask);
        }
        if body.get("error").is_some_and(|error| !error.is_null()) && !wire.is_answer(body) {
            return asked.reply_or_error(body, None).map(|reply| Answer::Chat(Box::new(reply)));
        }
        wire.read(ask, body.clone()).map_err(|error| hidden(error, &asked))
    }

    /// What an error without a status means, as `{"error": {"code", "message"}}`.
    pub(crate) fn error_of(&self, model: &str, body: &Value, status: u16, secrets: &[String]) -> ModelError {
        let asked = Asked { connection: &self.connection.0, model, secrets };
        match asked.error_in_body(body) {
            ModelError::Malformed { .. } => {
                let headers = HeaderMap::new();
                asked.error(&Said { status, headers: &headers, body: body.to_json().as_bytes() })
            }
            known => known,
        }
    }
}

impl Received {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<Value, ModelError> {
        json::read(&self.text).map_err(|error| ModelError::Malformed { message: format!("it is no JSON ({error})") })
    }
}

fn with_path(error: ModelError, sending: &Sending<'_>) -> ModelError {
    match error {
        ModelError::Rejected { status: status @ (404 | 405), message, parameter } => {
            let asked = format!("{} …/{}", sending.method, sending.path.join("/"));
            ModelError::Rejected { status, message: format!("{message} (asked for {asked})"), parameter }
        }
        other => other,
    }
}
