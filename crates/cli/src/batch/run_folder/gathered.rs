//! What a line, or the aggregation nodes of a batch, left behind: gathered event by event.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use jiff::Timestamp;
use sluicegate_events::{CallEnd, Event, EventKind, LineEnd, NodePath, Operation, RunSummary, SpanRef};
use sluicegate_value::Value;

/// What is known of a line: nodes, calls and what was logged.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) summary: RunSummary,
    /// The node that made the line fail.
    pub(super) failed_node: NodePath,
    pub(super) nodes: IndexMap<NodePath, Begun>,
    /// The calls of the nodes' last attempts, in the order in which they began.
    pub(super) calls: Vec<Call>,
    pub(super) log: String,
    /// Nodes whose attempt failed: what they ask in the next one counts.
    tried: BTreeSet<NodePath>,
}

/// How a node began.
#[derive(Debug, Default)]
pub(super) struct Begun {
    pub(super) inputs: Value,
    pub(super) span: Option<SpanRef>,
}

/// A call of a model.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) path: NodePath,
    attempt: u32,
    number: u32,
    pub(super) span: Option<SpanRef>,
    pub(super) operation: Operation,
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) request: Value,
    pub(super) started: Timestamp,
    pub(super) finished: Option<(Timestamp, CallEnd)>,
}

impl Gathered {
    /// Takes one more event in, and what it says for the log.
    pub(super) fn hear(&mut self, event: &Event, logged: Option<&str>) {
        let path = &event.scope.path;
        match &event.kind {
            // A line that began twice did nothing the first time.
            EventKind::LineStarted { .. } => *self = Self::default(),
            EventKind::LineResumed { .. } | EventKind::RunResumed { .. } => {
                self.calls.retain(|call| call.finished.is_some());
            }
            EventKind::LineFinished { end: LineEnd::Failed { node, .. }, .. } => self.failed_node = node.clone(),
            EventKind::NodeAttemptFailed { .. } => drop(self.tried.insert(path.clone())),
            EventKind::NodeStarted { inputs, .. } => {
                if self.tried.remove(path) {
                    self.calls.retain(|call| !is_inside(&call.path, path));
                }
                self.nodes.insert(path.clone(), Begun { inputs: inputs.clone(), span: event.trace });
            }
            EventKind::ModelCallStarted { call, operation, model, request, stream, .. } => {
                let (attempt, number) = (event.scope.attempt, *call);
                self.calls.retain(|call| !call.is(path, attempt, number));
                self.calls.push(Call {
                    path: path.clone(),
                    attempt,
                    number,
                    span: event.trace,
                    operation: operation.unwrap_or_else(|| Operation::of_request(request)),
                    model: model.clone(),
                    stream: *stream,
                    request: request.clone(),
                    started: event.at,
                    finished: None,
                });
            }
            EventKind::ModelCallFinished { call, end, .. } => {
                let known = self.calls.iter_mut().rev().find(|known| known.is(path, event.scope.attempt, *call));
                if let Some(known) = known {
                    known.finished = Some((event.at, end.clone()));
                }
            }
            _ => {}
        }
        self.summary.hear(event);
        self.log.push_str(logged.unwrap_or_default());
    }
}

impl Call {
    fn is(&self, path: &NodePath, attempt: u32, number: u32) -> bool {
        self.path == *path && self.attempt == attempt && self.number == number
    }
}

/// Whether a node is another one, or inside it.
fn is_inside(path: &NodePath, outer: &NodePath) -> bool {
    let mut around = Some(path.clone());
    while let Some(path) = around {
        if path == *outer {
            return true;
        }
        around = path.parent().filter(|path| !path.is_root());
    }
    false
}
