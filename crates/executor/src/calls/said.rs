//! What a node's work tells its owner on the way.

use std::sync::Arc;

use sluicegate_events::{CallEnd, Failure, FetchEnd, NodePath, Operation, SpanRef, Stream};
use sluicegate_model::{About, CallNotice};
use sluicegate_value::{Map, Value};
use tokio::sync::oneshot;

use super::{Address, FoundIn};

/// Told when everything that was recorded before is kept; dropped if it never will be.
pub(crate) type Kept = oneshot::Sender<()>;

/// What a node's work tells its owner on the way.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) path: NodePath,
    pub(crate) attempt: u32,
    pub(crate) what: SaidKind,
}

#[derive(Debug)]
pub(crate) enum SaidKind {
    /// Of the call with this number.
    Call(u32, CallSaid),
    /// The node's own code printed something.
    Printed(Stream, String),
    /// Code of the node's own began something that it traces.
    SpanStarted { span: SpanRef, name: String, span_type: String, inputs: Value, attributes: Map },
    /// That is over.
    SpanFinished { span_id: u64, output: Value, failure: Option<Failure>, attributes: Map },
    /// `log_metric`.
    Metric(String, Value),
    /// A piece of the node's output, while it is made.
    Piece(String),
}

#[derive(Debug)]
pub(crate) enum CallSaid {
    Started(Box<CallStarted>),
    Noticed(CallNotice),
    /// An attempt of it is about to be sent, once what is known of it is kept.
    Sending(u32, Kept),
    /// Nobody was asked: the reply was kept.
    Found(FoundIn),
    ModelEnded(CallEnd),
    FetchEnded(FetchEnd),
}

#[derive(Debug)]
pub(crate) struct CallStarted {
    pub(crate) span: SpanRef,
    pub(crate) what: StartedKind,
}

#[derive(Debug)]
pub(crate) enum StartedKind {
    Model {
        operation: Operation,
        about: About,
        model: Arc<str>,
        request: Value,
        stream: bool,
        request_hash: String,
    },
    /// An address is asked once the beginning is kept.
    Fetch {
        method: Arc<str>,
        address: Address,
        kept: Kept,
    },
}
