use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use petgraph::graph::DiGraph;
use proptest::prelude::*;
use sluicegate_events::{Event, EventKind, Outcome, RunId, Scope};
use sluicegate_flow::plan::*;
use sluicegate_model::Usage;
use sluicegate_source::{SourceFile, Span};

use super::*;

/// A node that does something, made by hand: what it reads, and when it runs.
#[derive(Clone, Debug, Default)]
struct Sketch {
    reads: Vec<usize>,
    /// Runs only if this flow input is true.
    only_if: Option<&'static str>,
    aggregation: bool,
    inside: Option<Inner>,
}

#[derive(Clone, Debug)]
enum Inner {
    Flow(Arc<Plan>),
    /// Over flow input `items`.
    Map(Arc<Plan>, Option<usize>),
}

fn place() -> Place {
    Place { file: SourceFile::new("flow.dag.yaml", ""), span: Span::new(0, 0) }
}

fn whole(node: usize) -> Operand {
    Operand::Output { node: NodeId(node as u32), property: Arc::default(), written: "".into() }
}

/// A plan whose node `n3` is the fourth sketch and whose outputs are all its nodes'.
fn plan(sketches: &[Sketch]) -> Arc<Plan> {
    let mut graph = DiGraph::new();
    let mut nodes = Vec::new();
    for (index, sketch) in sketches.iter().enumerate() {
        graph.add_node(NodeId(index as u32));
        let kind = match &sketch.inside {
            None => NodeKind::Python(PythonNode::default()),
            Some(Inner::Flow(plan)) => NodeKind::Flow(plan.clone()),
            Some(Inner::Map(plan, concurrency)) => NodeKind::Map(MapNode {
                plan: plan.clone(),
                over: Operand::Input("items".into()),
                item: "item".into(),
                concurrency: *concurrency,
            }),
        };
        nodes.push(Node {
            name: format!("n{index}").as_str().into(),
            kind,
            inputs: sketch.reads.iter().map(|read| (format!("i{read}").into(), whole(*read))).collect(),
            activate: sketch
                .only_if
                .map(|name| Activate::Equals { when: Operand::Input(name.into()), is: Value::Bool(true) }),
            aggregation: sketch.aggregation,
            retry: None,
            timeout: None,
            on_filtered: OnFiltered::default(),
            role_headers: true,
            cache: None,
            at: place(),
        });
    }
    for (index, sketch) in sketches.iter().enumerate() {
        for read in &sketch.reads {
            graph.add_edge((*read as u32).into(), (index as u32).into(), ());
        }
    }
    let outputs = (0..sketches.len())
        .filter(|index| !sketches[*index].aggregation)
        .map(|index| {
            (format!("o{index}").into(), OutputSpec { from: whole(index), evaluation_only: false, at: place() })
        })
        .collect();
    Arc::new(Plan {
        name: "test".into(),
        folder: ".".into(),
        inputs: IndexMap::new(),
        outputs,
        nodes,
        graph,
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

fn reads(edges: &[&[usize]]) -> Vec<Sketch> {
    edges.iter().map(|reads| Sketch { reads: reads.to_vec(), ..Sketch::default() }).collect()
}

/// What a node gives: its path and what it read, so that a wrong order shows in the outputs.
fn product(start: &Start) -> Value {
    let read: Vec<Value> = start.inputs.bindings.iter().map(|input| input.value.clone()).collect();
    vec![Value::from(start.path.to_string()), read.into()].into()
}

/// Plays the engine: does work in an order that `choose` picks and records what happened.
struct Player {
    progress: Progress,
    events: Vec<Event>,
    running: Vec<Start>,
    started: Vec<String>,
    failing: BTreeSet<String>,
    attempts: BTreeMap<NodePath, u32>,
}

impl Player {
    fn new(progress: Progress) -> Self {
        let (events, running, started) = (Vec::new(), Vec::new(), Vec::new());
        Self { progress, events, running, started, failing: BTreeSet::new(), attempts: BTreeMap::new() }
    }

    fn tell(&mut self, path: &NodePath, attempt: u32, kind: EventKind) {
        let event = Event {
            seq: self.events.len() as u64 + 1,
            at: jiff::Timestamp::UNIX_EPOCH,
            run: RunId("r".into()),
            scope: Scope { path: path.clone(), attempt, ..Scope::default() },
            trace: None,
            redacted: false,
            kind,
        };
        self.progress.apply(&event).unwrap();
        self.events.push(event);
    }

    fn finish(&mut self, path: &NodePath, attempt: u32, outcome: Outcome) {
        self.tell(path, attempt, EventKind::NodeFinished { outcome, usage: Usage::default() });
    }

    /// Does everything that is handed out except ending the nodes that run. Returns whether there was anything.
    fn hand_out(&mut self, room: usize) -> bool {
        let work = self.progress.next(room);
        let any = !work.is_empty();
        for work in work {
            match work {
                Work::Start(start) => {
                    let inside = start.node.node().kind.inner().is_some();
                    self.attempts.insert(start.path.clone(), start.attempt);
                    self.tell(
                        &start.path.clone(),
                        start.attempt,
                        EventKind::NodeStarted { node_kind: "python".into(), inputs: Value::Null },
                    );
                    if !inside {
                        self.started.push(start.path.to_string());
                        self.running.push(start);
                    }
                }
                Work::Bypass { path, attempt, .. } => self.finish(&path, attempt, Outcome::Bypassed),
                Work::Finish { path, attempt, output, .. } => {
                    self.finish(
                        &path,
                        attempt,
                        Outcome::Completed { output, headers: Vec::new(), opaque: false, properties: Vec::new() },
                    );
                }
                Work::Fail { path, attempt, failure, .. } => {
                    self.finish(&path, attempt, Outcome::Failed { failure });
                }
                Work::Cancel { path } => {
                    let attempt = self.attempts[&path];
                    self.running.retain(|start| start.path != path);
                    self.finish(&path, attempt, Outcome::Cancelled);
                }
            }
        }
        any
    }

    fn end(&mut self, index: usize) {
        let start = self.running.remove(index);
        let outcome = if self.failing.contains(&start.path.to_string()) {
            Outcome::Failed { failure: Failure::new("boom", "it broke") }
        } else {
            Outcome::Completed { output: product(&start), headers: Vec::new(), opaque: false, properties: Vec::new() }
        };
        self.finish(&start.path, start.attempt, outcome);
    }

    fn run(&mut self, mut choose: impl FnMut(usize) -> usize) -> LineOutcome {
        loop {
            while self.hand_out(4) {}
            if self.running.is_empty() {
                return self.progress.outcome().expect("nothing runs and nothing is left, so the line is over");
            }
            let index = choose(self.running.len());
            self.end(index);
        }
    }
}

fn check_waves(sketches: &[Sketch], expected: &str) {
    let mut player = Player::new(Progress::new(
        plan(sketches),
        Map::from([("items", vec![Value::Int(1), Value::Int(2), Value::Int(3)])]),
    ));
    let mut waves = Vec::new();
    loop {
        while player.hand_out(100) {}
        if player.running.is_empty() {
            break;
        }
        let names: Vec<String> = player.running.iter().map(|start| start.path.to_string()).collect();
        waves.push(names.join(" "));
        while !player.running.is_empty() {
            player.end(0);
        }
    }
    assert!(player.progress.outcome().unwrap().result.is_ok());
    assert_eq!(waves.join(" | "), expected);
}

#[test]
fn a_diamond_runs_its_sides_together() {
    check_waves(&reads(&[&[], &[0], &[0], &[1, 2]]), "n0 | n1 n2 | n3");
}

#[test]
fn the_order_of_the_file_does_not_matter() {
    check_waves(&reads(&[&[1], &[2], &[]]), "n2 | n1 | n0");
}

#[test]
fn a_map_runs_as_many_items_at_once_as_it_says() {
    let inner = plan(&reads(&[&[], &[0]]));
    let map = Sketch { inside: Some(Inner::Map(inner, Some(2))), ..Sketch::default() };
    check_waves(&[map], "n0[0]/n0 n0[1]/n0 | n0[0]/n1 n0[1]/n1 | n0[2]/n0 | n0[2]/n1");
}

#[test]
fn a_flow_inside_a_flow_runs_as_a_node() {
    let inner = plan(&reads(&[&[]]));
    let outer = plan(&[Sketch { inside: Some(Inner::Flow(inner)), ..Sketch::default() }]);
    let sketches = [
        Sketch { inside: Some(Inner::Flow(outer)), ..Sketch::default() },
        Sketch { reads: vec![0], ..Sketch::default() },
    ];
    check_waves(&sketches, "n0/n0/n0 | n1");
}

#[test]
fn flows_without_nodes_are_over_at_once() {
    let empty = plan(&[]);
    let mut map = Player::new(Progress::new(
        plan(&[Sketch { inside: Some(Inner::Map(empty, None)), ..Sketch::default() }]),
        Map::from([("items", vec![Value::Null; 20_000])]),
    ));
    let outputs = map.run(|_| 0).result.unwrap();
    assert_eq!(outputs.get("o0").unwrap().as_list().unwrap().len(), 20_000);
    assert!(Progress::new(plan(&[]), Map::new()).outcome().unwrap().result.is_ok());
}

#[test]
fn what_reads_only_bypassed_nodes_is_bypassed() {
    let mut sketches = reads(&[&[], &[0], &[0, 3], &[]]);
    sketches[0].only_if = Some("go");
    let mut player = Player::new(Progress::new(plan(&sketches), Map::from([("go", false)])));
    let outputs = player.run(|_| 0).result.unwrap();
    assert_eq!(player.started, ["n3", "n2"]);
    assert_eq!(outputs.get("o1"), Some(&Value::Null));
    assert_eq!(outputs.get("o2").unwrap().to_json(), r#"["n2",[null,["n3",[]]]]"#);
}

#[test]
fn a_failure_stops_what_runs_and_begins_nothing_more() {
    let inner = plan(&reads(&[&[], &[0]]));
    let mut sketches = reads(&[&[], &[], &[0]]);
    sketches.push(Sketch { inside: Some(Inner::Flow(inner)), ..Sketch::default() });
    let mut player = Player::new(Progress::new(plan(&sketches), Map::new()));
    player.failing.insert("n0".into());
    let failed = player.run(|_| 0).result.unwrap_err();
    assert_eq!(failed.path.to_string(), "n0");
    assert_eq!(player.started, ["n0", "n1", "n3/n0"]);
    let cancelled: Vec<String> = player
        .events
        .iter()
        .filter(|event| matches!(&event.kind, EventKind::NodeFinished { outcome: Outcome::Cancelled, .. }))
        .map(|event| event.scope.path.to_string())
        .collect();
    assert_eq!(cancelled, ["n1", "n3/n0", "n3"], "what is inside is over before what holds it");
}

#[test]
fn a_failure_inside_tells_where() {
    let inner = plan(&reads(&[&[], &[0]]));
    let map = Sketch { inside: Some(Inner::Map(inner, None)), ..Sketch::default() };
    let mut player = Player::new(Progress::new(plan(&[map]), Map::from([("items", vec![Value::Null; 3])])));
    player.failing.insert("n0[1]/n1".into());
    let failed = player.run(|_| 0).result.unwrap_err();
    assert_eq!(failed.path.to_string(), "n0");
    assert_eq!(failed.failure.code, "boom");
    assert_eq!(failed.failure.message, "node `n0[1]/n1` failed");
    assert_eq!(failed.failure.causes, ["it broke"]);
}

#[test]
fn a_map_over_something_else_fails() {
    let map = Sketch { inside: Some(Inner::Map(plan(&[]), None)), ..Sketch::default() };
    let mut player = Player::new(Progress::new(plan(&[map]), Map::from([("items", "text")])));
    let failed = player.run(|_| 0).result.unwrap_err();
    assert_eq!(failed.failure.message, "`over` is no list, it is str");
}

#[test]
fn aggregation_nodes_follow_the_line_with_lists_of_one() {
    let mut sketches = reads(&[&[], &[0], &[1]]);
    sketches[1].aggregation = true;
    sketches[2].aggregation = true;
    let mut player = Player::new(Progress::new(plan(&sketches), Map::new()).with_aggregation());
    assert!(player.run(|_| 0).aggregation_failure.is_none());
    assert_eq!(player.started, ["n0", "n1", "n2"]);
    let Some(Event { kind: EventKind::NodeFinished { outcome: Outcome::Completed { output, .. }, .. }, .. }) =
        player.events.last()
    else {
        panic!()
    };
    assert_eq!(output.to_json(), r#"["n2",[["n1",[[["n0",[]]]]]]]"#, "other aggregation nodes are read as they are");
}

#[test]
fn a_failing_aggregation_node_does_not_fail_the_line() {
    let mut sketches = reads(&[&[], &[0]]);
    sketches[1].aggregation = true;
    let mut player = Player::new(Progress::new(plan(&sketches), Map::new()).with_aggregation());
    player.failing.insert("n1".into());
    let outcome = player.run(|_| 0);
    assert!(outcome.result.is_ok());
    assert_eq!(outcome.aggregation_failure.unwrap().path.to_string(), "n1");
}

#[test]
fn aggregation_nodes_that_read_no_node_do_not_run() {
    let mut sketches = reads(&[&[], &[]]);
    sketches[1].aggregation = true;
    let mut player = Player::new(Progress::new(plan(&sketches), Map::new()).with_aggregation());
    player.run(|_| 0);
    assert_eq!(player.started, ["n0"]);
}

#[test]
fn events_out_of_order_are_errors() {
    let plan = plan(&reads(&[&[], &[0]]));
    let mut player = Player::new(Progress::new(plan.clone(), Map::new()));
    player.run(|_| 0);
    let events = player.events;
    for skipped in 0..events.len() - 1 {
        let mut progress = Progress::new(plan.clone(), Map::new());
        let applied = events
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != skipped)
            .try_for_each(|(_, event)| progress.apply(event));
        assert!(applied.is_err(), "without event {skipped}");
    }
    for twice in 0..events.len() {
        let mut progress = Progress::new(plan.clone(), Map::new());
        events[..=twice].iter().for_each(|event| progress.apply(event).unwrap());
        assert!(progress.apply(&events[twice]).is_err(), "event {twice} twice");
    }
    let mut stranger = events[0].clone();
    stranger.scope.path = NodePath::default().child(&"nobody".into());
    assert_eq!(Progress::new(plan, Map::new()).apply(&stranger).unwrap_err().message, "there is no node `nobody`");
}

#[test]
fn a_waiting_node_goes_on_when_its_event_comes() {
    let plan = plan(&reads(&[&[], &[0]]));
    let mut player = Player::new(Progress::new(plan, Map::new()));
    player.hand_out(9);
    let start = player.running.pop().unwrap();
    player.finish(&start.path, 1, Outcome::Waiting { wait_for: WaitFor::Event("go".into()) });
    assert!(!player.hand_out(9));
    assert!(player.progress.outcome().is_none());
    assert_eq!(player.progress.held().next().unwrap().path, start.path);
    let root = NodePath::default();
    player.tell(&root, 0, EventKind::EventReceived { name: "other".into(), data: Value::Null });
    assert!(!player.hand_out(9));
    player.tell(&root, 0, EventKind::EventReceived { name: "go".into(), data: Value::Int(7) });
    player.hand_out(9);
    let again = player.running[0].clone();
    assert_eq!((again.attempt, again.received), (2, Some(Value::Int(7))));
    assert!(player.run(|_| 0).result.is_ok());
}

#[test]
fn stopping_cancels_what_runs_and_the_rest_can_be_resumed() {
    let inner = plan(&reads(&[&[], &[0]]));
    let mut sketches = reads(&[&[], &[0]]);
    sketches.push(Sketch { inside: Some(Inner::Map(inner, Some(1))), ..Sketch::default() });
    let plan = plan(&sketches);
    let inputs = Map::from([("items", vec![Value::Int(1), Value::Int(2)])]);
    let mut whole = Player::new(Progress::new(plan.clone(), inputs.clone()));
    let expected = whole.run(|_| 0);
    let mut stopped = Player::new(Progress::new(plan.clone(), inputs.clone()));
    while stopped.hand_out(9) {}
    stopped.end(1);
    while stopped.hand_out(9) {}
    stopped.progress.stop();
    while stopped.hand_out(9) {}
    assert!(stopped.running.is_empty());
    let mut resumed = Player::new(Progress::new(plan, inputs));
    for event in &stopped.events {
        resumed.progress.apply(event).unwrap();
    }
    assert_eq!(resumed.run(|_| 0), expected);
    assert!(!resumed.started.contains(&"n2[0]/n0".to_owned()), "it was done before");
}

fn sketches() -> impl Strategy<Value = Vec<Sketch>> {
    let node = |index: usize, deep: bool| {
        let inside = if deep { 0..10u8 } else { 9..10u8 };
        (prop::collection::btree_set(0..index.max(1), 0..3), inside, 0..6u8, prop::option::of(1..3usize)).prop_map(
            move |(reads, inside, condition, concurrency)| Sketch {
                reads: reads.into_iter().filter(|read| *read < index).collect(),
                only_if: match condition {
                    0 => Some("no"),
                    1 => Some("yes"),
                    _ => None,
                },
                aggregation: false,
                inside: match inside {
                    0 => Some(Inner::Flow(plan(&reads_of_three()))),
                    1 => Some(Inner::Map(plan(&reads_of_three()), concurrency)),
                    2 => Some(Inner::Map(plan(&[]), concurrency)),
                    _ => None,
                },
            },
        )
    };
    (1..9usize, any::<bool>())
        .prop_flat_map(move |(count, deep)| (0..count).map(|index| node(index, deep)).collect::<Vec<_>>())
}

fn reads_of_three() -> Vec<Sketch> {
    reads(&[&[], &[], &[0, 1]])
}

fn inputs() -> Map {
    let items: Vec<Value> = (0..4).map(Value::Int).collect();
    Map::from([("items", Value::from(items)), ("yes", true.into()), ("no", false.into())])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn every_node_runs_once_and_after_its_upstream(sketches in sketches(), choices in prop::collection::vec(0..64usize, 200)) {
        let mut choices = choices.into_iter().cycle();
        let mut player = Player::new(Progress::new(plan(&sketches), inputs()));
        let outcome = player.run(|count| choices.next().unwrap() % count);
        prop_assert!(outcome.result.is_ok());
        let unique: BTreeSet<&String> = player.started.iter().collect();
        prop_assert_eq!(unique.len(), player.started.len());
        let mut finished: BTreeMap<String, usize> = BTreeMap::new();
        for (position, event) in player.events.iter().enumerate() {
            let path = event.scope.path.to_string();
            match &event.kind {
                EventKind::NodeFinished { .. } => { finished.insert(path, position); }
                EventKind::NodeStarted { .. } if !path.contains('/') => {
                    let index: usize = path[1..].parse().unwrap();
                    for read in &sketches[index].reads {
                        let name = format!("n{read}");
                        prop_assert!(finished.contains_key(&name));
                    }
                }
                _ => {}
            }
        }
        for index in 0..sketches.len() {
            let name = format!("n{index}");
            prop_assert!(finished.contains_key(&name));
        }
    }

    #[test]
    fn any_prefix_resumed_ends_the_same(
        sketches in sketches(),
        choices in prop::collection::vec(0..64usize, 200),
        failing in prop::option::of(0..9usize),
        cut in any::<prop::sample::Index>(),
    ) {
        let plan = plan(&sketches);
        let mut choices = choices.into_iter().cycle();
        let mut player = Player::new(Progress::new(plan.clone(), inputs()));
        player.failing.extend(failing.map(|index| format!("n{index}")));
        let expected = player.run(|count| choices.next().unwrap() % count);
        let cut = cut.index(player.events.len() + 1);
        let mut resumed = Player::new(Progress::new(plan, inputs()));
        resumed.failing = player.failing.clone();
        let mut done = BTreeSet::new();
        for event in &player.events[..cut] {
            resumed.progress.apply(event).unwrap();
            if matches!(&event.kind, EventKind::NodeFinished { outcome: Outcome::Completed { .. }, .. }) {
                done.insert(event.scope.path.to_string());
            }
        }
        let found = resumed.run(|count| choices.next().unwrap() % count);
        prop_assert_eq!(found, expected);
        for again in &resumed.started {
            prop_assert!(!done.contains(again), "{} ran twice", again);
        }
    }
}
