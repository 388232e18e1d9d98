//! Prompt flow's connection files become entries of ours.

use sluicegate_config::import::{self, Imported};
use sluicegate_config::{Project, Settings, Variables};
use sluicegate_source::SourceFile;

use crate::{Folder, messages};

fn imported(name: &str, text: &str) -> Imported {
    import::read(&SourceFile::new(name, text), None).unwrap_or_else(|problems| panic!("{}", messages(&problems)))
}

/// The entry of a file, and the variables that it reads: those whose value the file holds have a `*`.
#[track_caller]
fn check_entry(text: &str, entry: &str, variables: &[&str]) {
    let imported = imported("files/aoai.yaml", text);
    assert_eq!(imported.yaml(0), entry);
    let names: Vec<String> = imported
        .variables
        .iter()
        .map(|variable| format!("{}{}", variable.name, if variable.value.is_some() { "*" } else { "" }))
        .collect();
    assert_eq!(names, variables);
    assert!(!format!("{imported:?}").contains("k3y"), "{imported:?}");
}

/// What `insert` makes of a settings file with a connection `new` more, and that it can be read.
#[track_caller]
fn check_inserted(config: &str, expected: &str) {
    let new = [imported("new.yaml", "name: new\ntype: serp\napi_key: <user-input>\n")];
    let text = import::insert(&SourceFile::new("config.yaml", config), &new);
    let text = text.unwrap_or_else(|problems| panic!("{}", messages(&problems)));
    assert_eq!(text, expected);
    let folder = Folder::with_config(&text);
    let variables = Variables::new([("NEW_API_KEY", "k3y-of-mine")]);
    let settings = Settings::load(&Project::find(folder.path()), &variables, None, Vec::new()).expect("loads");
    assert!(settings.without_flow().unwrap().connection("new").is_ok());
}

#[track_caller]
fn check_not_inserted(config: &str, expected: &str) {
    let new = [imported("new.yaml", "name: new\ntype: serp\napi_key: <user-input>\n")];
    let problems = import::insert(&SourceFile::new("config.yaml", config), &new).expect_err("a problem");
    assert_eq!(messages(&problems), expected);
}

#[test]
fn keys_become_variables_and_the_rest_stays() {
    check_entry(
        "$schema: https://azuremlschemas.azureedge.net/promptflow/latest/AzureOpenAIConnection.schema.json\n\
         name: my-aoai\ntype: azure_open_ai\napi_key: \"k3y-that-somebody-wrote\"\napi_base: \"https://x.openai.azure.com\"\n\
         api_type: \"azure\"\napi_version: \"2023-07-01-preview\"\n",
        "my-aoai:\n  type: azure_open_ai\n  api_key: ${MY_AOAI_API_KEY}\n  api_base: https://x.openai.azure.com\n  api_version: 2023-07-01-preview\n",
        &["MY_AOAI_API_KEY*"],
    );
    check_entry(
        "type: open_ai\napi_key: ${env:OPENAI_KEY}\norganization: \"\"\n",
        "aoai:\n  type: open_ai\n  api_key: ${OPENAI_KEY}\n  organization: \"\"\n",
        &["OPENAI_KEY"],
    );
    check_entry(
        "name: a\ntype: azure_open_ai\napi_base: <api-base>\nauth_mode: meid_token\n",
        "a:\n  type: azure_open_ai\n  api_base: ${A_API_BASE}\n  auth: entra\n",
        &["A_API_BASE"],
    );
}

#[test]
fn what_the_original_prints_can_be_imported_too() {
    check_entry(
        r#"{"name": "s", "module": "promptflow.connections", "created_date": "2024-01-01", "type": "CognitiveSearch", "api_key": "******", "api_base": "https://s", "api_version": "v1: #2"}"#,
        "s:\n  type: cognitive_search\n  api_key: ${S_API_KEY}\n  api_base: https://s\n  api_version: \"v1: #2\"\n",
        &["S_API_KEY"],
    );
}

#[test]
fn everything_that_may_be_secret_becomes_a_variable() {
    check_entry(
        "name: 1st\ntype: custom\nconfigs:\n  url: https://x\n  address: https://me:k3y@x\n  api_key: k3y-among-configs\n  text: \"a ${b} c\"\n  n: 3\nsecrets:\n  api-key: k3y-1\n  api_key: k3y-2\n  other: to_replace_with_key\n",
        "1st:\n  type: custom\n  configs:\n    url: https://x\n    address: ${_1ST_ADDRESS}\n    api_key: ${_1ST_API_KEY}\n    text: a $${b} c\n    n: 3\n  secrets:\n    api-key: ${_1ST_API_KEY_2}\n    api_key: ${_1ST_API_KEY_3}\n    other: ${_1ST_OTHER}\n",
        &["_1ST_ADDRESS*", "_1ST_API_KEY*", "_1ST_API_KEY_2*", "_1ST_API_KEY_3*", "_1ST_OTHER"],
    );
}

#[test]
fn a_class_of_the_authors_own_keeps_its_module() {
    check_entry(
        "name: mine\ntype: custom\ncustom_type: My\nmodule: my.connections\npackage: my\npackage_version: 0.0.2\nconfigs: {api_base: x}\nsecrets: {api_key: <to-be-replaced>}\n",
        "mine:\n  type: custom\n  custom_type: My\n  module: my.connections\n  package: my\n  package_version: 0.0.2\n  configs:\n    api_base: x\n  secrets:\n    api_key: ${MINE_API_KEY}\n",
        &["MINE_API_KEY"],
    );
}

#[test]
fn variables_of_a_file_make_a_custom_connection() {
    let imported = import::read_dot_env(&SourceFile::new(".env", "A=k3y\nB=\n"), "c").unwrap();
    assert_eq!(imported.yaml(2), "  c:\n    type: custom\n    secrets:\n      A: ${A}\n      B: ${B}\n");
    assert_eq!(imported.variables.iter().map(|variable| variable.value.is_some()).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn what_is_no_connection_is_told() {
    let told = |text: &str| messages(&import::read(&SourceFile::new("a.yaml", text), None).expect_err("a problem"));
    assert!(
        told("name: a\n").starts_with("a.yaml:1:1: the file has no `type`, as connections have\n"),
        "{}",
        told("name: a\n")
    );
    assert_eq!(
        told("type: azure_openia\n"),
        "a.yaml:1:7: there is no type `azure_openia` of connections\n  help: did you mean `azure_open_ai`?\n"
    );
    assert_eq!(told("- a\n"), "a.yaml:1:1: a connection is a map, not a list\n");
    let odd = imported("a.yaml", "type: serp\napi_key: <x>\nflavour: sweet\n");
    assert_eq!(odd.notes, ["`flavour` of connection `a` is not taken over"]);
}

#[test]
fn entries_go_to_the_end_of_the_section_and_comments_stay() {
    check_inserted(
        "# Where models live.\nconnections:\n    # a scripted one\n    local: { type: simulated, script: s.yaml }   # no key\n    # more to come\n\n# flows\nflow_configs:\n  f: { flow_path: x }\n",
        "# Where models live.\nconnections:\n    # a scripted one\n    local: { type: simulated, script: s.yaml }   # no key\n    # more to come\n    new:\n      type: serp\n      api_key: ${NEW_API_KEY}\n\n# flows\nflow_configs:\n  f: { flow_path: x }\n",
    );
    check_inserted(
        "connections:\r\n  a:\r\n    type: simulated\r\n    script: |\r\n      s.yaml",
        "connections:\r\n  a:\r\n    type: simulated\r\n    script: |\r\n      s.yaml\r\n  new:\r\n    type: serp\r\n    api_key: ${NEW_API_KEY}\r\n",
    );
}

#[test]
fn a_section_is_begun_where_there_is_none() {
    check_inserted("", "connections:\n  new:\n    type: serp\n    api_key: ${NEW_API_KEY}\n");
    check_inserted(
        "max_in_flight: 3",
        "max_in_flight: 3\n\nconnections:\n  new:\n    type: serp\n    api_key: ${NEW_API_KEY}\n",
    );
    check_inserted(
        "connections:   # none yet\nmax_in_flight: 3\n",
        "connections:   # none yet\n  new:\n    type: serp\n    api_key: ${NEW_API_KEY}\nmax_in_flight: 3\n",
    );
}

#[test]
fn nothing_is_added_where_it_would_change_something() {
    check_not_inserted(
        "connections:\n  new: { type: serp }\n",
        "config.yaml:2:3: there is a connection `new` already\n  help: take it out there, or import under another name: `--name NAME`\n",
    );
    check_not_inserted(
        "connections: { a: { type: simulated, script: s.yaml } }\n",
        "config.yaml:1:1: `connections` is written so that nothing can be added below it\n  help: add it yourself:\nconnections:\n  new:\n    type: serp\n    api_key: ${NEW_API_KEY}\n",
    );
    check_not_inserted("- a\n", "config.yaml:1:1: the file must be a map, not a list\n");
}
