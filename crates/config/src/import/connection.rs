//! One connection file of prompt flow: YAML as `pf connection create` takes it, JSON as `pf connection show` prints it, or a
//! `.env` file, which makes a custom connection.

use std::sync::Arc;

use sluicegate_source::suggest::nearest;
use sluicegate_source::yaml::{self, Entry, Node};
use sluicegate_source::{Problem, SourceFile};
use sluicegate_value::Value;

use super::text::{Block, Item};
use super::{Imported, ImportedVariable};
use crate::address::{self, AddressFault};
use crate::aliases::{CONNECTION_TYPES, connection_type};
use crate::keys::of_connection;
use crate::reader::is_placeholder;
use crate::variables::looks_secret;
use crate::{Secret, Variables};

/// What the original's tools write and nobody needs here.
const NOT_NEEDED: &[&str] =
    &["$schema", "name", "type", "created_date", "last_modified_date", "expiry_time", "class_name"];
/// The values that prompt flow takes by itself, and so do we.
const DEFAULTS: &[(&str, &str)] = &[
    ("api_type", "azure"),
    ("api_type", "Content Safety"),
    ("api_type", "Form Recognizer"),
    ("auth_mode", "key"),
    ("module", "promptflow.connections"),
    ("module", "promptflow_vectordb.connections"),
];

/// Reads a connection file. `name` comes before the one in the file; a file without any is named after itself.
///
/// # Errors
/// What is wrong with it as YAML; no map; no type, or one that is not known.
pub fn read(file: &Arc<SourceFile>, name: Option<&str>) -> Result<Imported, Vec<Problem>> {
    let document = yaml::read(file)?;
    let root = &document.root;
    let problem = |at: &Node, code: &'static str, message: String| {
        vec![Problem::error(code, message).in_file(file).at(at.span, "")]
    };
    let Some(entries) = root.as_map() else {
        return Err(problem(
            root,
            "import::not_a_connection",
            format!("a connection is a map, not {}", root.described()),
        ));
    };
    let Some(type_node) = root.get("type") else {
        let found = problem(root, "import::not_a_connection", "the file has no `type`, as connections have".to_owned());
        return Err(found.into_iter().map(|problem| problem.help(format!("give it one of {}", listed()))).collect());
    };
    let written = type_node.as_str().unwrap_or_default();
    let Some(type_name) = known_type(written) else {
        let found = problem(type_node, "import::unknown_type", format!("there is no type `{written}` of connections"));
        return Err(found
            .into_iter()
            .map(|problem| match nearest(written, CONNECTION_TYPES.iter().copied()) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(format!("there are: {}", listed())),
            })
            .collect());
    };
    let own_name = root.get("name").and_then(Node::as_str).map(str::trim).filter(|name| !name.is_empty());
    let name = name.or(own_name).map_or_else(|| stem(file.name()), str::to_owned);
    let known = of_connection(&type_name).unwrap_or_default();
    let mut import = Import { name: &name, variables: Vec::new(), notes: Vec::new() };
    let mut block: Block = vec![("type".to_owned(), Item::Value(type_name.as_str().into()))];
    let is_custom_class = root.get("custom_type").is_some();
    for entry in entries {
        let key = &*entry.key;
        if NOT_NEEDED.contains(&key) || entry.value.as_scalar().is_some_and(Value::is_null) && key != "api_key" {
            continue;
        }
        let text = entry.value.as_str().unwrap_or_default();
        if DEFAULTS.contains(&(key, text)) && !is_custom_class {
            continue;
        }
        match key {
            "auth_mode" => block.push(("auth".to_owned(), Item::Value("entra".into()))),
            "configs" | "secrets" if entry.value.as_map().is_some() => {
                let inner = entry.value.as_map().unwrap_or_default();
                let values = inner.iter().map(|inner| (inner.key.to_string(), import.value(inner, key == "secrets")));
                block.push((key.to_owned(), Item::Block(values.collect())));
            }
            _ if known.contains(&key) && entry.value.as_scalar().is_some() => {
                block.push((key.to_owned(), Item::Value(import.value(entry, key == "api_key"))));
            }
            _ => import.notes.push(format!("`{key}` of connection `{name}` is not taken over")),
        }
    }
    let needs_key = !matches!(type_name.as_str(), "custom" | "simulated");
    let by_identity = block.iter().any(|(key, _)| key == "auth");
    if needs_key && !by_identity && root.get("api_key").is_none() {
        let variable = import.variable("api_key", None);
        block.push(("api_key".to_owned(), Item::Value(variable)));
    }
    let Import { variables, notes, .. } = import;
    Ok(Imported { name: name.as_str().into(), type_name: type_name.as_str().into(), variables, notes, entry: block })
}

/// Reads a `.env` file as prompt flow does (`pf connection create -f .env --name NAME`): every variable of it is a secret
/// of a custom connection.
///
/// # Errors
/// Lines that are no `NAME=value`.
pub fn read_dot_env(file: &Arc<SourceFile>, name: &str) -> Result<Imported, Vec<Problem>> {
    let variables = Variables::default().with_dot_env(file.name(), file.text())?;
    let mut import = Import { name, variables: Vec::new(), notes: Vec::new() };
    let names: Vec<String> = variables.dot_env_names().map(str::to_owned).collect();
    let mut secrets = Vec::new();
    for key in names {
        let value = variables.get(&key).map(|found| found.value.to_owned()).unwrap_or_default();
        let value = Some(value).filter(|value| !value.is_empty() && !is_placeholder(value)).map(Secret::new);
        secrets.push((key.clone(), import.named(&key, &key, value)));
    }
    let entry = vec![
        ("type".to_owned(), Item::Value("custom".into())),
        ("configs".to_owned(), Item::Block(Vec::new())),
        ("secrets".to_owned(), Item::Block(secrets)),
    ];
    let entry =
        entry.into_iter().filter(|(_, item)| !matches!(item, Item::Block(values) if values.is_empty())).collect();
    Ok(Imported {
        name: name.into(),
        type_name: "custom".into(),
        variables: import.variables,
        notes: import.notes,
        entry,
    })
}

struct Import<'a> {
    name: &'a str,
    variables: Vec<ImportedVariable>,
    notes: Vec<String>,
}

impl Import<'_> {
    /// A value as the entry has it: a secret, what looks like one, and what is yet to be given become variables.
    fn value(&mut self, entry: &Entry, is_secret: bool) -> Value {
        let value = entry.value.to_value();
        let text = value.as_str().map(str::trim);
        if let Some(variable) = text.and_then(variable_of) {
            return self.of_author(&entry.key, variable);
        }
        let hides = is_secret || looks_secret(&entry.key) || text.is_some_and(holds_secret);
        if text.is_some_and(is_placeholder) || (hides && (value.is_null() || text == Some(""))) {
            return self.variable(&entry.key, None);
        }
        match value {
            Value::Str(text) if hides => self.variable(&entry.key, Some(Secret::new(&*text))),
            Value::Str(text) => text.replace("${", "$${").into(),
            // A number is no key, but nobody else may tell.
            other if hides => self.variable(&entry.key, Some(Secret::new(other.to_json()))),
            other => other,
        }
    }

    /// A variable that the author named already.
    fn of_author(&mut self, key: &str, variable: &str) -> Value {
        self.named(key, variable, None)
    }

    /// A variable named after the connection and the key.
    fn variable(&mut self, key: &str, value: Option<Secret>) -> Value {
        let name = variable_name(self.name, key);
        self.named(key, &name, value)
    }

    fn named(&mut self, key: &str, variable: &str, value: Option<Secret>) -> Value {
        let mut name = variable.to_owned();
        let mut number = 2;
        let taken = |name: &str, known: &[ImportedVariable]| known.iter().any(|known| known.name == name);
        // Two keys may differ only by what no variable's name can hold; a variable that has no value here is one.
        while value.is_some() && taken(&name, &self.variables) {
            name = format!("{variable}_{number}");
            number += 1;
        }
        if !taken(&name, &self.variables) {
            let about = format!("`{key}` of connection `{}`", self.name);
            self.variables.push(ImportedVariable { name: name.clone(), about, value });
        }
        format!("${{{name}}}").into()
    }
}

/// The variable's name in `${env:NAME}` or `${NAME}`.
fn variable_of(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("${")?.strip_suffix('}')?;
    let name = inner.strip_prefix("env:").unwrap_or(inner);
    let is_name = name.chars().all(|letter| letter == '_' || letter.is_ascii_alphanumeric());
    (is_name && name.starts_with(|letter: char| letter == '_' || letter.is_ascii_alphabetic())).then_some(name)
}

/// Whether an address holds what nobody should read.
fn holds_secret(text: &str) -> bool {
    text.contains("://") && matches!(address::check(text), Err(AddressFault::User | AddressFault::Query))
}

/// `<CONNECTION>_<KEY>`, in the letters that variables have.
fn variable_name(connection: &str, key: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    let name: String = format!("{connection}_{key}").chars().map(plain).collect();
    if name.starts_with(|letter: char| letter.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// A type in any of the spellings that the original takes: `azure_open_ai`, `AzureOpenAI`, `AzureOpenAIConnection`.
fn known_type(written: &str) -> Option<String> {
    let alias = connection_type(written);
    let folded = |text: &str| text.replace(['_', '-'], "").to_ascii_lowercase();
    let wanted = folded(&alias);
    let wanted = wanted.strip_suffix("connection").unwrap_or(&wanted);
    CONNECTION_TYPES.iter().find(|known| folded(known) == wanted).map(|known| (*known).to_owned())
}

fn stem(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned()
}

fn listed() -> String {
    CONNECTION_TYPES.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
