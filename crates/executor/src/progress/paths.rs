//! From a node's path to its place among the flows that run.

use sluicegate_events::NodePath;
use sluicegate_flow::plan::NodeId;

use super::Progress;
use super::state::{FlowKey, Inside, ItemState};

impl Progress {
    /// The node of a path, beginning an item of a `map` whose turn has not come: a run may have been resumed with more
    /// or fewer items at once.
    pub(super) fn locate(&mut self, path: &NodePath) -> Result<(FlowKey, NodeId), String> {
        let (last, before) = path.0.split_last().ok_or("it names no node")?;
        let mut key = self.root;
        for (depth, step) in before.iter().enumerate() {
            let node = self.named(key, &step.node.0).ok_or_else(|| format!("there is no node `{path}`"))?;
            if let Some(index) = step.index {
                self.begin_item(key, node, index as usize).map_err(|failure| failure.message)?;
            }
            key = self
                .inside(key, node, step.index)
                .ok_or_else(|| format!("nothing runs inside `{}`", NodePath(path.0[..=depth].to_vec())))?;
        }
        let node = self.named(key, &last.node.0).filter(|_| last.index.is_none());
        Ok((key, node.ok_or_else(|| format!("there is no node `{path}`"))?))
    }

    pub(super) fn find(&self, path: &NodePath) -> Option<(FlowKey, NodeId)> {
        let (last, before) = path.0.split_last()?;
        let mut key = self.root;
        for step in before {
            key = self.inside(key, self.named(key, &step.node.0)?, step.index)?;
        }
        Some((key, self.named(key, &last.node.0)?))
    }

    pub(super) fn named(&self, key: FlowKey, name: &str) -> Option<NodeId> {
        self.flows.get(key)?.wiring.find(name)
    }

    pub(super) fn inside(&self, key: FlowKey, node: NodeId, index: Option<u32>) -> Option<FlowKey> {
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
