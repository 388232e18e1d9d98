//! `python` and `custom_llm`: tools in Python, which this version cannot run.

use sluicegate_events::Failure;
use sluicegate_flow::plan::PythonNode;

use super::{AttemptFailure, Product};

pub(super) fn call(_: &PythonNode) -> Result<Product, AttemptFailure> {
    Err(AttemptFailure::lasting(
        Failure::new("python_missing", "Python nodes are not in this version")
            .hint("an `expression` or `prompt` node needs no Python"),
    ))
}
