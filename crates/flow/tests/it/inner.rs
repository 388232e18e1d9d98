//! Flows within flows: `flow`, `map` and `loop` nodes.

use sluicegate_flow::plan::NodeKind;

use crate::project::{check_problems, plan_of};

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
