//! Connections, as `PFClient.connections` and `get_connection` ask for them.

use std::sync::Arc;

use sluicegate_python::{Argument, ConnectionObject, HostError};
use sluicegate_value::{Map, Value};

use super::Answer;
use crate::python::fields::Fields;
use crate::python::side::PythonSide;
use crate::python::world::NoConnection;

/// What stands where a secret would.
const MASK: &str = "******";

pub(super) fn one(side: &PythonSide, fields: Fields<'_>) -> Answer {
    let name = fields.required_text("name")?;
    side.world().connection(&name).map(Argument::Connection).map_err(|missing| match missing {
        NoConnection::Unknown { .. } => {
            HostError::new("ConnectionNotFoundError", format!("Connection '{name}' not found."))
        }
        NoConnection::Broken { message } => {
            HostError::new("GetConnectionError", format!("Get connection '{name}' error: {message}"))
        }
    })
}

pub(super) fn all(side: &PythonSide) -> Argument {
    Value::from(side.world().connections().iter().map(masked).collect::<Vec<_>>()).into()
}

pub(super) fn save(side: &PythonSide, fields: Fields<'_>) -> Answer {
    let told = fields.map("connection");
    side.world().add_connection(&told, true).map_err(|why| HostError::new("UserErrorException", why))?;
    Ok(Value::Null.into())
}

fn masked(connection: &ConnectionObject) -> Value {
    let secrets: Map = connection.secrets.iter().map(|(name, _)| (name.clone(), Value::from(MASK))).collect();
    let mut told = Map::from([
        ("name", Value::from(connection.name.clone())),
        ("type", connection.type_name.clone().into()),
        ("configs", connection.configs.clone().into()),
        ("secrets", secrets.into()),
    ]);
    if let Some(class) = &connection.class {
        let entries: [(&str, &Arc<str>); 2] = [("class", &class.class), ("module", &class.module)];
        for (name, text) in entries {
            told.insert(name, text.clone());
        }
    }
    told.into()
}
