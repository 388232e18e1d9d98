//! What GitHub's runner takes from a step: commands in its log, and files that it names.

use std::path::{Path, PathBuf};

use sluicegate_gate::Receipt;
use sluicegate_gate::projection::{annotations, comment, output, summary};

use super::files;
use crate::session::Session;
use crate::terminal::Printer;

/// Set to `true` by GitHub's runner, and nowhere else.
const GITHUB_ACTIONS: &str = "GITHUB_ACTIONS";
/// The file that becomes the step's summary.
const GITHUB_STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";
/// The file that becomes the step's outputs.
const GITHUB_OUTPUT: &str = "GITHUB_OUTPUT";

/// A summary of more bytes is thrown away whole, without failing the job.
pub(super) const MOST_SUMMARY: u64 = 1 << 20;

/// While it lives, the runner obeys no command in the log. Whatever may hold the words of models, data or tools is
/// written under it.
///
/// The runner reads stdout and stderr each for itself: what is written to one does not wait for the other. Therefore
/// the stop, what it is about, its end, and the commands that are meant all go to stderr.
pub(crate) struct Hush {
    printer: Printer,
    token: String,
}

impl Hush {
    /// From now on no command in the log is obeyed; `None` where no runner listens.
    pub(crate) fn begin(session: &Session) -> Option<Self> {
        if !is_runner(session) {
            return None;
        }
        let (printer, token) = (session.printer().clone(), random_word());
        printer.say(&format!("::stop-commands::{token}"));
        Some(Self { printer, token })
    }
}

impl Drop for Hush {
    fn drop(&mut self) {
        self.printer.say(&format!("::{}::", self.token));
    }
}

/// Whether GitHub's runner reads the log.
pub(super) fn is_runner(session: &Session) -> bool {
    session.variable(GITHUB_ACTIONS) == Some("true")
}

/// The file for the step's summary, if a runner names one.
pub(super) fn summary_file(session: &Session) -> Option<PathBuf> {
    session.variable(GITHUB_STEP_SUMMARY).map(PathBuf::from)
}

/// Adds to the step's summary what fits there beside what others wrote.
pub(super) fn add_to_summary(file: &Path, receipt: &Receipt) -> Result<(), String> {
    let room = MOST_SUMMARY.saturating_sub(files::size(file));
    // The comment is the same report in a shorter form.
    let forms: [fn(&Receipt) -> String; 2] = [summary::render, comment::render];
    let fitting = forms.iter().map(|form| form(receipt) + "\n").find(|text| text.len() as u64 <= room);
    let text = fitting.ok_or_else(|| "the step's summary is full: nothing was added to it".to_owned())?;
    files::append(file, &text).map_err(|error| format!("the step's summary cannot be written: {error}"))
}

/// Adds to the step's outputs, if a runner asks for them.
pub(super) fn add_outputs(session: &Session, receipt: &Receipt) -> Result<(), String> {
    let Some(file) = session.variable(GITHUB_OUTPUT) else { return Ok(()) };
    let text = output::render(receipt, &format!("sluicegate_{}", random_word()));
    files::append(Path::new(file), &text).map_err(|error| format!("the step's outputs cannot be written: {error}"))
}

/// Marks lines in the pull request, if a runner reads the log.
pub(super) fn annotate(session: &Session, receipt: &Receipt, most: usize) {
    if is_runner(session) {
        let commands = annotations::render(receipt, most);
        commands.lines().for_each(|command| session.printer().say(command));
    }
}

/// A word that no text can hold by intention.
fn random_word() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
