use std::sync::Arc;
use std::time::Duration;

use sluicegate_value::{Map, Value, json};

use super::{Asked, Failure, Occasion, Outcome, Script, Turn};
use crate::{ChatReply, ChatRequest, EmbeddingInput, EmbeddingRequest, FilterState, Message, Prompt};

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
        api: None,
    }
}

fn turn(script: &Script, request: &ChatRequest, attempt: u32) -> Turn {
    script.answer(&Asked::from(request), Occasion { attempt, ..Occasion::default() })
}

/// What a connection makes of an attempt.
fn result(script: &Script, request: &ChatRequest, attempt: u32) -> Result<ChatReply, Outcome> {
    turn(script, request, attempt).outcome.into_reply().map(|reply| reply.into_chat_reply(request))
}

fn reply(script: &Script, system: &str, user: &str) -> ChatReply {
    result(script, &request(system, user), 1).unwrap()
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
    let reply = result(&script, &request, 1).unwrap();
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
    let Err(Outcome::Unscripted(message)) = result(&script, &request("sys", &"long ".repeat(100)), 1) else { panic!() };
    assert!(message.starts_with("model `gpt-test`"), "{message}");
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
        let failure = failure(&script, attempt);
        assert_eq!((failure.status, failure.retry_after), (429, Some(Duration::from_secs(1))));
    }
    assert!(result(&script, &request("s", "u"), 3).is_ok());
    assert!(script.counts_attempts());
}

#[test]
fn faults_fall_at_their_rate_and_the_same_each_time() {
    let script = script(r#"{"seed": 3, "default": "ok", "faults": [{"rate": 0.2, "reset": true}]}"#);
    let fails = |line: u64| {
        let occasion = Occasion { attempt: 1, line: Some(line), ..Occasion::default() };
        script.answer(&Asked::from(&request("s", "u")), occasion).outcome == Outcome::Reset
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
    let delay = |user: &str| turn(&script, &request("s", user), 1).delay;
    assert_eq!((delay("slow"), delay("other")), (Duration::from_millis(1500), Duration::from_millis(20)));
}

#[test]
fn a_completion_is_answered_by_its_text() {
    let script = script(r#"{"replies": [{"when": {"user": "Text: (.*)"}, "reply": "$1"}]}"#);
    let request = ChatRequest { prompt: Prompt::Text("Text: hello".into()), ..request("", "") };
    let reply = result(&script, &request, 1).unwrap();
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
            "replies[2].reply: `${nobody}` is neither a capture of `when.user` nor `model`, `user`, `system` or `tool`",
            "replies[3].reply: `$1` needs a `when.user` to capture it (write `$$` for a dollar)",
            "replies[4]: says nothing",
            "replies[5].faults[0].rate: must be a number from 0 to 1",
            "replies[5].faults[1]: a fault needs exactly one of `status`, `reset: true`, \
             `hang: true` and `cut_after`, or a `delay`",
            "replies[5].faults[2].status: must be a status from 400 to 599",
        ],
    );
    check_problems("[]", &["a script must be a map"]);
    check_problems("{}", &["has neither `replies` nor a `default`"]);
}

/// What an attempt fails with.
fn failure(script: &Script, attempt: u32) -> Failure {
    match result(script, &request("s", "u"), attempt) {
        Err(Outcome::Failure(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

/// What the only fault of a script says.
fn check_fault(fault: &str, status: u16, message: &str) {
    let script = script(&format!(r#"{{"default": "ok", "faults": [{fault}]}}"#));
    let failure = failure(&script, 1);
    assert_eq!((failure.status, &*failure.message), (status, message));
}

#[test]
fn a_fault_says_what_its_kind_of_error_says() {
    check_fault(r#"{"status": 401}"#, 401, "the script says so");
    check_fault(r#"{"status": 503, "message": "busy"}"#, 503, "busy");
    check_fault(
        r#"{"status": 400, "code": "unsupported_parameter", "parameter": "max_tokens"}"#,
        400,
        "Unsupported parameter: 'max_tokens' is not supported with this model.",
    );
}

#[test]
fn a_fault_strikes_those_requests_that_it_is_for() {
    let script = script(
        r#"{"default": "ok", "faults": [
            {"when": {"parameter": "temperature", "not": 1}, "status": 400, "parameter": "temperature"},
            {"when": {"parameter": "reasoning.effort", "value": "high"}, "status": 400, "parameter": "reasoning"}
        ]}"#,
    );
    let refused = |parameters: &str| {
        let parameters = json::read(parameters).unwrap().as_map().unwrap().clone();
        match result(&script, &ChatRequest { parameters, ..request("s", "u") }, 1) {
            Err(Outcome::Failure(failure)) => failure.parameter,
            _ => None,
        }
    };
    assert_eq!(refused("{}"), None);
    assert_eq!(refused(r#"{"temperature": null}"#), None);
    assert_eq!(refused(r#"{"temperature": 1.0}"#), None);
    assert_eq!(refused(r#"{"temperature": 0}"#).as_deref(), Some("temperature"));
    assert_eq!(refused(r#"{"reasoning": {"effort": "low"}}"#), None);
    assert_eq!(refused(r#"{"reasoning": {"effort": "high"}}"#).as_deref(), Some("reasoning"));
    assert!(!script.counts_attempts());
}

#[test]
fn what_is_filtered_is_a_result() {
    let filtered = |filter: &str| {
        let document = format!(r#"{{"replies": [{{"reply": "half a", "filter": {filter}}}]}}"#);
        let reply = reply(&script(&document), "s", "u");
        let filter = reply.filter.unwrap();
        (filter.state, filter.to_string(), reply.text, reply.finish_reason.unwrap())
    };
    let (state, said, text, ends) =
        filtered(r#"{"input": {"hate": "high", "jailbreak": true}, "message": "change the prompt"}"#);
    assert_eq!((state, text.as_deref(), &*ends), (FilterState::Input, None, "content_filter"));
    assert_eq!(said, "the request was stopped by a content filter (hate: high, jailbreak): change the prompt");
    let (state, _, text, ends) = filtered(r#"{"output": {"violence": "medium"}}"#);
    assert_eq!((state, text.as_deref(), &*ends), (FilterState::Output, Some("half a"), "content_filter"));
    let (state, _, text, ends) = filtered(r#"{"unchecked": true}"#);
    assert_eq!((state, text.as_deref(), &*ends), (FilterState::Unchecked, Some("half a"), "stop"));
    let (state, said, ..) = filtered(r#"{"note": {"profanity": true}}"#);
    assert_eq!(state, FilterState::Noted);
    assert_eq!(said, "a content filter found something and let it pass (profanity)");
}

#[test]
fn a_refusal_is_no_text() {
    let document = r#"{"replies": [{"when": {"user": "how to (.*)"}, "refusal": "I will not tell how to $1."}]}"#;
    let reply = reply(&script(document), "s", "how to pick locks");
    assert_eq!((reply.text.as_deref(), reply.refusal.as_deref()), (None, Some("I will not tell how to pick locks.")));
    assert_eq!(reply.message.get("refusal"), Some(&Value::from("I will not tell how to pick locks.")));
}

#[test]
fn a_tool_that_has_answered_is_heard_of() {
    let script = script(
        r#"{"replies": [
            {"when": {"tool": "sunny"}, "reply": "Take no umbrella: ${tool}"},
            {"when": {"user": "weather"}, "tool_calls": [{"name": "weather"}]}
        ]}"#,
    );
    let mut request = request("s", "what weather?");
    assert_eq!(result(&script, &request, 1).unwrap().finish_reason.as_deref(), Some("tool_calls"));
    let Prompt::Messages(messages) = &mut request.prompt else { unreachable!() };
    messages.push(Message::text("tool", "sunny"));
    assert_eq!(result(&script, &request, 1).unwrap().text.as_deref(), Some("Take no umbrella: sunny"));
    let Prompt::Messages(messages) = &mut request.prompt else { unreachable!() };
    messages.push(Message::text("user", "and what weather tomorrow?"));
    assert_eq!(result(&script, &request, 1).unwrap().finish_reason.as_deref(), Some("tool_calls"));
}

#[test]
fn reasoning_and_cached_tokens_are_told() {
    let document = r#"{"replies": [{"reply": "", "finish_reason": "length", "usage":
        {"input_tokens": 9, "cached_input_tokens": 4, "output_tokens": 20, "reasoning_tokens": 20}}]}"#;
    let reply = reply(&script(document), "s", "u");
    assert_eq!((reply.usage.cached_input_tokens, reply.usage.reasoning_tokens), (Some(4), Some(20)));
    assert_eq!(
        reply.body.get("usage").unwrap().to_json(),
        r#"{"prompt_tokens":9,"completion_tokens":20,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":20}}"#
    );
}

#[test]
fn models_that_are_not_named_are_not_there() {
    let script = script(r#"{"default": "ok", "models": ["gpt-other"]}"#);
    let failure = failure(&script, 1);
    assert_eq!((failure.status, &*failure.message), (404, "the script has no model or deployment `gpt-test`"));
}

#[test]
fn streams_can_be_cut_and_replies_late() {
    let script = script(
        r#"{"delay": 1, "default": "ok", "faults": [
            {"when": {"user": "cut"}, "cut_after": 2}, {"when": {"user": "late"}, "delay": "3s"}
        ]}"#,
    );
    let cut = turn(&script, &request("s", "cut"), 1);
    assert_eq!((cut.cut_after, cut.delay.as_secs()), (Some(2), 1));
    let late = turn(&script, &request("s", "late"), 1);
    assert!(matches!(late.outcome, Outcome::Reply(_)));
    assert_eq!((late.cut_after, late.delay.as_secs()), (None, 3));
}

#[test]
fn a_text_has_its_vector() {
    let script = script(r#"{"embeddings": {"dimensions": 8}, "faults": [{"when": {"user": "bad"}, "status": 500}]}"#);
    let embedded = |texts: &[&str], dimensions: Option<u64>| {
        let input = EmbeddingInput::Many(texts.iter().map(|text| Arc::from(*text)).collect());
        let request = EmbeddingRequest { model: "embed".into(), input, parameters: Map::new(), called_from: "".into() };
        let turn = script.embed(&Asked::from(&request), request.input.texts(), dimensions, Occasion::default());
        turn.outcome.into_reply().map(|vectors| vectors.into_embedding_reply(&request.model))
    };
    let reply = embedded(&["a text", "another one", "a text"], None).unwrap();
    assert_eq!((reply.vectors.len(), reply.vectors[0].len()), (3, 8));
    assert_eq!(reply.vectors[0], reply.vectors[2]);
    assert_eq!(reply.usage.input_tokens, Some(2 + 3 + 2));
    assert_eq!(embedded(&["a text"], Some(3)).unwrap().vectors[0].len(), 3);
    assert!(matches!(embedded(&["bad text"], None), Err(Outcome::Failure(failure)) if failure.status == 500));
}

#[test]
fn an_endpoint_finds_its_limits_and_its_key() {
    let script = script(
        r#"{"default": "ok", "limits": {"requests_per_minute": 60, "tokens_per_minute": 1000, "burst": "10s"},
            "api_key": "very secret"}"#,
    );
    let limits = script.limits();
    assert_eq!((limits.requests_per_minute, limits.tokens_per_minute), (Some(60), Some(1000)));
    assert_eq!(limits.burst, Duration::from_secs(10));
    assert!(script.api_key().unwrap().is(b"very secret"));
    assert!(!format!("{script:?}").contains("very secret"));
}

#[test]
fn every_problem_of_the_newer_keys_is_told() {
    check_problems(
        r#"{"models": "one", "limits": {"requests_per_minute": 0, "burst": 0}, "api_key": "",
            "embeddings": {"dimensions": 0}, "replies": [
            {"reply": "x", "refusal": "y"},
            {"filter": {"input": {"hate": "very"}}}, {"filter": {}}, {"filter": {"input": {"hate": true}, "unchecked": true}},
            {"reply": "x", "when": {"value": 1}},
            {"reply": "x", "faults": [{"cut_after": -1}, {"status": 500, "delay": "soon"}, {"when": {"user": "x"}}]}
        ]}"#,
        &[
            "replies[0]: has a `reply` and a `refusal`, and a model says only one of them",
            "replies[1].filter.input.hate: must be `low`, `medium`, `high`, or `true` where it has no severity",
            "replies[2].filter: needs exactly one of `input`, `output`, `note` and `unchecked: true`",
            "replies[3].filter: needs exactly one of `input`, `output`, `note` and `unchecked: true`",
            "replies[4].when: `value` says nothing without `parameter`",
            "replies[5].faults[0].cut_after: must be a whole number, not negative",
            "replies[5].faults[1].delay: must be a duration such as `200ms`, `1.5s`, `2m`, or seconds",
            "replies[5].faults[2]: a fault needs exactly one of `status`, `reset: true`, `hang: true` and \
             `cut_after`, or a `delay`",
            "embeddings.dimensions: must be a whole number above 0",
            "models: `models` must be a list",
            "limits.burst: must be longer than nothing",
            "limits.requests_per_minute: must be a whole number above 0",
            "api_key: must not be empty",
        ],
    );
}
