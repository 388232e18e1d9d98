//! What is handed out: each thing once, decided when its turn comes.

use sluicegate_flow::plan::NodeId;

use super::resolve::{self, Decision};
use super::state::{Course, FlowKey, Stage};
use super::work::{NodeRef, Start, Work};
use super::{Pending, Progress};

impl Progress {
    pub(super) fn begin(&mut self, key: FlowKey, node: NodeId) -> Option<Work> {
        let flow = self.flows.get(key)?;
        let state = &flow.nodes[node.index()];
        let plan = flow.wiring.plan.clone();
        let has_turn = matches!(state.stage, Stage::Ready) && plan.node(node).aggregation == flow.aggregating;
        // What it reads may be made again.
        if flow.stopping || state.offered || !has_turn || state.waits_for > 0 {
            return None;
        }
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

    pub(super) fn settle_pending(&mut self, pending: Pending) -> Option<Work> {
        let (key, node) = match pending {
            Pending::Cancel(key, node) => {
                let flow = self.flows.get(key)?;
                let state = &flow.nodes[node.index()];
                return (state.cancelling && state.offered).then(|| Work::Cancel { path: flow.path_of(node) });
            }
            Pending::Settle(key, node) => (key, node),
        };
        let flow = self.flows.get_mut(key)?;
        let state = &mut flow.nodes[node.index()];
        // It may be that the attempt which was settled has been given up or tried again meanwhile.
        if !state.open {
            return None;
        }
        let Course::Settled { result, handed_out: handed_out @ false } = &mut state.container.as_mut()?.course else {
            return None;
        };
        *handed_out = true;
        let (result, plan, attempt) = (result.clone(), flow.wiring.plan.clone(), state.attempt);
        let path = flow.path_of(node);
        self.pick_up(key, node);
        let node = NodeRef { plan, id: node };
        Some(match result {
            Ok(output) => Work::Finish { path, node, attempt, output },
            Err(failure) => Work::Fail { path, node, attempt, failure },
        })
    }

    pub(super) fn pick_up(&mut self, key: FlowKey, node: NodeId) {
        let Some(flow) = self.flows.get_mut(key) else { return };
        let state = &mut flow.nodes[node.index()];
        if !std::mem::replace(&mut state.offered, true) {
            flow.busy += 1;
        }
    }
}
