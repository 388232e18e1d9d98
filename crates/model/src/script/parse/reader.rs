//! Reads values, remembers where it is, and collects what is wrong.

use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use sluicegate_value::{Map, Value, duration};

use crate::script::template::{Places, Template};
use crate::script::{ScriptProblem, Step};

/// Walks a document.
#[derive(Default)]
pub(super) struct Reader {
    path: Vec<Step>,
    pub(super) problems: Vec<ScriptProblem>,
}

impl Reader {
    pub(super) fn template(&mut self, value: &Value, places: &Places) -> Option<Template> {
        let source = self.text(value)?;
        match Template::parse(&source, places) {
            Ok(template) => Some(template),
            Err(message) => self.reject(&message),
        }
    }

    pub(super) fn regex(&mut self, value: &Value) -> Option<Regex> {
        let source = self.text(value)?;
        match Regex::new(&source) {
            Ok(regex) => Some(regex),
            Err(error) => {
                let message = error.to_string();
                let last = message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.reject(&format!("is not a regular expression: {last}"))
            }
        }
    }

    pub(super) fn text(&mut self, value: &Value) -> Option<Arc<str>> {
        match value {
            Value::Str(text) => Some(text.clone()),
            _ => self.reject("must be text"),
        }
    }

    pub(super) fn yes(&mut self, value: &Value) -> Option<bool> {
        value.as_bool().or_else(|| self.reject("must be `true` or `false`"))
    }

    pub(super) fn whole(&mut self, value: &Value) -> Option<u64> {
        let whole = value.as_int().and_then(|number| u64::try_from(number).ok());
        whole.or_else(|| self.reject("must be a whole number, not negative"))
    }

    pub(super) fn positive(&mut self, value: &Value) -> Option<u64> {
        let whole = value.as_int().and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0);
        whole.or_else(|| self.reject("must be a whole number above 0"))
    }

    pub(super) fn duration(&mut self, value: &Value) -> Option<Duration> {
        let duration = duration::from_value(value).ok();
        duration.or_else(|| self.reject("must be a duration such as `200ms`, `1.5s`, `2m`, or seconds"))
    }

    pub(super) fn map<'v>(&mut self, value: &'v Value, what: &str, known: &[&str]) -> Option<&'v Map> {
        let Some(map) = value.as_map() else {
            return self.reject(&format!("{what} must be a map"));
        };
        for key in map.keys().filter(|key| !known.contains(&&***key)) {
            self.path.push(Step::Key(key.clone()));
            let help = format!("{what} knows `{}`", known.join("`, `"));
            self.problem(&format!("`{key}` is not known here"), Some(&help));
            self.path.pop();
        }
        Some(map)
    }

    pub(super) fn list<T>(
        &mut self,
        value: &Value,
        what: &str,
        mut read: impl FnMut(&mut Self, &Value) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(items) = value.as_list() else {
            return self.reject(&format!("{what} must be a list"));
        };
        let mut read_items = Vec::new();
        for (index, item) in items.iter().enumerate() {
            self.path.push(Step::Index(index));
            read_items.extend(read(self, item));
            self.path.pop();
        }
        Some(read_items)
    }

    pub(super) fn under<T>(
        &mut self,
        map: &Map,
        key: &str,
        read: impl FnOnce(&mut Self, &Value) -> Option<T>,
    ) -> Option<T> {
        let value = map.get(key)?;
        self.path.push(Step::Key(key.into()));
        let read = read(self, value);
        self.path.pop();
        read
    }

    pub(super) fn reject<T>(&mut self, message: &str) -> Option<T> {
        self.problem(message, None);
        None
    }

    pub(super) fn problem(&mut self, message: &str, help: Option<&str>) {
        let problem =
            ScriptProblem { path: self.path.clone(), message: message.to_owned(), help: help.map(str::to_owned) };
        self.problems.push(problem);
    }
}
