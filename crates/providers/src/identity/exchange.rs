//! One question to whoever gives out tokens: asked again where that may help, with every secret taken out of what is
//! quoted.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, Url};
use sluicegate_config::Gateway;
use sluicegate_value::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::client::Clients;
use crate::failure::page;
use crate::network_error::{Between, Caller, NetworkError};
use crate::retry_after;

/// Asks over the crate's own clients.
pub(super) struct Exchange {
    clients: Arc<Clients>,
    /// What of a connection's settings counts here: only whom it trusts. Its headers and its certificate are meant for
    /// its own address.
    settings: Gateway,
}

/// What is asked.
pub(super) struct Question<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    /// Headers by name; their values may be secrets.
    pub(super) headers: Vec<(&'static str, String)>,
    /// A form, already encoded.
    pub(super) form: Option<String>,
    /// What may not be quoted.
    pub(super) secrets: Vec<&'a str>,
    /// The platform's own service: never by way of a proxy, and not waited for.
    pub(super) local: bool,
}

/// What came back.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// May hold a token: not to be quoted unless [`Question::quoted`].
    pub(super) text: String,
    /// When the question was sent.
    pub(super) since: Instant,
    /// Whether it asks for a longer wait than anybody here has patience for.
    too_far: bool,
}

/// Nobody answered.
pub(super) struct Silence {
    /// Who, and why.
    pub(super) message: String,
    /// Whether asking again may help.
    pub(super) transient: bool,
}

/// The largest answer that is read.
const MAX_ANSWER: usize = 1 << 20;

/// How often a question is asked.
const ATTEMPTS: u32 = 4;

/// The pause before the second time, tripled for each further one.
const PAUSE: Duration = Duration::from_millis(250);

/// The longest wait that an answer may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long a whole answer may take.
const LIMIT: Duration = Duration::from_secs(20);

impl Exchange {
    pub(super) fn new(clients: Arc<Clients>) -> Self {
        Self { clients, settings: Gateway::default() }
    }

    /// Trusts the authorities of this file, too.
    pub(super) fn trust(&mut self, ca_file: Option<&Path>) {
        self.settings.ca_file = ca_file.map(Path::to_owned);
    }

    /// Asks, and asks again after 408, 410, 429, 5xx and failures of the network. A platform's own service that is not
    /// there is asked once.
    pub(super) async fn ask(&self, question: &Question<'_>) -> Result<Reply, Silence> {
        let mut pause = PAUSE;
        for _ in 1..ATTEMPTS {
            let outcome = self.once(question).await;
            let asked = match &outcome {
                Ok(reply) if reply.is_transient() => retry_after::from_headers(&reply.headers, SystemTime::now()),
                Err(silence) if silence.transient && !question.local => None,
                _ => return outcome,
            };
            if asked.is_some_and(|asked| asked > LONGEST_WAIT) {
                return outcome.map(|reply| Reply { too_far: true, ..reply });
            }
            sleep(asked.unwrap_or(pause)).await;
            pause *= 3;
        }
        self.once(question).await
    }

    async fn once(&self, question: &Question<'_>) -> Result<Reply, Silence> {
        let origin = question.url.origin().ascii_serialization();
        let silence = |message: String, transient: bool| Silence { message: question.hide(&message), transient };
        let unreachable = |why: &str| silence(format!("cannot reach {origin}: {why}"), true);
        let (scheme, tls) = (question.url.scheme(), question.url.scheme() == "https");
        // A machine without the service must not wait for it.
        let connect = Duration::from_secs(if question.local { 1 } else { 10 });
        let client = match question.local {
            true => self.clients.direct(tls, connect),
            false => self.clients.get_for(&question.url, connect, &self.settings),
        };
        let client = client.map_err(|why| silence(why, false))?;
        let mut request = client.request(question.method.clone(), question.url.clone());
        for (name, value) in &question.headers {
            request = request.header(*name, value);
        }
        if let Some(form) = &question.form {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.clone());
        }
        let since = Instant::now();
        let whole = async {
            let mut response = request.send().await?;
            let mut body = Vec::new();
            while body.len() <= MAX_ANSWER
                && let Some(bytes) = response.chunk().await?
            {
                body.extend_from_slice(&bytes);
            }
            Ok::<_, reqwest::Error>((response.status().as_u16(), std::mem::take(response.headers_mut()), body))
        };
        let (status, headers, body) = match timeout(LIMIT, whole).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let host = question.url.host_str().unwrap_or_default();
                let proxy = self.clients.proxy_to(scheme, host).filter(|_| !question.local);
                let between = Between {
                    origin: &origin,
                    proxy: proxy.as_ref(),
                    client_certificate: None,
                    caller: Caller::Identity,
                };
                return Err(match between.explain(&error) {
                    NetworkError::ConnectTimedOut => {
                        unreachable(&format!("no connection within {} s", connect.as_secs()))
                    }
                    NetworkError::Wrong(why) | NetworkError::Forbidden(why) => silence(why, false),
                    NetworkError::Undecodable(why) | NetworkError::Unreachable(why) => unreachable(&why),
                });
            }
            Err(_) => return Err(unreachable(&format!("no answer within {} s", LIMIT.as_secs()))),
        };
        if body.len() > MAX_ANSWER {
            return Err(silence(format!("the answer of {origin} is larger than 1 MiB"), false));
        }
        Ok(Reply { status, headers, text: String::from_utf8_lossy(&body).into_owned(), since, too_far: false })
    }
}

impl Question<'_> {
    /// Takes every secret out of a text, also as a form would spell it.
    pub(super) fn hide(&self, text: &str) -> String {
        let mut hidden = text.to_owned();
        for secret in &self.secrets {
            // One of a few characters is a test's, and would make holes everywhere.
            if secret.len() <= 3 {
                continue;
            }
            for spelled in [(*secret).to_owned(), encoded(secret)] {
                if hidden.contains(&spelled) {
                    hidden = hidden.replace(&spelled, "***");
                }
            }
        }
        hidden
    }

    /// What an answer without a token says, fit to be shown.
    pub(super) fn quoted(&self, reply: &Reply) -> String {
        let said = page(&self.hide(&reply.text));
        if said.trim().is_empty() { "it said no more".to_owned() } else { said }
    }
}

impl Reply {
    /// The body, if it is a JSON object.
    pub(super) fn json(&self) -> Option<Value> {
        json::read(&self.text).ok().filter(|body| body.as_map().is_some())
    }

    /// When it was sent by the sender's own clock.
    pub(super) fn date(&self) -> Option<SystemTime> {
        httpdate::parse_http_date(self.headers.get("date")?.to_str().ok()?).ok()
    }

    /// Whether asking again may help.
    pub(super) fn is_transient(&self) -> bool {
        !self.too_far && matches!(self.status, 408 | 410 | 429 | 500..=599)
    }
}

/// A text as it stands in a form or query.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A form of these fields.
pub(super) fn form(fields: &[(&str, &str)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    fields.join("&")
}
