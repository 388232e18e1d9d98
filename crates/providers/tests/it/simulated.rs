//! The simulated provider, through the same layers as the others.

use std::path::{Path, PathBuf};

use sluicegate_config::{Connection, ConnectionKind, Retry};
use sluicegate_model::{ChatRequest, Message, Models as _, Prompt};
use sluicegate_providers::read_script;
use sluicegate_source::SourceFile;
use sluicegate_value::{Value, json};

use crate::{call, connection, model, models, request};

fn script(folder: &Path, text: &str) -> ConnectionKind {
    let path = folder.join("script.yaml");
    std::fs::write(&path, text).unwrap();
    ConnectionKind::Simulated { script: path }
}

#[tokio::test]
async fn it_answers_retries_and_streams() {
    let folder = tempfile::tempdir().unwrap();
    let kind = script(
        folder.path(),
        "replies:\n  - when: { user: '(?i)hello' }\n    reply: Good day to you\n    faults: [{ times: 1, status: 500 }]\n",
    );
    let model = model(connection(kind));
    let outcome = call(&*model, &ChatRequest { stream: true, ..request() }).await;
    assert_eq!(
        outcome.told,
        [
            "attempt 1",
            "attempt 1 failed: server_failed, again",
            "attempt 2",
            "first chunk",
            r#"chunk "Good ""#,
            r#"chunk "day ""#,
            r#"chunk "to ""#,
            r#"chunk "you""#,
        ]
    );
    assert_eq!(outcome.result.unwrap().text.as_deref(), Some("Good day to you"));
    assert_eq!((&*model.about().provider, model.about().port), ("simulated", 0));
}

#[tokio::test]
async fn what_no_reply_fits_is_unscripted() {
    let folder = tempfile::tempdir().unwrap();
    let kind = script(folder.path(), "replies: [{ when: { user: '^no$' }, reply: x }]");
    let outcome = call(&*model(connection(kind)), &request()).await;
    assert_eq!(
        outcome.error().to_string(),
        "the script of connection `c` has no reply for this request: model `gpt-test`, system `Be brief.`, user `Hello?`"
    );
    assert_eq!(outcome.told.len(), 2);
}

/// What the only fault of a script comes to at a connection.
async fn check_fault(fault: &str, expected: &str, code: &str) {
    let folder = tempfile::tempdir().unwrap();
    let kind = script(folder.path(), &format!("default: ok\nfaults: [{fault}]\n"));
    let connection = Connection { retry: Retry { max_attempts: 1, ..Retry::default() }, ..connection(kind) };
    let outcome = call(&*model(connection), &request()).await;
    assert_eq!((outcome.error().to_string().as_str(), outcome.error().code()), (expected, code));
}

#[tokio::test]
async fn a_fault_is_the_error_that_a_real_endpoint_would_cause() {
    check_fault("{ status: 401 }", "connection `c` refused the key (401): the script says so", "key_refused").await;
    check_fault(
        "{ status: 403, retry_after_ms: 250 }",
        "rate limited, retry after 250 ms: the script says so",
        "rate_limited",
    )
    .await;
    check_fault("{ status: 503, message: busy }", "the endpoint failed (503): busy", "server_failed").await;
    check_fault(
        "{ status: 400, code: context_length_exceeded, message: 10 of 5 }",
        "the request is too long: 10 of 5",
        "too_long",
    )
    .await;
    check_fault("{ status: 529, message: overloaded }", "rate limited: overloaded", "rate_limited").await;
}

#[test]
fn problems_of_a_script_have_places() {
    let text = "delay: soon\nreplies:\n  - when: { usr: x }\n    reply: $1\n";
    let problems = read_script(&SourceFile::new("s.yaml", text)).unwrap_err();
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "s.yaml:1:8: delay: must be a duration such as `200ms`, `1.5s`, `2m`, or seconds",
            "s.yaml:3:13: replies[0].when.usr: `usr` is not known here",
            "s.yaml:4:12: replies[0].reply: `$1` needs a `when.user` to capture it (write `$$` for a dollar)",
        ]
    );
    let folder = tempfile::tempdir().unwrap();
    let error = models(connection(script(folder.path(), text))).chat(&"c".into()).err().expect("a failure");
    assert!(error.to_string().ends_with("(and 2 more)"), "{error}");
    let gone = ConnectionKind::Simulated { script: folder.path().join("gone.yaml") };
    let error = models(connection(gone)).chat(&"c".into()).err().expect("a failure");
    assert_eq!(error.code(), "misconfigured");
}

/// What the sample flow does with a reply: one entity per comma, blanks and full stops trimmed.
fn entities(reply: &str) -> Vec<Value> {
    reply
        .split(',')
        .map(|entity| entity.trim_matches([' ', '\t', '\n', '"', '.']))
        .filter(|entity| !entity.is_empty())
        .map(Value::from)
        .collect()
}

#[tokio::test]
async fn the_sample_s_script_finds_what_the_sample_s_data_expect() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let script = ConnectionKind::Simulated { script: root.join("config/simulated/entity_extraction.yaml") };
    let model = model(connection(script));
    let ask = async |entity_type: &str, text: &str| {
        let user = format!("Entity type: {entity_type}\nText: {text}\nEntities:");
        let system = "You extract entities of one type from a text.";
        let messages = vec![Message::text("system", system), Message::text("user", user)];
        let request = ChatRequest { prompt: Prompt::Messages(messages), ..request() };
        call(&*model, &request).await.result.unwrap().text.unwrap().to_string()
    };
    let first = ask("job title", "The software engineer is working on a new update for the application.").await;
    assert_eq!(first, "software engineer");
    let rows = std::fs::read_to_string(root.join("data/entity_extraction.jsonl")).unwrap();
    for line in rows.lines() {
        let row = json::read(line).unwrap();
        let field = |name: &str| row.get(name).unwrap().as_str().unwrap().to_owned();
        let reply = ask(&field("entity_type"), &field("text")).await;
        assert_eq!(entities(&reply), row.get("expected").unwrap().as_list().unwrap(), "{line}");
    }
    assert_eq!(rows.lines().count(), 12);
    // Texts that nobody has seen before.
    assert_eq!(entities(&ask("email address", "Write to a.b@c.org today").await), [Value::from("a.b@c.org")]);
    assert_eq!(entities(&ask("date", "It ends on 3 March 2031.").await), [Value::from("3 March 2031")]);
    assert_eq!(entities(&ask("job title", "Nobody works here.").await), Vec::<Value>::new());
}
