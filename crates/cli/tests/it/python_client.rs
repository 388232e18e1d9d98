//! `PFClient` of the stand-in package: in a script of the user's own (`sluicegate python`), and in a node.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};
use sluicegate_testkit::project::{Project, Ran};

use crate::fixture::{KEY, SLUICEGATE};

const CONFIG: &str = "connections:
  local: { type: simulated, script: config/replies.yaml }
flow_configs:
  triage: { flow_path: flows/triage }
  triage_local: { connection_name: local, deployment_name: simulated }
";

const REPLIES: &str = "replies:
  - when: { user: 'invoice' }
    reply: billing
default: sales
";

/// As prompt flow's users write it: an llm node, and a Python node over all lines.
const TRIAGE: &str = r#"
inputs: { message: { type: string } }
outputs: { team: { type: string, reference: "${ask.output}" } }
nodes:
- name: ask
  type: llm
  api: chat
  connection: local
  source: { type: code, path: ask.jinja2 }
  inputs: { deployment_name: gpt-4o-mini, message: "${inputs.message}" }
- name: count
  type: python
  aggregation: true
  source: { type: code, path: count.py }
  inputs: { teams: "${ask.output}" }
"#;

const COUNT: &str = "from promptflow.core import tool, log_metric\n@tool\ndef count(teams: list):\n    log_metric('billing', teams.count('billing'))\n";

const ROWS: &str = "{\"message\": \"my invoice\"}\n{\"message\": \"hello\"}\n";

fn project() -> Project {
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cache");
    Project::new()
        .file("config/config.yaml", CONFIG)
        .file("config/replies.yaml", REPLIES)
        .file("flows/triage/flow.dag.yaml", TRIAGE)
        .file("flows/triage/ask.jinja2", "system:\nWhich team?\nuser:\n{{message}}\n")
        .file("flows/triage/count.py", COUNT)
        .file("rows.jsonl", ROWS)
        .variable("XDG_CACHE_HOME", cache.display().to_string())
        .variable("PYTHONDONTWRITEBYTECODE", "1")
}

/// Runs a script that begins with the usual imports; what it prints last is JSON.
fn script(project: &Project, text: &str) -> Ran {
    let imports = "import json\nfrom promptflow.client import PFClient, load_flow, load_run\nfrom promptflow.entities import Run\npf = PFClient()\n";
    project.write("script.py", format!("{imports}{text}"));
    project.run(SLUICEGATE, &["python", "-e", "local", "script.py"])
}

/// What a script prints last.
fn printed(ran: &Ran) -> Value {
    let last = ran.stdout.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {}", ran.shown()))
}

fn check(project: &Project, text: &str, expected: &Value) {
    let ran = script(project, text);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert_eq!(printed(&ran), *expected, "{}", ran.shown());
}

#[test]
fn a_script_runs_a_batch_and_reads_its_details_and_metrics() {
    let text = "
run = pf.run(flow='flows/triage', data='rows.jsonl', column_mapping={'message': '${data.message}'}, display_name='Mine', name='first')
details = pf.get_details(run)
again = pf.runs.get('first')
print(json.dumps([run.status, run.display_name, again.status, again.display_name, details.to_dict('records'), pf.get_metrics(run), again._to_dict()['name']]))
";
    let rows = json!([
        {"inputs.message": "my invoice", "inputs.line_number": 0, "outputs.team": "billing"},
        {"inputs.message": "hello", "inputs.line_number": 1, "outputs.team": "sales"},
    ]);
    check(&project(), text, &json!(["Completed", "Mine", "Completed", "Mine", rows, {"billing": 1}, "first"]));
}

#[test]
fn a_run_may_be_over_another_one_and_its_failed_lines_run_again() {
    let score = "from promptflow.core import tool\nimport os\n@tool\ndef t(team, message):\n    if os.path.exists('broken') and team == 'sales': raise ValueError('broken')\n    return f'{team}: {message}'\n";
    let flow = r#"
inputs: { team: { type: string }, message: { type: string } }
outputs: { said: { type: string, reference: "${n.output}" } }
nodes:
- { name: n, type: python, source: { type: code, path: n.py }, inputs: { team: "${inputs.team}", message: "${inputs.message}" } }
"#;
    let project = project()
        .file("flows/score/flow.dag.yaml", flow)
        .file("flows/score/n.py", score)
        .file("flows/score/broken", "");
    let text = "
import os
base = pf.run('flows/triage', data='rows.jsonl', name='base')
mapping = {'team': '${run.outputs.team}', 'message': '${data.message}'}
scored = pf.run('flows/score', data='rows.jsonl', run=base, column_mapping=mapping, name='scored')
before = list(pf.get_details(scored)['outputs.said'])
os.remove('flows/score/broken')
after = pf.run(resume_from=scored)
said = list(pf.get_details(after)['outputs.said'])
names = [run.name for run in pf.runs.list()]
pf.runs.delete('base')
try: pf.runs.get('base')
except Exception as error: gone = type(error).__name__
print(json.dumps([scored.status, before, after.name, said, names, gone]))
";
    let expected = json!([
        "Completed",
        ["billing: my invoice", "(Failed)"],
        "scored",
        ["billing: my invoice", "sales: hello"],
        ["scored", "base"],
        "RunNotFoundError"
    ]);
    check(&project, text, &expected);
}

#[test]
fn a_runs_file_and_a_function_are_flows_too() {
    let file = "flow: ../flows/triage\ndata: ../rows.jsonl\ncolumn_mapping: { message: '${data.message}' }\n";
    let module = "def twice(message: str) -> dict:\n    return {'said': message * 2}\n";
    let text = "
from work.text import twice
loaded = pf.runs.create_or_update(load_run('runs/run.yaml', params_override=[{'name': 'loaded'}]))
made = pf.run(twice, data='rows.jsonl')
import os
print(json.dumps([loaded.name, list(pf.get_details(loaded)['outputs.team']), list(pf.get_details(made)['outputs.said']), sorted(os.listdir('work'))]))
";
    let project = project().file("runs/run.yaml", file).file("work/text.py", module);
    let expected = json!(["loaded", ["billing", "sales"], ["my invoicemy invoice", "hellohello"], ["text.py"]]);
    check(&project, text, &expected);
}

#[test]
fn what_is_wrong_with_the_data_is_raised_in_the_programs_words() {
    let project = project()
        .file("other.jsonl", "{\"mesage\": \"x\"}\n")
        .file("mixed.jsonl", "{\"message\": \"my invoice\"}\n{\"mess\n");
    let ran = script(&project, "pf.run('flows/triage', data='other.jsonl')");
    assert_eq!(ran.code, 1, "{}", ran.shown());
    let told = "InputMappingError: error[data::unknown_column]: input `message` is not mapped";
    assert!(ran.stderr.contains(told) && ran.stderr.contains("did you mean"), "{}", ran.shown());
    // A row that is none fails alone.
    let text = "
run = pf.run('flows/triage', data='mixed.jsonl')
print(json.dumps([run.status, run.properties['lines']['failed'], list(pf.get_details(run)['outputs.team'])]))
";
    check(&project, text, &json!(["Completed", 1, ["billing", "(Failed)"]]));
}

#[test]
fn a_node_runs_a_batch_of_its_own() {
    let tool = "
from promptflow.core import tool
from promptflow.client import PFClient
@tool
def t(flow: str, data: str):
    pf = PFClient()
    run = pf.run(flow=flow, data=data)
    return [run.status, list(pf.get_details(run)['outputs.team']), pf.get_metrics(run)]
";
    let flow = |flow: &str, more: &str| {
        format!(
            "{more}outputs: {{ r: {{ type: object, reference: \"${{n.output}}\" }} }}\nnodes:\n\
             - {{ name: n, type: python, source: {{ type: code, path: n.py }}, inputs: {{ flow: {flow}, data: rows.jsonl }} }}\n"
        )
    };
    let project = project()
        .file("flows/outer/flow.dag.yaml", flow("../triage", ""))
        .file("flows/outer/n.py", tool)
        .file("flows/outer/rows.jsonl", ROWS)
        // Its folder is merged with what it includes elsewhere: the included flow is found where it comes from.
        .file("flows/merged/flow.dag.yaml", flow("triage", "additional_includes: [../triage, ../../rows.jsonl]\n"))
        .file("flows/merged/n.py", tool);
    for outer in ["flows/outer", "flows/merged"] {
        let ran = project.run(SLUICEGATE, &["run", outer, "-e", "local"]);
        let found: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{outer}: {}", ran.shown()));
        assert_eq!(
            found,
            json!({"r": ["Completed", ["billing", "sales"], {"billing": 1}]}),
            "{outer}: {}",
            ran.shown()
        );
    }
}

#[test]
fn a_script_calls_flows_and_is_told_what_it_cannot() {
    let prompty = "---\nname: p\nmodel: { api: chat, configuration: { type: azure_openai, connection: local, azure_deployment: x } }\n\
                   inputs: { q: { type: string } }\n---\nuser:\n{{q}}\n";
    let text = "
from promptflow.core import Prompty
from promptflow.tools.aoai import chat
from promptflow.connections import AzureOpenAIConnection
refused = []
connection = AzureOpenAIConnection(api_key='key', api_base='https://x')
for call in (lambda: chat(connection, prompt='user:\\nhi', deployment_name='x'), lambda: pf.connections.get('local')):
    try: call()
    except Exception as error: refused.append('inside of a flow only' in str(error))
print(json.dumps([load_flow('flows/triage')(message='an invoice'), pf.test('flows/triage', inputs={'message': 'x'}),
    pf.test('flows/triage', node='ask', inputs={'message': 'invoice'}), Prompty.load('p.prompty')(q='invoice'), refused]))
";
    let expected = json!([{"team": "billing"}, {"team": "sales"}, "billing", "billing", [true, true]]);
    check(&project().file("p.prompty", prompty), text, &expected);
}

#[test]
fn values_of_variables_are_on_no_command_line() {
    let tool = "
from promptflow.core import tool
import os
@tool
def t(x):
    line = open(f'/proc/{os.getppid()}/cmdline').read() if os.path.exists('/proc') else ''
    return [os.environ['TOKEN'] == x, x in line]
";
    let flow = r#"
inputs: { x: { type: string } }
outputs: { r: { type: object, reference: "${n.output}" } }
nodes:
- { name: n, type: python, source: { type: code, path: n.py }, inputs: { x: "${inputs.x}" } }
"#;
    let project = project().file("flows/f/flow.dag.yaml", flow).file("flows/f/n.py", tool);
    let text = format!(
        "
run = pf.run('flows/triage/../f', data='rows.jsonl', column_mapping={{'x': '{KEY}'}}, environment_variables={{'TOKEN': '{KEY}'}})
print(json.dumps(list(pf.get_details(run)['outputs.r'])))
"
    );
    check(&project, &text, &json!([[true, false], [true, false]]));
}

#[test]
fn a_script_has_its_terminal_its_arguments_and_its_exit_code() {
    let project = project()
        .file("s.py", "import sys\nprint(sys.argv[1:], sys.stdin.read())\nprint('e', file=sys.stderr)\nsys.exit(7)\n");
    let mut command = project.command(SLUICEGATE, &["python", "s.py", "--my_flag", "-e", "x", "--help"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    child.stdin.take().expect("stdin").write_all(b"typed").expect("written");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "['--my_flag', '-e', 'x', '--help'] typed\n");
    assert_eq!((String::from_utf8_lossy(&output.stderr).as_ref(), output.status.code()), ("e\n", Some(7)));
    // What Python itself takes, in another folder; without a lasting place for the built-in files, too.
    project
        .write("sub/m.py", "import os, promptflow\nprint(os.path.basename(os.getcwd()), promptflow.__sluicegate__)\n");
    let mut command = project.command(SLUICEGATE, &["-C", "sub", "python", "-m", "m"]);
    let output = command.env_remove("XDG_CACHE_HOME").env_remove("HOME").output().expect("ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "sub True\n", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_installed_promptflow_comes_first_where_the_config_says_so() {
    let installed = |project: Project| {
        let folder = project.path().join("site").display().to_string();
        project.file("site/promptflow/__init__.py", "__sluicegate__ = False\n").variable("PYTHONPATH", folder)
    };
    let asks = ["python", "-c", "import promptflow; print(promptflow.__sluicegate__)"];
    let project = installed(project());
    assert_eq!(project.run(SLUICEGATE, &asks).stdout, "True\n");
    project.write("config/config.yaml", "python: { prefer_installed: true }\n");
    assert_eq!(project.run(SLUICEGATE, &asks).stdout, "False\n");
}

#[test]
fn without_python_the_script_is_told_what_to_do() {
    let ran = project().variable("PATH", "/nowhere").run(SLUICEGATE, &["python", "s.py"]);
    assert_eq!(ran.code, 2, "{}", ran.shown());
    assert!(ran.stderr.contains("no Python was found") && ran.stderr.contains("install Python 3.9"), "{}", ran.shown());
}
