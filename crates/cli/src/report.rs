//! A run as one JSON object: what `run --json` and `runs show --json` print.

use sluicegate_events::{Adapted, Failure, LineCounts, NodePath, NodeSummary, RunSummary};
use sluicegate_model::{Adaptation, Filter, FilterFinding, Usage};
use sluicegate_value::{Map, Value};

/// A run as one JSON object; `status` is how it stands in one word.
pub(crate) fn report(summary: &RunSummary, status: &str) -> Value {
    let mut report = Map::new();
    report.insert("run", summary.run.as_ref().map(ToString::to_string));
    report.insert("flow", summary.flow.as_str());
    report.insert("environment", summary.environment.clone());
    report.insert("status", status);
    report.insert("started", summary.started.map(|time| time.to_string()));
    report.insert("duration_ms", milliseconds(Some(summary.duration())));
    report.insert("trace_id", summary.trace_id.map(|id| format!("{id:032x}")));
    report.insert("inputs", summary.inputs.clone());
    report.insert("outputs", summary.outputs.clone());
    if let Some(failure) = &summary.failure {
        report.insert("error", failure_value(failure));
    }
    report.insert("usage", usage(&summary.usage()));
    report.insert("cost_usd", summary.cost());
    report.insert("nodes", nodes_value(summary));
    Value::from(report)
}

/// The nodes of a run by their paths.
pub(crate) fn nodes_value(summary: &RunSummary) -> Value {
    let nodes = summary.nodes.iter().map(|(path, node)| (path.to_string(), node_value(node)));
    Value::from(nodes.collect::<Map>())
}

/// How many lines of a batch ended how.
pub(crate) fn line_counts(lines: &LineCounts) -> Value {
    let counts =
        [("total", lines.total()), ("completed", lines.completed), ("failed", lines.failed), ("left", lines.left)];
    Value::from(Map::from(counts))
}

/// A line that failed, as an object.
pub(crate) fn line_failure(line: u64, node: &NodePath, failure: &Failure) -> Value {
    Value::from(Map::from([
        ("line_number", Value::from(line)),
        ("node", Value::from(node.to_string())),
        ("code", Value::from(failure.code.as_str())),
        ("message", Value::from(failure.message.as_str())),
    ]))
}

/// The same in words: `line 7, node `answer`: the endpoint …`.
pub(crate) fn line_failure_words(line: u64, node: &NodePath, message: &str) -> String {
    let node = if node.is_root() { String::new() } else { format!(", node `{node}`") };
    format!("line {line}{node}: {message}")
}

fn node_value(node: &NodeSummary) -> Value {
    let mut map = Map::new();
    map.insert("kind", node.kind.as_str());
    map.insert("status", node.status.word());
    map.insert("output", node.output.clone());
    if let Some(failure) = &node.failure {
        map.insert("error", failure_value(failure));
    }
    if let Some(filter) = &node.filter {
        map.insert("filter", filter_value(filter));
    }
    if let Some(shortfall) = &node.shortfall {
        map.insert("shortfall", shortfall.word());
    }
    if !node.adapted.is_empty() {
        map.insert("adapted", node.adapted.iter().map(adapted_value).collect::<Vec<_>>());
    }
    map.insert("duration_ms", milliseconds(node.duration()));
    map.insert("attempts", i64::from(node.attempts));
    map.insert("calls", i64::from(node.calls));
    map.insert("usage", usage(&node.usage));
    map.insert("cost_usd", node.cost);
    Value::from(map)
}

fn filter_value(filter: &Filter) -> Value {
    let finding = |finding: &FilterFinding| {
        Value::from(Map::from([
            ("category", Value::from(finding.category.clone())),
            ("severity", Value::from(finding.severity.clone())),
            ("in_reply", Value::from(finding.in_reply)),
            ("stopped", Value::from(finding.stopped)),
        ]))
    };
    let mut map = Map::from([("state", Value::from(filter.state.word()))]);
    map.insert("findings", filter.findings.iter().map(finding).collect::<Vec<_>>());
    map.insert("message", filter.message.clone());
    map.into()
}

fn adapted_value(adapted: &Adapted) -> Value {
    let sent_as = match &adapted.adaptation {
        Adaptation::Renamed(to) => Value::from(to.clone()),
        Adaptation::Dropped | Adaptation::ValueDropped(_) => Value::Null,
    };
    let mut map = Map::from([("parameter", Value::from(adapted.parameter.as_str())), ("sent_as", sent_as)]);
    if let Adaptation::ValueDropped(value) = &adapted.adaptation {
        map.insert("value", value.clone());
    }
    map.insert("model", adapted.model.as_str());
    map.insert("message", adapted.message.as_str());
    map.into()
}

/// Why something failed.
pub(crate) fn failure_value(failure: &sluicegate_events::Failure) -> Value {
    let mut map = Map::new();
    map.insert("code", failure.code.as_str());
    map.insert("message", failure.message.as_str());
    map.insert("causes", failure.causes.iter().map(|cause| Value::from(cause.as_str())).collect::<Vec<_>>());
    map.insert("hint", failure.hint.as_deref());
    map.insert("details", failure.details.clone());
    Value::from(map)
}

/// Tokens used.
pub(crate) fn usage(usage: &Usage) -> Value {
    Value::from(Map::from([
        ("input_tokens", usage.input_tokens),
        ("output_tokens", usage.output_tokens),
        ("cached_input_tokens", usage.cached_input_tokens),
        ("reasoning_tokens", usage.reasoning_tokens),
        ("total_tokens", usage.total()),
    ]))
}

/// A time in milliseconds, to the microsecond.
pub(crate) fn milliseconds(duration: Option<std::time::Duration>) -> Option<f64> {
    duration.map(|duration| duration.as_micros() as f64 / 1000.0)
}
