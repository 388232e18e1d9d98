//! A plan as a picture: Mermaid and Graphviz text, and SVG with a layout of our own.

use std::fmt::Write as _;

use crate::plan::{Node, NodeId, NodeKind, Operand, OutputSpec, Plan};

/// The plan as a Mermaid flow chart.
#[must_use]
pub fn mermaid(plan: &Plan) -> String {
    let mut out = String::from("flowchart TD\n");
    if reads_inputs(plan) {
        out.push_str("  inputs([inputs])\n");
    }
    for (index, node) in plan.nodes.iter().enumerate() {
        let _ = writeln!(out, "  n{index}[\"{}<br/>{}\"]", mermaid_text(&node.name.0), mermaid_text(&caption(node)));
    }
    if plan.outputs.values().any(|output| output.from.node().is_some()) {
        out.push_str("  outputs([outputs])\n");
    }
    for edge in edges(plan) {
        let arrow = if edge.conditional { "-.->" } else { "-->" };
        let _ = writeln!(out, "  {} {arrow} {}", edge.from.id(), edge.to.id());
    }
    out
}

/// The plan as a Graphviz graph.
#[must_use]
pub fn dot(plan: &Plan) -> String {
    let mut out = format!("digraph \"{}\" {{\n  node [shape=box];\n", dot_text(&plan.name));
    if reads_inputs(plan) {
        out.push_str("  inputs [shape=oval];\n");
    }
    for (index, node) in plan.nodes.iter().enumerate() {
        let _ = writeln!(out, "  n{index} [label=\"{}\\n{}\"];", dot_text(&node.name.0), dot_text(&caption(node)));
    }
    if plan.outputs.values().any(|output| output.from.node().is_some()) {
        out.push_str("  outputs [shape=oval];\n");
    }
    for edge in edges(plan) {
        let style = if edge.conditional { " [style=dashed]" } else { "" };
        let _ = writeln!(out, "  {} -> {}{style};", edge.from.id(), edge.to.id());
    }
    out.push_str("}\n");
    out
}

/// The plan as an SVG picture: nodes in layers, each below all that it reads.
#[must_use]
pub fn svg(plan: &Plan) -> String {
    const WIDTH: usize = 190;
    const HEIGHT: usize = 46;
    const GAP_X: usize = 30;
    const GAP_Y: usize = 50;
    let edges = edges(plan);
    let rows = layers(plan, &edges);
    let widest = rows.iter().map(Vec::len).max().unwrap_or(1).max(1);
    let (width, height) = (widest * (WIDTH + GAP_X) + GAP_X, rows.len() * (HEIGHT + GAP_Y) + GAP_Y);
    let mut places = std::collections::HashMap::new();
    for (row, ends) in rows.iter().enumerate() {
        let left = (width - ends.len() * (WIDTH + GAP_X) + GAP_X) / 2;
        for (column, end) in ends.iter().enumerate() {
            places.insert(*end, (left + column * (WIDTH + GAP_X), GAP_Y / 2 + row * (HEIGHT + GAP_Y)));
        }
    }
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<title>{}</title>\n<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" \
         refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0 L8 4 L0 8 z\" \
         fill=\"#667\"/></marker></defs>\n",
        xml_text(&plan.name)
    );
    for edge in &edges {
        let (Some((from_x, from_y)), Some((to_x, to_y))) = (places.get(&edge.from), places.get(&edge.to)) else {
            continue;
        };
        let (from_x, from_y, to_x) = (from_x + WIDTH / 2, from_y + HEIGHT, to_x + WIDTH / 2);
        let middle = (from_y + to_y) / 2;
        let dashes = if edge.conditional { " stroke-dasharray=\"5 4\"" } else { "" };
        let _ = writeln!(
            out,
            "<path d=\"M{from_x} {from_y} C{from_x} {middle} {to_x} {middle} {to_x} {to_y}\" fill=\"none\" \
             stroke=\"#667\"{dashes} marker-end=\"url(#arrow)\"/>"
        );
    }
    for end in rows.iter().flatten() {
        let Some((x, y)) = places.get(end) else { continue };
        let (round, label, caption) = match end {
            End::Node(id) => (6, plan.node(*id).name.to_string(), caption(plan.node(*id))),
            End::Inputs => (23, "inputs".to_owned(), listed(plan.inputs.keys().map(|name| &**name))),
            End::Outputs => (23, "outputs".to_owned(), listed(plan.outputs.keys().map(|name| &**name))),
        };
        let middle = x + WIDTH / 2;
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"{round}\" fill=\"#f4f6fb\" stroke=\"#667\"/>\n\
             <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" fill=\"#112\">{}</text>\n\
             <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" fill=\"#667\" font-size=\"11\">{}</text>",
            y + 20,
            xml_text(&fitting(&label)),
            y + 36,
            xml_text(&fitting(&caption)),
        );
    }
    out.push_str("</svg>\n");
    out
}

/// One end of an arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum End {
    Inputs,
    Node(NodeId),
    Outputs,
}

struct Arrow {
    from: End,
    to: End,
    /// It only decides whether the node runs.
    conditional: bool,
}

impl End {
    fn id(self) -> String {
        match self {
            Self::Inputs => "inputs".to_owned(),
            Self::Node(id) => format!("n{}", id.0),
            Self::Outputs => "outputs".to_owned(),
        }
    }
}

fn edges(plan: &Plan) -> Vec<Arrow> {
    let end = |operand: &Operand| match operand {
        Operand::Literal(_) => None,
        Operand::Input(_) => Some(End::Inputs),
        Operand::Output { node, .. } => Some(End::Node(*node)),
    };
    let mut seen = std::collections::HashSet::new();
    let mut arrows = Vec::new();
    for (index, node) in plan.nodes.iter().enumerate() {
        let to = End::Node(NodeId(index as u32));
        let data = node.inputs.len() + usize::from(matches!(node.kind, crate::plan::NodeKind::Map(_)));
        for (position, operand) in node.operands().enumerate() {
            if let Some(from) = end(operand)
                && seen.insert((from, to))
            {
                arrows.push(Arrow { from, to, conditional: position >= data });
            }
        }
    }
    for from in plan.outputs.values().filter_map(|OutputSpec { from, .. }| from.node()).map(End::Node) {
        if seen.insert((from, End::Outputs)) {
            arrows.push(Arrow { from, to: End::Outputs, conditional: false });
        }
    }
    arrows
}

fn reads_inputs(plan: &Plan) -> bool {
    plan.nodes.iter().flat_map(Node::operands).any(|operand| matches!(operand, Operand::Input(_)))
}

/// Everything that is drawn, row by row: inputs first, each node one below the lowest that it reads, outputs last.
/// Within a row, nodes stand in the order of the middle of what they read, so that fewer arrows cross.
fn layers(plan: &Plan, edges: &[Arrow]) -> Vec<Vec<End>> {
    let mut depth = vec![usize::from(reads_inputs(plan)); plan.nodes.len()];
    let order = petgraph::algo::toposort(&plan.graph, None).unwrap_or_default();
    for index in order {
        for next in plan.graph.neighbors(index) {
            depth[next.index()] = depth[next.index()].max(depth[index.index()] + 1);
        }
    }
    let mut rows: Vec<Vec<End>> = Vec::new();
    if reads_inputs(plan) {
        rows.push(vec![End::Inputs]);
    }
    for (index, row) in depth.iter().enumerate() {
        if rows.len() <= *row {
            rows.resize_with(row + 1, Vec::new);
        }
        rows[*row].push(End::Node(NodeId(index as u32)));
    }
    let mut sources: std::collections::HashMap<End, Vec<End>> = std::collections::HashMap::new();
    for edge in edges {
        sources.entry(edge.to).or_default().push(edge.from);
    }
    let mut middle: std::collections::HashMap<End, f64> = std::collections::HashMap::new();
    for row in &mut rows {
        let of = |end: &End| {
            let known: Vec<f64> =
                sources.get(end).into_iter().flatten().filter_map(|source| middle.get(source).copied()).collect();
            if known.is_empty() { 0.5 } else { known.iter().sum::<f64>() / known.len() as f64 }
        };
        row.sort_by(|a, b| of(a).total_cmp(&of(b)));
        let count = row.len() as f64;
        for (position, end) in row.iter().enumerate() {
            middle.insert(*end, (position as f64 + 0.5) / count);
        }
    }
    if edges.iter().any(|edge| edge.to == End::Outputs) {
        rows.push(vec![End::Outputs]);
    }
    rows
}

/// What a node does, in a few words.
fn caption(node: &Node) -> String {
    let mut text = node.kind.word().to_owned();
    if let Some(plan) = node.kind.inner() {
        let _ = write!(text, " {}", plan.name);
    }
    if let NodeKind::Http(http) = &node.kind {
        let _ = write!(text, " {}", http.method);
    }
    if let NodeKind::Python(crate::plan::PythonNode { entry: Some(entry), .. }) = &node.kind {
        let _ = write!(text, " {}", entry.entry);
    }
    if node.aggregation {
        text.push_str(", over all lines");
    }
    text
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// As much of a text as a box holds.
fn fitting(text: &str) -> String {
    match text.char_indices().nth(26) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn mermaid_text(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, letter| {
        match letter {
            '"' | '#' | '<' | '>' | '&' | '`' | '\\' | '[' | ']' | ';' => {
                let _ = write!(out, "#{};", u32::from(letter));
            }
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
        out
    })
}

fn dot_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " ")
}

fn xml_text(text: &str) -> String {
    let plain: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
