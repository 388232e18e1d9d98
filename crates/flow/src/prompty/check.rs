//! What front matter must look like, and what it declares.

use std::sync::Arc;

use sluicegate_source::yaml::{Entry, Node};
use sluicegate_source::{Problem, SourceFile, Span, suggest};
use sluicegate_value::{Map, Value};

use super::front::{self, ReadFile};
use super::{PromptyInput, PromptyOutput, Version};

/// What front matter declares, beside its model.
pub(super) struct Declared {
    pub(super) name: Option<Arc<str>>,
    pub(super) description: Option<Arc<str>>,
    pub(super) inputs: Vec<PromptyInput>,
    pub(super) outputs: Vec<PromptyOutput>,
    pub(super) sample: Option<Map>,
    pub(super) developer_role: bool,
    pub(super) cannot_run: Option<Problem>,
}

/// The top-level keys of version 1 that the original knows, some that its samples carry, and our own.
const FIRST_KEYS: [&str; 19] = [
    "name",
    "description",
    "model",
    "inputs",
    "outputs",
    "sample",
    "template",
    "tags",
    "authors",
    "version",
    "environment_variables",
    "additional_includes",
    "display_name",
    "language",
    "metadata",
    "environment",
    "code",
    "$schema",
    "developer_role",
];

const SECOND_KEYS: [&str; 10] =
    ["name", "displayName", "description", "metadata", "model", "inputs", "outputs", "tools", "template", "sample"];

/// What version 2's templates may be written in.
const FORMATS: [&str; 2] = ["jinja2", MUSTACHE];
const MUSTACHE: &str = "mustache";

const FIRST_MODEL_KEYS: [&str; 4] = ["api", "configuration", "parameters", "response"];
const SECOND_MODEL_KEYS: [&str; 5] = ["id", "provider", "apiType", "connection", "options"];

/// Which format front matter has. Version 1 says so by its own keys; without any sign it is version 2, except that a
/// declared `type` of an input, or a sample, is something that only version 1 has.
pub(super) fn version(root: &Node) -> Version {
    let has =
        |node: Option<&Node>, keys: &[&str]| keys.iter().any(|key| node.is_some_and(|node| node.get(key).is_some()));
    let model = root.get("model");
    if has(model, &FIRST_MODEL_KEYS) {
        return Version::V1;
    }
    let second_model = has(model, &SECOND_MODEL_KEYS) || model.is_some_and(|model| model.as_str().is_some());
    if second_model || has(root.get("template"), &["format", "parser"]) {
        return Version::V2;
    }
    let typed = root.get("inputs").and_then(Node::as_map).is_some_and(|inputs| {
        inputs.iter().any(|input| has(Some(&input.value), &["type", "is_chat_input", "is_chat_history"]))
    });
    if typed || root.get("sample").is_some() { Version::V1 } else { Version::V2 }
}

/// Whether version 2's template is written in mustache.
pub(super) fn is_mustache(root: &Node) -> bool {
    let Some(template) = root.get("template") else { return false };
    let format = template.get("format").unwrap_or(template);
    format.get("kind").unwrap_or(format).as_str() == Some(MUSTACHE)
}

/// The kind of a value in version 2's words.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "boolean",
        Value::Int(_) | Value::BigInt(_) => "integer",
        Value::Float(_) => "float",
        Value::List(_) => "array",
        Value::Map(_) => "object",
        _ => "string",
    }
}

/// The kind of a value in version 1's words.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::BigInt(_) => "int",
        Value::Float(_) => "double",
        Value::List(_) => "list",
        Value::Map(_) => "object",
        _ => "string",
    }
}

/// Looks through front matter. What it finds wrong is in `problems`.
pub(super) struct Check<'a> {
    pub(super) file: &'a Arc<SourceFile>,
    pub(super) version: Version,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

impl Check<'_> {
    pub(super) fn run(&mut self, root: &Node, read_file: ReadFile<'_>) -> Declared {
        let is_first = self.version == Version::V1;
        let keys: &[&str] = if is_first { &FIRST_KEYS } else { &SECOND_KEYS };
        for entry in root.as_map().unwrap_or_default() {
            self.top_level(entry, keys);
        }
        if let Some(model) = root.get("model") {
            if is_first { self.first_model(model) } else { self.second_model(model) }
        }
        if let Some(template) = root.get("template") {
            if is_first { self.first_template(template) } else { self.second_template(template) }
        }
        let sample = root.get("sample").and_then(|sample| self.sample(sample, read_file));
        let mut inputs = root.get("inputs").map(|inputs| self.inputs(inputs)).unwrap_or_default();
        if is_first
            && inputs.is_empty()
            && let Some(sample) = &sample
        {
            let span = root.entry("sample").map(|entry| entry.key_span).unwrap_or_default();
            inputs = sample.iter().map(|(name, value)| inferred(name, value, span)).collect();
        }
        Declared {
            name: self.text(root, "name"),
            description: self.text(root, "description"),
            outputs: root.get("outputs").map(|outputs| self.outputs(outputs)).unwrap_or_default(),
            inputs,
            sample,
            developer_role: !is_first || self.developer_role(root),
            cannot_run: if is_first { None } else { self.cannot_run(root) },
        }
    }

    /// Whether version 1 knows the role, which it does not by itself.
    fn developer_role(&mut self, root: &Node) -> bool {
        let Some(value) = root.get("developer_role") else { return false };
        let yes = value.as_scalar().and_then(Value::as_bool);
        if yes.is_none() {
            let message = format!("`developer_role` must be true or false, not {}", value.described());
            self.error(
                "prompty::wrong_type",
                message,
                value.written(),
                "write `developer_role: true`, or leave it out",
            );
        }
        yes.unwrap_or(false)
    }

    /// What version 2 can describe and a flow's prompty does not do.
    fn cannot_run(&self, root: &Node) -> Option<Problem> {
        let api = root.get("model").and_then(|model| model.get("apiType"))?;
        let help = match api.as_str()? {
            "embedding" => "vectors are made by a node of kind `embedding` in a flow",
            "image" => "a node of kind `http` can call an endpoint that makes images",
            _ => return None,
        };
        let message = format!("a prompty with `apiType: {}` does not run here: it must be a chat", api.as_str()?);
        Some(Problem::error("prompty::cannot_run", message).in_file(self.file).at(api.written(), "").help(help))
    }

    /// Version 2 lets anything stand beside its own keys, so there only a slip of the pen is worth a word.
    fn top_level(&mut self, entry: &Entry, keys: &[&str]) {
        if keys.contains(&&*entry.key) {
            return;
        }
        let near = suggest::nearest(&entry.key, keys.iter().copied());
        if near.is_none() && self.version == Version::V2 {
            return;
        }
        let warning = Problem::warning("prompty::unknown_key", format!("`{}` means nothing here", entry.key))
            .in_file(self.file)
            .at(entry.key_span, "");
        self.warnings.push(match near {
            Some(near) => warning.help(format!("did you mean `{near}`?")),
            None => warning.help(format!("known keys: {}", keys.join(", "))),
        });
    }

    fn first_model(&mut self, model: &Node) {
        let Some(entries) = self.map(model, "`model`") else { return };
        for entry in entries {
            match &*entry.key {
                "api" => self.one_of(&entry.value, "`model.api`", &["chat", "completion", "responses"]),
                "response" => self.one_of(&entry.value, "`model.response`", &["first", "all"]),
                "configuration" | "parameters" => {
                    self.map(&entry.value, &format!("`model.{}`", entry.key));
                }
                unknown => {
                    let help = match (unknown, suggest::nearest(unknown, FIRST_MODEL_KEYS)) {
                        ("connection", _) => "put it under `model.configuration`".to_owned(),
                        (_, Some(near)) => format!("did you mean `{near}`?"),
                        _ => format!("known keys: {}", FIRST_MODEL_KEYS.join(", ")),
                    };
                    self.error("prompty::unknown_key", format!("`model` has no key `{unknown}`"), entry.key_span, help);
                }
            }
        }
    }

    fn second_model(&mut self, model: &Node) {
        if model.as_str().is_some() || model.as_scalar().is_some_and(Value::is_null) {
            return;
        }
        if model.as_map().is_none() {
            let message = format!("`model` must be the name of a model or a map, not {}", model.described());
            self.error("prompty::wrong_type", message, model.written(), "write `model: {id: …}`");
            return;
        }
        if let Some(api) = model.get("apiType") {
            self.one_of(api, "`model.apiType`", &["chat", "completion", "responses", "embedding", "image"]);
        }
        for key in ["options", "connection"] {
            if let Some(value) = model.get(key).filter(|value| !value.as_scalar().is_some_and(Value::is_null)) {
                self.map(value, &format!("`model.{key}`"));
            }
        }
    }

    fn first_template(&mut self, template: &Node) {
        let engine = template.as_str().or_else(|| template.get("type").and_then(Node::as_str));
        if engine != Some("jinja2") {
            let help = "remove `template`, or write `template: jinja2`";
            self.error("prompty::template", "only `jinja2` templates are known", template.written(), help);
        }
    }

    fn second_template(&mut self, template: &Node) {
        // A bare `jinja2` is version 1's, and refused (spec: the case `template_string_invalid`); a bare `mustache` can
        // only be meant for version 2.
        if template.as_str() == Some(MUSTACHE) {
            return;
        }
        if template.as_map().is_none() {
            let known = FORMATS.join("` or `");
            let message = "invalid template format: `template` must be a map with `format` and `parser`";
            let help =
                format!("write `template: {{format: .., parser: prompty}}`, its format `{known}`, or leave it out");
            self.error("prompty::template", message, template.written(), help);
            return;
        }
        for (key, known) in [("format", &FORMATS[..]), ("parser", &["prompty"][..])] {
            let Some(value) = template.get(key) else { continue };
            self.one_of(value.get("kind").unwrap_or(value), &format!("`template.{key}`"), known);
        }
    }

    /// Whether an input refuses text that reads as a role. A safeguard that is misspelt must not be off.
    fn strict(&mut self, name: &str, property: &Node) -> bool {
        let Some(strict) = property.get("strict").filter(|_| self.version == Version::V2) else { return false };
        let yes = strict.as_scalar().and_then(Value::as_bool);
        if yes.is_none() {
            let message = format!("`strict` of input `{name}` must be true or false, not {}", strict.described());
            self.error("prompty::wrong_type", message, strict.written(), "write `strict: true`, or leave it out");
        }
        yes.unwrap_or(true)
    }

    fn sample(&mut self, sample: &Node, read_file: ReadFile<'_>) -> Option<Map> {
        if let Value::Map(map) = sample.to_value() {
            return Some((*map).clone());
        }
        let value = match sample.as_str().map(|path| front::content(path, read_file)) {
            Some(Ok(value)) => value,
            Some(Err(message)) => {
                let message = format!("cannot read the sample: {message}");
                self.error("prompty::sample", message, sample.written(), "name a JSON file beside the prompty");
                return None;
            }
            None => sample.to_value(),
        };
        match value {
            Value::Map(map) => Some((*map).clone()),
            Value::Null => None,
            _ => {
                let help = "write the inputs as a map, or name a JSON file that holds one";
                self.error("prompty::sample", "a sample must be a map", sample.written(), help);
                None
            }
        }
    }

    fn inputs(&mut self, inputs: &Node) -> Vec<PromptyInput> {
        let mut found: Vec<PromptyInput> = Vec::new();
        for (name, span, property) in self.properties(inputs, "inputs") {
            if found.iter().any(|input| *input.name == *name) {
                let message = format!("input `{name}` is declared twice");
                self.error("prompty::duplicate", message, span, "remove one of the two");
                continue;
            }
            if self.version == Version::V1 && property.as_map().is_none() {
                let message = format!("input `{name}` must be a map, not {}", property.described());
                let help = format!("write `{name}: {{type: string, default: …}}`");
                self.error("prompty::wrong_type", message, property.written(), help);
                continue;
            }
            found.push(self.input(name, span, property));
        }
        found
    }

    fn input(&mut self, name: Arc<str>, span: Span, property: &Node) -> PromptyInput {
        let word = if self.version == Version::V1 { "type" } else { "kind" };
        if property.as_map().is_none() {
            // Version 2's shorthand: the value is the default.
            let default = property.to_value();
            return PromptyInput {
                kind: Some(kind_of(&default).into()),
                required: default.is_null(),
                default: Some(default).filter(|value| !value.is_null()),
                description: None,
                is_chat_input: false,
                is_chat_history: false,
                strict: false,
                name,
                span,
            };
        }
        let strict = self.strict(&name, property);
        let default = property.get("default").map(Node::to_value);
        let default = if self.version == Version::V2 { default.filter(|value| !value.is_null()) } else { default };
        let is = |key: &str| property.get(key).and_then(Node::as_scalar).and_then(Value::as_bool);
        let kind: Option<Arc<str>> = property.get(word).and_then(Node::as_str).map(Arc::from);
        let required = match is("required") {
            Some(required) => required && default.is_none(),
            // A conversation may be empty.
            None => default.is_none() && kind.as_deref() != Some("thread"),
        };
        PromptyInput {
            description: property.get("description").and_then(Node::as_str).map(Arc::from),
            is_chat_input: is("is_chat_input").unwrap_or(false),
            is_chat_history: is("is_chat_history").unwrap_or(false),
            strict,
            required,
            default,
            kind,
            name,
            span,
        }
    }

    fn outputs(&mut self, outputs: &Node) -> Vec<PromptyOutput> {
        let word = if self.version == Version::V1 { "type" } else { "kind" };
        self.properties(outputs, "outputs")
            .into_iter()
            .map(|(name, span, property)| PromptyOutput {
                kind: property.get(word).and_then(Node::as_str).map(Arc::from),
                description: property.get("description").and_then(Node::as_str).map(Arc::from),
                name,
                span,
            })
            .collect()
    }

    /// Name, place and content of each input or output: a map by name, or (version 2) a list of maps with names.
    fn properties<'n>(&mut self, node: &'n Node, what: &str) -> Vec<(Arc<str>, Span, &'n Node)> {
        if node.as_scalar().is_some_and(Value::is_null) {
            return Vec::new();
        }
        if let Some(entries) = node.as_map() {
            return entries.iter().map(|entry| (entry.key.clone(), entry.key_span, &entry.value)).collect();
        }
        if self.version == Version::V1 || node.as_list().is_none() {
            self.map(node, &format!("`{what}`"));
            return Vec::new();
        }
        let mut found = Vec::new();
        for item in node.as_list().unwrap_or_default() {
            match item.get("name").map(|name| (name.as_str(), name.written())) {
                Some((Some(name), span)) => found.push((Arc::from(name), span, item)),
                _ => {
                    let message = format!("an item of `{what}` has no name");
                    self.error("prompty::no_name", message, item.written(), "give it a `name`");
                }
            }
        }
        found
    }

    fn map<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Entry]> {
        let entries = node.as_map();
        if entries.is_none() {
            let message = format!("{what} must be a map, not {}", node.described());
            self.error("prompty::wrong_type", message, node.written(), "write its entries below it, indented");
        }
        entries
    }

    fn one_of(&mut self, node: &Node, what: &str, words: &[&str]) {
        if node.as_str().is_some_and(|word| words.contains(&word)) {
            return;
        }
        let message = format!("{what} must be one of {}", words.join(", "));
        let near = node.as_str().and_then(|word| suggest::nearest(word, words.iter().copied()));
        let help = near.map_or_else(
            || format!("write `{}`", words.first().unwrap_or(&"")),
            |near| format!("did you mean `{near}`?"),
        );
        self.error("prompty::wrong_value", message, node.written(), help);
    }

    /// The text under a key; a number is taken as text.
    fn text(&mut self, root: &Node, key: &str) -> Option<Arc<str>> {
        let node = root.get(key)?;
        match node.as_scalar() {
            Some(Value::Null) => None,
            Some(value) => Some(sluicegate_value::python::str(value).into()),
            None => {
                let message = format!("`{key}` must be text, not {}", node.described());
                self.error(
                    "prompty::wrong_type",
                    message,
                    node.written(),
                    "write it on one line, or as a block after `|`",
                );
                None
            }
        }
    }

    fn error(&mut self, code: &'static str, message: impl Into<String>, span: Span, help: impl Into<String>) {
        self.problems.push(Problem::error(code, message).in_file(self.file).at(span, "").help(help));
    }
}

/// An input that only the sample tells of.
fn inferred(name: &Arc<str>, value: &Value, span: Span) -> PromptyInput {
    PromptyInput {
        name: name.clone(),
        kind: Some(type_of(value).into()),
        default: None,
        description: None,
        required: true,
        is_chat_input: false,
        is_chat_history: false,
        strict: false,
        span,
    }
}
