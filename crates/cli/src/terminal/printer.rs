//! The only place that writes to stdout and stderr.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sluicegate_config::Redactor;

use super::{harmless, show_problems};
use crate::error::CliError;

/// Writes to stdout and stderr.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    colour: bool,
    terminal: bool,
    /// Takes secrets out of what is said, once it is known which there are.
    redactor: Arc<Mutex<Option<Arc<Redactor>>>>,
    /// Whether what was written to stderr last has no line end yet.
    in_a_line: Arc<AtomicBool>,
    /// A line that stays below all that is said, until it is taken away.
    status: Arc<Mutex<Option<String>>>,
}

/// Colours, or none: no information is lost without them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Painter(bool);

impl Printer {
    /// A printer for this process: colours when stderr is a terminal and nobody objects (`NO_COLOR`, `TERM=dumb`).
    pub(crate) fn new(no_colour: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        Self {
            colour: terminal && !no_colour,
            terminal,
            redactor: Arc::default(),
            in_a_line: Arc::default(),
            status: Arc::default(),
        }
    }

    /// From now on nothing that is said holds a secret which `redactor` knows.
    pub(crate) fn hide(&self, redactor: Arc<Redactor>) {
        *self.redactor.lock().unwrap_or_else(PoisonError::into_inner) = Some(redactor);
    }

    fn redacted<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let redactor = self.redactor.lock().unwrap_or_else(PoisonError::into_inner).clone();
        redactor.and_then(|redactor| redactor.redact(text)).map_or(Cow::Borrowed(text), Cow::Owned)
    }

    /// Whether a person looks at stderr.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Colours for stderr.
    pub(crate) fn painter(&self) -> Painter {
        Painter(self.colour)
    }

    /// No colours, for what goes to stdout.
    pub(crate) fn plain_painter(&self) -> Painter {
        Painter(false)
    }

    /// Writes data to stdout, a line break after it.
    ///
    /// # Errors
    /// stdout cannot be written; a closed pipe is no error, the reader has what it wanted.
    pub(crate) fn data(&self, text: &str) -> Result<(), CliError> {
        self.write_data(&format!("{text}\n"))
    }

    /// Writes data to stdout as it is, and flushes.
    ///
    /// # Errors
    /// As [`Printer::data`].
    pub(crate) fn write_data(&self, text: &str) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(CliError::failed("stdout cannot be written").cause(error.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Says something to a person, on a line of its own. A stderr that cannot be written is nobody's failure.
    pub(crate) fn say(&self, text: &str) {
        let mut err = io::stderr().lock();
        let gap = if self.in_a_line.swap(false, Ordering::Relaxed) { "\n" } else { "" };
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        match &*status {
            Some(status) => {
                let _ = write!(err, "\r\x1b[K{}\n{status}", self.redacted(text)).and_then(|()| err.flush());
            }
            None => {
                let _ = writeln!(err, "{gap}{}", self.redacted(text));
            }
        }
    }

    /// Shows a line that stays below all that is said, or takes it away. Only for terminals; it is cut to their width.
    pub(crate) fn status(&self, text: Option<&str>) {
        let mut err = io::stderr().lock();
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if status.is_none() && text.is_none() {
            return;
        }
        // Long lines would wrap, and only the last part be drawn over: terminals cut what is written while this is off.
        let text = text.map(|text| format!("\x1b[?7l{}\x1b[?7h", self.redacted(text)));
        let _ = write!(err, "\r\x1b[K{}", text.as_deref().unwrap_or_default()).and_then(|()| err.flush());
        *status = text;
    }

    /// Ends the line in which something was written, if there is one.
    pub(crate) fn end_line(&self) {
        if self.in_a_line.swap(false, Ordering::Relaxed) {
            let _ = writeln!(io::stderr().lock());
        }
    }

    /// Writes to stderr as it is, and flushes.
    pub(crate) fn say_part(&self, text: &str) {
        let mut err = io::stderr().lock();
        let _ = err.write_all(self.redacted(text).as_bytes()).and_then(|()| err.flush());
        if !text.is_empty() {
            self.in_a_line.store(!text.ends_with('\n'), Ordering::Relaxed);
        }
    }

    /// Warns a person.
    pub(crate) fn warn(&self, text: &str) {
        self.say(&format!("{} {}", self.painter().yellow("warning:"), harmless(text)));
    }

    /// Says why the command ends.
    pub(crate) fn error(&self, error: &CliError) {
        match error {
            CliError::Problems(problems) => self.say(&show_problems(problems, self.colour)),
            CliError::Other(complaint) => {
                let paint = self.painter();
                self.say(&format!("{} {}", paint.red("error:"), harmless(&complaint.message)));
                for cause in &complaint.causes {
                    self.say(&format!("  cause: {}", harmless(cause)));
                }
                for hint in &complaint.hints {
                    self.say(&format!("  {} {}", paint.cyan("hint:"), harmless(hint)));
                }
            }
        }
    }

    /// Whether colours are on.
    pub(crate) fn colour(&self) -> bool {
        self.colour
    }
}

impl Painter {
    fn paint(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    pub(crate) fn cyan(self, text: &str) -> String {
        self.paint("36", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }
}
