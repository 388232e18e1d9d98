//! The smaller commands.

use sluicegate_testkit::endpoint::Endpoint;
use sluicegate_testkit::project::Project;

use crate::fixture::{SLUICEGATE, ask, one_call, samples};

#[test]
fn draw_shows_the_nodes() {
    let project = samples();
    for (format, words) in [("mermaid", "flowchart"), ("dot", "digraph"), ("svg", "<svg")] {
        let ran = project.run(SLUICEGATE, &["draw", "entity_extraction", "--format", format]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stdout.contains(words) && ran.stdout.contains("clean_up"), "{}", ran.stdout);
    }
}

#[test]
fn the_schema_is_json_and_knows_every_kind() {
    let ran = Project::new().run(SLUICEGATE, &["schema", "flow"]);
    let schema: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    for kind in ["llm", "prompt", "prompty", "expression", "flow", "map", "loop", "python"] {
        assert!(ran.stdout.contains(&format!("\"{kind}\"")), "{kind}");
    }
}

#[test]
fn shells_and_readers_are_served() {
    let project = Project::new();
    assert!(project.run(SLUICEGATE, &["completions", "bash"]).stdout.contains("_sluicegate"));
    assert!(project.run(SLUICEGATE, &["man"]).stdout.contains(".TH"));
    let help = project.run(SLUICEGATE, &["run", "--help"]);
    for flag in [
        "--environment_name",
        "--deploy_traces",
        "--inputs",
        "--set",
        "--variant",
        "--node",
        "--stream",
        "--json",
        "--no-store",
    ] {
        assert!(help.stdout.contains(flag), "{flag}");
    }
}

#[test]
fn connections_are_listed_and_tested() {
    let endpoint = Endpoint::start();
    endpoint.reply_text("pong");
    let project = one_call(&endpoint);
    let listed = project.run(SLUICEGATE, &["connections", "list"]);
    assert!(listed.code == 0 && listed.stdout.contains("gateway"), "{}", listed.shown());
    let tested = project.run(SLUICEGATE, &["connections", "test", "gateway", "--model", "small"]);
    assert_eq!(tested.code, 0, "{}", tested.shown());
    assert_eq!(endpoint.count(), 1);
    let unknown = project.run(SLUICEGATE, &["connections", "test", "gatewai", "--model", "small"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("gateway"), "{}", unknown.shown());
}

#[test]
fn runs_are_listed_and_shown() {
    let endpoint = Endpoint::start();
    endpoint.reply_text("fine");
    let project = one_call(&endpoint);
    assert_eq!(ask(&project, &[]).code, 0);
    let listed = project.run(SLUICEGATE, &["runs", "list", "--json"]);
    let runs: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap_or_else(|_| panic!("{}", listed.shown()));
    assert_eq!((runs[0]["flow"].as_str(), runs[0]["status"].as_str()), (Some("ask"), Some("completed")));
    let id = runs[0]["run"].as_str().expect("an id");
    let shown = project.run(SLUICEGATE, &["runs", "show", id]);
    assert!(shown.code == 0 && shown.stdout.contains("fine"), "{}", shown.shown());
    assert_eq!(project.run(SLUICEGATE, &["runs", "show", "nope"]).code, 2);
    let resumed = project.run(SLUICEGATE, &["runs", "resume", id]);
    assert_eq!(resumed.code, 2, "{}", resumed.shown());
}

#[test]
fn nothing_is_kept_when_told_so() {
    let endpoint = Endpoint::start();
    endpoint.reply_text("fine");
    let project = one_call(&endpoint);
    assert_eq!(ask(&project, &["--no-store"]).code, 0);
    assert!(!project.path().join(".sluicegate").exists());
}

#[test]
fn wrong_words_are_answered_with_the_right_ones() {
    let project = samples();
    let ran = project.run(SLUICEGATE, &["run", "entity_extractoin", "-e", "local"]);
    assert!(ran.code == 2 && ran.stderr.contains("entity_extraction"), "{}", ran.shown());
    let ran = project.run(SLUICEGATE, &["run", "entity_extraction", "-e", "local", "--inputs", "txt=a"]);
    assert!(ran.stderr.contains("`txt`") && ran.stderr.contains("`text`"), "{}", ran.shown());
    let ran = project.run(SLUICEGATE, &["rnu"]);
    assert_eq!(ran.code, 2, "{}", ran.shown());
}

#[test]
fn config_show_without_a_flow_shows_all_of_them() {
    let ran = samples().run(SLUICEGATE, &["config", "show", "--environment_name", "pr"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for words in ["entity_extraction.connection_name", "aoai", "(AOAI_API_KEY is not set)", "config/config.yaml:"] {
        assert!(ran.stdout.contains(words), "expected `{words}` in\n{}", ran.stdout);
    }
    let unknown = samples().run(SLUICEGATE, &["config", "show", "-e", "prd"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("did you mean `pr`"), "{}", unknown.shown());
}

#[test]
fn every_variable_that_traces_read_is_in_the_sample() {
    let sample = std::fs::read_to_string(crate::fixture::repository().join(".env.sample")).expect(".env.sample");
    for name in sluicegate_telemetry::VARIABLES {
        assert!(sample.contains(&format!("#{name}=\n")), "{name} is missing from .env.sample");
    }
}

#[test]
fn a_section_gives_inputs_that_nobody_gave() {
    let endpoint = Endpoint::start();
    endpoint.reply_text("fine");
    let project = one_call(&endpoint);
    let config = crate::fixture::config(&endpoint.url(), "")
        + "  ask_dev: { connection_name: gateway, deployment_name: small, question: From the section }\n";
    project.write("config/config.yaml", config);
    let asked = |more: &[&str]| {
        let ran = project.run(SLUICEGATE, &[&["run", "ask", "-e", "dev"], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.shown());
        let last = endpoint.requests().pop().expect("a request").json();
        last["messages"][1]["content"].as_str().expect("content").to_owned()
    };
    assert_eq!(asked(&[]), "From the section");
    assert_eq!(asked(&["--inputs", "question=Given"]), "Given");
    assert_eq!(ask(&project, &[]).code, 0);
    assert!(endpoint.requests().pop().expect("a request").json().to_string().contains("What is a sluice gate?"));
}
