//! From a document to a script, with every problem.

use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use sluicegate_value::{Map, Value, duration};

use super::template::{Places, Template};
use super::{Entry, Fault, FaultKind, Said, Script, ScriptProblem, Step, ToolCall};
use crate::Usage;

const SCRIPT_KEYS: &[&str] = &["seed", "delay", "chunk_delay", "replies", "default", "faults"];
const ENTRY_KEYS: &[&str] = &["when", "find", "reply", "tool_calls", "finish_reason", "delay", "usage", "faults"];
const WHEN_KEYS: &[&str] = &["user", "system", "model"];
const USAGE_KEYS: &[&str] = &["input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens"];
const FAULT_KEYS: &[&str] = &["rate", "times", "status", "retry_after", "message", "reset", "hang"];
const CALL_KEYS: &[&str] = &["name", "arguments"];

pub(super) fn script(document: &Value) -> Result<Script, Vec<ScriptProblem>> {
    let mut reader = Reader { path: Vec::new(), problems: Vec::new() };
    let script = reader.script(document);
    match script {
        Some(script) if reader.problems.is_empty() => Ok(script),
        _ => Err(reader.problems),
    }
}

/// Walks the document, remembers where it is, and collects what is wrong.
struct Reader {
    path: Vec<Step>,
    problems: Vec<ScriptProblem>,
}

impl Reader {
    fn script(&mut self, document: &Value) -> Option<Script> {
        let map = self.map(document, "a script", SCRIPT_KEYS)?;
        let delay = self.under(map, "delay", Self::duration).unwrap_or_default();
        let replies = self.under(map, "replies", |reader, value| {
            reader.list(value, "`replies`", |reader, item| reader.entry(item, delay))
        });
        let default = self.under(map, "default", |reader, value| match value {
            Value::Map(_) => reader.entry(value, delay),
            text => {
                let reply = reader.said(text, &Places::default())?;
                Some(Entry { reply: Some(reply), ..Entry::silent(delay) })
            }
        });
        if replies.is_none() && default.is_none() && self.problems.is_empty() {
            self.problem("has neither `replies` nor a `default`", None);
        }
        Some(Script {
            seed: self.under(map, "seed", Self::whole).unwrap_or_default(),
            chunk_delay: self.under(map, "chunk_delay", Self::duration).unwrap_or_default(),
            entries: replies.unwrap_or_default(),
            default,
            faults: self.under(map, "faults", Self::faults).unwrap_or_default(),
        })
    }

    fn entry(&mut self, value: &Value, delay: Duration) -> Option<Entry> {
        let map = self.map(value, "an entry of `replies`", ENTRY_KEYS)?;
        let mut entry = Entry::silent(delay);
        self.under(map, "when", |reader, when| {
            let when = reader.map(when, "`when`", WHEN_KEYS)?;
            entry.user = reader.under(when, "user", Self::regex);
            entry.system = reader.under(when, "system", Self::regex);
            entry.model = reader.under(when, "model", Self::regex);
            Some(())
        });
        entry.find = self.under(map, "find", Self::regex);
        let places = Places { user: entry.user.clone(), finds: map.contains_key("find") };
        entry.reply = self.under(map, "reply", |reader, value| reader.said(value, &places));
        let calls = self.under(map, "tool_calls", |reader, value| {
            reader.list(value, "`tool_calls`", |reader, item| reader.tool_call(item, &places))
        });
        entry.tool_calls = calls.unwrap_or_default();
        entry.finish_reason = self.under(map, "finish_reason", Self::text);
        entry.delay = self.under(map, "delay", Self::duration).unwrap_or(delay);
        entry.usage = self.under(map, "usage", Self::usage);
        entry.faults = self.under(map, "faults", Self::faults).unwrap_or_default();
        if !["reply", "tool_calls", "faults"].iter().any(|key| map.contains_key(key)) {
            self.problem("says nothing", Some("give it a `reply`, `tool_calls` or `faults`"));
        }
        Some(entry)
    }

    fn tool_call(&mut self, value: &Value, places: &Places) -> Option<ToolCall> {
        let map = self.map(value, "a tool call", CALL_KEYS)?;
        if !map.contains_key("name") {
            self.problem("a tool call needs a `name`", None);
        }
        let name = self.under(map, "name", |reader, value| reader.template(value, places))?;
        let arguments = match map.get("arguments") {
            None => Said::Map(Vec::new()),
            Some(_) => self.under(map, "arguments", |reader, value| reader.said(value, places))?,
        };
        Some(ToolCall { name, arguments })
    }

    fn said(&mut self, value: &Value, places: &Places) -> Option<Said> {
        Some(match value {
            Value::Str(_) => Said::Text(self.template(value, places)?),
            Value::List(_) => Said::List(self.list(value, "a list", |reader, item| reader.said(item, places))?),
            Value::Map(map) => {
                let mut entries = Vec::new();
                for (key, _) in map.iter() {
                    let said = self.under(map, key, |reader, value| match value {
                        Value::Null => Some(Said::Other(Value::Null)),
                        value => reader.said(value, places),
                    });
                    entries.extend(said.map(|said| (key.clone(), said)));
                }
                Said::Map(entries)
            }
            Value::Null => return self.reject("must say something"),
            other => Said::Other(other.clone()),
        })
    }

    fn usage(&mut self, value: &Value) -> Option<Usage> {
        let map = self.map(value, "`usage`", USAGE_KEYS)?;
        Some(Usage {
            input_tokens: self.under(map, "input_tokens", Self::whole),
            output_tokens: self.under(map, "output_tokens", Self::whole),
            cached_input_tokens: self.under(map, "cached_input_tokens", Self::whole),
            reasoning_tokens: self.under(map, "reasoning_tokens", Self::whole),
        })
    }

    fn faults(&mut self, value: &Value) -> Option<Vec<Fault>> {
        self.list(value, "`faults`", Self::fault)
    }

    fn fault(&mut self, value: &Value) -> Option<Fault> {
        let map = self.map(value, "a fault", FAULT_KEYS)?;
        let rate = self.under(map, "rate", |reader, value| match value.as_number() {
            Some(rate) if (0.0..=1.0).contains(&rate) => Some(rate),
            _ => reader.reject("must be a number from 0 to 1"),
        });
        let times = self.under(map, "times", Self::whole).map(|times| u32::try_from(times).unwrap_or(u32::MAX));
        let status = self.under(map, "status", |reader, value| match value.as_int() {
            Some(status @ 400..=599) => Some(status as u16),
            _ => reader.reject("must be a status from 400 to 599"),
        });
        let retry_after = self.under(map, "retry_after", Self::duration);
        let message = self.under(map, "message", Self::text);
        let reset = self.under(map, "reset", Self::yes).unwrap_or_default();
        let hang = self.under(map, "hang", Self::yes).unwrap_or_default();
        let kind = match (status, reset, hang) {
            (Some(status), false, false) => FaultKind::Status { status, retry_after, message },
            (None, true, false) => FaultKind::Reset,
            (None, false, true) => FaultKind::Hang,
            // A wrong status is told already.
            _ if map.contains_key("status") && status.is_none() => return None,
            _ => {
                self.problem("a fault needs exactly one of `status`, `reset: true` and `hang: true`", None);
                return None;
            }
        };
        Some(Fault { rate, times, kind })
    }

    fn template(&mut self, value: &Value, places: &Places) -> Option<Template> {
        let source = self.text(value)?;
        match Template::parse(&source, places) {
            Ok(template) => Some(template),
            Err(message) => self.reject(&message),
        }
    }

    fn regex(&mut self, value: &Value) -> Option<Regex> {
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

    fn text(&mut self, value: &Value) -> Option<Arc<str>> {
        match value {
            Value::Str(text) => Some(text.clone()),
            _ => self.reject("must be text"),
        }
    }

    fn yes(&mut self, value: &Value) -> Option<bool> {
        value.as_bool().or_else(|| self.reject("must be `true` or `false`"))
    }

    fn whole(&mut self, value: &Value) -> Option<u64> {
        let whole = value.as_int().and_then(|number| u64::try_from(number).ok());
        whole.or_else(|| self.reject("must be a whole number, not negative"))
    }

    fn duration(&mut self, value: &Value) -> Option<Duration> {
        let duration = duration::from_value(value).ok();
        duration.or_else(|| self.reject("must be a duration such as `200ms`, `1.5s`, `2m`, or seconds"))
    }

    fn map<'v>(&mut self, value: &'v Value, what: &str, known: &[&str]) -> Option<&'v Map> {
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

    fn list<T>(
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

    fn under<T>(&mut self, map: &Map, key: &str, read: impl FnOnce(&mut Self, &Value) -> Option<T>) -> Option<T> {
        let value = map.get(key)?;
        self.path.push(Step::Key(key.into()));
        let read = read(self, value);
        self.path.pop();
        read
    }

    fn reject<T>(&mut self, message: &str) -> Option<T> {
        self.problem(message, None);
        None
    }

    fn problem(&mut self, message: &str, help: Option<&str>) {
        let problem =
            ScriptProblem { path: self.path.clone(), message: message.to_owned(), help: help.map(str::to_owned) };
        self.problems.push(problem);
    }
}

impl Entry {
    fn silent(delay: Duration) -> Self {
        Self {
            user: None,
            system: None,
            model: None,
            find: None,
            reply: None,
            tool_calls: Vec::new(),
            finish_reason: None,
            delay,
            usage: None,
            faults: Vec::new(),
        }
    }
}
