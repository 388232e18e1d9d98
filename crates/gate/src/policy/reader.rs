//! Reads values at their places and collects what is wrong with them.

use std::sync::Arc;

use sluicegate_source::yaml::{Entry, Node};
use sluicegate_source::{Problem, Severity, SourceFile, Span, suggest};
use sluicegate_value::Value;

use super::{Known, Place, Policy, Reading};
use crate::{Comparator, Metric, MetricName};

pub(super) struct Reader<'a> {
    file: &'a Arc<SourceFile>,
    pub(super) known: Known<'a>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a Arc<SourceFile>, known: Known<'a>) -> Self {
        Self { file, known, problems: Vec::new() }
    }

    pub(super) fn finish(mut self, policy: Policy) -> Result<Reading, Vec<Problem>> {
        self.problems.sort_by_key(|problem| problem.labels.first().map(|label| label.span.start));
        if self.problems.iter().any(|problem| problem.severity == Severity::Error) {
            return Err(self.problems);
        }
        Ok(Reading { policy, warnings: self.problems })
    }

    pub(super) fn problem(&mut self, problem: Problem, at: Span) {
        self.problems.push(problem.in_file(self.file).at(at, ""));
    }

    /// A problem with a rule that was read already, at the line where it stands.
    pub(super) fn problem_at_line(&mut self, problem: Problem, place: Option<&Place>) {
        let start = place.and_then(|place| {
            let text = self.file.text();
            let lines = text.split_inclusive('\n').scan(0, |from, line| {
                let start = *from;
                *from += line.len();
                Some((start, start + line.trim_end().len()))
            });
            lines
                .skip(usize::try_from(place.line).ok()?.checked_sub(1)?)
                .map(|(start, end)| Span::new(start, end))
                .next()
        });
        match start {
            Some(span) => self.problem(problem, span),
            None => self.problems.push(problem.in_file(self.file)),
        }
    }

    pub(super) fn place(&self, span: Span) -> Place {
        Place { file: self.file.name().into(), line: self.file.position(span.start).line as u64 }
    }

    /// The entries of a map; a problem if it is none.
    pub(super) fn entries<'n>(&mut self, node: &'n Node, owner: &str) -> &'n [Entry] {
        match node.as_map() {
            Some(entries) => entries,
            None if node.as_scalar().is_some_and(Value::is_null) => &[],
            None => {
                self.wrong_type(owner, "a map", node);
                &[]
            }
        }
    }

    pub(super) fn wrong_type(&mut self, key: &str, wanted: &str, node: &Node) {
        let message = format!("`{key}` must be {wanted}, not {}", node.described());
        self.problem(Problem::error("gate::wrong_type", message), node.span);
    }

    pub(super) fn unknown_key(&mut self, entry: &Entry, owner: &str, known: &[&str]) {
        let problem = Problem::error("gate::unknown_key", format!("{owner} has no key `{}`", entry.key));
        let problem = problem.help(match suggest::nearest(&entry.key, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known keys: {}", quoted(known.iter().copied())),
        });
        self.problem(problem, entry.key_span);
    }

    /// A finite number within `least..=most`.
    pub(super) fn number(&mut self, key: &str, node: &Node, least: f64, most: f64) -> Option<f64> {
        let Some(number) = node.as_scalar().and_then(number_or_percent) else {
            self.wrong_type(key, "a number", node);
            return None;
        };
        if !(least..=most).contains(&number) {
            let message = format!("`{key}` must be between {least} and {most}");
            self.problem(Problem::error("gate::wrong_value", message), node.span);
            return None;
        }
        Some(number)
    }

    pub(super) fn whole(&mut self, key: &str, node: &Node, least: u32, most: u32) -> Option<u32> {
        let number = node.as_scalar().and_then(Value::as_int).and_then(|number| u32::try_from(number).ok());
        if number.is_none_or(|number| !(least..=most).contains(&number)) {
            let message = format!("`{key}` must be a whole number between {least} and {most}");
            self.problem(Problem::error("gate::wrong_value", message), node.span);
            return None;
        }
        number
    }

    pub(super) fn boolean(&mut self, key: &str, node: &Node) -> Option<bool> {
        let read = node.as_scalar().and_then(Value::as_bool);
        if read.is_none() {
            self.wrong_type(key, "`true` or `false`", node);
        }
        read
    }

    pub(super) fn text<'n>(&mut self, key: &str, node: &'n Node) -> Option<&'n str> {
        let read = node.as_str();
        if read.is_none() {
            self.wrong_type(key, "text", node);
        }
        read
    }

    /// One of a few words; `-` and `_` are the same.
    pub(super) fn word<T: Copy>(&mut self, key: &str, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let written = match node.as_scalar() {
            Some(Value::Str(text)) => text.replace('-', "_"),
            // `adjust: none` is text in YAML, but `null` is what some write.
            Some(Value::Null) => "none".to_owned(),
            _ => String::new(),
        };
        let found = words.iter().find(|(word, _)| word.replace('-', "_") == written);
        if found.is_none() {
            let known = quoted(words.iter().map(|(word, _)| *word));
            self.problem(Problem::error("gate::wrong_value", format!("`{key}` must be one of {known}")), node.span);
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// A comparator, or one for each config environment.
    pub(super) fn comparator(&mut self, key: &str, node: &Node) -> Option<Comparator> {
        let node = match node.as_map() {
            Some(entries) => self.for_environment(key, node, entries)?,
            None => node,
        };
        let Some(text) = node.as_str() else {
            let (wanted, help) = match node.as_scalar().and_then(Value::as_number) {
                Some(number) => (", not a bare number", format!("write `\">= {number}\"` or `\"<= {number}\"`")),
                None => ("", "write it in quotes, as in `\">= 0.8\"`".to_owned()),
            };
            let message = format!("`{key}` must be a comparator{wanted}");
            self.problem(Problem::error("gate::wrong_comparator", message).help(help), node.span);
            return None;
        };
        self.comparator_text(key, text, node.span)
    }

    pub(super) fn comparator_text(&mut self, key: &str, text: &str, at: Span) -> Option<Comparator> {
        match Comparator::parse(text) {
            Ok(comparator) => Some(comparator),
            Err(error) => {
                let message = format!("the comparator of `{key}` {error}");
                let help = "as in `>= 0.8`, `<= 2%`, `<= 2500ms` or `<= 1.15x`";
                self.problem(Problem::error("gate::wrong_comparator", message).help(help), at);
                None
            }
        }
    }

    /// What a map says for the config environment at hand, `default` for those that it does not name.
    fn for_environment<'n>(&mut self, key: &str, node: &Node, entries: &'n [Entry]) -> Option<&'n Node> {
        let environments = self.known.environments;
        if !environments.is_empty() {
            for entry in entries {
                if &*entry.key != "default" && !environments.iter().any(|known| **known == *entry.key) {
                    let known: Vec<&str> =
                        environments.iter().map(String::as_str).chain(std::iter::once("default")).collect();
                    self.unknown_key(entry, &format!("`{key}`, which names config environments,"), &known);
                }
            }
        }
        let find = |wanted: &str| entries.iter().find(|entry| &*entry.key == wanted).map(|entry| &entry.value);
        let chosen = self.known.environment.and_then(find).or_else(|| find("default"));
        if chosen.is_none() {
            let environment = self.known.environment.unwrap_or("default");
            let message = format!("`{key}` has no threshold for config environment `{environment}`");
            self.problem(Problem::error("gate::no_threshold", message).help("add one, or `default`"), node.span);
        }
        chosen
    }

    /// A metric by its name; a problem if the evaluators give none of that name.
    pub(super) fn metric(&mut self, name: &str, at: Span) -> Option<MetricName> {
        let known = self.known.metrics;
        if !known.is_empty() && !known.iter().any(|metric| metric.name.as_str() == name) {
            let names = || known.iter().map(|metric| metric.name.as_str());
            let problem = Problem::error("gate::unknown_metric", format!("no evaluator gives a metric `{name}`"));
            let problem = problem.help(match suggest::nearest(name, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the evaluators give {}", quoted(names())),
            });
            self.problem(problem, at);
            return None;
        }
        Some(name.into())
    }

    pub(super) fn metric_info(&self, name: &MetricName) -> Option<&'a Metric> {
        self.known.metrics.iter().find(|metric| metric.name == *name)
    }
}

/// Names in backticks, with commas.
pub(super) fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn number_or_percent(value: &Value) -> Option<f64> {
    match value {
        Value::Str(text) => text.trim().strip_suffix('%')?.trim().parse::<f64>().ok().map(|percent| percent / 100.0),
        other => other.as_number(),
    }
    .filter(|number| number.is_finite())
}
