//! What a resumed run does again because its journal holds something else than the run had: outputs out of which a
//! secret was taken. Nobody may go on with those, and the secret itself is never kept, so their nodes run once more.

use sluicegate_flow::plan::{NodeId, Operand};

use super::Progress;
use super::state::{Container, FlowKey, FlowState, Settled, Stage};

impl Progress {
    /// In a flow that is not over, and in all flows inside it: opens nodes again whose output was redacted and that
    /// somebody still needs, and begins anew what stands on such outputs.
    pub(super) fn run_redacted_again(&mut self, key: FlowKey) {
        let Some(flow) = self.flows.get(key) else { return };
        let nodes: Vec<NodeId> = (0..flow.nodes.len()).map(|index| NodeId(index as u32)).collect();
        // A node that runs again needs what it reads.
        while let Some(node) = nodes.iter().copied().find(|node| self.is_to_reopen(key, *node)) {
            self.reopen(key, node);
        }
        for node in nodes {
            match self.container(key, node) {
                Some(Container { redacted: true, .. }) => self.drop_container(key, node),
                Some(container) => {
                    let inside: Vec<FlowKey> = container.flows().collect();
                    inside.into_iter().for_each(|child| self.run_redacted_again(child));
                }
                None => {}
            }
        }
    }

    fn is_to_reopen(&self, key: FlowKey, node: NodeId) -> bool {
        self.flows.get(key).is_some_and(|flow| is_redacted(flow, node) && is_needed(flow, node))
    }

    /// A node that was over is not over.
    fn reopen(&mut self, key: FlowKey, node: NodeId) {
        let Some(flow) = self.flows.get_mut(key) else { return };
        let wiring = flow.wiring.clone();
        if flow.aggregating && !wiring.plan.node(node).aggregation {
            // The line is not over any more: aggregation nodes wait for their turn again.
            flow.aggregating = false;
            flow.unfinished = 0;
            for (index, state) in flow.nodes.iter_mut().enumerate() {
                let is_aggregation = wiring.plan.node(NodeId(index as u32)).aggregation;
                if is_aggregation && !matches!(state.stage, Stage::Done(_)) {
                    state.stage = Stage::Blocked;
                }
            }
            self.aggregation_over = false;
        }
        if key == self.root && !flow.aggregating {
            self.result = None;
        }
        flow.nodes[node.index()].stage = Stage::Ready;
        flow.unfinished += 1;
        for successor in wiring.successors(node) {
            let state = &mut flow.nodes[successor.index()];
            if !matches!(state.stage, Stage::Done(_)) {
                state.waits_for += 1;
                state.stage = Stage::Blocked;
            }
        }
        self.ready.push_back((key, node));
        for successor in wiring.successors(node) {
            self.drop_container(key, *successor);
        }
    }
}

fn is_redacted(flow: &FlowState, node: NodeId) -> bool {
    matches!(flow.nodes[node.index()].stage, Stage::Done(Settled::Completed { redacted: true, .. }))
}

/// Whether somebody will still read what a node gave: a node that is not over, or the flow's outputs.
fn is_needed(flow: &FlowState, node: NodeId) -> bool {
    is_given(flow, node)
        || flow
            .wiring
            .plan
            .successors(node)
            .any(|successor| !matches!(flow.nodes[successor.index()].stage, Stage::Done(_)))
}

fn is_given(flow: &FlowState, node: NodeId) -> bool {
    flow.wiring
        .plan
        .outputs
        .values()
        .any(|output| matches!(&output.from, Operand::Output { node: read, .. } if *read == node))
}

/// Whether a flow that is over gives something out of which a secret was taken.
pub(super) fn gives_redacted(flow: &FlowState) -> bool {
    let mut nodes = (0..flow.nodes.len()).map(|index| NodeId(index as u32));
    nodes.any(|node| is_redacted(flow, node) && is_given(flow, node))
}
