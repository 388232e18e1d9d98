//! `action.yml`: its scripts, run as a runner would, with stand-ins for what they call; and rules that no workflow breaks.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use sluicegate_source::{SourceFile, yaml};
use sluicegate_testkit::project::{Project, Ran};

use crate::fixture::repository;

/// What stands in for a program: it notes its words, one on a line, and does what `then` says.
fn stand_in(project: &Project, name: &str, then: &str) {
    let path = format!("bin/{name}");
    project.write(&path, format!("#!/usr/bin/env bash\nprintf '%s\\n' \"$@\" >> \"$HOME/{name}.said\"\n{then}\n"));
    let file = project.path().join(path);
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).expect("it can be run");
}

fn said(project: &Project, name: &str) -> String {
    std::fs::read_to_string(project.path().join(format!("{name}.said"))).unwrap_or_default()
}

fn document(path: &str) -> yaml::Document {
    let text = std::fs::read_to_string(repository().join(path)).expect("a file");
    yaml::read(&SourceFile::new(path, text)).unwrap_or_else(|problems| panic!("{path}: {problems:?}"))
}

/// The script of a step.
fn script(id: &str) -> String {
    let action = document("action.yml");
    let steps = action.root.get("runs").and_then(|runs| runs.get("steps")?.as_list()).expect("steps");
    let step = steps.iter().find(|step| step.get("id").and_then(yaml::Node::as_str) == Some(id)).expect("the step");
    step.get("run").and_then(yaml::Node::as_str).expect("a script").to_owned()
}

/// A runner: its variables, and the files that it names.
#[expect(clippy::disallowed_methods, reason = "the scripts find their programs by PATH")]
fn runner() -> Project {
    let project = Project::new().file("output", "").file("path", "").file("temp/sluicegate/keep", "");
    let folder = project.path();
    let at = |name: &str| folder.join(name).display().to_string();
    let path = std::env::var("PATH").expect("a PATH");
    project
        .variable("PATH", format!("{}:{path}", at("bin")))
        .variable("GITHUB_OUTPUT", at("output"))
        .variable("GITHUB_PATH", at("path"))
        .variable("GITHUB_REPOSITORY", "us/flows")
        .variable("RUNNER_TEMP", at("temp"))
}

fn run(project: &Project, id: &str) -> Ran {
    project.run("bash", &["--noprofile", "--norc", "-c", &script(id)])
}

fn output(project: &Project) -> String {
    std::fs::read_to_string(project.path().join("output")).expect("a file")
}

/// A runner at the step `evaluate`, with inputs as their defaults are.
fn evaluating(fork: bool, changes: &[(&str, &str)]) -> Project {
    let mut project = runner();
    let out = project.path().join("temp/sluicegate").display().to_string();
    let defaults = [
        ("FLOW", "triage"),
        ("ENVIRONMENT_NAME", ""),
        ("DATA", ""),
        ("GATE", ""),
        ("BUDGET", ""),
        ("CASSETTE", ""),
        ("OFFLINE", "false"),
        ("ANNOTATIONS", "10"),
        ("EXIT_ZERO", "false"),
        ("EXIT_MAP", ""),
        ("FORK", if fork { "true" } else { "false" }),
        ("OUT", &out),
    ];
    for (name, value) in defaults.iter().chain(changes) {
        project = project.variable(name, *value);
    }
    stand_in(&project, "sluicegate", "exit 10");
    project
}

#[test]
fn inputs_reach_the_program_word_by_word() {
    let gate = "f1 >= 0.8\n\np95 <= 2s; $(touch pwned)\n";
    let project = evaluating(false, &[("ENVIRONMENT_NAME", "pr"), ("GATE", gate), ("EXIT_MAP", "11=0")]);
    let ran = run(&project, "evaluate");
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let words = said(&project, "sluicegate").replace(&project.path().display().to_string(), "[project]");
    assert_eq!(
        words,
        "evaluate\ntriage\n--environment_name\npr\n--gate\nf1 >= 0.8\n--gate\np95 <= 2s; $(touch pwned)\n--annotations\n10\n\
         --receipt\n[project]/temp/sluicegate/receipt.json\n--junit\n[project]/temp/sluicegate/junit.xml\n--sarif\n\
         [project]/temp/sluicegate/report.sarif\n--html\n[project]/temp/sluicegate/report.html\n--markdown\n\
         [project]/temp/sluicegate/report.md\n--comment\n[project]/temp/sluicegate/comment.md\n--exit-map\n11=0\n"
    );
    assert!(output(&project).starts_with("code=10\nreceipt="), "{}", output(&project));
    assert!(!project.path().join("pwned").exists());
}

#[test]
fn a_fork_is_evaluated_on_recorded_replies_alone_and_it_is_said() {
    let project = evaluating(true, &[("CASSETTE", "tests/replies")]);
    let ran = run(&project, "evaluate");
    assert!(said(&project, "sluicegate").contains("--replay\ntests/replies\n"), "{}", ran.shown());
    assert!(ran.stdout.contains("on recorded replies alone"), "{}", ran.shown());

    let without = evaluating(true, &[]);
    let ran = run(&without, "evaluate");
    assert!(ran.stdout.contains("there is no `cassette:`"), "{}", ran.shown());
    assert_eq!((said(&without, "sluicegate"), output(&without)), (String::new(), "code=12\n".to_owned()));

    let scripted = evaluating(true, &[("OFFLINE", "true")]);
    let _ = run(&scripted, "evaluate");
    assert!(!said(&scripted, "sluicegate").contains("--replay"));
}

#[track_caller]
fn check_who(event: &str, head: &str, code: i32, expected: &str) {
    let project = runner().variable("EVENT", event).variable("HEAD_REPOSITORY", head);
    let ran = run(&project, "who");
    assert_eq!(ran.code, code, "{}", ran.shown());
    assert!((output(&project) + &ran.stdout).contains(expected), "{}", ran.shown());
}

#[test]
fn it_is_known_who_asks() {
    check_who("pull_request", "us/flows", 0, "fork=false\n");
    check_who("pull_request", "them/flows", 0, "fork=true\n");
    // The fork was deleted: nobody knows whose it was.
    check_who("pull_request", "", 0, "fork=true\n");
    check_who("push", "", 0, "fork=false\n");
    check_who("pull_request_target", "us/flows", 2, "use the event `pull_request`");
}

#[test]
fn the_verdict_is_the_exit_code() {
    for (code, expected) in [("0", 0), ("10", 10), ("12", 12), ("", 1)] {
        assert_eq!(run(&runner().variable("CODE", code), "verdict").code, expected);
    }
}

/// A runner at the step `download`, beside a release with an archive; gives the archive's digest too.
fn downloading(sha256: Option<&str>) -> (Project, String) {
    let project = runner();
    let folder = "releases/us/sluicegate/releases/download/v1.2.3";
    project.write("made/sluicegate", "#!/bin/sh\necho it runs\n");
    project.write(&format!("{folder}/keep"), "");
    let archive = format!("{folder}/sluicegate-x86_64-unknown-linux-musl.tar.gz");
    let tar = project.run("tar", &["-czf", &archive, "-C", "made", "sluicegate"]);
    assert_eq!(tar.code, 0, "{}", tar.shown());
    let bytes = std::fs::read(project.path().join(&archive)).expect("an archive");
    let digest = sluicegate_value::hash::sha256(&bytes);
    let server = format!("file://{}", project.path().join("releases").display());
    let project = project
        .variable("VERSION", "1.2.3")
        .variable("SHA256", sha256.unwrap_or(&digest))
        .variable("ACTION_REPOSITORY", "us/sluicegate")
        .variable("SYSTEM", "Linux-X64")
        .variable("GITHUB_SERVER_URL", server)
        .variable("DIGESTS", "");
    (project, digest)
}

#[test]
fn a_release_is_used_if_its_digest_is_the_one_that_is_wanted() {
    let (project, _) = downloading(None);
    let ran = run(&project, "download");
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let folder = project.path().join("temp/sluicegate-1.2.3");
    assert!(folder.join("sluicegate").is_file());
    let path = std::fs::read_to_string(project.path().join("path")).expect("a file");
    assert_eq!(path, format!("{}\n", folder.display()));
}

#[test]
fn a_release_with_another_digest_is_not_used() {
    let (project, digest) = downloading(Some(&"0".repeat(64)));
    let ran = run(&project, "download");
    assert!(ran.code == 2 && ran.stdout.contains(&digest), "{}", ran.shown());
    assert!(!project.path().join("temp/sluicegate-1.2.3/sluicegate").exists());
    assert_eq!(std::fs::read_to_string(project.path().join("path")).expect("a file"), "");
}

#[test]
fn a_release_without_a_digest_is_not_even_fetched() {
    for sha256 in ["", "latest", "$(touch pwned)"] {
        let (project, _) = downloading(Some(sha256));
        let ran = run(&project, "download");
        assert!(ran.code == 2 && ran.stdout.contains("no digest is known of release 1.2.3"), "{}", ran.shown());
        assert!(!project.path().join("temp/sluicegate-1.2.3").exists() && !project.path().join("pwned").exists());
    }
    let (project, digest) = downloading(Some(""));
    let lines =
        format!("1.2.2 x86_64-unknown-linux-musl {}\n1.2.3 x86_64-unknown-linux-musl {digest}\n", "0".repeat(64));
    let ran = run(&project.variable("DIGESTS", lines), "download");
    assert_eq!(ran.code, 0, "the action's own list: {}", ran.shown());
}

const COMMENT: &str = "<!-- sluicegate:0123456789abcdef -->\n## Pass\n";

fn commenting(text: &str, then: &str) -> Project {
    let project = runner();
    let comment = project.path().join("temp/sluicegate/comment.md").display().to_string();
    let project = project
        .file("temp/sluicegate/comment.md", text)
        .variable("COMMENT", comment)
        .variable("NUMBER", "17")
        .variable("GITHUB_SERVER_URL", "https://github.test");
    stand_in(&project, "gh", then);
    project
}

#[test]
fn one_comment_is_kept_up_to_date() {
    let project = commenting(COMMENT, "");
    assert_eq!(run(&project, "comment").code, 0);
    let asked = said(&project, "gh");
    assert!(asked.contains("--paginate\nrepos/us/flows/issues/17/comments\n"), "{asked}");
    assert!(asked.contains("startswith(\"<!-- sluicegate:0123456789abcdef -->\")"), "{asked}");
    assert!(asked.contains("--method\nPOST\nrepos/us/flows/issues/17/comments\n-F\nbody=@"), "{asked}");

    let project = commenting(COMMENT, "[ \"$2\" = --paginate ] && printf '41\\n42\\n'; true");
    assert_eq!(run(&project, "comment").code, 0);
    let asked = said(&project, "gh");
    assert!(asked.contains("--method\nPATCH\nrepos/us/flows/issues/comments/41\n-F\nbody=@"), "{asked}");
    assert!(!asked.contains("POST"), "{asked}");
}

#[test]
fn a_comment_that_may_not_be_posted_fails_nothing_and_names_the_permission() {
    let ran = run(&commenting(COMMENT, "exit 1"), "comment");
    assert!(ran.code == 0 && ran.stdout.contains("the permission `pull-requests: write`"), "{}", ran.shown());
}

#[test]
fn what_has_no_marker_of_ours_is_not_posted() {
    for text in ["", "## Pass\n", "<!-- sluicegate:\" or true -->\n"] {
        let project = commenting(text, "");
        assert_eq!((run(&project, "comment").code, said(&project, "gh")), (0, String::new()), "{text:?}");
    }
}

/// All workflows and the action, by their paths.
fn all_files() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(repository().join(".github/workflows")).expect("workflows");
    let workflows = folder.map(|entry| PathBuf::from(".github/workflows").join(entry.expect("an entry").file_name()));
    workflows.chain([PathBuf::from("action.yml")]).collect()
}

#[test]
fn no_workflow_runs_strangers_code_with_our_secrets() {
    for path in all_files() {
        let name = path.display().to_string();
        let document = document(&name);
        let on = document.root.get("on").map(|on| on.to_value().to_json()).unwrap_or_default();
        assert!(!on.contains("pull_request_target") && !on.contains("workflow_run"), "{name}");
        check_scripts(&document.root, &name);
    }
}

/// What strangers write (titles, branches, inputs) never becomes part of a script's text.
fn check_scripts(node: &yaml::Node, name: &str) {
    for entry in node.as_map().unwrap_or_default() {
        if &*entry.key == "run" {
            let script = entry.value.as_str().unwrap_or_default();
            assert!(!script.contains("${{"), "{name}: {script}");
        }
        check_scripts(&entry.value, name);
    }
    node.as_list().unwrap_or_default().iter().for_each(|item| check_scripts(item, name));
}

#[test]
fn what_the_action_uses_of_others_is_pinned_to_a_commit() {
    for name in ["action.yml", ".github/workflows/evaluate.yml"] {
        let text = std::fs::read_to_string(repository().join(name)).expect("a file");
        let uses = text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("uses: "));
        for used in uses.filter(|used| !used.starts_with("./")) {
            let commit = used.split(['@', ' ']).nth(1).unwrap_or_default();
            assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}: {used}");
        }
    }
}

#[test]
fn every_pipeline_of_the_manual_can_be_read() {
    let text = std::fs::read_to_string(repository().join("docs/ci.md")).expect("docs/ci.md");
    let blocks: Vec<&str> =
        text.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```").map(|(block, _)| block)).collect();
    assert!(blocks.len() >= 4, "{} blocks", blocks.len());
    for block in blocks {
        let read = yaml::read(&SourceFile::new("docs/ci.md", block));
        assert!(read.is_ok(), "{:?}\n{block}", read.err());
    }
}
