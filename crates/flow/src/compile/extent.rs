//! How large a flow is with all flows inside it. An inner flow is compiled once however often it is run, so that a few
//! lines can describe more nodes than any machine holds: `a` runs `b` twice, `b` runs `c` twice, and so on.

use std::sync::Arc;

use sluicegate_source::Problem;

use super::session::{Asked, Session};
use crate::plan::Plan;

/// The most flows inside one another.
pub(super) const MOST_NESTED: usize = 32;

/// The most nodes of a flow, those of inner flows counted wherever they are run.
const MOST_NODES: u64 = 100_000;

/// How large a plan is.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    /// Flows inside one another, this one included.
    depth: usize,
    /// Nodes in all.
    nodes: u64,
}

impl Session<'_> {
    /// Lets a plan through that is not too large, and remembers how large it is.
    pub(super) fn within_limits(&mut self, plan: Plan, asked: Option<Asked<'_>>) -> Option<Arc<Plan>> {
        let mut extent = Extent { depth: 1, nodes: 0 };
        for node in &plan.nodes {
            // Inner plans are held by `plans`, so that nothing else comes to lie where they are.
            let inner = node.kind.inner().and_then(|inner| self.extents.get(&Arc::as_ptr(inner)));
            let inner = inner.copied().unwrap_or(Extent { depth: 0, nodes: 0 });
            extent.depth = extent.depth.max(inner.depth + 1);
            extent.nodes = extent.nodes.saturating_add(1).saturating_add(inner.nodes);
        }
        if extent.depth > MOST_NESTED {
            self.too_deep(asked);
            return None;
        }
        if extent.nodes > MOST_NODES {
            let message = format!(
                "flow `{}` has more than {MOST_NODES} nodes, those of the flows inside it counted wherever they run",
                plan.name
            );
            let problem = Problem::error("flow::too_large", message)
                .help("run a flow for each item of a list with a `map` node, in place of many nodes that run it");
            self.report(placed(problem, asked));
            return None;
        }
        let plan = Arc::new(plan);
        self.extents.insert(Arc::as_ptr(&plan), extent);
        Some(plan)
    }

    pub(super) fn too_deep(&mut self, asked: Option<Asked<'_>>) {
        let message = format!("more than {MOST_NESTED} flows lie inside one another");
        let problem = Problem::error("flow::nested_too_deep", message)
            .help("to repeat a flow until something holds, use a `loop` node");
        self.report(placed(problem, asked));
    }
}

fn placed(problem: Problem, asked: Option<Asked<'_>>) -> Problem {
    match asked {
        Some(asked) => problem.in_file(asked.file).at(asked.at, ""),
        None => problem,
    }
}
