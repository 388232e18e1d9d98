//! Runs for other programs: events, outputs, and prompt flow's run folder, which `verify` must agree with.

use std::collections::BTreeMap;
use std::path::Path;

use sluicegate_testkit::endpoint::Answer;
use sluicegate_testkit::project::{Project, Ran};

use crate::fixture::SLUICEGATE;
use crate::runs_project::{TWO_NODES, batch, json, json_lines, ran, refuses_two, runs, steady, three_rows, told};

/// The texts of all files below a folder, by their paths.
fn files(project: &Project, folder: &str) -> BTreeMap<String, String> {
    fn collect(folder: &Path, prefix: &str, found: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            match entry.path().is_dir() {
                true => collect(&entry.path(), &format!("{name}/"), found),
                false => {
                    let bytes = std::fs::read(entry.path()).expect("a file");
                    found.insert(name, String::from_utf8_lossy(&bytes).into_owned());
                }
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(&project.path().join(folder), "", &mut found);
    found
}

fn names(project: &Project, folder: &str) -> String {
    files(project, folder).into_keys().collect::<Vec<_>>().join("\n")
}

fn verify(project: &Project, folder: &str) -> Ran {
    project.run(SLUICEGATE, &["verify", "ask", "-e", "pr", "--against", folder])
}

#[test]
fn events_are_exported_word_for_word() {
    let (_endpoint, project) = ran();
    let events = json_lines(&told(&project, &["export", "three"]));
    let numbers: Vec<u64> = events.iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>());
    assert_eq!(told(&project, &["export", "three", "--output", "events.jsonl"]), "[project]/events.jsonl\n");
    let text = std::fs::read_to_string(project.path().join("events.jsonl")).expect("the file");
    assert_eq!(json_lines(&text.replace(&project.path().display().to_string(), "[project]")), events);
    let refused = runs(&project, &["export", "three", "--output", "no/such/folder/events.jsonl"]);
    assert!(refused.code == 1 && refused.stderr.contains("cannot be written"), "{}", refused.shown());
}

#[test]
fn outputs_can_be_had_again() {
    let (_endpoint, project) = ran();
    let expected = "{\"line_number\":0,\"said\":\"[ONE]\"}\n{\"line_number\":2,\"said\":\"[THREE]\"}\n";
    assert_eq!(told(&project, &["outputs", "three"]), expected);
    told(&project, &["outputs", "three", "-o", "again.jsonl"]);
    assert_eq!(std::fs::read_to_string(project.path().join("again.jsonl")).expect("the file"), expected);
}

#[test]
fn a_run_folder_has_the_originals_layout() {
    let (_endpoint, project) = ran();
    assert_eq!(told(&project, &["export", "three", "--as", "promptflow", "--output", "rf"]), "[project]/rf\n");
    insta::assert_snapshot!(names(&project, "rf"), @r#"
    error.json
    flow_artifacts/000000000_000000000.jsonl
    flow_artifacts/000000001_000000001.jsonl
    flow_artifacts/000000002_000000002.jsonl
    flow_logs/000000000.log
    flow_logs/000000001.log
    flow_logs/000000002.log
    flow_outputs/output.jsonl
    inputs.jsonl
    logs.txt
    meta.json
    metrics.json
    node_artifacts/ask/000000000.jsonl
    node_artifacts/ask/000000001.jsonl
    node_artifacts/ask/000000002.jsonl
    node_artifacts/shout/000000000.jsonl
    node_artifacts/shout/000000002.jsonl
    outputs.jsonl
    snapshot/ask.jinja2
    snapshot/flow.dag.yaml
    "#);
    let files = files(&project, "rf");
    let of_all = ["flow_outputs/output.jsonl", "outputs.jsonl", "inputs.jsonl", "metrics.json", "meta.json"];
    insta::assert_snapshot!(of_all.map(|name| format!("{name}\n{}", files[name])).join("\n"), @r#"
    flow_outputs/output.jsonl
    {"line_number":0,"said":"[ONE]"}
    {"line_number":2,"said":"[THREE]"}

    outputs.jsonl
    {"said":"[ONE]","line_number":0}
    {"said":"[THREE]","line_number":2}

    inputs.jsonl
    {"q":"one","line_number":0}
    {"q":"two","line_number":1}
    {"q":"three","line_number":2}

    metrics.json
    {}

    meta.json
    {"batch_size":1,"written_by":"sluicegate","run":"three"}
    "#);
    steady!(insta::assert_snapshot!(files["flow_logs/000000001.log"], @r#"
    [time] +0000 execution INFO  line 1 began.
    [time] +0000 execution INFO  [ask in line 1 (index starts from 0)] began.
    [time] +0000 execution ERROR  [ask in line 1 (index starts from 0)] failed: the endpoint refused the request (400): Not that one.
    [time] +0000 execution ERROR  line 1 failed in node ask: the endpoint refused the request (400): Not that one.
    "#));
    for words in
        ["INFO     Run `three` of flow `ask` began.", "ERROR    line 1 failed in node ask: the endpoint refused"]
    {
        assert!(files["logs.txt"].contains(words), "{}", files["logs.txt"]);
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&json(&files["error.json"])).expect("JSON"), @r#"
    {
      "message": "Failed to run 1/3 lines. First error message is: Execution failure in 'ask': (rejected) the endpoint refused the request (400): Not that one.",
      "messageFormat": "",
      "messageParameters": {},
      "referenceCode": "Runtime",
      "code": "UserError",
      "innerError": {
        "code": "BulkRunException",
        "innerError": null
      },
      "debugInfo": null,
      "additionalInfo": [
        {
          "type": "BulkRunErrors",
          "info": {
            "errors": [
              {
                "line_number": 1,
                "error": {
                  "message": "Execution failure in 'ask': (rejected) the endpoint refused the request (400): Not that one.",
                  "messageFormat": "",
                  "messageParameters": {},
                  "referenceCode": "Tool/__pf_main__",
                  "code": "UserError",
                  "innerError": {
                    "code": "ToolExecutionError",
                    "innerError": null
                  },
                  "additionalInfo": [],
                  "debugInfo": null
                }
              }
            ]
          }
        }
      ]
    }
    "#);
    let record = json(&files["flow_artifacts/000000001_000000001.jsonl"]);
    assert_eq!((&record["status"], &record["run_info"]["index"]), (&json("\"Failed\""), &json("1")));
    let node = json(&files["node_artifacts/ask/000000002.jsonl"]);
    assert_eq!((&node["NodeName"], &node["run_info"]["output"]), (&json("\"ask\""), &json("\"[three]\"")));
    let call = &node["run_info"]["api_calls"][0]["children"][0];
    assert_eq!((&call["type"], &call["inputs"]["model"]), (&json("\"LLM\""), &json("\"small\"")));
    assert_eq!(call["output"]["choices"][0]["message"]["content"], "[three]");
}

#[test]
fn verify_agrees_with_the_folders_that_are_written_here() {
    let (_endpoint, project) = ran();
    told(&project, &["export", "three", "--as", "promptflow", "--output", "rf"]);
    insta::assert_snapshot!(verify(&project, "rf").shown(), @r#"
    exit 0
    --- stdout
    ask against rf: 3 lines, 3 calls answered from the recording

    NODE              KIND        SAME REQUEST  SAME OUTPUT
    ask               llm         3 of 3        3 of 3
    shout             expression  -             2 of 2
    (the flow's end)              -             3 of 3

    3 lines are the same
    --- stderr
    "#);
    project.write("flows/ask/ask.jinja2", "user:\nsay {{q}}\n");
    let differs = verify(&project, "rf");
    assert!(differs.code == 1 && differs.stdout.contains("`ask.jinja2` changed"), "{}", differs.shown());
}

const CLEAN_UP: &str = "from promptflow.core import tool

@tool
def clean_up(said: str, q: str) -> dict:
    print(f'cleaning {q}')
    if q == 'three':
        raise ValueError('three is one too many')
    return {'text': said.strip('[]'), 'length': len(said), 'share': 1 / 3}
";

const COUNT: &str = "from promptflow.core import tool, log_metric

@tool
def count(cleaned: list, questions: list):
    log_metric('lines', len(cleaned))
    return [one['length'] for one in cleaned] + questions
";

/// The flow with a Python node in it and one at its end.
fn with_python(project: &Project) {
    let more = "- { name: clean_up, type: python, source: { type: code, path: clean_up.py }, inputs: { said: \"${ask.output}\", q: \"${inputs.q}\" } }
- { name: count, type: python, source: { type: code, path: count.py }, inputs: { cleaned: \"${clean_up.output}\", questions: \"${inputs.q}\" }, aggregation: true }
";
    let flow =
        TWO_NODES.replace("outputs:\n", "outputs:\n  text: { type: string, reference: \"${clean_up.output.text}\" }\n");
    project.write("flows/ask/flow.dag.yaml", flow + more);
    project.write("flows/ask/clean_up.py", CLEAN_UP);
    project.write("flows/ask/count.py", COUNT);
}

#[test]
fn python_nodes_and_aggregation_come_back_the_same() {
    let endpoint = refuses_two();
    let project = three_rows(&endpoint);
    with_python(&project);
    let ran = batch(&project, &["--run-folder", "rf"]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    let files = files(&project, "rf");
    assert_eq!(json(&files["metrics.json"]), json(r#"{"lines": 1}"#));
    let count = json(&files["node_artifacts/count/000000000.jsonl"]);
    assert_eq!((&count["line_number"], &count["run_info"]["output"]), (&json("null"), &json(r#"[5, "one"]"#)));
    let errors = json(&files["error.json"]);
    assert_eq!(
        errors["message"],
        "Failed to run 2/3 lines. First error message is: Execution failure in 'ask': (rejected) the endpoint refused the request (400): Not that one."
    );
    let raised = &errors["additionalInfo"][0]["info"]["errors"][1];
    assert_eq!(raised["line_number"], 2);
    assert_eq!(raised["error"]["message"], "Execution failure in 'clean_up': (ValueError) three is one too many");
    assert_eq!(raised["error"]["additionalInfo"][0]["info"]["type"], "ValueError");
    assert_eq!(json(&files["node_artifacts/clean_up/000000000.jsonl"])["run_info"]["logs"]["stdout"], "cleaning one\n");
    assert!(
        files["logs.txt"].contains("[clean_up in line 0 (index starts from 0)] stdout> cleaning one"),
        "{}",
        files["logs.txt"]
    );
    insta::assert_snapshot!(verify(&project, "rf").shown(), @r#"
    exit 0
    --- stdout
    ask against rf: 3 lines, 3 calls answered from the recording

    NODE              KIND        SAME REQUEST  SAME OUTPUT
    ask               llm         3 of 3        3 of 3
    shout             expression  -             2 of 2
    clean_up          python      -             2 of 2
    count             python      -             1 of 1
    (the flow's end)              -             3 of 3

    3 lines are the same
    --- stderr
    "#);
}

#[test]
fn a_folder_written_at_once_and_one_written_later_are_the_same() {
    let endpoint = refuses_two();
    let project = three_rows(&endpoint);
    assert_eq!(batch(&project, &["--run-folder", "at-once"]).code, 1);
    told(&project, &["export", "three", "--as", "promptflow", "--output", "later"]);
    assert_eq!(files(&project, "at-once"), files(&project, "later"));
}

#[test]
fn what_others_have_written_is_not_written_over() {
    let endpoint = refuses_two();
    let project = three_rows(&endpoint).file("rf/meta.json", "{\"batch_size\": 1}").file("rf/mine.txt", "mine");
    let refused = batch(&project, &["--run-folder", "rf"]);
    assert!(refused.code == 2 && refused.stderr.contains("is not empty"), "{}", refused.shown());
    assert_eq!(endpoint.count(), 0, "it is found out before anything is paid");
    assert_eq!(names(&project, "rf"), "meta.json\nmine.txt");
}

#[test]
fn a_resumed_batch_leaves_no_errors_of_its_past() {
    let endpoint = refuses_two();
    let project = three_rows(&endpoint);
    assert_eq!(batch(&project, &["--run-folder", "rf"]).code, 1);
    assert!(files(&project, "rf").contains_key("error.json"));
    project.write("rf/mine.txt", "mine");
    endpoint.on(|_| Some(Answer::text("fine now")));
    let resumed = project.run(SLUICEGATE, &["batch", "--resume", "three", "--failed", "--run-folder", "rf"]);
    assert_eq!(resumed.code, 0, "{}", resumed.shown());
    let files = files(&project, "rf");
    assert!(!files.contains_key("error.json") && files.contains_key("mine.txt"), "{:?}", files.keys());
    assert_eq!(json_lines(&files["flow_outputs/output.jsonl"])[1], json(r#"{"line_number": 1, "said": "FINE NOW"}"#));
    assert_eq!(json(&files["flow_artifacts/000000001_000000001.jsonl"])["status"], "Completed");
    let verified = verify(&project, "rf");
    assert!(verified.code == 0 && verified.stdout.contains("3 lines are the same"), "{}", verified.shown());
}

#[test]
fn a_flow_that_changed_since_is_not_copied() {
    let (_endpoint, project) = ran();
    project.write("flows/ask/ask.jinja2", "user:\nsay {{q}}\n");
    let exported = runs(&project, &["export", "three", "--as", "promptflow", "--output", "rf"]);
    assert_eq!(exported.code, 0, "{}", exported.shown());
    assert!(exported.stderr.contains("the flow is not as it was"), "{}", exported.shown());
    assert!(!names(&project, "rf").contains("snapshot"));
}

#[test]
fn variants_stand_in_the_copy_as_they_ran() {
    let endpoint = refuses_two();
    let project = three_rows(&endpoint);
    let (head, _) = TWO_NODES.split_once("- name: ask").expect("the node");
    let (_, tail) = TWO_NODES.split_once("- name: shout").expect("the node");
    let node = |temperature: f64| {
        format!(
            "{{ node: {{ type: llm, api: chat, connection: gateway, source: {{ type: code, path: ask.jinja2 }}, inputs: {{ deployment_name: d, temperature: {temperature}, q: \"${{inputs.q}}\" }} }} }}"
        )
    };
    let variants = format!(
        "node_variants:\n  ask:\n    default_variant_id: cold\n    variants:\n      cold: {}\n      warm: {}\n",
        node(0.0),
        node(0.7)
    );
    project.write(
        "flows/ask/flow.dag.yaml",
        format!("{head}- {{ name: ask, use_variants: true }}\n- name: shout{tail}{variants}"),
    );
    assert_eq!(batch(&project, &["--variant", "${ask.warm}", "--run-folder", "rf"]).code, 1);
    let copy = json(&files(&project, "rf")["snapshot/flow.dag.yaml"]);
    assert_eq!(
        (&copy["nodes"][0]["inputs"]["temperature"], &copy["nodes"][0]["name"]),
        (&json("0.7"), &json("\"ask\""))
    );
    let verified =
        project.run(SLUICEGATE, &["verify", "ask", "-e", "pr", "--variant", "${ask.warm}", "--against", "rf"]);
    assert_eq!(verified.code, 0, "{}", verified.shown());
    told(&project, &["export", "three", "--as", "promptflow", "--output", "later"]);
    assert_eq!(files(&project, "rf"), files(&project, "later"));
}

#[test]
fn images_of_outputs_lie_beside_them() {
    let pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let flow = "inputs: { picture: { type: image } }\noutputs: { same: { type: image, reference: \"${pass.output}\" } }
nodes:\n- { name: pass, type: expression, inputs: { picture: \"${inputs.picture}\" }, expression: picture }\n";
    let project = Project::new()
        .file("flow/flow.dag.yaml", flow)
        .file("rows.jsonl", format!("{{\"picture\": {{\"data:image/png;base64\": \"{pixel}\"}}}}\n"));
    let ran = project.run(SLUICEGATE, &["batch", "flow", "--data", "rows.jsonl", "--run-folder", "rf"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let outputs = json(&files(&project, "rf")["flow_outputs/output.jsonl"]);
    let name = outputs["same"]["data:image/png;path"].as_str().unwrap_or_else(|| panic!("{outputs}"));
    assert!(project.path().join("rf/flow_outputs").join(name).is_file() && !name.contains('/'), "{name}");
    let verified = project.run(SLUICEGATE, &["verify", "flow", "--against", "rf"]);
    assert_eq!(verified.code, 0, "{}", verified.shown());
}

#[test]
fn calls_of_flows_inside_a_flow_come_back_too() {
    let endpoint = refuses_two();
    let project = three_rows(&endpoint);
    let outer = "inputs: { qs: { type: list } }
outputs: { all: { type: list, reference: \"${each.output}\" } }
nodes:
- { name: each, type: map, source: { type: code, path: ../ask }, over: \"${inputs.qs}\", as: q }
";
    project.write("flows/outer/flow.dag.yaml", outer);
    project.write("lists.jsonl", "{\"qs\": [\"a\", \"b\"]}\n{\"qs\": [\"c\"]}\n");
    let ran = project.run(SLUICEGATE, &["batch", "flows/outer", "--data", "lists.jsonl", "--run-folder", "rf"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let records = json_lines(&files(&project, "rf")["node_artifacts/each/000000000.jsonl"]);
    let names: Vec<&str> = records.iter().filter_map(|record| record["NodeName"].as_str()).collect();
    assert_eq!(names, ["each", "each/ask"]);
    let verified = project.run(SLUICEGATE, &["verify", "flows/outer", "--against", "rf"]);
    assert!(verified.code == 0 && verified.stdout.contains("3 of 3"), "{}", verified.shown());
}
