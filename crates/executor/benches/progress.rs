//! What scheduling costs: a plan of 1,000 nodes from its first node to its last, without doing any work.
//!
//! Target: 5 µs per node, so 5 ms a round.

use std::sync::Arc;

use indexmap::IndexMap;
use petgraph::graph::DiGraph;
use sluicegate_events::{Event, EventKind, Outcome, RunId, Scope};
use sluicegate_executor::Progress;
use sluicegate_executor::progress::Work;
use sluicegate_flow::plan::{
    MessageFormat, Node, NodeId, NodeKind, OnFiltered, Operand, OutputSpec, Place, Plan, PythonNode,
};
use sluicegate_model::Usage;
use sluicegate_source::{SourceFile, Span};
use sluicegate_value::{Map, Value};

const NODES: usize = 1000;

fn main() {
    divan::main();
}

/// Each node reads up to three of those before it.
fn plan() -> Arc<Plan> {
    let place = Place { file: SourceFile::new("flow.dag.yaml", ""), span: Span::new(0, 0) };
    let whole =
        |node: usize| Operand::Output { node: NodeId(node as u32), property: Arc::default(), written: "".into() };
    let mut graph = DiGraph::new();
    let mut nodes = Vec::new();
    for index in 0..NODES {
        graph.add_node(NodeId(index as u32));
        let mut inputs = IndexMap::from([("q".into(), Operand::Input("q".into()))]);
        for back in [1, 7, 50] {
            if index % 10 >= back % 10 && index >= back {
                inputs.insert(format!("i{back}").into(), whole(index - back));
                graph.add_edge(((index - back) as u32).into(), (index as u32).into(), ());
            }
        }
        nodes.push(Node {
            name: format!("n{index}").as_str().into(),
            kind: NodeKind::Python(PythonNode::default()),
            inputs,
            activate: None,
            aggregation: false,
            retry: None,
            timeout: None,
            cache: None,
            on_filtered: OnFiltered::default(),
            role_headers: true,
            at: place.clone(),
        });
    }
    let last = OutputSpec { from: whole(NODES - 1), evaluation_only: false, at: place };
    Arc::new(Plan {
        name: "bench".into(),
        folder: ".".into(),
        inputs: IndexMap::new(),
        outputs: IndexMap::from([("r".into(), last)]),
        nodes,
        graph,
        environment_variables: IndexMap::new(),
        message_format: MessageFormat::Basic,
        chat: None,
        needs: Vec::new(),
        sample: None,
        includes: Vec::new(),
        requirements: None,
        flex: None,
        hash: "".into(),
    })
}

#[divan::bench]
fn a_thousand_nodes(bencher: divan::Bencher<'_, '_>) {
    let (plan, run) = (plan(), RunId("r".into()));
    bencher.counter(divan::counter::ItemsCount::new(NODES)).bench_local(|| {
        let mut progress = Progress::new(plan.clone(), Map::from([("q", "x")]));
        let mut seq = 0;
        let mut done = 0;
        loop {
            let work = progress.next(16);
            if work.is_empty() {
                break;
            }
            for work in work {
                let Work::Start(start) = work else { continue };
                let scope = Scope { path: start.path, attempt: start.attempt, ..Scope::default() };
                let output = Value::from("done");
                let kinds = [
                    EventKind::NodeStarted { node_kind: "python".to_owned(), inputs: Value::Null },
                    EventKind::NodeFinished {
                        outcome: Outcome::Completed {
                            output,
                            headers: Vec::new(),
                            opaque: false,
                            properties: Vec::new(),
                        },
                        usage: Usage::default(),
                    },
                ];
                for kind in kinds {
                    seq += 1;
                    let (at, run, scope) = (jiff::Timestamp::UNIX_EPOCH, run.clone(), scope.clone());
                    let applied = progress.apply(&Event { seq, at, run, scope, trace: None, redacted: false, kind });
                    assert!(applied.is_ok());
                }
                done += 1;
            }
        }
        assert_eq!(done, NODES);
        progress.outcome()
    });
}
