//! Objects that are lost at any moment are made again, and the line ends as if nothing had been lost.

use indexmap::IndexMap;
use petgraph::graph::DiGraph;
use proptest::prelude::*;
use sluicegate_events::{Event, EventKind, Outcome, RunId, Scope};
use sluicegate_flow::plan::*;
use sluicegate_model::Usage;
use sluicegate_source::{SourceFile, Span};
use sluicegate_value::Handle;

use super::*;

/// A node: what it reads, and whether it is a flow (`Some(1)`), or one for each of so many items.
#[derive(Clone, Debug)]
struct Sketch {
    reads: Vec<usize>,
    inside: Option<usize>,
    aggregation: bool,
}

fn place() -> Place {
    Place { file: SourceFile::new("flow.dag.yaml", ""), span: Span::new(0, 0) }
}

fn node(name: &str, kind: NodeKind, inputs: IndexMap<Arc<str>, Operand>) -> Node {
    Node {
        name: name.into(),
        kind,
        inputs,
        activate: None,
        aggregation: false,
        retry: None,
        timeout: None,
        on_filtered: OnFiltered::default(),
        role_headers: true,
        cache: None,
        at: place(),
    }
}

fn whole(node: usize) -> Operand {
    Operand::Output { node: NodeId(node as u32), property: Arc::default(), written: "".into() }
}

fn plan_of(inputs: &[&str], nodes: Vec<Node>) -> Arc<Plan> {
    let spec = |_: &&str| InputSpec {
        kind: InputType::Untouched,
        default: Some(Value::Null),
        secret: false,
        description: None,
        at: place(),
    };
    let mut graph = DiGraph::new();
    (0..nodes.len()).for_each(|index| {
        graph.add_node(NodeId(index as u32));
    });
    for (index, node) in nodes.iter().enumerate() {
        for read in node.operands().filter_map(Operand::node) {
            graph.add_edge(read.0.into(), (index as u32).into(), ());
        }
    }
    let output = |index: usize| OutputSpec { from: whole(index), evaluation_only: false, at: place() };
    Arc::new(Plan {
        name: "test".into(),
        folder: ".".into(),
        inputs: inputs.iter().map(|name| (Arc::from(*name), spec(name))).collect(),
        outputs: (0..nodes.len())
            .filter(|index| !nodes[*index].aggregation)
            .map(|index| (format!("o{index}").into(), output(index)))
            .collect(),
        graph,
        nodes,
        environment_variables: IndexMap::new(),
        message_format: MessageFormat::Basic,
        chat: None,
        needs: Vec::new(),
        hash: "".into(),
        sample: None,
        includes: Vec::new(),
        requirements: None,
        flex: None,
    })
}

fn python(name: &str, inputs: IndexMap<Arc<str>, Operand>) -> Node {
    node(name, NodeKind::Python(PythonNode::default()), inputs)
}

/// Two nodes in a row, of which the first takes what the flow is given.
fn inner() -> Arc<Plan> {
    let given = ["i0", "i1", "i2", "i3", "item"];
    let first = given.iter().map(|name| (Arc::from(*name), Operand::Input((*name).into()))).collect();
    plan_of(&given, vec![python("a", first), python("b", IndexMap::from([("a".into(), whole(0))]))])
}

fn plan(sketches: &[Sketch]) -> Arc<Plan> {
    let nodes = sketches.iter().enumerate().map(|(index, sketch)| {
        let inputs = sketch.reads.iter().map(|read| (format!("i{read}").into(), whole(*read))).collect();
        let kind = match sketch.inside {
            None => NodeKind::Python(PythonNode::default()),
            Some(1) => NodeKind::Flow(inner()),
            Some(items) => NodeKind::Map(MapNode {
                plan: inner(),
                over: Operand::Literal(vec![Value::Int(1); items].into()),
                item: "item".into(),
                concurrency: Some(2),
            }),
        };
        Node { aggregation: sketch.aggregation, ..node(&format!("n{index}"), kind, inputs) }
    });
    plan_of(&[], nodes.collect())
}

/// Objects are told by the worker that they live in, and by what they are made of.
fn object(path: &NodePath, worker: usize, read: &[Value]) -> Value {
    let read: Vec<String> = read.iter().map(Value::to_json).collect();
    let json = Some(Value::from(format!("{path}({})", read.join(","))));
    let (worker, type_name) = (format!("w{worker}").into(), "Thing".into());
    Value::Handle(Arc::new(Handle { worker, id: 1, type_name, preview: String::new(), json }))
}

struct Player {
    plan: Arc<Plan>,
    progress: Progress,
    events: Vec<Event>,
    running: Vec<Start>,
    /// The worker that lives.
    worker: usize,
    /// How often each node gave something.
    made: usize,
}

impl Player {
    fn new(plan: &Arc<Plan>) -> Self {
        let progress = Progress::new(plan.clone(), Map::new()).with_aggregation();
        Self { plan: plan.clone(), progress, events: Vec::new(), running: Vec::new(), worker: 0, made: 0 }
    }

    fn tell(&mut self, path: &NodePath, attempt: u32, kind: EventKind) {
        let scope = Scope { path: path.clone(), attempt, ..Scope::default() };
        let (at, run) = (jiff::Timestamp::UNIX_EPOCH, RunId("r".into()));
        let event = Event { seq: 0, at, run, scope, trace: None, redacted: false, kind };
        self.progress.apply(&event).unwrap();
        self.events.push(event);
    }

    fn finish(&mut self, path: &NodePath, attempt: u32, outcome: Outcome) {
        self.tell(path, attempt, EventKind::NodeFinished { outcome, usage: Usage::default() });
    }

    fn complete(&mut self, path: &NodePath, attempt: u32, output: Value) {
        let opaque = output.holds_handle();
        let outcome = Outcome::Completed { output, headers: Vec::new(), opaque, properties: Vec::new() };
        self.finish(path, attempt, outcome);
    }

    fn hand_out(&mut self) {
        loop {
            let work = self.progress.next(4);
            if work.is_empty() {
                return;
            }
            for work in work {
                match work {
                    Work::Start(start) => {
                        let kind = EventKind::NodeStarted { node_kind: "python".into(), inputs: Value::Null };
                        self.tell(&start.path.clone(), start.attempt, kind);
                        if start.node.node().kind.inner().is_none() {
                            self.running.push(start);
                        }
                    }
                    Work::Finish { path, attempt, output, .. } => self.complete(&path, attempt, output),
                    Work::Cancel { path } => {
                        let attempt = self.progress.attempt_of(&path);
                        self.running.retain(|start| start.path != path);
                        self.finish(&path, attempt, Outcome::Cancelled);
                    }
                    Work::Bypass { path, .. } | Work::Fail { path, .. } => panic!("{path} does not fail"),
                }
            }
        }
    }

    /// A node that runs ends: by what it made, or since what it needs is gone.
    fn end(&mut self, index: usize) {
        let start = self.running.remove(index);
        let read: Vec<Value> = start.inputs.bindings.iter().map(|input| input.value.clone()).collect();
        let lives = format!("w{}", self.worker);
        let gone = |value: &Value| match value {
            Value::Handle(handle) if *handle.worker != *lives => Some(handle.worker.to_string()),
            _ => None,
        };
        let gone = read.iter().flat_map(|value| value.as_list().unwrap_or(std::slice::from_ref(value))).find_map(gone);
        match gone {
            None => {
                self.made += 1;
                self.complete(&start.path, start.attempt, object(&start.path, self.worker, &read));
            }
            Some(worker) => {
                self.finish(&start.path, start.attempt, Outcome::Cancelled);
                let lost = EventKind::ObjectsLost { worker, objects: Vec::new(), nodes: Vec::new() };
                self.tell(&NodePath::default(), 0, lost);
            }
        }
    }

    /// Another process goes on with what was recorded.
    fn resume(self) -> Self {
        let mut next = Self { worker: self.worker + 1, made: self.made, ..Self::new(&self.plan) };
        for event in self.events {
            next.progress.apply(&event).unwrap();
            next.events.push(event);
        }
        let resumed = EventKind::RunResumed { repeated_calls: 0, repeated_nodes: 0 };
        next.tell(&NodePath::default(), 0, resumed);
        next
    }

    /// Plays to the end; each step says which node ends, and whether its worker is lost (1) or the process (2) before.
    fn play(mut self, steps: &[(usize, u8)]) -> (Map, usize) {
        let mut steps = steps.iter().copied();
        loop {
            self.hand_out();
            if self.running.is_empty() {
                let outcome = self.progress.outcome().expect("nothing runs, so the line is over");
                return (outcome.result.expect("nothing fails"), self.made);
            }
            let (index, loss) = steps.next().unwrap_or((0, 0));
            match loss {
                1 => self.worker += 1,
                2 => {
                    self = self.resume();
                    continue;
                }
                _ => {}
            }
            let index = index % self.running.len();
            self.end(index);
        }
    }
}

fn sketches() -> impl Strategy<Value = Vec<Sketch>> {
    let one = (
        prop::collection::btree_set(0_usize..4, 0..3),
        prop::option::weighted(0.3, 1_usize..4),
        prop::bool::weighted(0.3),
    );
    prop::collection::vec(one, 1..6).prop_map(|nodes| {
        let mut sketches: Vec<Sketch> = Vec::new();
        for (reads, inside, aggregation) in nodes {
            // Nodes of the line do not read aggregation nodes.
            let may_read = |read: &usize| sketches.get(*read).is_some_and(|read| aggregation || !read.aggregation);
            let reads = reads.into_iter().filter(may_read).collect();
            sketches.push(Sketch { reads, inside: inside.filter(|_| !aggregation), aggregation });
        }
        sketches
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_is_lost_the_line_ends_as_if_nothing_was(
        sketches in sketches(),
        steps in prop::collection::vec((0_usize..4, prop_oneof![6 => Just(0_u8), 1 => Just(1), 1 => Just(2)]), 0..40),
    ) {
        let plan = plan(&sketches);
        let (expected, made) = Player::new(&plan).play(&[]);
        let (found, made_again) = Player::new(&plan).play(&steps);
        prop_assert_eq!(found, expected);
        prop_assert!(made_again >= made);
        if steps.iter().all(|(_, loss)| *loss == 0) {
            prop_assert_eq!(made_again, made);
        }
    }
}

#[test]
fn what_runs_already_goes_on_and_only_what_is_needed_is_made_again() {
    let reads = |reads: &[usize]| Sketch { reads: reads.to_vec(), inside: None, aggregation: false };
    // n0 is read by n1 and n2; n3 reads nothing that is lost and is over.
    let plan = plan(&[reads(&[]), reads(&[0]), reads(&[0]), reads(&[])]);
    let mut player = Player::new(&plan);
    player.hand_out();
    player.end(1);
    player.end(0);
    player.hand_out();
    // n1 has what it needs already; n2 finds that it is gone.
    let of = |player: &Player, name: &str| player.running.iter().position(|start| start.path.to_string() == name);
    let first = of(&player, "n1").expect("runs");
    player.end(first);
    player.worker += 1;
    let second = of(&player, "n2").expect("runs");
    player.end(second);
    assert_eq!(player.progress.nodes_to_repeat(Gone::Past), []);
    player.hand_out();
    let running: Vec<String> = player.running.iter().map(|start| start.path.to_string()).collect();
    assert_eq!(running, ["n0"]);
    let (_, made) = player.play(&[]);
    assert_eq!(made, 5);
}
