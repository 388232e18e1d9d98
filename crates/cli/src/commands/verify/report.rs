//! What a person and a machine are told of a comparison.

use std::collections::{BTreeMap, BTreeSet};

use sluicegate_value::{Map, Value};

use super::compare::{Compared, Found, LineResult, NodeResult};
use crate::terminal::{harmless, table};

/// Differences that are printed whole, for a person; the rest is counted.
const MOST_SHOWN: usize = 20;
/// A value longer than this is shown around the place where it begins to differ.
const MOST_LETTERS: usize = 160;

/// Everything that came of a comparison.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) flow: String,
    pub(crate) against: String,
    pub(crate) lines: BTreeMap<u64, LineResult>,
    /// Nodes that run once over all lines, and metrics.
    pub(crate) aggregation: LineResult,
    pub(crate) notes: BTreeSet<String>,
}

impl Report {
    pub(crate) fn is_different(&self) -> bool {
        self.aggregation.is_different() || self.lines.values().any(LineResult::is_different)
    }

    /// Whether anything at all was compared.
    pub(crate) fn is_measured(&self) -> bool {
        self.aggregation.is_measured() || self.lines.values().any(LineResult::is_measured)
    }

    fn parts(&self) -> impl Iterator<Item = (Option<u64>, &LineResult)> {
        let lines = self.lines.iter().map(|(number, line)| (Some(*number), line));
        lines.chain(std::iter::once((None, &self.aggregation)))
    }

    fn counts(&self) -> [usize; 3] {
        let of = |wanted: fn(&LineResult) -> bool| self.lines.values().filter(|line| wanted(line)).count();
        let different = of(LineResult::is_different);
        let unmeasured = of(|line| !line.is_measured());
        [self.lines.len() - different - unmeasured, different, unmeasured]
    }

    fn notes(&self) -> BTreeSet<String> {
        self.parts().flat_map(|(_, line)| line.notes.iter().cloned()).chain(self.notes.iter().cloned()).collect()
    }

    /// For people: a table of nodes, the differences with their reasons, a sentence.
    pub(crate) fn to_text(&self) -> String {
        let calls: usize = self.parts().flat_map(|(_, line)| &line.nodes).map(|node| node.requests).sum();
        let mut out = format!(
            "{} against {}: {}, {} answered from the recording\n\n{}\n",
            harmless(&self.flow),
            harmless(&self.against),
            count(self.lines.len(), "line"),
            count(calls, "call"),
            self.nodes_table(),
        );
        let found = self.parts().flat_map(|(line, result)| result.found.iter().map(move |found| (line, found)));
        let found: Vec<(Option<u64>, &Found)> = found.collect();
        for (line, found) in found.iter().take(MOST_SHOWN) {
            out += &format!("\n{}", show(*line, found));
        }
        if found.len() > MOST_SHOWN {
            out += &format!("\n… and {}; --json tells all\n", count(found.len() - MOST_SHOWN, "more difference"));
        }
        let notes = self.notes();
        if !notes.is_empty() {
            out.push('\n');
        }
        for note in &notes {
            out += &format!("note: {}\n", harmless(note));
        }
        out + "\n" + &self.sentence()
    }

    fn sentence(&self) -> String {
        let [same, different, unmeasured] = self.counts();
        let is = |number: usize, word: &str| {
            format!("{} {} {word}", count(number, "line"), if number == 1 { "is" } else { "are" })
        };
        let mut parts = Vec::new();
        if same > 0 {
            parts.push(is(same, "the same"));
        }
        if different > 0 {
            parts.push(format!("{} {}", count(different, "line"), if different == 1 { "differs" } else { "differ" }));
        }
        if unmeasured > 0 {
            parts.push(is(unmeasured, "not compared"));
        }
        if self.aggregation.is_different() {
            parts.push("what is computed over all lines differs".to_owned());
        }
        parts.join(", ")
    }

    fn nodes_table(&self) -> String {
        #[derive(Default)]
        struct Row {
            kind: &'static str,
            requests: [usize; 2],
            outputs: [usize; 2],
        }
        let mut rows: Vec<(String, Row)> = Vec::new();
        let mut add = |name: &str, kind: &'static str, requests: [usize; 2], output: Compared| {
            let position = rows.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                rows.push((name.to_owned(), Row { kind, ..Row::default() }));
                rows.len() - 1
            });
            let row = &mut rows[position].1;
            row.requests = [row.requests[0] + requests[0], row.requests[1] + requests[1]];
            row.outputs[0] += usize::from(output == Compared::Same);
            row.outputs[1] += usize::from(output != Compared::Not);
        };
        for (_, line) in self.parts() {
            for node in &line.nodes {
                let name = if node.node.is_empty() { "(Python code)" } else { &*node.node };
                add(name, node.kind, [node.same_requests, node.requests], node.output);
            }
        }
        for line in self.lines.values() {
            add("(the flow's end)", "", [0, 0], line.outputs);
        }
        let share = |[same, all]: [usize; 2]| if all == 0 { "-".to_owned() } else { format!("{same} of {all}") };
        let rows = rows
            .into_iter()
            .map(|(name, row)| vec![name, row.kind.to_owned(), share(row.requests), share(row.outputs)]);
        table(&["NODE", "KIND", "SAME REQUEST", "SAME OUTPUT"], rows.collect())
    }

    /// For machines.
    pub(crate) fn to_value(&self) -> Value {
        let [same, different, unmeasured] = self.counts();
        let mut report = Map::new();
        report.insert("flow", self.flow.as_str());
        report.insert("against", self.against.as_str());
        report.insert("status", if self.is_different() { "different" } else { "same" });
        let number = |number: usize| Value::from(number as i64);
        report.insert(
            "lines",
            Map::from([("same", number(same)), ("different", number(different)), ("not_compared", number(unmeasured))]),
        );
        report.insert("notes", self.notes().into_iter().map(Value::from).collect::<Vec<_>>());
        let results = self.lines.iter().map(|(line, result)| {
            let mut map = Map::new();
            map.insert("line", *line);
            with_result(&mut map, result);
            map.insert("outputs", word(result.outputs));
            Value::from(map)
        });
        report.insert("results", results.collect::<Vec<_>>());
        if !self.aggregation.nodes.is_empty() || self.aggregation.is_different() {
            let mut map = Map::new();
            with_result(&mut map, &self.aggregation);
            report.insert("aggregation", map);
        }
        report.into()
    }
}

fn with_result(map: &mut Map, result: &LineResult) {
    let status = match (result.is_different(), result.is_measured()) {
        (true, _) => "different",
        (false, true) => "same",
        (false, false) => "not_compared",
    };
    map.insert("status", status);
    map.insert("nodes", result.nodes.iter().map(node_value).collect::<Vec<_>>());
    map.insert("differences", result.found.iter().map(found_value).collect::<Vec<_>>());
}

fn node_value(node: &NodeResult) -> Value {
    let mut map = Map::new();
    map.insert("node", node.node.clone());
    map.insert("kind", node.kind);
    map.insert("requests", node.requests as i64);
    map.insert("same_requests", node.same_requests as i64);
    map.insert("output", word(node.output));
    map.into()
}

fn found_value(found: &Found) -> Value {
    let mut map = Map::new();
    map.insert("node", found.node.clone());
    map.insert("what", found.what.word());
    map.insert("path", found.path.as_str());
    // A place that is not there has no key: `null` is a value.
    for (key, value) in [("recorded", &found.recorded), ("ours", &found.ours)] {
        if let Some(value) = value {
            map.insert(key, value.clone());
        }
    }
    map.insert("reason", found.reason.clone());
    map.into()
}

fn word(compared: Compared) -> &'static str {
    match compared {
        Compared::Not => "not_compared",
        Compared::Same => "same",
        Compared::Different => "different",
    }
}

fn show(line: Option<u64>, found: &Found) -> String {
    let mut place = match line {
        Some(line) => format!("line {line}"),
        None => "over all lines".to_owned(),
    };
    if let Some(node) = &found.node {
        place += &format!(", node `{node}`");
    }
    let what = if found.path.is_empty() {
        format!("{} differs", found.what.word())
    } else {
        format!("{} differs at `{}`", found.what.word(), found.path)
    };
    let [recorded, ours] = excerpts(found.recorded.as_ref(), found.ours.as_ref());
    let reason =
        found.reason.as_deref().unwrap_or("not known; see docs/compatibility.md, and report what is not there");
    harmless(&format!("{place}: {what}\n  recorded: {recorded}\n  ours:     {ours}\n  reason:   {reason}\n"))
        .into_owned()
}

/// Both values as JSON; long ones around the place where they begin to differ.
fn excerpts(recorded: Option<&Value>, ours: Option<&Value>) -> [String; 2] {
    let texts = [recorded, ours].map(|value| value.map_or_else(|| "(nothing)".to_owned(), Value::to_json));
    let letters = texts.each_ref().map(|text| text.chars().collect::<Vec<char>>());
    if letters.iter().all(|letters| letters.len() <= MOST_LETTERS) {
        return texts;
    }
    let same = letters[0].iter().zip(&letters[1]).take_while(|(one, other)| one == other).count();
    let start = same.saturating_sub(MOST_LETTERS / 4);
    letters.map(|letters| {
        let start = start.min(letters.len());
        let end = (start + MOST_LETTERS).min(letters.len());
        let before = if start > 0 { "…" } else { "" };
        let after = if end < letters.len() { "…" } else { "" };
        format!("{before}{}{after}", letters[start..end].iter().collect::<String>())
    })
}

fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_shown_where_they_begin_to_differ() {
        let text = |end: &str| Value::from(format!("{}{end}{}", "a".repeat(300), "z".repeat(300)));
        let [recorded, ours] = excerpts(Some(&text("X")), Some(&text("Y")));
        assert!(recorded.starts_with("…aaa") && recorded.contains("aX") && recorded.ends_with("z…"), "{recorded}");
        assert!(ours.contains("aYz") && ours.chars().count() == MOST_LETTERS + 2, "{ours}");
    }
}
