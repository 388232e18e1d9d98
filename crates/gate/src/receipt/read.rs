//! Reading a receipt back.

use serde::Deserialize;

use super::{Receipt, SCHEMA, VERSION};

/// Why a text is no receipt that can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// It is no JSON.
    #[error("it is no JSON: {0}")]
    NoJson(#[source] serde_json::Error),
    /// It is JSON of another kind.
    #[error("it is no receipt: its `schema` is not `{SCHEMA}`")]
    OtherSchema,
    /// It was written by a newer program.
    #[error(
        "it is of version {}.{}, and this program reads up to {}.x; use a newer sluicegate",
        found[0], found[1], VERSION[0]
    )]
    TooNew {
        /// Its version.
        found: [u32; 2],
    },
    /// A part of it is missing or of another type.
    #[error("it is damaged: {0}")]
    Damaged(#[source] serde_json::Error),
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    schema: String,
    #[serde(default)]
    version: Option<[u32; 2]>,
}

pub(super) fn read(text: &str) -> Result<Receipt, ReceiptError> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(ReceiptError::NoJson)?;
    // The head first, so that a newer version is told as such, not as damage.
    let head = Head::deserialize(&value).map_err(|_| ReceiptError::OtherSchema)?;
    if head.schema != SCHEMA {
        return Err(ReceiptError::OtherSchema);
    }
    match head.version {
        Some(found) if found[0] > VERSION[0] => Err(ReceiptError::TooNew { found }),
        _ => Receipt::deserialize(value).map_err(ReceiptError::Damaged),
    }
}
