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
