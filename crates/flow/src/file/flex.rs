//! A `flow.flex.yaml` as its author wrote it.

use std::sync::Arc;

use sluicegate_source::Problem;
use sluicegate_source::yaml::{Document, Entry, Node};

use super::{InputFile, OutputFile, Written, check, entries, keys, name, present, text, texts};

/// A flex flow's file, as written.
pub(crate) struct FlexFile<'y> {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) entry: Option<Written>,
    pub(crate) inputs: Vec<InputFile<'y>>,
    pub(crate) outputs: Vec<OutputFile<'y>>,
    pub(crate) init: Vec<InputFile<'y>>,
    pub(crate) sample: Option<&'y Node>,
    pub(crate) code: Option<Written>,
    pub(crate) language: Option<Written>,
    pub(crate) environment: Option<&'y Node>,
    pub(crate) environment_variables: &'y [Entry],
    pub(crate) includes: Vec<Written>,
}

impl<'y> FlexFile<'y> {
    /// Reads a tree; what does not fit becomes a problem.
    pub(crate) fn read(document: &'y Document, problems: &mut Vec<Problem>) -> Self {
        let root = &document.root;
        check::check_section(&document.file, root, &keys::FLEX, problems);
        Self {
            name: name(root, "name").map(|name| name.text),
            entry: text(root, "entry"),
            inputs: entries(root, "inputs").iter().map(InputFile::read).collect(),
            outputs: entries(root, "outputs").iter().map(OutputFile::read).collect(),
            init: entries(root, "init").iter().map(InputFile::read).collect(),
            sample: present(root, "sample"),
            code: text(root, "code").filter(|code| !code.text.trim().is_empty()),
            language: text(root, "language"),
            environment: present(root, "environment"),
            environment_variables: entries(root, "environment_variables"),
            includes: texts(root, "additional_includes"),
        }
    }
}
