//! What a person sees of a run while it runs and when it is over.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sluicegate_events::{CallEnd, Event, EventKind, Failure, Listener, ListenerError, NodePath, RunStatus, RunSummary};

use sluicegate_executor::RunReport;
use sluicegate_model::{Adaptation, FilterState, Shortfall};
use sluicegate_value::Value;

use crate::error::CliError;
use crate::prepared::Prepared;
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
                    let title = self.printer.painter().dim(&format!("{}:", harmless(&event.scope.path.to_string())));
                    self.printer.say(&title);
                    self.speaker = Some(event.scope.path.clone());
                }
                self.printer.say_part(&harmless(text));
            }
            EventKind::RunFinished { .. } => self.printer.end_line(),
            _ => {}
        }
        Ok(())
    }
}

/// Says at once what a person would otherwise wait for without a word: that a call is tried again, and that a reply came
/// but is not whole.
pub(crate) struct ShowTrouble {
    printer: Printer,
}

impl ShowTrouble {
    pub(crate) fn new(printer: Printer) -> Self {
        Self { printer }
    }
}

impl Listener for ShowTrouble {
    fn name(&self) -> &'static str {
        "trouble"
    }

    fn hear(&mut self, event: &Event) -> Result<(), ListenerError> {
        let node = &event.scope.path;
        match &event.kind {
            EventKind::ModelAttemptFailed { failure, retry_in_ms: Some(pause), .. }
            | EventKind::NodeAttemptFailed { failure, retry_in_ms: pause } => {
                let pause = show_duration(std::time::Duration::from_millis(*pause));
                let text = format!("node `{node}`: {}; trying again in {pause}", failure.message);
                self.printer.say(&self.printer.painter().dim(&harmless(&text)));
            }
            EventKind::RunStarted { .. } if event.redacted => {
                self.printer.warn("the inputs hold a secret; it is not kept, so this run cannot be resumed")
            }
            EventKind::RunFinished { outputs: Some(_), .. } if event.redacted => {
                self.printer.warn("the outputs hold a secret; it is shown as [secret]")
            }
            EventKind::ModelCallAdapted { model, parameter, adaptation, .. } => {
                let (what, done) = match adaptation {
                    Adaptation::Renamed(to) => (format!("`{parameter}`"), format!("it is sent as `{to}` now")),
                    Adaptation::Dropped => (format!("`{parameter}`"), "it is left out now".to_owned()),
                    Adaptation::ValueDropped(value) => {
                        (format!("`{parameter}: {value}`"), "it is left out where it has this value".to_owned())
                    }
                };
                self.printer.warn(&harmless(&format!("`{model}` does not take {what}; {done}")));
            }
            EventKind::ModelCallFinished { end: CallEnd::Replied { reply }, .. } => {
                if let Some(text) = reply.shortfall().and_then(|shortfall| lacks(&shortfall)) {
                    self.printer.warn(&harmless(&format!("node `{node}`: {text}")));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// What a person is told of a reply that is not whole. A stopped request is no such thing: there is no reply, and the
/// node itself says so.
fn lacks(shortfall: &Shortfall) -> Option<String> {
    Some(match shortfall {
        Shortfall::Filtered(filter) if filter.state == FilterState::Input => return None,
        Shortfall::Filtered(filter) => filter.to_string(),
        Shortfall::Refused(words) => format!("the model refused to answer: {words}"),
        Shortfall::OnlyReasoning { tokens } => {
            let tokens = tokens.map_or_else(String::new, |tokens| format!(" ({tokens})"));
            format!(
                "all tokens of the reply went into reasoning{tokens}, and nothing was said; raise \
                 `max_completion_tokens`, or lower `reasoning_effort`"
            )
        }
        Shortfall::CutOff => "the reply was cut off at its most tokens; raise `max_tokens` for more".to_owned(),
    })
}

/// Failures that the same files and settings would meet again, so that a resume helps only after a change.
const NEEDS_A_CHANGE: [&str; 13] = [
    "template",
    "expression",
    "reference",
    "input",
    "messages",
    "request",
    "unsupported",
    "misconfigured",
    "unscripted",
    "resume",
    "filtered",
    "refused",
    "forbidden",
];

/// Says how a run ended: the nodes (to a person at a terminal, or when something failed), the failure with its causes
/// and what to do, warnings, and how to go on.
pub(crate) fn show_end(session: &Session, prepared: &Prepared, report: &RunReport, kept: bool) {
    let printer = session.printer();
    if printer.is_terminal() || report.status != RunStatus::Completed {
        let nodes = show_nodes(&report.summary, printer.painter());
        if !nodes.is_empty() {
            printer.say(&headline(prepared, report, printer));
            printer.say(&nodes);
        }
    }
    for line in adaptations(&report.summary) {
        printer.say(&harmless(&line));
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
    let is_hopeless = report.failure.as_ref().is_some_and(|failure| NEEDS_A_CHANGE.contains(&failure.code.as_str()));
    if kept && report.status != RunStatus::Completed && !is_hopeless && !report.summary.inputs_redacted {
        let command = session.resume_command(prepared.flow.environment.project(), &report.run);
        printer.say(&format!("go on with: {command}"));
    }
}

/// What to write into the config, so that what a run has learned of its deployments is known from the first call on.
fn adaptations(summary: &RunSummary) -> Vec<String> {
    let mut learned: BTreeMap<&str, BTreeMap<&str, Learned<'_>>> = BTreeMap::new();
    // A prompty that describes its connection itself has no entry in the config.
    let all = summary.nodes.values().flat_map(|node| &node.adapted);
    for adapted in all.filter(|adapted| !adapted.connection.contains(':')) {
        // Of a mere value nothing is to be written there.
        if matches!(adapted.adaptation, Adaptation::ValueDropped(_)) {
            continue;
        }
        let of_model = learned.entry(&adapted.connection).or_default().entry(&adapted.model).or_default();
        match &adapted.adaptation {
            Adaptation::Renamed(to) => {
                of_model.renamed.insert(&adapted.parameter, to);
            }
            Adaptation::Dropped | Adaptation::ValueDropped(_) => {
                of_model.dropped.insert(&adapted.parameter);
            }
        }
    }
    let mut lines = Vec::new();
    for (connection, deployments) in learned {
        let of_all: Vec<String> =
            deployments.iter().map(|(name, learned)| format!("{}: {learned}", in_yaml(name))).collect();
        lines.push(format!("what this run has learned, for config/config.yaml under `connections: {connection}:`"));
        lines.push(format!("  deployments: {{ {} }}", of_all.join(", ")));
    }
    lines
}

/// What a run has learned of a deployment.
#[derive(Default)]
struct Learned<'a> {
    renamed: BTreeMap<&'a str, &'a str>,
    dropped: BTreeSet<&'a str>,
}

impl fmt::Display for Learned<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.renamed.is_empty() {
            let pairs = self.renamed.iter().map(|(from, to)| format!("{}: {}", in_yaml(from), in_yaml(to)));
            parts.push(format!("rename: {{ {} }}", pairs.collect::<Vec<_>>().join(", ")));
        }
        if !self.dropped.is_empty() {
            let names: Vec<String> = self.dropped.iter().map(|name| in_yaml(name)).collect();
            parts.push(format!("drop: [{}]", names.join(", ")));
        }
        write!(out, "{{ {} }}", parts.join(", "))
    }
}

/// A text as YAML reads it back: as it is, or in quotes.
fn in_yaml(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { Value::from(text).to_json() }
}

fn headline(prepared: &Prepared, report: &RunReport, printer: &Printer) -> String {
    let mut parts = vec![prepared.flow.name.clone()];
    parts.extend(prepared.flow.environment.environment_name().map(ToOwned::to_owned));
    parts.push(show_duration(report.summary.duration()));
    parts.extend(show_tokens(&report.summary.usage()));
    parts.extend(report.summary.cost().filter(|cost| *cost > 0.0).map(|cost| format!("${cost:.4}")));
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
    let mut told_origin = false;
    let connection = node.and_then(|node| prepared.connection_of(node));
    // The key is known and not let in (403): where it comes from is not what is wrong.
    let is_about_rights = failure.hint.as_deref().is_some_and(|hint| hint.contains("roles"));
    if let (false, Some(connection), "key_refused" | "unreachable" | "unknown_model") =
        (is_about_rights, connection, failure.code.as_str())
    {
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
                told_origin = true;
            }
        }
    }
    match &failure.hint {
        Some(hint) if !told_origin => error.hint(hint),
        _ => error,
    }
}
