//! Receipts on disk.

use std::path::{Path, PathBuf};

use sluicegate_gate::Receipt;

use crate::error::CliError;
use crate::session::Session;

/// Whether what was asked for is a receipt's file, or a folder that holds one and no flow.
pub(crate) fn is_receipt(session: &Session, asked: &str) -> bool {
    let path = session.directory().join(asked);
    path.is_file() && path.extension().is_some_and(|extension| extension == "json")
        || path.join("receipt.json").is_file() && !path.join("flow.dag.yaml").exists()
}

/// Reads a receipt: its file, or the folder in which `receipt.json` lies.
pub(crate) fn read_receipt(session: &Session, asked: &Path) -> Result<Receipt, CliError> {
    let path = session.directory().join(asked);
    let file: PathBuf = if path.is_dir() { path.join("receipt.json") } else { path };
    let text = std::fs::read_to_string(&file).map_err(|error| {
        CliError::misused(format!("receipt `{}` cannot be read", asked.display()))
            .cause(error.to_string())
            .hint("`sluicegate evaluate` writes it; give its file, or the folder in which `receipt.json` lies")
    })?;
    Receipt::from_json(&text).map_err(|error| {
        CliError::misused(format!("`{}` cannot be read as a receipt", asked.display())).cause(error.to_string())
    })
}
