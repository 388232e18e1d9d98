//! What Python code sees of a connection.

use sluicegate_config::{ConnectionFacts, Redactor};
use sluicegate_value::Value;

use crate::{Folder, check_refused, connection};

/// Connection `c` as an object: its class, its configs, its secrets.
#[track_caller]
fn check_object(yaml: &str, variables: &[(&str, &str)], expected: &str) {
    let connection = connection(yaml, variables).unwrap_or_else(|told| panic!("{told}"));
    assert_eq!(shown(&connection.facts), expected);
    let secrets: Vec<String> = connection.secrets().iter().map(|secret| secret.expose().to_owned()).collect();
    for (_, secret) in &connection.facts.secrets {
        assert!(secrets.contains(&secret.expose().to_owned()), "the redactor has to know it");
    }
    assert!(!format!("{connection:?}").contains("k3y"), "{connection:?}");
}

fn shown(facts: &ConnectionFacts) -> String {
    let secrets: Vec<String> =
        facts.secrets.iter().map(|(name, secret)| format!("{name}={}", secret.expose())).collect();
    format!("{} {} {}", facts.class, Value::from(facts.configs.clone()).to_json(), secrets.join(" "))
}

#[test]
fn models_have_the_attributes_of_prompt_flows_classes() {
    check_object(
        "{type: azure_open_ai, api_base: 'https://x.openai.azure.com/', api_key: k3y}",
        &[],
        r#"AzureOpenAIConnection {"api_base":"https://x.openai.azure.com","api_type":"azure","api_version":"2024-02-01","auth_mode":"key"} api_key=k3y"#,
    );
    check_object(
        "{type: azure_open_ai, api_base: 'https://x', auth_mode: meid_token, api: v1, resource_id: /r}",
        &[],
        r#"AzureOpenAIConnection {"api_base":"https://x","api_type":"azure","api_version":"2024-02-01","auth_mode":"meid_token","resource_id":"/r"} "#,
    );
    check_object("{type: open_ai, api_key: k3y}", &[], "OpenAIConnection {} api_key=k3y");
    check_object(
        "{type: open_ai, api_key: k3y, base_url: 'http://localhost:1/v1', organization: org}",
        &[],
        r#"OpenAIConnection {"base_url":"http://localhost:1/v1","organization":"org"} api_key=k3y"#,
    );
    check_object(
        "{type: serverless, api_base: 'https://x', api_key: k3y}",
        &[],
        r#"ServerlessConnection {"api_base":"https://x"} api_key=k3y"#,
    );
    check_object(
        "{type: anthropic, api_key: k3y}",
        &[],
        r#"CustomConnection {"base_url":"https://api.anthropic.com","version":"2023-06-01"} api_key=k3y"#,
    );
    check_object("{type: simulated, script: s.yaml}", &[], "CustomConnection {} ");
}

#[test]
fn services_of_tools_have_them_too() {
    check_object("{type: serp, api_key: k3y}", &[], "SerpConnection {} api_key=k3y");
    check_object(
        "{type: cognitive_search, api_base: 'https://s', api_key: k3y}",
        &[],
        r#"CognitiveSearchConnection {"api_base":"https://s","api_version":"2023-11-01","auth_mode":"key"} api_key=k3y"#,
    );
    check_object(
        "{type: azure_ai_services, endpoint: 'https://s', auth: entra}",
        &[],
        r#"AzureAIServicesConnection {"endpoint":"https://s","auth_mode":"meid_token"} "#,
    );
    check_object(
        "{type: azure_content_safety, endpoint: 'https://s', api_key: k3y}",
        &[],
        r#"AzureContentSafetyConnection {"endpoint":"https://s","api_version":"2023-10-01","api_type":"Content Safety"} api_key=k3y"#,
    );
    check_object(
        "{type: form_recognizer, endpoint: 'https://s', api_key: k3y, api_version: '2024-01-01'}",
        &[],
        r#"FormRecognizerConnection {"endpoint":"https://s","api_version":"2024-01-01","api_type":"Form Recognizer"} api_key=k3y"#,
    );
    check_object(
        "{type: qdrant, api_base: 'localhost:6333', api_key: '${K}'}",
        &[("K", "k3y")],
        r#"QdrantConnection {"api_base":"localhost:6333"} api_key=k3y"#,
    );
}

#[test]
fn a_custom_connection_has_texts_of_any_name() {
    check_object(
        "{type: custom, configs: {url: 'https://x', tries: 3, on: true}, secrets: {key: '${K}', other: k3y-2}}",
        &[("K", "k3y")],
        r#"CustomConnection {"url":"https://x","tries":"3","on":"true"} key=k3y other=k3y-2"#,
    );
    check_object(
        "{type: custom, configs: {url: ''}, secrets: {api-key: null}}",
        &[("C_URL", "https://x"), ("C_API_KEY", "k3y")],
        r#"CustomConnection {"url":"https://x"} api-key=k3y"#,
    );
    check_refused(
        "{type: custom, secrets: {key: ''}}",
        "config/config.yaml:2:36: `connections.c.secrets.key` is empty\n  help: set `C_KEY`, or leave `key` out\n",
    );
}

#[test]
fn a_class_of_the_authors_own_is_named_with_its_module() {
    let yaml = "{type: custom, custom_type: MyConnection, module: my.connections, package: mine, package_version: 0.1.0, configs: {a: b}, secrets: {key: k3y}}";
    let facts = connection(yaml, &[]).unwrap().facts;
    assert_eq!((facts.custom_type.as_deref(), facts.module.as_deref()), (Some("MyConnection"), Some("my.connections")));
    assert_eq!(
        shown(&facts),
        r#"CustomConnection {"a":"b","promptflow.connection.custom_type":"MyConnection","promptflow.connection.module":"my.connections","promptflow.connection.package":"mine","promptflow.connection.package_version":"0.1.0"} key=k3y"#
    );
    check_refused(
        "{type: custom, custom_type: MyConnection, secrets: {key: k3y}}",
        "`connections.c.module` is missing\n  help: give `connections.c` a `module`, the one that defines its `custom_type`\n",
    );
}

#[test]
fn what_a_service_needs_is_asked_for() {
    check_refused("{type: serp}", "`connections.c.api_key` is missing\n  help: give `connections.c` an `api_key`\n");
    check_refused(
        "{type: azure_content_safety}",
        "`connections.c.endpoint` is missing\n  help: give `connections.c` an `endpoint`\n\
         `connections.c.api_key` is missing\n  help: give `connections.c` an `api_key`\n",
    );
    check_refused(
        "{type: serp, api_key: <user-input>}",
        "config/config.yaml:2:28: `connections.c.api_key` holds a placeholder and no secret\n  help: put the secret into a variable or `.env`, and write `${NAME}` here\n",
    );
    check_refused(
        "{type: weaviate, api_base: 'https://x?key=k3y-of-mine', api_key: k3y}",
        "`connections.c.api_base` (config/config.yaml:2) holds a query (`?…`) or fragment (`#…`)\n  help: put what it says into `query`, a secret key into `api_key`, and take it out here\n",
    );
}

#[test]
fn a_value_is_found_by_its_name_whether_it_is_secret_or_not() {
    let facts = connection("{type: custom, configs: {a: 1}, secrets: {b: k3y}}", &[]).unwrap().facts;
    let found = |key: &str| facts.expose(key).map(|text| text.to_string());
    assert_eq!([found("a"), found("b"), found("c")], [Some("1".to_owned()), Some("k3y".to_owned()), None]);
}

#[test]
fn secrets_of_custom_connections_are_taken_out_of_whatever_is_shown() {
    let folder = Folder::with_config(
        "connections:\n  c: {type: custom, configs: {url: 'https://x'}, secrets: {plain: '${ONE}', word: null}}\nflow_configs: {f: {flow_path: x}}",
    );
    let variables = [("ONE", "first-secret"), ("C_WORD", "second-secret")];
    let environment = folder.environment("f", None, &variables);
    assert_eq!(environment.connection_facts("c").unwrap().secrets.len(), 2);
    let redactor: Redactor = environment.redactor([]);
    assert_eq!(redactor.redact("first-secret second-secret https://x").as_deref(), Some("[secret] [secret] https://x"));
    let shown: Vec<String> = environment.entries().into_iter().map(|entry| entry.shown).collect();
    assert!(!shown.concat().contains("-secret"), "{shown:?}");
}
