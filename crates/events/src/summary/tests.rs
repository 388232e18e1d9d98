use sluicegate_model::{ChatReply, EmbeddingReply, FilterState, Price};

use super::*;
use crate::{CallEnd, FetchEnd, Operation, PlanHashes, Scope};

/// Events at these seconds: of the run itself, or of a node.
fn summary(story: Vec<(i64, &str, EventKind)>) -> RunSummary {
    let events: Vec<Event> = story
        .into_iter()
        .enumerate()
        .map(|(index, (second, path, kind))| Event {
            seq: index as u64 + 1,
            at: Timestamp::from_second(second).unwrap(),
            run: RunId("r".into()),
            scope: Scope { path: NodePath::parse(path).unwrap(), ..Scope::default() },
            trace: None,
            redacted: false,
            kind,
        })
        .collect();
    RunSummary::of(&events)
}

fn begin() -> EventKind {
    let (flow, flow_path, hashes) = (String::new(), String::new(), PlanHashes::default());
    EventKind::RunStarted { flow, flow_path, environment: None, inputs: Map::new(), hashes, options: Map::new() }
}

fn node_begins() -> EventKind {
    EventKind::NodeStarted { node_kind: "llm".into(), inputs: Value::Null }
}

fn node_ends() -> EventKind {
    let outcome =
        Outcome::Completed { output: Value::Null, headers: Vec::new(), opaque: false, properties: Vec::new() };
    EventKind::NodeFinished { outcome, usage: Usage::default() }
}

fn call_ends(end: CallEnd, cost: Option<f64>) -> EventKind {
    EventKind::ModelCallFinished { call: 0, end, attempts: 1, first_chunk_us: None, cost }
}

fn replied(reply: ChatReply, cost: Option<f64>) -> EventKind {
    call_ends(CallEnd::Replied { reply: Box::new(reply) }, cost)
}

fn reply(cost: Option<f64>) -> EventKind {
    replied(ChatReply { usage: used(2, None), ..ChatReply::of_text("hi") }, cost)
}

fn used(input: u64, output: Option<u64>) -> Usage {
    Usage { input_tokens: Some(input), output_tokens: output, ..Usage::default() }
}

fn node<'a>(summary: &'a RunSummary, path: &str) -> &'a NodeSummary {
    &summary.nodes[&NodePath::parse(path).unwrap()]
}

#[test]
fn the_time_between_two_processes_is_nobodys() {
    let summary = summary(vec![
        (0, "", begin()),
        (1, "a", node_begins()),
        (3, "b", node_begins()),
        (1_000, "", EventKind::RunResumed { repeated_calls: 1, repeated_nodes: 0 }),
        (1_002, "a", node_begins()),
        (1_007, "a", node_ends()),
    ]);
    assert_eq!(summary.duration(), Duration::from_secs(3 + 7));
    assert_eq!(summary.nodes[0].duration(), Some(Duration::from_secs(2 + 5)));
    assert_eq!(summary.nodes[1].duration(), None);
}

#[test]
fn a_cost_is_known_if_all_of_it_is() {
    assert_eq!(summary(vec![(0, "", begin())]).cost(), Some(0.0));
    let priced = summary(vec![(0, "c[1]/a", reply(Some(0.5))), (0, "c[0]/a", reply(Some(0.25)))]);
    let of = |summary: &RunSummary, path| summary.nodes[&NodePath::parse(path).unwrap()].cost;
    assert_eq!((priced.cost(), of(&priced, "c"), of(&priced, "c[1]/a")), (Some(0.75), Some(0.75), Some(0.5)));
    assert_eq!(priced.usage().input_tokens, Some(4));
    let partly = summary(vec![(0, "c[1]/a", reply(None)), (0, "c[0]/a", reply(Some(0.25)))]);
    assert_eq!((partly.cost(), of(&partly, "c"), of(&partly, "c[0]/a")), (None, None, Some(0.25)));
}

#[test]
fn vectors_are_paid_for_like_replies() {
    let embedded = EmbeddingReply { vectors: vec![vec![0.5]], model: None, usage: used(7, None) };
    let end = CallEnd::Embedded { reply: Box::new(embedded) };
    let summary = summary(vec![(0, "", begin()), (1, "a", call_ends(end, Some(0.25))), (2, "b", reply(Some(0.5)))]);
    assert_eq!((summary.usage().input_tokens, summary.cost()), (Some(9), Some(0.75)));
    assert_eq!((node(&summary, "a").usage, node(&summary, "a").cost), (used(7, None), Some(0.25)));
}

#[test]
fn reasoning_is_paid_for_once() {
    // An endpoint's count of the reply's tokens has those of reasoning in it.
    let usage = Usage { reasoning_tokens: Some(30), ..used(10, Some(40)) };
    let cost = Price { input: 1e6, cached_input: None, output: 1e6 }.cost(&usage);
    assert_eq!(cost, Some(50.0));
    let one = || replied(ChatReply { usage, ..ChatReply::of_text("hi") }, cost);
    let summary = summary(vec![(0, "", begin()), (1, "c[0]/a", one()), (2, "c[1]/a", one())]);
    let both = Usage { reasoning_tokens: Some(60), ..used(20, Some(80)) };
    assert_eq!((summary.usage(), summary.usage().total(), summary.cost()), (both, Some(100), Some(100.0)));
    assert_eq!(node(&summary, "c").usage, both);
}

#[test]
fn a_stopped_request_leaves_the_cost_known() {
    let filter = Filter { state: FilterState::Input, findings: Vec::new(), message: None };
    let stopped = |usage| ChatReply { usage, text: None, filter: Some(filter.clone()), ..ChatReply::of_text("") };
    let costs = |usage, cost| {
        let story = vec![(0, "a", replied(stopped(usage), cost)), (1, "b", reply(Some(0.5)))];
        summary(story).cost()
    };
    assert_eq!(costs(Usage::default(), None), Some(0.5));
    // An endpoint that counts what it stopped asks for money too.
    assert_eq!(costs(used(9, Some(0)), Some(0.25)), Some(0.75));
    assert_eq!(costs(used(9, Some(0)), None), None);
}

#[test]
fn a_node_tells_what_its_last_reply_lacks() {
    let lacking = |change: &dyn Fn(&mut ChatReply)| {
        let mut reply = ChatReply::of_text("so far");
        change(&mut reply);
        replied(reply, None)
    };
    let filtered = |state| Filter { state, findings: Vec::new(), message: None };
    let noted = lacking(&|reply| reply.filter = Some(filtered(FilterState::Noted)));
    let stopped = lacking(&|reply| reply.filter = Some(filtered(FilterState::Output)));
    let refused = lacking(&|reply| reply.refusal = Some("I will not".into()));
    let cut = lacking(&|reply| reply.finish_reason = Some("length".into()));

    let of = |kinds: Vec<EventKind>| {
        let summary = summary(kinds.into_iter().map(|kind| (0, "a", kind)).collect());
        (node(&summary, "a").filter.clone(), node(&summary, "a").shortfall.clone())
    };
    let output = filtered(FilterState::Output);
    assert_eq!(of(vec![noted]), (Some(filtered(FilterState::Noted)), None));
    assert_eq!(of(vec![stopped.clone()]), (Some(output.clone()), Some(Shortfall::Filtered(output))));
    assert_eq!(of(vec![refused]), (None, Some(Shortfall::Refused("I will not".into()))));
    assert_eq!(of(vec![stopped.clone(), cut]), (None, Some(Shortfall::CutOff)));
    assert_eq!(of(vec![stopped.clone(), reply(None)]), (None, None));
    assert_eq!(of(vec![node_begins(), stopped, node_ends(), node_begins()]), (None, None));
}

#[test]
fn a_node_tells_what_its_calls_learned_not_to_send() {
    let adapted = |parameter: &str, adaptation| EventKind::ModelCallAdapted {
        call: 0,
        connection: "aoai".into(),
        model: "gpt".into(),
        parameter: parameter.into(),
        adaptation,
        message: "unsupported".into(),
    };
    let renamed = Adaptation::Renamed("max_completion_tokens".into());
    let summary = summary(vec![
        (0, "a", adapted("max_tokens", renamed.clone())),
        (1, "a", adapted("temperature", Adaptation::Dropped)),
    ]);
    let told: Vec<_> = node(&summary, "a").adapted.iter().map(|it| (it.parameter.as_str(), &it.adaptation)).collect();
    assert_eq!(told, [("max_tokens", &renamed), ("temperature", &Adaptation::Dropped)]);
}

#[test]
fn calls_of_every_sort_are_counted_while_they_last() {
    let fetch = || EventKind::FetchStarted {
        call: 0,
        method: "GET".into(),
        url: "http://h/".into(),
        host: "h".into(),
        port: 80,
    };
    let embed = EventKind::ModelCallStarted {
        call: 1,
        operation: Some(Operation::Embeddings),
        connection: "c".into(),
        provider: "openai".into(),
        host: "h".into(),
        port: 443,
        model: "m".into(),
        request: Value::Null,
        stream: false,
        request_hash: "0".into(),
    };
    let fetched = EventKind::FetchFinished { call: 0, end: FetchEnd::Answered { status: 200, size: 1 } };
    let mut story = vec![(0, "a", fetch()), (0, "a", embed), (0, "a", fetched)];
    let counts = |story: &Vec<(i64, &str, EventKind)>| {
        let summary = summary(story.clone());
        (node(&summary, "a").calls, node(&summary, "a").calls_in_flight)
    };
    assert_eq!(counts(&story), (1, 1));
    story.push((1, "", EventKind::RunResumed { repeated_calls: 1, repeated_nodes: 0 }));
    assert_eq!(counts(&story), (1, 0));
}
