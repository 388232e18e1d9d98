//! The bodies that prompt flow's `llm` tools send.

use std::sync::Arc;

use sluicegate_value::{Map, Value};

use super::{LATER, RequestError, coerce, tools};

/// The parameters of a node; `null` is as good as not given.
pub(super) struct Given<'a>(pub(super) &'a [(Arc<str>, Value)]);

impl Given<'_> {
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, value)| **known == *name && !value.is_null()).map(|(_, value)| value)
    }

    fn float(&self, name: &str) -> Result<Option<Value>, RequestError> {
        self.get(name).map(|value| coerce::float(name, value)).transpose()
    }

    fn integer(&self, name: &str) -> Result<Option<Value>, RequestError> {
        self.get(name).map(|value| coerce::integer(name, value)).transpose()
    }

    /// A list, map or text that says something.
    fn truthy(&self, name: &str) -> Option<Value> {
        self.get(name).map(coerce::structured).filter(Value::is_truthy)
    }

    /// `max_tokens`, which old flows write as `inf` or leave empty for "no limit".
    fn max_tokens(&self) -> Result<Option<Value>, RequestError> {
        match self.get("max_tokens") {
            Some(Value::Float(limit)) if limit.is_infinite() => Ok(None),
            Some(Value::Str(text)) if text.trim().is_empty() || text.trim().eq_ignore_ascii_case("inf") => Ok(None),
            _ => self.integer("max_tokens"),
        }
    }
}

pub(super) fn chat(given: &Given<'_>) -> Result<Map, RequestError> {
    let mut body = Map::new();
    body.insert("temperature", given.float("temperature")?.unwrap_or(Value::Float(1.0)));
    body.insert("top_p", given.float("top_p")?.unwrap_or(Value::Float(1.0)));
    body.insert("n", given.integer("n")?.unwrap_or(Value::Int(1)));
    let optional = [
        ("stop", given.truthy("stop")),
        ("max_tokens", given.max_tokens()?),
        ("presence_penalty", given.float("presence_penalty")?),
        ("frequency_penalty", given.float("frequency_penalty")?),
        ("logit_bias", given.truthy("logit_bias")),
        ("user", given.get("user").filter(|user| user.is_truthy()).cloned()),
        ("response_format", given.truthy("response_format")),
        ("seed", given.integer("seed")?),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            body.insert(name, value);
        }
    }
    for name in LATER {
        // An empty text is how a flow's input says "nothing".
        let Some(value) = given.get(name).filter(|value| value.as_str() != Some("")) else { continue };
        let value = match name {
            "max_completion_tokens" | "top_logprobs" => coerce::integer(name, value)?,
            _ => coerce::structured(value),
        };
        body.insert(name, value);
    }
    if let Some(given_tools) = given.get("tools").map(coerce::structured) {
        tools::check_tools(Some(&given_tools))?;
        body.insert("tools", given_tools);
        body.insert("tool_choice", tools::tool_choice(given.get("tool_choice"))?);
    } else if let Some(functions) = given.get("functions").map(coerce::structured) {
        tools::check_functions(Some(&functions))?;
        body.insert("functions", functions);
        body.insert("function_call", tools::function_call(given.get("function_call"))?);
    }
    Ok(body)
}

pub(super) fn completion(given: &Given<'_>) -> Result<Map, RequestError> {
    let truthy = |name: &str| given.get(name).filter(|value| value.is_truthy());
    let mut body = Map::new();
    body.insert("suffix", truthy("suffix").cloned().unwrap_or_default());
    body.insert("max_tokens", given.max_tokens()?.unwrap_or(Value::Int(16)));
    body.insert("temperature", given.float("temperature")?.unwrap_or(Value::Float(1.0)));
    body.insert("top_p", given.float("top_p")?.unwrap_or(Value::Float(1.0)));
    body.insert("n", given.integer("n")?.unwrap_or(Value::Int(1)));
    let logprobs = truthy("logprobs").map(|value| coerce::integer("logprobs", value)).transpose()?;
    body.insert("logprobs", logprobs.unwrap_or_default());
    body.insert("echo", coerce::is_true(given.get("echo")));
    body.insert("stop", given.truthy("stop").unwrap_or_default());
    body.insert("presence_penalty", given.float("presence_penalty")?.unwrap_or(Value::Float(0.0)));
    body.insert("frequency_penalty", given.float("frequency_penalty")?.unwrap_or(Value::Float(0.0)));
    body.insert("best_of", given.integer("best_of")?.unwrap_or(Value::Int(1)));
    body.insert("logit_bias", given.truthy("logit_bias").unwrap_or_else(|| Map::new().into()));
    body.insert("user", given.get("user").cloned().unwrap_or_else(|| "".into()));
    Ok(body)
}

/// Puts the node's own `parameters` over the rest; says whether they ask for a stream.
pub(super) fn merge(body: &mut Map, more: &Value) -> Result<bool, RequestError> {
    let refused = |message: String| RequestError { class: "ToolValidationError", message };
    let Value::Map(more) = coerce::structured(more) else {
        return Err(refused(format!("`parameters` must be a map, not {}", more.type_name())));
    };
    let mut stream = false;
    for (name, value) in more.iter() {
        match &**name {
            "stream" => stream = coerce::is_true(Some(value)),
            "model" | "messages" | "prompt" => {
                return Err(refused(format!("`parameters` cannot set `{name}`: the node says it elsewhere")));
            }
            _ => {
                body.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(stream)
}
