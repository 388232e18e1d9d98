//! The simulated provider: the script engine, with a clock.

use std::path::Path;
use std::sync::Arc;

use sluicegate_model::script::{Occasion, Outcome, Script, ScriptProblem, Step};
use sluicegate_model::{About, ChatReply, ChatRequest, ConnectionName, ModelError};
use sluicegate_source::{Problem, SourceFile, yaml};
use tokio::time::sleep;

use crate::transport::{Attempt, Transport};

/// A scripted model.
pub(crate) struct Simulated {
    connection: ConnectionName,
    script: Script,
}

/// Reads a script (YAML); `check` uses this too.
///
/// # Errors
/// Every problem of the file, each with its place.
pub fn read_script(file: &Arc<SourceFile>) -> Result<Script, Vec<Problem>> {
    let document = yaml::read(file)?;
    Script::parse(&document.root.to_value())
        .map_err(|problems| problems.into_iter().map(|problem| placed(problem, file, &document.root)).collect())
}

/// Finds the place of a script's problem: as deep as its path leads.
fn placed(problem: ScriptProblem, file: &Arc<SourceFile>, root: &yaml::Node) -> Problem {
    let message = problem.to_string();
    let mut node = root;
    let mut span = root.span;
    for step in &problem.path {
        match step {
            Step::Key(key) => match node.entry(key) {
                Some(entry) => {
                    node = &entry.value;
                    // A key that is not known is marked itself, since its value may be anything.
                    span = if problem.help.is_some() { entry.key_span } else { node.span };
                }
                None => break,
            },
            Step::Index(index) => match node.as_list().and_then(|items| items.get(*index)) {
                Some(item) => {
                    node = item;
                    span = item.span;
                }
                None => break,
            },
        }
    }
    let placed = Problem::error("simulated::script", message).in_file(file).at(span, "");
    match problem.help {
        Some(help) => placed.help(help),
        None => placed,
    }
}

impl Simulated {
    /// Reads the script of a connection.
    pub(crate) fn load(connection: ConnectionName, path: &Path) -> Result<Self, ModelError> {
        let misconfigured = |message: String| ModelError::Misconfigured { connection: connection.to_string(), message };
        let text = std::fs::read_to_string(path)
            .map_err(|error| misconfigured(format!("cannot read its script {}: {error}", path.display())))?;
        let file = SourceFile::new(path.display().to_string(), text);
        let script = read_script(&file).map_err(|problems| {
            let first = problems.first().map_or_else(|| "cannot be read".to_owned(), ToString::to_string);
            let more = match problems.len() {
                0 | 1 => String::new(),
                count => format!(" (and {} more)", count - 1),
            };
            misconfigured(format!("its script has problems: {first}{more}"))
        })?;
        Ok(Self { connection, script })
    }

    pub(crate) fn about(&self) -> About {
        About { connection: self.connection.clone(), provider: "simulated".into(), host: "".into(), port: 0 }
    }
}

impl Transport for Simulated {
    async fn send(&self, request: &ChatRequest, attempt: &Attempt<'_>) -> Result<ChatReply, ModelError> {
        let context = attempt.context;
        let occasion =
            Occasion { attempt: attempt.number, line: context.line, repeat: context.repeat, index: context.index };
        let turn = self.script.answer(&self.connection.0, request, occasion);
        if !turn.delay.is_zero() {
            sleep(turn.delay).await;
        }
        let reply = match turn.outcome {
            Outcome::Reply(reply) => *reply,
            Outcome::Failure(error) => return Err(error),
            Outcome::Hang => std::future::pending().await,
        };
        if let (true, Some(text)) = (request.stream, &reply.text) {
            for (index, piece) in text.split_inclusive(char::is_whitespace).enumerate() {
                if index > 0 && !turn.chunk_delay.is_zero() {
                    sleep(turn.chunk_delay).await;
                }
                attempt.pass_on(piece);
            }
        }
        Ok(reply)
    }
}
