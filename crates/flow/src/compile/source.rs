//! The file or tool behind a node: `source:` (spec: promptflow.md §1.6).

use std::sync::Arc;

use sluicegate_source::{Problem, SourceFile, Span};

use super::operand::Scope;
use super::session::{Asked, Session};
use crate::file::{NodeFile, Written, missing_key, quoted};
use crate::files::FileError;
use crate::template::{Mode, Template};

impl Session<'_> {
    pub(super) fn template_of(
        &mut self,
        scope: &mut Scope,
        name: &Written,
        written: &NodeFile<'_>,
        mode: Mode,
    ) -> Option<Arc<Template>> {
        let source = self.source_file(scope, name, written, "code")?;
        self.template(&source, mode)
    }

    /// The file behind a node, if the source has the type that its kind wants.
    pub(super) fn source_file(
        &mut self,
        scope: &mut Scope,
        name: &Written,
        written: &NodeFile<'_>,
        wanted: &str,
    ) -> Option<Arc<SourceFile>> {
        if self.source_type(scope, name, written)? != wanted {
            return None;
        }
        let (path, at) = self.source_path(scope, name, written)?;
        let file = scope.file.clone();
        let source = self.required_source(&path, Asked { file: &file, at })?;
        scope.folder.note(&path, source.text());
        Some(source)
    }

    /// The type of a node's source, if it goes with the node's kind.
    pub(super) fn source_type(
        &mut self,
        scope: &Scope,
        name: &Written,
        written: &NodeFile<'_>,
    ) -> Option<&'static str> {
        let kind = written.kind.as_ref().map_or("", |kind| &*kind.text);
        let valid: &[&str] = match kind {
            "python" => &["code", "package"],
            "custom_llm" => &["package_with_prompt"],
            _ => &["code"],
        };
        let Some(source) = &written.source else {
            let owner = format!("`{kind}` node `{}`", name.text);
            let problem =
                missing_key(&scope.file, name.at, &owner, "source", "name its file: `source: {type: code, path: …}`");
            self.report(Problem { code: "flow::missing_source", ..problem });
            return None;
        };
        let given = source.kind.as_ref().map_or("code", |kind| &*kind.text);
        if let Some(found) = valid.iter().find(|valid| **valid == given) {
            return Some(match *found {
                "package" => "package",
                "package_with_prompt" => "package_with_prompt",
                _ => "code",
            });
        }
        if ["code", "package", "package_with_prompt"].contains(&given) {
            let at = source.kind.as_ref().map_or(source.at, |kind| kind.at);
            let message = format!("a `{kind}` node cannot have a source of type `{given}` (node `{}`)", name.text);
            let problem = scope.problem("flow::wrong_source", at, message);
            self.report(problem.help(format!("it takes: {}", quoted(valid.iter().copied()))));
        }
        None
    }

    /// Where a node's file is, and where the flow says so.
    pub(super) fn source_path(
        &mut self,
        scope: &Scope,
        name: &Written,
        written: &NodeFile<'_>,
    ) -> Option<(String, Span)> {
        let source = written.source.as_ref()?;
        let Some(path) = source.path.as_ref().filter(|path| !path.text.is_empty()) else {
            let owner = format!("the source of node `{}`", name.text);
            self.report(missing_key(&scope.file, source.at, &owner, "path", "name the file, from the flow's folder"));
            return None;
        };
        match scope.folder.locate(&path.text) {
            Some(located) => Some((located, path.at)),
            None => {
                let problem = self.file_problem(&FileError::Outside(path.text.to_string()), &path.text);
                self.report(problem.in_file(&scope.file).at(path.at, ""));
                None
            }
        }
    }

    pub(super) fn package_tool(&mut self, scope: &Scope, name: &Written, written: &NodeFile<'_>) -> Option<Arc<str>> {
        let source = written.source.as_ref()?;
        let Some(tool) = &source.tool else {
            let owner = format!("the source of node `{}`", name.text);
            self.report(missing_key(
                &scope.file,
                source.at,
                &owner,
                "tool",
                "name it: `tool: package.module.function`",
            ));
            return None;
        };
        Some(tool.text.clone())
    }
}
