//! One receipt to all its readers, and the exit code.

use std::path::{Path, PathBuf};

use sluicegate_gate::Receipt;
use sluicegate_gate::projection::{annotations, comment, html, junit, markdown, sarif, summary, terminal};

use super::files::{placed, write_whole};
use super::github::{self, Hush};
use super::outcome::exit_of;
use super::{Reports, painted};
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::terminal::harmless;

/// Shows a receipt, writes it and its reports, tells the runner, and says how the command ends.
///
/// `folder` is where `receipt.json` and `junit.xml` go unless a flag says otherwise. No [`Hush`] may be alive: the runner
/// would not hear the annotations.
///
/// # Errors
/// A file cannot be written, and the command would have ended with 0. Where it would not, the exit code is the verdict's,
/// and the file is told.
pub(crate) fn publish(
    session: &Session,
    receipt: &Receipt,
    reports: &Reports,
    folder: &Path,
) -> Result<Exit, CliError> {
    let printer = session.printer();
    let hush = Hush::begin(session);
    printer.say(&painted(&terminal::render(receipt), printer.painter()));
    let unwritten = write_all(session, receipt, reports, folder);
    drop(hush);
    tell_runner(session, receipt, reports);
    let exit = exit_of(&receipt.decision, reports.exit_zero, &reports.exit_map);
    let Some((first, others)) = split_first(unwritten) else { return Ok(exit) };
    others.iter().for_each(|error| printer.error(error));
    if exit == Exit::Done {
        return Err(first);
    }
    printer.error(&first);
    Ok(exit)
}

/// Writes every file that is wanted; what could not be written comes back.
fn write_all(session: &Session, receipt: &Receipt, reports: &Reports, folder: &Path) -> Vec<CliError> {
    let place = |file: &Path| placed(session.directory(), file);
    let usual = |flag: &Option<PathBuf>, name: &str| flag.as_deref().map_or_else(|| folder.join(name), place);
    let mut texts: Vec<(&str, PathBuf, String)> = vec![
        ("receipt", usual(&reports.receipt, "receipt.json"), receipt.to_json()),
        ("junit", usual(&reports.junit, "junit.xml"), junit::render(receipt)),
    ];
    let mut asked = |name, file: &Option<PathBuf>, render: fn(&Receipt) -> String| {
        if let Some(file) = file {
            texts.push((name, place(file), render(receipt)));
        }
    };
    asked("sarif", &reports.sarif, sarif::render);
    asked("html", &reports.html, html::render);
    asked("markdown", &reports.markdown, markdown::render);
    asked("comment", &reports.comment, comment::render);
    // The runner's own file is added to, below; any other is the report's alone.
    let own = reports.summary.as_deref().map(place).filter(|file| Some(file) != github::summary_file(session).as_ref());
    if let Some(file) = own {
        texts.push(("summary", file, summary::render(receipt)));
    }
    let (printer, paint) = (session.printer(), session.printer().painter());
    let mut unwritten = Vec::new();
    for (name, file, text) in texts {
        match write_whole(&file, &text) {
            Ok(()) => {
                let shown = file.strip_prefix(session.directory()).unwrap_or(&file).display().to_string();
                printer.say(&paint.dim(&format!("  {name}: {}", harmless(&shown))));
            }
            Err(error) => unwritten.push(error),
        }
    }
    unwritten
}

/// What a runner takes is no reason to fail: a pull request from a fork may not be written to, and is judged all the same.
fn tell_runner(session: &Session, receipt: &Receipt, reports: &Reports) {
    let mut doubts = Vec::new();
    if let Some(file) =
        github::summary_file(session).filter(|file| !reports.no_summary && is_for(session, reports, file))
    {
        doubts.extend(github::add_to_summary(&file, receipt).err());
    }
    doubts.extend(github::add_outputs(session, receipt).err());
    github::annotate(session, receipt, reports.annotations.unwrap_or(annotations::MOST));
    doubts.iter().for_each(|doubt| session.printer().warn(doubt));
}

/// Whether the summary goes to the runner's file: no flag names another.
fn is_for(session: &Session, reports: &Reports, file: &Path) -> bool {
    reports.summary.as_deref().is_none_or(|asked| placed(session.directory(), asked) == file)
}

fn split_first(mut errors: Vec<CliError>) -> Option<(CliError, Vec<CliError>)> {
    if errors.is_empty() {
        return None;
    }
    let first = errors.remove(0);
    Some((first, errors))
}
