//! Chat calls by way of a provider's batch API.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sluicegate_config::{AzureApi, Connection, ConnectionKind, Deployment};
use sluicegate_model::{CallContext, ChatModel, ChatReply, ChatRequest, Message, ModelError, Models as _, Prompt};
use sluicegate_providers::{Connected, Options, ProviderBatches, connect};
use sluicegate_testkit::batches::{BatchProvider, Came, reply, text_of};
use sluicegate_testkit::endpoint::Answer;
use sluicegate_value::{Map, Value};

use crate::{Ears, KEY, azure, azure_api, connection, open_ai, request};

/// Batches of this size that are submitted and looked at without delay.
fn batches(size: usize) -> ProviderBatches {
    let millisecond = Duration::from_millis(1);
    ProviderBatches::new(size).idle(Duration::from_millis(50)).polling(millisecond, millisecond)
}

fn connected(kind: ConnectionKind, batches: ProviderBatches) -> Connected {
    connect(vec![connection(kind)], Options::default()).in_batches(Arc::new(batches))
}

fn model(kind: ConnectionKind, batches: ProviderBatches) -> Arc<dyn ChatModel> {
    connected(kind, batches).chat(&"c".into()).unwrap()
}

fn asks(text: &str) -> ChatRequest {
    ChatRequest { prompt: Prompt::Messages(vec![Message::text("user", text)]), ..request() }
}

async fn line(model: &dyn ChatModel, number: u64, text: &str) -> Result<ChatReply, ModelError> {
    let context = CallContext { line: Some(number), ..CallContext::detached() };
    model.chat(&asks(text), &context).await
}

/// Asks `row 0`, `row 1`, … at the same time: each result by its line.
async fn lines(model: &Arc<dyn ChatModel>, count: u64) -> Vec<Result<String, ModelError>> {
    let ask = |number| {
        let model = model.clone();
        tokio::spawn(async move { line(&*model, number, &format!("row {number}")).await })
    };
    let asked: Vec<_> = (0..count).map(ask).collect();
    let mut results = Vec::new();
    for task in asked {
        results.push(task.await.unwrap().map(|reply| reply.text.unwrap().to_string()));
    }
    results
}

fn check_all_answered(results: &[Result<String, ModelError>]) {
    for (number, result) in results.iter().enumerate() {
        assert_eq!(result.as_deref(), Ok(&*format!("[row {number}]")));
    }
}

#[tokio::test]
async fn calls_become_one_batch_and_each_gets_its_own_answer() {
    let provider = BatchProvider::start();
    let model = model(open_ai(&provider.endpoint().url()), batches(100));
    check_all_answered(&lines(&model, 20).await);
    let submitted = provider.submitted();
    assert_eq!(submitted.len(), 1);
    let batch = &submitted[0];
    assert_eq!(batch.request["endpoint"], "/v1/chat/completions");
    assert_eq!(batch.request["completion_window"], "24h");
    assert_eq!(batch.lines.len(), 20);
    let first = &batch.lines[0];
    assert_eq!((&first["method"], &first["url"]), (&json!("POST"), &json!("/v1/chat/completions")));
    assert_eq!(first["body"]["model"], "gpt-test");
    let mut ids: Vec<&str> = batch.lines.iter().map(|line| line["custom_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 20);
    let paths: Vec<String> = provider.endpoint().requests().iter().map(|heard| heard.path.clone()).collect();
    assert!(!paths.iter().any(|path| path.contains("chat/completions")), "{paths:?}");
}

#[tokio::test]
async fn five_thousand_calls_are_one_batch() {
    let provider = BatchProvider::start();
    let model = model(open_ai(&provider.endpoint().url()), batches(5000).idle(Duration::from_secs(60)));
    check_all_answered(&lines(&model, 5000).await);
    assert_eq!(provider.submitted().len(), 1);
}

#[tokio::test]
async fn the_body_is_the_one_that_a_call_would_send_without_its_stream() {
    let provider = BatchProvider::start();
    let url = provider.endpoint().url();
    let request = ChatRequest {
        parameters: Map::from([
            ("max_tokens", Value::from(7_i64)),
            ("temperature", 0.5.into()),
            ("stream", true.into()),
        ]),
        stream: true,
        ..request()
    };
    let mut connection = connection(open_ai(&url));
    let deployment =
        Deployment { rename: vec![("max_tokens".into(), "max_completion_tokens".into())], ..Deployment::default() };
    connection.deployments.by_name.insert("gpt-test".into(), deployment);
    let connected = connect(vec![connection.clone()], Options::default()).in_batches(Arc::new(batches(1)));
    let ears = Arc::new(Ears::default());
    let context = CallContext { notices: ears.clone(), ..CallContext::detached() };
    connected.chat(&"c".into()).unwrap().chat(&request, &context).await.unwrap();
    let in_batch = provider.submitted()[0].lines[0]["body"].clone();
    assert_eq!(in_batch.get("stream"), None);
    assert_eq!(in_batch["max_completion_tokens"], 7);
    assert_eq!(*ears.0.lock().unwrap(), ["queued", "attempt 1", "first chunk", "chunk \"[Hello?]\""]);

    let online = connect(vec![connection], Options::default()).chat(&"c".into()).unwrap();
    let mut parameters = request.parameters.clone();
    parameters.remove("stream");
    let request = ChatRequest { parameters, stream: false, ..request };
    online.chat(&request, &CallContext::detached()).await.unwrap();
    assert_eq!(provider.endpoint().requests().pop().unwrap().json(), in_batch);
}

#[tokio::test]
async fn full_batches_do_not_wait_and_models_do_not_mix() {
    let provider = BatchProvider::start();
    let model = model(open_ai(&provider.endpoint().url()), batches(8).idle(Duration::from_millis(200)));
    check_all_answered(&lines(&model, 20).await);
    let sizes: Vec<usize> = provider.submitted().iter().map(|batch| batch.lines.len()).collect();
    assert_eq!(sizes, [8, 8, 4]);

    let ask = |name: &str| {
        let (model, name) = (model.clone(), name.to_owned());
        let request = ChatRequest { model: name.into(), ..asks("who") };
        tokio::spawn(async move { model.chat(&request, &CallContext::detached()).await.unwrap() })
    };
    let (one, other) = (ask("one"), ask("other"));
    one.await.unwrap();
    other.await.unwrap();
    let models: Vec<_> =
        provider.submitted()[3..].iter().map(|batch| batch.lines[0]["body"]["model"].clone()).collect();
    assert_eq!(provider.submitted().len(), 5);
    assert!(models.contains(&json!("one")) && models.contains(&json!("other")), "{models:?}");
}

#[tokio::test]
async fn two_waves_make_two_batches() {
    let provider = BatchProvider::start();
    let model = model(open_ai(&provider.endpoint().url()), batches(100));
    let two = |number: u64| {
        let model = model.clone();
        tokio::spawn(async move {
            let first = line(&*model, number, &format!("row {number}")).await.unwrap().text.unwrap();
            line(&*model, number, &first).await.unwrap().text.unwrap()
        })
    };
    let tasks: Vec<_> = (0..5).map(two).collect();
    for (number, task) in tasks.into_iter().enumerate() {
        assert_eq!(*task.await.unwrap(), *format!("[[row {number}]]"));
    }
    assert_eq!(provider.submitted().iter().map(|batch| batch.lines.len()).collect::<Vec<_>>(), [5, 5]);
}

#[tokio::test]
async fn the_same_call_twice_is_two_lines() {
    let provider = BatchProvider::start();
    let model = model(open_ai(&provider.endpoint().url()), batches(100));
    let (one, other) = tokio::join!(line(&*model, 3, "twin"), line(&*model, 3, "twin"));
    assert_eq!((one.unwrap().text.as_deref(), other.unwrap().text.as_deref()), (Some("[twin]"), Some("[twin]")));
    assert_eq!(provider.submitted()[0].lines.len(), 2);
}

#[tokio::test]
async fn a_line_s_error_is_what_the_same_status_gives_a_call() {
    let provider = BatchProvider::start();
    let error = |code: &str, message: &str| json!({ "error": { "code": code, "message": message } });
    provider.answers(move |line| match &*text_of(line) {
        "row 0" => Came::Answer(429, error("rate_limit_exceeded", "Slow down.")),
        "row 1" => Came::Answer(400, error("context_length_exceeded", "Maximum context length is 10 tokens.")),
        "row 2" => Came::Answer(500, error("server_error", "Oops.")),
        "row 3" => Came::Error("batch_expired"),
        "row 4" => Came::Missing,
        "row 5" => Came::Answer(
            400,
            json!({ "error": {
            "code": "content_filter", "message": "Filtered.",
            "innererror": { "code": "ResponsibleAIPolicyViolation",
                            "content_filter_result": { "hate": { "filtered": true, "severity": "high" } } },
        } }),
        ),
        "row 6" => Came::Answer(200, json!({ "choices": 7 })),
        text => reply(&format!("[{text}]")),
    });
    let model = model(open_ai(&provider.endpoint().url()), batches(100));
    let asked: Vec<_> = (0..8)
        .map(|number| {
            let model = model.clone();
            tokio::spawn(async move { line(&*model, number, &format!("row {number}")).await })
        })
        .collect();
    let mut results = Vec::new();
    for task in asked {
        results.push(task.await.unwrap());
    }
    let check = |number: usize, code: &str, transient: bool, words: &str| {
        let error = results[number].as_ref().unwrap_err();
        assert_eq!((error.code(), error.is_transient()), (code, transient), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    check(0, "rate_limited", true, "Slow down.");
    check(1, "too_long", false, "Maximum context length");
    check(2, "server_failed", true, "Oops.");
    check(3, "server_failed", true, "expired before this call was answered");
    check(4, "server_failed", true, "ended before this call was answered");
    check(6, "malformed_reply", false, "");
    assert!(results[5].as_ref().unwrap().filter.is_some(), "a filter's decision is a reply");
    assert_eq!(results[7].as_ref().unwrap().text.as_deref(), Some("[row 7]"));
}

#[tokio::test]
async fn a_refused_parameter_is_learned_and_costs_another_batch() {
    let provider = BatchProvider::start();
    provider.answers(|line| match line["body"].get("max_tokens") {
        Some(_) => Came::Answer(
            400,
            json!({ "error": { "code": "unsupported_parameter", "param": "max_tokens",
                "message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead." } }),
        ),
        None => reply("fine"),
    });
    let model = model(open_ai(&provider.endpoint().url()), batches(100));
    let request = ChatRequest { parameters: Map::from([("max_tokens", 5_i64)]), ..request() };
    let reply = model.chat(&request, &CallContext::detached()).await.unwrap();
    assert_eq!(reply.text.as_deref(), Some("fine"));
    assert_eq!(provider.submitted()[1].lines[0]["body"]["max_completion_tokens"], 5);
}

#[tokio::test]
async fn a_batch_that_is_refused_as_a_whole_fails_its_calls() {
    let check = async |errors: serde_json::Value, code: &str, words: &[&str]| {
        let provider = BatchProvider::start();
        provider.refuses(errors);
        let results = lines(&model(open_ai(&provider.endpoint().url()), batches(100)), 3).await;
        for result in results {
            let error = result.unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            assert!(words.iter().all(|words| error.to_string().contains(words)), "{error}");
        }
    };
    let bad =
        json!({ "code": "invalid_json_line", "message": "This line is not parseable.", "line": 2, "param": null });
    check(json!([bad, bad]), "rejected", &["batch_1", "not parseable", "line 2", "and 1 more"]).await;
    let full = json!({ "code": "token_limit_exceeded", "message": "Enqueued token limit reached." });
    check(json!([full]), "rate_limited", &["Enqueued token limit"]).await;
    let unknown = json!({ "code": "model_not_found", "message": "The model does not exist." });
    check(json!([unknown]), "unknown_model", &["gpt-test"]).await;
    check(json!([]), "rejected", &["nobody says why"]).await;
}

#[tokio::test]
async fn an_expired_batch_answers_what_it_got_to() {
    let provider = BatchProvider::start();
    provider.ends("expired").answers(|line| match &*text_of(line) {
        "row 0" => reply("[row 0]"),
        _ => Came::Error("batch_expired"),
    });
    let results = lines(&model(open_ai(&provider.endpoint().url()), batches(100)), 2).await;
    assert_eq!(results[0].as_deref(), Ok("[row 0]"));
    let error = results[1].as_ref().unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("--failed"), "{error}");
}

#[tokio::test]
async fn trouble_on_the_way_is_waited_out() {
    let provider = BatchProvider::start();
    let endpoint = provider.endpoint();
    endpoint.queue(Answer::error(429, "busy", "Too many uploads.").header("retry-after-ms", "1"));
    endpoint.queue(Answer::Reset);
    for answer in [
        Answer::error(429, "busy", "Later.").header("retry-after-ms", "1"),
        Answer::error(503, "x", "Down."),
        Answer::Reset,
    ] {
        provider.trouble(answer);
    }
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let hears = told.clone();
    let batches = batches(100).telling(move |notice| hears.lock().unwrap().push(notice.to_string()));
    check_all_answered(&lines(&model(open_ai(&endpoint.url()), batches), 3).await);
    assert_eq!(provider.submitted().len(), 1);
    let told = told.lock().unwrap().clone();
    assert_eq!(told[0], "provider batch batch_1: 3 calls submitted by `c`");
    assert!(told[1].contains("goes on all the same: rate limited"), "{told:?}");
    assert_eq!(told.last().unwrap(), "provider batch batch_1 completed: 3 of 3 done");
}

#[tokio::test]
async fn a_batch_that_nobody_confirmed_is_found_by_its_file() {
    let provider = BatchProvider::start();
    provider.silent(1);
    check_all_answered(&lines(&model(open_ai(&provider.endpoint().url()), batches(100)), 3).await);
    assert_eq!(provider.submitted().len(), 1, "not submitted twice");
}

#[tokio::test]
async fn a_refused_key_fails_at_once() {
    let provider = BatchProvider::start();
    provider.endpoint().queue(Answer::error(401, "invalid_api_key", &format!("Incorrect API key: {KEY}")));
    let results = lines(&model(open_ai(&provider.endpoint().url()), batches(100)), 2).await;
    for result in results {
        let error = result.unwrap_err();
        assert_eq!(error.code(), "key_refused");
        assert!(!error.to_string().contains(KEY), "{error}");
    }
    assert_eq!(provider.endpoint().count(), 1);
}

#[tokio::test]
async fn azure_has_its_own_paths_and_files_that_take_a_while() {
    let check = async |kind: fn(&str) -> ConnectionKind, base: &str, query: &str, url: &str| {
        let provider = BatchProvider::start();
        provider.file_is(&["pending", "running"]);
        check_all_answered(&lines(&model(kind(&provider.endpoint().url()), batches(100)), 2).await);
        let batch = &provider.submitted()[0];
        assert_eq!((&batch.request["endpoint"], &batch.lines[0]["url"]), (&json!("/chat/completions"), &json!(url)));
        assert_eq!(batch.lines[0]["body"]["model"], "gpt-test");
        let requests = provider.endpoint().requests();
        assert!(requests.iter().all(|heard| heard.header("api-key") == Some(KEY)));
        let mut paths: Vec<String> = requests.iter().map(|heard| format!("{} {}", heard.method, heard.path)).collect();
        paths.dedup();
        let expected = [
            "POST files",
            "GET files/file-1",
            "POST batches",
            "GET batches/batch_1",
            "GET files/batch_1-output/content",
        ];
        assert_eq!(
            paths,
            expected.map(|asked| {
                let (method, path) = asked.split_once(' ').unwrap();
                format!("{method} {base}{path}{query}")
            })
        );
    };
    check(azure, "/openai/", "?api-version=2024-02-01", "/chat/completions").await;
    check(|url| azure_api(url, AzureApi::V1), "/openai/v1/", "", "/chat/completions").await;
    let responses = |url: &str| match azure_api(url, AzureApi::V1) {
        ConnectionKind::AzureOpenAi { api_base, auth, api, .. } => {
            ConnectionKind::AzureOpenAi { api_base, auth, api, responses: true }
        }
        other => other,
    };
    let provider = BatchProvider::start();
    provider.answers(|_| {
        Came::Answer(
            200,
            json!({ "id": "r", "status": "completed", "output": [
        { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "yes" }] },
    ] }),
        )
    });
    let model = model(responses(&provider.endpoint().url()), batches(1));
    assert_eq!(line(&*model, 0, "well?").await.unwrap().text.as_deref(), Some("yes"));
    let batch = &provider.submitted()[0];
    assert_eq!(
        (&batch.request["endpoint"], &batch.lines[0]["url"]),
        (&json!("/chat/completions"), &json!("/v1/responses"))
    );
}

#[tokio::test]
async fn what_has_no_batches_is_refused_by_name_before_anything_is_sent() {
    let provider = BatchProvider::start();
    let check = |kind: ConnectionKind, word: &str| {
        let refused = connected(kind, batches(1)).chat(&"c".into()).err().expect("a refusal");
        assert_eq!(refused.code(), "unsupported");
        assert!(refused.to_string().contains(word) && refused.to_string().contains("`c`"), "{refused}");
    };
    let base_url = provider.endpoint().url();
    check(ConnectionKind::Anthropic { base_url, api_key: None, version: "2023-06-01".to_owned() }, "anthropic");
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script.yaml");
    std::fs::write(&script, "default: hello\n").unwrap();
    check(ConnectionKind::Simulated { script }, "simulated");
    let completion = ChatRequest { prompt: Prompt::Text("Once".into()), ..request() };
    let azure = model(azure(&provider.endpoint().url()), batches(1));
    let refused = azure.chat(&completion, &CallContext::detached()).await.unwrap_err();
    assert!(refused.to_string().contains("completions of a text in batches"), "{refused}");
    assert_eq!(provider.endpoint().count(), 0);
}

/// Batches whose manifest lies in `folder`, as a process of the run has them.
fn kept(folder: &Path) -> ProviderBatches {
    let batches = batches(100);
    batches.keep_in(&folder.join("run.provider-batches.json"), "run").unwrap();
    batches
}

fn manifest(folder: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(folder.join("run.provider-batches.json")).unwrap();
    assert!(!text.contains(KEY) && !text.contains("row 1"), "no key and no request: {text}");
    serde_json::from_str(&text).unwrap()
}

/// Asks so many lines in a process that dies as soon as `when` holds.
async fn die(provider: &BatchProvider, folder: &Path, count: u64, when: impl Fn() -> bool) {
    let model = model(open_ai(&provider.endpoint().url()), kept(folder));
    let asking = lines(&model, count);
    let dead = async {
        while !when() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        _ = asking => panic!("it was not to be answered"),
        () = dead => {}
    }
}

fn in_own_runtime<T>(work: impl Future<Output = T>) -> T {
    // Whatever runs in it ends with it, as with a process.
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn a_batch_that_was_submitted_before_a_kill_is_waited_for_again() {
    let (provider, folder) = (BatchProvider::start(), tempfile::tempdir().unwrap());
    provider.hold();
    let is_written = || {
        let state = std::fs::read_to_string(folder.path().join("run.provider-batches.json")).unwrap_or_default();
        state.contains("submitted")
    };
    in_own_runtime(die(&provider, folder.path(), 20, is_written));
    assert_eq!(provider.submitted()[0].request["metadata"]["sluicegate_run"], "run");
    let written = manifest(folder.path());
    assert_eq!(written["batches"][0]["batch_id"], "batch_1");
    assert_eq!(written["batches"][0]["calls"].as_array().map(Vec::len), Some(20));

    provider.release();
    in_own_runtime(async {
        let batches = kept(folder.path());
        assert_eq!(batches.open().len(), 1);
        // Fewer lines are left than were asked before, and one is new.
        let model = model(open_ai(&provider.endpoint().url()), batches);
        check_all_answered(&lines(&model, 12).await);
        assert_eq!(provider.submitted().len(), 1, "nothing is submitted twice");
        assert_eq!(line(&*model, 99, "new").await.unwrap().text.as_deref(), Some("[new]"));
        // Lines that come later have their answers from the same batch.
        assert_eq!(line(&*model, 15, "row 15").await.unwrap().text.as_deref(), Some("[row 15]"));
    });
    let sizes: Vec<usize> = provider.submitted().iter().map(|batch| batch.lines.len()).collect();
    assert_eq!(sizes, [20, 1]);
    assert_eq!(manifest(folder.path())["batches"][0]["state"], "over");
}

#[test]
fn a_batch_that_ended_before_a_kill_is_read_again() {
    let (provider, folder) = (BatchProvider::start(), tempfile::tempdir().unwrap());
    for _ in 0..2 {
        in_own_runtime(async {
            check_all_answered(&lines(&model(open_ai(&provider.endpoint().url()), kept(folder.path())), 5).await);
        });
    }
    assert_eq!(provider.submitted().len(), 1);
    // One whose answer did not help is asked anew by the same process.
    in_own_runtime(async {
        let model = model(open_ai(&provider.endpoint().url()), kept(folder.path()));
        line(&*model, 0, "row 0").await.unwrap();
        assert_eq!(provider.submitted().len(), 1);
        line(&*model, 0, "row 0").await.unwrap();
        assert_eq!(provider.submitted().len(), 2);
    });
}

#[test]
fn a_kill_between_file_and_batch_is_mended() {
    // Submitted, and nobody heard of it.
    let (provider, folder) = (BatchProvider::start(), tempfile::tempdir().unwrap());
    provider.silent(1);
    in_own_runtime(die(&provider, folder.path(), 3, || provider.submitted().len() == 1));
    assert_eq!(manifest(folder.path())["batches"][0]["state"], "uploaded");
    let again = |folder: &Path| {
        in_own_runtime(async {
            check_all_answered(&lines(&model(open_ai(&provider.endpoint().url()), kept(folder)), 3).await);
        });
    };
    again(folder.path());
    assert_eq!(provider.submitted().len(), 1);

    // Never submitted: as if its file were of another life.
    let written = std::fs::read_to_string(folder.path().join("run.provider-batches.json")).unwrap();
    let written =
        written.replace("file-1", "file-x").replace("\"over\"", "\"uploaded\"").replace("\"batch_1\"", "null");
    std::fs::write(folder.path().join("run.provider-batches.json"), written).unwrap();
    again(folder.path());
    assert_eq!(provider.submitted().len(), 2);
}

#[test]
fn calls_that_failed_are_asked_anew() {
    let (provider, folder) = (BatchProvider::start(), tempfile::tempdir().unwrap());
    provider.answers(|line| match &*text_of(line) {
        "row 1" => Came::Answer(500, json!({ "error": { "message": "Oops." } })),
        text => reply(&format!("[{text}]")),
    });
    let ask =
        || in_own_runtime(async { lines(&model(open_ai(&provider.endpoint().url()), kept(folder.path())), 3).await });
    assert!(ask()[1].is_err());
    provider.answers(|line| reply(&format!("[{}]", text_of(line))));
    check_all_answered(&ask());
    assert_eq!(provider.submitted().iter().map(|batch| batch.lines.len()).collect::<Vec<_>>(), [3, 1]);
}

#[test]
fn a_provider_out_of_reach_does_not_lose_its_batch() {
    let (provider, folder) = (BatchProvider::start(), tempfile::tempdir().unwrap());
    provider.trouble(Answer::error(503, "x", "Down."));
    in_own_runtime(async {
        let batches = batches(100).patience(Duration::ZERO);
        batches.keep_in(&folder.path().join("run.provider-batches.json"), "run").unwrap();
        let model = model(open_ai(&provider.endpoint().url()), batches);
        let error = line(&*model, 0, "row 0").await.unwrap_err();
        assert_eq!(error.code(), "server_failed");
        // The same call, in the same process: it is still in that batch.
        assert_eq!(line(&*model, 0, "row 0").await.unwrap().text.as_deref(), Some("[row 0]"));
    });
    assert_eq!(provider.submitted().len(), 1);
}

#[test]
fn nothing_is_submitted_that_cannot_be_written_down() {
    let (provider, folder) = (BatchProvider::start(), tempfile::tempdir().unwrap());
    in_own_runtime(async {
        let batches = batches(100);
        batches.keep_in(&folder.path().join("gone/run.provider-batches.json"), "run").unwrap();
        let error = line(&*model(open_ai(&provider.endpoint().url()), batches), 0, "row 0").await.unwrap_err();
        assert!(error.to_string().contains("cannot be written"), "{error}");
    });
    assert!(provider.submitted().is_empty());
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_not_submitted() {
    let provider = BatchProvider::start();
    let model = model(open_ai(&provider.endpoint().url()), batches(100));
    let given_up = tokio::time::timeout(Duration::from_millis(5), line(&*model, 0, "row 0")).await;
    assert!(given_up.is_err());
    assert_eq!(line(&*model, 1, "row 1").await.unwrap().text.as_deref(), Some("[row 1]"));
    let texts: Vec<String> = provider.submitted()[0].lines.iter().map(text_of).collect();
    assert_eq!(texts, ["row 1"]);
}

#[test]
fn a_batch_can_be_cancelled() {
    let (provider, folder) = (BatchProvider::start(), tempfile::tempdir().unwrap());
    provider.hold();
    let is_written = || {
        std::fs::read_to_string(folder.path().join("run.provider-batches.json"))
            .is_ok_and(|text| text.contains("submitted"))
    };
    in_own_runtime(die(&provider, folder.path(), 2, is_written));
    in_own_runtime(async {
        let connected: Connected = connected(open_ai(&provider.endpoint().url()), kept(folder.path()));
        assert_eq!(&*connected.cancel_batch(&"c".into(), "batch_1").await.unwrap(), "cancelling");
        let results = lines(&connected.chat(&"c".into()).unwrap(), 2).await;
        assert!(results[0].as_ref().unwrap_err().to_string().contains("was cancelled"), "{results:?}");
    });
    assert_eq!(provider.submitted().len(), 1);
}

#[test]
fn connections_are_told_apart() {
    let (provider, folder) = (BatchProvider::start(), tempfile::tempdir().unwrap());
    let ask = |name: &str| {
        in_own_runtime(async {
            let connection = Connection { name: name.into(), ..connection(open_ai(&provider.endpoint().url())) };
            let connected = connect(vec![connection], Options::default()).in_batches(Arc::new(kept(folder.path())));
            line(&*connected.chat(&name.into()).unwrap(), 0, "row 0").await.unwrap()
        })
    };
    ask("one");
    ask("other");
    assert_eq!(provider.submitted().len(), 2, "another connection's batch may be of another account");
}
