//! Rows of all kinds and sizes through the real binary: from files, standard input and run files, to `output.jsonl`.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::json;
use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_testkit::project::{Project, Ran};

use crate::batch_project::{
    OFFLINE, ONE, asked, batch, check_outputs, echoes, offline, over_rows, project, report, resume, text_of,
};
use crate::fixture::SLUICEGATE;

#[test]
fn every_plane_of_unicode_comes_through() {
    // Of each plane its first and last characters and some between; controls, separators, a byte order mark.
    let planes = (0..=16_u32)
        .flat_map(|plane| [0x41, 0x3b1, 0x2028, 0xd7ff, 0xf600, 0xfeff, 0xfffd].map(|low| plane << 16 | low));
    let letters: Vec<char> = planes.filter_map(char::from_u32).chain(['\0', '\u{7f}', '\u{85}', '"', '\\']).collect();
    let mut data: String = letters.iter().map(|letter| format!("{}\n", json!({ "q": letter.to_string() }))).collect();
    // The same escaped, as other programs write it.
    let escaped = |letter: char| -> String {
        letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
    };
    letters.iter().for_each(|letter| data += &format!("{{\"q\": \"{}\"}}\n", escaped(*letter)));
    let project = offline(data);
    let ran = over_rows(&project, &[]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let count = letters.len();
    check_outputs(&project, 0..2 * count, |line| letters[line % count].to_string().repeat(2));

    let endpoint = Endpoint::start();
    echoes(&endpoint);
    let asking = crate::batch_project::project(&endpoint, ONE, 0, "");
    // A template takes off white space at a message's ends.
    let data = letters.iter().map(|letter| format!("{}\n", json!({ "q": format!("<{letter}>") })));
    asking.write("rows.jsonl", data.collect::<String>());
    let ran = batch(&asking, &[]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    check_outputs(&asking, 0..count, |line| format!("[<{}>]", letters[line]));
}

/// No text holds it: it is what other programs show for what they cannot read.
#[test]
fn half_of_a_surrogate_pair_is_a_replacement_character() {
    let project = offline("{\"q\": \"a\\ud83d\"}\n");
    assert_eq!(over_rows(&project, &[]).code, 0);
    check_outputs(&project, 0..1, |_| "a\u{fffd}a\u{fffd}".to_owned());
}

#[test]
fn a_row_of_fifty_megabytes_is_a_row() {
    let flow = OFFLINE.replace("expression: q ~ q", "expression: 'q[:3] ~ (q | length)'");
    let data = format!("{{\"q\": \"small\"}}\n{{\"q\": \"{}\"}}\n{{\"q\": \"last\"}}\n", "long".repeat(50 << 18));
    let project = offline(data).file("flow/flow.dag.yaml", flow);
    let ran = over_rows(&project, &[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    check_outputs(&project, 0..3, |line| ["sma5", "lon52428800", "las4"][line].to_owned());
}

#[test]
fn an_output_of_megabytes_comes_through() {
    let endpoint = Endpoint::start();
    let long = "a long story ".repeat(200_000);
    endpoint.reply_text(&long);
    let project = project(&endpoint, ONE, 3, "");
    let ran = batch(&project, &[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    check_outputs(&project, 0..3, |_| long.clone());
}

#[test]
fn only_rows_that_are_wanted_run_under_their_own_numbers() {
    let data: String = (0..20).map(|row| format!("{{\"q\": \"r{row}\", \"n\": {row}}}\n")).collect();
    let project = offline(data);
    let ran = over_rows(&project, &["--where", "n % 3 == 0", "--limit", "4", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert_eq!(report(&ran)["lines"]["total"], 4);
    check_outputs(&project, [0, 3, 6, 9], |row| format!("r{row}r{row}"));
    let unknown = over_rows(&project, &["--where", "m > 3"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("no row has a column `m`"), "{}", unknown.shown());
}

#[test]
fn a_list_of_objects_in_a_jsonl_file_is_recognised() {
    let project = offline("[\n  {\"q\": \"a\"},\n  {\"q\": \"b\"}\n]\n");
    assert_eq!(over_rows(&project, &[]).code, 0);
    check_outputs(&project, 0..2, |row| ["aa", "bb"][row].to_owned());
}

#[test]
fn bad_rows_are_told_with_their_places_before_anything_is_asked() {
    let endpoint = Endpoint::start();
    echoes(&endpoint);
    let project = project(&endpoint, ONE, 0, "");
    project.write("rows.jsonl", "{\"q\": \"row 0\"}\nno json\n{\"other\": 1}\n{\"q\": \"row 3\"}\n{\"q\": [1]}\n");
    let ran = batch(&project, &[]);
    assert_eq!((ran.code, endpoint.count()), (2, 0), "{}", ran.shown());
    for place in ["rows.jsonl:2", "rows.jsonl:3", "--on-bad-line fail-line"] {
        assert!(ran.stderr.contains(place), "expected `{place}` in {}", ran.stderr);
    }
    let ran = batch(&project, &["--on-bad-line", "fail-line", "--json"]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    let failures = report(&ran)["failures"].as_array().cloned().expect("failures");
    let lines: Vec<_> = failures.iter().map(|failure| failure["line_number"].clone()).collect();
    assert_eq!(lines[..2], [json!(1), json!(2)], "{}", ran.shown());
    assert!(!asked(&endpoint).contains_key(""), "rows that are no inputs ask nothing");
}

/// Runs with these bytes on standard input.
fn piped(project: &Project, words: &[&str], input: &str) -> Ran {
    let mut command = project.command(SLUICEGATE, words);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(input.as_bytes()).expect("written");
    drop(stdin);
    project.wait(child)
}

#[test]
fn rows_on_standard_input_are_there_for_a_resume_too() {
    let endpoint = Endpoint::start();
    endpoint.on(|request| match text_of(request).as_str() {
        "row 1" => Some(Answer::error(400, "bad", "No.")),
        text => Some(Answer::text(&format!("[{text}]"))),
    });
    let project = project(&endpoint, ONE, 0, "");
    let words = ["batch", "ask", "-e", "pr", "--data", "-", "--output", "out"];
    let ran = piped(&project, &words, &crate::batch_project::rows(4));
    assert_eq!(ran.code, 1, "{}", ran.shown());
    let kept = || -> Vec<std::path::PathBuf> {
        let runs = std::fs::read_dir(project.path().join(".sluicegate/runs")).expect("runs");
        let files = runs.map(|entry| entry.expect("an entry").path());
        files.filter(|file| file.extension().is_some_and(|ending| ending == "stdin")).collect()
    };
    #[cfg(unix)]
    for file in kept() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = file.metadata().expect("its facts").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "only its owner reads {file:?}");
    }
    assert_eq!(kept().len(), 1);
    echoes(&endpoint);
    let resumed = resume(&project, &["--failed"]);
    assert_eq!(resumed.code, 0, "{}", resumed.shown());
    check_outputs(&project, 0..4, |row| format!("[row {row}]"));
    assert_eq!(endpoint.count(), 5);
    assert_eq!(kept().len(), 0, "nobody needs them any longer");
    let over = resume(&project, &[]);
    assert!(over.code == 0 && over.stderr.contains("is finished"), "{}", over.shown());
    let nothing = piped(&project, &[&words[..6], &["--name", "none"]].concat(), "");
    assert!(nothing.code == 2 && nothing.stderr.contains("no rows"), "{}", nothing.shown());
}

#[test]
fn outputs_go_to_standard_output_if_asked() {
    let project = offline("{\"q\": \"a\"}\n{\"q\": \"b\"}\n");
    let ran = project.run(SLUICEGATE, &["batch", "flow", "--data", "rows.jsonl", "--output", "-"]);
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 2), "{}", ran.shown());
    assert_eq!(ran.stdout.lines().next(), Some("{\"line_number\":0,\"said\":\"aa\"}"));
}

const RUN_FILE: &str = "$schema: https://azuremlschemas.azureedge.net/promptflow/latest/Run.schema.json
name: by-file
flow: flow
data: texts.csv
column_mapping:
  q: ${data.text}
";

#[test]
fn a_run_file_of_prompt_flow_says_all() {
    let project =
        offline("").file("jobs/run.yaml", RUN_FILE.replace(": flow", ": ../flow").replace(": texts", ": ../texts"));
    project.write("texts.csv", "\u{feff}text,other\r\n\"a, b\",1\r\n\"two\nlines\",2\r\n");
    let ran = project.run(SLUICEGATE, &["batch", "--file", "jobs/run.yaml", "--output", "out"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    check_outputs(&project, 0..2, |row| ["a, ba, b", "two\nlinestwo\nlines"][row].to_owned());
    let listed = project.run(SLUICEGATE, &["runs", "show", "by-file", "--json"]);
    assert_eq!(listed.code, 0, "{}", listed.shown());
    // Flags count over it.
    let over = [
        "batch",
        "--file",
        "jobs/run.yaml",
        "--name",
        "over",
        "--force",
        "--column-mapping",
        "q=${data.other}",
        "--output",
        "out",
    ];
    let ran = project.run(SLUICEGATE, &over);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    check_outputs(&project, 0..2, |row| ["11", "22"][row].to_owned());
}

#[test]
fn pf_run_create_is_a_batch() {
    let project = offline("").file("run.yaml", RUN_FILE).file("texts.csv", "text\na\n");
    let ran = project.run(SLUICEGATE, &["pf", "run", "create", "--file", "run.yaml"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let words = [
        "pf",
        "run",
        "create",
        "--flow",
        "flow",
        "--data",
        "texts.csv",
        "--column-mapping",
        "q=${data.text}",
        "--name",
        "again",
        "--stream",
    ];
    let ran = project.run(SLUICEGATE, &words);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let joined = [
        "pf",
        "run",
        "create",
        "--flow",
        "flow",
        "--data",
        "texts.csv",
        "--run",
        "again",
        "--column-mapping",
        "q=${run.outputs.said}",
        "--name",
        "joined",
    ];
    let ran = project.run(SLUICEGATE, &joined);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let written = std::fs::read_to_string(project.path().join(".sluicegate/out/joined/output.jsonl")).expect("outputs");
    assert_eq!(written, "{\"line_number\":0,\"said\":\"aaaa\"}\n");
}
