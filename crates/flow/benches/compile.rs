//! How long it takes to compile a flow of 1,000 nodes (spec: performance.md, at most 50 ms).

use std::fmt::Write as _;

use sluicegate_flow::compile::{CompileOptions, compile};
use sluicegate_flow::files::MemoryFiles;

fn main() {
    divan::main();
}

/// A flow of `nodes` nodes, each with a condition or two references to nodes before it.
fn flow(nodes: usize) -> String {
    let mut yaml = String::from(
        "inputs:\n  text: {type: string, default: hello}\noutputs:\n  last: {type: string, reference: '${n0.output}'}\nnodes:\n",
    );
    for node in 0..nodes {
        let (near, far) = (node.saturating_sub(1), node / 2);
        let _ = match (node, node % 3) {
            (0, _) | (_, 0) => writeln!(
                yaml,
                "- name: n{node}\n  type: llm\n  source:\n    type: code\n    path: t.jinja2\n  connection: aoai\n  api: chat\n  \
                 inputs:\n    text: ${{inputs.text}}\n    deployment_name: gpt\n    temperature: 0\n    max_tokens: 256"
            ),
            (_, 1) => writeln!(
                yaml,
                "- name: n{node}\n  type: prompt\n  source:\n    type: code\n    path: t.jinja2\n  inputs:\n    text: \
                 ${{n{near}.output}}\n    other: ${{n{far}.output.items[0]}}\n  activate:\n    when: ${{inputs.text}}\n    is: hello"
            ),
            _ => writeln!(
                yaml,
                "- name: n{node}\n  type: expression\n  expression: \"text|length + other|length\"\n  inputs:\n    text: \
                 ${{n{near}.output}}\n    other: ${{n{far}.output}}"
            ),
        };
    }
    yaml
}

#[divan::bench]
fn a_thousand_nodes(bencher: divan::Bencher<'_, '_>) {
    let files = MemoryFiles::new(&[
        ("flow.dag.yaml", &flow(1000)),
        ("t.jinja2", "system:\nYou extract things.\nuser:\n{{ text }}{% if other %} {{ other }}{% endif %}\n"),
    ]);
    let compiled = compile(&files, ".", &CompileOptions::default());
    assert_eq!(compiled.plan.map(|plan| plan.nodes.len()), Some(1000), "{:?}", compiled.problems.first());
    bencher.bench(|| compile(&files, ".", &CompileOptions::default()));
}
