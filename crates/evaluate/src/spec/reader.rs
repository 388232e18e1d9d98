//! Reads values at their places and collects what is wrong with them.

use std::sync::Arc;
use std::time::Duration;

use sluicegate_flow::files::{FileKind, Files, join, parent, read_text};
use sluicegate_gate::Comparator;
use sluicegate_source::yaml::{Entry, Node};
use sluicegate_source::{Problem, SourceFile, Span, suggest};
use sluicegate_value::{Value, duration};

use crate::binding::quoted;

pub(super) struct Reader<'a> {
    pub(super) file: &'a Arc<SourceFile>,
    pub(super) files: &'a dyn Files,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn problem(&mut self, problem: Problem, at: Span) {
        self.problems.push(problem.in_file(self.file).at(at, ""));
    }

    /// The entries of a map; a problem if it is none. Nothing is an empty map.
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
        self.problem(Problem::error("evaluation::wrong_type", message), node.span);
    }

    pub(super) fn wrong_value(&mut self, message: String, help: &str, at: Span) {
        let problem = Problem::error("evaluation::wrong_value", message);
        self.problem(if help.is_empty() { problem } else { problem.help(help) }, at);
    }

    pub(super) fn unknown_key(&mut self, entry: &Entry, owner: &str, known: &[&str]) {
        let problem = Problem::error("evaluation::unknown_key", format!("{owner} has no key `{}`", entry.key));
        let problem = problem.help(match suggest::nearest(&entry.key, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known keys: {}", quoted(known.iter().copied())),
        });
        self.problem(problem, entry.key_span);
    }

    pub(super) fn text<'n>(&mut self, key: &str, node: &'n Node) -> Option<&'n str> {
        let read = node.as_str().filter(|text| !text.trim().is_empty());
        if read.is_none() {
            self.wrong_type(key, "text", node);
        }
        read
    }

    /// One text, or a list of them.
    pub(super) fn texts(&mut self, key: &str, node: &Node) -> Vec<Arc<str>> {
        match node.as_list() {
            Some(items) => items.iter().filter_map(|item| self.text(key, item).map(Arc::from)).collect(),
            None => self.text(key, node).map(Arc::from).into_iter().collect(),
        }
    }

    pub(super) fn boolean(&mut self, key: &str, node: &Node) -> Option<bool> {
        let read = node.as_scalar().and_then(Value::as_bool);
        if read.is_none() {
            self.wrong_type(key, "`true` or `false`", node);
        }
        read
    }

    pub(super) fn whole(&mut self, key: &str, node: &Node, least: u32, most: u32) -> Option<u32> {
        let number = node.as_scalar().and_then(Value::as_int).and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.wrong_value(format!("`{key}` must be a whole number between {least} and {most}"), "", node.span);
        }
        number
    }

    /// A finite number, or a percentage as text.
    pub(super) fn number(&mut self, key: &str, node: &Node, least: f64, most: f64) -> Option<f64> {
        let number = node.as_scalar().and_then(|value| match value {
            Value::Str(text) => {
                let percent = text.trim().strip_suffix('%')?.trim().parse::<f64>().ok()?;
                Some(percent / 100.0)
            }
            other => other.as_number(),
        });
        let Some(number) = number.filter(|number| number.is_finite()) else {
            self.wrong_type(key, "a number", node);
            return None;
        };
        if !(least..=most).contains(&number) {
            let range =
                if most == f64::MAX { format!("at least {least}") } else { format!("between {least} and {most}") };
            self.wrong_value(format!("`{key}` must be {range}"), "", node.span);
            return None;
        }
        Some(number)
    }

    /// US dollars: `4`, `4.00`, `$4`.
    pub(super) fn dollars(&mut self, key: &str, node: &Node) -> Option<f64> {
        let read = match node.as_scalar() {
            Some(Value::Str(text)) => text.trim().strip_prefix('$').and_then(|text| text.trim().parse::<f64>().ok()),
            Some(other) => other.as_number(),
            None => None,
        };
        let read = read.filter(|number| number.is_finite() && *number >= 0.0);
        if read.is_none() {
            self.wrong_value(format!("`{key}` must be a sum in US dollars"), "as in `4.00`", node.span);
        }
        read
    }

    pub(super) fn time(&mut self, key: &str, node: &Node) -> Option<Duration> {
        match node.as_scalar().map(duration::from_value) {
            Some(Ok(time)) => Some(time),
            _ => {
                self.wrong_value(format!("`{key}` must be a time"), "as in `12m` or `90s`", node.span);
                None
            }
        }
    }

    /// One of a few words; `-` and `_` are the same.
    pub(super) fn word<T: Copy>(&mut self, key: &str, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let written = match node.as_scalar() {
            Some(Value::Str(text)) => text.replace('-', "_"),
            Some(Value::Null) => "none".to_owned(),
            Some(Value::Bool(false)) => "false".to_owned(),
            _ => String::new(),
        };
        let found = words.iter().find(|(word, _)| word.replace('-', "_") == written);
        if found.is_none() {
            let problem = Problem::error("evaluation::wrong_value", format!("`{key}` cannot be `{written}`"));
            let problem = problem.help(match suggest::nearest(&written, words.iter().map(|(word, _)| *word)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it is one of {}", quoted(words.iter().map(|(word, _)| *word))),
            });
            self.problem(problem, node.span);
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// A comparator, or a bare number, which is a limit on the good side.
    pub(super) fn threshold(&mut self, node: &Node, lower_is_better: bool) -> Option<Comparator> {
        if let Some(number) = node.as_scalar().and_then(Value::as_number).filter(|number| number.is_finite()) {
            return Some(if lower_is_better { Comparator::at_most(number) } else { Comparator::at_least(number) });
        }
        match node.as_str().map(Comparator::parse) {
            Some(Ok(comparator)) if !comparator.is_of_baseline() => Some(comparator),
            Some(Ok(_)) => {
                self.wrong_value(
                    "a `threshold` is the same for each case, and not a multiple of the baseline".to_owned(),
                    "compare with the baseline in `gate:`",
                    node.span,
                );
                None
            }
            Some(Err(error)) => {
                self.wrong_value(format!("the comparator of `threshold` {error}"), "as in `>= 0.8`", node.span);
                None
            }
            None => {
                self.wrong_type("threshold", "a number or a comparator", node);
                None
            }
        }
    }

    /// Two numbers, the lowest and the highest score.
    pub(super) fn scale(&mut self, node: &Node) -> Option<[f64; 2]> {
        let ends: Option<Vec<f64>> = node
            .as_list()
            .and_then(|items| items.iter().map(|item| item.as_scalar().and_then(Value::as_number)).collect());
        let found = match ends.as_deref() {
            Some([lowest, highest]) if lowest.is_finite() && highest.is_finite() && lowest < highest => {
                Some([*lowest, *highest])
            }
            _ => None,
        };
        if found.is_none() {
            let message = "`scale` must be a list of the lowest and the highest score".to_owned();
            self.wrong_value(message, "as in `[1, 5]`", node.span);
        }
        found
    }

    /// A path that the author wrote, from the project's root: from the evaluation file's folder if it begins with a
    /// full stop, or is only there.
    pub(super) fn path(&self, written: &str) -> Option<Arc<str>> {
        let folder = parent(self.file.name());
        let beside = join(folder, written);
        if written.starts_with("./") || written.starts_with("../") {
            return beside.map(Arc::from);
        }
        let from_root = join("", written)?;
        let is_beside = self.files.kind(&from_root) == FileKind::Missing
            && beside.as_deref().is_some_and(|beside| self.files.kind(beside) != FileKind::Missing);
        Some(if is_beside { beside.unwrap_or(from_root) } else { from_root }.into())
    }

    /// A path that the author wrote, which stays within the project.
    pub(super) fn own_path(&mut self, key: &str, node: &Node) -> Option<Arc<str>> {
        let written = self.text(key, node)?;
        let path = self.path(written).filter(|path| !path.starts_with("../") && &**path != "..");
        if path.is_none() {
            self.wrong_value(
                format!("`{key}` must be a path within the project"),
                "write it from the project's root",
                node.span,
            );
        }
        path
    }

    /// The text of a file that the author names, and its path from the project's root.
    pub(super) fn file_text(&mut self, key: &str, written: &str, at: Span) -> Option<(Arc<str>, Arc<str>)> {
        let Some(path) = self.path(written) else {
            let message = format!("`{key}` must be a path within the project");
            self.wrong_value(message, "write it from the project's root", at);
            return None;
        };
        match read_text(self.files, &path) {
            Ok(text) => Some((path, text)),
            Err(error) => {
                let problem = Problem::error("evaluation::no_file", format!("`{key}`: {error}"));
                self.problem(problem.help("paths are from the project's root, or with `./` from this folder"), at);
                None
            }
        }
    }
}
