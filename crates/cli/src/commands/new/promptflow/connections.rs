//! Connection files: what each says, its secrets by the variables that shall hold them.

use sluicegate_config::variables::looks_secret;
use sluicegate_source::yaml::{self, Document};
use sluicegate_value::{Map, Value};

use super::config_file::{is_placeholder, names_a_variable};
use super::flows::text_at;
use crate::variable_names::variable_names;

/// Types that name a connection (spec: promptflow.md §4).
const TYPES: &[&str] = &[
    "azure_open_ai",
    "azure_openai",
    "open_ai",
    "openai",
    "serverless",
    "cognitive_search",
    "serp",
    "azure_content_safety",
    "form_recognizer",
    "azure_ai_services",
    "qdrant",
    "weaviate",
    "custom",
];
/// Keys of a file that are about the file.
const NOT_TAKEN_OVER: &[&str] = &["$schema", "name", "created_date", "expiry_time", "last_modified_date"];
/// Keys whose values differ from place to place: better a variable than an empty text.
const ADDRESSES: &[&str] = &["api_base", "endpoint", "base_url", "organization"];

/// A connection file.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionFacts {
    pub(crate) file: String,
    pub(crate) name: String,
    /// What stands in config/config.yaml in its place.
    pub(crate) section: Map,
    /// The variables that it needs.
    pub(crate) variables: Vec<String>,
    /// The keys whose secret stands in the file itself.
    pub(crate) written_secrets: Vec<String>,
}

/// Every connection file among the documents.
pub(crate) fn all(documents: &[Document], notes: &mut Vec<String>) -> Vec<ConnectionFacts> {
    let mut found: Vec<ConnectionFacts> = Vec::new();
    for connection in documents.iter().filter_map(read) {
        match found.iter().find(|known| known.name == connection.name) {
            Some(known) => notes.push(format!(
                "{} names connection `{}` once more: what {} says is taken",
                connection.file, connection.name, known.file
            )),
            None => found.push(connection),
        }
    }
    found
}

fn read(document: &Document) -> Option<ConnectionFacts> {
    let root = &document.root;
    let schema = text_at(root, &["$schema"]).unwrap_or_default();
    let type_name = text_at(root, &["type"])?.to_ascii_lowercase();
    let has_shape = TYPES.contains(&type_name.as_str()) && root.get("nodes").is_none() && root.get("flow").is_none();
    if !schema.contains("Connection.schema.json") && !has_shape {
        return None;
    }
    let stem = super::survey::name_of(document.file.name()).split('.').next().unwrap_or("connection").to_owned();
    let name = text_at(root, &["name"]).filter(|name| !name.is_empty()).unwrap_or(stem);
    let mut facts = ConnectionFacts {
        file: document.file.name().to_owned(),
        name,
        section: Map::from([("type", Value::from(type_name))]),
        variables: Vec::new(),
        written_secrets: Vec::new(),
    };
    for entry in root.as_map()? {
        let key = &*entry.key;
        if NOT_TAKEN_OVER.contains(&key) || key == "type" {
            continue;
        }
        let value = match (&entry.value.data, key) {
            (yaml::Data::Map(entries), "configs" | "secrets") => {
                let inner = entries.iter().map(|inner| {
                    let is_secret = key == "secrets";
                    (inner.key.clone(), facts.value(&inner.key, &inner.value.to_value(), is_secret))
                });
                Value::from(inner.collect::<Map>())
            }
            _ => facts.value(key, &entry.value.to_value(), false),
        };
        // What says nothing is left to its default.
        if !value.is_null() {
            facts.section.insert(entry.key.clone(), value);
        }
    }
    Some(facts)
}

impl ConnectionFacts {
    /// What stands for a value in the config.
    fn value(&mut self, key: &str, value: &Value, is_secret: bool) -> Value {
        let is_secret = is_secret || looks_secret(key);
        if let Some(text) = value.as_str().filter(|text| names_a_variable(text)) {
            let text = text.replace("${env:", "${");
            self.variables.extend(variable_names(&text));
            return text.into();
        }
        if is_secret || (is_placeholder(value) && ADDRESSES.contains(&key)) {
            if is_secret && !is_placeholder(value) {
                self.written_secrets.push(key.to_owned());
            }
            let variable = variable_of(&self.name, key);
            // `key: <user-input>` of an identity: `auth` says that there is none.
            self.variables.push(variable.clone());
            return format!("${{{variable}}}").into();
        }
        if is_placeholder(value) { Value::Null } else { value.clone() }
    }
}

/// The variable that shall hold a connection's key; the original reads it by this name too.
pub(crate) fn variable_of(connection: &str, key: &str) -> String {
    let name: String = format!("{connection}_{key}")
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' })
        .collect();
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use sluicegate_source::SourceFile;

    use super::super::yaml_text::block;
    use super::*;

    fn check(file: &str, expected: &str, secrets: &[&str]) {
        let document = yaml::read(&SourceFile::new("connections/a.yaml", file)).unwrap();
        let facts = read(&document).expect("a connection");
        assert_eq!(block(&facts.section, 0), expected);
        assert_eq!(facts.written_secrets, secrets);
    }

    #[test]
    fn secrets_become_variables() {
        check(
            "$schema: https://x/AzureOpenAIConnection.schema.json\nname: aoai\ntype: azure_open_ai\napi_key: \"\"\napi_base: \"\"\napi_type: azure\n",
            "type: azure_open_ai\napi_key: ${AOAI_API_KEY}\napi_base: ${AOAI_API_BASE}\napi_type: azure\n",
            &[],
        );
        check(
            "name: my conn\ntype: open_ai\napi_key: sk-1234567890\nbase_url: https://a/v1\n",
            "type: open_ai\napi_key: ${MY_CONN_API_KEY}\nbase_url: https://a/v1\n",
            &["api_key"],
        );
        check(
            "name: c\ntype: custom\nconfigs: {url: https://a/, empty: ''}\nsecrets: {word: \"${env:WORD}\", other: <user-input>}\n",
            "type: custom\nconfigs:\n  url: https://a/\n  empty: null\nsecrets:\n  word: ${WORD}\n  other: ${C_OTHER}\n",
            &[],
        );
    }

    #[test]
    fn only_connections_are_connections() {
        let document = yaml::read(&SourceFile::new("x.yaml", "type: chat\nnodes: []\n")).unwrap();
        assert!(read(&document).is_none());
    }
}
