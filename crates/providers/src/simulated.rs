//! The simulated provider: the script engine, with a clock.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use sluicegate_model::script::{self, Failure, Occasion, Outcome, Script, ScriptProblem, Step, Turn};
use sluicegate_model::{About, ConnectionName, ModelError};
use sluicegate_source::{Problem, SourceFile, yaml};
use sluicegate_value::{Map, Value};
use tokio::time::sleep;

use crate::ask::{Answer, Ask};
use crate::failure::{self, Asked};
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
    async fn send(&self, ask: &Ask<'_>, attempt: &Attempt<'_>) -> Result<Answer, ModelError> {
        let context = attempt.context;
        let occasion =
            Occasion { attempt: attempt.number, line: context.line, repeat: context.repeat, index: context.index };
        match ask {
            Ask::Chat(request) => {
                let turn = self.script.answer(&script::Asked::from(&**request), occasion);
                let (chunk_delay, cut_after) = (turn.chunk_delay, turn.cut_after);
                let reply = match self.wait(turn, ask).await? {
                    Said::Reply(reply) => reply.into_chat_reply(request),
                    Said::Instead(answer) => return Ok(answer),
                };
                match (request.stream, &reply.text) {
                    (true, Some(text)) => stream(text, chunk_delay, cut_after, attempt).await?,
                    _ if cut_after.is_some() => return Err(broken(attempt)),
                    _ => {}
                }
                Ok(Answer::Chat(Box::new(reply)))
            }
            Ask::Embedding(request) => {
                let dimensions = request.parameters.get("dimensions").and_then(Value::as_int);
                let dimensions = dimensions.and_then(|dimensions| u64::try_from(dimensions).ok());
                let turn =
                    self.script.embed(&script::Asked::from(&**request), request.input.texts(), dimensions, occasion);
                if turn.cut_after.is_some() {
                    return Err(broken(attempt));
                }
                match self.wait(turn, ask).await? {
                    Said::Reply(vectors) => Ok(Answer::Embedding(vectors.into_embedding_reply(&request.model))),
                    Said::Instead(answer) => Ok(answer),
                }
            }
        }
    }
}

impl Simulated {
    /// What is said, after the delay that the script asks for: a reply, or an answer to a request that never got one.
    async fn wait<R>(&self, turn: Turn<R>, ask: &Ask<'_>) -> Result<Said<R>, ModelError> {
        if !turn.delay.is_zero() {
            sleep(turn.delay).await;
        }
        match turn.outcome {
            Outcome::Reply(reply) => Ok(Said::Reply(reply)),
            Outcome::Failure(failure) => self.understood(&failure, ask).map(Said::Instead),
            Outcome::Unscripted(message) => {
                Err(ModelError::Unscripted { connection: self.connection.to_string(), message })
            }
            Outcome::Reset => Err(ModelError::Unreachable {
                endpoint: "the simulated model".to_owned(),
                message: "connection reset (the script says so)".to_owned(),
            }),
            Outcome::Hang => std::future::pending().await,
        }
    }

    /// What a connection makes of an error: the same as if it had come over the network.
    fn understood(&self, failure: &Failure, ask: &Ask<'_>) -> Result<Answer, ModelError> {
        let mut error = Map::from([("message", Value::from(failure.message.clone()))]);
        error.insert("code", failure.code.clone());
        error.insert("param", failure.parameter.clone());
        let body = Value::from(Map::from([("error", Value::from(error))])).to_json();
        let mut headers = HeaderMap::new();
        let wait = failure.retry_after.map(|wait| wait.as_millis().to_string());
        if let Some(wait) = wait.and_then(|wait| HeaderValue::from_str(&wait).ok()) {
            headers.insert("retry-after-ms", wait);
        }
        let asked = Asked { connection: &self.connection.0, model: ask.model(), secrets: &[] };
        asked.answer_or_error(&failure::Said { status: failure.status, headers: &headers, body: body.as_bytes() }, ask)
    }
}

/// What came of a turn.
enum Said<R> {
    Reply(R),
    Instead(Answer),
}

/// Passes on a reply word by word, up to where the script cuts it.
async fn stream(
    text: &str,
    chunk_delay: Duration,
    cut_after: Option<usize>,
    attempt: &Attempt<'_>,
) -> Result<(), ModelError> {
    for (index, piece) in text.split_inclusive(char::is_whitespace).enumerate() {
        if cut_after.is_some_and(|pieces| index >= pieces) {
            break;
        }
        if index > 0 && !chunk_delay.is_zero() {
            sleep(chunk_delay).await;
        }
        attempt.pass_on(piece);
    }
    if cut_after.is_some() { Err(broken(attempt)) } else { Ok(()) }
}

fn broken(attempt: &Attempt<'_>) -> ModelError {
    ModelError::StreamBroken {
        message: "connection reset (the script says so)".to_owned(),
        passed_on: attempt.passed_on(),
    }
}
