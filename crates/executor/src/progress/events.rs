//! What events change: nodes begin and end, flows end with their last node, failures spread outwards.

use sluicegate_events::{Failure, NodePath, Outcome, WaitFor};
use sluicegate_flow::plan::{NodeId, NodeKind, Operand, Plan};
use sluicegate_value::Value;

use super::state::{Course, FlowKey, Settled, Stage, Why};
use super::work::LineFailure;
use super::{Pending, Progress, containers, resolve};

impl Progress {
    pub(super) fn node_started(&mut self, key: FlowKey, node: NodeId, attempt: u32) -> Result<(), String> {
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
        if self.flows.get(key).is_some_and(|flow| flow.wiring.inner(node).is_some()) {
            self.take_up_container(key, node);
        }
        Ok(())
    }

    pub(super) fn attempt_failed(&mut self, key: FlowKey, node: NodeId, attempt: u32) -> Result<(), String> {
        let state = self.flows.node_mut(key, node).ok_or_else(gone)?;
        if !state.open || state.attempt != attempt {
            return Err(format!("has no attempt {attempt} going on"));
        }
        state.open = false;
        self.drop_container(key, node);
        Ok(())
    }

    pub(super) fn node_finished(
        &mut self,
        key: FlowKey,
        node: NodeId,
        attempt: u32,
        outcome: &Outcome,
        redacted: bool,
    ) -> Result<(), String> {
        let flow = self.flows.get_mut(key).ok_or_else(gone)?;
        let state = &mut flow.nodes[node.index()];
        if !matches!(state.stage, Stage::Ready) {
            return Err(format!("cannot end: it {}", stage_words(&state.stage)));
        }
        if attempt != state.attempt {
            return Err(format!("cannot end attempt {attempt}: the last is {}", state.attempt));
        }
        let settled = match outcome {
            Outcome::Completed { output, headers, properties, .. } => {
                let done_inside = match &state.container {
                    Some(container) => matches!(container.course, Course::Settled { result: Ok(_), .. }),
                    None => state.open,
                };
                if !done_inside {
                    return Err("cannot be complete: it has not been done".to_owned());
                }
                Settled::Completed {
                    output: output.clone(),
                    headers: headers.as_slice().into(),
                    properties: properties.as_slice().into(),
                    redacted,
                }
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
                self.put_down_container(key, node);
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
        // An aggregation node may end after a node of the line has begun once more.
        if flow.wiring.plan.node(node).aggregation == flow.aggregating {
            flow.unfinished -= 1;
        }
        self.drop_container(key, node);
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
    pub(super) fn put_down(&mut self, key: FlowKey, node: NodeId) {
        let Some(flow) = self.flows.get_mut(key) else { return };
        let state = &mut flow.nodes[node.index()];
        state.open = false;
        state.cancelling = false;
        if std::mem::take(&mut state.offered) {
            flow.busy -= 1;
        }
        if flow.stopping
            && flow.busy == 0
            && let Some((parent, container, _)) = flow.parent
        {
            self.container_quiet(parent, container);
        }
    }

    pub(super) fn release_successors(&mut self, key: FlowKey, node: NodeId) {
        let Some(flow) = self.flows.get_mut(key) else { return };
        let wiring = flow.wiring.clone();
        for successor in wiring.successors(node) {
            let state = &mut flow.nodes[successor.index()];
            state.waits_for = state.waits_for.saturating_sub(1);
            if state.waits_for == 0 && matches!(state.stage, Stage::Blocked | Stage::Ready) {
                state.stage = Stage::Ready;
                self.ready.push_back((key, *successor));
            }
        }
    }

    /// Nodes that wait for nobody, of the phase that a flow is in.
    pub(super) fn ready_roots(&mut self, key: FlowKey) {
        let Some(flow) = self.flows.get_mut(key) else { return };
        let wiring = flow.wiring.clone();
        for (index, state) in flow.nodes.iter_mut().enumerate() {
            let id = NodeId(index as u32);
            let may_begin = matches!(state.stage, Stage::Blocked | Stage::Ready);
            if may_begin && state.waits_for == 0 && wiring.plan.node(id).aggregation == flow.aggregating {
                state.stage = Stage::Ready;
                self.ready.push_back((key, id));
            }
        }
    }

    pub(super) fn flow_failed(&mut self, key: FlowKey, node: NodeId, failure: Failure) {
        let path = self.child_path(key, node);
        let Some(flow) = self.flows.get_mut(key) else { return };
        let first = LineFailure { path, failure };
        if flow.failure.is_none() {
            flow.failure = Some(first.clone());
        }
        match flow.parent {
            Some((parent, container, index)) => {
                self.stop_container(parent, container, Why::Failed(containers::in_child(first, index)));
            }
            None if flow.wiring.plan.node(node).aggregation => {
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
    pub(super) fn stop_flow(&mut self, key: FlowKey) {
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
            self.stop_container(key, node, Why::Told);
        }
    }

    pub(super) fn flow_over(&mut self, key: FlowKey) {
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

    pub(super) fn begin_aggregation(&mut self) {
        if let Some(root) = self.flows.get_mut(self.root) {
            root.aggregating = true;
            let wiring = root.wiring.clone();
            let left = root.nodes.iter().zip(&wiring.plan.nodes);
            let left = left.filter(|(state, node)| node.aggregation && !matches!(state.stage, Stage::Done(_)));
            root.unfinished = left.count() as u32;
            if root.unfinished == 0 {
                self.over.push(self.root);
            }
        }
        self.ready_roots(self.root);
    }

    pub(super) fn release_held(&mut self, data: &Value, wanted: impl Fn(&NodePath, &WaitFor) -> bool) {
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
