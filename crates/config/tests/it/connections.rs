use std::time::Duration;

use sluicegate_config::ConnectionKind;

use crate::{Folder, check_refused, connection, messages};

#[test]
fn a_server_on_this_machine_needs_no_key() {
    let local = connection("{type: openai, base_url: 'http://localhost:11434/v1'}", &[]).unwrap();
    assert!(matches!(local.kind, ConnectionKind::OpenAi { api_key: None, .. }));
    let hosted = connection("{type: open_ai, api_key: '${K}', organization: org}", &[("K", "key")]).unwrap();
    let ConnectionKind::OpenAi { base_url, api_key, organization, .. } = hosted.kind else { panic!("{hosted:?}") };
    assert_eq!(
        (base_url.as_str(), api_key.unwrap().expose(), organization.as_deref()),
        ("https://api.openai.com/v1", "key", Some("org"))
    );
    check_refused("{type: open_ai}", "`connections.c.api_key` is missing\n  help: give `connections.c` an `api_key`\n");
}

#[test]
fn a_kind_that_no_model_answers_behind_is_kept_with_its_values() {
    let custom = connection("{type: custom, configs: {a: 1}, secrets: {b: 2}}", &[]).unwrap();
    assert!(matches!(custom.kind, ConnectionKind::Other { type_name } if type_name == "custom"));
    assert_eq!(custom.facts.keys().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn limits_timeouts_and_retries_have_defaults_and_units() {
    let plain = connection("{type: simulated, script: s.yaml}", &[]).unwrap();
    assert_eq!((plain.limits.max_in_flight, plain.retry.max_attempts), (64, 6));
    assert_eq!(plain.timeouts.first_byte, Duration::from_secs(120));
    let set = connection(
        "{type: simulated, script: s.yaml, max_in_flight: 2, tokens_per_minute: 30_000, timeout: {connect: 500ms, total: 2m}, retry: {max_attempts: 1, initial: 0.5, max: '${MAX}'}}",
        &[("MAX", "5")],
    )
    .unwrap();
    assert_eq!(
        (set.limits.max_in_flight, set.limits.requests_per_minute, set.limits.tokens_per_minute),
        (2, None, Some(30_000))
    );
    assert_eq!((set.timeouts.connect, set.timeouts.total), (Duration::from_millis(500), Duration::from_secs(120)));
    assert_eq!(
        (set.retry.max_attempts, set.retry.initial, set.retry.max),
        (1, Duration::from_millis(500), Duration::from_secs(5))
    );
    check_refused(
        "{type: simulated, script: s.yaml, max_in_flight: 0, timeout: {total: soon}}",
        "config/config.yaml:2:55: `connections.c.max_in_flight` takes a whole number of at least 1, not `0`\n\
         config/config.yaml:2:75: `connections.c.timeout.total` takes a duration such as `500ms`, `10s` or `2m`, not `soon`\n",
    );
}

#[test]
fn every_unset_variable_of_a_connection_is_told_once() {
    check_refused(
        "{type: azure_open_ai, api_base: '${BASE}', api_key: '${KEY}'}",
        "config/config.yaml:2:38: `connections.c.api_base` needs the variable `BASE`, which is not set\n  help: set `BASE` in the process or in `.env`, or give a default: `${BASE:-…}`\n\
         config/config.yaml:2:58: `connections.c.api_key` needs the variable `KEY`, which is not set\n  help: set `KEY` in the process or in `.env`, or give a default: `${KEY:-…}`\n",
    );
}

#[test]
fn an_empty_variable_is_no_key() {
    let told = |yaml: &str| connection(yaml, &[("KEY", " "), ("BASE", "")]).unwrap_err();
    assert_eq!(
        told("{type: azure_open_ai, api_base: 'https://x', api_key: '${KEY}'}"),
        "config/config.yaml:2:60: `connections.c.api_key` is empty\n  help: the value comes from `KEY` of the process: set it, or leave `api_key` out\n",
    );
    assert_eq!(
        told("{type: open_ai, base_url: '${BASE}', api_key: k}"),
        "config/config.yaml:2:32: `connections.c.base_url` is empty\n  help: the value comes from `BASE` of the process: set it, or leave `base_url` out\n",
    );
    assert_eq!(
        told("{type: azure_open_ai, api_base: null, api_key: k, api_version: ''}"),
        "config/config.yaml:2:69: `connections.c.api_version` is empty\n  help: give it a value, or leave `api_version` out\n\
         config/config.yaml:2:38: `connections.c.api_base` is empty\n  help: give it a value, or leave `api_base` out\n",
    );
}

#[test]
fn only_what_is_asked_for_needs_its_variables() {
    let folder = Folder::with_config(
        "connections: {a: {type: open_ai, api_key: '${NOPE}'}, b: {type: simulated, script: s.yaml}}\nflow_configs: {f: {flow_path: x, other: '${NOPE}'}}",
    );
    let environment = folder.environment("f", None, &[]);
    assert!(environment.connection("b").is_ok());
    assert!(environment.connection("a").is_err());
    assert!(environment.value("other").is_err());
    assert_eq!(environment.connection_names(), ["a", "b"]);
}

#[test]
fn an_unknown_connection_is_told_with_those_that_exist() {
    let folder = Folder::with_config(
        "connections: {local: {type: simulated, script: s.yaml}}\nflow_configs: {f: {flow_path: x}}",
    );
    let problems = folder.environment("f", None, &[]).connection("locla").unwrap_err();
    assert_eq!(
        messages(&problems),
        "there is no connection `locla`\n  help: did you mean `local`? there are: `local`\n"
    );
}

#[test]
fn a_variable_named_after_the_connection_fills_what_the_file_leaves_open() {
    let variables = [("C_API_KEY", "from-variable"), ("C_API_BASE", "https://elsewhere")];
    let filled = connection("{type: azure_open_ai, api_base: 'https://x'}", &variables).unwrap();
    let ConnectionKind::AzureOpenAi { api_base, .. } = &filled.kind else { panic!("{filled:?}") };
    assert_eq!((api_base.as_str(), filled.api_key().unwrap().expose()), ("https://x", "from-variable"));
}

#[test]
fn an_address_without_a_scheme_is_refused() {
    check_refused(
        "{type: azure_open_ai, api_base: x.openai.azure.com, api_key: k}",
        "config/config.yaml:2:38: `connections.c.api_base` is no address that begins with `https://` or `http://`\n",
    );
}

#[test]
fn an_address_with_a_password_or_a_query_is_refused_and_shown_nowhere() {
    let config = "connections:\n  c: {type: open_ai, api_key: k, base_url: 'https://u:hunter2@x/v1?sig=hunter3'}\nflow_configs: {f: {flow_path: x}}";
    let environment = Folder::with_config(config).environment("f", None, &[]);
    let told = messages(&environment.connection("c").unwrap_err());
    assert_eq!(
        told,
        "`connections.c.base_url` (config/config.yaml:2) holds a user or password\n  help: put the secret into `api_key`, and take it out here\n",
    );
    let shown: Vec<String> = environment.entries().into_iter().map(|entry| entry.shown).collect();
    assert!(shown.contains(&"https://[secret]@x/v1?[secret]".to_owned()), "{shown:?}");
    assert!(!shown.concat().contains("hunter"), "{shown:?}");
}

#[test]
fn an_address_without_a_host_is_refused() {
    check_refused(
        "{type: open_ai, base_url: 'http://[::1', api_key: k}",
        "config/config.yaml:2:32: `connections.c.base_url` has a host that is none\n",
    );
    check_refused(
        "{type: open_ai, base_url: 'http://', api_key: k}",
        "config/config.yaml:2:32: `connections.c.base_url` names no host\n",
    );
}

#[test]
fn a_timeout_of_nothing_is_refused_and_everything_is_told_at_once() {
    let config = "max_in_flight: -3\nconnections:\n  c: {type: open_ai, api_key: k, timeout: {total: 0, connect: 0s}, retry: {max_attempts: 0, initial: 0, max: -1}}\nflow_configs: {f: {flow_path: x}}";
    let expected = [
        "config/config.yaml:1:16: `max_in_flight` takes a whole number of at least 1",
        "config/config.yaml:3:63: `connections.c.timeout.connect` takes a duration longer than 0",
        "config/config.yaml:3:51: `connections.c.timeout.total` takes a duration longer than 0",
        "config/config.yaml:3:90: `connections.c.retry.max_attempts` takes a whole number of at least 1",
        "config/config.yaml:3:110: `connections.c.retry.max` takes a duration such as `500ms`, `10s` or `2m`",
    ];
    let environment = Folder::with_config(config).environment("f", None, &[]);
    let told = messages(&environment.connection("c").unwrap_err());
    assert_eq!(told.lines().count(), expected.len(), "{told}");
    for (line, expected) in told.lines().zip(expected) {
        assert!(line.starts_with(expected), "{told}");
    }

    let all = Folder::with_config(&config.replace("api_key: k", "api_kee: k")).problems();
    for expected in expected.iter().map(|expected| expected.split(": `").nth(1).unwrap()) {
        assert!(all.contains(expected), "{expected} in {all}");
    }
    assert!(all.contains("`api_kee`"), "{all}");
}
