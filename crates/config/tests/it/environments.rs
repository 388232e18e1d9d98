use sluicegate_config::{Project, Settings, Variables};

use crate::{Folder, message};

/// What the command line would say for a flow and an environment.
#[track_caller]
fn check_refused(folder: &Folder, flow: &str, environment: Option<&str>, expected: &str) {
    let settings = folder.settings(&Variables::default(), environment);
    let problem = settings.environment(flow, folder.path()).expect_err("a problem");
    assert_eq!(message(&problem), expected);
}

const TWO_FLOWS: &str = "
flow_configs:
  chat: {flow_path: flows/chat}
  chat_dev: {deployment_name: a}
  chat_with_pdf: {flow_path: flows/chat_with_pdf}
  chat_with_pdf_pr: {deployment_name: b}
  chat_with_pdf_pre_prod: {deployment_name: c}
";

#[test]
fn a_flow_has_the_environments_of_its_sections_and_no_others() {
    let folder = Folder::with_config(TWO_FLOWS);
    let settings = folder.settings(&Variables::default(), None);
    assert_eq!(settings.flows(), ["chat", "chat_with_pdf"]);
    assert_eq!(settings.environments("chat"), ["dev"]);
    assert_eq!(settings.environments("chat_with_pdf"), ["pr", "pre_prod"]);
    let environment = folder.environment("chat_with_pdf", Some("pre_prod"), &[]);
    assert_eq!(environment.deployment_name().unwrap().as_deref(), Some("c"));
}

#[test]
fn environments_that_begin_alike_are_environments_all_the_same() {
    let folder = Folder::with_config(
        "flow_configs:\n  ask: {flow_path: flows/ask}\n  ask_azure: {deployment_name: a}\n  ask_azure_v1: {deployment_name: b}\n",
    );
    let settings = folder.settings(&Variables::default(), None);
    assert_eq!(settings.flows(), ["ask"]);
    assert_eq!(settings.environments("ask"), ["azure", "azure_v1"]);
    let environment = folder.environment("ask", Some("azure_v1"), &[]);
    assert_eq!(environment.deployment_name().unwrap().as_deref(), Some("b"));
}

#[test]
fn an_unknown_environment_is_told_with_those_that_exist() {
    let folder = Folder::with_config(TWO_FLOWS);
    check_refused(
        &folder,
        "chat_with_pdf",
        Some("pp"),
        "flow `chat_with_pdf` has no config environment `pp`\n  help: did you mean `pr`? there are: `pr`, `pre_prod`\n",
    );
    check_refused(
        &folder,
        "chat",
        Some("production"),
        "flow `chat` has no config environment `production`\n  help: there are: `dev`\n",
    );
    check_refused(
        &folder,
        "chat",
        Some("with_pdf_pr"),
        "flow `chat` has no config environment `with_pdf_pr`\n  help: there are: `dev`\n",
    );
}

#[test]
fn the_variable_that_chose_an_unknown_environment_is_named() {
    let folder = Folder::with_config(TWO_FLOWS);
    let variables = Variables::new([("SLUICEGATE_ENVIRONMENT", "nope")]);
    let settings = folder.settings(&variables, None);
    let problem = settings.environment("chat", folder.path()).unwrap_err();
    assert_eq!(problem.help.unwrap(), "there are: `dev` (the name comes from `SLUICEGATE_ENVIRONMENT` of the process)");
    assert_eq!(folder.settings(&variables, Some("dev")).environment_name(), Some("dev"));
}

#[test]
fn an_unknown_flow_is_told_with_those_that_exist() {
    let folder = Folder::with_config(TWO_FLOWS);
    check_refused(
        &folder,
        "chta",
        None,
        "there is no flow `chta`\n  help: did you mean `chat`? known flows: `chat`, `chat_with_pdf`\n",
    );
    let empty = Folder::with_config("");
    check_refused(
        &empty,
        "chat",
        None,
        "there is no flow `chat`\n  help: give the path of a folder, a flow.dag.yaml or a .prompty file\n",
    );
}

#[test]
fn a_flow_may_be_given_by_its_path() {
    let folder = Folder::new(&[
        (
            "config/config.yaml",
            "flow_configs:\n  one: {flow_path: flows/elsewhere}\n  one_pr: {deployment_name: a}\n  extract: {deployment_name: b}\n",
        ),
        ("flows/elsewhere/flow.dag.yaml", ""),
        ("flows/elsewhere/extract.prompty", ""),
        ("flows/new/flow.dag.yaml", ""),
    ]);
    for (path, flow, deployment) in [
        ("flows/elsewhere", "one", Some("a")),
        ("flows/elsewhere/flow.dag.yaml", "one", Some("a")),
        ("./flows/elsewhere/", "one", Some("a")),
        ("flows/new", "new", None),
    ] {
        let environment = folder.environment(path, Some("pr"), &[]);
        let found = (environment.flow(), environment.deployment_name().unwrap());
        assert_eq!((found.0, found.1.as_deref()), (flow, deployment), "{path}");
        assert_eq!(environment.flow_path().unwrap(), folder.path().join(path), "{path}");
    }
    let prompty = folder.environment("flows/elsewhere/extract.prompty", None, &[]);
    assert_eq!((prompty.flow(), prompty.deployment_name().unwrap().as_deref()), ("extract", Some("b")));
}

#[test]
fn a_path_counts_from_where_one_stands_and_then_from_the_root() {
    let folder = Folder::new(&[("config/config.yaml", ""), ("flows/a/flow.dag.yaml", ""), ("sub/x.txt", "")]);
    let settings = folder.settings(&Variables::default(), None);
    let sub = folder.path().join("sub");
    assert_eq!(settings.environment("../flows/a", &sub).unwrap().flow(), "a");
    assert_eq!(settings.environment("flows/a", &sub).unwrap().flow(), "a");
}

#[test]
fn an_overlay_file_makes_an_environment_for_every_flow() {
    let folder = Folder::new(&[
        (
            "config/config.yaml",
            "connections: {m: {type: simulated, script: a.yaml}}\nflow_configs: {f: {flow_path: x}}",
        ),
        ("config/dev.yaml", "connections: {m: {script: b.yaml}}"),
    ]);
    let script = |environment: Option<&str>| {
        let connection = folder.environment("f", environment, &[]).connection("m").unwrap();
        format!("{:?}", connection.kind)
    };
    assert!(script(Some("dev")).contains("b.yaml"));
    assert!(script(None).contains("a.yaml"));
}

#[test]
fn the_project_is_the_nearest_folder_with_a_config() {
    let folder =
        Folder::new(&[("config/config.yaml", ""), ("flows/a/flow.dag.yaml", ""), ("flows/a/config/config.yaml", "")]);
    let root = |start: &str| Project::find(&folder.path().join(start)).root;
    assert_eq!(root("flows"), folder.path());
    assert_eq!(root("flows/a/flow.dag.yaml"), folder.path().join("flows/a"));
    let bare = Folder::new(&[("x/flow.dag.yaml", "")]);
    assert_eq!(Project::find(&bare.path().join("x/flow.dag.yaml")).root, bare.path().join("x"));
}

#[test]
fn an_older_projects_file_runs_as_it_is() {
    let folder = Folder::new(&[
        (
            "config/config.yaml",
            r#"
aistudio_config: {subscription_id: "${SUBSCRIPTION_ID}", resource_group_name: rg, project_name: p}
aoai_config:
  aoai_api_base: ${AOAI_BASE_ENDPOINT}
  aoai_api_type: azure
  aoai_api_version: 2023-07-01-preview
  aoai_api_key: ${AOAI_API_KEY}
flow_configs:
  plan_and_execute_pr:
    standard_flow_path: flows/plan_and_execute/standard
    connection_name: aoai
    deployment_name_gpt4: gpt-4
    aoai_api_version: 2024-02-01
    bing_api_key: $BING_KEY
deployment_configs:
  plan_and_execute_online_pr: {endpoint_name: e, deployment_instance_count: 1}
"#,
        ),
        ("flows/plan_and_execute/standard/flow.dag.yaml", ""),
    ]);
    let variables = [
        ("AOAI_BASE_ENDPOINT", "https://x.openai.azure.com"),
        ("AOAI_API_KEY", "key-1234567"),
        ("BING_KEY", "bing-123456"),
    ];
    let environment = folder.environment("plan_and_execute", Some("pr"), &variables);
    assert_eq!(environment.flow_path().unwrap(), folder.path().join("flows/plan_and_execute/standard"));
    assert_eq!(environment.value_names(), ["deployment_name_gpt4", "aoai_api_version", "bing_api_key"]);
    assert_eq!(environment.value("bing_api_key").unwrap().unwrap().value.as_str(), Some("bing-123456"));
    let connection = environment.connection("aoai").unwrap();
    assert_eq!(
        format!("{:?}", connection.kind),
        r#"AzureOpenAi { api_base: "https://x.openai.azure.com", auth: Key(Secret(..)), api: Dated("2024-02-01"), responses: false }"#
    );
    assert!(environment.connection("other").is_err());
    let deployment = environment.settings().deployment("plan_and_execute_online_pr").unwrap();
    assert_eq!(deployment.get("endpoint_name").unwrap().as_str(), Some("e"));
}

#[test]
fn a_lone_section_still_has_its_flow_and_environment() {
    let folder = Folder::with_config("flow_configs: {a_flow_dev: {deployment_name: d}}");
    let environment = folder.environment("a_flow", Some("dev"), &[]);
    assert_eq!(environment.deployment_name().unwrap().as_deref(), Some("d"));
    let known = Folder::with_config("flow_configs: {a_flow_dev: {flow_path: flows/a_flow/standard}}");
    let settings = known.settings(&Variables::default(), None);
    assert_eq!(
        (settings.flows(), settings.environments("a_flow")),
        (vec!["a_flow".to_owned()], vec!["dev".to_owned()])
    );
}

#[test]
fn what_is_wrong_with_the_file_is_told_at_once() {
    let folder = Folder::with_config(
        "conections: {}\nconnections:\n  a: {type: azure_opne_ai}\n  b: {type: open_ai, base_ulr: x, timeout: {conect: 1s}}\n  c: 5\nstore: {durabilty: full}\n",
    );
    assert_eq!(
        folder.problems(),
        "config/config.yaml:3:13: connection `a` has an unknown type `azure_opne_ai`\n  help: did you mean `azure_open_ai`?\n\
         config/config.yaml:4:22: connection `b` has no key `base_ulr`\n  help: did you mean `base_url`?\n\
         config/config.yaml:4:45: `timeout` has no key `conect`\n  help: did you mean `connect`?\n\
         config/config.yaml:5:6: connection `c` takes a map, not a number\n\
         config/config.yaml:6:9: `store` has no key `durabilty`\n  help: did you mean `durability`?\n"
    );
    assert!(Folder::with_config("a: [1").problems().starts_with("config/config.yaml:1:"));
    assert!(Folder::with_config("- 1").problems().contains("the file takes a map, not a list"));
}

#[test]
fn slips_that_may_be_meant_are_warnings() {
    let folder =
        Folder::with_config("extra: 1\nflow_configs: {f: {flow_path: x, conection_name: a, deployment_name_gpt4: b}}");
    let settings = Settings::load(&Project::find(folder.path()), &Variables::default(), None, Vec::new()).unwrap();
    let told: String = settings.warnings().iter().map(|problem| format!("{problem}\n")).collect();
    assert_eq!(
        told,
        "config/config.yaml:1:1: the file has no key `extra`\n\
         config/config.yaml:2:34: `conection_name` reaches the flow as a value of its own\n"
    );
}
