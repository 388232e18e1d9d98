//! Whatever stands in a file, compiling it ends, without a panic.

use proptest::prelude::*;
use sluicegate_flow::bind::{Bindings, bind};
use sluicegate_flow::compile::{CompileOptions, compile};
use sluicegate_flow::draw;
use sluicegate_flow::files::MemoryFiles;

const FLOW: &str = "\
$schema: x
name: n
inputs:
  q: {type: string, default: hi, is_chat_input: true}
  chat_history: {type: list}
outputs:
  r: {type: string, reference: '${b.output.x[0]}', is_chat_output: true}
additional_includes: [../g/t.jinja2]
environment_variables: {A: '${env:B}'}
nodes:
- {name: a, type: llm, source: {type: code, path: t.jinja2}, connection: c, api: chat, inputs: {x: '${inputs.q}', temperature: 0}}
- {name: b, type: expression, expression: 'x|length', inputs: {x: '${a.output}'}, activate: {when: '${inputs.q}', is: hi}}
- {name: m, type: map, source: {path: ../g}, over: '${b.output}', as: i, retry: {max_attempts: 2}, timeout: 3s}
- {name: v, use_variants: true, aggregation: true}
node_variants: {v: {default_variant_id: v0, variants: {v0: {node: {type: expression, expression: '1'}}}}}
";

fn compile_and_more(yaml: &str) {
    let files = MemoryFiles::new(&[
        ("f/flow.dag.yaml", yaml),
        ("g/flow.dag.yaml", "inputs: {i: {type: int}}\noutputs: {}\nnodes: []\n"),
        ("g/t.jinja2", "user:\n{{x}}\n"),
    ]);
    let compiled = compile(&files, "f", &CompileOptions::default());
    for problem in &compiled.problems {
        assert!(!problem.to_string().is_empty());
    }
    if let Some(plan) = compiled.plan {
        assert!(!petgraph_is_cyclic(&plan));
        let _ = (draw::mermaid(&plan), draw::dot(&plan), draw::svg(&plan));
        let _ = bind(&plan, &Bindings::new(&|_| Some("v".into())));
        for node in &plan.nodes {
            assert!(plan.only(&node.name.0).is_some());
        }
    }
}

/// Whether some node would wait forever: taken apart from its sources, layer by layer, something remains.
fn petgraph_is_cyclic(plan: &sluicegate_flow::plan::Plan) -> bool {
    let mut waiting = vec![0usize; plan.nodes.len()];
    for id in plan.graph.node_weights() {
        plan.successors(*id).for_each(|next| waiting[next.index()] += 1);
    }
    let mut ready: Vec<_> = plan.graph.node_weights().copied().filter(|id| waiting[id.index()] == 0).collect();
    let mut done = 0;
    while let Some(id) = ready.pop() {
        done += 1;
        for next in plan.successors(id) {
            waiting[next.index()] -= 1;
            if waiting[next.index()] == 0 {
                ready.push(next);
            }
        }
    }
    done != plan.nodes.len()
}

#[test]
fn the_flow_that_is_mangled_below_is_sound() {
    let files = MemoryFiles::new(&[
        ("f/flow.dag.yaml", FLOW),
        ("g/flow.dag.yaml", "inputs: {i: {type: int}}\noutputs: {}\nnodes: []\n"),
        ("g/t.jinja2", "user:\n{{x}}\n"),
    ]);
    let compiled = compile(&files, "f", &CompileOptions::default());
    let problems: Vec<String> = compiled.problems.iter().map(ToString::to_string).collect();
    assert!(compiled.plan.is_some(), "{problems:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        compile_and_more(&text);
    }

    #[test]
    fn mangled_flows_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, r"[a-z${}.:\[\],'\n #&*!|>é-]{0,6}"), 1..6)
    ) {
        let mut letters: Vec<char> = FLOW.chars().collect();
        for (index, removed, added) in edits {
            let at = index.index(letters.len().max(1)).min(letters.len());
            let end = (at + removed).min(letters.len());
            letters.splice(at..end, added.chars());
        }
        compile_and_more(&letters.into_iter().collect::<String>());
    }

    #[test]
    fn references_between_any_nodes_never_panic(reads in prop::collection::vec((0usize..8, 0usize..8), 0..16)) {
        let mut yaml = String::from("outputs: {}\nnodes:\n");
        for node in 0..8 {
            let inputs: Vec<String> = reads
                .iter()
                .enumerate()
                .filter(|(_, (reader, _))| *reader == node)
                .map(|(index, (_, source))| format!("i{index}: '${{n{source}.output}}'"))
                .collect();
            yaml.push_str(&format!("- {{name: n{node}, type: expression, expression: '1', inputs: {{{}}}}}\n", inputs.join(", ")));
        }
        compile_and_more(&yaml);
    }
}
