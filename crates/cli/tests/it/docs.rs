//! The manual cannot lie: its flows are checked, and run where they need no model.

use sluicegate_testkit::project::Project;

use crate::fixture::{SLUICEGATE, repository};

/// A project of every fenced block in docs/flows.md that names its file.
fn manual() -> Project {
    let text = std::fs::read_to_string(repository().join("docs/flows.md")).expect("docs/flows.md");
    let project = Project::new()
        .file("config/config.yaml", "connections:\n  local: { type: simulated, script: script.yaml }\n")
        .file("script.yaml", "default: \"a reply\"\n");
    let mut files = 0;
    for block in text.split("\n```").filter(|block| !block.starts_with('\n')) {
        let (head, body) = block.split_once('\n').expect("a block has lines");
        if let Some((_, path)) = head.split_once(' ') {
            project.write(path, body);
            files += 1;
        }
    }
    assert!(files >= 8, "{files} files were found");
    project
}

fn check(project: &Project, arguments: &[&str], stdout: &str) {
    let ran = project.run(SLUICEGATE, arguments);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, stdout), "{}", ran.shown());
}

#[test]
fn every_flow_of_the_manual_is_sound_and_runs() {
    let project = manual();
    let ran = project.run(SLUICEGATE, &["check"]);
    assert!(ran.code == 0 && !ran.stderr.contains("warning"), "{}", ran.shown());
    project.write("in.json", r#"{"texts": ["one two three four five six seven", "eight"]}"#);
    check(
        &project,
        &["run", "flows/report", "--inputs", "in.json"],
        "{\n  \"notes\": [\n    {\n      \"words\": 7,\n      \"note\": \"7 words: one two three...\"\n    },\n    {\n      \"words\": 1,\n      \"note\": null\n    }\n  ],\n  \"draft\": \"7, 1 and more and more\"\n}\n",
    );
    check(&project, &["run", "flows/tone", "--variant", "${greet.warm}"], "{\n  \"greeting\": \"Dear Ann\"\n}\n");
    check(&project, &["run", "flows/answer", "--inputs", "question=Why?"], "{\n  \"answer\": \"a reply\"\n}\n");
    check(&project, &["run", "flows/python"], "{\n  \"words\": [\n    \"one\",\n    \"two\"\n  ]\n}\n");
    check(&project, &["run", "flows/ask", "--inputs", "question=Why?"], "{\n  \"answer\": \"a reply\"\n}\n");
}

#[test]
fn the_manual_names_every_evaluator() {
    let text = std::fs::read_to_string(repository().join("docs/evaluators.md")).expect("docs/evaluators.md");
    let names = sluicegate_evaluate::evaluator::registry::names();
    let missing: Vec<&str> = names.filter(|name| !text.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/evaluators.md lacks {missing:?}");
}
