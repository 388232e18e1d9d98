//! Replies that are not what was asked for: stopped by a content filter, refused, cut off.

use sluicegate_events::{CallEnd, EventKind, RunStatus};
use sluicegate_executor::RunReport;
use sluicegate_model::{ChatReply, Filter, FilterFinding, FilterState, Shortfall, Usage};
use sluicegate_value::Value;

use crate::flows::{ASK, ASK_TEMPLATE, PROMPTY};
use crate::support::*;

fn filter(state: FilterState) -> Filter {
    let finding = |category: &str, severity: Option<&str>, stopped| FilterFinding {
        category: category.into(),
        severity: severity.map(Into::into),
        in_reply: state == FilterState::Output,
        stopped,
    };
    let findings = match state {
        FilterState::Unchecked => Vec::new(),
        FilterState::Noted => vec![finding("profanity", None, false)],
        _ => vec![finding("hate", Some("high"), true), finding("jailbreak", None, false)],
    };
    Filter { state, findings, message: Some("policy".into()) }
}

/// A reply as an endpoint gives it in this state.
fn filtered(state: FilterState) -> ChatReply {
    let reason = match state {
        FilterState::Input | FilterState::Output => "content_filter",
        _ => "stop",
    };
    let reply =
        ChatReply { filter: Some(filter(state)), finish_reason: Some(reason.into()), ..ChatReply::of_text("so") };
    match state {
        FilterState::Input => ChatReply { text: None, message: Value::Null, ..reply },
        _ => reply,
    }
}

fn summary_of(report: &RunReport) -> (Option<Filter>, Option<Shortfall>) {
    let node = &report.summary.nodes[0];
    (node.filter.clone(), node.shortfall.clone())
}

/// Asks with this `on_filtered`, and expects the answer or the failure's message.
async fn check_filter(state: FilterState, on_filtered: &str, expected: Result<&str, &str>) {
    let word = if on_filtered.is_empty() { String::new() } else { format!("  on_filtered: {on_filtered}\n") };
    let yaml =
        format!("{ASK}  retry: {{max_attempts: 3, initial: 1s}}\n{word}").replace("type: string", "type: object");
    let model = FakeModel::new(move |_, _| Answer::reply(filtered(state)));
    let (report, events) = run(&plan(&[("flow.dag.yaml", &yaml), ASK_TEMPLATE]), &model, r#"{"q": {}}"#).await;
    let note = format!("{state:?} and `{on_filtered}`: {}", in_short(&events));
    assert_eq!(model.heard().len(), 1, "never asked again: {note}");
    assert!(note.contains("?ask !ask -ask"), "the call itself has not failed: {note}");
    match (&report.failure, expected) {
        (None, Ok(expected)) => assert_eq!(outputs(&report), format!(r#"{{"answer":{expected}}}"#), "{note}"),
        (Some(failure), Err(expected)) => {
            assert_eq!((failure.code.as_str(), failure.message.as_str()), ("filtered", expected), "{note}");
            let told = failure.details.get("filter").unwrap();
            assert_eq!(told.get("state").and_then(Value::as_str), Some(state.word()), "{note}");
            assert_eq!(told.get("findings").and_then(Value::as_list).map(<[_]>::len), Some(2), "{note}");
            assert!(failure.hint.as_ref().unwrap().contains("`on_filtered: report`"), "{note}");
        }
        (failure, _) => panic!("{failure:?} {note}"),
    }
    let is_shortfall = state != FilterState::Noted;
    let shortfall = is_shortfall.then(|| Shortfall::Filtered(filter(state)));
    assert_eq!(summary_of(&report), (Some(filter(state)), shortfall), "{note}");
    let kept = events.iter().find_map(|event| match &event.kind {
        EventKind::ModelCallFinished { end: CallEnd::Replied { reply }, .. } => reply.filter.clone(),
        _ => None,
    });
    assert_eq!(kept, Some(filter(state)), "{note}");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_request_fails_the_node_or_is_reported() {
    let words = "the request was stopped by a content filter (hate: high, jailbreak): policy";
    check_filter(FilterState::Input, "", Err(words)).await;
    check_filter(FilterState::Input, "fail", Err(words)).await;
    let report = r#"{"filtered":{"state":"input","findings":[{"category":"hate","severity":"high","in_reply":false,"stopped":true},{"category":"jailbreak","severity":null,"in_reply":false,"stopped":false}],"message":"policy"},"text":null}"#;
    check_filter(FilterState::Input, "report", Ok(report)).await;
}

#[tokio::test(start_paused = true)]
async fn a_stopped_reply_goes_as_far_as_it_came_or_fails_the_node_or_is_reported() {
    check_filter(FilterState::Output, "", Ok(r#""so""#)).await;
    let words = "the reply was stopped by a content filter (hate: high, jailbreak): policy";
    check_filter(FilterState::Output, "fail", Err(words)).await;
    let report = r#"{"filtered":{"state":"output","findings":[{"category":"hate","severity":"high","in_reply":true,"stopped":true},{"category":"jailbreak","severity":null,"in_reply":true,"stopped":false}],"message":"policy"},"text":"so"}"#;
    check_filter(FilterState::Output, "report", Ok(report)).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_filter_let_pass_or_did_not_look_at_is_an_output() {
    for state in [FilterState::Unchecked, FilterState::Noted] {
        for on_filtered in ["", "fail", "report"] {
            check_filter(state, on_filtered, Ok(r#""so""#)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_stopped_inside_of_a_node_is_not_tried_again() {
    let outer = r#"
inputs: {q: {type: string}}
outputs: {r: {type: object, reference: "${outer.output}"}}
nodes:
- {name: outer, type: flow, source: {type: code, path: inner/flow.dag.yaml}, inputs: {q: "${inputs.q}"}, retry: {max_attempts: 3}}
"#;
    let model = FakeModel::new(|_, _| Answer::reply(filtered(FilterState::Input)));
    let files = [("flow.dag.yaml", outer), ("inner/flow.dag.yaml", ASK), ("inner/ask.jinja2", ASK_TEMPLATE.1)];
    let (report, _) = run(&plan(&files), &model, r#"{"q": "x"}"#).await;
    let failure = report.failure.unwrap();
    assert_eq!((failure.code.as_str(), model.heard().len()), ("filtered", 1));
    assert!(failure.details.get("filter").is_some() && failure.hint.is_some());
}

async fn ask_prompty(reply: ChatReply, prompty: &str) -> (RunReport, usize) {
    let yaml = r#"
inputs: {q: {type: string}}
outputs: {r: {type: object, reference: "${ask.output}"}}
nodes:
- {name: ask, type: prompty, source: {type: code, path: p.prompty}, inputs: {q: "${inputs.q}"}, retry: {max_attempts: 2, initial: 1s}}
"#;
    let plan = plan(&[("flow.dag.yaml", yaml), ("p.prompty", prompty)]);
    let model = FakeModel::new(move |_, _| Answer::reply(reply.clone()));
    let (report, _) = run(&plan, &model, r#"{"q": "sky?"}"#).await;
    (report, model.heard().len())
}

/// Asks a prompty that wants JSON, and expects this failure after so many calls.
async fn check_json(reply: ChatReply, code: &str, message: &str, calls: usize) {
    let (report, asked) = ask_prompty(reply, PROMPTY).await;
    let failure = report.failure.unwrap();
    assert_eq!((failure.code.as_str(), failure.message.as_str()), (code, message));
    assert_eq!(asked, calls);
    assert!(failure.hint.is_some());
}

fn cut(text: &str, usage: Usage) -> ChatReply {
    ChatReply { finish_reason: Some("length".into()), usage, ..ChatReply::of_text(text) }
}

#[tokio::test(start_paused = true)]
async fn json_that_is_not_whole_is_told_by_what_cut_it() {
    let half = ChatReply { text: Some(r#"{"colour": "bl"#.into()), ..filtered(FilterState::Output) };
    let words = "the reply was stopped by a content filter (hate: high, jailbreak): policy";
    check_json(half, "filtered", words, 1).await;
    let nothing = ChatReply { text: None, ..filtered(FilterState::Output) };
    check_json(nothing, "filtered", words, 1).await;
    let used = Usage { output_tokens: Some(64), ..Usage::default() };
    let words = "the answer was asked for as JSON, and was cut off at its most tokens, after 64 of them";
    check_json(cut(r#"{"colour": "bl"#, used), "cut_off", words, 2).await;
    let used = Usage { reasoning_tokens: Some(64), ..used };
    let words = "all that the reply might have went into reasoning (64 tokens)";
    check_json(cut("", used), "cut_off", words, 2).await;
    let refused = ChatReply { text: None, refusal: Some("I will not".into()), ..ChatReply::of_text("") };
    check_json(refused, "refused", "the model refused to answer: I will not", 1).await;
    check_json(
        ChatReply::of_text("blue"),
        "malformed_output",
        &ask_prompty(ChatReply::of_text("blue"), PROMPTY).await.0.failure.unwrap().message,
        2,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn json_that_is_whole_is_taken_whatever_ended_it() {
    for reply in [
        ChatReply { text: Some(r#"{"colour": "blue"}"#.into()), ..filtered(FilterState::Output) },
        ChatReply { text: Some(r#"{"colour": "blue"}"#.into()), ..filtered(FilterState::Unchecked) },
        cut(r#"{"colour": "blue"}"#, Usage::default()),
    ] {
        assert_eq!(outputs(&ask_prompty(reply, PROMPTY).await.0), r#"{"r":{"colour":"blue"}}"#);
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_that_is_cut_off_or_refused_is_an_output_with_a_note() {
    let plan = plan(&[("flow.dag.yaml", ASK), ASK_TEMPLATE]);
    let check = async |reply: ChatReply, answer: &str, shortfall: Shortfall| {
        let model = FakeModel::new(move |_, _| Answer::reply(reply.clone()));
        let (report, _) = run(&plan, &model, r#"{"q": "x"}"#).await;
        assert_eq!(outputs(&report), format!(r#"{{"answer":{answer}}}"#));
        assert_eq!(summary_of(&report), (None, Some(shortfall)));
    };
    check(cut("half a w", Usage::default()), r#""half a w""#, Shortfall::CutOff).await;
    let reasoned = Usage { output_tokens: Some(9), reasoning_tokens: Some(9), ..Usage::default() };
    check(cut("", reasoned), r#""""#, Shortfall::OnlyReasoning { tokens: Some(9) }).await;
    let refused = ChatReply { text: None, refusal: Some("no".into()), ..ChatReply::of_text("") };
    check(refused, "null", Shortfall::Refused("no".into())).await;
}

#[tokio::test(start_paused = true)]
async fn an_llm_node_that_asks_for_json_does_not_go_on_with_half_of_it() {
    let yaml = ASK.replace("deployment_name: m,", "deployment_name: m, response_format: {type: json_object},");
    assert_ne!(yaml, ASK, "the node asks for JSON");
    let plan = plan(&[("flow.dag.yaml", &yaml), ASK_TEMPLATE]);
    let answered = async |reply: ChatReply| {
        let model = FakeModel::new(move |_, _| Answer::reply(reply.clone()));
        run(&plan, &model, r#"{"q": "x"}"#).await.0
    };
    let code = |report: RunReport| report.failure.map(|failure| failure.code);
    assert_eq!(code(answered(cut(r#"{"a": "#, Usage::default())).await).as_deref(), Some("cut_off"));
    let refused = ChatReply { text: None, refusal: Some("no".into()), ..ChatReply::of_text("") };
    assert_eq!(code(answered(refused).await).as_deref(), Some("refused"));
    // What is whole is whole, whatever ended it.
    assert_eq!(code(answered(cut(r#"{"a": 1}"#, Usage::default())).await), None);
}

#[tokio::test(start_paused = true)]
async fn reasoning_is_paid_for_once() {
    // The price is of model `m`: one dollar for a million tokens in, two for a million out, reasoning among them.
    let usage =
        Usage { input_tokens: Some(100), output_tokens: Some(50), reasoning_tokens: Some(40), ..Usage::default() };
    let model = FakeModel::new(move |_, _| Answer::reply(ChatReply { usage, ..ChatReply::of_text("x") }));
    let (report, events) = run(&plan(&[("flow.dag.yaml", ASK), ASK_TEMPLATE]), &model, r#"{"q": "x"}"#).await;
    assert_eq!((report.status, report.summary.cost()), (RunStatus::Completed, Some(200e-6)));
    assert_eq!((report.summary.usage(), report.summary.usage().total()), (usage, Some(150)));
    let Some(EventKind::RunFinished { usage: told, cost, .. }) = events.last().map(|event| &event.kind) else {
        panic!()
    };
    assert_eq!((*told, *cost), (usage, Some(200e-6)));
}
