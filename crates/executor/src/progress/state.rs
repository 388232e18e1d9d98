//! What is known of each flow that runs, nested ones included.

use std::sync::Arc;

use sluicegate_events::{Failure, NodePath, Property, WaitFor};
use sluicegate_flow::plan::NodeId;
use sluicegate_value::{Map, Value};

use super::aggregation::Lists;
use super::wiring::Wiring;
use super::work::LineFailure;

/// A running flow, by its place in [`Flows`]. A key outlives its flow: it then leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlowKey {
    index: u32,
    generation: u32,
}

/// All flows that run: the line's own, and those inside its nodes.
#[derive(Debug, Default)]
pub(super) struct Flows {
    slots: Vec<(u32, Option<FlowState>)>,
    free: Vec<u32>,
}

impl Flows {
    pub(super) fn insert(&mut self, flow: FlowState) -> FlowKey {
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            slot.1 = Some(flow);
            return FlowKey { index, generation: slot.0 };
        }
        self.slots.push((0, Some(flow)));
        FlowKey { index: self.slots.len() as u32 - 1, generation: 0 }
    }

    pub(super) fn get(&self, key: FlowKey) -> Option<&FlowState> {
        let (generation, flow) = self.slots.get(key.index as usize)?;
        flow.as_ref().filter(|_| *generation == key.generation)
    }

    pub(super) fn get_mut(&mut self, key: FlowKey) -> Option<&mut FlowState> {
        let (generation, flow) = self.slots.get_mut(key.index as usize)?;
        flow.as_mut().filter(|_| *generation == key.generation)
    }

    /// The node, if its flow still runs.
    pub(super) fn node_mut(&mut self, key: FlowKey, node: NodeId) -> Option<&mut NodeState> {
        Some(&mut self.get_mut(key)?.nodes[node.index()])
    }

    /// Forgets a flow and all flows inside it.
    pub(super) fn remove(&mut self, key: FlowKey) {
        if self.get(key).is_none() {
            return;
        }
        let slot = &mut self.slots[key.index as usize];
        slot.0 += 1;
        let Some(flow) = slot.1.take() else { return };
        self.free.push(key.index);
        for node in flow.nodes {
            if let Some(container) = node.container {
                container.flows().for_each(|child| self.remove(child));
            }
        }
    }
}

/// One flow that runs.
#[derive(Debug)]
pub(super) struct FlowState {
    pub(super) wiring: Arc<Wiring>,
    pub(super) inputs: Map,
    pub(super) nodes: Vec<NodeState>,
    /// The path under which its nodes' steps stand: empty for the line's own flow.
    pub(super) prefix: NodePath,
    /// The node that it is inside of, and which item or round of it.
    pub(super) parent: Option<(FlowKey, NodeId, Option<u32>)>,
    /// Nodes of the present phase that are not over.
    pub(super) unfinished: u32,
    /// Nodes that were handed out and are not over.
    pub(super) busy: u32,
    /// Nothing more is begun here.
    pub(super) stopping: bool,
    /// The first failure.
    pub(super) failure: Option<LineFailure>,
    /// Whether the aggregation nodes have their turn.
    pub(super) aggregating: bool,
    /// What aggregation nodes read of all lines of a batch; `None`: of this line alone.
    pub(super) lists: Option<Arc<Lists>>,
}

impl FlowState {
    pub(super) fn new(
        wiring: &Arc<Wiring>,
        inputs: Map,
        prefix: NodePath,
        parent: Option<(FlowKey, NodeId, Option<u32>)>,
    ) -> Self {
        Self {
            wiring: wiring.clone(),
            inputs,
            nodes: wiring.waits_for.iter().map(|count| NodeState::new(*count)).collect(),
            prefix,
            parent,
            unfinished: wiring.line_nodes,
            busy: 0,
            stopping: false,
            failure: None,
            aggregating: false,
            lists: None,
        }
    }

    pub(super) fn path_of(&self, node: NodeId) -> NodePath {
        self.prefix.child(&self.wiring.plan.node(node).name)
    }
}

/// How far a node is.
#[derive(Debug)]
pub(super) enum Stage {
    /// A node before it is not over.
    Blocked,
    /// It can be handed out, or is.
    Ready,
    /// It waits for something outside.
    Held(WaitFor),
    /// It is over.
    Done(Settled),
}

/// How a node ended.
#[derive(Debug)]
pub(super) enum Settled {
    Completed {
        output: Value,
        headers: Arc<[u32]>,
        /// Where ways into its Python objects lead.
        properties: Arc<[Property]>,
        /// Whether a secret was taken out of the output, so that a successor cannot use it.
        redacted: bool,
    },
    Bypassed,
    Failed,
}

#[derive(Debug)]
pub(super) struct NodeState {
    pub(super) stage: Stage,
    pub(super) waits_for: u32,
    /// The last attempt that began.
    pub(super) attempt: u32,
    /// Whether that attempt is going on, as far as events tell.
    pub(super) open: bool,
    /// Handed out by this process, so that somebody is at it. Never true of what only a past process did: that is
    /// how a resumed run knows what to do again.
    pub(super) offered: bool,
    /// Told to stop.
    pub(super) cancelling: bool,
    /// What came with the event that it had waited for.
    pub(super) received: Option<Value>,
    /// The flows inside, once it has begun.
    pub(super) container: Option<Box<Container>>,
}

impl NodeState {
    fn new(waits_for: u32) -> Self {
        Self {
            stage: Stage::Blocked,
            waits_for,
            attempt: 0,
            open: false,
            offered: false,
            cancelling: false,
            received: None,
            container: None,
        }
    }
}

/// The inside of a `flow`, `map` or `loop` node that has begun.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) inside: Inside,
    pub(super) course: Course,
    /// Whether what it holds of flows that are over came from a redacted event.
    pub(super) redacted: bool,
    /// Whether it begins anew once it is stopped.
    pub(super) anew: bool,
}

/// How far a node with a flow inside is. It goes from top to bottom, and is settled once.
#[derive(Debug)]
pub(super) enum Course {
    Running,
    /// Nothing more is begun inside.
    Stopping(Why),
    /// It has its output, or why it has none.
    Settled {
        result: Result<Value, Failure>,
        /// Whether that was handed out.
        handed_out: bool,
    },
}

/// Why nothing more is begun inside a node.
#[derive(Debug)]
pub(super) enum Why {
    /// Because of this failure.
    Failed(Failure),
    /// Because the node itself is to stop; then no failure inside has a say in what becomes of it.
    Told,
}

#[derive(Debug)]
pub(super) enum Inside {
    /// Nothing could begin.
    Nothing,
    Flow(FlowKey),
    Map(MapState),
    Loop {
        flow: FlowKey,
        /// From 0.
        round: u32,
    },
}

#[derive(Debug)]
pub(super) struct MapState {
    pub(super) items: Vec<ItemState>,
    /// What each item is.
    pub(super) over: Arc<Vec<Value>>,
    /// The inner flow's other inputs.
    pub(super) shared: Vec<(Arc<str>, Value)>,
    /// Where to look for the next item to begin.
    pub(super) next: usize,
    pub(super) active: usize,
    pub(super) unfinished: usize,
}

#[derive(Debug)]
pub(super) enum ItemState {
    Untouched,
    Active(FlowKey),
    Done(Value),
}

impl Container {
    /// The flows that run inside.
    pub(super) fn flows(&self) -> impl Iterator<Item = FlowKey> + '_ {
        let (single, items) = match &self.inside {
            Inside::Nothing => (None, [].as_slice()),
            Inside::Flow(flow) | Inside::Loop { flow, .. } => (Some(*flow), [].as_slice()),
            Inside::Map(map) => (None, map.items.as_slice()),
        };
        single.into_iter().chain(items.iter().filter_map(|item| match item {
            ItemState::Active(flow) => Some(*flow),
            _ => None,
        }))
    }
}
