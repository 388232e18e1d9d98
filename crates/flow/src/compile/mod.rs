//! A flow folder becomes a [`Plan`]: every reference is followed, every template parsed, and everything that is wrong
//! is reported at once, in the order of the files.
//!
//! ```text
//! target ──► source ──yaml──► FlowFile (as written) ──► inputs, nodes, graph, outputs ──► Plan
//!              │                    └─ additional_includes ──► Folder: the flow's own view of the files
//!              └─ one Session reads each file once, parses each template once, compiles each inner flow once
//! ```

mod condition;
mod extent;
mod flex;
mod graph;
mod http;
mod includes;
mod inner;
mod kinds;
pub(crate) mod literal;
mod nodes;
mod operand;
mod prompty;
mod python;
mod sections;
mod session;
mod source;
mod target;

use std::sync::Arc;

use sluicegate_source::{Problem, Severity};

use crate::files::Files;
use crate::plan::Plan;
use session::Session;

/// Choices about a compilation.
#[derive(Clone, Debug, Default)]
pub struct CompileOptions {
    /// Which variant of which node is used in place of the default one.
    pub variant: Option<VariantChoice>,
}

/// A variant of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariantChoice {
    /// The node.
    pub node: Arc<str>,
    /// The variant's id.
    pub variant: Arc<str>,
}

/// What came of a compilation.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The plan; `None` if any problem is an error.
    pub plan: Option<Arc<Plan>>,
    /// Everything that is wrong or odd, in the order of the files.
    pub problems: Vec<Problem>,
}

impl VariantChoice {
    /// Reads `node.variant`, with or without `${…}` around it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let inside = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
        let (node, variant) = inside.split_once('.')?;
        (!node.is_empty() && !variant.is_empty()).then(|| Self { node: node.into(), variant: variant.into() })
    }
}

/// Compiles the flow at `target`: a folder, a YAML file or a `.prompty`, by its path below the root of `files`.
#[must_use]
pub fn compile(files: &dyn Files, target: &str, options: &CompileOptions) -> Compiled {
    let mut session = Session::new(files);
    let plan = session.target(target, options.variant.as_ref());
    let problems = session.into_problems();
    let failed = problems.iter().any(|problem| problem.severity == Severity::Error);
    Compiled { plan: plan.filter(|_| !failed), problems }
}
