//! The samples that ship, run as the README says.

use crate::fixture::{SLUICEGATE, repository, samples};

#[test]
fn the_readmes_first_command_prints_the_entities() {
    let ran = samples().run(SLUICEGATE, &["run", "entity_extraction", "--environment_name", "local"]);
    assert_eq!(ran.stdout, "{\n  \"answer\": [\n    \"software engineer\"\n  ]\n}\n", "{}", ran.stderr);
    assert_eq!(ran.code, 0);
    let readme = std::fs::read_to_string(repository().join("README.md")).expect("README.md");
    assert!(readme.contains("cargo run -- run entity_extraction --environment_name local"));
    assert!(readme.contains(&ran.stdout), "the README shows what it prints");
}

#[test]
fn the_prompty_twin_asks_the_same() {
    let project = samples();
    let prompty = "flows/entity_extraction/entity_extraction.prompty";
    let ran = project.run(SLUICEGATE, &["run", prompty, "-e", "local"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("software engineer"), "{}", ran.stdout);
}

#[test]
fn every_row_of_the_sample_data_gives_what_it_expects() {
    let project = samples();
    let rows = std::fs::read_to_string(repository().join("data/entity_extraction.jsonl")).expect("data");
    assert!(rows.lines().count() >= 10);
    for line in rows.lines() {
        let row: serde_json::Value = serde_json::from_str(line).expect("a row");
        project.write("row.json", line);
        let ran =
            project.run(SLUICEGATE, &["run", "entity_extraction", "-e", "local", "--inputs", "row.json", "--no-store"]);
        let outputs: serde_json::Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.shown()));
        assert_eq!(outputs["answer"], row["expected"], "{line}");
    }
}

#[test]
fn every_sample_is_sound_without_key_or_network() {
    let ran = samples().run(SLUICEGATE, &["check"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
}

#[test]
fn the_styles_of_prompt_flow_give_the_same_answers() {
    let project = samples();
    let rows = std::fs::read_to_string(repository().join("data/entity_extraction.jsonl")).expect("data");
    for line in rows.lines().take(4) {
        project.write("row.json", line);
        let row: serde_json::Value = serde_json::from_str(line).expect("a row");
        for style in ["python", "function", "class"] {
            let flow = format!("entity_extraction_{style}");
            let ran = project.run(SLUICEGATE, &["run", &flow, "-e", "local", "--inputs", "row.json", "--no-store"]);
            let outputs: serde_json::Value =
                serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.shown()));
            assert_eq!(outputs["answer"], row["expected"], "{style}: {line}");
        }
    }
}

#[test]
fn the_panel_asks_three_at_once_and_one_judges() {
    let project = samples();
    let ran = project.run(SLUICEGATE, &["run", "model_panel", "-e", "local", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(report["outputs"]["model"], "medium");
    let answers = report["outputs"]["answers"].as_str().expect("a text");
    let numbers: Vec<&str> = answers.lines().filter_map(|line| line.split('.').next()).collect();
    assert_eq!(numbers, ["1", "2", "3"], "{answers}");
    // The small model is overloaded at first, and asked again.
    assert!(ran.stderr.contains("`small`: the endpoint failed (503)"), "{}", ran.stderr);
}
