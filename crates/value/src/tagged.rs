//! The lossless form of a value, for the journal: `serde` writes and reads it.
//!
//! JSON as far as JSON goes. What JSON lacks is a map with one key that begins with `$`: `{"$float": "nan"}`,
//! `{"$int": "9223372036854775808"}`, `{"$blob": {…}}`, `{"$handle": {…}}`; a map of the user's whose first key
//! begins with `$` is wrapped in `{"$map": …}`.

use std::fmt;
use std::sync::Arc;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{BigInt, Blob, BlobSource, Handle, Map, Value};

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(yes) => serializer.serialize_bool(*yes),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::BigInt(number) => tag(serializer, "$int", number.as_str()),
            Self::Float(number) if number.is_finite() => serializer.serialize_f64(*number),
            Self::Float(number) => tag(serializer, "$float", &crate::python::float_repr(*number)),
            Self::Str(text) => serializer.serialize_str(text),
            Self::List(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items.iter() {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Self::Map(map) if looks_tagged(map) => tag(serializer, "$map", &**map),
            Self::Map(map) => map.serialize(serializer),
            Self::Blob(blob) => tag(serializer, "$blob", &BlobForm::from(&**blob)),
            Self::Handle(handle) => tag(serializer, "$handle", &HandleForm::from(&**handle)),
        }
    }
}

impl Serialize for Map {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self {
            entries.serialize_entry(&**key, value)?;
        }
        entries.end()
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

impl<'de> Deserialize<'de> for Map {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor;
        impl<'de> Visitor<'de> for MapVisitor {
            type Value = Map;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Map, A::Error> {
                let mut map = Map::new();
                while let Some((key, value)) = entries.next_entry::<String, Value>()? {
                    map.insert(key, value);
                }
                Ok(map)
            }
        }
        deserializer.deserialize_map(MapVisitor)
    }
}

fn looks_tagged(map: &Map) -> bool {
    map.keys().next().is_some_and(|key| key.starts_with('$'))
}

fn tag<S: Serializer, T: Serialize + ?Sized>(serializer: S, name: &'static str, inner: &T) -> Result<S::Ok, S::Error> {
    let mut entries = serializer.serialize_map(Some(1))?;
    entries.serialize_entry(name, inner)?;
    entries.end()
}

#[derive(Serialize, Deserialize)]
struct BlobForm {
    mime: Arc<str>,
    sha256: Arc<str>,
    len: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<String>,
}

impl From<&Blob> for BlobForm {
    fn from(blob: &Blob) -> Self {
        let url = match &blob.source {
            BlobSource::Url(url) => Some(url.clone()),
            _ => None,
        };
        Self { mime: blob.mime.clone(), sha256: blob.hash.clone(), len: blob.len, url, data: blob.to_base64() }
    }
}

impl BlobForm {
    fn into_value<E: de::Error>(self) -> Result<Value, E> {
        let source = match (self.url, self.data) {
            (Some(url), _) => BlobSource::Url(url),
            (None, Some(data)) => {
                Blob::from_base64(self.mime.clone(), &data)
                    .map_err(|error| E::custom(format!("$blob: {error}")))?
                    .source
            }
            (None, None) => BlobSource::Stored,
        };
        Ok(Value::Blob(Arc::new(Blob { mime: self.mime, hash: self.sha256, len: self.len, source })))
    }
}

#[derive(Serialize, Deserialize)]
struct HandleForm {
    worker: Arc<str>,
    id: u64,
    #[serde(rename = "type")]
    type_name: Arc<str>,
    preview: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    json: Option<Value>,
}

impl From<&Handle> for HandleForm {
    fn from(handle: &Handle) -> Self {
        Self {
            worker: handle.worker.clone(),
            id: handle.id,
            type_name: handle.type_name.clone(),
            preview: handle.preview.clone(),
            json: handle.json.clone(),
        }
    }
}

impl HandleForm {
    fn into_value(self) -> Value {
        let Self { worker, id, type_name, preview, json } = self;
        Value::Handle(Arc::new(Handle { worker, id, type_name, preview, json }))
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Value, E> {
        Ok(Value::Bool(yes))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::from(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let Some(first) = entries.next_key::<String>()? else { return Ok(Value::from(Map::new())) };
        match first.as_str() {
            "$int" => {
                let digits: String = entries.next_value()?;
                return BigInt::parse(&digits).ok_or_else(|| de::Error::custom("$int is not an integer"));
            }
            "$float" => {
                let text: String = entries.next_value()?;
                return text.parse().map(Value::Float).map_err(|_| de::Error::custom("$float is not a float"));
            }
            "$map" => return entries.next_value::<Map>().map(Value::from),
            "$blob" => return entries.next_value::<BlobForm>()?.into_value(),
            "$handle" => return Ok(entries.next_value::<HandleForm>()?.into_value()),
            _ => {}
        }
        let mut map = Map::new();
        map.insert(first, entries.next_value::<Value>()?);
        while let Some((key, value)) = entries.next_entry::<String, Value>()? {
            map.insert(key, value);
        }
        Ok(Value::from(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            Just(Value::from(f64::NAN)),
            Just(Value::from(f64::NEG_INFINITY)),
            ".*".prop_map(|text: String| Value::from(text)),
            any::<Vec<u8>>().prop_map(|bytes| Value::Blob(Arc::new(Blob::from_bytes("image/png", bytes)))),
            Just(Value::Blob(Arc::new(Blob::from_url("image/png", "http://a/b.png")))),
        ];
        let key = prop_oneof!["[a-z$]{0,3}", Just("$map".to_owned()), Just("$float".to_owned())];
        leaf.prop_recursive(4, 32, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((key.clone(), inner), 0..5)
                    .prop_map(|entries| Value::from(entries.into_iter().collect::<Map>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_comes_back(value in any_value()) {
            let text = serde_json::to_string(&value).expect("serializes");
            prop_assert_eq!(serde_json::from_str::<Value>(&text).expect("reads back"), value);
        }
    }
}
