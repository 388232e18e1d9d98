//! Vectors, and what is wrong with some.

use sluicegate_model::{CallContext, EmbeddingInput, EmbeddingReply, EmbeddingRequest, ModelError, Models as _};
use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_value::{Map, Value};

use crate::{azure, connection, models, open_ai};

fn two() -> EmbeddingRequest {
    EmbeddingRequest {
        model: "embed-test".into(),
        input: EmbeddingInput::Many(vec!["one".into(), "two".into()]),
        parameters: Map::new(),
        called_from: "".into(),
    }
}

async fn embedded(request: &EmbeddingRequest, data: &str) -> Result<EmbeddingReply, ModelError> {
    let endpoint = Endpoint::start();
    let body = format!(
        r#"{{"object":"list","data":{data},"model":"embed-1","usage":{{"prompt_tokens":4,"total_tokens":4}}}}"#
    );
    endpoint.on(move |_| Some(Answer::Whole(200, Vec::new(), body.clone().into())));
    let models = models(connection(open_ai(&endpoint.url())));
    models.embedding(&"c".into()).unwrap().embed(request, &CallContext::detached()).await
}

#[tokio::test]
async fn vectors_come_in_the_order_of_the_texts() {
    let shuffled = r#"[{"index":1,"embedding":[0.5,2]},{"index":0,"embedding":[-1.0,1e-3]}]"#;
    let reply = embedded(&two(), shuffled).await.unwrap();
    assert_eq!(reply.vectors, [[-1.0, 0.001], [0.5, 2.0]]);
    assert_eq!((reply.model.as_deref(), reply.usage.input_tokens), (Some("embed-1"), Some(4)));
    let unnumbered = r#"[{"embedding":[1]},{"embedding":[2]}]"#;
    assert_eq!(embedded(&two(), unnumbered).await.unwrap().vectors, [[1.0], [2.0]]);
}

#[tokio::test]
async fn vectors_come_as_base64_too() {
    // 0.5 and -2.0, four bytes each, the lowest first.
    let data = r#"[{"index":0,"embedding":"AAAAPwAAAMA="},{"index":1,"embedding":"AAAAPwAAAMA="}]"#;
    assert_eq!(embedded(&two(), data).await.unwrap().vectors, [[0.5, -2.0], [0.5, -2.0]]);
}

#[tokio::test]
async fn one_text_is_one_vector() {
    let request = EmbeddingRequest { input: EmbeddingInput::One("one".into()), ..two() };
    let reply = embedded(&request, r#"[{"index":0,"embedding":[1.5]}]"#).await.unwrap();
    assert_eq!(reply.to_value(&request.input), Value::from(vec![Value::Float(1.5)]));
}

#[tokio::test]
async fn what_is_no_list_of_vectors_makes_no_sense() {
    let cases = [
        (r#"[{"embedding":[1]}]"#, "it has 1 vector for 2 texts"),
        (r#"[{"embedding":[1]},{"embedding":[1,2]}]"#, "it has vectors of different lengths (1 and 2)"),
        (r#"[{"embedding":[1]},{"embedding":[]}]"#, "it has a vector that is none"),
        (r#"[{"embedding":[1]},{"embedding":[NaN]}]"#, "it has a vector that is none"),
        (r#"[{"embedding":[1]},{"embedding":["1"]}]"#, "it has a vector that is none"),
        // Five bytes, and an infinity.
        (r#"[{"embedding":[1]},{"embedding":"AAAAPwA="}]"#, "it has a vector that is none"),
        (r#"[{"embedding":[1]},{"embedding":"AACAfw=="}]"#, "it has a vector that is none"),
        (r#"[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]"#, "it numbers its vectors (`index`)"),
        (r#"[{"index":0,"embedding":[1]},{"index":-1,"embedding":[1]}]"#, "it numbers its vectors (`index`)"),
        (r#"{}"#, "it has no `data`"),
        (r#"[]"#, "it has 0 vectors for 2 texts"),
    ];
    for (data, expected) in cases {
        let error = embedded(&two(), data).await.unwrap_err();
        assert_eq!(error.code(), "malformed_reply");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn what_is_cut_out_of_a_long_answer_is_seen_to_be_cut() {
    let numbers = format!(r#"[{{"embedding":[{}1]}}]"#, "1,".repeat(500));
    let message = embedded(&two(), &numbers).await.unwrap_err().to_string();
    assert!(message.ends_with('…') && message.len() < 300, "{message}");
}

#[tokio::test]
async fn parameters_go_along_and_cannot_change_the_texts() {
    let endpoint = Endpoint::start();
    endpoint.on(|_| Some(Answer::Whole(200, Vec::new(), r#"{"data":[{"embedding":[1]},{"embedding":[1]}]}"#.into())));
    let parameters = Map::from([("input_type", Value::from("query")), ("input", "other".into())]);
    let models = models(connection(azure(&endpoint.url())));
    let request = EmbeddingRequest { parameters, ..two() };
    models.embedding(&"c".into()).unwrap().embed(&request, &CallContext::detached()).await.unwrap();
    let body = endpoint.requests()[0].json();
    assert_eq!(body, serde_json::json!({"model": "embed-test", "input": ["one", "two"], "input_type": "query"}));
}

#[tokio::test]
async fn too_many_texts_are_refused_in_the_endpoint_s_words() {
    let endpoint = Endpoint::start();
    endpoint.queue(Answer::error(400, "invalid", "array too long: at most 2048 items"));
    let models = models(connection(open_ai(&endpoint.url())));
    let request = EmbeddingRequest { input: EmbeddingInput::Many(vec!["x".into(); 2049]), ..two() };
    let error = models.embedding(&"c".into()).unwrap().embed(&request, &CallContext::detached()).await.unwrap_err();
    assert!(error.to_string().contains("at most 2048 items"), "{error}");
    assert_eq!(endpoint.count(), 1);
}
