//! The inside of `flow`, `map` and `loop` nodes: child flows begin, end, and make the node's output.

use std::sync::Arc;

use sluicegate_events::{Failure, NodePath};
use sluicegate_flow::plan::{LoopNode, NodeId, NodeKind};
use sluicegate_flow::template::Binding;
use sluicegate_value::{Map, Value};

use super::resolve::{self, Decision};
use super::state::{Container, Course, FlowKey, FlowState, Inside, ItemState, MapState, Why};
use super::work::LineFailure;
use super::{Pending, Progress, again};
use crate::lookup;

impl Progress {
    /// Begins what is inside a node whose attempt began. What cannot begin is its failure.
    pub(super) fn begin_container(&mut self, key: FlowKey, node: NodeId) {
        let (inside, failure) = match self.try_begin(key, node) {
            Ok(inside) => (inside, None),
            Err(failure) => (Inside::Nothing, Some(failure)),
        };
        if let Some(state) = self.flows.node_mut(key, node) {
            state.container =
                Some(Box::new(Container { inside, course: Course::Running, redacted: false, anew: false }));
        }
        match failure {
            Some(failure) => self.settle(key, node, Err(failure)),
            None => self.begin_items(key, node),
        }
    }

    fn try_begin(&mut self, key: FlowKey, node: NodeId) -> Result<Inside, Failure> {
        let Some(flow) = self.flows.get(key) else { return Ok(Inside::Nothing) };
        let plan = flow.wiring.plan.clone();
        let inputs = match resolve::decide(flow, plan.node(node)) {
            Decision::Run(inputs) => inputs.bindings,
            Decision::Bypass => Arc::default(),
            Decision::Fail(failure) => return Err(failure),
        };
        let given = inputs.iter().map(|Binding { name, value, .. }| (name.clone(), value.clone()));
        match &plan.node(node).kind {
            NodeKind::Flow(inner) => {
                let inputs = lookup::nested_inputs(inner, given)?;
                Ok(Inside::Flow(self.begin_child(key, node, None, inputs)?))
            }
            NodeKind::Loop(cycle) => {
                let inputs = lookup::nested_inputs(&cycle.plan, given)?;
                Ok(Inside::Loop { flow: self.begin_child(key, node, Some(0), inputs)?, round: 0 })
            }
            NodeKind::Map(map) => {
                let over = match resolve::value(flow, &map.over)? {
                    Value::List(items) => items,
                    other => {
                        return Err(Failure::new("input", format!("`over` is no list, it is {}", other.type_name()))
                            .hint("let `over` read a list; an `expression` node can make one"));
                    }
                };
                let count = over.len();
                Ok(Inside::Map(MapState {
                    items: std::iter::repeat_with(|| ItemState::Untouched).take(count).collect(),
                    over,
                    shared: given.collect(),
                    next: 0,
                    active: 0,
                    unfinished: count,
                }))
            }
            _ => Ok(Inside::Nothing),
        }
    }

    fn begin_child(&mut self, key: FlowKey, node: NodeId, index: Option<u32>, inputs: Map) -> Result<FlowKey, Failure> {
        let missing = || Failure::new("internal", "a node without a flow inside was begun as one");
        let flow = self.flows.get(key).ok_or_else(missing)?;
        let wiring = flow.wiring.inner(node).ok_or_else(missing)?.clone();
        let mut prefix = flow.path_of(node);
        if let Some(index) = index {
            prefix = prefix.at_index(index);
        }
        // What is stopping does not get anything new to do.
        let stopping = flow.stopping;
        let mut child = FlowState::new(&wiring, inputs, prefix, Some((key, node, index)));
        child.stopping = stopping;
        let child = self.flows.insert(child);
        self.ready_roots(child);
        if wiring.line_nodes == 0 {
            self.over.push(child);
        }
        Ok(child)
    }

    /// Begins as many items of a `map` as may run now; gives the output when all are over.
    fn begin_items(&mut self, key: FlowKey, node: NodeId) {
        loop {
            let width = match self.flows.get(key).map(|flow| &flow.wiring.plan.node(node).kind) {
                Some(NodeKind::Map(map)) => map.concurrency.unwrap_or(self.width).max(1),
                _ => return,
            };
            let Some(container) = self.container_mut(key, node) else { return };
            let (Course::Running, Inside::Map(map)) = (&container.course, &mut container.inside) else { return };
            while matches!(map.items.get(map.next), Some(ItemState::Active(_) | ItemState::Done(_))) {
                map.next += 1;
            }
            if map.unfinished == 0 {
                let outputs = map.items.drain(..).map(|item| match item {
                    ItemState::Done(output) => output,
                    _ => Value::Null,
                });
                let outputs: Vec<Value> = outputs.collect();
                return self.settle(key, node, Ok(outputs.into()));
            }
            if map.active >= width || map.next >= map.items.len() {
                return;
            }
            let index = map.next;
            if let Err(failure) = self.begin_item(key, node, index) {
                return self.stop_container(key, node, Why::Failed(failure));
            }
        }
    }

    /// Begins one item of a `map`, if nobody has.
    pub(super) fn begin_item(&mut self, key: FlowKey, node: NodeId, index: usize) -> Result<(), Failure> {
        let Some(NodeKind::Map(spec)) = self.flows.get(key).map(|flow| &flow.wiring.plan.node(node).kind) else {
            return Ok(());
        };
        let (plan, item_name) = (spec.plan.clone(), spec.item.clone());
        let Some(Container { inside: Inside::Map(map), .. }) = self.container(key, node) else { return Ok(()) };
        let (Some(ItemState::Untouched), Some(item)) = (map.items.get(index), map.over.get(index)) else {
            return Ok(());
        };
        let given = map.shared.iter().cloned().chain([(item_name, item.clone())]);
        let inputs =
            lookup::nested_inputs(&plan, given).map_err(|failure| within(failure, &format!("item {index}")))?;
        let child = self.begin_child(key, node, Some(index as u32), inputs)?;
        if let Some(Container { inside: Inside::Map(map), .. }) = self.container_mut(key, node) {
            map.items[index] = ItemState::Active(child);
            map.active += 1;
        }
        Ok(())
    }

    /// A child flow has all its outputs, or cannot make them.
    pub(super) fn child_over(
        &mut self,
        parent: (FlowKey, NodeId, Option<u32>),
        child: FlowKey,
        outputs: Result<Map, LineFailure>,
    ) {
        let (key, node, index) = parent;
        let redacted = self.flows.get(child).is_some_and(again::gives_redacted);
        let Some(container) = self.container_mut(key, node) else { return };
        // What ends in a node that is stopping, or that is settled already, changes nothing any more.
        if !matches!(container.course, Course::Running) {
            return;
        }
        let outputs = match outputs {
            Ok(outputs) => outputs,
            Err(failure) => return self.stop_container(key, node, Why::Failed(in_child(failure, index))),
        };
        container.redacted |= redacted;
        match &mut container.inside {
            Inside::Nothing => {}
            Inside::Flow(_) => {
                self.flows.remove(child);
                self.settle(key, node, Ok(outputs.into()));
            }
            Inside::Map(map) => {
                if let Some(item) = index.and_then(|index| map.items.get_mut(index as usize)) {
                    *item = ItemState::Done(outputs.into());
                    map.active -= 1;
                    map.unfinished -= 1;
                }
                self.flows.remove(child);
                self.begin_items(key, node);
            }
            Inside::Loop { .. } => self.round_over(key, node, child, outputs),
        }
    }

    fn round_over(&mut self, key: FlowKey, node: NodeId, child: FlowKey, outputs: Map) {
        let Some(NodeKind::Loop(cycle)) = self.flows.get(key).map(|flow| flow.wiring.plan.node(node).kind.clone())
        else {
            return;
        };
        let Some(Container { inside: Inside::Loop { round, .. }, .. }) = self.container(key, node) else { return };
        let round = *round;
        let inputs = self.flows.get(child).map(|flow| flow.inputs.clone()).unwrap_or_default();
        let next = match next_round(&cycle, &inputs, &outputs, round) {
            Ok(None) => {
                self.flows.remove(child);
                return self.settle(key, node, Ok(outputs.into()));
            }
            Ok(Some(inputs)) => self.begin_child(key, node, Some(round + 1), inputs),
            Err(failure) => Err(failure),
        };
        match next {
            Ok(flow) => {
                self.flows.remove(child);
                if let Some(container) = self.container_mut(key, node) {
                    container.inside = Inside::Loop { flow, round: round + 1 };
                }
            }
            Err(failure) => self.stop_container(key, node, Why::Failed(failure)),
        }
    }

    /// Begins nothing more inside a node, and stops what runs there.
    pub(super) fn stop_container(&mut self, key: FlowKey, node: NodeId, why: Why) {
        let Some(container) = self.container_mut(key, node) else { return };
        match (&mut container.course, why) {
            (Course::Settled { .. }, _) => return,
            (course @ Course::Running, why) => *course = Course::Stopping(why),
            (Course::Stopping(present), Why::Told) => *present = Why::Told,
            // The first failure counts.
            (Course::Stopping(_), Why::Failed(_)) => {}
        }
        let children: Vec<FlowKey> = container.flows().collect();
        for child in children {
            self.stop_flow(child);
        }
        self.container_quiet(key, node);
    }

    /// Says what becomes of a node that is to stop, once nothing runs inside it.
    pub(super) fn container_quiet(&mut self, key: FlowKey, node: NodeId) {
        let Some(container) = self.container(key, node) else { return };
        if container.flows().any(|child| self.flows.get(child).is_some_and(|flow| flow.busy > 0)) {
            return;
        }
        match &container.course {
            Course::Running | Course::Settled { .. } => {}
            Course::Stopping(Why::Failed(failure)) => {
                let failure = failure.clone();
                self.settle(key, node, Err(failure));
            }
            Course::Stopping(Why::Told) => self.pending.push_back(Pending::Cancel(key, node)),
        }
    }

    /// Gives a node with a flow inside its output or failure. The only place that does, and the first one counts.
    fn settle(&mut self, key: FlowKey, node: NodeId, result: Result<Value, Failure>) {
        let Some(container) = self.container_mut(key, node) else { return };
        if matches!(container.course, Course::Settled { .. }) {
            return;
        }
        container.course = Course::Settled { result, handed_out: false };
        self.pending.push_back(Pending::Settle(key, node));
    }

    /// A node that was interrupted goes on with what is inside it already.
    pub(super) fn take_up_container(&mut self, key: FlowKey, node: NodeId) {
        match self.container(key, node).map(|container| &container.course) {
            None => self.begin_container(key, node),
            Some(Course::Settled { .. }) => self.pending.push_back(Pending::Settle(key, node)),
            Some(Course::Running | Course::Stopping(_)) => {}
        }
    }

    /// A node that was interrupted can be taken up again.
    pub(super) fn put_down_container(&mut self, key: FlowKey, node: NodeId) {
        let Some(container) = self.container_mut(key, node) else { return };
        if container.anew {
            return self.drop_container(key, node);
        }
        match &mut container.course {
            Course::Running => {}
            course @ Course::Stopping(_) => *course = Course::Running,
            Course::Settled { handed_out, .. } => *handed_out = false,
        }
    }

    /// Forgets what is inside a node, so that it begins anew.
    pub(super) fn drop_container(&mut self, key: FlowKey, node: NodeId) {
        let container = self.flows.node_mut(key, node).and_then(|state| state.container.take());
        let inside: Vec<FlowKey> = container.iter().flat_map(|container| container.flows()).collect();
        inside.into_iter().for_each(|child| self.flows.remove(child));
    }

    pub(super) fn container(&self, key: FlowKey, node: NodeId) -> Option<&Container> {
        self.flows.get(key)?.nodes[node.index()].container.as_deref()
    }

    pub(super) fn container_mut(&mut self, key: FlowKey, node: NodeId) -> Option<&mut Container> {
        self.flows.node_mut(key, node)?.container.as_deref_mut()
    }
}

/// The inputs of the round after `round`: those of this one, overlaid by its outputs; `None` when it was the last.
fn next_round(cycle: &LoopNode, inputs: &Map, outputs: &Map, round: u32) -> Result<Option<Map>, Failure> {
    let iteration = i64::from(round) + 1;
    let mut variables: Vec<(Arc<str>, Value)> =
        outputs.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    variables.push(("inputs".into(), inputs.clone().into()));
    variables.push(("iteration".into(), iteration.into()));
    if lookup::evaluate(&cycle.until, &variables)?.is_truthy() {
        return Ok(None);
    }
    if iteration >= i64::from(cycle.max_iterations) {
        return Err(Failure::new("loop_limit", format!("`until` does not hold after {iteration} rounds"))
            .hint("raise `max_iterations`, or look at what the rounds give"));
    }
    let mut next = inputs.clone();
    for (name, value) in outputs {
        if next.contains_key(name) {
            next.insert(name.clone(), value.clone());
        }
    }
    let next = lookup::nested_inputs(&cycle.plan, next)?;
    Ok(Some(next))
}

/// A failure inside a child flow as its node tells it.
pub(super) fn in_child(inner: LineFailure, index: Option<u32>) -> Failure {
    let item = index.map_or(String::new(), |index| format!("[{index}]"));
    let place = match (&inner.path, index) {
        (path, _) if path.is_root() => format!("the inner flow{item}"),
        (path, _) => format!("node `{path}`"),
    };
    within(inner.failure, &place)
}

fn within(inner: Failure, place: &str) -> Failure {
    let mut causes = vec![inner.message];
    causes.extend(inner.causes);
    Failure { code: inner.code, message: format!("{place} failed"), causes, hint: inner.hint, details: inner.details }
}

impl Progress {
    pub(super) fn child_path(&self, key: FlowKey, node: NodeId) -> NodePath {
        self.flows.get(key).map(|flow| flow.path_of(node)).unwrap_or_default()
    }
}
