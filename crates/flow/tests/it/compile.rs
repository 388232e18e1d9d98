//! What is wrong with a flow is said, all of it, with its place.

use sluicegate_flow::compile::{CompileOptions, VariantChoice};
use sluicegate_flow::plan::{Activate, MessageFormat, NeedKind, NodeKind, Operand};
use sluicegate_value::Value;

use crate::project::{check_problems, plan_of, plan_of_yaml, problems_of};

#[test]
fn ten_mistakes_are_ten_problems_in_the_order_of_the_file() {
    check_problems(
        "\
inputs:
  text: {default: hi}
  number: {type: int, default: many}
outputs:
  answer: {type: string, reference: '${answr.output}'}
  empty: {type: string, reference: ''}
nodes:
- name: answer
  type: llm
  sorce: {type: code, path: llm.jinja2}
  source: {type: code, path: lm.jinja2}
  inputs: {x: '${inputs.txt}', temperature: hot}
- name: a
  type: expression
  expression: x + 1
  inputs: {x: '${b.output}'}
- name: b
  type: expression
  expression: x
  inputs: {x: '${a.outputs}', y: '${a.output}'}
- name: b
  type: promt
  activate: {when: '${inputs.text}'}
",
        &[("f/llm.jinja2", "user:\n{{x}}\n")],
        &[
            "error flow::missing_key f/flow.dag.yaml:2:3: input `text` has no `type` [say what it is: `string`, `int`, `double`, `bool`, `list`, `object` or `image`]",
            "error flow::bad_default f/flow.dag.yaml:3:32: the default of input `number` is no `int`: 'many'",
            "error flow::unknown_output_reference f/flow.dag.yaml:5:37: output `answer` reads node `answr`, which does not exist [did you mean `answer`?]",
            "error flow::empty_output_reference f/flow.dag.yaml:6:36: output `empty` has an empty reference [name what it gives: `${node.output}`]",
            "error flow::unknown_key f/flow.dag.yaml:10:3: a node has no key `sorce` [did you mean `source`?]",
            "error flow::missing_file f/flow.dag.yaml:11:30: file `f/lm.jinja2` does not exist [did you mean `llm.jinja2`?]",
            "error flow::unknown_input f/flow.dag.yaml:12:15: node `answer` reads flow input `txt`, which does not exist [did you mean `text`?]",
            "error flow::bad_literal f/flow.dag.yaml:12:45: parameter `temperature` of node `answer` is no `double`: 'hot'",
            "error flow::cycle f/flow.dag.yaml:16:15: nodes wait for each other: `a` -> `b` -> `a` [a node can read only what runs before it; to repeat something, use a `loop` node]",
            "error flow::unsupported_reference f/flow.dag.yaml:20:15: node `b` reads section `outputs` of node `a`; a node has only `output` [write `${a.output}`]",
            "error flow::duplicate_node f/flow.dag.yaml:21:9: there is another node `b` [rename one of them]",
            "error flow::unknown_kind f/flow.dag.yaml:22:9: there is no kind of node `promt` [did you mean `prompt`?]",
            "error flow::bad_activate f/flow.dag.yaml:23:13: the condition of node `b` is not complete [write both `when:` and `is:`, or `if:` alone]",
        ],
    );
}

#[test]
fn a_cycle_names_its_way_from_the_first_node() {
    let node = |name: &str, reads: &str| {
        format!("- {{name: {name}, type: expression, expression: x, inputs: {{x: '${{{reads}.output}}'}}}}\n")
    };
    let yaml =
        format!("outputs: {{}}\nnodes:\n{}{}{}{}", node("c", "b"), node("a", "c"), node("b", "a"), node("d", "d"));
    check_problems(
        &yaml,
        &[],
        &[
            "error flow::cycle f/flow.dag.yaml:3:58: nodes wait for each other: `c` -> `a` -> `b` -> `c` [a node can read only what runs before it; to repeat something, use a `loop` node]",
            "error flow::own_output f/flow.dag.yaml:6:58: node `d` reads its own output",
        ],
    );
}

#[test]
fn unknown_keys_near_a_known_one_are_errors_and_others_warnings() {
    check_problems(
        "x_vendor: 1\noutpts: {}\nnodes: []\n",
        &[],
        &[
            "warning flow::unknown_key f/flow.dag.yaml:1:1: the flow has no key `x_vendor`; it is ignored [known keys: `$schema`, `id`, `name`, `description`, `display_name`, `type`, `tags`, `language`, `inputs`, `outputs`, `nodes`, `node_variants`, `tools`, `environment`, `environment_variables`, `additional_includes`, `message_format`]",
            "error flow::unknown_key f/flow.dag.yaml:2:1: the flow has no key `outpts` [did you mean `outputs`?]",
        ],
    );
}

#[test]
fn values_of_a_wrong_shape_are_named_by_key() {
    check_problems(
        "inputs: [a]\noutputs: 3\nnodes:\n- name: [x]\n- name: y\n  type: expression\n  expression: 1\n  timeout: soon\n  retry: {max_attempts: 0}\n  aggregation: maybe\n  inputs: text\n",
        &[],
        &[
            "error flow::wrong_type f/flow.dag.yaml:1:9: `inputs` must be a map, not a list",
            "error flow::wrong_type f/flow.dag.yaml:2:10: `outputs` must be a map, not a number",
            "error flow::missing_key f/flow.dag.yaml:4:3: a node has no `name` [references and results call it by that]",
            "error flow::missing_kind f/flow.dag.yaml:4:3: node `` has no `type` [say what it does: `llm`, `prompt`, `python`, `prompty`, `expression`, `http`, `embedding`, `flow`, `map` or `loop`]",
            "error flow::wrong_type f/flow.dag.yaml:4:9: `name` must be text, not a list",
            "error flow::missing_key f/flow.dag.yaml:5:9: `expression` node `y` has no `expression` [write what it computes: `expression: \"items | length\"`]",
            "error flow::wrong_type f/flow.dag.yaml:7:15: `expression` must be text, not a number",
            "error flow::wrong_type f/flow.dag.yaml:8:12: `timeout` must be a time, not text [write it as `30s`, `500ms` or `2m`, or as a number of seconds]",
            "error flow::wrong_value f/flow.dag.yaml:9:25: `max_attempts` must be between 1 and 4294967295",
            "error flow::wrong_type f/flow.dag.yaml:10:16: `aggregation` must be `true` or `false`, not text",
            "error flow::wrong_type f/flow.dag.yaml:11:11: `inputs` must be a map, not text",
        ],
    );
}

#[test]
fn numbers_and_conditions_that_nothing_can_be_made_of_are_told() {
    check_problems(
        "\
outputs: {}
nodes:
- {name: a, type: loop, source: {path: ../g}, until: 'true', max_iterations: 5000000000}
- {name: b, type: expression, expression: '1', activate: {if: }}
- {name: c, type: expression, expression: '1', activate: {}}
",
        &[("g/flow.dag.yaml", "outputs: {}\nnodes: []\n")],
        &[
            "error flow::wrong_value f/flow.dag.yaml:3:78: `max_iterations` must be between 1 and 4294967295",
            "error flow::bad_activate f/flow.dag.yaml:4:58: the condition of node `b` is not complete [write both `when:` and `is:`, or `if:` alone]",
            "error flow::bad_activate f/flow.dag.yaml:5:58: the condition of node `c` is not complete [write both `when:` and `is:`, or `if:` alone]",
        ],
    );
}

#[test]
fn kinds_and_sources_must_go_together() {
    check_problems(
        "\
outputs: {}
nodes:
- {name: a, type: llm, source: {type: package, tool: x.y}}
- {name: b, type: python}
- {name: c, type: custom_llm, source: {type: code, path: a.py}}
- {name: d, type: python, source: {path: ../../secret.py}}
- {name: e, type: prompt, source: {type: code, path: /etc/passwd}}
- {name: g, type: csharp, source: {path: a.dll}}
- {name: h, tool: old}
- {name: i, type: prompty, source: {path: a.py}}
",
        &[("f/a.py", "")],
        &[
            "error flow::wrong_source f/flow.dag.yaml:3:39: a `llm` node cannot have a source of type `package` (node `a`) [it takes: `code`]",
            "error flow::missing_source f/flow.dag.yaml:4:10: `python` node `b` has no `source` [name its file: `source: {type: code, path: …}`]",
            "error flow::wrong_source f/flow.dag.yaml:5:46: a `custom_llm` node cannot have a source of type `code` (node `c`) [it takes: `package_with_prompt`]",
            "error flow::outside_project f/flow.dag.yaml:6:42: `../secret.py` lies outside of the project [keep what a flow needs inside of the project, or run from a folder above both]",
            "error flow::outside_project f/flow.dag.yaml:7:54: `/etc/passwd` lies outside of the project [keep what a flow needs inside of the project, or run from a folder above both]",
            "error flow::kind_not_supported f/flow.dag.yaml:8:19: nodes of kind `csharp` do not run yet (node `g`)",
            "error flow::missing_kind f/flow.dag.yaml:9:10: node `h` has no `type` [the older form with `tool:` alone does not run here: write `type:` and `source:`]",
            "error flow::wrong_source f/flow.dag.yaml:10:28: node `i` wants a `.prompty` file, not `f/a.py`",
        ],
    );
}

#[test]
fn aggregation_nodes_stand_apart() {
    check_problems(
        "\
inputs: {v: {type: int}}
outputs: {total: {type: int, reference: '${agg.output}'}}
nodes:
- {name: line, type: expression, expression: x, inputs: {x: '${agg.output}'}}
- {name: agg, type: expression, expression: x, inputs: {x: '${inputs.v}'}, aggregation: true, activate: {when: '${other.output}', is: 1}}
- {name: other, type: expression, expression: '1'}
- {name: agg2, type: expression, expression: x, inputs: {x: '${agg.output}'}, reduce: true, activate: {when: '${agg.output}', is: 1}}
",
        &[],
        &[
            "warning flow::aggregation_output f/flow.dag.yaml:2:41: output `total` is left out: an aggregation node runs after the lines that outputs belong to",
            "error flow::invalid_node_reference f/flow.dag.yaml:4:61: node `line` reads aggregation node `agg`, which runs once after all lines [make `line` an aggregation node too, or read another node]",
            "error flow::invalid_node_reference f/flow.dag.yaml:5:112: the condition of aggregation node `agg` reads a node that runs for each line [it can read flow inputs and other aggregation nodes]",
        ],
    );
}

#[test]
fn text_that_looks_like_a_reference_is_warned_of() {
    check_problems(
        "\
inputs: {q: {type: string}}
outputs: {r: {reference: 'see ${a.output}'}, s: {reference: '${a.outputs}'}}
nodes:
- {name: a, type: expression, expression: x, inputs: {x: ['${inputs.q}', 'costs ${5}']}}
",
        &[],
        &[
            "warning flow::literal_reference f/flow.dag.yaml:2:26: output `r` is plain text: `${a.output}` in it is not replaced [a reference stands alone, as `\"${a.output}\"`; a `prompt` or `expression` node can build a text]",
            "warning flow::ignored_section f/flow.dag.yaml:2:61: `outputs` of output `s` is not looked at: it is the output of node `a` [write `${a.output}`]",
            "warning flow::literal_reference f/flow.dag.yaml:4:59: input `x` of node `a` is plain text: `${inputs.q}` in it is not replaced [a reference stands alone, as `\"${inputs.q}\"`; a `prompt` or `expression` node can build a text]",
        ],
    );
}

#[test]
fn a_condition_may_be_an_expression() {
    let plan = plan_of_yaml(
        "\
inputs: {q: {type: string}, n: {type: int, default: 1}}
outputs: {}
nodes:
- {name: late, type: expression, expression: '1', activate: {if: \"inputs.n > 1 and first.output.ok\"}}
- {name: first, type: expression, expression: '2'}
",
    );
    let late = plan.find("late").unwrap();
    let Some(Activate::If { operands, .. }) = &plan.node(late).activate else { panic!() };
    let names: Vec<&str> = operands.keys().map(|name| &**name).collect();
    assert_eq!(names, ["inputs.q", "inputs.n", "first.output"]);
    assert_eq!(plan.successors(plan.find("first").unwrap()).collect::<Vec<_>>(), [late]);

    check_problems(
        "inputs: {q: {type: string}}\noutputs: {}\nnodes:\n- {name: a, type: expression, expression: '1', activate: {if: 'inputs.qq or b.ouput or c'}}\n- {name: b, type: expression, expression: '2'}\n",
        &[],
        &[
            "error flow::unknown_input f/flow.dag.yaml:4:64: node `a` reads flow input `qq`, which does not exist [did you mean `q`?]",
            "error flow::unsupported_reference f/flow.dag.yaml:4:77: node `a` reads section `ouput` of node `b`; a node has only `output` [write `b.output`]",
            "error flow::unknown_node f/flow.dag.yaml:4:88: the condition of node `a` reads `c`, which is neither `inputs` nor a node [did you mean `a`?]",
        ],
    );
}

#[test]
fn templates_are_checked_in_their_own_files() {
    check_problems(
        "\
inputs: {q: {type: string}}
outputs: {}
nodes:
- {name: ask, type: llm, source: {path: ask.jinja2}, inputs: {question: '${inputs.q}', deployment_name: d}}
- {name: say, type: prompt, source: {path: say.jinja2}, inputs: {question: '${inputs.q}'}}
- {name: broken, type: prompt, source: {path: broken.jinja2}}
- {name: broken2, type: prompt, source: {path: broken.jinja2}}
",
        &[
            ("f/ask.jinja2", "system:\n{{ temperature }}\nuser:\n{{ qestion }}\n"),
            ("f/say.jinja2", "{{ template }}{{ question }}"),
            ("f/broken.jinja2", "ok\n{% if %}"),
        ],
        &[
            "warning flow::unused_input f/flow.dag.yaml:4:63: input `question` of node `ask` is used by nothing [did you mean `qestion`?]",
            "error flow::reserved_variable f/ask.jinja2:2:4: a template variable of `llm` node `ask` is named like API parameter `temperature` [rename it]",
            "warning flow::unsupplied_variable f/ask.jinja2:4:4: node `ask` gives no `qestion`: it prints as nothing [did you mean `question`?]",
            "error flow::reserved_variable f/say.jinja2:1:4: a variable of `prompt` node `say` cannot be named `template` [rename it]",
            "error flow::template f/broken.jinja2:2:…",
        ],
    );
}

#[test]
fn an_expression_reads_only_what_its_node_takes() {
    check_problems(
        "outputs: {}\nnodes:\n- {name: a, type: expression, expression: 'items|length + offset', inputs: {itms: 1}}\n",
        &[],
        &[
            "error flow::unsupplied_variable f/flow.dag.yaml:3:44: the expression of node `a` reads `items`, which the node does not take [did you mean `itms`?]",
            "error flow::unsupplied_variable f/flow.dag.yaml:3:59: the expression of node `a` reads `offset`, which the node does not take [add it to the node's inputs: `offset: ${…}`]",
        ],
    );
}

#[test]
fn literals_of_api_parameters_have_the_types_of_the_tool() {
    let plan = plan_of_yaml(
        "\
outputs: {}
nodes:
- name: ask
  type: llm
  source: {path: llm.jinja2}
  connection: aoai
  api: chat
  inputs: {x: 1, temperature: 0, max_tokens: '256', stop: '[\"a\"]', response_format: '{\"type\": \"json_object\"}', user: '', top_p: null, deployment_name: 35}
",
    );
    let node = plan.node(plan.find("ask").unwrap());
    let value = |name: &str| match node.inputs.get(name) {
        Some(Operand::Literal(value)) => value.to_json(),
        other => format!("{other:?}"),
    };
    assert_eq!(value("x"), "1");
    assert_eq!(value("temperature"), "0.0");
    assert_eq!(value("max_tokens"), "256");
    assert_eq!(value("stop"), r#"["a"]"#);
    assert_eq!(value("response_format"), r#"{"type":"json_object"}"#);
    assert_eq!(value("deployment_name"), r#""35""#);
    assert_eq!((value("user"), value("top_p")), ("None".to_owned(), "None".to_owned()));
    assert!(plan.needs.iter().any(|need| need.what == NeedKind::Connection("aoai".into())));
}

const VARIANTS: &str = "\
outputs: {r: {reference: '${n.output}'}}
nodes:
- {name: n, use_variants: true}
node_variants:
  n:
    default_variant_id: v1
    variants:
      v0: {node: {type: expression, expression: \"'zero'\"}}
      v1: {node: {type: expression, expression: \"'one'\"}}
";

#[test]
fn variants_replace_the_node() {
    let compiled = |choice: Option<&str>| {
        let options = CompileOptions { variant: choice.map(|choice| VariantChoice::parse(choice).unwrap()) };
        let files = sluicegate_flow::files::MemoryFiles::new(&[("f/flow.dag.yaml", VARIANTS)]);
        let plan = sluicegate_flow::compile::compile(&files, "f", &options).plan.unwrap();
        match &plan.nodes[0].kind {
            NodeKind::Expression(expression) => expression.source().to_owned(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(compiled(None), "'one'");
    assert_eq!(compiled(Some("${n.v0}")), "'zero'");
}

#[test]
fn variants_that_do_not_exist_are_named() {
    let choice = CompileOptions { variant: VariantChoice::parse("n.v9") };
    assert_eq!(
        problems_of(&[("f/flow.dag.yaml", VARIANTS)], &choice),
        ["error flow::unknown_variant f/flow.dag.yaml:5:3: node `n` has no variant `v9` [did you mean `v0`?]"]
    );
    let choice = CompileOptions { variant: VariantChoice::parse("m.v0") };
    assert_eq!(
        problems_of(&[("f/flow.dag.yaml", VARIANTS)], &choice),
        [
            "error flow::unknown_variant f/flow.dag.yaml: there is no node `m` to choose a variant of [did you mean `n`?]"
        ]
    );
    let plain = VARIANTS.replace(", use_variants: true", ", type: expression, expression: \"1\"");
    let choice = CompileOptions { variant: VariantChoice::parse("${n.v9}") };
    let told = problems_of(&[("f/flow.dag.yaml", plain.split("node_variants").next().unwrap())], &choice);
    assert_eq!(told, ["error flow::unknown_variant f/flow.dag.yaml:3:10: node `n` has no variants, so none is `v9`"]);
    let none = VARIANTS.replace("node_variants:\n  n:", "node_variants:\n  m:");
    check_problems(
        &none,
        &[],
        &[
            "error flow::unknown_variant f/flow.dag.yaml:3:10: node `n` uses variants, but `node_variants` has none for it",
        ],
    );
}

#[test]
fn includes_are_seen_as_if_they_stood_in_the_flow() {
    let yaml = "\
outputs: {}
additional_includes: [../shared/text.jinja2, ../shared/more, ../shared/own.jinja2, ../shared/gone]
nodes:
- {name: a, type: prompt, source: {path: text.jinja2}}
- {name: b, type: prompt, source: {path: more/deep.jinja2}}
- {name: c, type: prompt, source: {path: own.jinja2}}
";
    let shared = [
        ("shared/text.jinja2", "text {% if %}"),
        ("shared/more/deep.jinja2", "deep"),
        ("shared/own.jinja2", "theirs"),
        ("f/own.jinja2", "mine"),
    ];
    check_problems(
        yaml,
        &shared,
        &[
            "warning flow::include_hidden f/flow.dag.yaml:2:62: `shared/own.jinja2` is not included: the flow has a `own.jinja2` of its own",
            "error flow::missing_file f/flow.dag.yaml:2:84: file `shared/gone` does not exist",
            "error flow::template shared/text.jinja2:1:…",
        ],
    );
    let sound = yaml.replace(", ../shared/gone", "");
    let plan = plan_of(&[
        ("f/flow.dag.yaml", &sound),
        ("shared/text.jinja2", "text"),
        ("shared/more/deep.jinja2", "deep"),
        ("shared/own.jinja2", "theirs"),
        ("f/own.jinja2", "mine"),
    ]);
    let sources: Vec<&str> = plan
        .nodes
        .iter()
        .map(|node| match &node.kind {
            NodeKind::Prompt(template) => template.source(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sources, ["text", "deep", "mine"]);
    let includes: Vec<String> =
        plan.includes.iter().map(|include| format!("{} -> {}", include.source, include.target)).collect();
    assert_eq!(includes, ["shared/text.jinja2 -> text.jinja2", "shared/more -> more"]);
}

#[test]
fn an_included_folder_joins_one_of_its_name_and_what_is_there_stays() {
    let yaml = "\
outputs: {}
additional_includes: [../shared/src, ../other/src]
nodes:
- {name: a, type: prompt, source: {path: src/mine.jinja2}}
- {name: b, type: prompt, source: {path: src/theirs.jinja2}}
- {name: c, type: prompt, source: {path: src/deep/last.jinja2}}
";
    let files = [
        ("f/src/mine.jinja2", "mine"),
        ("shared/src/mine.jinja2", "shared"),
        ("shared/src/theirs.jinja2", "theirs"),
        ("other/src/theirs.jinja2", "other"),
        ("other/src/mine.jinja2", "other"),
        ("other/src/deep/last.jinja2", "last"),
    ];
    check_problems(
        yaml,
        &files,
        &[
            "warning flow::include_hidden f/flow.dag.yaml:2:23: `src/mine.jinja2` of `shared/src` is not included: the flow has its own",
            "warning flow::include_hidden f/flow.dag.yaml:2:38: `src/mine.jinja2`, and 1 more of `other/src` is not included: the flow has its own",
        ],
    );
    let files: Vec<(&str, &str)> = std::iter::once(("f/flow.dag.yaml", yaml)).chain(files).collect();
    let plan = plan_of(&files);
    let sources: Vec<&str> = plan
        .nodes
        .iter()
        .map(|node| match &node.kind {
            NodeKind::Prompt(template) => template.source(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sources, ["mine", "theirs", "last"]);
    assert_eq!(plan.includes.len(), 2);
}

#[test]
fn what_cannot_be_included_is_told_with_what_to_do() {
    check_problems(
        "outputs: {}\nadditional_includes: [../shared/packed.zip, ../shared/plain, '..']\nnodes: []\n",
        &[("shared/packed/a.txt", ""), ("shared/plain.zip", "")],
        &[
            "error flow::include_archive f/flow.dag.yaml:2:23: `shared/packed.zip` is not there, and folder `shared/packed` is not packed for it [include `shared/packed` itself, or pack it once and keep the archive]",
            "error flow::missing_file f/flow.dag.yaml:2:45: file `shared/plain` does not exist [unpack `shared/plain.zip`: archives are not included]",
            "error flow::include_root f/flow.dag.yaml:2:62: the whole project cannot be included: it has no name in the flow's folder [include the files or folders that it needs]",
        ],
    );
}

#[test]
fn python_files_are_looked_at_without_running_them() {
    check_problems(
        "outputs: {}\nnodes:\n- {name: a, type: python, source: {type: code, path: a.py}}\n- {name: b, type: python, source: {type: code, path: b.py}}\n- {name: c, type: python, source: {type: code, path: c.py}}\n- {name: d, type: python, source: {type: code, path: d.py}}\n",
        &[
            ("f/a.py", "from promptflow.core import tool\n\n\n@tool\ndef a(x: int):\n    return x\n"),
            ("f/b.py", "def b(x):\n    return x\n"),
            ("f/c.py", "@tool\ndef c(): ...\n\n@tool\ndef d(): ...\n"),
        ],
        &[
            "warning flow::no_tool f/flow.dag.yaml:4:54: `f/b.py` has no function with `@tool` [mark the one that the node calls: `from promptflow.core import tool`, then `@tool` above it]",
            "warning flow::several_tools f/flow.dag.yaml:5:54: `f/c.py` has 2 functions with `@tool`; a node calls one [put the others into files of their own]",
            "error flow::missing_file f/flow.dag.yaml:6:54: file `f/d.py` does not exist [did you mean `a.py`?]",
        ],
    );
}

#[test]
fn what_only_python_can_tell_is_named() {
    let plan = plan_of(&[
        (
            "f/flow.dag.yaml",
            "outputs: {}\nnodes:\n- {name: a, type: python, source: {type: code, path: a.py}}\n- {name: b, type: python, source: {type: package, tool: pkg.mod.f}}\n- {name: in, type: flow, source: {path: ../g}}\n- {name: e, type: expression, expression: '1'}\n",
        ),
        ("f/a.py", "@tool\ndef a(): ...\n"),
        ("g/flow.flex.yaml", "entry: m:f\n"),
        ("g/m.py", "def f(): ...\n"),
    ]);
    let told: Vec<String> = plan.unchecked().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "node `a`: what is in `f/a.py`, and what its tool takes",
            "node `b`: whether `pkg.mod.f` is installed, and what it takes",
            "node `in/f`: whether `m:f` can be loaded, and what it takes",
        ]
    );
}

#[test]
fn the_list_of_packages_is_named_or_lies_beside() {
    let requirements = |yaml: &str, files: &[(&str, &str)]| {
        let files: Vec<(&str, &str)> =
            std::iter::once(("f/flow.dag.yaml", yaml)).chain(files.iter().copied()).collect();
        plan_of(&files).requirements.as_deref().map(str::to_owned)
    };
    let plain = "outputs: {}\nnodes: []\n";
    let named = "environment: {python_requirements_txt: needs.txt}\noutputs: {}\nnodes: []\n";
    assert_eq!(requirements(plain, &[]), None);
    assert_eq!(requirements(plain, &[("f/requirements.txt", "x")]).as_deref(), Some("f/requirements.txt"));
    assert_eq!(requirements(named, &[("f/needs.txt", "x")]).as_deref(), Some("f/needs.txt"));
    check_problems(
        named,
        &[],
        &[
            "warning flow::no_requirements f/flow.dag.yaml:1:40: `needs.txt` is not there [name the list of Python packages that the flow needs, or leave it out]",
        ],
    );
}

#[test]
fn targets_are_told_apart() {
    let check = |files: &[(&str, &str)], target: &str, expected: &str| {
        let files = sluicegate_flow::files::MemoryFiles::new(files);
        let compiled = sluicegate_flow::compile::compile(&files, target, &CompileOptions::default());
        let found = compiled
            .problems
            .first()
            .map_or_else(|| compiled.plan.unwrap().name.to_string(), |problem| format!("{} {problem}", problem.code));
        assert_eq!(found, expected);
    };
    let empty = "outputs: {}\nnodes: []\n";
    check(&[("flows/a/flow.dag.yml", empty)], "flows/a", "a");
    check(&[("flow.dag.yaml", empty)], ".", "flow");
    check(&[("flows/a/other.yaml", "name: named\nnodes: []\n")], "./flows/a/other.yaml", "named");
    check(
        &[("a/flow.dag.yaml", empty), ("a/flow.dag.yml", empty)],
        "a",
        "flow::several_flow_files folder `a` has several flow files: `a/flow.dag.yaml`, `a/flow.dag.yml`",
    );
    check(&[("a/x.txt", "")], "a", "flow::not_a_flow folder `a` has no `flow.dag.yaml`");
    check(&[("a/x.txt", "")], "a/x.txt", "flow::not_a_flow `a/x.txt` is no flow");
    check(&[("a/x.txt", "")], "b", "flow::missing_file file `b` does not exist");
    check(&[], "../b", "flow::outside_project `../b` lies outside of the project");
    let flex = [("a/flow.flex.yaml", "entry: x:y\n"), ("a/x.py", "def y(): ...\n")];
    check(&flex, "a", "a");
    check(&flex, "a/flow.flex.yaml", "a");
    check(
        &[("a/flow.dag.yaml", empty), flex[0]],
        "a",
        "flow::several_flow_files folder `a` has several flow files: `a/flow.dag.yaml`, `a/flow.flex.yaml`",
    );
}

#[test]
fn a_file_that_is_no_yaml_is_one_problem() {
    let found = problems_of(&[("f/flow.dag.yaml", "nodes: [\n")], &CompileOptions::default());
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn the_hash_follows_every_file() {
    let hash = |template: &str| {
        plan_of(&[
            ("f/flow.dag.yaml", "outputs: {}\nnodes:\n- {name: a, type: prompt, source: {path: t.jinja2}}\n"),
            ("f/t.jinja2", template),
        ])
        .hash
        .clone()
    };
    assert_eq!(hash("a"), hash("a"));
    assert_ne!(hash("a"), hash("b"));
    assert_eq!(hash("a").len(), 64);
}

#[test]
fn the_rest_of_the_file_is_understood() {
    let plan = plan_of_yaml(
        "\
$schema: https://x/y.json
name: named
display_name: Named
type: chat
tags: {a: 1}
language: python
environment: {python_requirements_txt: requirements.txt}
message_format: openai-vision
environment_variables: {A: 1, B: '${env:HOME}', C: '${conn.api_key}'}
inputs:
  chat_history: {type: list, is_chat_history: true}
  question: {type: string, is_chat_input: true, default: hi, enum: [hi, ho], description: what}
outputs:
  answer: {type: string, reference: '${a.output}', is_chat_output: true, evaluation_only: true}
nodes:
- name: a
  type: python
  source: {type: code, path: a.py}
  comment: x
  enable_cache: true
  inputs: {v: '${env:TOKEN}'}
  retry: {max_attempts: 4, initial: 500ms}
  timeout: 1.5
  cache: false
  role_headers: false
",
    );
    assert_eq!(&*plan.name, "named");
    assert_eq!(plan.message_format, MessageFormat::OpenAiVision);
    let chat = plan.chat.clone().unwrap();
    assert_eq!((&*chat.input, &*chat.history, &*chat.output), ("question", "chat_history", "answer"));
    let needs: Vec<String> = plan.needs.iter().map(|need| format!("{:?}", need.what)).collect();
    assert_eq!(needs, [r#"Variable("HOME")"#, r#"Connection(ConnectionName("conn"))"#, r#"Variable("TOKEN")"#]);
    let node = &plan.nodes[0];
    let retry = node.retry.clone().unwrap();
    assert_eq!((retry.max_attempts, retry.initial.as_millis(), retry.max.as_secs()), (4, 500, 60));
    assert_eq!(node.timeout.map(|time| time.as_millis()), Some(1500));
    assert_eq!((node.cache, node.role_headers), (Some(false), false));
    assert!(matches!(&node.inputs["v"], Operand::Literal(value) if *value == Value::from("${env:TOKEN}")));
    assert!(plan.outputs["answer"].evaluation_only);
}

#[test]
fn half_a_chat_is_warned_of() {
    check_problems(
        "inputs: {chat_history: {type: list}, q: {type: string, is_chat_input: true}}\noutputs: {}\nnodes: []\n",
        &[],
        &[
            "warning flow::chat_markers f/flow.dag.yaml:1:10: this is no chat: it has a history, but 1 inputs with `is_chat_input` and 0 outputs with `is_chat_output` [a chat has exactly one of each]",
        ],
    );
}

#[test]
fn images_given_by_path_wait_until_the_flow_runs() {
    let plan = plan_of_yaml(
        "inputs:\n  logo: {type: image, default: logo.png}\n  all: {type: list, default: [{data:image/png;path: logo.png}]}\noutputs: {}\nnodes: []\n",
    );
    let nothing = sluicegate_value::Map::new();
    let errors: Vec<String> = plan.resolve_inputs(&nothing).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "input `logo`: image `logo.png` is a path, and nothing here reads files",
            "input `all`: image `logo.png` is a path, and nothing here reads files",
        ]
    );
    let read = |path: &str| match path {
        "logo.png" => Ok(std::sync::Arc::from(&b"PNG"[..])),
        _ => Err(sluicegate_flow::files::FileError::Missing(path.to_owned())),
    };
    let images = sluicegate_flow::image::Images::new(plan.message_format, &read);
    let resolved = Value::from(plan.resolve_inputs_with(&nothing, &images).unwrap());
    assert_eq!(
        resolved.to_json(),
        r#"{"logo":{"data:image/png;base64":"UE5H"},"all":[{"data:image/png;base64":"UE5H"}]}"#
    );
}

#[test]
fn a_file_is_read_once_however_many_nodes_use_it() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use sluicegate_flow::files::{FileError, FileKind, Files, MemoryFiles};

    struct Counting(MemoryFiles, AtomicUsize);
    impl Files for Counting {
        fn read(&self, path: &str) -> Result<Arc<[u8]>, FileError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.read(path)
        }
        fn kind(&self, path: &str) -> FileKind {
            self.0.kind(path)
        }
        fn list(&self, folder: &str) -> Result<Vec<String>, FileError> {
            self.0.list(folder)
        }
    }
    let nodes: String =
        (0..20).map(|node| format!("- {{name: n{node}, type: prompt, source: {{path: t.jinja2}}}}\n")).collect();
    let yaml = format!("outputs: {{}}\nnodes:\n{nodes}");
    let files = Counting(MemoryFiles::new(&[("f/flow.dag.yaml", &yaml), ("f/t.jinja2", "hi")]), AtomicUsize::new(0));
    let compiled = sluicegate_flow::compile::compile(&files, "f", &CompileOptions::default());
    assert_eq!(compiled.plan.unwrap().nodes.len(), 20);
    assert_eq!(files.1.into_inner(), 2);
}

#[test]
fn a_chat_template_needs_a_role_header_that_it_or_its_author_writes() {
    let flow = "\
inputs: {q: {type: string}}
outputs: {}
nodes:
- {name: p, type: prompt, source: {path: plain.jinja2}, inputs: {x: '${inputs.q}'}}
- {name: wrong, type: llm, source: {path: plain.jinja2}, inputs: {x: '${inputs.q}'}}
- {name: text, type: llm, api: completion, source: {path: plain.jinja2}, inputs: {x: '${inputs.q}'}}
- {name: wired, type: llm, source: {path: wired.jinja2}, inputs: {x: '${p.output}'}}
- {name: literal, type: llm, source: {path: wired.jinja2}, inputs: {x: \"user:\\nhi\"}}
- {name: printed, type: llm, source: {path: printed.jinja2}, inputs: {x: '${inputs.q}'}}
- {name: prompty, type: prompty, source: {path: p.prompty}}
- {name: fine, type: prompty, source: {path: fine.prompty}, inputs: {x: 1}}
";
    let front = "---\nmodel: {api: chat, configuration: {type: openai, model: m}}\n---\n";
    let (bare, fine) = (format!("{front}hello\n"), format!("{front}{{{{x}}}}:\nhello\n"));
    check_problems(
        flow,
        &[
            ("f/plain.jinja2", "user: {{x}}\n"),
            ("f/wired.jinja2", "{{x}}\n"),
            ("f/printed.jinja2", "{{x}}:\nhi\n"),
            ("f/p.prompty", &bare),
            ("f/fine.prompty", &fine),
        ],
        &[
            "error flow::no_role_header f/plain.jinja2:1:1: the template has no `system:` / `user:` line [write `system:` or `user:` on a line of its own; for the completion API, give the node `api: completion`]",
            "error flow::no_role_header f/p.prompty:1:1: the template has no `system:` / `user:` line [write `system:` or `user:` on a line of its own]",
        ],
    );
}

#[test]
fn what_has_no_effect_is_told() {
    check_problems(
        "\
outputs: {}
nodes:
- {name: a, type: llm, source: {path: l.jinja2}, inputs: {tempratur: 0, audience: all}, over: [1]}
- {name: b, type: expression, expression: '1', source: {path: l.jinja2}, concurrency: 2, until:}
",
        &[("f/l.jinja2", "user:\nhello\n")],
        &[
            "warning flow::unused_input f/flow.dag.yaml:3:59: input `tempratur` of node `a` is used by nothing [did you mean `temperature`?]",
            "warning flow::unused_input f/flow.dag.yaml:3:73: input `audience` of node `a` is used by nothing [its template does not read it, and the API has no such parameter]",
            "warning flow::unused_key f/flow.dag.yaml:3:89: `over` has no effect on `llm` node `a` [it is for nodes of kind `map`]",
            "warning flow::unused_key f/flow.dag.yaml:4:48: `source` has no effect on `expression` node `b` […",
            "warning flow::unused_key f/flow.dag.yaml:4:74: `concurrency` has no effect on `expression` node `b` [it is for nodes of kind `map`]",
        ],
    );
}

#[test]
fn names_that_are_none_and_files_that_are_nothing_are_told() {
    let help = " [use letters, digits and `_`]";
    check_problems(
        "\
inputs: {'': {type: int}}
outputs: {}
nodes:
- {name: '', type: expression, expression: '1'}
- {name: \"a\\tb\", type: expression, expression: '1'}
- {name: inputs, type: expression, expression: '1'}
- {name: a.b, type: expression, expression: '1'}
- text
-
",
        &[],
        &[
            &format!("error flow::bad_name f/flow.dag.yaml:1:10: the name of an input is empty{help}"),
            &format!("error flow::bad_name f/flow.dag.yaml:4:10: the name of a node is empty{help}"),
            &format!(
                "error flow::bad_name f/flow.dag.yaml:5:10: the name of a node holds control characters: \"a\\tb\"{help}"
            ),
            "warning flow::unreachable_name f/flow.dag.yaml:6:10: no reference can reach a node named `inputs` [call it something else]",
            "warning flow::unreachable_name f/flow.dag.yaml:7:10: no reference can reach a node named `a.b` [use `_` in place of `.`]",
            "error flow::wrong_type f/flow.dag.yaml:8:3: a node must be a map, not text",
            "error flow::wrong_type f/flow.dag.yaml:9:2: a node must be a map, not…",
        ],
    );
    for empty in ["", "# nothing\n"] {
        check_problems(empty, &[], &["error flow::empty_file f/flow.dag.yaml: the file is empty […"]);
    }
}

#[test]
fn an_unfinished_or_endless_expression_says_so_in_its_own_words() {
    let of = |expression: &str| {
        let yaml = format!("outputs: {{}}\nnodes:\n- {{name: a, type: expression, expression: '{expression}'}}\n");
        problems_of(&[("f/flow.dag.yaml", &yaml)], &CompileOptions::default()).concat()
    };
    assert_eq!(of("1 +"), "error flow::expression f/flow.dag.yaml:3:47: expression: something is missing at its end");
    assert!(
        of(&vec!["1"; 90].join(" + ")).ends_with(
            "more than 60 operators in a row: take the expression apart: let a node before it compute a part"
        )
    );
    assert!(of("(1 + )").contains('`'), "a bracket of the author is named: {}", of("(1 + )"));
}

#[test]
fn a_secret_input_is_known_as_one() {
    let plan = plan_of_yaml("inputs: {k: {type: secret}, q: {type: string}}\noutputs: {}\nnodes: []\n");
    assert!(plan.inputs["k"].secret && !plan.inputs["q"].secret);
}
