//! A new project runs at once; an existing one is read, reported and completed, and never changed.

#[path = "new/project.rs"]
mod project;

use sluicegate_testkit::project::{Project, Ran};

use crate::fixture::SLUICEGATE;
use project::{EVALUATE, template};

fn bring_over(project: &Project, more: &[&str]) -> Ran {
    project.run(SLUICEGATE, &[&["new", "--from-promptflow", "."], more].concat())
}

fn check(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, code, "{}", ran.shown());
    for words in words {
        assert!(ran.stdout.contains(words) || ran.stderr.contains(words), "`{words}` is not in\n{}", ran.shown());
    }
}

fn read(project: &Project, path: &str) -> String {
    std::fs::read_to_string(project.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn a_new_project_is_sound_and_runs_without_a_key() {
    let project = Project::new();
    let made = project.run(SLUICEGATE, &["new", "mine"]);
    insta::assert_snapshot!(made.shown(), @r#"
    exit 0
    --- stdout
    config/config.yaml
    config/simulated/triage.yaml
    flows/triage/flow.dag.yaml
    flows/triage/classify.jinja2
    data/triage.jsonl
    .env.sample
    .gitignore
    .github/workflows/sluicegate.yml
    --- stderr
    run it: cd mine && sluicegate run triage --environment_name local
    then:   copy .env.sample to .env, fill it in, and run it in environment pr
    "#);
    let inside = |arguments: &[&str]| project.run(SLUICEGATE, &[&["-C", "mine"], arguments].concat());
    let checked = inside(&["check"]);
    assert!(checked.code == 0 && !checked.stderr.contains("warning"), "{}", checked.shown());
    let ran = inside(&["run", "triage", "--environment_name", "local"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "{\n  \"team\": \"support\",\n  \"urgent\": true\n}\n"),
        "{}",
        ran.shown()
    );
    for row in read(&project, "mine/data/triage.jsonl").lines() {
        let row: serde_json::Value = serde_json::from_str(row).expect("JSON");
        let message = format!("message={}", row["message"].as_str().expect("a text"));
        let ran = inside(&["run", "triage", "-e", "local", "--inputs", &message]);
        let outputs: serde_json::Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.shown()));
        assert_eq!(outputs["team"], row["expected"], "{row}");
    }
}

#[test]
fn a_new_project_overwrites_nothing() {
    let project = Project::new().file("config/config.yaml", "mine").file(".gitignore", "mine");
    check(&project.run(SLUICEGATE, &["new"]), 2, &["`.` has `config/config.yaml` already"]);
    assert_eq!(read(&project, "config/config.yaml"), "mine");
    assert!(!project.path().join("flows").exists());
    let other = Project::new().file(".gitignore", "mine");
    check(&other.run(SLUICEGATE, &["new", "."]), 0, &["flows/triage/flow.dag.yaml"]);
    assert_eq!(read(&other, ".gitignore"), "mine");
}

#[test]
fn a_project_of_the_template_is_reported_whole() {
    let ran = bring_over(&template(), &[]);
    insta::assert_snapshot!(ran.shown(), @r#"
    exit 0
    --- stdout
    # From prompt flow to sluicegate

    20 files looked at: 5 flows, 2 connection files, 1 run file, 4 Python files, 2 pipelines with old commands. Nothing was run, nothing was sent. What is
    said of flows holds with the drafts below in place.

    ## Runs as it is

    Sound by its files; nothing was run to see it.

    - `flex` (flows/flex): flex flow, Python
      `sluicegate run flex`
    - `chat` (prompts/chat.prompty): prompty
      `sluicegate run chat --environment_name dev`

    ## Runs, and differs

    - `entities` (flows/entities/standard): 1 llm
      `sluicegate run entities --environment_name pr`
      - its section has `bing_endpoint`: only scripts read that, the flow has no such input

    ## Does not run

    - `summary` (flows/summary): 1 llm, 1 python
      - flows/summary/search.py imports `promptflow.integrations.langchain.PromptFlowCallbackHandler`, which the built-in `promptflow` does not offer: do without, or install promptflow and write `python: { prefer_installed: true }` into config/config.yaml

    1 `.prompty` file beside a flow is part of it.

    ## What differs everywhere

    - roles are safe: text from data never opens a message of its own (docs/compatibility.md)
    - calls are repeated as the connection's `retry` says, with `Retry-After` honoured, not a fixed ten times
    - connections stand in config/config.yaml, their secrets in variables or `.env`: there is no keyring and no store to fill
    - `${NAME}` in config/config.yaml is looked up after the file is parsed; a variable that is needed and not set is an error that names it
    - a missing column is an error before any call, where the original sends the text `nan`; a failed line makes exit code 1, where the original says Completed
    - evaluations have a gate: without limits of yours, only a shown regression fails

    ## Not supported

    - flows/runs/run.yml: `resources` only means something in Azure
    - `deployment_configs` of config/config.yaml is checked and used by nothing yet
    - `aistudio_config` of config/config.yaml: results go to no Azure project; traces go to any OpenTelemetry collector
    - flows/entities/evaluate/evaluate.py: evaluator `src.evaluators.steps.StepsEvaluator` is Python of your own and has no twin here
    - flows/entities/evaluate/evaluate.py: evaluator `promptflow.evals.evaluators.ViolenceEvaluator` is a service of Azure and has no twin here

    ## Commands

    | old | new | where | |
    | --- | --- | --- | --- |
    | `pf connection create --file connections/aoai.yaml --set api_key=$AOAI_API_KEY` | `sluicegate connections import --write connections/aoai.yaml` | .github/workflows/pr.yml:15 | `--set` is left out: secrets come from variables or .env |
    | `pf flow test --flow flows/entities/standard --inputs text='a b' entity_type=city` | `sluicegate run flows/entities/standard --inputs text='a b' entity_type=city` | .github/workflows/pr.yml:16 | a section of config/config.yaml says which connection is asked: add --environment_name |
    | `pf config set trace.destination=local` | - | .github/workflows/pr.yml:17 | settings stand in config/config.yaml |
    | `pf run create --flow flows/entities/standard --data data/entities.jsonl --column-mapping text='${data.text}' --stream` | `sluicegate batch flows/entities/standard --data data/entities.jsonl --column-mapping text='${data.text}'` | .github/workflows/pr.yml:19 | `--stream` is left out |
    | `pf run show-metrics -n my_run` | `sluicegate runs metrics my_run` | .github/workflows/pr.yml:19 | runs of the original are not among ours: they have ids of their own |
    | `python -m flows.${{ inputs.model_type }}.evaluate.evaluate --environment_name ${{ inputs.exec_environment }}` | `sluicegate evaluate ${{ inputs.model_type }} --environment_name ${{ inputs.exec_environment }}` | .github/workflows/pr.yml:24 |  |
    | `python -m flows.entities.evaluate.evaluate --environment_name $(ENV)` | `sluicegate evaluate entities --environment_name $(ENV)` | azure-pipelines.yml:2 |  |
    | `python -m flows.entities.evaluate.evaluate --environment_name E` | `sluicegate evaluate entities --environment_name E` | flows/entities/evaluate/evaluate.py |  |
    | `python -m mlops.run_entities --environment_name E` | `sluicegate run entities --environment_name E`<br>`sluicegate batch entities --environment_name E` | mlops/run_entities.py |  |
    | `pf run create --file flows/runs/run.yml` | `sluicegate batch summary --data data/entities.jsonl --column-mapping 'question=${data.text}' 'chat_history=[]'` | flows/runs/run.yml | `resources` only means something in Azure; set for the process or in .env: SEARCH_KEY |
    | `pf connection create --file connections/aoai.yaml` | `sluicegate connections import --write connections/aoai.yaml` | connections/aoai.yaml | or take `connections.aoai` of the draft |
    | `pf connection create --file connections/search.yml` | `sluicegate connections import --write connections/search.yml` | connections/search.yml | or take `connections.search` of the draft |
    | `pf flow test --flow flows/entities/standard` | `sluicegate run entities --environment_name pr` | flows/entities/standard/flow.dag.yaml |  |
    | `pf flow test --flow flows/flex` | `sluicegate run flex` | flows/flex/flow.flex.yaml |  |
    | `pf flow test --flow flows/summary` | `sluicegate run summary --environment_name dev` | flows/summary/flow.dag.yaml |  |
    | `pf flow test --flow prompts/chat.prompty` | `sluicegate run chat --environment_name dev` | prompts/chat.prompty |  |

    `sluicegate pf …` takes the original's own flags, for scripts that change one word.

    ## Drafts

    `config/config.yaml` (written as `config/config.yaml.sluicegate`): what it lacks; the rest of the file stays as it is

    ```yaml
    connections:
      aoai:
        type: azure_open_ai
        api_key: ${AOAI_API_KEY}
        api_base: ${AOAI_BASE_ENDPOINT}
        api_version: 2023-07-01-preview
      search:
        type: custom
        configs:
          endpoint: https://search.example.com
        secrets:
          key: ${SEARCH_KEY}
      chat:
        type: open_ai
        api_key: ${CHAT_API_KEY}

    flow_configs:
      flex:
        flow_path: flows/flex
      summary:
        flow_path: flows/summary
        data_path: data/entities.jsonl
        column_mapping:
          question: ${data.text}
          chat_history: []
      summary_dev:
        connection_name: chat
        deployment_name: gpt-4o
      summary_pr:
        connection_name: chat
        deployment_name: gpt-4o
      chat:
        flow_path: prompts/chat.prompty
      chat_dev:
        connection_name: aoai
        deployment_name: gpt-4o
      chat_pr:
        connection_name: aoai
        deployment_name: gpt-4o
    ```

    `flows/entities/standard/evaluation.yaml`: what flows/entities/evaluate/evaluate.py evaluates

    ```yaml
    # From flows/entities/evaluate/evaluate.py.
    data: data/entities_eval.jsonl
    evaluators:
      # MatchEvaluator counts partial matches too, and cleans the truth: look whether this is what you mean.
      exact_match:
        response: ${target.answer}
        ground_truth: ${data.results}
      groundedness:
        answer: ${target.answer}
        context: ${data.text}
      # steps: src.evaluators.steps.StepsEvaluator is your own Python: it needs a twin here. It was given {"result_string":"${target.answer}"}
      # violence: promptflow.evals.evaluators.ViolenceEvaluator is a service of Azure: it needs a twin here. It was given {}
    gate:
      # The old pipeline had no limits. Set yours, for example:
      # exact_match: ">= 0.80"
      # groundedness: ">= 4"
      no_regression: true
    ```

    `.env.sample` (written as `.env.sample.sluicegate`): the variables that config/config.yaml asks for

    ```sh
    RESOURCE_GROUP_NAME=
    PROJECT_NAME=
    SEARCH_KEY=
    CHAT_API_KEY=
    ```

    `.github/workflows/pr.yml` (written as `.github/workflows/pr.yml.sluicegate`): its old commands in our words

    ```diff
    --- .github/workflows/pr.yml
    +++ .github/workflows/pr.yml
    @@ -13,15 +13,13 @@
           - name: Flows
             run: |
    -          pf connection create --file connections/aoai.yaml --set api_key=$AOAI_API_KEY
    +          sluicegate connections import --write connections/aoai.yaml
    -          pf flow test --flow flows/entities/standard --inputs text='a b' entity_type=city
    +          sluicegate run flows/entities/standard --inputs text='a b' entity_type=city
               pf config set trace.destination=local
           - name: Batch
    -        run: pf run create --flow flows/entities/standard --data data/entities.jsonl \
    -             --column-mapping text='${data.text}' --stream && pf run show-metrics -n my_run
    +        run: sluicegate batch flows/entities/standard --data data/entities.jsonl --column-mapping text='${data.text}' && sluicegate runs metrics my_run
           - name: Evaluate
             shell: bash
             run: |
    -          python -m flows.${{ inputs.model_type }}.evaluate.evaluate \
    -            --environment_name ${{ inputs.exec_environment }}
    +          sluicegate evaluate ${{ inputs.model_type }} --environment_name ${{ inputs.exec_environment }}
           - name: Other
             run: python -m pytest tests
    ```

    `azure-pipelines.yml` (written as `azure-pipelines.yml.sluicegate`): its old commands in our words

    ```diff
    --- azure-pipelines.yml
    +++ azure-pipelines.yml
    @@ -1,2 +1,2 @@
     steps:
    -- script: python -m flows.entities.evaluate.evaluate --environment_name $(ENV)
    +- script: sluicegate evaluate entities --environment_name $(ENV)
    ```
    --- stderr
    nothing was written; --write writes the drafts, and overwrites no file
    "#);
}

#[test]
fn what_is_written_is_new_and_what_exists_stays() {
    let project = template();
    let before = read(&project, "config/config.yaml");
    let ran = bring_over(&project, &["--write"]);
    check(&ran, 0, &["wrote config/config.yaml.sluicegate", "wrote flows/entities/standard/evaluation.yaml"]);
    assert_eq!(read(&project, "config/config.yaml"), before);
    assert_eq!(read(&project, "flows/entities/evaluate/evaluate.py"), EVALUATE);
    insta::assert_snapshot!(read(&project, "flows/entities/standard/evaluation.yaml"), @r#"
    # From flows/entities/evaluate/evaluate.py.
    data: data/entities_eval.jsonl
    evaluators:
      # MatchEvaluator counts partial matches too, and cleans the truth: look whether this is what you mean.
      exact_match:
        response: ${target.answer}
        ground_truth: ${data.results}
      groundedness:
        answer: ${target.answer}
        context: ${data.text}
      # steps: src.evaluators.steps.StepsEvaluator is your own Python: it needs a twin here. It was given {"result_string":"${target.answer}"}
      # violence: promptflow.evals.evaluators.ViolenceEvaluator is a service of Azure: it needs a twin here. It was given {}
    gate:
      # The old pipeline had no limits. Set yours, for example:
      # exact_match: ">= 0.80"
      # groundedness: ">= 4"
      no_regression: true
    "#);
    // Once more: nothing new.
    let again = bring_over(&project, &["--write"]);
    check(&again, 0, &["config/config.yaml.sluicegate is so already"]);
    assert!(!again.stderr.contains("wrote"), "{}", again.shown());
    // What was drafted is what this program takes.
    project.write("config/config.yaml", read(&project, "config/config.yaml.sluicegate"));
    let shown = project.run(SLUICEGATE, &["config", "show", "summary", "-e", "pr"]);
    check(&shown, 0, &["connection_name", "chat", "gpt-4o"]);
    let listed = project.run(SLUICEGATE, &["connections", "list"]);
    check(&listed, 0, &["chat", "aoai", "search"]);
}

#[test]
fn a_project_without_config_gets_one_that_runs() {
    let flow = "inputs: { q: { type: string, default: Why? } }
outputs: { a: { type: string, reference: \"${ask.output}\" } }
nodes:
- { name: ask, type: llm, api: chat, connection: local, source: { type: code, path: ask.jinja2 }, inputs: { deployment_name: d, q: \"${inputs.q}\" } }
";
    let project = Project::new()
        .file("web/flow.dag.yaml", flow)
        .file("web/ask.jinja2", "user:\n{{q}}\n")
        .file("web/data.jsonl", "{\"question\": \"Why?\"}\n")
        .file("web/run.yml", "$schema: https://azuremlschemas.azureedge.net/promptflow/latest/Run.schema.json\nflow: .\ndata: data.jsonl\ncolumn_mapping:\n  q: ${data.question}\n");
    let ran = bring_over(&project, &["--write"]);
    check(&ran, 0, &["wrote config/config.yaml", "wrote .env.sample", "| `pf run create --file web/run.yml` |"]);
    insta::assert_snapshot!(read(&project, "config/config.yaml"), @r#"
    # Where models live, and what each flow uses in each environment (--environment_name).
    # ${NAME} is a variable of the process or of .env; see .env.sample. ${data.…} is a column of the data set.

    connections:
      local:
        type: azure_open_ai
        api_base: ${LOCAL_API_BASE}
        api_key: ${LOCAL_API_KEY}

    flow_configs:
      web:
        flow_path: web
        data_path: web/data.jsonl
        column_mapping:
          q: ${data.question}
      web_pr:
        connection_name: local
        deployment_name: d
    "#);
    assert_eq!(read(&project, ".env.sample").lines().filter(|line| line.contains('=')).count(), 2);
    // With the scripted model in the connection's place, the flow runs by its name.
    let config = read(&project, "config/config.yaml").replace(
        "type: azure_open_ai\n    api_base: ${LOCAL_API_BASE}\n    api_key: ${LOCAL_API_KEY}",
        "type: simulated\n    script: s.yaml",
    );
    project.write("config/config.yaml", config);
    project.write("s.yaml", "default: So.\n");
    let ran = project.run(SLUICEGATE, &["run", "web", "--environment_name", "pr"]);
    assert_eq!(ran.stdout, "{\n  \"a\": \"So.\"\n}\n", "{}", ran.shown());
}

#[test]
fn nothing_of_a_project_is_executed() {
    let project = Project::new()
        .file("flow/flow.dag.yaml", "inputs: {}\noutputs: {}\nnodes:\n- { name: a, type: python, source: { type: code, path: a.py }, inputs: {} }\n")
        .file("flow/a.py", "open('was_run', 'w').write('yes')\n")
        .file("ast.py", "open('/tmp/was_run', 'w').write('yes')\nraise SystemExit(1)\n")
        .file("json.py", "raise SystemExit(1)\n")
        .file("sitecustomize.py", "raise SystemExit(1)\n")
        .variable("PYTHONPATH", ".")
        .variable("PYTHONSTARTUP", "ast.py");
    check(&bring_over(&project, &[]), 0, &["4 Python files"]);
    assert!(!project.path().join("was_run").exists() && !project.path().join("flow/was_run").exists());
}

#[test]
fn without_python_the_rest_is_read_and_that_is_said() {
    let project = template().variable("PATH", "/nowhere");
    check(&bring_over(&project, &[]), 0, &["no Python was found: 4 Python files were not read", "## Commands"]);
}

#[test]
fn secrets_are_not_told() {
    let secret = "sk-1234567890-very-secret";
    let project = Project::new()
        .file("flow/flow.dag.yaml", "inputs: {}\noutputs: {}\nnodes: []\n")
        .file("connections/a.yaml", format!("name: a\ntype: azure_open_ai\napi_base: https://a/\napi_key: {secret}\n"))
        .file("connections/b.yaml", format!("name: b\ntype: custom\nconfigs: {{ x: y }}\nsecrets: {{ word: {secret} }}\n"))
        .file("config/config.yaml", format!("connections:\n  c: {{ type: open_ai, api_key: {secret} }}\nflow_configs:\n"))
        .file(
            ".github/workflows/a.yml",
            format!("jobs:\n  a:\n    steps:\n    - run: |\n        API_KEY: {secret}\n        pf connection create --file connections/a.yaml --set api_key={secret}\n"),
        );
    for more in [&[][..], &["--write"]] {
        let ran = bring_over(&project, more);
        check(&ran, 0, &["connections/a.yaml holds `api_key` itself", "`word` itself", "--set api_key=[hidden]"]);
        assert!(!ran.shown().contains(secret), "{}", ran.shown());
    }
    let drafted = read(&project, "config/config.yaml.sluicegate");
    assert!(drafted.contains("${A_API_KEY}") && drafted.contains("${B_WORD}"), "{drafted}");
    assert_eq!(drafted.matches(secret).count(), 1, "what stood in the file stays, and nothing is added");
}

#[test]
fn what_is_broken_is_a_line_of_the_report() {
    let project = Project::new()
        .file("good/flow.dag.yaml", "inputs: {}\noutputs: {}\nnodes: []\n")
        .file("bad/flow.dag.yaml", "inputs: [\n")
        .file("worse/flow.dag.yaml", b"\xff\xfe\x00")
        .file("connections/c.yaml", "name: [a\n")
        .file("bad/run.yaml", "a: b: c\n")
        .file("bad/tool.py", "def f(:\n")
        .file("deep/deep.py", format!("x = {}1{}\n", "(".repeat(5_000), ")".repeat(5_000)))
        .file("chart/templates/x.yaml", "{{ if .Values.x }}\n")
        .file("toolless/flow.dag.yaml", "inputs: {}\noutputs: {}\nnodes:\n- { name: a, type: python, source: { type: code, path: a.py }, inputs: {} }\n")
        .file("toolless/a.py", "def a():\n    return 1\n")
        .file("config/config.yaml", "connections: 5\n");
    let ran = bring_over(&project, &[]);
    check(
        &ran,
        0,
        &[
            "- bad/flow.dag.yaml:",
            "- worse/flow.dag.yaml is not UTF-8 text",
            "- connections/c.yaml:",
            "- bad/run.yaml:",
            "- bad/tool.py is no Python: line 1",
            "- deep/deep.py",
            "- config/config.yaml:1:14",
            "toolless/a.py has no function with `@tool`",
            "`good`",
        ],
    );
    assert!(!ran.stdout.contains("chart/"), "{}", ran.shown());
}

#[cfg(unix)]
#[test]
fn folders_of_tools_loops_and_locked_folders_are_no_hindrance() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let flow = "inputs: {}\noutputs: {}\nnodes: []\n";
    let mut project = Project::new();
    for index in 0..300 {
        project = project.file(&format!("flows/f{index}/standard/flow.dag.yaml"), flow);
    }
    for skipped in [".venv/lib/a", "env/lib/b", "node_modules/c", ".git/d", "flows/f0/.promptflow/e"] {
        project.write(&format!("{skipped}/flow.dag.yaml"), flow);
    }
    project.write("env/pyvenv.cfg", "");
    symlink(project.path(), project.path().join("flows/up")).expect("a link");
    project.write("locked/flow.dag.yaml", flow);
    let locked = project.path().join("locked");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).expect("locked");
    let is_locked = std::fs::read_dir(&locked).is_err();
    let ran = bring_over(&project, &[]);
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o755)).expect("unlocked");
    let flows = if is_locked { "300 flows" } else { "301 flows" };
    check(&ran, 0, &[flows, "`f299` (flows/f299/standard)", "`flows/up` is a link to a folder: not followed"]);
    assert!(!is_locked || ran.stdout.contains("folder `locked` cannot be read"), "{}", ran.shown());
}

#[test]
fn pipelines_of_both_kinds_are_changed_where_old_commands_stand() {
    let project = template();
    check(&bring_over(&project, &["--write"]), 0, &["wrote .github/workflows/pr.yml.sluicegate"]);
    let changed = read(&project, ".github/workflows/pr.yml.sluicegate");
    let old = read(&project, ".github/workflows/pr.yml");
    insta::assert_snapshot!(
        changed.lines().filter(|line| !old.lines().any(|known| known == *line)).collect::<Vec<_>>().join("\n"),
        @r#"
      sluicegate connections import --write connections/aoai.yaml
      sluicegate run flows/entities/standard --inputs text='a b' entity_type=city
    run: sluicegate batch flows/entities/standard --data data/entities.jsonl --column-mapping text='${data.text}' && sluicegate runs metrics my_run
      sluicegate evaluate ${{ inputs.model_type }} --environment_name ${{ inputs.exec_environment }}
    "#
    );
    let devops = read(&project, "azure-pipelines.yml.sluicegate");
    assert!(devops.ends_with("- script: sluicegate evaluate entities --environment_name $(ENV)\r\n"), "{devops:?}");
}

#[test]
fn what_is_no_project_is_refused() {
    let project = Project::new().file("readme.md", "").file("a/b.txt", "");
    check(&bring_over(&project, &[]), 2, &["holds nothing of prompt flow"]);
    check(&project.run(SLUICEGATE, &["new", "--from-promptflow", "nowhere"]), 2, &["cannot be read"]);
    check(&project.run(SLUICEGATE, &["new", "--from-promptflow", "readme.md"]), 2, &["is no folder"]);
    assert_eq!(project.run(SLUICEGATE, &["new", "--write"]).code, 2);
    assert_eq!(project.run(SLUICEGATE, &["new", "x", "--from-promptflow", "."]).code, 2);
}

/// The commands that a text names in backticks: `sluicegate` and the words behind it that are no flag and no value, and
/// whether the line marks them as coming later.
fn commands_of(text: &str) -> Vec<(Vec<String>, bool)> {
    let mut found = Vec::new();
    for line in text.lines() {
        let pieces: Vec<&str> = line.split('`').collect();
        for (index, piece) in pieces.iter().enumerate().filter(|(index, _)| index % 2 == 1) {
            let Some((_, command)) = piece.split_once("sluicegate ") else { continue };
            let is_name = |word: &&str| word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
            let words: Vec<String> = command
                .split(' ')
                .take_while(is_name)
                .take(2)
                .filter(|word| !word.starts_with('-'))
                .map(str::to_owned)
                .collect();
            let marked = pieces.get(index + 1).is_some_and(|after| after.trim_start().starts_with("\\*"));
            found.push((words, marked));
        }
    }
    found
}

#[test]
fn the_manual_of_the_way_over_claims_what_is_there() {
    let text = std::fs::read_to_string(crate::fixture::repository().join("docs/migration.md")).expect("the manual");
    let project = Project::new();
    let commands = commands_of(&text);
    assert!(commands.len() > 20, "{commands:?}");
    for (words, marked) in commands {
        let words: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let is_there = project.run(SLUICEGATE, &words).code == 0;
        assert_ne!(
            is_there,
            marked,
            "`sluicegate {}` {}",
            words.join(" "),
            if marked { "is there" } else { "is not there" }
        );
    }
}
