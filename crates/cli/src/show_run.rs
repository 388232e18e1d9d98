//! What a person sees of a run while it runs and when it is over.

use sluicegate_events::{Event, EventKind, Failure, Listener, ListenerError, NodePath, RunStatus};

use crate::error::CliError;
use crate::prepared::{Done, Prepared};
use crate::report::duration;
use crate::session::Session;
use crate::terminal::{Printer, harmless, show_duration, show_nodes, show_tokens};

/// What is asked to be shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    /// One JSON object in place of outputs.
    pub(crate) json: bool,
    /// Replies as they come.
    pub(crate) stream: bool,
}

/// Shows pieces of replies as they come, each node's under its name.
pub(crate) struct ShowChunks {
    printer: Printer,
    speaker: Option<NodePath>,
}

impl ShowChunks {
    pub(crate) fn new(printer: Printer) -> Self {
        Self { printer, speaker: None }
    }
}

impl Listener for ShowChunks {
    fn name(&self) -> &'static str {
        "stream"
    }

    fn hear(&mut self, event: &Event) -> Result<(), ListenerError> {
        match &event.kind {
            EventKind::Chunk { text } => {
                if self.speaker.as_ref() != Some(&event.scope.path) {
                    let gap = if self.speaker.is_some() { "\n" } else { "" };
                    let title = self.printer.painter().dim(&format!("{}:", harmless(&event.scope.path.to_string())));
                    self.printer.say(&format!("{gap}{title}"));
                    self.speaker = Some(event.scope.path.clone());
                }
                self.printer.say_part(&harmless(text));
            }
            EventKind::RunFinished { .. } if self.speaker.is_some() => self.printer.say(""),
            _ => {}
        }
        Ok(())
    }
}

/// Says how a run ended: the nodes (to a person at a terminal, or when something failed), the failure with its causes
/// and what to do, warnings, and how to go on.
pub(crate) fn show_end(session: &Session, prepared: &Prepared, done: &Done, kept: bool) {
    let printer = session.printer();
    let report = &done.report;
    if printer.is_terminal() || report.status != RunStatus::Completed {
        let nodes = show_nodes(&done.summary, printer.painter());
        if !nodes.is_empty() {
            printer.say(&headline(prepared, done, printer));
            printer.say(&nodes);
        }
    }
    for warning in &report.warnings {
        printer.warn(warning);
    }
    if let Some(failure) = &report.aggregation_failure {
        printer.warn(&format!("an aggregation node failed: {}", failure.message));
    }
    if let Some(error) = &report.journal_error {
        let error = CliError::failed(error.to_string())
            .hint("free some space or choose another folder by `store: { path: … }`; `--no-store` keeps nothing");
        printer.error(&error);
        return;
    }
    if let Some(failure) = report.failure.as_ref().filter(|_| report.status == RunStatus::Failed) {
        printer.error(&told(prepared, failure, report.failed_node.as_ref()));
    }
    if !report.waiting.is_empty() {
        let names: Vec<String> = report.waiting.iter().map(|path| format!("`{path}`")).collect();
        printer.say(&format!("waiting: {}", names.join(", ")));
    }
    if kept && report.status != RunStatus::Completed {
        let command = session.resume_command(prepared.flow.environment.project(), &report.run);
        printer.say(&format!("go on with: {command}"));
    }
}

fn headline(prepared: &Prepared, done: &Done, printer: &Printer) -> String {
    let mut parts = vec![prepared.flow.name.clone()];
    parts.extend(prepared.flow.environment.environment_name().map(ToOwned::to_owned));
    parts.extend(duration(&done.summary).map(show_duration));
    parts.extend(show_tokens(&done.summary.usage()));
    parts.extend(done.summary.cost().map(|cost| format!("${cost:.4}")));
    printer.painter().dim(&harmless(&parts.join("  ")))
}

fn told(prepared: &Prepared, failure: &Failure, node: Option<&NodePath>) -> CliError {
    let mut error = match node {
        Some(node) => CliError::failed(format!("node `{node}` failed")).cause(&failure.message),
        None => CliError::failed(&failure.message),
    };
    for cause in &failure.causes {
        error = error.cause(cause);
    }
    if let Some(hint) = &failure.hint {
        error = error.hint(hint);
    }
    let connection = node.and_then(|node| prepared.connection_of(node));
    if let (Some(connection), "key_refused" | "unreachable" | "unknown_model") = (connection, failure.code.as_str()) {
        let key = match failure.code.as_str() {
            "key_refused" => "api_key",
            _ => "",
        };
        let prefix = format!("connections.{connection}.");
        for entry in prepared.flow.environment.entries() {
            let Some(name) = entry.key.strip_prefix(&prefix) else { continue };
            let is_address = matches!(name, "api_base" | "base_url") && failure.code != "key_refused";
            if name == key || is_address {
                error = error.hint(format!("`{}` is {}, set by {}", entry.key, entry.shown, entry.origin));
            }
        }
    }
    error
}
