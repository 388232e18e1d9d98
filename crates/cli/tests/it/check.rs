//! Every problem of a file at once, each with its snippet.

use sluicegate_testkit::endpoint::Endpoint;
use sluicegate_testkit::project::Project;

use crate::fixture::{SLUICEGATE, one_call};

const TEN_MISTAKES: &str = r#"inputs:
  question: { type: strnig }
  count: { default: 3 }
  ratio: { type: double, default: many }
outputs:
  answer: { type: string, reference: "${anser.output}" }
nodes:
- name: fetch
  type: llm
  sorce: { type: code, path: fetch.jinja2 }
  inputs: { deployment_name: d, q: "${inputs.questoin}" }
- name: a
  type: expression
  inputs: { x: "${b.output}" }
  expression: x
- name: b
  type: expression
  inputs: { x: "${a.output}" }
  expression: x + y
- name: a
  type: prompt
  source: { type: code, path: missing.jinja2 }
- name: broken
  type: prompt
  source: { type: code, path: broken.jinja2 }
"#;

#[test]
fn ten_mistakes_are_ten_problems_with_ten_snippets() {
    let project = Project::new().file("flow.dag.yaml", TEN_MISTAKES).file("broken.jinja2", "Hello\n{{ name \nbye\n");
    let ran = project.run(SLUICEGATE, &["check", "."]);
    insta::assert_snapshot!(ran.shown(), @r##"
    exit 2
    --- stdout
    --- stderr
    error[flow::unknown_type]: there is no type `strnig`
     --> flow.dag.yaml:2:21
      |
    2 |   question: { type: strnig }
      |                     ^^^^^^
      |
      = help: did you mean `string`?

    error[flow::missing_key]: input `count` has no `type`
     --> flow.dag.yaml:3:3
      |
    3 |   count: { default: 3 }
      |   ^^^^^
      |
      = help: say what it is: `string`, `int`, `double`, `bool`, `list`, `object` or `image`

    error[flow::bad_default]: the default of input `ratio` is no `double`: 'many'
     --> flow.dag.yaml:4:35
      |
    4 |   ratio: { type: double, default: many }
      |                                   ^^^^

    error[flow::unknown_output_reference]: output `answer` reads node `anser`, which does not exist
     --> flow.dag.yaml:6:38
      |
    6 |   answer: { type: string, reference: "${anser.output}" }
      |                                      ^^^^^^^^^^^^^^^^^
      |
      = help: nodes: `fetch`, `a`, `b`, `broken`

    error[flow::missing_source]: `llm` node `fetch` has no `source`
     --> flow.dag.yaml:8:9
      |
    8 | - name: fetch
      |         ^^^^^
      |
      = help: name its file: `source: {type: code, path: …}`

    error[flow::unknown_key]: a node has no key `sorce`
      --> flow.dag.yaml:10:3
       |
    10 |   sorce: { type: code, path: fetch.jinja2 }
       |   ^^^^^
       |
       = help: did you mean `source`?

    error[flow::unknown_input]: node `fetch` reads flow input `questoin`, which does not exist
      --> flow.dag.yaml:11:36
       |
    11 |   inputs: { deployment_name: d, q: "${inputs.questoin}" }
       |                                    ^^^^^^^^^^^^^^^^^^^^
       |
       = help: did you mean `question`?

    error[flow::cycle]: nodes wait for each other: `a` -> `b` -> `a`
      --> flow.dag.yaml:14:16
       |
    14 |   inputs: { x: "${b.output}" }
       |                ^^^^^^^^^^^^^ `a` waits for `b`
    ...
    18 |   inputs: { x: "${a.output}" }
       |                ------------- `b` waits for `a`
       |
       = help: a node can read only what runs before it; to repeat something, use a `loop` node

    error[flow::unsupplied_variable]: the expression of node `b` reads `y`, which the node does not take
      --> flow.dag.yaml:19:19
       |
    19 |   expression: x + y
       |                   ^
       |
       = help: did you mean `x`?

    error[flow::duplicate_node]: there is another node `a`
      --> flow.dag.yaml:20:9
       |
    12 | - name: a
       |         - the first one
    ...
    20 | - name: a
       |         ^
       |
       = help: rename one of them

    error[flow::missing_file]: file `missing.jinja2` does not exist
      --> flow.dag.yaml:22:31
       |
    22 |   source: { type: code, path: missing.jinja2 }
       |                               ^^^^^^^^^^^^^^

    error[flow::template]: template: unexpected end of template, expected 'end of print statement'.
     --> broken.jinja2:2:1
      |
    2 | {{ name 
      | ^

    12 problems
    "##);
}

#[test]
fn a_yaml_bomb_is_one_problem() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(", "));
    }
    let ran = Project::new().file("flow.dag.yaml", bomb).run(SLUICEGATE, &["check", "flow.dag.yaml"]);
    assert_eq!(ran.code, 2, "{}", ran.shown());
    assert!(ran.stderr.len() < 4_000, "{}", ran.stderr);
}

#[test]
fn a_missing_flow_says_where_it_was_sought() {
    let project = Project::new().file("flows/other/flow.dag.yaml", "inputs: {}\noutputs: {}\nnodes: []\n");
    let ran = project.run(SLUICEGATE, &["check", "othr"]);
    assert_eq!(ran.code, 2, "{}", ran.shown());
    assert!(ran.stderr.contains("othr"), "{}", ran.stderr);
}

#[test]
fn check_opens_no_socket_and_needs_no_key() {
    let endpoint = Endpoint::start();
    let project = one_call(&endpoint);
    for arguments in [&["check"][..], &["check", "ask", "-e", "pr"], &["draw", "ask"], &["config", "show"]] {
        let output = project.command(SLUICEGATE, arguments).env_remove("THE_KEY").output().expect("runs");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(endpoint.connections(), 0);
}

#[test]
fn a_wrong_script_of_a_simulated_model_is_found() {
    let config = |script: &str| format!("connections:\n  c: {{ type: simulated, script: {script} }}\n");
    let project = Project::new().file("config/config.yaml", config("s.yaml")).file("s.yaml", "replise:\n- reply: hi\n");
    let ran = project.run(SLUICEGATE, &["check"]);
    assert!(ran.code == 2 && ran.stderr.contains("s.yaml:1:") && ran.stderr.contains("replies"), "{}", ran.shown());
    project.write("config/config.yaml", config("missing.yaml"));
    let ran = project.run(SLUICEGATE, &["check"]);
    assert!(ran.code == 2 && ran.stderr.contains("missing.yaml"), "{}", ran.shown());
}

#[test]
fn check_finds_what_would_stop_a_run_in_an_environment() {
    let flow = "inputs: { q: { type: string } }\noutputs: { a: { type: string, reference: \"${n.output}\" } }\nnodes:\n- { name: n, type: llm, api: chat, source: { type: code, path: n.jinja2 }, inputs: { q: \"${inputs.q}\" } }\n";
    let config = |address: &str, connection: &str| {
        format!(
            "connections:\n  c: {{ type: open_ai, base_url: \"{address}\", api_key: \"${{NOT_SET}}\" }}\nflow_configs:\n  f: {{ flow_path: f }}\n  f_pr: {{ connection_name: {connection}, deployment_name: d }}\n"
        )
    };
    let project = Project::new().file("f/flow.dag.yaml", flow).file("f/n.jinja2", "user:\n{{q}}\n");
    for (address, connection, expected) in [
        ("http://a/v1", "c", None),
        ("http://a/v1", "d", Some("there is no connection `d`")),
        ("http://user:pw@a/v1", "c", Some("base_url")),
        ("a:1/v1", "c", Some("base_url")),
    ] {
        project.write("config/config.yaml", config(address, connection));
        for arguments in [&["check"][..], &["check", "f", "-e", "pr"], &["check", "-e", "pr"]] {
            let ran = project.run(SLUICEGATE, arguments);
            assert_eq!(ran.code, if expected.is_some() { 2 } else { 0 }, "{}", ran.shown());
            assert!(expected.is_none_or(|words| ran.stderr.contains(words)), "{}", ran.shown());
            assert!(!ran.stderr.contains("user:pw"), "{}", ran.shown());
        }
    }
}
