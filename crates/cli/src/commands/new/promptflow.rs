//! `new --from-promptflow`: reads a project of the original, and says and drafts what it needs here.
//!
//! ```text
//! walk ──files──► survey ─┬─ flows (compiled, nothing run) ─┐
//!                         ├─ config, connections, run files ├─► drafts: config, evaluation, variables, workflows
//!                         ├─ scripts (syntax trees) ────────┤
//!                         └─ workflows ──translate──────────┴─► report
//! ```
//!
//! Nothing of the project is executed, imported or sent. A secret that stands in a file is not printed: its place is.

mod abilities;
mod config_draft;
mod config_file;
mod connections;
mod env_draft;
mod evaluation_draft;
mod flows;
mod report;
mod run_files;
mod scripts;
mod survey;
mod translate;
mod walk;
mod words;
mod workflows;
mod yaml_text;

use std::path::Path;

use super::draft::{Draft, Written};
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::terminal::harmless;
use report::Report;
use survey::Survey;

/// Reads the project in `root`, reports, and with `write` writes the drafts.
pub(crate) fn bring_over(session: &Session, root: &Path, write: bool) -> Result<Exit, CliError> {
    let root = root.canonicalize().map_err(|error| {
        CliError::misused(format!("folder `{}` cannot be read", root.display())).cause(error.to_string())
    })?;
    if !root.is_dir() {
        return Err(CliError::misused(format!("`{}` is no folder", root.display()))
            .hint("name the project's root: the folder that holds its flows"));
    }
    let survey = Survey::of(&root);
    if survey.is_empty() {
        return Err(CliError::misused(format!("`{}` holds nothing of prompt flow", root.display()))
            .hint("name the project's root: the folder that holds its flows")
            .hint("a new project is made by: sluicegate new DIR"));
    }
    let changes = workflows::changes(&survey);
    let mut drafts = Vec::new();
    drafts.extend(config_draft::draft(&survey));
    drafts.extend(evaluation_draft::drafts(&survey));
    drafts.extend(env_draft::draft(&survey, &drafts));
    drafts.extend(changes.iter().filter_map(|change| change.draft()));
    let printer = session.printer();
    let report = Report { survey: &survey, changes: &changes, drafts: &drafts, root: &root, write };
    printer.data(harmless(&report.to_text()).trim_end())?;
    if write {
        return write_all(session, &root, &drafts);
    }
    if !drafts.is_empty() {
        printer.say("nothing was written; --write writes the drafts, and overwrites no file");
    }
    Ok(Exit::Done)
}

fn write_all(session: &Session, root: &Path, drafts: &[Draft]) -> Result<Exit, CliError> {
    let printer = session.printer();
    let mut failed = None;
    for draft in drafts {
        match draft.write(root) {
            Ok(Written::At(path)) => printer.say(&format!("wrote {}", harmless(&path))),
            Ok(Written::Already(path)) => printer.say(&format!("{} is so already", harmless(&path))),
            Err(error) => {
                let problem = CliError::failed(format!("`{}` cannot be written", draft.path)).cause(error.to_string());
                printer.error(&problem);
                failed = Some(problem.exit());
            }
        }
    }
    Ok(failed.unwrap_or(Exit::Done))
}
