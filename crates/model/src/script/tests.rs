use std::sync::Arc;
use std::time::Duration;

use sluicegate_value::{Map, Value, json};

use super::{Occasion, Outcome, Script};
use crate::{ChatReply, ChatRequest, Message, ModelError, Prompt};

fn script(document: &str) -> Script {
    Script::parse(&json::read(document).unwrap()).unwrap()
}

fn request(system: &str, user: &str) -> ChatRequest {
    ChatRequest {
        model: "gpt-test".into(),
        prompt: Prompt::Messages(vec![Message::text("system", system), Message::text("user", user)]),
        parameters: Map::new(),
        stream: false,
        called_from: "aoai-tool".into(),
    }
}

fn outcome(script: &Script, system: &str, user: &str, attempt: u32) -> Outcome {
    script.answer("local", &request(system, user), Occasion { attempt, ..Occasion::default() }).outcome
}

fn reply(script: &Script, system: &str, user: &str) -> ChatReply {
    match outcome(script, system, user, 1) {
        Outcome::Reply(reply) => *reply,
        other => panic!("no reply: {other:?}"),
    }
}

fn check_reply(document: &str, user: &str, expected: &str) {
    assert_eq!(reply(&script(document), "be brief", user).text.as_deref(), Some(expected));
}

fn check_problems(document: &str, expected: &[&str]) {
    let problems = Script::parse(&json::read(document).unwrap()).unwrap_err();
    assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
}

#[test]
fn the_first_match_answers() {
    let document = r#"{"replies": [
        {"when": {"system": "verbose", "user": "hi"}, "reply": "never"},
        {"when": {"user": "(?i)^HI"}, "reply": "hello"},
        {"when": {"user": "hi"}, "reply": "too late"}
    ]}"#;
    check_reply(document, "hi there", "hello");
}

#[test]
fn captures_fill_the_reply() {
    let document = r#"{"replies": [{"when": {"user": "(\\w+) costs (?<price>\\d+)( euro)?"},
        "reply": "$1: ${price} $$ ${3}(${model}) $x"}]}"#;
    check_reply(document, "bread costs 3", "bread: 3 $ (gpt-test) $x");
}

#[test]
fn all_matches_can_be_found() {
    let document = r#"{"replies": [{"when": {"user": "^add"}, "find": "\\d+", "reply": "<${found}>"}]}"#;
    check_reply(document, "add 1, 22 and 333", "<1, 22, 333>");
    check_reply(document, "add nothing", "<>");
    check_problems(r#"{"default": "${found}"}"#, &["default: `${found}` needs a `find` in the same entry"]);
}

#[test]
fn the_last_user_message_counts() {
    let mut request = request("s", "first");
    let Prompt::Messages(messages) = &mut request.prompt else { unreachable!() };
    messages.push(Message::text("assistant", "what?"));
    messages.push(Message::text("user", "second"));
    let script = script(r#"{"default": "${user}"}"#);
    let Outcome::Reply(reply) = script.answer("local", &request, Occasion::default()).outcome else { panic!() };
    assert_eq!(reply.text.as_deref(), Some("second"));
}

#[test]
fn a_structured_reply_is_json() {
    let document = r#"{"replies": [{"when": {"user": "(.*)"}, "reply": {"answer": "$1", "more": null}}]}"#;
    check_reply(document, "a \"quoted\" word", r#"{"answer":"a \"quoted\" word","more":null}"#);
}

#[test]
fn nothing_matches() {
    let script = script(r#"{"replies": [{"when": {"user": "^a$"}, "reply": "b"}]}"#);
    let Outcome::Failure(error) = outcome(&script, "sys", &"long ".repeat(100), 1) else { panic!() };
    let message = error.to_string();
    assert!(message.starts_with("the script of connection `local` has no reply for this request: model `gpt-test`"));
    assert!(message.len() < 400, "{message}");
}

#[test]
fn usage_is_taken_from_the_script_or_estimated() {
    let document = r#"{"replies": [
        {"when": {"user": "told"}, "reply": "x", "usage": {"input_tokens": 5, "output_tokens": 7}},
        {"reply": "12345"}
    ]}"#;
    let told = reply(&script(document), "s", "told");
    assert_eq!((told.usage.input_tokens, told.usage.output_tokens), (Some(5), Some(7)));
    assert_eq!(told.body.get("usage_is_estimated"), None);
    let estimated = reply(&script(document), "1234", "5678");
    assert_eq!((estimated.usage.input_tokens, estimated.usage.output_tokens), (Some(2), Some(2)));
    assert_eq!(estimated.body.get("usage_is_estimated"), Some(&Value::Bool(true)));
}

#[test]
fn tool_calls_look_as_the_api_spells_them() {
    let document = r#"{"replies": [{"when": {"user": "weather in (\\w+)"},
        "tool_calls": [{"name": "weather", "arguments": {"city": "$1", "days": 2}}]}]}"#;
    let reply = reply(&script(document), "s", "weather in Ghent");
    assert_eq!(reply.text, None);
    assert_eq!(reply.finish_reason.as_deref(), Some("tool_calls"));
    let call = &reply.message.get("tool_calls").unwrap().as_list().unwrap()[0];
    assert_eq!(call.get("function").unwrap().get("arguments"), Some(&Value::from(r#"{"city":"Ghent","days":2}"#)));
}

#[test]
fn the_first_attempts_fail_then_one_works() {
    let document = r#"{"replies": [{"reply": "ok", "faults": [{"times": 2, "status": 429, "retry_after": 1}]}]}"#;
    let script = script(document);
    for attempt in [1, 2] {
        let Outcome::Failure(error) = outcome(&script, "s", "u", attempt) else { panic!() };
        assert_eq!((error.code(), error.retry_after()), ("rate_limited", Some(Duration::from_secs(1))));
    }
    assert!(matches!(outcome(&script, "s", "u", 3), Outcome::Reply(_)));
}

#[test]
fn faults_fall_at_their_rate_and_the_same_each_time() {
    let script = script(r#"{"seed": 3, "default": "ok", "faults": [{"rate": 0.2, "reset": true}]}"#);
    let fails = |line: u64| {
        let occasion = Occasion { attempt: 1, line: Some(line), ..Occasion::default() };
        matches!(
            script.answer("local", &request("s", "u"), occasion).outcome,
            Outcome::Failure(ModelError::Unreachable { .. })
        )
    };
    let first: Vec<bool> = (0..1000).map(fails).collect();
    assert_eq!(first, (0..1000).map(fails).collect::<Vec<_>>());
    let count = first.iter().filter(|failed| **failed).count();
    assert!((150..250).contains(&count), "{count} of 1000");
}

#[test]
fn delays_are_inherited() {
    let script = script(
        r#"{"delay": "20ms", "chunk_delay": 0.5,
        "replies": [{"when": {"user": "slow"}, "reply": "x", "delay": "1.5s"}], "default": "y"}"#,
    );
    let delay = |user: &str| script.answer("local", &request("s", user), Occasion::default()).delay;
    assert_eq!((delay("slow"), delay("other")), (Duration::from_millis(1500), Duration::from_millis(20)));
}

#[test]
fn a_completion_is_answered_by_its_text() {
    let script = script(r#"{"replies": [{"when": {"user": "Text: (.*)"}, "reply": "$1"}]}"#);
    let request = ChatRequest { prompt: Prompt::Text("Text: hello".into()), ..request("", "") };
    let Outcome::Reply(reply) = script.answer("local", &request, Occasion::default()).outcome else { panic!() };
    assert_eq!(reply.text, Some(Arc::from("hello")));
    assert_eq!(reply.body.get("choices").unwrap().as_list().unwrap()[0].get("text"), Some(&Value::from("hello")));
}

#[test]
fn every_problem_is_told_with_its_place() {
    check_problems(
        r#"{"sed": 1, "delay": "soon", "replies": [
            {"when": {"usr": "x", "user": "(", "system": 3}, "reply": "x"},
            {"when": {"user": "(a)"}, "reply": "$2"},
            {"reply": "${nobody}"}, {"reply": "$1"}, {},
            {"reply": "x", "faults": [{"rate": 2, "status": 429}, {"rate": 0.5}, {"status": 200}]}
        ]}"#,
        &[
            "sed: `sed` is not known here",
            "delay: must be a duration such as `200ms`, `1.5s`, `2m`, or seconds",
            "replies[0].when.usr: `usr` is not known here",
            "replies[0].when.user: is not a regular expression: unclosed group",
            "replies[0].when.system: must be text",
            "replies[1].reply: `$2` is not there: `when.user` has 1 captures (write `$$` for a dollar)",
            "replies[2].reply: `${nobody}` is neither a capture of `when.user` nor `model`, `user` or `system`",
            "replies[3].reply: `$1` needs a `when.user` to capture it (write `$$` for a dollar)",
            "replies[4]: says nothing",
            "replies[5].faults[0].rate: must be a number from 0 to 1",
            "replies[5].faults[1]: a fault needs exactly one of `status`, `reset: true` and `hang: true`",
            "replies[5].faults[2].status: must be a status from 400 to 599",
        ],
    );
    check_problems("[]", &["a script must be a map"]);
    check_problems("{}", &["has neither `replies` nor a `default`"]);
}
