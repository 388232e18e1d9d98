//! The scheduler: which nodes can run now, as arithmetic on events.
//!
//! ```text
//!            ┌──────── apply(&Event) ◄── journal, after the ack ◄── events ◄─┐
//!        Progress                                                            │
//!            └──────── next() ──► Start · Bypass · Finish · Fail · Cancel ──► the engine
//! ```
//!
//! Pure: no clock, no async, no file. State changes only by events, so a live run is a resumed run with an empty past:
//! apply the events of half a run and `next` gives what is left. (From [`EventKind::RunResumed`] on, what is left includes
//! nodes whose recorded output had a secret taken out, or was an object of a Python worker.) What a process has been handed and has not told the
//! end of is remembered only within that process.

mod again;
mod aggregation;
mod containers;
mod events;
mod hand_out;
mod paths;
mod resolve;
mod state;
mod wiring;
mod work;

use std::collections::VecDeque;
use std::sync::Arc;

use sluicegate_events::{Event, EventKind, Failure, NodePath, WaitFor};
use sluicegate_flow::plan::{NodeId, Plan};
use sluicegate_value::{Map, Value};

pub use again::Gone;
pub use aggregation::ForAggregation;
pub use work::{Held, Inputs, LineFailure, LineOutcome, NodeRef, OutOfOrder, Start, Work};

use state::{FlowKey, FlowState, Flows, Stage, Why};
use wiring::Wiring;

/// How many items of a `map` run at once where neither the flow nor the run says it.
const DEFAULT_WIDTH: usize = 16;

/// How far one line is.
#[derive(Debug)]
pub struct Progress {
    flows: Flows,
    root: FlowKey,
    /// Nodes whose turn has come.
    ready: VecDeque<(FlowKey, NodeId)>,
    /// What costs nothing to do.
    pending: VecDeque<Pending>,
    /// Flows without a node to run. They end here rather than where they begin, so that a thousand of them, one after
    /// the other, do not need a thousand stack frames.
    over: Vec<FlowKey>,
    held: Vec<(FlowKey, NodeId)>,
    width: usize,
    aggregates: bool,
    result: Option<Result<Map, LineFailure>>,
    aggregation_failure: Option<LineFailure>,
    aggregation_over: bool,
}

/// Work that is known before it is asked for.
#[derive(Debug)]
enum Pending {
    /// A node with a flow inside may have its output or failure: its state tells, once.
    Settle(FlowKey, NodeId),
    /// A node is to stop.
    Cancel(FlowKey, NodeId),
}

/// What of a plan is the same for every line, made once.
#[derive(Clone, Debug)]
pub struct Shape(Arc<Wiring>);

impl Shape {
    /// The shape of a plan.
    #[must_use]
    pub fn of(plan: &Arc<Plan>) -> Self {
        Self(Wiring::of(plan))
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.0.plan
    }
}

impl Progress {
    /// The progress of a line that has not begun. `inputs` have their types and defaults.
    #[must_use]
    pub fn new(plan: Arc<Plan>, inputs: Map) -> Self {
        Self::of(&Shape::of(&plan), inputs)
    }

    /// The same, of a plan that has many lines.
    #[must_use]
    pub fn of(shape: &Shape, inputs: Map) -> Self {
        let wiring = &shape.0;
        let mut progress = Self::at_rest(shape, inputs);
        progress.ready_roots(progress.root);
        if wiring.line_nodes == 0 {
            progress.over.push(progress.root);
        }
        progress.end_empty_flows();
        progress
    }

    /// Nothing is ready yet.
    fn at_rest(shape: &Shape, inputs: Map) -> Self {
        let Shape(wiring) = shape;
        let mut flows = Flows::default();
        let root = flows.insert(FlowState::new(wiring, inputs, NodePath::default(), None));
        Self {
            flows,
            root,
            ready: VecDeque::new(),
            pending: VecDeque::new(),
            over: Vec::new(),
            held: Vec::new(),
            width: DEFAULT_WIDTH,
            aggregates: false,
            result: None,
            aggregation_failure: None,
            aggregation_over: false,
        }
    }

    /// Lets aggregation nodes run once the line is over, on lists of one item, as the test of a single flow does: only
    /// if one of their inputs comes from an ordinary node (spec: promptflow.md §1.16).
    #[must_use]
    pub fn with_aggregation(mut self) -> Self {
        self.aggregates = true;
        self
    }

    /// How many items of a `map` run at once where the flow does not say.
    #[must_use]
    pub fn with_width(mut self, width: usize) -> Self {
        self.width = width.max(1);
        self
    }

    /// Takes an event into account. Events that tell of no node (calls, chunks, the run itself)
    /// change nothing, except that a resumed run does again what was recorded without its secrets.
    ///
    /// # Errors
    /// An event that cannot follow those before it: a node that the plan does not have, that is over already, whose
    /// upstream is not over, or an attempt that never began. Nothing has changed then.
    pub fn apply(&mut self, event: &Event) -> Result<(), OutOfOrder> {
        self.take(event)?;
        self.end_empty_flows();
        Ok(())
    }

    fn take(&mut self, event: &Event) -> Result<(), OutOfOrder> {
        let disorder = |message: String| OutOfOrder { seq: event.seq, message };
        let path = &event.scope.path;
        match &event.kind {
            EventKind::NodeStarted { .. } => {
                let (key, node) = self.locate(path).map_err(disorder)?;
                self.node_started(key, node, event.scope.attempt)
                    .map_err(|why| disorder(format!("node `{path}` {why}")))
            }
            EventKind::NodeAttemptFailed { .. } => {
                let (key, node) = self.locate(path).map_err(disorder)?;
                self.attempt_failed(key, node, event.scope.attempt)
                    .map_err(|why| disorder(format!("node `{path}` {why}")))
            }
            EventKind::NodeFinished { outcome, .. } => {
                let (key, node) = self.locate(path).map_err(disorder)?;
                self.node_finished(key, node, event.scope.attempt, outcome, event.redacted)
                    .map_err(|why| disorder(format!("node `{path}` {why}")))
            }
            EventKind::RunResumed { .. } | EventKind::LineResumed { .. } => {
                self.make_again(self.root, Gone::Past);
                Ok(())
            }
            EventKind::ObjectsLost { worker, objects, .. } => {
                self.make_again(self.root, Gone::Objects { worker, objects });
                Ok(())
            }
            EventKind::EventReceived { name, data } => {
                self.release_held(data, |at, wait_for| match wait_for {
                    WaitFor::Event(wanted) => wanted == name && (path.is_root() || at == path),
                    WaitFor::Approval => name == "approval" && at == path,
                    WaitFor::Until(_) => false,
                });
                Ok(())
            }
            EventKind::TimerFired { until } => {
                self.release_held(
                    &Value::Null,
                    |_, wait_for| matches!(wait_for, WaitFor::Until(wanted) if wanted <= until),
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn end_empty_flows(&mut self) {
        while let Some(flow) = self.over.pop() {
            self.flow_over(flow);
        }
    }

    /// What can be done now, each thing once; of nodes that do work themselves at most `room`.
    pub fn next(&mut self, room: usize) -> Vec<Work> {
        let mut work = Vec::new();
        let mut room = room;
        loop {
            while let Some(pending) = self.pending.pop_front() {
                work.extend(self.settle_pending(pending));
            }
            if room == 0 {
                return work;
            }
            let Some((key, node)) = self.ready.pop_front() else { return work };
            if let Some(begun) = self.begin(key, node) {
                if matches!(&begun, Work::Start(start) if start.node.node().kind.inner().is_none()) {
                    room -= 1;
                }
                work.push(begun);
            }
        }
    }

    /// How the line ended; `None` while something runs or is left to do.
    #[must_use]
    pub fn outcome(&self) -> Option<LineOutcome> {
        let root = self.flows.get(self.root)?;
        let result = self.result.clone()?;
        let over = result.is_err() || !root.aggregating || self.aggregation_over;
        (over && root.busy == 0).then(|| LineOutcome { result, aggregation_failure: self.aggregation_failure.clone() })
    }

    /// Begins nothing more; what runs follows as `Cancel`.
    pub fn stop(&mut self) {
        self.stop_flow(self.root);
    }

    /// Stops what is inside a node that has begun, for instance because its time is over; a `Fail` with this failure
    /// follows when nothing runs there any more.
    pub fn stop_inside(&mut self, path: &NodePath, failure: Failure) {
        if let Ok((key, node)) = self.locate(path) {
            self.stop_container(key, node, Why::Failed(failure));
        }
    }

    /// Whether a further attempt of this node makes sense: nothing around it has failed or was stopped.
    #[must_use]
    pub fn admits(&self, path: &NodePath) -> bool {
        let Some((mut key, _)) = self.find(path) else { return false };
        loop {
            let Some(flow) = self.flows.get(key) else { return false };
            if flow.stopping {
                return false;
            }
            match flow.parent {
                Some((parent, _, _)) => key = parent,
                None => return true,
            }
        }
    }

    /// The nodes that are over and would run again if this were gone, as far as they are needed by what is left.
    #[must_use]
    pub fn nodes_to_repeat(&self, gone: Gone<'_>) -> Vec<NodePath> {
        let mut found = Vec::new();
        self.find_to_repeat(self.root, gone, &mut found);
        found
    }

    /// The last attempt of a node that began; 0 if none did.
    pub(crate) fn attempt_of(&self, path: &NodePath) -> u32 {
        let state = self.find(path).and_then(|(key, node)| self.flows.get(key).map(|flow| &flow.nodes[node.index()]));
        state.map_or(0, |state| state.attempt)
    }

    /// What a node takes that runs or may run.
    pub(crate) fn inputs_of(&self, path: &NodePath) -> Result<Inputs, Failure> {
        let flow = self.find(path).and_then(|(key, node)| Some((self.flows.get(key)?, node)));
        match flow.map(|(flow, node)| resolve::decide(flow, flow.wiring.plan.node(node))) {
            Some(resolve::Decision::Run(inputs)) => Ok(inputs),
            Some(resolve::Decision::Fail(failure)) => Err(failure),
            Some(resolve::Decision::Bypass) | None => Ok(Inputs::default()),
        }
    }

    /// Nodes that wait for something outside.
    pub fn held(&self) -> impl Iterator<Item = Held> + '_ {
        self.held.iter().filter_map(|(key, node)| {
            let flow = self.flows.get(*key)?;
            match &flow.nodes[node.index()].stage {
                Stage::Held(wait_for) => Some(Held { path: flow.path_of(*node), wait_for: wait_for.clone() }),
                _ => None,
            }
        })
    }
}

#[cfg(test)]
mod losses_tests;
#[cfg(test)]
mod tests;
