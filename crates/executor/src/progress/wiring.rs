//! What of a plan is the same for every line: who waits for whom, as numbers.

use std::collections::HashMap;
use std::sync::Arc;

use sluicegate_flow::plan::{NodeId, Plan};

/// A plan's edges and names, ready to be counted down. Aggregation nodes form a graph of their own: they begin when the
/// line is over, so edges into them from other nodes are not counted.
#[derive(Debug)]
pub(super) struct Wiring {
    pub(super) plan: Arc<Plan>,
    names: HashMap<Arc<str>, NodeId>,
    /// Who waits for each node; an edge that a plan has twice stands here twice, as in `waits_for`.
    successors: Vec<Vec<NodeId>>,
    /// For how many edges each node waits.
    pub(super) waits_for: Vec<u32>,
    pub(super) line_nodes: u32,
    inner: Vec<Option<Arc<Wiring>>>,
}

impl Wiring {
    pub(super) fn of(plan: &Arc<Plan>) -> Arc<Self> {
        let count = plan.nodes.len();
        let mut successors = vec![Vec::new(); count];
        let mut waits_for = vec![0; count];
        for (index, node) in plan.nodes.iter().enumerate() {
            for successor in plan.successors(NodeId(index as u32)) {
                if plan.node(successor).aggregation == node.aggregation {
                    successors[index].push(successor);
                    waits_for[successor.index()] += 1;
                }
            }
        }
        // In the order of the file, so that nodes that become ready together begin in an order that people expect.
        successors.iter_mut().for_each(|of_one: &mut Vec<NodeId>| of_one.sort_unstable());
        let aggregation_nodes = plan.nodes.iter().filter(|node| node.aggregation).count() as u32;
        Arc::new(Self {
            plan: plan.clone(),
            names: plan
                .nodes
                .iter()
                .enumerate()
                .map(|(index, node)| (node.name.0.clone(), NodeId(index as u32)))
                .collect(),
            successors,
            waits_for,
            line_nodes: count as u32 - aggregation_nodes,
            inner: plan.nodes.iter().map(|node| node.kind.inner().map(Wiring::of)).collect(),
        })
    }

    pub(super) fn find(&self, name: &str) -> Option<NodeId> {
        self.names.get(name).copied()
    }

    pub(super) fn successors(&self, node: NodeId) -> &[NodeId] {
        &self.successors[node.index()]
    }

    pub(super) fn inner(&self, node: NodeId) -> Option<&Arc<Wiring>> {
        self.inner[node.index()].as_ref()
    }
}
