//! A request from its sending to its answer: what the tool says on the way is heard, what it asks is answered.

use std::collections::HashMap;

use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use sluicegate_value::{Map, Value};

use crate::argument::{Argument, SentArgument, handles_of};
use crate::channel;
use crate::error::PythonError;
use crate::host::{Ask, Host, HostError, Pieces, Stream};
use crate::wire::{Code, Incoming, Operation, Outgoing};
use crate::worker::Request;

/// How a request ended.
pub(crate) enum Answered {
    Value(Value),
    /// It was taken back before it began.
    TakenBack,
}

/// Waits for the answer. `objects` hears of the values that come with questions: they may hold handles.
pub(crate) async fn answer(
    mut request: Request,
    host: &dyn Host,
    objects: &(dyn Fn(&Value) + Sync),
) -> Result<Answered, PythonError> {
    let mut asked = FuturesUnordered::new();
    let mut aborts: HashMap<u64, AbortHandle> = HashMap::new();
    loop {
        let message = tokio::select! {
            biased;
            message = request.next() => message?,
            Some((ask, answer)) = asked.next(), if !asked.is_empty() => {
                aborts.remove(&ask);
                request.worker.answered(request.number);
                if let Ok(answer) = answer {
                    send_answer(&request, ask, &answer).await;
                }
                continue;
            }
        };
        if let (Some(pace), Some(took)) = (&request.pace, message.took) {
            pace.took(took);
        }
        match message.op {
            Operation::Done => return Ok(Answered::Value(message.value)),
            Operation::Failed => return Err(failure(message)),
            Operation::Returned => return Ok(Answered::TakenBack),
            Operation::Said => host.said(message.stream.unwrap_or(Stream::Stderr), &message.text),
            Operation::Chunk => host.chunk(&message.text),
            Operation::Span => host.span(&message.note),
            Operation::Metric => metric(host, &message.note),
            Operation::Ask => {
                let number = message.id;
                let ask = asked_for(message, &request);
                ask.fields.values().for_each(objects);
                let (abort, registration) = AbortHandle::new_pair();
                aborts.insert(number, abort);
                let answering = Abortable::new(host.ask(ask), registration);
                asked.push(async move { (number, answering.await) });
            }
            Operation::Unask => {
                if let Some(abort) = aborts.get(&message.id) {
                    abort.abort();
                }
            }
            Operation::Ready | Operation::Begun => {}
        }
    }
}

async fn send_answer(request: &Request, ask: u64, answer: &Result<Argument, HostError>) {
    let frame = match answer {
        Ok(argument) if is_elsewhere(argument, &request.worker.id) => {
            let error = HostError::new("TypeError", "the answer holds an object that lives in another Python worker");
            channel::frame(&Outgoing::Refused { re: ask, error: &error })
        }
        Ok(argument) => {
            let value = SentArgument { argument, worker: &request.worker.id };
            channel::frame(&Outgoing::Answer { re: ask, value })
        }
        Err(error) => channel::frame(&Outgoing::Refused { re: ask, error }),
    };
    let frame = frame.or_else(|error| {
        let error = HostError::new("ValueError", error.to_string());
        channel::frame(&Outgoing::Refused { re: ask, error: &error })
    });
    if let Ok(frame) = frame {
        request.worker.outbox.send(frame).await;
    }
}

/// Whether an argument holds an object of another worker that cannot travel.
fn is_elsewhere(argument: &Argument, worker: &str) -> bool {
    handles_of([argument].into_iter()).iter().any(|handle| *handle.worker != *worker && handle.json.is_none())
}

fn asked_for(message: Incoming, request: &Request) -> Ask {
    let wants_pieces = message.fields.get("stream").and_then(Value::as_bool) == Some(true);
    let pieces = wants_pieces.then(|| Pieces { outbox: request.worker.outbox.clone(), ask: message.id });
    Ask { what: message.what, fields: message.fields, pieces }
}

fn metric(host: &dyn Host, note: &Map) {
    if let (Some(key), Some(value)) = (note.get("key").and_then(Value::as_str), note.get("value")) {
        host.metric(key, value);
    }
}

fn failure(message: Incoming) -> PythonError {
    let raised = message.error.unwrap_or_default();
    match message.code {
        Code::None => PythonError::Raised(raised),
        Code::Load { load, message } => {
            PythonError::LoadFailed { code: load, message: message.unwrap_or_else(|| raised.to_string()), raised }
        }
        Code::Word(word) => match word.as_str() {
            "too_long" => PythonError::TooLarge { message: raised.message },
            "literal" => PythonError::InvalidLiteral { message: raised.message },
            "property" => PythonError::NoSuchProperty(raised),
            "lost" => PythonError::HandleLost { lost: Vec::new() },
            _ => PythonError::Raised(raised),
        },
    }
}
