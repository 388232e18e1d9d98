//! `error.json`: what failed, in the original's envelope.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};

use sluicegate_events::NodeStatus;
use sluicegate_store::LineFailure;
use sluicegate_value::{Map, Value};

use super::gathered::Gathered;
use super::records;
use super::unwritten;
use super::writing::Writing;
use crate::commands::runs::{last_aggregation, store_error};
use crate::error::CliError;

impl Writing<'_> {
    /// `error.json`, only if anything failed. Each failure is written as it is read.
    pub(super) fn errors(&self) -> Result<(), CliError> {
        let mut gathered = Gathered::default();
        last_aggregation(self.run_events).iter().for_each(|event| gathered.hear(event, None));
        let of_aggregation: Vec<(String, Value)> = gathered
            .summary
            .nodes
            .iter()
            .filter(|(path, node)| path.0.len() == 1 && node.status == NodeStatus::Failed)
            .filter_map(|(path, node)| {
                let name = path.0.first()?.node.to_string();
                Some((name.clone(), records::error(Some(&name), node.failure.as_ref()?)))
            })
            .collect();
        let mut first = None;
        let told = self.reader.failures_in_order(&mut |failed| {
            first = Some(error_of(&failed));
            Err(io::ErrorKind::Other.into())
        });
        if first.is_none() {
            told.map_err(store_error)?;
        }
        let Some(first) = first.as_ref().or(of_aggregation.first().map(|(_, error)| error)) else { return Ok(()) };
        let first = first.get("message").and_then(Value::as_str).unwrap_or_default();
        let lines = self.reader.row().map_err(store_error)?.lines.unwrap_or_default();
        let message = match lines.failed {
            0 => format!("First error message is: {first}"),
            failed => format!("Failed to run {failed}/{} lines. First error message is: {first}", lines.total()),
        };
        let mut head = Map::from([("message", Value::from(message)), ("messageFormat", "".into())]);
        head.insert("messageParameters", Map::new());
        head.insert("referenceCode", "Runtime");
        head.insert("code", "UserError");
        head.insert("innerError", Map::from([("code", Value::from("BulkRunException")), ("innerError", Value::Null)]));
        head.insert("debugInfo", Value::Null);
        let head = Value::from(head).to_json();
        let file = self.to.join("error.json");
        let failed = |error: &io::Error| unwritten(&file, error);
        let mut out = BufWriter::new(File::create(&file).map_err(|error| failed(&error))?);
        // The failures come last, one after the other, in the place that is left open.
        let begin = format!(
            "{},\"additionalInfo\":[{{\"type\":\"BulkRunErrors\",\"info\":{{\"errors\":[",
            head.strip_suffix('}').unwrap_or(&head)
        );
        out.write_all(begin.as_bytes()).map_err(|error| failed(&error))?;
        let mut comma = "";
        let mut item = |item: Map| {
            let written = write!(out, "{comma}{}", Value::from(item).to_json());
            comma = ",";
            written
        };
        let told = self.reader.failures_in_order(&mut |failed| {
            item(Map::from([("line_number", Value::from(failed.line)), ("error", error_of(&failed))]))
        });
        told.map_err(store_error)?;
        for (name, error) in of_aggregation {
            item(Map::from([("error", error), ("aggregation_node_name", name.into())]))
                .map_err(|error| failed(&error))?;
        }
        out.write_all(b"]}}]}\n").and_then(|()| out.flush()).map_err(|error| failed(&error))
    }
}

fn error_of(failed: &LineFailure) -> Value {
    records::error(failed.node.0.first().map(|step| &*step.node.0), &failed.failure)
}
