//! Python nodes through the door: files, settings, secrets, workers that end with their run.

use std::path::PathBuf;
use std::time::Duration;

use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_testkit::project::Project;

use crate::fixture::{KEY, SLUICEGATE};

/// Flow `f` of these files, each tool with the usual import.
fn project(flow: &str, tools: &[(&str, &str)]) -> Project {
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cache");
    let project =
        Project::new().file("flows/f/flow.dag.yaml", flow).variable("XDG_CACHE_HOME", cache.display().to_string());
    tools.iter().fold(project, |project, (name, text)| {
        project.file(&format!("flows/f/{name}"), format!("from promptflow.core import tool, log_metric\n{text}\n"))
    })
}

const ONE: &str = r#"
inputs: {x: {type: string, default: hello}}
outputs: {r: {type: object, reference: "${n.output}"}}
nodes:
- {name: n, type: python, source: {type: code, path: n.py}, inputs: {x: "${inputs.x}"}}
"#;

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_flow_of_the_originals_runs_as_it_is() {
    let project = project(ONE, &[("n.py", "@tool\ndef t(x):\n  print('printed')\n  return {'got': x}")]);
    let ran = project.run(SLUICEGATE, &["run", "flows/f", "--inputs", "x=a"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "{\n  \"r\": {\n    \"got\": \"a\"\n  }\n}\n"), "{}", ran.shown());
    assert_eq!(ran.stderr, "n | printed\n");
    let shown = json(&project.run(SLUICEGATE, &["runs", "show", "latest", "--json"]).stdout);
    assert_eq!(shown["nodes"]["n"]["output"]["got"], "a");
    let report = json(&project.run(SLUICEGATE, &["run", "flows/f", "--json"]).stdout);
    assert_eq!(report["logs"]["n"]["stdout"], "printed\n");
}

#[test]
fn metrics_of_aggregation_nodes_are_in_the_report() {
    let flow = ONE.to_owned()
        + "- {name: all, type: python, source: {type: code, path: all.py}, inputs: {xs: \"${n.output}\"}, aggregation: true}\n";
    let tools = [("n.py", "@tool\ndef t(x): return 2"), ("all.py", "@tool\ndef t(xs): log_metric('sum', sum(xs))")];
    let report = json(&project(&flow, &tools).run(SLUICEGATE, &["run", "flows/f", "--json", "--no-store"]).stdout);
    assert_eq!(report["metrics"]["sum"], 2);
}

#[test]
fn tools_that_do_not_load_are_told_before_a_run_begins() {
    let project = project(ONE, &[("n.py", "import not_a_module_xyz\n@tool\ndef t(x): ...")]);
    let ran = project.run(SLUICEGATE, &["run", "flows/f"]);
    assert_eq!(ran.code, 2, "{}", ran.shown());
    for told in ["python::python_load_error", "n.py:2:1", "python::missing_packages", "-m pip install not_a_module_xyz"]
    {
        assert!(ran.stderr.contains(told), "{}", ran.shown());
    }
    assert!(!project.path().join(".sluicegate/runs").exists());
}

#[test]
fn without_python_the_problem_says_what_to_do() {
    let project = project(ONE, &[("n.py", "@tool\ndef t(x): ...")]).variable("PATH", "/nowhere");
    let ran = project.run(SLUICEGATE, &["run", "flows/f"]);
    assert_eq!(ran.code, 2, "{}", ran.shown());
    assert!(ran.stderr.contains("no Python was found") && ran.stderr.contains("install Python 3.9"), "{}", ran.shown());
}

#[test]
fn the_config_names_the_interpreter() {
    let project = project(ONE, &[("n.py", "@tool\ndef t(x): ...")])
        .file("config/config.yaml", "python: { interpreter: /nowhere/python }\n");
    let ran = project.run(SLUICEGATE, &["run", "flows/f"]);
    assert_eq!(ran.code, 2, "{}", ran.shown());
    assert!(
        ran.stderr.contains("the settings name `/nowhere/python` as Python, which is not there"),
        "{}",
        ran.shown()
    );
}

#[test]
fn a_flow_sees_what_it_includes_and_its_own_variables() {
    let flow = "additional_includes: [../../shared/helper.py, ../../shared/lib]\n\
                environment_variables: {MINE: one, KEYED: \"${service.api_key}\", LIST: [1]}\n"
        .to_owned()
        + ONE;
    let tool = "import os, helper, lib.inside\n@tool\ndef t(x):\n  \
                return [helper.name, lib.inside.name, open('data.txt').read(), os.environ['MINE'], len(os.environ['KEYED']), os.environ['LIST']]";
    let project = project(&flow, &[("n.py", tool)])
        .file("flows/f/data.txt", "data")
        .file("shared/helper.py", "name = 'helper'\n")
        .file("shared/lib/inside.py", "name = 'inside'\n")
        .file(
            "config/config.yaml",
            "connections:\n  service: { type: custom, configs: { a: b }, secrets: { api_key: \"${THE_KEY}\" } }\n",
        )
        .variable("THE_KEY", KEY);
    let ran = project.run(SLUICEGATE, &["run", "flows/f", "--no-store"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let expected = serde_json::json!({"r": ["helper", "inside", "data", "one", KEY.len(), "[1]"]});
    assert_eq!(json(&ran.stdout), expected, "{}", ran.shown());
}

#[test]
fn a_connections_secret_reaches_the_tool_and_nobody_else() {
    let flow = r#"
outputs: {r: {type: string, reference: "${n.output}"}}
nodes:
- {name: n, type: python, source: {type: code, path: n.py}, inputs: {connection: service}}
"#;
    let tool = "from promptflow.connections import CustomConnection\n@tool\ndef t(connection: CustomConnection):\n  \
                print(connection.token)\n  return 'got ' + connection.token + ' at ' + connection.url";
    let project = project(flow, &[("n.py", tool)])
        .file(
            "config/config.yaml",
            "connections:\n  service: { type: custom, configs: { url: here }, secrets: { token: \"${THE_KEY}\" } }\n",
        )
        .variable("THE_KEY", KEY);
    let ran = project.run(SLUICEGATE, &["run", "flows/f"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert!(ran.stdout.contains("got [secret] at here") && !ran.shown().contains(KEY), "{}", ran.shown());
    let shown = project.run(SLUICEGATE, &["runs", "events", "latest"]);
    assert!(!shown.shown().contains(KEY), "{}", shown.shown());
}

#[test]
fn what_promptflow_tools_send_is_what_an_llm_node_sends() {
    let endpoint = Endpoint::start();
    endpoint.reply_text("fine".to_owned());
    let flow = r#"
outputs: {a: {type: string, reference: "${llm.output}"}, b: {type: string, reference: "${n.output}"}}
nodes:
- {name: llm, type: llm, api: chat, connection: aoai, source: {type: code, path: ask.jinja2}, inputs: {deployment_name: gpt, temperature: 0.2, max_tokens: 16, q: hi}}
- {name: n, type: python, source: {type: code, path: n.py}, inputs: {connection: aoai, same: "${llm.output}"}}
"#;
    let tool = "from promptflow.connections import AzureOpenAIConnection\nfrom promptflow.tools.aoai import chat\n@tool\n\
                def t(connection: AzureOpenAIConnection, same: str):\n  \
                return chat(connection, prompt=open('ask.jinja2').read(), deployment_name='gpt', temperature=0.2, top_p=1.0, max_tokens=16, q='hi')";
    let project = project(flow, &[("n.py", tool)])
        .file("flows/f/ask.jinja2", "system:\nBe brief.\nuser:\n{{q}}\n")
        .file(
            "config/config.yaml",
            format!(
                "connections:\n  aoai: {{ type: azure_open_ai, api_base: \"{}\", api_key: \"${{THE_KEY}}\" }}\n",
                endpoint.url()
            ),
        )
        .variable("THE_KEY", KEY);
    let ran = project.run(SLUICEGATE, &["run", "flows/f", "--no-store"]);
    assert_eq!(json(&ran.stdout), serde_json::json!({"a": "fine", "b": "fine"}), "{}", ran.shown());
    let requests = endpoint.requests();
    assert_eq!(requests.len(), 2);
    let told = |index: usize| {
        let header = |name: &str| {
            requests[index].headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        (
            requests[index].path.clone(),
            requests[index].json(),
            header("api-key"),
            header("ms-azure-ai-promptflow-called-from"),
        )
    };
    assert_eq!(told(0), told(1));
}

#[test]
fn code_describes_connections_of_its_own_and_overrides_prompties() {
    let endpoint = Endpoint::start();
    endpoint.reply_text("fine".to_owned());
    let prompty = "---\nname: p\nmodel:\n  api: chat\n  configuration: {type: azure_openai, azure_deployment: m}\n  parameters: {max_tokens: 5}\n\
                   inputs: {q: {type: string}}\n---\nuser:\n{{q}}\n";
    let tool = "import os\nfrom promptflow.core import Prompty, OpenAIModelConfiguration\n@tool\ndef t(x):\n  \
                model = OpenAIModelConfiguration(model='big', base_url=os.environ['BASE'] + '/v1', api_key=os.environ['THE_KEY'])\n  \
                ask = Prompty.load(source='p.prompty', model={'configuration': model, 'parameters': {'temperature': 0.5}})\n  \
                print(model.api_key)\n  return ask(q='one')";
    let project = project(ONE, &[("n.py", tool)])
        .file("flows/f/p.prompty", prompty)
        .variable("THE_KEY", KEY)
        .variable("BASE", endpoint.url());
    let ran = project.run(SLUICEGATE, &["run", "flows/f", "--no-store"]);
    assert_eq!(json(&ran.stdout), serde_json::json!({"r": "fine"}), "{}", ran.shown());
    let request = endpoint.requests()[0].json();
    assert_eq!(
        (&request["model"], &request["max_tokens"], &request["temperature"]),
        (&"big".into(), &5.into(), &0.5.into())
    );
    assert_eq!(request["messages"][0]["content"], "one");
}

#[test]
fn images_among_outputs_become_files_beside_the_run() {
    let tool = "from promptflow.contracts.multimedia import Image\n@tool\ndef t(x): return Image(b'PNG', mime_type='image/png')";
    let project = project(ONE, &[("n.py", tool)]);
    let ran = project.run(SLUICEGATE, &["run", "flows/f"]);
    let path = json(&ran.stdout)["r"]["data:image/png;path"]
        .as_str()
        .expect("a path")
        .replace("[project]", &project.path().display().to_string());
    assert_eq!(std::fs::read(&path).expect("the image"), b"PNG");
    let ran = project.run(SLUICEGATE, &["run", "flows/f", "--no-store"]);
    assert_eq!(json(&ran.stdout)["r"]["data:image/png;base64"], "UE5H");
}

#[test]
fn a_flex_flow_of_a_class_runs() {
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cache");
    let project = Project::new()
        .file("flows/f/flow.flex.yaml", "entry: entry:Greeter\n")
        .file("flows/f/entry.py", "class Greeter:\n  def __init__(self, greeting: str = 'hi'): self.greeting = greeting\n  def __call__(self, name: str, mark: str = '!'): return {'said': f'{self.greeting} {name}{mark}'}\n  def __aggregate__(self, results: list): return {'count': len(results)}\n")
        .variable("XDG_CACHE_HOME", cache.display().to_string());
    let ran = project.run(SLUICEGATE, &["run", "flows/f", "--inputs", "name=Ann", "--no-store"]);
    assert_eq!(json(&ran.stdout), serde_json::json!({"said": "hi Ann!"}), "{}", ran.shown());
    let ran = project.run(SLUICEGATE, &["run", "flows/f", "--inputs", "name=Ann", "--no-store", "--json"]);
    assert_eq!(json(&ran.stdout)["metrics"]["count"], 1, "{}", ran.shown());
}

#[test]
fn a_killed_run_leaves_no_worker_and_goes_on_without_asking_again() {
    let endpoint = Endpoint::start();
    endpoint.reply_text("fine".to_owned());
    let flow = r#"
outputs: {r: {type: string, reference: "${use.output}"}}
nodes:
- {name: make, type: python, source: {type: code, path: make.py}, inputs: {connection: aoai}}
- {name: use, type: python, source: {type: code, path: use.py}, inputs: {thing: "${make.output}"}}
"#;
    let make = "from promptflow.connections import AzureOpenAIConnection\nfrom promptflow.tools.aoai import chat\n\
                class Thing:\n  def __init__(self, word): self.word = word\n@tool\n\
                def t(connection: AzureOpenAIConnection): return Thing(chat(connection, prompt='user:\\nhi', deployment_name='d'))";
    let hang = "import os, time\n@tool\ndef t(thing):\n  if not os.path.exists('go'):\n    \
                open('pid.new', 'w').write(str(os.getpid()))\n    os.rename('pid.new', 'pid')\n    time.sleep(60)\n  return thing.word";
    let project = project(flow, &[("make.py", make), ("use.py", hang)])
        .file(
            "config/config.yaml",
            format!(
                "connections:\n  aoai: {{ type: azure_open_ai, api_base: \"{}\", api_key: \"${{THE_KEY}}\" }}\n",
                endpoint.url()
            ),
        )
        .variable("THE_KEY", KEY);
    let mut child = project.start(SLUICEGATE, &["run", "flows/f"]);
    let pid_file = project.path().join("flows/f/pid");
    while !pid_file.exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("killed");
    let _ = project.wait(child);
    let pid = std::fs::read_to_string(pid_file).expect("the worker's number");
    while is_alive(&pid) {
        std::thread::sleep(Duration::from_millis(5));
    }
    project.write("flows/f/go", "");
    let ran = project.run(SLUICEGATE, &["runs", "resume", "latest"]);
    assert_eq!(json(&ran.stdout), serde_json::json!({"r": "fine"}), "{}", ran.shown());
    assert!(ran.stderr.contains("1 node runs again"), "{}", ran.shown());
    assert_eq!(endpoint.requests().len(), 1);
}

fn is_alive(pid: &str) -> bool {
    let said = std::process::Command::new("ps").args(["-o", "stat=", "-p", pid]).output().expect("ps runs");
    let state = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

#[test]
fn replies_that_code_streams_are_shown_as_they_come() {
    let endpoint = Endpoint::start();
    endpoint.queue(Answer::stream(&["one ", "two"]));
    let flow = r#"
outputs: {r: {type: string, reference: "${n.output}"}}
nodes:
- {name: n, type: python, source: {type: code, path: n.py}, inputs: {connection: aoai}}
"#;
    let tool = "from promptflow.connections import AzureOpenAIConnection\nfrom promptflow.tools.aoai import chat\n@tool\n\
                def t(connection: AzureOpenAIConnection):\n  \
                for piece in chat(connection, prompt='user:\\nhi', deployment_name='d', stream=True): yield piece";
    let project = project(flow, &[("n.py", tool)])
        .file(
            "config/config.yaml",
            format!(
                "connections:\n  aoai: {{ type: azure_open_ai, api_base: \"{}\", api_key: \"${{THE_KEY}}\" }}\n",
                endpoint.url()
            ),
        )
        .variable("THE_KEY", KEY);
    let ran = project.run(SLUICEGATE, &["run", "flows/f", "--stream", "--no-store"]);
    assert_eq!(json(&ran.stdout), serde_json::json!({"r": "one two"}), "{}", ran.shown());
    assert_eq!(ran.stderr.matches("one two").count(), 1, "{}", ran.shown());
}

#[test]
fn a_node_alone_runs_with_its_references_as_inputs() {
    let flow = ONE.to_owned()
        + "- {name: m, type: python, source: {type: code, path: m.py}, inputs: {x: \"${n.output}\", y: 3}}\n";
    let tools =
        [("n.py", "print('while loading')\n@tool\ndef t(x): ..."), ("m.py", "@tool\ndef t(x, y: int): return [x, y]")];
    let project = project(&flow, &tools);
    let ran = project.run(SLUICEGATE, &["run", "flows/f", "--node", "m", "--inputs", "n.output=a", "--no-store"]);
    assert_eq!(json(&ran.stdout), serde_json::json!({"output": ["a", 3]}), "{}", ran.shown());
    let ran = project.run(SLUICEGATE, &["run", "flows/f", "--no-store"]);
    assert_eq!(ran.stderr, "while loading\n");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_ends_at_once_and_goes_on_later() {
    let tool = "import os, time\n@tool\ndef t(x):\n  if os.path.exists('go'): return x\n  open('begun', 'w').close()\n  while True: pass";
    let project = project(ONE, &[("n.py", tool)]);
    let child = project.start(SLUICEGATE, &["run", "flows/f"]);
    while !project.path().join("flows/f/begun").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let killed =
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
    let ran = project.wait(child);
    assert_eq!(ran.code, 130, "{}", ran.shown());
    project.write("flows/f/go", "");
    let ran = project.run(SLUICEGATE, &["runs", "resume", "latest"]);
    assert_eq!(json(&ran.stdout), serde_json::json!({"r": "hello"}), "{}", ran.shown());
}
