//! Where traces go, and what is in them.

use std::sync::Arc;

use sluicegate_source::Problem;
use sluicegate_value::Value;

use crate::layers::{Table, Tree};
use crate::reader::Reader;
use crate::variables::OTEL_RESOURCE_ATTRIBUTES;
use crate::{Secret, Variable, Variables};

/// The resource attribute that names the program.
const SERVICE_NAME: &str = "service.name";

/// Where traces go, and what is in them.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// The collector's address, to which `/v1/traces` is added; `None`: traces are not sent.
    pub endpoint: Option<String>,
    /// The address for traces, taken as it is; comes before `endpoint`.
    pub traces_endpoint: Option<String>,
    /// Headers for the collector.
    pub headers: Vec<(Arc<str>, Secret)>,
    /// The name under which traces are filed.
    pub service_name: String,
    /// Further attributes of this program, by `OTEL_RESOURCE_ATTRIBUTES`.
    pub resource_attributes: Vec<(Arc<str>, String)>,
    /// The sampler's name, as `OTEL_TRACES_SAMPLER` has it; `None`: everything that the parent does not deny.
    pub sampler: Option<String>,
    /// The sampler's argument, as written.
    pub sampler_argument: Option<String>,
    /// Whether prompts and answers are part of traces.
    pub capture_content: bool,
    /// Whether there are no traces at all.
    pub disabled: bool,
    /// What was not understood and is left out, without values.
    pub warnings: Vec<String>,
}

impl Telemetry {
    /// The address to which traces are sent; `None`: they are not.
    #[must_use]
    pub fn traces_url(&self) -> Option<String> {
        if self.disabled {
            return None;
        }
        let joined = || self.endpoint.as_ref().map(|endpoint| format!("{}/v1/traces", endpoint.trim_end_matches('/')));
        self.traces_endpoint.clone().or_else(joined)
    }
}

pub(crate) fn read(root: &Tree, variables: &Variables) -> Result<Telemetry, Problem> {
    let empty = Table::new();
    let table = root.get("telemetry").and_then(Tree::as_table).unwrap_or(&empty);
    let reader = Reader::new(table, "telemetry", variables);
    let (mut attributes, wrong) = resource_attributes(variables).map(|(_, pairs)| pairs).unwrap_or_default();
    // The service's name is a setting: see `layer_of_resource_attributes`.
    attributes.retain(|(name, _)| &**name != SERVICE_NAME);
    let warn = |position| format!("{OTEL_RESOURCE_ATTRIBUTES}: entry {position} is no `name=value`");
    Ok(Telemetry {
        endpoint: reader.text("endpoint")?,
        traces_endpoint: reader.text("traces_endpoint")?,
        headers: headers(&reader)?,
        service_name: reader.text("service_name")?.unwrap_or_else(|| "sluicegate".to_owned()),
        resource_attributes: attributes,
        sampler: reader.text("sampler")?,
        sampler_argument: reader.text("sampler_argument")?,
        capture_content: reader.flag("capture_content")?.unwrap_or(true),
        disabled: reader.flag("disabled")?.unwrap_or(false),
        warnings: wrong.into_iter().map(warn).collect(),
    })
}

/// A map, or the text of `OTEL_EXPORTER_OTLP_HEADERS`: `name=value,name=value`, percent-encoded.
fn headers(reader: &Reader<'_>) -> Result<Vec<(Arc<str>, Secret)>, Problem> {
    let Some(setting) = reader.setting("headers")? else { return Ok(Vec::new()) };
    match &setting.value {
        Value::Map(map) => Ok(map
            .iter()
            .map(|(name, value)| {
                (name.clone(), Secret::new(value.as_str().map_or_else(|| value.to_json(), str::to_owned)))
            })
            .collect()),
        Value::Str(text) => {
            let (pairs, wrong) = pairs(text);
            if let Some(position) = wrong.first() {
                // Not quoted: it may be a key.
                let message = format!("entry {position} of `telemetry.headers` is no `name=value`");
                return Err(reader.problem("headers", "config::wrong_value", message));
            }
            Ok(pairs.into_iter().map(|(name, value)| (name, Secret::new(value))).collect())
        }
        _ => {
            let message = "`telemetry.headers` takes a map, or `name=value,name=value`".to_owned();
            Err(reader.problem("headers", "config::wrong_type", message))
        }
    }
}

/// Attributes of this program as `OTEL_RESOURCE_ATTRIBUTES` names them, and who set that variable.
fn resource_attributes(variables: &Variables) -> Option<(Variable<'_>, Pairs)> {
    let found = variables.get_non_empty(OTEL_RESOURCE_ATTRIBUTES)?;
    let pairs = pairs(found.value);
    Some((found, pairs))
}

/// The layer of settings in `OTEL_RESOURCE_ATTRIBUTES`: one of its attributes is the service's name.
pub(crate) fn layer_of_resource_attributes(variables: &Variables) -> Option<Tree> {
    let (found, (pairs, _)) = resource_attributes(variables)?;
    let (_, name) = pairs.into_iter().rfind(|(name, value)| &**name == SERVICE_NAME && !value.is_empty())?;
    Some(Tree::at_key("telemetry.service_name", name.into(), found.origin))
}

/// Names with their values, and the positions (from 1) of entries that are none.
type Pairs = (Vec<(Arc<str>, String)>, Vec<usize>);

/// Reads `name=value,name=value`, values percent-encoded, as all of OpenTelemetry's variables have it.
fn pairs(text: &str) -> Pairs {
    let (mut pairs, mut wrong) = (Vec::new(), Vec::new());
    for (position, entry) in text.split(',').map(str::trim).enumerate().filter(|(_, entry)| !entry.is_empty()) {
        match entry.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
            Some((name, value)) if !name.is_empty() => pairs.push((name.into(), percent_decoded(value))),
            _ => wrong.push(position + 1),
        }
    }
    (pairs, wrong)
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| byte == b'%') {
            Some(code) => {
                decoded.push(code);
                at += 3;
            }
            None => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_have_names_and_what_has_none_is_counted() {
        let (found, wrong) = pairs("api-key=hun%20ter2, x = a=b ,broken,=2,,y=");
        let found: Vec<(&str, &str)> = found.iter().map(|(name, value)| (&**name, value.as_str())).collect();
        assert_eq!(found, [("api-key", "hun ter2"), ("x", "a=b"), ("y", "")]);
        assert_eq!(wrong, [3, 4]);
    }

    #[test]
    fn percent_codes_are_read_and_anything_else_stays() {
        assert_eq!(percent_decoded("Bearer%20a%2Fb"), "Bearer a/b");
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%zz%ff"), "%zz%ff");
    }
}
