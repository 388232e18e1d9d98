//! `load_flow(…)(…)` and `PFClient.test`: a flow runs inside of the node that asks.

use std::path::PathBuf;
use std::sync::Arc;

use sluicegate_flow::files::FileError;
use sluicegate_flow::image::Images;
use sluicegate_flow::plan::Plan;
use sluicegate_python::HostError;
use sluicegate_value::{Map, Value};

use super::{Answer, boxed};
use crate::progress::LineFailure;
use crate::python::fields::Fields;
use crate::python::host::NodeHost;
use crate::python::inner_run;
use crate::python::tools::load_tools;
use crate::python::world::FlowAsked;

pub(super) async fn flow(host: &NodeHost<'_>, fields: Fields<'_>) -> Answer {
    let asked = FlowAsked {
        path: PathBuf::from(&*fields.required_text("path")?),
        variant: text(fields, "variant"),
        connections: fields.map("connections"),
        overrides: fields.map("overrides"),
        init: fields.map("init"),
        ..FlowAsked::default()
    };
    let outputs = run(host, fields, asked).await?;
    Ok(Value::from(Map::from([("output", Value::from(outputs)), ("status", "Completed".into())])).into())
}

pub(super) async fn test(host: &NodeHost<'_>, fields: Fields<'_>) -> Answer {
    let path = fields.text("flow").or_else(|| fields.text("code"));
    let path = path.ok_or_else(|| HostError::new("UserErrorException", "no flow is named"))?;
    let asked = FlowAsked {
        path: PathBuf::from(&*path),
        entry: text(fields, "entry"),
        variant: text(fields, "variant"),
        node: text(fields, "node"),
        variables: fields.map("environment_variables"),
        init: fields.map("init"),
        ..FlowAsked::default()
    };
    let is_node = asked.node.is_some();
    let outputs = run(host, fields, asked).await?;
    Ok(match outputs.get("output").filter(|_| is_node) {
        Some(output) => output.clone().into(),
        None => Value::from(outputs).into(),
    })
}

fn text(fields: Fields<'_>, name: &str) -> Option<String> {
    fields.text(name).map(|text| text.to_string())
}

async fn run(host: &NodeHost<'_>, fields: Fields<'_>, asked: FlowAsked) -> Result<Map, HostError> {
    let plan = host.side.world().flow(&asked).map_err(|refused| HostError::new(refused.class, refused.message))?;
    let plan = boxed(load_tools(host.side, &plan)).await.map_err(|problems| {
        let messages: Vec<String> = problems.iter().map(ToString::to_string).collect();
        HostError::new("UserErrorException", messages.join("; "))
    })?;
    let inputs = inputs(host, plan.plan(), fields.map("inputs"))?;
    let running = inner_run::run(host.side, plan.plan(), inputs, host.calls, fields.span());
    boxed(running).await.map_err(|failed| refused(&failed))
}

fn inputs(host: &NodeHost<'_>, plan: &Arc<Plan>, given: Map) -> Result<Map, HostError> {
    let place = host.side.workplace(plan).map_err(|problem| HostError::new("UserErrorException", problem.message))?;
    let read = |path: &str| {
        let bytes = host.side.world().read(&place.place.folder.join(path));
        bytes.map(Arc::from).map_err(|reason| FileError::Unreadable { path: path.to_owned(), reason })
    };
    plan.resolve_inputs_with(&given, &Images::new(plan.message_format, &read)).map_err(|errors| {
        let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
        HostError::new("UserErrorException", messages.join("; "))
    })
}

/// A node's failure, in the original's words.
fn refused(failed: &LineFailure) -> HostError {
    let LineFailure { path, failure } = failed;
    let code = |class: &str| vec!["UserError".to_owned(), class.to_owned()];
    match (&*failure.code, path.is_root()) {
        (_, true) => HostError::new("UserErrorException", failure.message.clone()),
        ("template", _) => super::of_template(failure),
        _ => HostError {
            codes: code("ToolExecutionError"),
            ..HostError::new("ToolExecutionError", format!("Execution failure in '{path}': {}", failure.message))
        },
    }
}
