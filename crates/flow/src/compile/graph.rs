//! Who waits for whom, and that nobody waits for themselves.

use std::collections::HashMap;

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use sluicegate_source::{Problem, Span};

use super::operand::Scope;
use super::session::Session;
use crate::plan::{NodeId, NodeName};

/// `to` reads the output of `from`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    /// Where it says so.
    pub(super) at: Span,
}

impl Session<'_> {
    /// Builds the graph of a flow's nodes; a node that is not upstream of its reader makes a cycle, and each cycle is
    /// a problem that names the way round.
    pub(super) fn graph(&mut self, scope: &Scope, names: &[NodeName]) -> DiGraph<NodeId, ()> {
        let mut graph = DiGraph::with_capacity(names.len(), scope.edges.len());
        for index in 0..names.len() {
            graph.add_node(NodeId(index as u32));
        }
        let mut places: HashMap<(NodeId, NodeId), Span> = HashMap::with_capacity(scope.edges.len());
        for edge in &scope.edges {
            if edge.from == edge.to {
                let name = name_of(names, edge.to);
                let message = format!("node `{name}` reads its own output");
                self.report(scope.problem("flow::own_output", edge.at, message));
            } else if places.insert((edge.from, edge.to), edge.at).is_none() {
                graph.add_edge(NodeIndex::new(edge.from.index()), NodeIndex::new(edge.to.index()), ());
            }
        }
        for component in tarjan_scc(&graph) {
            if component.len() > 1 {
                let cycle = shortest_cycle(&graph, &component);
                self.report(cycle_problem(scope, names, &cycle, &places));
            }
        }
        graph
    }
}

/// The shortest way from the component's first node (in the order of the file) back to itself.
fn shortest_cycle(graph: &DiGraph<NodeId, ()>, component: &[NodeIndex]) -> Vec<NodeId> {
    let members: std::collections::HashSet<NodeIndex> = component.iter().copied().collect();
    let Some(&start) = component.iter().min() else { return Vec::new() };
    let mut came_from: HashMap<NodeIndex, NodeIndex> = HashMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(here) = queue.pop_front() {
        for next in graph.neighbors(here) {
            if next == start {
                let mut way = vec![graph[here]];
                let mut at = here;
                while let Some(&before) = came_from.get(&at) {
                    way.push(graph[before]);
                    at = before;
                }
                way.reverse();
                return way;
            }
            if members.contains(&next) && !came_from.contains_key(&next) {
                came_from.insert(next, here);
                queue.push_back(next);
            }
        }
    }
    Vec::new()
}

fn cycle_problem(
    scope: &Scope,
    names: &[NodeName],
    cycle: &[NodeId],
    places: &HashMap<(NodeId, NodeId), Span>,
) -> Problem {
    let way: Vec<&str> = cycle.iter().chain(cycle.first()).map(|id| name_of(names, *id)).collect();
    let mut problem = Problem::error("flow::cycle", format!("nodes wait for each other: `{}`", way.join("` -> `")))
        .in_file(&scope.file);
    let mut steps: Vec<(Span, NodeId, NodeId)> = cycle
        .iter()
        .zip(cycle.iter().skip(1).chain(cycle.first()))
        .filter_map(|(from, to)| Some((*places.get(&(*from, *to))?, *from, *to)))
        .collect();
    steps.sort_by_key(|(span, ..)| *span);
    for (span, from, to) in steps {
        problem = problem.at(span, format!("`{}` waits for `{}`", name_of(names, to), name_of(names, from)));
    }
    problem.help("a node can read only what runs before it; to repeat something, use a `loop` node")
}

fn name_of(names: &[NodeName], id: NodeId) -> &str {
    names.get(id.index()).map_or("", |name| &name.0)
}
