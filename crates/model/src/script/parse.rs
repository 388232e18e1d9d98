//! From a document to a script, with every problem.

mod faults;
mod filter;
mod reader;

use std::sync::Arc;
use std::time::Duration;

use sluicegate_value::{Map, Value};

use self::reader::Reader;
use super::template::Places;
use super::when::{Parameter, When};
use super::{ApiKey, Entry, Limits, Said, Script, ScriptProblem, ToolCall};
use crate::{Filter, FilterState, Usage};

const SCRIPT_KEYS: &[&str] =
    &["seed", "delay", "chunk_delay", "models", "replies", "default", "faults", "embeddings", "limits", "api_key"];
const ENTRY_KEYS: &[&str] =
    &["when", "find", "reply", "tool_calls", "refusal", "filter", "finish_reason", "delay", "usage", "faults"];
const SPEAKING_KEYS: &[&str] = &["reply", "tool_calls", "refusal", "filter", "faults"];
const WHEN_KEYS: &[&str] = &["user", "system", "tool", "model", "api", "parameter", "value", "not"];
const USAGE_KEYS: &[&str] = &["input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens"];
const CALL_KEYS: &[&str] = &["name", "arguments"];
const LIMIT_KEYS: &[&str] = &["requests_per_minute", "tokens_per_minute", "burst"];

/// Of vectors, where neither the script nor the request says how many.
const DIMENSIONS: usize = 256;

pub(super) fn script(document: &Value) -> Result<Script, Vec<ScriptProblem>> {
    let mut reader = Reader::default();
    let script = reader.script(document);
    match script {
        Some(script) if reader.problems.is_empty() => Ok(script),
        _ => Err(reader.problems),
    }
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
        let embeddings = self.under(map, "embeddings", |reader, value| {
            let map = reader.map(value, "`embeddings`", &["dimensions"])?;
            let dimensions = reader.under(map, "dimensions", Self::positive);
            Some(dimensions.map_or(DIMENSIONS, |number| usize::try_from(number).unwrap_or(usize::MAX)))
        });
        let models = self.under(map, "models", |reader, value| reader.list(value, "`models`", Self::text));
        let speaks = ["replies", "default", "embeddings", "faults"].iter().any(|key| map.contains_key(key));
        if !speaks && self.problems.is_empty() {
            self.problem("has neither `replies` nor a `default`", None);
        }
        Some(Script {
            seed: self.under(map, "seed", Self::whole).unwrap_or_default(),
            delay,
            chunk_delay: self.under(map, "chunk_delay", Self::duration).unwrap_or_default(),
            models,
            entries: replies.unwrap_or_default(),
            default,
            faults: self.under(map, "faults", Self::faults).unwrap_or_default(),
            dimensions: embeddings.unwrap_or(DIMENSIONS),
            limits: self.under(map, "limits", Self::limits).unwrap_or_default(),
            api_key: self.under(map, "api_key", |reader, value| match reader.text(value)? {
                empty if empty.is_empty() => reader.reject("must not be empty"),
                key => Some(ApiKey::new(key)),
            }),
        })
    }

    fn entry(&mut self, value: &Value, delay: Duration) -> Option<Entry> {
        let map = self.map(value, "an entry of `replies`", ENTRY_KEYS)?;
        let mut entry = Entry::silent(delay);
        entry.when = self.under(map, "when", Self::when).unwrap_or_default();
        entry.find = self.under(map, "find", Self::regex);
        let places = Places { user: entry.when.user.clone(), finds: map.contains_key("find") };
        entry.reply = self.under(map, "reply", |reader, value| reader.said(value, &places));
        entry.refusal = self.under(map, "refusal", |reader, value| reader.template(value, &places));
        entry.filter = self.under(map, "filter", Self::filter);
        let calls = self.under(map, "tool_calls", |reader, value| {
            reader.list(value, "`tool_calls`", |reader, item| reader.tool_call(item, &places))
        });
        entry.tool_calls = calls.unwrap_or_default();
        let ends = self.under(map, "finish_reason", Self::text);
        entry.finish_reason = ends.unwrap_or_else(|| entry.usual_end().into());
        entry.delay = self.under(map, "delay", Self::duration).unwrap_or(delay);
        entry.usage = self.under(map, "usage", Self::usage);
        entry.faults = self.under(map, "faults", Self::faults).unwrap_or_default();
        if !SPEAKING_KEYS.iter().any(|key| map.contains_key(key)) {
            self.problem("says nothing", Some("give it a `reply`, `tool_calls`, a `refusal`, a `filter` or `faults`"));
        }
        if map.contains_key("refusal") && map.contains_key("reply") {
            self.problem("has a `reply` and a `refusal`, and a model says only one of them", None);
        }
        Some(entry)
    }

    fn when(&mut self, value: &Value) -> Option<When> {
        let map = self.map(value, "`when`", WHEN_KEYS)?;
        let path = self.under(map, "parameter", Self::text);
        for key in ["value", "not"] {
            if map.contains_key(key) && !map.contains_key("parameter") {
                self.problem(&format!("`{key}` says nothing without `parameter`"), None);
            }
        }
        let known = |key: &str| map.get(key).cloned();
        Some(When {
            user: self.under(map, "user", Self::regex),
            system: self.under(map, "system", Self::regex),
            tool: self.under(map, "tool", Self::regex),
            model: self.under(map, "model", Self::regex),
            api: self.under(map, "api", Self::regex),
            parameter: path.map(|path| Parameter { path, value: known("value"), not: known("not") }),
        })
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
            Value::Map(map) => Said::Map(self.said_map(map, places)),
            Value::Null => return self.reject("must say something"),
            other => Said::Other(other.clone()),
        })
    }

    fn said_map(&mut self, map: &Map, places: &Places) -> Vec<(Arc<str>, Said)> {
        let mut entries = Vec::new();
        for (key, _) in map {
            let said = self.under(map, key, |reader, value| match value {
                Value::Null => Some(Said::Other(Value::Null)),
                value => reader.said(value, places),
            });
            entries.extend(said.map(|said| (key.clone(), said)));
        }
        entries
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

    fn limits(&mut self, value: &Value) -> Option<Limits> {
        let map = self.map(value, "`limits`", LIMIT_KEYS)?;
        let burst = self.under(map, "burst", |reader, value| match reader.duration(value)? {
            Duration::ZERO => reader.reject("must be longer than nothing"),
            burst => Some(burst),
        });
        Some(Limits {
            requests_per_minute: self.under(map, "requests_per_minute", Self::positive),
            tokens_per_minute: self.under(map, "tokens_per_minute", Self::positive),
            burst: burst.unwrap_or(Limits::default().burst),
        })
    }
}

impl Entry {
    fn silent(delay: Duration) -> Self {
        Self {
            when: When::default(),
            find: None,
            reply: None,
            refusal: None,
            filter: None,
            tool_calls: Vec::new(),
            finish_reason: "stop".into(),
            delay,
            usage: None,
            faults: Vec::new(),
        }
    }

    /// Why its reply ends, where it does not say.
    fn usual_end(&self) -> &'static str {
        let stops = |filter: &Filter| matches!(filter.state, FilterState::Input | FilterState::Output);
        match self {
            _ if self.filter.as_ref().is_some_and(stops) => "content_filter",
            _ if self.refusal.is_none() && !self.tool_calls.is_empty() => "tool_calls",
            _ => "stop",
        }
    }
}
