//! From a document to faults.

use std::time::Duration;

use sluicegate_value::{Map, Value};

use super::reader::Reader;
use crate::script::fault::{Failure, Fault, FaultKind};

const FAULT_KEYS: &[&str] = &[
    "rate",
    "times",
    "when",
    "status",
    "code",
    "parameter",
    "message",
    "retry_after",
    "retry_after_ms",
    "reset",
    "hang",
    "cut_after",
    "delay",
];

impl Reader {
    pub(super) fn faults(&mut self, value: &Value) -> Option<Vec<Fault>> {
        self.list(value, "`faults`", Self::fault)
    }

    fn fault(&mut self, value: &Value) -> Option<Fault> {
        let map = self.map(value, "a fault", FAULT_KEYS)?;
        let rate = self.under(map, "rate", |reader, value| match value.as_number() {
            Some(rate) if (0.0..=1.0).contains(&rate) => Some(rate),
            _ => reader.reject("must be a number from 0 to 1"),
        });
        let times = self.under(map, "times", Self::whole).map(|times| u32::try_from(times).unwrap_or(u32::MAX));
        let when = self.under(map, "when", Self::when);
        let delay = self.under(map, "delay", Self::duration);
        let failure = self.failure(map);
        let reset = self.under(map, "reset", Self::yes).unwrap_or_default();
        let hang = self.under(map, "hang", Self::yes).unwrap_or_default();
        let pieces = self.under(map, "cut_after", Self::whole);
        let mut kinds = failure.map(FaultKind::Failure).into_iter().collect::<Vec<_>>();
        kinds.extend(reset.then_some(FaultKind::Reset));
        kinds.extend(hang.then_some(FaultKind::Hang));
        kinds.extend(pieces.map(|pieces| FaultKind::Cut(usize::try_from(pieces).unwrap_or(usize::MAX))));
        if kinds.is_empty() && delay.is_some() {
            kinds.push(FaultKind::Late);
        }
        match (kinds.pop(), kinds.is_empty()) {
            (Some(kind), true) => Some(Fault { rate, times, when, delay, kind }),
            // A wrong one is told already.
            (None, _) if ["status", "cut_after", "delay"].iter().any(|key| map.contains_key(key)) => None,
            _ => {
                let message =
                    "a fault needs exactly one of `status`, `reset: true`, `hang: true` and `cut_after`, or a `delay`";
                self.problem(message, None);
                None
            }
        }
    }

    fn failure(&mut self, map: &Map) -> Option<Failure> {
        let status = self.under(map, "status", |reader, value| match value.as_int() {
            Some(status @ 400..=599) => u16::try_from(status).ok(),
            _ => reader.reject("must be a status from 400 to 599"),
        });
        let code = self.under(map, "code", Self::text);
        let parameter = self.under(map, "parameter", Self::text);
        let message = self.under(map, "message", Self::text);
        let retry_after = self.under(map, "retry_after", Self::duration);
        let milliseconds = self.under(map, "retry_after_ms", Self::whole).map(Duration::from_millis);
        let message = message.unwrap_or_else(|| match (&code, &parameter) {
            (Some(code), Some(parameter)) if &**code == "unsupported_parameter" => {
                format!("Unsupported parameter: '{parameter}' is not supported with this model.").into()
            }
            (Some(code), Some(parameter)) if &**code == "unsupported_value" => {
                format!("Unsupported value: '{parameter}' does not support what was given with this model.").into()
            }
            _ => "the script says so".into(),
        });
        Some(Failure {
            status: status?,
            code,
            parameter,
            message,
            retry_after: retry_after.or(milliseconds),
            only_milliseconds: retry_after.is_none() && milliseconds.is_some(),
        })
    }
}
