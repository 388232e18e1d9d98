//! `run --interactive`: a chat flow, turn by turn. Each turn is a run of its own.

use std::io::BufRead as _;
use std::sync::Arc;

use sluicegate_events::{Journal, RunStatus};
use sluicegate_executor::{KeptReplies, NullJournal, Start};
use sluicegate_flow::plan::ChatMarkers;
use sluicegate_value::{Map, Value};

use super::run::new_run;
use crate::error::CliError;
use crate::exit::Exit;
use crate::inputs::Given;
use crate::interrupt;
use crate::prepared::Prepared;
use crate::session::Session;
use crate::show_run::{Shown, show_end};
use crate::terminal::harmless;

/// Reads what a person says, line by line, and prints what the flow answers, until the input ends.
pub(crate) fn talk(
    session: &Session,
    prepared: &mut Prepared,
    chat: &ChatMarkers,
    given: Given,
    options: &Map,
    shown: &Shown,
    kept: bool,
) -> Result<Exit, CliError> {
    let printer = session.printer();
    let mut interrupted = Box::pin(interrupt::listen(printer.clone())?);
    printer.say(&printer.painter().dim("say something; an empty line or the end of the input ends the talk"));
    let mut history = given.inputs.get(&chat.history).cloned().unwrap_or_else(Value::empty_list);
    for said in std::io::stdin().lock().lines() {
        let said = said.map_err(|error| CliError::failed("stdin cannot be read").cause(error.to_string()))?;
        if said.trim().is_empty() {
            break;
        }
        let asked = chat.next_inputs(&given.inputs, history.clone(), said.into());
        let inputs = prepared.inputs(session, &Given { inputs: asked, folder: given.folder.clone(), warning: None })?;
        let new = new_run(prepared, inputs.clone(), options.clone());
        let journal: Arc<dyn Journal> =
            if kept { Arc::new(prepared.new_journal(session, &new.run)?) } else { Arc::new(NullJournal) };
        let done =
            prepared.run(session, journal, Start::New(new), shown, (None, KeptReplies::default()), &mut interrupted)?;
        let Some(outputs) = done.outputs.as_ref().filter(|_| done.status == RunStatus::Completed) else {
            show_end(session, prepared, &done, kept);
            return Ok(if done.status == RunStatus::Interrupted { Exit::Interrupted } else { Exit::Failed });
        };
        let answer = outputs.get(&chat.output).cloned().unwrap_or_default();
        match &answer {
            Value::Str(text) => printer.data(&harmless(text))?,
            other => printer.data(&other.to_json())?,
        }
        history = chat.with_turn(&history, chat.turn(&inputs, outputs));
    }
    Ok(Exit::Done)
}
