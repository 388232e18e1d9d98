//! Where traces go, and what is in them.

use std::sync::Arc;

use sluicegate_source::Problem;
use sluicegate_value::Value;

use crate::layers::{Table, Tree};
use crate::reader::Reader;
use crate::{Secret, Variables};

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
    /// The sampler's name, as `OTEL_TRACES_SAMPLER` has it; `None`: everything that the parent does not deny.
    pub sampler: Option<String>,
    /// The sampler's argument, as written.
    pub sampler_argument: Option<String>,
    /// Whether prompts and answers are part of traces.
    pub capture_content: bool,
    /// Whether there are no traces at all.
    pub disabled: bool,
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
    Ok(Telemetry {
        endpoint: reader.text("endpoint")?,
        traces_endpoint: reader.text("traces_endpoint")?,
        headers: headers(&reader)?,
        service_name: reader.text("service_name")?.unwrap_or_else(|| "sluicegate".to_owned()),
        sampler: reader.text("sampler")?,
        sampler_argument: reader.text("sampler_argument")?,
        capture_content: reader.flag("capture_content")?.unwrap_or(true),
        disabled: reader.flag("disabled")?.unwrap_or(false),
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
            let mut headers = Vec::new();
            for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
                let Some((name, value)) = pair.split_once('=') else {
                    let message = "`telemetry.headers` takes a map, or `name=value,name=value`".to_owned();
                    return Err(reader.problem("headers", "config::wrong_value", message));
                };
                headers.push((Arc::from(name.trim()), Secret::new(percent_decoded(value.trim()))));
            }
            Ok(headers)
        }
        _ => {
            let message = "`telemetry.headers` takes a map, or `name=value,name=value`".to_owned();
            Err(reader.problem("headers", "config::wrong_type", message))
        }
    }
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
    fn percent_codes_are_read_and_anything_else_stays() {
        assert_eq!(percent_decoded("Bearer%20a%2Fb"), "Bearer a/b");
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%zz%ff"), "%zz%ff");
    }
}
