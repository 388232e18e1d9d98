//! What can be told of Python files by their text, without running anything: whether they are there, and whether the
//! names that a flow wants occur in them. The rest is Python's to say: see [`crate::signature`].

use sluicegate_source::{Problem, SourceFile};

use super::includes::Folder;
use super::operand::Scope;
use super::session::Session;
use crate::file::{NodeFile, Written};
use crate::files::FileKind;
use crate::plan::{NodeKind, PythonNode};
use crate::template::Mode;

/// Where a module lies.
pub(super) enum Module {
    /// In this file.
    File(String),
    /// Its package is a folder of the flow, which lacks it: the files that could have been it.
    Missing([String; 2]),
    /// Nowhere in the flow's folder; it may be installed.
    Elsewhere,
}

impl Session<'_> {
    /// A node that calls a file's tool, or a package's.
    pub(super) fn python(&mut self, scope: &mut Scope, name: &Written, written: &NodeFile<'_>) -> Option<NodeKind> {
        if self.source_type(scope, name, written)? == "package" {
            let tool = self.package_tool(scope, name, written)?;
            return Some(NodeKind::Python(PythonNode { tool: Some(tool), ..PythonNode::default() }));
        }
        let file = self.source_file(scope, name, written, "code")?;
        if let Some(problem) = odd_tool_file(&file) {
            let at = written
                .source
                .as_ref()
                .map_or(name.at, |source| source.path.as_ref().map_or(source.at, |path| path.at));
            self.report(problem.in_file(&scope.file).at(at, ""));
        }
        Some(NodeKind::Python(PythonNode { file: Some(file), ..PythonNode::default() }))
    }

    /// A node that calls a package's tool with a template.
    pub(super) fn custom_llm(&mut self, scope: &mut Scope, name: &Written, written: &NodeFile<'_>) -> Option<NodeKind> {
        self.source_type(scope, name, written)?;
        let file = self.source_file(scope, name, written, "package_with_prompt");
        let tool = self.package_tool(scope, name, written);
        let template = self.template(&file?, Mode::PromptyV1);
        let connection = written.connection.as_ref().map(|connection| (&*connection.text).into());
        Some(NodeKind::Python(PythonNode {
            tool: Some(tool?),
            template: Some(template?),
            connection,
            ..PythonNode::default()
        }))
    }

    /// Where `package.module` is, seen from the flow's folder.
    pub(super) fn module(&self, folder: &Folder, name: &str) -> Module {
        let kind = |path: &str| folder.locate(path).map_or(FileKind::Missing, |path| self.files.kind(&path));
        let path = name.replace('.', "/");
        let candidates = [format!("{path}.py"), format!("{path}/__init__.py")];
        if let Some(found) = candidates.iter().find(|path| kind(path) == FileKind::File) {
            return Module::File(folder.locate(found).unwrap_or_default());
        }
        let head = path.split('/').next().unwrap_or(&path);
        let has_head = kind(head) == FileKind::Folder || kind(&format!("{head}.py")) == FileKind::File;
        if has_head { Module::Missing(candidates) } else { Module::Elsewhere }
    }

    /// The `requirements.txt` of a flow, or what its file names in its place.
    pub(super) fn requirements(&self, folder: &Folder, named: Option<&str>) -> Result<Option<String>, Problem> {
        let is_file = |path: &String| self.files.kind(path) == FileKind::File;
        match named {
            None => Ok(folder.locate("requirements.txt").filter(is_file)),
            Some(named) => match folder.locate(named) {
                Some(path) if is_file(&path) => Ok(Some(path)),
                // An image is built elsewhere: what runs here is not stopped.
                _ => Err(Problem::warning("flow::no_requirements", format!("`{named}` is not there"))
                    .help("name the list of Python packages that the flow needs, or leave it out")),
            },
        }
    }
}

/// What is odd about the file of a `python` node: no tool in it, or more than one.
pub(super) fn odd_tool_file(file: &SourceFile) -> Option<Problem> {
    let text = file.text();
    match marked(text) {
        0 if !has_word(text, "tool") => {
            let problem = Problem::warning("flow::no_tool", format!("`{}` has no function with `@tool`", file.name()));
            Some(
                problem.help(
                    "mark the one that the node calls: `from promptflow.core import tool`, then `@tool` above it",
                ),
            )
        }
        0 | 1 => None,
        several => {
            let message = format!("`{}` has {several} functions with `@tool`; a node calls one", file.name());
            Some(Problem::warning("flow::several_tools", message).help("put the others into files of their own"))
        }
    }
}

/// Whether a module's text can define or bring a name.
pub(super) fn may_define(text: &str, name: &str) -> bool {
    has_word(text, name) || text.contains("import *") || has_word(text, "__getattr__")
}

/// Functions right below a `@tool` or `@module.tool`, with or without arguments in one line.
fn marked(text: &str) -> usize {
    let mut count = 0;
    let mut open = false;
    for line in text.lines().map(str::trim_start) {
        if let Some(decorator) = line.strip_prefix('@') {
            let name = decorator.split(['(', ' ', '#']).next().unwrap_or(decorator).trim_end();
            open |= name == "tool" || name.ends_with(".tool");
        } else if line.starts_with("def ") || line.starts_with("async def ") {
            count += usize::from(open);
            open = false;
        } else if line.starts_with("class ") {
            open = false;
        }
    }
    count
}

pub(super) fn has_word(text: &str, word: &str) -> bool {
    let is_word = |letter: char| letter == '_' || letter.is_alphanumeric();
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// The folder that Python files of a flow are loaded from, for messages.
pub(super) fn shown(folder: &str) -> &str {
    if folder.is_empty() { "." } else { folder }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let found = odd_tool_file(&SourceFile::new("a.py", text)).map(|problem| problem.code);
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_tool_is_a_function_below_its_mark() {
        check("from promptflow.core import tool\n\n@tool\ndef f(x):\n    return x\n", None);
        check("import promptflow\n@promptflow.tool(name='x')\n@other\nasync def f(): ...\n", None);
        check("class P(ToolProvider):\n    @tool\n    def f(self): ...\n", None);
        check("@tool(\n    name='x',\n)\ndef f(): ...\n", None);
        check("@tool\ndef f(): ...\n@tool\ndef g(): ...\n", Some("flow::several_tools"));
        check("def toolbox(): ...\n", Some("flow::no_tool"));
        check("from promptflow import tool as mark\n@mark\ndef f(): ...\n", None);
    }
}
