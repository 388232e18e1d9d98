//! Pictures of plans.

use sluicegate_flow::draw;

use crate::project::plan_of_yaml;

const FLOW: &str = r#"
inputs: {q: {type: string}}
outputs: {r: {reference: '${c.output}'}}
nodes:
- {name: c, type: expression, expression: a, inputs: {a: '${a "<b>".output}'}, activate: {when: '${b.output}', is: 1}}
- {name: 'a "<b>"', type: expression, expression: q, inputs: {q: '${inputs.q}'}}
- {name: b, type: expression, expression: "1"}
"#;

#[test]
fn mermaid_shows_nodes_and_arrows() {
    assert_eq!(
        draw::mermaid(&plan_of_yaml(FLOW)),
        r#"flowchart TD
  inputs([inputs])
  n0["c<br/>expression"]
  n1["a #34;#60;b#62;#34;<br/>expression"]
  n2["b<br/>expression"]
  outputs([outputs])
  n1 --> n0
  n2 -.-> n0
  inputs --> n1
  n0 --> outputs
"#
    );
}

#[test]
fn dot_escapes_names() {
    let dot = draw::dot(&plan_of_yaml(FLOW));
    assert!(dot.contains(r#"n1 [label="a \"<b>\"\nexpression"];"#), "{dot}");
    assert!(dot.contains("n2 -> n0 [style=dashed];"), "{dot}");
}

#[test]
fn svg_puts_readers_below_what_they_read() {
    let svg = draw::svg(&plan_of_yaml(FLOW));
    let top = |label: &str| -> usize {
        let at = svg.find(&format!(">{label}</text>")).unwrap_or_else(|| panic!("{label} in {svg}"));
        let tag = &svg[svg[..at].rfind("<text").unwrap()..at];
        tag.split("y=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
    };
    assert!(top("inputs") < top("a &quot;&lt;b&gt;&quot;"));
    assert!(top("a &quot;&lt;b&gt;&quot;") < top("c"));
    assert!(top("b") < top("c"));
    assert!(top("c") < top("outputs"));
}
