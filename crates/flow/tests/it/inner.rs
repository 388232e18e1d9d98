//! Flows within flows: `flow`, `map` and `loop` nodes.

use sluicegate_flow::compile::CompileOptions;
use sluicegate_flow::plan::NodeKind;

use crate::project::{check_problems, plan_of, problems_of};

const INNER: (&str, &str) = (
    "inner/flow.dag.yaml",
    "inputs: {item: {type: string}, style: {type: string}, extra: {type: int, default: 1}}\n\
     outputs: {text: {reference: '${a.output}'}, done: {reference: '${a.output}'}}\n\
     nodes:\n- {name: a, type: expression, expression: item, inputs: {item: '${inputs.item}'}}\n",
);

#[test]
fn inner_flows_become_plans() {
    let plan = plan_of(&[
        (
            "f/flow.dag.yaml",
            "\
inputs: {list: {type: list}}
outputs: {}
nodes:
- {name: one, type: flow, source: {path: ../inner}, inputs: {item: x, style: y}}
- {name: many, type: map, source: {path: ../inner}, over: '${inputs.list}', as: item, concurrency: 4, inputs: {style: '${one.output.text}'}}
- {name: again, type: loop, source: {path: ../inner/flow.dag.yaml}, until: 'done or iteration > 2', max_iterations: 5, inputs: {item: x, style: y}}
",
        ),
        INNER,
    ]);
    let [one, many, again] = &plan.nodes[..] else { panic!() };
    let (NodeKind::Flow(first), NodeKind::Map(map), NodeKind::Loop(cycle)) = (&one.kind, &many.kind, &again.kind)
    else {
        panic!()
    };
    assert!(std::sync::Arc::ptr_eq(first, &map.plan), "an inner flow is compiled once");
    assert_eq!((&*map.item, map.concurrency, cycle.max_iterations), ("item", Some(4), 5));
    assert_eq!(plan.successors(plan.find("one").unwrap()).count(), 1);
}

#[test]
fn inner_flows_get_what_they_need_and_nothing_else() {
    check_problems(
        "\
outputs: {}
nodes:
- {name: one, type: flow, source: {path: ../inner}, inputs: {itm: x, style: y}}
- {name: many, type: map, source: {path: ../inner}, over: text, as: itemm, inputs: {style: y, item: z}}
- {name: bare, type: map, source: {path: ../inner}, inputs: {style: y}}
- {name: again, type: loop, source: {path: ../inner}, until: 'finished', inputs: {item: x, style: y}}
- {name: gone, type: flow, source: {path: ../gone}}
",
        &[INNER],
        &[
            "error flow::missing_input f/flow.dag.yaml:3:10: node `one` does not give input `item`, which `inner` needs [add `item: ${…}` to its inputs]",
            "error flow::unknown_inner_input f/flow.dag.yaml:3:62: flow `inner` has no input `itm` [did you mean `item`?]",
            "error flow::wrong_type f/flow.dag.yaml:4:59: `over` of node `many` must be a reference or a list",
            "error flow::unknown_inner_input f/flow.dag.yaml:4:69: flow `inner` has no input `itemm` [did you mean `item`?]",
            "error flow::missing_key f/flow.dag.yaml:5:10: `map` node `bare` has no `over` [name the list: `over: ${node.output}`]",
            "error flow::missing_key f/flow.dag.yaml:5:10: `map` node `bare` has no `as` [name the flow's input that gets the item: `item`, `style`, `extra`]",
            "error flow::missing_key f/flow.dag.yaml:6:10: `loop` node `again` has no `max_iterations` [say how many rounds it may take at most]",
            "error flow::unsupplied_variable f/flow.dag.yaml:6:63: `until` of node `again` reads `finished`, which the flow does not give [it can read: `text`, `done`, `inputs`, `iteration`]",
            "error flow::missing_file f/flow.dag.yaml:7:43: file `gone` does not exist",
        ],
    );
}

#[test]
fn a_flow_that_runs_itself_is_told_the_chain() {
    check_problems(
        "outputs: {}\nnodes:\n- {name: a, type: flow, source: {path: ../g}}\n",
        &[("g/flow.dag.yaml", "outputs: {}\nnodes:\n- {name: b, type: flow, source: {path: ../f}}\n")],
        &[
            "error flow::recursion g/flow.dag.yaml:3:40: a flow runs itself: `f/flow.dag.yaml` -> `g/flow.dag.yaml` -> `f/flow.dag.yaml` [to repeat a flow until something holds, use a `loop` node]",
        ],
    );
}

#[test]
fn what_is_wrong_inside_is_told_there_and_once() {
    check_problems(
        "outputs: {}\nnodes:\n- {name: a, type: flow, source: {path: ../g}}\n- {name: b, type: flow, source: {path: ../g}}\n",
        &[("g/flow.dag.yaml", "outputs: {}\nnodes:\n- {name: b, type: nothing_like_it}\n")],
        &[
            "error flow::unknown_kind g/flow.dag.yaml:3:19: there is no kind of node `nothing_like_it` [known: `llm`, `prompt`, `python`, `custom_llm`, `prompty`, `expression`, `flow`, `map`, `loop`, `http`, `embedding`, `csharp`]",
        ],
    );
}

/// Flows `f0` to `f{flows}`, each of which runs the next as often as `runs` says; flow `f` runs `f0`.
fn chain(flows: usize, runs: usize) -> Vec<(String, String)> {
    let flow = |next: Option<String>| {
        let nodes: String = match next {
            Some(next) => {
                (0..runs).map(|run| format!("- {{name: r{run}, type: flow, source: {{path: ../{next}}}}}\n")).collect()
            }
            None => "- {name: e, type: expression, expression: '1'}\n".to_owned(),
        };
        format!("outputs: {{}}\nnodes:\n{nodes}")
    };
    let mut files = vec![("f/flow.dag.yaml".to_owned(), flow(Some("f0".to_owned())))];
    files.extend((0..=flows).map(|index| {
        let next = (index < flows).then(|| format!("f{}", index + 1));
        (format!("f{index}/flow.dag.yaml"), flow(next))
    }));
    files
}

#[track_caller]
fn check_chain(flows: usize, runs: usize, expected: &[&str]) {
    let files = chain(flows, runs);
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert_eq!(problems_of(&files, &CompileOptions::default()), expected);
}

#[test]
fn a_few_lines_cannot_describe_more_nodes_than_a_machine_holds() {
    check_chain(12, 2, &[]);
    check_chain(
        26,
        2,
        &["error flow::too_large f9/flow.dag.yaml:3:41: flow `f10` has more than 100000 nodes, those of the flows \
           inside it counted wherever they run [run a flow for each item of a list with a `map` node, in place of many \
           nodes that run it]"],
    );
}

#[test]
fn flows_lie_inside_one_another_only_so_deep() {
    check_chain(30, 1, &[]);
    let help = "to repeat a flow until something holds, use a `loop` node";
    check_chain(
        31,
        1,
        &[&format!(
            "error flow::nested_too_deep f30/flow.dag.yaml:3:41: more than 32 flows lie inside one another [{help}]"
        )],
    );
    check_chain(
        5_000,
        1,
        &[&format!(
            "error flow::nested_too_deep f30/flow.dag.yaml:3:41: more than 32 flows lie inside one another [{help}]"
        )],
    );
}

#[test]
fn depth_is_counted_through_flows_that_are_known_already() {
    // The inner half is compiled by itself first, and then below the outer half.
    let mut files = chain(40, 1);
    files[0].1 = "outputs: {}\nnodes:\n- {name: a, type: flow, source: {path: ../f20}}\n- {name: b, type: flow, source: {path: ../f0}}\n".to_owned();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let found = problems_of(&files, &CompileOptions::default());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("error flow::nested_too_deep"), "{found:?}");
}

#[test]
fn what_an_inner_flow_needs_is_told_once() {
    let mut files = chain(12, 2);
    let last = "outputs: {}\nnodes:\n- {name: e, type: expression, expression: x, inputs: {x: '${env:KEY}'}}\n";
    files.last_mut().unwrap().1 = last.to_owned();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert_eq!(plan_of(&files).all_needs().len(), 1);
}
