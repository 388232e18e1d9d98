use sluicegate_config::{Override, Project, Settings, Variables};

use crate::Folder;

/// Every layer that can set `telemetry.service_name`, the weakest first.
const LAYERS: [&str; 7] = ["default", "config.yaml", "overlay", "section", "environment's section", ".env", "process"];

/// Who sets the value if these layers do.
#[track_caller]
fn check_winner(layers: &[&str], flag: bool, expected: &str, origin: &str) {
    let say = |layer: &str, text: &'static str| if layers.contains(&layer) { text } else { "#" };
    let config = [
        "flow_configs:",
        "  f:",
        "    flow_path: x",
        say("section", "    telemetry: {service_name: section}"),
        "  f_pr:",
        "    data_path: d",
        say("environment's section", "    telemetry: {service_name: own}"),
        say("config.yaml", "telemetry: {service_name: base}"),
    ];
    let folder = Folder::new(&[
        ("config/config.yaml", &config.join("\n")),
        ("config/pr.yaml", say("overlay", "telemetry: {service_name: overlay}")),
    ]);
    let process: &[(&str, &str)] = if layers.contains(&"process") { &[("OTEL_SERVICE_NAME", "process")] } else { &[] };
    let variables = Variables::new(process.iter().copied());
    let variables = variables.with_dot_env(".env", say(".env", "OTEL_SERVICE_NAME=dot_env")).unwrap();
    let flag =
        flag.then(|| Override { key: "telemetry.service_name".into(), value: "flag".into(), flag: "--set".into() });
    let settings = Settings::load(&Project::find(folder.path()), &variables, Some("pr"), Vec::from_iter(flag)).unwrap();
    let environment = settings.environment("f", folder.path()).unwrap();
    assert_eq!(environment.telemetry().unwrap().service_name, expected);
    let entries = environment.entries();
    let entry = entries.iter().find(|entry| entry.key == "telemetry.service_name").unwrap();
    assert_eq!((entry.shown.as_str(), entry.origin.as_str()), (expected, origin));
}

#[test]
fn each_layer_wins_over_those_before_it() {
    let winners = [
        ("sluicegate", "built-in default"),
        ("base", "config/config.yaml:8"),
        ("overlay", "config/pr.yaml:1"),
        ("section", "config/config.yaml:4"),
        ("own", "config/config.yaml:7"),
        ("dot_env", "`OTEL_SERVICE_NAME` in .env"),
        ("process", "`OTEL_SERVICE_NAME` of the process"),
    ];
    for (place, (value, origin)) in winners.into_iter().enumerate() {
        check_winner(&LAYERS[place..=place], false, value, origin);
        check_winner(&LAYERS[..=place], false, value, origin);
    }
    check_winner(&LAYERS, true, "flag", "`--set`");
    check_winner(&[], true, "flag", "`--set`");
}

#[test]
fn the_environments_section_lies_over_the_flows() {
    let folder = Folder::with_config(
        "flow_configs:\n  f: {flow_path: flows/f, deployment_name: shared, data_path: a.jsonl, column_mapping: {x: '${data.x}', y: '${data.y}'}}\n  f_pr: {deployment_name: own, column_mapping: {y: '${data.z}'}}\n",
    );
    let environment = folder.environment("f", Some("pr"), &[]);
    assert_eq!(environment.deployment_name().unwrap().as_deref(), Some("own"));
    assert_eq!(environment.data_path().unwrap().unwrap(), folder.path().join("a.jsonl"));
    let mapping = environment.column_mapping().unwrap().unwrap();
    assert_eq!(sluicegate_value::Value::from(mapping).to_json(), r#"{"x":"${data.x}","y":"${data.z}"}"#);
    assert_eq!(folder.environment("f", None, &[]).deployment_name().unwrap().as_deref(), Some("shared"));
}

#[test]
fn a_flag_sets_a_key_of_the_section() {
    let folder = Folder::with_config("flow_configs: {f: {flow_path: x, connection_name: a}}");
    let flag = Override { key: "connection_name".into(), value: "b${X}".into(), flag: "--connection".into() };
    let settings = Settings::load(&Project::find(folder.path()), &Variables::default(), None, vec![flag]).unwrap();
    let environment = settings.environment("f", folder.path()).unwrap();
    assert_eq!(environment.connection_name().unwrap().as_deref(), Some("b${X}"));
}

#[test]
fn variables_come_as_text_and_become_what_is_wanted() {
    let folder = Folder::with_config(
        "max_in_flight: ${LIMIT}\nflow_configs: {f: {flow_path: x, PROMPT_TOKEN_LIMIT: 1900, VERBOSE: '${LIMIT}'}}",
    );
    let environment = folder.environment("f", None, &[("LIMIT", "7")]);
    assert_eq!(environment.max_in_flight().unwrap(), 7);
    assert_eq!(environment.value_names(), ["PROMPT_TOKEN_LIMIT", "VERBOSE"]);
    assert_eq!(environment.value("PROMPT_TOKEN_LIMIT").unwrap().unwrap().value.to_json(), "1900");
    assert_eq!(environment.value("VERBOSE").unwrap().unwrap().value.to_json(), "\"7\"");

    let wrong = folder.environment("f", None, &[("LIMIT", "many")]);
    let problem = wrong.max_in_flight().unwrap_err();
    assert_eq!(
        crate::message(&problem),
        "config/config.yaml:1:16: `max_in_flight` takes a whole number of at least 1\n  help: the value comes from `LIMIT` of the process\n"
    );
    let zero = folder.environment("f", None, &[("LIMIT", "7"), ("SLUICEGATE_MAX_IN_FLIGHT", "0")]);
    assert_eq!(
        crate::message(&zero.max_in_flight().unwrap_err()),
        "`max_in_flight` takes a whole number of at least 1, not `0`\n  help: the value comes from `SLUICEGATE_MAX_IN_FLIGHT` of the process\n"
    );
}

#[test]
fn without_a_file_the_defaults_hold() {
    let folder = Folder::new(&[("flow.dag.yaml", "nodes: []")]);
    let settings = folder.settings(&Variables::default(), None);
    let environment = settings.environment(".", folder.path()).unwrap();
    assert_eq!(environment.max_in_flight().unwrap(), 64);
    assert_eq!(environment.store().unwrap().path, folder.path().join(".sluicegate"));
    let prices = environment.prices().unwrap();
    assert_eq!(prices["gpt-4o-mini"].output, 0.6);
    assert!(environment.telemetry().unwrap().traces_url().is_none());
}
