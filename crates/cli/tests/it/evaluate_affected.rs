//! `evaluate --changed-since`: flows that a change touches are evaluated, the others are not.

use sluicegate_testkit::project::{Project, Ran};

use crate::fixture::SLUICEGATE;

const FLOW: &str = "inputs: { word: { type: string } }
outputs: { answer: { type: string, reference: \"${ask.output}\" } }
nodes:
- name: ask
  type: llm
  source: { type: code, path: ask.jinja2 }
  inputs: { deployment_name: simulated, word: \"${inputs.word}\" }
  connection: MODEL
  api: chat
";

const EVALUATION: &str = "data: data/NAME.jsonl
evaluators:
  exact_match: { response: \"${target.answer}\", ground_truth: \"${data.word}\" }
gate: { exact_match: \">= 0.5\" }
";

const SCRIPT: &str = "replies:\n  - when: { user: word }\n    find: 'word\\d+'\n    reply: '${found}'\n";

/// Flows `one`, `two` and `three`, each with its own files and model; the third has no evaluation, and reads a prompt that
/// lies elsewhere. All of it is committed, and `origin/main` is there.
fn project() -> Project {
    let mut project =
        Project::new().file(".gitignore", ".sluicegate/\nout/\n").file("shared/ask.jinja2", "user:\nSay {{word}}\n");
    let mut config = "connections:\n".to_owned();
    for name in ["one", "two", "three"] {
        let includes = if name == "one" { "" } else { "additional_includes: [../../shared/ask.jinja2]\n" };
        let rows: String = (0..30).map(|number| format!("{{\"word\":\"word{number}\"}}\n")).collect();
        project = project
            .file(&format!("flows/{name}/flow.dag.yaml"), format!("{includes}{}", FLOW.replace("MODEL", name)))
            .file(&format!("data/{name}.jsonl"), rows)
            .file(&format!("config/{name}.yaml"), SCRIPT);
        if name == "one" {
            project = project.file("flows/one/ask.jinja2", "user:\nSay {{word}}\n");
        }
        if name != "three" {
            project = project.file(&format!("flows/{name}/evaluation.yaml"), EVALUATION.replace("NAME", name));
        }
        config += &format!("  {name}: {{ type: simulated, script: config/{name}.yaml }}\n");
    }
    project.write("config/config.yaml", config + "flow_configs: {}\n");
    git(&project, &["init", "--quiet"]);
    commit(&project, "main");
    git(&project, &["update-ref", "refs/remotes/origin/main", "HEAD"]);
    project
}

fn git(project: &Project, arguments: &[&str]) -> Ran {
    let named = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"];
    let ran = project.run("git", &[&named[..], arguments].concat());
    assert_eq!(ran.code, 0, "{}", ran.shown());
    ran
}

fn commit(project: &Project, message: &str) {
    git(project, &["add", "."]);
    git(project, &["commit", "--quiet", "-m", message]);
}

fn changed(project: &Project, more: &[&str]) -> Ran {
    project.run(SLUICEGATE, &[&["evaluate", "--changed-since", "origin/main", "--progress", "none"], more].concat())
}

/// Which flows are chosen after a file was changed.
#[track_caller]
fn check_chosen(path: &str, text: &str, chosen: &[&str]) {
    let project = project();
    project.write(path, text);
    let ran = changed(&project, &["--list"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let mut found: Vec<&str> = ran.stdout.lines().map(|line| line.rsplit('/').next().unwrap_or(line)).collect();
    found.sort_unstable();
    assert_eq!(found, chosen, "{path}\n{}", ran.shown());
}

#[test]
fn a_flow_is_chosen_by_what_it_reads() {
    check_chosen("flows/one/ask.jinja2", "user:\nPlease say {{word}}\n", &["one"]);
    check_chosen("flows/one/new_tool.py", "", &["one"]);
    check_chosen("shared/ask.jinja2", "user:\nPlease say {{word}}\n", &["two"]);
    check_chosen("data/two.jsonl", "{\"word\":\"word1\"}\n", &["two"]);
    check_chosen("flows/two/evaluation.yaml", &(EVALUATION.replace("NAME", "two") + "# more\n"), &["two"]);
    check_chosen("config/one.yaml", &(SCRIPT.to_owned() + "# more\n"), &["one"]);
    check_chosen("docs/README.md", "", &[]);
    check_chosen("flows/three/flow.dag.yaml", &FLOW.replace("MODEL", "three"), &[]);
}

#[test]
fn the_config_is_of_all_flows() {
    let project = project();
    let config = std::fs::read_to_string(project.path().join("config/config.yaml")).expect("the config");
    project.write("config/config.yaml", format!("{config}# more\n"));
    let ran = changed(&project, &["--list"]);
    assert_eq!(ran.stdout.lines().count(), 2, "{}", ran.shown());
    assert!(ran.stderr.contains("without an evaluation file: flows/three"), "{}", ran.shown());
}

#[test]
fn nothing_touched_is_said_and_is_no_failure() {
    let project = project();
    let ran = changed(&project, &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.shown());
    assert!(ran.stderr.contains("no flow is evaluated"), "{}", ran.shown());
    assert!(!project.path().join(".sluicegate/evaluations").exists());
}

#[test]
fn committed_changes_count_from_where_the_branch_began() {
    let project = project();
    git(&project, &["checkout", "--quiet", "-b", "mine"]);
    project.write("flows/one/ask.jinja2", "user:\nNow say {{word}}\n");
    commit(&project, "mine");
    // The main branch goes on, with the other flow.
    git(&project, &["checkout", "--quiet", "main"]);
    project.write("shared/ask.jinja2", "user:\nMain says {{word}}\n");
    commit(&project, "theirs");
    git(&project, &["update-ref", "refs/remotes/origin/main", "HEAD"]);
    git(&project, &["checkout", "--quiet", "mine"]);
    let ran = changed(&project, &[]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.shown());
    for words in
        ["flows/one/ask.jinja2 changed", "PASS  one", "  flows/two: skipped, since nothing that it reads changed"]
    {
        assert!(ran.stderr.contains(words), "{words}\n{}", ran.shown());
    }
}

#[test]
fn each_is_judged_and_the_gravest_exit_code_is_the_commands() {
    let project = project();
    // The first says something else from now on; the second has too few cases to say.
    project.write("flows/one/ask.jinja2", "user:\nSay {{word}}!\n");
    project.write("data/two.jsonl", "{\"word\":\"word1\"}\n");
    project.write("config/one.yaml", SCRIPT.replace("'${found}'", "no"));
    let ran = changed(&project, &["--gate", "strict", "--junit", "out/junit.xml"]);
    assert_eq!(ran.code, 10, "{}", ran.shown());
    for words in ["FAIL  one", "INCONCLUSIVE  two"] {
        assert!(ran.stderr.contains(words), "{words}\n{}", ran.shown());
    }
    assert_eq!(ran.stdout.lines().count(), 2, "{}", ran.shown());
    let written: Vec<_> = std::fs::read_dir(project.path().join("out")).expect("reports").collect();
    assert_eq!(written.len(), 2, "{written:?}");
    // Asked for by name, it is that one alone.
    let ran = changed(&project, &["flows/two", "--gate", "strict"]);
    assert_eq!(ran.code, 11, "{}", ran.shown());
}

#[test]
fn a_flow_that_is_broken_is_no_flow_that_is_skipped() {
    let project = project();
    project.write("flows/two/flow.dag.yaml", "nodes: [");
    let ran = changed(&project, &[]);
    assert_eq!(ran.code, 2, "{}", ran.shown());
}

#[test]
fn in_a_shallow_clone_all_flows_are_taken_and_it_is_said() {
    let project = project();
    project.write("docs/README.md", "text");
    commit(&project, "more");
    git(&project, &["checkout", "--quiet", "-b", "mine", "HEAD~1"]);
    project.write("docs/OTHER.md", "text");
    commit(&project, "mine");
    let url = format!("file://{}", project.path().display());
    git(&project, &["clone", "--quiet", "--depth", "1", "--no-single-branch", &url, "out/clone"]);
    let ran = project.run(SLUICEGATE, &["-C", "out/clone", "evaluate", "--changed-since", "origin/main", "--list"]);
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 2), "{}", ran.shown());
    assert!(
        ran.stderr
            .contains("the merge base with `origin/main` is not here (this clone is shallow): all flows are taken"),
        "{}",
        ran.shown()
    );
    let ran = project.run(SLUICEGATE, &["-C", "out/clone", "evaluate", "--changed-since", "origin/gone", "--list"]);
    assert!(ran.stderr.contains("`origin/gone` is not in this shallow clone"), "{}", ran.shown());
}

#[test]
fn what_git_does_not_know_is_said() {
    let project = project();
    let ran = project.run(SLUICEGATE, &["evaluate", "--changed-since", "origin/mian"]);
    assert_eq!(ran.code, 2, "{}", ran.shown());
    assert!(ran.stderr.contains("git knows no commit `origin/mian` here"), "{}", ran.shown());
    std::fs::remove_dir_all(project.path().join(".git")).expect("removed");
    let ran = changed(&project, &[]);
    assert_eq!(ran.code, 2, "{}", ran.shown());
    assert!(ran.stderr.contains("in no git working tree"), "{}", ran.shown());
}
