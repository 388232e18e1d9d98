//! What stands between us and a service: headers, a query and a path of its own, and another header for the key.

use reqwest::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use sluicegate_model::{ConnectionName, ModelError};

use super::{Address, Endpoint};
use crate::authorization::Shown;

/// What is shorter is a word (`true`, `eu`) that stands in many texts, and no secret.
const SHORTEST: usize = 6;

/// What a connection's gateway wants, ready to be sent.
pub(crate) struct Gateway {
    headers: HeaderMap,
    auth_header: Option<(HeaderName, String)>,
    secrets: Vec<String>,
}

impl Gateway {
    /// Reads a connection's settings.
    ///
    /// # Errors
    /// A name or value cannot stand in a header.
    pub(crate) fn new(connection: &ConnectionName, settings: &sluicegate_config::Gateway) -> Result<Self, ModelError> {
        let misconfigured = |message: String| ModelError::Misconfigured { connection: connection.to_string(), message };
        let header_name = |setting: &str, name: &str| {
            let parsed = HeaderName::from_bytes(name.trim().as_bytes());
            parsed.map_err(|_| misconfigured(format!("its `{setting}` has `{name}`, which is no header's name")))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            let header = header_name("headers", name)?;
            if [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION].contains(&header) {
                return Err(misconfigured(format!("its `headers` has `{name}`, which is made with each request")));
            }
            let value = sensitive(value.expose().trim()).ok_or_else(|| {
                misconfigured(format!("the value of its header `{name}` has characters that no header can hold"))
            })?;
            headers.append(header, value);
        }
        let auth_header = match &settings.auth_header {
            Some(auth) => {
                let name = header_name("auth_header", &auth.name)?;
                if HeaderValue::from_str(&auth.prefix).is_err() {
                    let message = "the prefix of its `auth_header` has characters that no header can hold";
                    return Err(misconfigured(message.to_owned()));
                }
                Some((name, auth.prefix.clone()))
            }
            None => None,
        };
        let values = settings.headers.iter().chain(&settings.query).map(|(_, secret)| secret.expose().trim());
        // What follows a scheme such as `Bearer` is repeated alone, too.
        let secrets = values.flat_map(|value| [Some(value), value.split_once(' ').map(|(_, token)| token.trim())]);
        let secrets = secrets.flatten().filter(|secret| secret.len() >= SHORTEST);
        Ok(Self { headers, auth_header, secrets: spellings(secrets) })
    }

    /// The headers that carry what a service knows us by: the gateway's instead of the service's own, if it has one.
    pub(crate) fn authorized(&self, shown: &Shown) -> Vec<(HeaderName, HeaderValue)> {
        match (&self.auth_header, &shown.secret) {
            (Some((name, prefix)), Some(secret)) => {
                // What stood in a header before can stand in this one.
                let value = sensitive(&format!("{prefix}{}", secret.expose()));
                value.map(|value| (name.clone(), value)).into_iter().collect()
            }
            _ => shown.headers.clone(),
        }
    }

    /// Puts the gateway's headers over those that are there: what it wants by a name counts.
    pub(crate) fn cover(&self, headers: &mut HeaderMap) {
        for name in self.headers.keys() {
            headers.remove(name);
        }
        headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    }

    /// What an endpoint may echo and nobody shall read, in the spellings in which it may.
    pub(crate) fn secrets(&self, shown: &Shown) -> Vec<String> {
        let mut secrets = self.secrets.clone();
        secrets.extend(shown.secret.iter().map(|secret| secret.expose().to_owned()));
        // The longest first: one secret may be a part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
    }
}

impl Endpoint {
    /// The same endpoint as a gateway offers it: with a path before its own and more in the query.
    ///
    /// # Errors
    /// The path is none.
    pub(crate) fn behind(
        mut self,
        connection: &ConnectionName,
        settings: &sluicegate_config::Gateway,
    ) -> Result<Self, ModelError> {
        if let Some(prefix) = &settings.path_prefix {
            self.address.prefix(prefix).map_err(|why| ModelError::Misconfigured {
                connection: connection.to_string(),
                message: format!("its `path_prefix` {why}"),
            })?;
        }
        for (name, value) in &settings.query {
            self.address = self.address.with_query(name, value.expose().trim());
        }
        Ok(self)
    }
}

impl Address {
    /// Puts a path in front of the whole path.
    fn prefix(&mut self, prefix: &str) -> Result<(), &'static str> {
        let prefix = prefix.trim().trim_matches('/');
        if prefix.contains(['?', '#', '\\']) {
            return Err("must be a path, without `?` or `#`");
        }
        if prefix.contains("://") {
            return Err("must be a path such as `/team-a`, not a whole address");
        }
        if prefix.split('/').any(|segment| matches!(segment, "." | ".." | "")) && !prefix.is_empty() {
            return Err("must not hold `.`, `..` or an empty segment");
        }
        if !prefix.is_empty() {
            let path = format!("/{prefix}{}", self.base.path());
            self.base.set_path(&path);
        }
        Ok(())
    }
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Each secret as it is, and as a URL or a JSON text spells it if that is different.
fn spellings<'a>(secrets: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut spelled = Vec::new();
    for secret in secrets {
        let mut url = reqwest::Url::parse("http://x").ok();
        let form = url.as_mut().and_then(|url| {
            url.query_pairs_mut().append_pair("s", secret);
            url.query().and_then(|query| query.strip_prefix("s=")).map(str::to_owned)
        });
        let in_json = sluicegate_value::Value::from(secret).to_json();
        let in_json = in_json.strip_prefix('"').and_then(|text| text.strip_suffix('"')).map(str::to_owned);
        for spelling in [Some(secret.to_owned()), form.clone(), form.map(|form| form.replace('+', "%20")), in_json] {
            if let Some(spelling) = spelling.filter(|spelling| !spelled.contains(spelling)) {
                spelled.push(spelling);
            }
        }
    }
    spelled
}
