//! A run's nodes as a short tree.

use std::time::Duration;

use sluicegate_events::{NodePath, NodeStatus, NodeSummary, RunSummary};
use sluicegate_model::{Shortfall, Usage};

use super::{Painter, harmless};

/// Nodes of nested flows beyond this many are counted, not listed: a map over a thousand items is no tree to read.
const MOST_CHILDREN: usize = 20;

/// The nodes of a run with status, duration and tokens, a line each, those of nested flows below theirs.
pub(crate) fn show_nodes(summary: &RunSummary, paint: Painter) -> String {
    let mut lines = Vec::new();
    level(summary, None, "", paint, &mut lines);
    lines.join("\n")
}

fn level(summary: &RunSummary, parent: Option<&NodePath>, indent: &str, paint: Painter, lines: &mut Vec<String>) {
    let children: Vec<(&NodePath, &NodeSummary)> =
        summary.nodes.iter().filter(|(path, _)| path.parent().as_ref() == parent).collect();
    let width = children.iter().map(|(path, _)| name(path).chars().count()).max().unwrap_or(0).min(40);
    let shown = children.len().min(MOST_CHILDREN);
    for (position, (path, node)) in children[..shown].iter().enumerate() {
        let last = position + 1 == children.len();
        let name = name(path);
        let padding = " ".repeat(width.saturating_sub(name.chars().count()));
        let branch = if last { "└─" } else { "├─" };
        lines.push(format!("{indent}{branch} {}{padding}  {}", harmless(&name), describe(node, paint)));
        let below = format!("{indent}{}", if last { "   " } else { "│  " });
        if summary.nodes.keys().any(|other| other.parent().as_ref() == Some(*path)) {
            level(summary, Some(path), &below, paint, lines);
        }
    }
    if children.len() > shown {
        lines.push(format!("{indent}└─ … {} more", children.len() - shown));
    }
}

/// A node's own name; inside a map or loop with the item that it belongs to.
fn name(path: &NodePath) -> String {
    let Some((last, before)) = path.0.split_last() else { return String::new() };
    match before.last().and_then(|step| step.index) {
        Some(index) => format!("[{index}] {}", last.node),
        None => last.node.to_string(),
    }
}

fn describe(node: &NodeSummary, paint: Painter) -> String {
    let status = match node.status {
        NodeStatus::Completed => paint.green("done"),
        NodeStatus::Failed => paint.red("failed"),
        NodeStatus::Bypassed => paint.dim("bypassed"),
        other => paint.yellow(other.word()),
    };
    let mut parts = vec![format!("{:<10} {status}", node.kind)];
    if let Some(duration) = node.duration().filter(|_| node.status != NodeStatus::Bypassed) {
        parts.push(show_duration(duration));
    }
    if let Some(tokens) = show_tokens(&node.usage) {
        parts.push(tokens);
    }
    if node.attempts > 1 {
        parts.push(format!("{} attempts", node.attempts));
    }
    if node.repeated_attempts > 0 {
        parts.push(format!("{} repeated by the connection", node.repeated_attempts));
    }
    if let Some(filter) = &node.filter {
        let found: Vec<String> = filter.findings.iter().map(ToString::to_string).collect();
        let found = if found.is_empty() { String::new() } else { format!(" ({})", found.join(", ")) };
        parts.push(paint.yellow(&harmless(&format!("filter: {}{found}", filter.state.word()))));
    }
    let by_filter = |shortfall: &&Shortfall| matches!(shortfall, Shortfall::Filtered(_));
    if let Some(shortfall) = node.shortfall.as_ref().filter(|shortfall| !by_filter(shortfall)) {
        parts.push(paint.yellow(&shortfall.word().replace('_', " ")));
    }
    if !node.adapted.is_empty() {
        let names: Vec<&str> = node.adapted.iter().map(|adapted| adapted.parameter.as_str()).collect();
        parts.push(harmless(&format!("adapted: {}", names.join(", "))).into_owned());
    }
    parts.join("  ")
}

/// A duration as a person reads it: `340 ms`, `2.1 s`, `3 min 5 s`.
pub(crate) fn show_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{:.1} s", duration.as_secs_f64()),
        _ => format!("{} min {} s", duration.as_secs() / 60, duration.as_secs() % 60),
    }
}

/// Tokens as a person reads them: `58 → 6 tokens`; `None` if nobody said.
pub(crate) fn show_tokens(usage: &Usage) -> Option<String> {
    match (usage.input_tokens, usage.output_tokens) {
        (None, None) => None,
        (input, output) => Some(format!("{} → {} tokens", input.unwrap_or(0), output.unwrap_or(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        let shown = [0, 340, 2_140, 185_000].map(|ms| show_duration(Duration::from_millis(ms)));
        assert_eq!(shown, ["0 ms", "340 ms", "2.1 s", "3 min 5 s"]);
    }
}
