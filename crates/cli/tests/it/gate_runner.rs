//! What GitHub's runner is given: files that it names, commands in the log, and nothing that a model wrote as a command.

use std::path::Path;

use sluicegate_testkit::project::{Project, Ran};

use crate::gate_receipts::{Measured, failing, fifty, gate, passing, project, receipt};

/// Texts that a model may write to be obeyed.
const HOSTILE: [&str; 9] = [
    "::error file=a,line=1::pwned",
    "ok\n::set-output name=verdict::pwned",
    "ok\r\n  ::add-mask::pwned",
    "##[set-env name=PATH]pwned",
    "verdict<<EOF\npwned\nEOF",
    "<!-- sluicegate --> @team <script>pwned</script>",
    "]]>pwned<![CDATA[ \u{1}\u{8}",
    "\x1b[2Jpwned\x1b]0;title\x07\u{202e}",
    "| pwned | [x](javascript:alert(1))",
];

/// The project as a step of a workflow sees it: with the files that the runner names.
fn step(project: Project) -> Project {
    let folder = project.path();
    let named = |name: &str| folder.join(name).display().to_string();
    project
        .file("runner/summary", "")
        .file("runner/output", "")
        .variable("GITHUB_ACTIONS", "true")
        .variable("GITHUB_STEP_SUMMARY", named("runner/summary"))
        .variable("GITHUB_OUTPUT", named("runner/output"))
}

fn judge(project: &Project, more: &[&str]) -> Ran {
    gate(project, &[&["judge", "receipt.json"], more].concat())
}

fn read(project: &Project, path: &str) -> String {
    std::fs::read_to_string(project.path().join(path)).expect("a file")
}

/// The commands that a runner obeys in a log, read as it reads: `::` at a line's beginning after blanks, `##[` anywhere,
/// nothing between a stop and its own end.
fn obeyed(log: &str) -> Vec<String> {
    let mut stopped: Option<String> = None;
    let mut obeyed = Vec::new();
    for line in log.lines() {
        let text = line.trim_start();
        if let Some(token) = &stopped {
            if text == format!("::{token}::") {
                stopped = None;
            }
        } else if let Some(token) = text.strip_prefix("::stop-commands::") {
            stopped = Some(token.to_owned());
        } else if text.starts_with("::") || line.contains("##[") {
            obeyed.push(line.to_owned());
        }
    }
    assert_eq!(stopped, None, "what was stopped goes on: {log}");
    obeyed
}

/// The outputs of a step, read as the runner reads them.
fn outputs(text: &str) -> Vec<(String, String)> {
    let mut lines = text.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let (name, delimiter) = line.split_once("<<").expect("a name and a delimiter");
        let value: Vec<&str> = lines.by_ref().take_while(|line| *line != delimiter).collect();
        found.push((name.to_owned(), value.join("\n")));
    }
    found
}

#[test]
fn a_step_has_its_summary_its_outputs_and_its_annotations() {
    let project = step(project(&failing("an answer")));
    let ran = judge(&project, &[]);
    assert_eq!(ran.code, 10, "{}", ran.shown());
    let summary = read(&project, "runner/summary");
    assert!(summary.starts_with("## ❌ Fail: triage (pr)\n") && summary.contains("an answer"), "{summary}");
    let outputs = outputs(&read(&project, "runner/output"));
    let value = |name: &str| outputs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!((value("verdict"), value("exit_code")), (Some("fail"), Some("10")));
    assert_eq!(value("failed_rules"), Some("exact,no_regression.exact"));
    let commands = obeyed(&ran.stderr);
    assert!(commands[0].starts_with("::error file=flows/triage/evaluation.yaml,line=2,title=triage%3A exact fail::"));
    assert!(commands.iter().any(|command| command.starts_with("::warning file=data/triage.jsonl,line=3,")));
    assert_eq!((commands.len(), obeyed(&ran.stdout).len()), (10, 0), "{}", ran.shown());
}

#[test]
fn nobody_marks_lines_where_no_runner_listens() {
    let ran = judge(&project(&failing("an answer")), &[]);
    assert!(!ran.stderr.contains("::"), "{}", ran.shown());
    let few = judge(&step(project(&failing("an answer"))), &["--annotations", "2"]);
    assert_eq!(obeyed(&few.stderr).len(), 2, "{}", few.shown());
    let none = judge(&step(project(&failing("an answer"))), &["--annotations", "0"]);
    assert_eq!(obeyed(&none.stderr).len(), 0, "{}", none.shown());
}

#[test]
fn no_text_of_a_model_is_obeyed() {
    for text in HOSTILE {
        let project = step(project(&failing(text)));
        let all = ["sarif", "html", "markdown", "comment"].map(|name| [format!("--{name}"), format!("out/{name}")]);
        let flags: Vec<&str> = all.iter().flatten().map(String::as_str).collect();
        let ran = judge(&project, &flags);
        assert_eq!(ran.code, 10, "{text:?}: {}", ran.shown());
        for command in obeyed(&ran.stderr) {
            let known = ["::error ", "::warning ", "::notice "].iter().any(|known| command.starts_with(known));
            assert!(known && !command.contains("file=a,line=1,"), "{text:?}: {command}");
        }
        assert!(obeyed(&ran.stdout).is_empty(), "{text:?}: {}", ran.shown());
        assert!(!ran.stderr.contains(['\x1b', '\r', '\u{202e}', '\u{8}']), "{text:?}: {}", ran.shown());
        let names: Vec<String> = outputs(&read(&project, "runner/output")).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), 7, "{text:?}: {names:?}");
        let comment = read(&project, "out/comment");
        assert_eq!(comment.matches("<!-- sluicegate:").count(), 1, "{text:?}");
        assert!(!read(&project, "out/html").contains("<script>"), "{text:?}");
    }
}

#[test]
fn an_explanation_in_a_log_is_not_obeyed_either() {
    for text in HOSTILE {
        let ran = gate(&step(project(&failing(text))), &["explain", "receipt.json"]);
        assert_eq!((ran.code, obeyed(&ran.stdout).len()), (0, 0), "{text:?}: {}", ran.shown());
    }
}

#[test]
fn a_rule_that_is_called_like_a_command_is_none() {
    for id in ["::error::pwned", "a\n::error::pwned", "##[add-path]pwned"] {
        let rules = sluicegate_value::Value::from(id).to_json();
        let rules = format!("gate:\n  rules:\n  - {{ id: {rules}, metric: exact, is: '>= 0.8' }}\n");
        let receipt = receipt(&rules, &Measured { before: "", now: &fifty(20), output: "an answer" });
        for command in ["plan", "explain", "judge"] {
            let ran = gate(&step(project(&receipt)), &[command, "receipt.json", "--json"]);
            assert!([0, 10].contains(&ran.code), "{id:?}: {}", ran.shown());
            let ran = gate(&step(project(&receipt)), &[command, "receipt.json"]);
            assert!(obeyed(&ran.stdout).is_empty(), "{id:?}: {}", ran.shown());
            let obeyed = obeyed(&ran.stderr);
            let ours = ["::error file=flows/triage/", "::warning file=data/triage.", "::notice title=sluicegate::"];
            let ours = |line: &String| ours.iter().any(|known| line.starts_with(known));
            assert!(obeyed.iter().all(ours), "{id:?}: {obeyed:?}");
        }
    }
}

#[test]
fn summaries_of_one_step_stand_below_one_another_and_never_overflow() {
    let project = step(project(&passing()));
    project.write("runner/summary", "# What another step wrote\n\n");
    let _ = (judge(&project, &[]), judge(&project, &[]));
    let summary = read(&project, "runner/summary");
    assert!(summary.starts_with("# What another step wrote\n"));
    assert_eq!(summary.matches("## ✅ Pass: triage").count(), 2, "{summary}");

    project.write("runner/summary", "x".repeat((1 << 20) - 100));
    let ran = judge(&project, &[]);
    assert!(ran.code == 0 && ran.stderr.contains("the step's summary is full"), "{}", ran.shown());
    assert_eq!(read(&project, "runner/summary").len(), (1 << 20) - 100);
}

#[test]
fn a_summary_may_be_wanted_elsewhere_or_not_at_all() {
    let project = step(project(&passing()));
    let ran = judge(&project, &["--summary", "out/summary.md"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert!(read(&project, "out/summary.md").starts_with("## ✅ Pass"));
    assert_eq!(read(&project, "runner/summary"), "");

    project.write(
        "other.yaml",
        "evaluators: { exact: { use: exact_match } }\ngate: { exact: '>= 0.8' }\nreport: { summary: false }\n",
    );
    assert_eq!(judge(&project, &["--policy", "other.yaml"]).code, 0);
    assert_eq!(read(&project, "runner/summary"), "");

    // The runner's own file is added to, also where it is named.
    let own = project.path().join("runner/summary");
    let _ = judge(&project, &["--summary", &own.display().to_string()]);
    let _ = judge(&project, &["--summary", &own.display().to_string()]);
    assert_eq!(read(&project, "runner/summary").matches("## ✅ Pass").count(), 2);
}

#[test]
fn a_runner_that_cannot_be_written_to_changes_no_verdict() {
    let project = project(&passing())
        .variable("GITHUB_ACTIONS", "true")
        .variable("GITHUB_STEP_SUMMARY", Path::new("/nowhere/summary").display().to_string())
        .variable("GITHUB_OUTPUT", "/nowhere/output");
    let ran = judge(&project, &[]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert!(ran.stderr.contains("the step's summary cannot be written"), "{}", ran.shown());
    assert!(ran.stderr.contains("the step's outputs cannot be written"), "{}", ran.shown());
}
