//! The scheduler: which nodes can run now, as arithmetic on events.
//!
//! ```text
//!            ┌──────── apply(&Event) ◄── journal, after the ack ◄── events ◄─┐
//!        Progress                                                            │
//!            └──────── next() ──► Start · Bypass · Finish · Fail · Cancel ──► the engine
//! ```
//!
//! Pure: no clock, no async, no file. State changes only by events, so a live run is a resumed run with an empty past:
//! apply the events of half a run and `next` gives what is left. What a process has been handed and has not told the
//! end of is remembered only within that process.

mod containers;
mod resolve;
mod state;
mod wiring;
mod work;

use std::collections::VecDeque;
use std::sync::Arc;

use sluicegate_events::{Event, EventKind, Failure, NodePath, Outcome, WaitFor};
use sluicegate_flow::plan::{NodeId, NodeKind, Operand, Plan};
use sluicegate_value::{Map, Value};

pub use work::{Held, LineFailure, LineOutcome, NodeRef, OutOfOrder, Start, Work};

use resolve::Decision;
use state::{FlowKey, FlowState, Flows, Inside, ItemState, Settled, Stage};
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
    /// A node with a flow inside has its output or failure.
    Settle(FlowKey, NodeId),
    /// A node is to stop.
    Cancel(FlowKey, NodeId),
}

impl Progress {
    /// The progress of a line that has not begun. `inputs` have their types and defaults.
    #[must_use]
    pub fn new(plan: Arc<Plan>, inputs: Map) -> Self {
        let wiring = Wiring::of(&plan);
        let mut flows = Flows::default();
        let root = flows.insert(FlowState::new(&wiring, inputs, NodePath::default(), None));
        let mut progress = Self {
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
        };
        progress.ready_roots(root);
        if wiring.line_nodes == 0 {
            progress.over.push(root);
        }
        progress.end_empty_flows();
        progress
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

    /// Takes an event into account. Events that tell of no node (calls, chunks, the run itself) change nothing.
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
                self.node_started(key, node, event.scope.attempt).map_err(|why| disorder(format!("node `{path}` {why}")))
            }
            EventKind::NodeAttemptFailed { .. } => {
                let (key, node) = self.locate(path).map_err(disorder)?;
                self.attempt_failed(key, node, event.scope.attempt)
                    .map_err(|why| disorder(format!("node `{path}` {why}")))
            }
            EventKind::NodeFinished { outcome, .. } => {
                let (key, node) = self.locate(path).map_err(disorder)?;
                self.node_finished(key, node, event.scope.attempt, outcome)
                    .map_err(|why| disorder(format!("node `{path}` {why}")))
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
            self.stop_container(key, node, Some(failure));
        }
    }

    /// Whether nothing that was handed out is still going on.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.flows.get(self.root).is_none_or(|root| root.busy == 0)
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

    /// The last attempt of a node that has begun and is not over, as events tell.
    #[must_use]
    pub fn open_attempt(&self, path: &NodePath) -> Option<u32> {
        let (key, node) = self.find(path)?;
        let state = &self.flows.get(key)?.nodes[node.index()];
        state.open.then_some(state.attempt)
    }
}

/// What events change.
impl Progress {
    fn node_started(&mut self, key: FlowKey, node: NodeId, attempt: u32) -> Result<(), String> {
        let state = self.flows.node_mut(key, node).ok_or_else(gone)?;
        if !matches!(state.stage, Stage::Ready) {
            return Err(format!("cannot begin: it {}", stage_words(&state.stage)));
        }
        if attempt != state.attempt + 1 {
            return Err(format!("cannot begin attempt {attempt} after attempt {}", state.attempt));
        }
        state.attempt = attempt;
        state.open = true;
        state.received = None;
        let has_inside = state.container.is_some();
        let inner = self.flows.get(key).is_some_and(|flow| flow.wiring.inner(node).is_some());
        // A node that was interrupted goes on with what its inner nodes have done already.
        if inner && !has_inside {
            self.begin_container(key, node);
        }
        Ok(())
    }

    fn attempt_failed(&mut self, key: FlowKey, node: NodeId, attempt: u32) -> Result<(), String> {
        let state = self.flows.node_mut(key, node).ok_or_else(gone)?;
        if !state.open || state.attempt != attempt {
            return Err(format!("has no attempt {attempt} going on"));
        }
        state.open = false;
        let inside: Vec<FlowKey> = state.container.take().map(|container| container.flows().collect()).unwrap_or_default();
        inside.into_iter().for_each(|child| self.flows.remove(child));
        Ok(())
    }

    fn node_finished(&mut self, key: FlowKey, node: NodeId, attempt: u32, outcome: &Outcome) -> Result<(), String> {
        let flow = self.flows.get_mut(key).ok_or_else(gone)?;
        let state = &mut flow.nodes[node.index()];
        if !matches!(state.stage, Stage::Ready) {
            return Err(format!("cannot end: it {}", stage_words(&state.stage)));
        }
        if attempt != state.attempt {
            return Err(format!("cannot end attempt {attempt}: the last is {}", state.attempt));
        }
        let settled = match outcome {
            Outcome::Completed { output, headers, .. } => {
                let done_inside = match &state.container {
                    Some(container) => matches!(container.result, Some(Ok(_))),
                    None => state.open,
                };
                if !done_inside {
                    return Err("cannot be complete: it has not been done".to_owned());
                }
                Settled::Completed { output: output.clone(), headers: headers.as_slice().into() }
            }
            Outcome::Bypassed => Settled::Bypassed,
            Outcome::Failed { .. } => Settled::Failed,
            Outcome::Waiting { wait_for } => {
                state.stage = Stage::Held(wait_for.clone());
                self.put_down(key, node);
                self.held.push((key, node));
                return Ok(());
            }
            Outcome::Cancelled => {
                if let Some(container) = &mut state.container {
                    container.stopping = None;
                }
                self.put_down(key, node);
                self.ready.push_back((key, node));
                return Ok(());
            }
        };
        let failure = match outcome {
            Outcome::Failed { failure } => Some(failure.clone()),
            _ => None,
        };
        state.stage = Stage::Done(settled);
        let inside: Vec<FlowKey> = state.container.take().map(|container| container.flows().collect()).unwrap_or_default();
        flow.unfinished -= 1;
        inside.into_iter().for_each(|child| self.flows.remove(child));
        if let Some(failure) = failure {
            self.flow_failed(key, node, failure);
        } else {
            self.release_successors(key, node);
        }
        self.put_down(key, node);
        if self.flows.get(key).is_some_and(|flow| flow.unfinished == 0 && flow.failure.is_none()) {
            self.flow_over(key);
        }
        Ok(())
    }

    /// Nobody is at this node any more.
    fn put_down(&mut self, key: FlowKey, node: NodeId) {
        let Some(flow) = self.flows.get_mut(key) else { return };
        let state = &mut flow.nodes[node.index()];
        state.open = false;
        state.cancelling = false;
        if std::mem::take(&mut state.offered) {
            flow.busy -= 1;
        }
        if flow.stopping && flow.busy == 0 {
            if let Some((parent, container, _)) = flow.parent {
                self.container_quiet(parent, container);
            }
        }
    }

    fn release_successors(&mut self, key: FlowKey, node: NodeId) {
        let Some(flow) = self.flows.get_mut(key) else { return };
        let wiring = flow.wiring.clone();
        for successor in wiring.successors(node) {
            let state = &mut flow.nodes[successor.index()];
            state.waits_for = state.waits_for.saturating_sub(1);
            if state.waits_for == 0 && matches!(state.stage, Stage::Blocked) {
                state.stage = Stage::Ready;
                self.ready.push_back((key, *successor));
            }
        }
    }

    /// Nodes that wait for nobody, of the phase that a flow is in.
    fn ready_roots(&mut self, key: FlowKey) {
        let Some(flow) = self.flows.get_mut(key) else { return };
        let wiring = flow.wiring.clone();
        for (index, state) in flow.nodes.iter_mut().enumerate() {
            let id = NodeId(index as u32);
            if state.waits_for == 0 && wiring.plan.node(id).aggregation == flow.aggregating {
                state.stage = Stage::Ready;
                self.ready.push_back((key, id));
            }
        }
    }

    fn flow_failed(&mut self, key: FlowKey, node: NodeId, failure: Failure) {
        let path = self.child_path(key, node);
        let Some(flow) = self.flows.get_mut(key) else { return };
        let first = LineFailure { path, failure };
        if flow.failure.is_none() {
            flow.failure = Some(first.clone());
        }
        match flow.parent {
            Some((parent, container, index)) => {
                self.stop_container(parent, container, Some(containers::in_child(first, index)));
            }
            None if flow.aggregating => {
                self.aggregation_failure.get_or_insert(first);
                self.aggregation_over = true;
                self.stop_flow(key);
            }
            None => {
                self.result.get_or_insert(Err(first));
                self.stop_flow(key);
            }
        }
    }

    /// Begins nothing more in a flow and has what runs there stopped.
    fn stop_flow(&mut self, key: FlowKey) {
        let Some(flow) = self.flows.get_mut(key) else { return };
        if std::mem::replace(&mut flow.stopping, true) {
            return;
        }
        let mut containers = Vec::new();
        for (index, state) in flow.nodes.iter_mut().enumerate() {
            if !state.offered || state.cancelling {
                continue;
            }
            state.cancelling = true;
            if state.container.is_some() {
                containers.push(NodeId(index as u32));
            } else {
                self.pending.push_back(Pending::Cancel(key, NodeId(index as u32)));
            }
        }
        for node in containers {
            self.stop_container(key, node, None);
        }
    }

    fn flow_over(&mut self, key: FlowKey) {
        let Some(flow) = self.flows.get(key) else { return };
        if flow.aggregating {
            self.aggregation_over = true;
            return;
        }
        let outputs = resolve::outputs(flow);
        match flow.parent {
            Some(parent) => self.child_over(parent, key, outputs),
            None => {
                let aggregates = outputs.is_ok() && self.aggregates && reads_lines(&flow.wiring.plan);
                self.result = Some(outputs);
                if aggregates {
                    self.begin_aggregation();
                }
            }
        }
    }

    fn begin_aggregation(&mut self) {
        if let Some(root) = self.flows.get_mut(self.root) {
            root.aggregating = true;
            root.unfinished = root.wiring.aggregation_nodes;
        }
        self.ready_roots(self.root);
    }

    fn release_held(&mut self, data: &Value, wanted: impl Fn(&NodePath, &WaitFor) -> bool) {
        let held = std::mem::take(&mut self.held);
        for (key, node) in held {
            let path = self.child_path(key, node);
            let Some(state) = self.flows.node_mut(key, node) else { continue };
            match &state.stage {
                Stage::Held(wait_for) if wanted(&path, wait_for) => {
                    state.stage = Stage::Ready;
                    state.received = Some(data.clone());
                    self.ready.push_back((key, node));
                }
                Stage::Held(_) => self.held.push((key, node)),
                _ => {}
            }
        }
    }
}

/// What is handed out.
impl Progress {
    fn begin(&mut self, key: FlowKey, node: NodeId) -> Option<Work> {
        let flow = self.flows.get(key)?;
        let state = &flow.nodes[node.index()];
        if flow.stopping || state.offered || !matches!(state.stage, Stage::Ready) {
            return None;
        }
        let plan = flow.wiring.plan.clone();
        let decision = resolve::decide(flow, plan.node(node));
        let path = flow.path_of(node);
        let (attempt, received) = (state.attempt, state.received.clone());
        self.pick_up(key, node);
        let node = NodeRef { plan, id: node };
        Some(match decision {
            Decision::Run(inputs) => Work::Start(Start { path, node, attempt: attempt + 1, inputs, received }),
            Decision::Bypass => Work::Bypass { path, node, attempt },
            Decision::Fail(failure) => Work::Fail { path, node, attempt, failure },
        })
    }

    fn settle_pending(&mut self, pending: Pending) -> Option<Work> {
        let (key, node) = match pending {
            Pending::Cancel(key, node) => {
                let flow = self.flows.get(key)?;
                let state = &flow.nodes[node.index()];
                return (state.cancelling && state.offered).then(|| Work::Cancel { path: flow.path_of(node) });
            }
            Pending::Settle(key, node) => (key, node),
        };
        let flow = self.flows.get(key)?;
        let state = &flow.nodes[node.index()];
        let result = state.container.as_ref()?.result.clone()?;
        let path = flow.path_of(node);
        let (plan, attempt) = (flow.wiring.plan.clone(), state.attempt);
        self.pick_up(key, node);
        let node = NodeRef { plan, id: node };
        Some(match result {
            Ok(output) => Work::Finish { path, node, attempt, output },
            Err(failure) => Work::Fail { path, node, attempt, failure },
        })
    }

    fn pick_up(&mut self, key: FlowKey, node: NodeId) {
        let Some(flow) = self.flows.get_mut(key) else { return };
        let state = &mut flow.nodes[node.index()];
        if !std::mem::replace(&mut state.offered, true) {
            flow.busy += 1;
        }
    }
}

/// Paths.
impl Progress {
    /// The node of a path, beginning an item of a `map` whose turn has not come: a run may have been resumed with more
    /// or fewer items at once.
    fn locate(&mut self, path: &NodePath) -> Result<(FlowKey, NodeId), String> {
        let (last, before) = path.0.split_last().ok_or("it names no node")?;
        let mut key = self.root;
        for (depth, step) in before.iter().enumerate() {
            let node = self.named(key, &step.node.0).ok_or_else(|| format!("there is no node `{path}`"))?;
            if let Some(index) = step.index {
                self.begin_item(key, node, index as usize).map_err(|failure| failure.message)?;
            }
            key = self.inside(key, node, step.index).ok_or_else(|| {
                format!("nothing runs inside `{}`", NodePath(path.0[..=depth].to_vec()))
            })?;
        }
        let node = self.named(key, &last.node.0).filter(|_| last.index.is_none());
        Ok((key, node.ok_or_else(|| format!("there is no node `{path}`"))?))
    }

    fn find(&self, path: &NodePath) -> Option<(FlowKey, NodeId)> {
        let (last, before) = path.0.split_last()?;
        let mut key = self.root;
        for step in before {
            key = self.inside(key, self.named(key, &step.node.0)?, step.index)?;
        }
        Some((key, self.named(key, &last.node.0)?))
    }

    fn named(&self, key: FlowKey, name: &str) -> Option<NodeId> {
        self.flows.get(key)?.wiring.find(name)
    }

    fn inside(&self, key: FlowKey, node: NodeId, index: Option<u32>) -> Option<FlowKey> {
        match (&self.container(key, node)?.inside, index) {
            (Inside::Flow(flow), None) => Some(*flow),
            (Inside::Loop { flow, round }, Some(index)) if *round == index => Some(*flow),
            (Inside::Map(map), Some(index)) => match map.items.get(index as usize)? {
                ItemState::Active(flow) => Some(*flow),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Whether an aggregation node reads an ordinary one.
fn reads_lines(plan: &Plan) -> bool {
    plan.nodes.iter().filter(|node| node.aggregation).any(|node| {
        let over = match &node.kind {
            NodeKind::Map(map) => Some(&map.over),
            _ => None,
        };
        node.inputs
            .values()
            .chain(over)
            .any(|operand| matches!(operand, Operand::Output { node, .. } if !plan.node(*node).aggregation))
    })
}

fn gone() -> String {
    "is inside of a flow that is over".to_owned()
}

fn stage_words(stage: &Stage) -> &'static str {
    match stage {
        Stage::Blocked => "waits for a node that is not over",
        Stage::Ready => "is at work",
        Stage::Held(_) => "waits for something outside",
        Stage::Done(_) => "is over",
    }
}

#[cfg(test)]
mod tests;
