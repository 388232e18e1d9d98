//! Every text in an event, to be rewritten before anybody keeps it.

use sluicegate_value::{Map, Value};

use crate::{CallEnd, Event, EventKind, Failure, Outcome};

impl Event {
    /// Replaces every free text for which `rewrite` answers: inputs, outputs, requests, replies, messages of failures.
    /// The executor passes the redactor here before an event is appended or heard.
    pub fn rewrite_texts(&mut self, rewrite: &mut dyn FnMut(&str) -> Option<String>) {
        match &mut self.kind {
            EventKind::RunStarted { inputs, options, .. } => {
                map(inputs, rewrite);
                map(options, rewrite);
            }
            EventKind::NodeStarted { inputs, .. } => value(inputs, rewrite),
            EventKind::NodeAttemptFailed { failure: why, .. } | EventKind::ModelAttemptFailed { failure: why, .. } => {
                failure(why, rewrite);
            }
            EventKind::NodeFinished { outcome, .. } => match outcome {
                Outcome::Completed { output, headers, .. } => {
                    let before = output.as_str().map(str::len);
                    value(output, rewrite);
                    // Offsets mean nothing in a text of another length.
                    if output.as_str().map(str::len) != before {
                        headers.clear();
                    }
                }
                Outcome::Failed { failure: why } => failure(why, rewrite),
                Outcome::Bypassed | Outcome::Waiting { .. } | Outcome::Cancelled => {}
            },
            EventKind::ModelCallStarted { request, .. } => value(request, rewrite),
            EventKind::ModelCallFinished { end, .. } => match end {
                CallEnd::Replied { reply } => {
                    value(&mut reply.message, rewrite);
                    value(&mut reply.body, rewrite);
                    if let Some(new) = reply.text.as_deref().and_then(&mut *rewrite) {
                        reply.text = Some(new.into());
                    }
                }
                CallEnd::Failed { failure: why } => failure(why, rewrite),
                CallEnd::Cancelled => {}
            },
            EventKind::EventReceived { data, .. } => value(data, rewrite),
            EventKind::RunFinished { outputs, failure: why, .. } => {
                if let Some(outputs) = outputs {
                    map(outputs, rewrite);
                }
                if let Some(why) = why {
                    failure(why, rewrite);
                }
            }
            EventKind::Chunk { text } => {
                if let Some(new) = rewrite(text) {
                    *text = new.into();
                }
            }
            EventKind::RunResumed { .. } | EventKind::TimerFired { .. } | EventKind::Unknown => {}
        }
    }
}

fn value(target: &mut Value, rewrite: &mut dyn FnMut(&str) -> Option<String>) {
    if let Some(new) = target.map_strings(rewrite) {
        *target = new;
    }
}

fn map(target: &mut Map, rewrite: &mut dyn FnMut(&str) -> Option<String>) {
    let whole = Value::from(target.clone());
    if let Some(Value::Map(new)) = whole.map_strings(rewrite) {
        *target = (*new).clone();
    }
}

fn failure(target: &mut Failure, rewrite: &mut dyn FnMut(&str) -> Option<String>) {
    for text in std::iter::once(&mut target.message).chain(&mut target.causes).chain(&mut target.hint) {
        if let Some(new) = rewrite(text) {
            *text = new;
        }
    }
    value(&mut target.details, rewrite);
}
