//! Calls that are no conversation: vectors and HTTP. And calls whose parameters had to change.

use std::sync::Arc;

use sluicegate_events::{CallEnd, Event, EventKind, FetchEnd, Operation, RunStatus};
use sluicegate_executor::{Engine, RunReport, Start};
use sluicegate_flow::bind::BoundPlan;
use sluicegate_model::{Adaptation, CallNotice, ChatApi, FetchReply, FetchRequest, ModelError};
use sluicegate_value::Value;

use crate::flows::{ASK, ASK_TEMPLATE};
use crate::support::*;

/// Two vectors of one node, then a call that puts one of them into its body.
const SEARCH: &str = r#"
inputs: {texts: {type: list, default: [one, three]}}
outputs: {status: {type: int, reference: "${search.output.status}"}, found: {type: object, reference: "${search.output.json}"}}
nodes:
- {name: embed, type: embedding, inputs: {deployment_name: m, input: "${inputs.texts}", dimensions: 2}}
- name: search
  type: http
  url: "https://ann:pw@search.test/v1/find?key=hidden"
  json: {vector: "{{ vectors[1] }}"}
  inputs: {vectors: "${embed.output}"}
"#;

fn ok(body: &str) -> FetchReply {
    let headers = vec![("content-type".into(), "application/json".into())];
    FetchReply { status: 200, url: "https://search.test/v1/find".into(), headers, body: body.as_bytes().to_vec() }
}

fn status(status: u16, headers: &[(&str, &str)]) -> FetchReply {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    FetchReply { status, headers, ..ok("no such thing") }
}

fn echo_server() -> Arc<FakeFetch> {
    FakeFetch::new(|request, _| Ok(ok(std::str::from_utf8(request.body.as_deref().unwrap_or_default()).unwrap())))
}

fn engine_with(model: &Arc<FakeModel>, fetch: &Arc<FakeFetch>, journal: &Arc<MemoryJournal>) -> Engine {
    Engine { models: Arc::new(FakeModels(model.clone(), fetch.clone())), ..engine(model, journal) }
}

async fn run_at(plan: &BoundPlan, fetch: &Arc<FakeFetch>) -> (RunReport, Vec<Event>) {
    let journal = Arc::new(MemoryJournal::default());
    let report = run_with(&engine_with(&FakeModel::echo(), fetch, &journal), plan, "{}").await;
    (report, journal.events())
}

async fn resume(
    plan: &BoundPlan,
    model: &Arc<FakeModel>,
    fetch: &Arc<FakeFetch>,
    past: &[Event],
) -> (RunReport, Vec<Event>) {
    let journal = Arc::new(MemoryJournal::default());
    let engine = engine_with(model, fetch, &journal);
    let start = Start::Resume { past: past.to_vec() };
    let report = sluicegate_executor::run(&engine, plan, start, std::future::pending()).await;
    (report, journal.events())
}

#[tokio::test(start_paused = true)]
async fn texts_become_vectors_and_a_server_hears_of_them() {
    let fetch = echo_server();
    let (report, events) = run_at(&flow(SEARCH), &fetch).await;
    assert_eq!(outputs(&report), r#"{"status":200,"found":{"vector":[5.0,0.1]}}"#);
    assert_eq!(in_short(&events), "started +embed ?embed !embed -embed +search ?search !search(200) -search completed");
    // Four tokens a text, at one dollar for a million; what comes out of an embedding has no tokens.
    assert_eq!((report.summary.usage().input_tokens, report.summary.cost()), (Some(8), Some(8e-6)));
    let EventKind::ModelCallStarted { operation, request, stream, .. } = &events[2].kind else { panic!() };
    assert_eq!((*operation, *stream), (Some(Operation::Embeddings), false));
    assert_eq!(request.to_json(), r#"{"input":["one","three"],"dimensions":2}"#);
    let EventKind::ModelCallFinished { end: CallEnd::Embedded { reply }, .. } = &events[3].kind else { panic!() };
    assert_eq!(reply.vectors, [[3.0, 0.1], [5.0, 0.1]]);
    let EventKind::FetchStarted { method, url, host, port, .. } = &events[6].kind else { panic!() };
    assert_eq!(
        (method.as_str(), url.as_str(), host.as_str(), *port),
        ("POST", "https://search.test/v1/find", "search.test", 443)
    );
    let EventKind::FetchFinished { end, .. } = &events[7].kind else { panic!() };
    assert_eq!(*end, FetchEnd::Answered { status: 200, size: 20 });
    assert!(!format!("{:?}", &events[6..]).contains("hidden"));
}

#[tokio::test(start_paused = true)]
async fn each_call_has_a_span_that_the_other_side_hears_of() {
    let (model, fetch, journal) = (FakeModel::echo(), echo_server(), Arc::new(MemoryJournal::default()));
    run_with(&engine_with(&model, &fetch, &journal), &flow(SEARCH), "{}").await;
    let events = journal.events();
    let span = |index: usize| events[index].trace.unwrap();
    assert_eq!((span(2).parent_id, span(2)), (Some(span(1).span_id), span(3)));
    assert_eq!((span(6).parent_id, span(6)), (Some(span(5).span_id), span(7)));
    assert_eq!(model.asked.lock().unwrap()[0].1, Some(span(2).context()));
    assert_eq!(fetch.called.lock().unwrap()[0].1, Some(span(6).context()));
}

#[tokio::test(start_paused = true)]
async fn vectors_that_came_are_not_asked_for_again_and_a_fetch_is_made_again() {
    let plan = flow(SEARCH);
    let (_, events) = run_at(&plan, &echo_server()).await;
    let position = |is: &dyn Fn(&EventKind) -> bool| events.iter().position(|event| is(&event.kind)).unwrap();
    let asked = position(&|kind| matches!(kind, EventKind::ModelCallStarted { .. }));
    let embedded = position(&|kind| matches!(kind, EventKind::ModelCallFinished { .. }));
    let called = position(&|kind| matches!(kind, EventKind::FetchStarted { .. }));
    let answered = position(&|kind| matches!(kind, EventKind::FetchFinished { .. }));
    let search = "+search ?search !search(200) -search completed";
    for (last, story, embeds) in [
        (asked, format!("resumed(1) +embed ?embed !embed -embed {search}"), 1),
        (embedded, format!("resumed(0) +embed -embed {search}"), 0),
        (called, format!("resumed(1) {search}"), 0),
        // Its answer is not kept whole.
        (answered, format!("resumed(0) {search}"), 0),
    ] {
        let (model, fetch) = (FakeModel::echo(), echo_server());
        let (report, new) = resume(&plan, &model, &fetch, &events[..=last]).await;
        assert_eq!((in_short(&new), model.heard().len()), (story, embeds));
        assert_eq!(outputs(&report), r#"{"status":200,"found":{"vector":[5.0,0.1]}}"#);
        assert_eq!(report.summary.usage().input_tokens, Some(8));
    }
}

#[tokio::test(start_paused = true)]
async fn a_vector_with_a_hole_is_no_reply() {
    struct Holes(FakeModels);
    struct Hole(sluicegate_model::About);
    impl sluicegate_model::EmbeddingModel for Hole {
        fn embed<'a>(
            &'a self,
            _: &'a sluicegate_model::EmbeddingRequest,
            _: &'a sluicegate_model::CallContext,
        ) -> sluicegate_model::BoxFuture<'a, Result<sluicegate_model::EmbeddingReply, ModelError>> {
            let (vectors, model) = (vec![vec![0.5, f64::NAN]], None);
            Box::pin(async move {
                Ok(sluicegate_model::EmbeddingReply { vectors, model, usage: sluicegate_model::Usage::default() })
            })
        }

        fn about(&self) -> &sluicegate_model::About {
            &self.0
        }
    }
    impl sluicegate_model::Models for Holes {
        fn chat(
            &self,
            connection: &sluicegate_model::ConnectionName,
        ) -> Result<Arc<dyn sluicegate_model::ChatModel>, ModelError> {
            self.0.chat(connection)
        }

        fn embedding(
            &self,
            connection: &sluicegate_model::ConnectionName,
        ) -> Result<Arc<dyn sluicegate_model::EmbeddingModel>, ModelError> {
            Ok(Arc::new(Hole(self.0.chat(connection)?.about().clone())))
        }

        fn fetch(&self) -> Arc<dyn sluicegate_model::Fetch> {
            self.0.fetch()
        }
    }
    let (model, journal) = (FakeModel::echo(), Arc::new(MemoryJournal::default()));
    let engine = Engine { models: Arc::new(Holes(FakeModels::of(&model))), ..engine(&model, &journal) };
    let report = run_with(&engine, &flow(SEARCH), "{}").await;
    assert_eq!(report.failure.unwrap().code, "malformed_reply");
}

/// One `http` node with these further keys.
fn http(extra: &str) -> BoundPlan {
    flow(&format!(
        "inputs: {{}}\noutputs: {{status: {{type: int, reference: \"${{get.output.status}}\"}}}}\nnodes:\n- {{name: get, type: http, url: \"https://api.test/x?key=hidden\", inputs: {{}}{extra}}}\n"
    ))
}

/// A server that answers so often with this before it answers 200.
fn at_first(times: usize, first: Result<FetchReply, ModelError>) -> Arc<FakeFetch> {
    FakeFetch::new(move |_: &FetchRequest, before| if before < times { first.clone() } else { Ok(ok("{}")) })
}

async fn check_http(extra: &str, server: &Arc<FakeFetch>, expected: &str) -> RunReport {
    let (report, events) = run_at(&http(extra), server).await;
    assert_eq!(in_short(&events), format!("started {expected}"));
    assert!(!format!("{:?}{:?}", events, report.failure).contains("hidden"));
    report
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_no_success_fails_the_node_unless_any_is_expected() {
    let report =
        check_http("", &at_first(9, Ok(status(404, &[]))), "+get ?get !get(404) -get(http_status) failed").await;
    let failure = report.failure.unwrap();
    assert_eq!(failure.message, "`GET https://api.test/x` was answered with status 404: no such thing");
    assert_eq!(failure.details.get("body").and_then(Value::as_str), Some("no such thing"));
    let any =
        check_http(", expect: any", &at_first(9, Ok(status(404, &[]))), "+get ?get !get(404) -get completed").await;
    assert_eq!(outputs(&any), r#"{"status":404}"#);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_busy_is_called_again_if_the_node_says_so() {
    let retry = ", retry: {max_attempts: 3, initial: 1s, max: 20s}";
    let again = |status: u16| format!("+get ?get !get({status}) ~get(http_status) +get ?get !get(200) -get completed");
    for busy in [408, 429, 500, 503] {
        check_http(retry, &at_first(1, Ok(status(busy, &[]))), &again(busy)).await;
        let alone = format!("+get ?get !get({busy}) -get(http_status) failed");
        check_http("", &at_first(1, Ok(status(busy, &[]))), &alone).await;
    }
    for lasting in [301, 400, 401, 403, 404, 422] {
        let story = format!("+get ?get !get({lasting}) -get(http_status) failed");
        check_http(retry, &at_first(1, Ok(status(lasting, &[]))), &story).await;
    }
    let nobody = || ModelError::Unreachable { endpoint: "https://api.test".to_owned(), message: "nobody".to_owned() };
    let story = "+get ?get !get(unreachable) ~get(unreachable) +get ?get !get(200) -get completed";
    check_http(retry, &at_first(1, Err(nobody())), story).await;
    let (url, message) = ("https://api.test/x".to_owned(), "it is private".to_owned());
    let forbidden = at_first(1, Err(ModelError::Forbidden { url, message }));
    check_http(retry, &forbidden, "+get ?get !get(forbidden) -get(forbidden) failed").await;
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_says_how_long_to_wait() {
    let check = async |headers: &[(&str, &str)], expected: u64| {
        let server = at_first(1, Ok(status(429, headers)));
        let (_, events) = run_at(&http(", retry: {max_attempts: 2, initial: 2s, max: 20s}"), &server).await;
        let pauses: Vec<u64> = events
            .iter()
            .filter_map(|event| match event.kind {
                EventKind::NodeAttemptFailed { retry_in_ms, .. } => Some(retry_in_ms),
                _ => None,
            })
            .collect();
        assert_eq!(pauses, [expected], "{headers:?}");
    };
    check(&[], 2000).await;
    check(&[("retry-after", "7")], 7000).await;
    check(&[("retry-after", "1")], 2000).await;
    check(&[("retry-after-ms", "2500")], 2500).await;
    check(&[("retry-after", "3600")], 20_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_another_failure_stops_is_ended_in_the_journal() {
    let yaml = r#"
inputs: {}
outputs: {}
nodes:
- {name: get, type: http, url: "https://api.test/x", inputs: {}}
- {name: wrong, type: llm, source: {type: code, path: ask.jinja2}, inputs: {deployment_name: m, q: x}}
"#;
    let model = FakeModel::new(|_, _| {
        let error = ModelError::Rejected { status: 400, message: "no".to_owned(), parameter: None };
        Answer::error(error).after(std::time::Duration::from_millis(1))
    });
    let journal = Arc::new(MemoryJournal::default());
    let plan = plan(&[("flow.dag.yaml", yaml), ASK_TEMPLATE]);
    run_with(&engine_with(&model, &echo_server(), &journal), &plan, "{}").await;
    let story = in_short(&journal.events());
    assert!(story.ends_with("!get(cancelled) -get(cancelled) failed"), "{story}");
    let (model, fetch) = (FakeModel::echo(), echo_server());
    let (_, new) = resume(&plan, &model, &fetch, &journal.events()).await;
    assert!(in_short(&new).starts_with("resumed(0) "), "{}", in_short(&new));
}

#[tokio::test(start_paused = true)]
async fn a_parameter_that_is_sent_otherwise_is_told_once_and_kept_in_the_summary() {
    let adapted = CallNotice::Adapted {
        model: "m".into(),
        parameter: "max_tokens".into(),
        adaptation: Adaptation::Renamed("max_completion_tokens".into()),
        message: "say s3cret otherwise".into(),
    };
    let model = FakeModel::new(move |_, _| Answer::text("x").notice(adapted.clone()));
    let (report, events) = run(&plan(&[("flow.dag.yaml", ASK), ASK_TEMPLATE]), &model, r#"{"q": "x"}"#).await;
    assert_eq!(in_short(&events), "started +ask ?ask %ask(max_tokens) !ask -ask completed");
    assert_eq!(events[3].trace, events[2].trace, "it belongs to the call's span");
    let [adapted] = report.summary.nodes[0].adapted.as_slice() else { panic!() };
    assert_eq!((adapted.connection.as_str(), adapted.model.as_str()), ("fake", "m"));
    assert_eq!(adapted.adaptation, Adaptation::Renamed("max_completion_tokens".into()));
    assert_eq!(adapted.message, "say *** otherwise");
}

#[tokio::test(start_paused = true)]
async fn another_api_is_asked_for_by_name_and_answered_from_the_journal_by_name() {
    let yaml = ASK.replace("type: llm", "type: llm\n  api: responses");
    let (plain, other) =
        (plan(&[("flow.dag.yaml", ASK), ASK_TEMPLATE]), plan(&[("flow.dag.yaml", &yaml), ASK_TEMPLATE]));
    let model = FakeModel::echo();
    let (_, events) = run(&other, &model, r#"{"q": "x"}"#).await;
    assert_eq!(model.asked.lock().unwrap()[0].0.api, Some(ChatApi::Responses));
    let replied = events.iter().position(|event| matches!(event.kind, EventKind::ModelCallFinished { .. })).unwrap();
    for (plan, calls) in [(&other, 0), (&plain, 1)] {
        let model = FakeModel::echo();
        let (report, _) = resume(plan, &model, &echo_server(), &events[..=replied]).await;
        assert_eq!((report.status, model.heard().len()), (RunStatus::Completed, calls));
    }
}

#[tokio::test(start_paused = true)]
async fn without_content_no_text_of_an_embedding_is_told() {
    let (model, journal) = (FakeModel::echo(), Arc::new(MemoryJournal::default()));
    let mut engine = engine_with(&model, &echo_server(), &journal);
    engine.options.capture_content = false;
    run_with(&engine, &flow(SEARCH), r#"{"texts": ["PRIVATE"]}"#).await;
    let told = journal.events().into_iter().find_map(|event| match event.kind {
        EventKind::ModelCallStarted { request, .. } => Some(request.to_json()),
        _ => None,
    });
    assert_eq!(told.as_deref(), Some(r#"{"dimensions":2}"#));
}
