//! What goes into a call: values, and connections with their secrets.

use std::fmt;
use std::sync::Arc;

use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use sluicegate_config::Secret;
use sluicegate_value::{Handle, Map, Value};

/// One input of a call.
#[derive(Clone, Debug)]
pub enum Argument {
    /// A value; it may hold handles and blobs with bytes or an address (stored ones have to be fetched before).
    Value(Value),
    /// A connection, which becomes an object of its class.
    Connection(ConnectionObject),
    /// An assistant's definition (`model`, `instructions`, `tools`, and the `folder` of their paths), which becomes an
    /// `AssistantDefinition` with its tools loaded. It travels as `{"$assistant": {…}}`.
    Assistant(Map),
}

impl<T: Into<Value>> From<T> for Argument {
    fn from(value: T) -> Self {
        Self::Value(value.into())
    }
}

impl From<ConnectionObject> for Argument {
    fn from(connection: ConnectionObject) -> Self {
        Self::Connection(connection)
    }
}

/// A connection as Python code sees it. Its secrets cross to a worker only in the call that names it.
///
/// It travels as `{"$connection": {"type", "name", "class"?, "module"?, "configs": {…}, "secrets": {…}}}`.
#[derive(Clone, Debug)]
pub struct ConnectionObject {
    /// Its name.
    pub name: Arc<str>,
    /// Its type, as connection files write it: `azure_open_ai`, `custom`, …
    pub type_name: Arc<str>,
    /// For a custom strong type: the author's class.
    pub class: Option<StrongType>,
    /// What may be shown: addresses, versions.
    pub configs: Map,
    /// What may not.
    pub secrets: Vec<(Arc<str>, Secret)>,
}

/// A connection class of the author's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrongType {
    /// Its module.
    pub module: Arc<str>,
    /// Its name in it.
    pub class: Arc<str>,
}

impl ConnectionObject {
    /// The name of the class that it becomes: one of `promptflow.connections`, or the author's own.
    #[must_use]
    pub fn class_name(&self) -> &str {
        if let Some(strong) = &self.class {
            return &strong.class;
        }
        // The words of connection files, and how the package spells them (spec: promptflow.md §4).
        match &*self.type_name {
            "azure_open_ai" => "AzureOpenAIConnection",
            "open_ai" => "OpenAIConnection",
            "serverless" => "ServerlessConnection",
            "serp" => "SerpConnection",
            "qdrant" => "QdrantConnection",
            "weaviate" => "WeaviateConnection",
            "cognitive_search" => "CognitiveSearchConnection",
            "azure_ai_services" => "AzureAIServicesConnection",
            "azure_content_safety" => "AzureContentSafetyConnection",
            "form_recognizer" => "FormRecognizerConnection",
            _ => "CustomConnection",
        }
    }
}

impl Serialize for ConnectionObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Secrets<'a>(&'a [(Arc<str>, Secret)]);
        impl Serialize for Secrets<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().map(|(name, secret)| (name, secret.expose())))
            }
        }
        #[derive(Serialize)]
        struct Inner<'a> {
            name: &'a str,
            #[serde(rename = "type")]
            type_name: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            class: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            module: Option<&'a str>,
            configs: &'a Map,
            secrets: Secrets<'a>,
        }
        let inner = Inner {
            name: &self.name,
            type_name: &self.type_name,
            class: self.class.as_ref().map(|strong| &*strong.class),
            module: self.class.as_ref().map(|strong| &*strong.module),
            configs: &self.configs,
            secrets: Secrets(&self.secrets),
        };
        tagged(serializer, "$connection", &inner)
    }
}

fn tagged<S: Serializer, T: Serialize + ?Sized>(
    serializer: S,
    tag: &'static str,
    inner: &T,
) -> Result<S::Ok, S::Error> {
    let mut entries = serializer.serialize_map(Some(1))?;
    entries.serialize_entry(tag, inner)?;
    entries.end()
}

/// Named arguments as they are sent to one worker.
pub(crate) struct SentArguments<'a> {
    pub(crate) arguments: &'a [(Arc<str>, Argument)],
    pub(crate) worker: &'a str,
}

impl Serialize for SentArguments<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries = serializer.serialize_map(Some(self.arguments.len()))?;
        for (name, argument) in self.arguments {
            entries.serialize_entry(&**name, &SentArgument { argument, worker: self.worker })?;
        }
        entries.end()
    }
}

/// An argument as it is sent to one worker.
pub(crate) struct SentArgument<'a> {
    pub(crate) argument: &'a Argument,
    pub(crate) worker: &'a str,
}

impl Serialize for SentArgument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.argument {
            Argument::Value(value) => Sent { value, worker: self.worker }.serialize(serializer),
            Argument::Connection(connection) => connection.serialize(serializer),
            Argument::Assistant(definition) => {
                tagged(serializer, "$assistant", &SentMap { map: definition, worker: self.worker })
            }
        }
    }
}

/// A value as it is sent to one worker: handles by number, without preview and projection; an object of another worker
/// as its projection.
struct Sent<'a> {
    value: &'a Value,
    worker: &'a str,
}

impl Serialize for Sent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sent = |value| Sent { value, worker: self.worker };
        match self.value {
            Value::List(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items.iter() {
                    seq.serialize_element(&sent(item))?;
                }
                seq.end()
            }
            Value::Map(map) if map.keys().next().is_some_and(|key| key.starts_with('$')) => {
                tagged(serializer, "$map", &SentMap { map, worker: self.worker })
            }
            Value::Map(map) => SentMap { map, worker: self.worker }.serialize(serializer),
            Value::Handle(handle) if *handle.worker == *self.worker => {
                #[derive(Serialize)]
                struct Number {
                    id: u64,
                }
                tagged(serializer, "$handle", &Number { id: handle.id })
            }
            Value::Handle(handle) => sent(handle.json.as_ref().unwrap_or(&Value::Null)).serialize(serializer),
            plain => plain.serialize(serializer),
        }
    }
}

struct SentMap<'a> {
    map: &'a Map,
    worker: &'a str,
}

impl Serialize for SentMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.map.iter().map(|(key, value)| (&**key, Sent { value, worker: self.worker })))
    }
}

/// The handles that arguments hold.
pub(crate) fn handles_of<'a>(arguments: impl Iterator<Item = &'a Argument>) -> Vec<Arc<Handle>> {
    let mut found = Vec::new();
    for argument in arguments {
        if let Argument::Value(value) = argument {
            crate::error::handles_in(value, &mut found);
        }
    }
    found
}

impl fmt::Display for ConnectionObject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} `{}`", self.type_name, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: Value, expected: &str) {
        let argument = Argument::Value(value);
        let sent = SentArgument { argument: &argument, worker: "here" };
        assert_eq!(serde_json::to_string(&sent).expect("serializes"), expected);
    }

    fn handle(worker: &str, json: Option<Value>) -> Value {
        Value::Handle(Arc::new(Handle {
            worker: worker.into(),
            id: 7,
            type_name: "tuple".into(),
            preview: "(1, 2)".into(),
            json,
        }))
    }

    #[test]
    fn an_object_of_the_worker_travels_as_its_number_and_of_another_as_its_projection() {
        check(handle("here", Some(Value::Int(1))), r#"{"$handle":{"id":7}}"#);
        check(handle("there", Some(Value::from(vec![Value::Int(1)]))), "[1]");
        check(Value::from(vec![handle("here", None)]), r#"[{"$handle":{"id":7}}]"#);
    }

    #[test]
    fn a_key_that_looks_like_a_tag_is_no_tag() {
        check(Value::from(Map::from([("$handle", Value::Int(1))])), r#"{"$map":{"$handle":1}}"#);
        check(Value::from(f64::NAN), r#"{"$float":"nan"}"#);
    }

    #[test]
    fn a_connection_shows_its_secret_to_the_worker_only() {
        let connection = ConnectionObject {
            name: "aoai".into(),
            type_name: "azure_open_ai".into(),
            class: None,
            configs: Map::from([("api_base", "https://a.test")]),
            secrets: vec![("api_key".into(), Secret::new("k3y"))],
        };
        assert!(!format!("{connection:?} {connection}").contains("k3y"));
        assert_eq!(connection.class_name(), "AzureOpenAIConnection");
        let sent = serde_json::to_string(&connection).expect("serializes");
        assert_eq!(
            sent,
            r#"{"$connection":{"name":"aoai","type":"azure_open_ai","configs":{"api_base":"https://a.test"},"secrets":{"api_key":"k3y"}}}"#
        );
    }
}
