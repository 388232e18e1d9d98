//! Prompt flow's own command lines, and what they lead to.

use std::io::Write as _;
use std::process::Stdio;

use sluicegate_testkit::project::Project;

use crate::fixture::SLUICEGATE;

const CHAT: &str = r#"
inputs:
  question: { type: string, is_chat_input: true }
  chat_history: { type: list, is_chat_history: true }
outputs:
  answer: { type: string, reference: "${turn.output}", is_chat_output: true }
nodes:
- name: turn
  type: expression
  inputs: { said: "${inputs.question}", history: "${inputs.chat_history}" }
  expression: '(history | length + 1) ~ ": " ~ said'
"#;

const FLEX: &str = "entry: chat:Chat\ninit:\n  times: {type: int}\ninputs:\n  question: {type: string}\n";

const CLASS: &str = "class Chat:\n    def __init__(self, times: int):\n        self.times = times\n\n    def __call__(self, question: str) -> dict:\n        return {'answer': question * self.times}\n";

#[test]
fn a_script_changes_one_word() {
    let project = Project::new().file("chat/flow.dag.yaml", CHAT);
    let tested = project.run(SLUICEGATE, &["pf", "flow", "test", "--flow", "chat", "--inputs", "question=hello"]);
    assert_eq!((tested.code, tested.stdout.trim()), (0, "{\n  \"answer\": \"1: hello\"\n}"), "{}", tested.shown());
    assert!(tested.stderr.contains("sluicegate run chat --inputs question=hello"), "{}", tested.stderr);
    let validated = project.run(SLUICEGATE, &["pf", "flow", "validate", "--source", "chat"]);
    assert_eq!(validated.code, 0, "{}", validated.shown());
    let listed = project.run(SLUICEGATE, &["pf", "run", "list"]);
    assert!(listed.code == 0 && listed.stdout.contains("chat"), "{}", listed.shown());
    std::fs::write(project.path().join("d.jsonl"), "{\"q\": \"one\"}\n{\"q\": \"two\"}\n").expect("written");
    let created = project.run(
        SLUICEGATE,
        &[
            "pf",
            "run",
            "create",
            "--flow",
            "chat",
            "--data",
            "d.jsonl",
            "--column-mapping",
            "question=${data.q}",
            "--stream",
        ],
    );
    assert_eq!(created.code, 0, "{}", created.shown());
    let outputs = project.run(SLUICEGATE, &["runs", "outputs", "latest"]).stdout;
    assert_eq!(outputs, "{\"line_number\":0,\"answer\":\"1: one\"}\n{\"line_number\":1,\"answer\":\"1: two\"}\n");
}

#[test]
fn a_chat_goes_on_turn_by_turn() {
    let project = Project::new().file("chat/flow.dag.yaml", CHAT);
    let mut command = project.command(SLUICEGATE, &["run", "chat", "--interactive"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    child.stdin.take().expect("stdin").write_all(b"hello\nand you?\n\nnever said\n").expect("written");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1: hello\n2: and you?\n");
    assert!(output.status.success());
    let no_chat = project.run(SLUICEGATE, &["run", "chat", "-i", "--node", "turn"]);
    assert_eq!(no_chat.code, 2, "{}", no_chat.shown());
}

#[test]
fn a_class_is_made_with_what_is_given() {
    let project = Project::new().file("flex/flow.flex.yaml", FLEX).file("flex/chat.py", CLASS);
    let asked = ["pf", "flow", "test", "--flow", "flex", "--init", "times=2", "--inputs", "question=ha"];
    let ran = project.run(SLUICEGATE, &asked);
    assert_eq!((ran.code, ran.stdout.trim()), (0, "{\n  \"answer\": \"haha\"\n}"), "{}", ran.shown());
}
