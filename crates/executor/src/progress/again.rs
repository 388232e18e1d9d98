//! What is done again although it is over, because what is left needs it and it is gone:
//!
//! - outputs out of which a secret was taken: nobody may go on with those, and the secret itself is never kept;
//! - objects of a Python worker that is not there any more (after a resume: of all workers).

use sluicegate_events::NodePath;
use sluicegate_flow::plan::{NodeId, NodeKind, Operand};
use sluicegate_value::Value;

use super::Progress;
use super::resolve;
use super::state::{Container, FlowKey, FlowState, Settled, Stage, Why};

/// What is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone<'a> {
    /// The process that has recorded what is known: all objects of its workers, and whatever was kept without its secrets.
    Past,
    /// Objects of one worker.
    Objects {
        /// The worker.
        worker: &'a str,
        /// Their numbers; none: all that it had.
        objects: &'a [u64],
    },
}

impl Gone<'_> {
    fn holds(self, value: &Value) -> bool {
        match value {
            Value::Handle(handle) => match self {
                Self::Past => true,
                Self::Objects { worker, objects } => {
                    *handle.worker == *worker && (objects.is_empty() || objects.contains(&handle.id))
                }
            },
            Value::List(items) => items.iter().any(|item| self.holds(item)),
            Value::Map(map) => map.values().any(|item| self.holds(item)),
            _ => false,
        }
    }
}

impl Progress {
    /// In a flow that is not over, and in all flows inside it: opens nodes again that have made what is gone and is
    /// still needed, and begins anew what stands on that.
    pub(super) fn make_again(&mut self, key: FlowKey, gone: Gone<'_>) {
        let Some(flow) = self.flows.get(key) else { return };
        let nodes: Vec<NodeId> = (0..flow.nodes.len()).map(|index| NodeId(index as u32)).collect();
        let mut reopened = false;
        // A node that runs again needs what it reads.
        while let Some(node) = nodes.iter().copied().find(|node| self.is_to_repeat(key, *node, gone)) {
            self.reopen(key, node);
            reopened = true;
        }
        if reopened {
            self.wait_again(key);
        }
        for node in nodes {
            match self.container(key, node) {
                Some(Container { redacted, anew, .. }) if gone == Gone::Past && (*redacted || *anew) => {
                    self.drop_container(key, node);
                }
                Some(container) => {
                    let inside: Vec<FlowKey> = container.flows().collect();
                    inside.into_iter().for_each(|child| self.make_again(child, gone));
                }
                None => {}
            }
        }
    }

    pub(super) fn find_to_repeat(&self, key: FlowKey, gone: Gone<'_>, found: &mut Vec<NodePath>) {
        let Some(flow) = self.flows.get(key) else { return };
        for index in 0..flow.nodes.len() {
            let node = NodeId(index as u32);
            if is_to_repeat(flow, node, gone) {
                found.push(flow.path_of(node));
            }
            for child in self.container(key, node).into_iter().flat_map(Container::flows) {
                self.find_to_repeat(child, gone, found);
            }
        }
    }

    fn is_to_repeat(&self, key: FlowKey, node: NodeId, gone: Gone<'_>) -> bool {
        self.flows.get(key).is_some_and(|flow| is_to_repeat(flow, node, gone))
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
                // What runs already goes on, and is told to end or ends by itself.
                if is_aggregation && !state.open && !matches!(state.stage, Stage::Done(_)) {
                    state.stage = Stage::Blocked;
                }
            }
            self.aggregation_over = false;
        }
        if key == self.root && !flow.aggregating {
            self.result = None;
        }
        if flow.aggregating || !wiring.plan.node(node).aggregation {
            flow.nodes[node.index()].stage = Stage::Ready;
            flow.unfinished += 1;
            self.ready.push_back((key, node));
        } else {
            // Its turn comes again when the line is over again.
            flow.nodes[node.index()].stage = Stage::Blocked;
        }
        for successor in wiring.successors(node) {
            self.begin_anew(key, *successor);
        }
    }

    /// What is inside a node stands on something that is gone.
    fn begin_anew(&mut self, key: FlowKey, node: NodeId) {
        let Some(state) = self.flows.node_mut(key, node) else { return };
        match &mut state.container {
            // What is inside is stopped first; of a past process events will tell that, or that it did not come to it.
            Some(container) if state.open => {
                container.anew = true;
                if state.offered {
                    state.cancelling = true;
                    self.stop_container(key, node, Why::Told);
                }
            }
            Some(_) => self.drop_container(key, node),
            None => {}
        }
    }

    /// Counts anew for whom each node waits, since some are not over any more. What runs already goes on; what had its
    /// turn stays ready, and is handed out when all that it reads is there again.
    fn wait_again(&mut self, key: FlowKey) {
        let Some(flow) = self.flows.get_mut(key) else { return };
        let wiring = flow.wiring.clone();
        let mut waits_for = vec![0; flow.nodes.len()];
        for (index, state) in flow.nodes.iter().enumerate() {
            if !matches!(state.stage, Stage::Done(_)) {
                wiring.successors(NodeId(index as u32)).iter().for_each(|successor| waits_for[successor.index()] += 1);
            }
        }
        for (state, waits_for) in flow.nodes.iter_mut().zip(waits_for) {
            state.waits_for = waits_for;
        }
    }
}

fn is_to_repeat(flow: &FlowState, node: NodeId, gone: Gone<'_>) -> bool {
    let Stage::Done(Settled::Completed { redacted, output, properties, .. }) = &flow.nodes[node.index()].stage else {
        return false;
    };
    if *redacted && gone == Gone::Past && (is_given(flow, node) || successors_left(flow, node).next().is_some()) {
        return true;
    }
    let found = properties.iter().filter_map(|property| match &property.found {
        sluicegate_events::Found::Value(value) => Some(value),
        sluicegate_events::Found::Failure(_) => None,
    });
    // Most nodes make no objects at all.
    std::iter::once(output).chain(found).any(|value| gone.holds(value))
        && successors_left(flow, node).any(|successor| takes(flow, successor, node, gone))
}

/// The nodes that read this one and are not over.
fn successors_left(flow: &FlowState, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
    let successors = flow.wiring.plan.successors(node);
    successors.filter(|successor| !matches!(flow.nodes[successor.index()].stage, Stage::Done(_)))
}

/// Whether a node is to get something of another one's that is gone. Templates and expressions print an object, and its
/// text is recorded.
fn takes(flow: &FlowState, node: NodeId, from: NodeId, gone: Gone<'_>) -> bool {
    let node = flow.wiring.plan.node(node);
    let passes_objects = matches!(node.kind, NodeKind::Python(_)) || node.kind.inner().is_some();
    passes_objects
        && node.operands().any(|operand| {
            matches!(operand, Operand::Output { node, .. } if *node == from)
                && resolve::value(flow, operand).is_ok_and(|value| gone.holds(&value))
        })
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
    nodes.any(|node| {
        let stage = &flow.nodes[node.index()].stage;
        matches!(stage, Stage::Done(Settled::Completed { redacted: true, .. })) && is_given(flow, node)
    })
}
