//! The messages of the channel.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sluicegate_value::{Map, Value};

use crate::argument::{SentArgument, SentArguments};
use crate::error::Raised;
use crate::host::{HostError, Stream};
use crate::tool::PropertyStep;

/// The version of the words that worker and host exchange.
pub(crate) const VERSION: u32 = 2;

/// What the host says.
#[derive(Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Outgoing<'a> {
    Hello {
        version: u32,
        worker: &'a str,
        folder: &'a str,
        variables: serde_json::Map<String, serde_json::Value>,
        prefer_installed: bool,
        tracing: bool,
    },
    Load {
        id: u64,
        tool: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        package: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        entry: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        init: Option<SentArguments<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        method: Option<&'a str>,
        /// 1 if the worker has other work to do first: then it says when it begins. Last, see [`say_behind`].
        behind: u8,
    },
    Call {
        id: u64,
        tool: &'a str,
        inputs: SentArguments<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        node: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        trace: Option<String>,
        behind: u8,
    },
    Property {
        id: u64,
        handle: u64,
        steps: &'a [PropertyStep],
        behind: u8,
    },
    Drain {
        id: u64,
        handle: u64,
        tell: bool,
        behind: u8,
    },
    Literals {
        id: u64,
        tool: &'a str,
        node: &'a str,
        inputs: SentArguments<'a>,
    },
    Requirements {
        id: u64,
        text: &'a str,
    },
    Answer {
        re: u64,
        value: SentArgument<'a>,
    },
    Refused {
        re: u64,
        error: &'a HostError,
    },
    Piece {
        re: u64,
        text: &'a str,
    },
    Release {
        handles: &'a [u64],
    },
    Cancel {
        of: u64,
    },
    /// A call that has not begun shall run elsewhere.
    TakeBack {
        of: u64,
    },
    Bye,
}

/// Marks the frame of a `load`, `call`, `property` or `drain` as one that the worker has to do other work before.
pub(crate) fn say_behind(frame: &mut [u8]) {
    if let [.., behind @ b'0', b'}'] = frame {
        *behind = b'1';
    }
}

/// What the worker says. One flat form, so that values are read where they stand.
#[derive(Deserialize)]
pub(crate) struct Incoming {
    pub(crate) op: Operation,
    #[serde(default)]
    pub(crate) re: u64,
    #[serde(default)]
    pub(crate) of: u64,
    #[serde(default)]
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) value: Value,
    #[serde(default)]
    pub(crate) error: Option<Box<Raised>>,
    #[serde(default)]
    pub(crate) code: Code,
    #[serde(default)]
    pub(crate) stream: Option<Stream>,
    #[serde(default)]
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) note: Map,
    #[serde(default)]
    pub(crate) what: String,
    #[serde(default)]
    pub(crate) fields: Map,
    /// How long a synchronous call ran, in microseconds.
    #[serde(default)]
    pub(crate) took: Option<u64>,
    #[serde(default)]
    pub(crate) version: u32,
    #[serde(default)]
    pub(crate) python: Arc<str>,
    #[serde(default)]
    pub(crate) executable: String,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    Ready,
    Done,
    Failed,
    /// A call that was taken back.
    Returned,
    /// What had to wait in the worker runs now.
    Begun,
    Said,
    Chunk,
    Span,
    Metric,
    Ask,
    Unask,
}

/// What more is known of a failure than the exception.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
pub(crate) enum Code {
    #[default]
    None,
    Word(String),
    Load {
        load: String,
        #[serde(default)]
        message: Option<String>,
    },
}

/// Reads a message. Python text may hold lone surrogates, which no text here can: they become U+FFFD.
pub(crate) fn read(body: &[u8]) -> Result<Incoming, serde_json::Error> {
    serde_json::from_slice(body).or_else(|error| match without_lone_surrogates(body) {
        Some(repaired) => serde_json::from_slice(&repaired),
        None => Err(error),
    })
}

/// The body with every `\udXXX` that has no partner replaced; `None` if there is none.
fn without_lone_surrogates(body: &[u8]) -> Option<Vec<u8>> {
    let unit = |at: usize| -> Option<u16> {
        let digits = body.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut out = body.to_vec();
    let (mut at, mut changed) = (0, false);
    while at < body.len() {
        if body[at] != b'\\' {
            at += 1;
            continue;
        }
        match unit(at) {
            Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => at += 12,
            Some(0xD800..=0xDFFF) => {
                out[at..at + 6].copy_from_slice(b"\\ufffd");
                changed = true;
                at += 6;
            }
            _ => at += 2,
        }
    }
    changed.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(escaped: &str, expected: &str) {
        let body = format!(r#"{{"op":"chunk","of":1,"text":"{escaped}"}}"#);
        assert_eq!(read(body.as_bytes()).expect("reads").text, expected, "{escaped}");
    }

    #[test]
    fn lone_surrogates_do_not_break_a_message() {
        check_text(r"a\ud83d\ude00b", "a😀b");
        check_text(r"a\ud83db", "a\u{fffd}b");
        check_text(r"\ude00\ud83d\ud83d\ude00", "\u{fffd}\u{fffd}😀");
        check_text(r"\\ud83d \ud800", "\\ud83d \u{fffd}");
        assert!(read(br#"{"op":"chunk","text":"\ud8"#).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>) {
            let _ = read(&body);
        }
    }

    #[test]
    fn the_last_field_says_whether_there_is_other_work_first() {
        let call = Outgoing::Property { id: 7, handle: 10, steps: &[], behind: 0 };
        let mut sent = serde_json::to_vec(&call).expect("serializes");
        say_behind(&mut sent);
        assert_eq!(sent, br#"{"op":"property","id":7,"handle":10,"steps":[],"behind":1}"#);
    }

    #[test]
    fn a_value_of_null_and_no_value_are_the_same() {
        assert_eq!(read(br#"{"op":"done","re":3,"value":null}"#).expect("reads").value, Value::Null);
        let failed =
            read(br#"{"op":"failed","re":3,"error":{"type":"X"},"code":{"load":"NoToolDefined","message":"m"}}"#);
        assert!(matches!(failed.expect("reads").code, Code::Load { load, .. } if load == "NoToolDefined"));
        assert!(matches!(read(br#"{"op":"failed","code":null}"#).expect("reads").code, Code::None));
    }
}
