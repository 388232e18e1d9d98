//! Embeddings.

use crate::support::Running;

const SCRIPT: &str = r#"{"embeddings": {"dimensions": 4}}"#;

fn check(body: &str, expected: &str) {
    for path in ["/v1/embeddings", "/openai/deployments/m/embeddings?api-version=1", "/models/embeddings?api-version=1"]
    {
        assert_eq!(Running::start(SCRIPT).post(path, body).body, expected, "{path}");
    }
}

#[test]
fn vectors_as_numbers_and_as_bytes() {
    check(
        r#"{"model": "m", "input": "a text"}"#,
        r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.6569978,-0.6569978,-0.26144573,-0.26144573]}],"model":"m","usage":{"prompt_tokens":2,"total_tokens":2}}"#,
    );
    check(
        r#"{"model": "m", "input": ["text"], "encoding_format": "base64", "dimensions": 2}"#,
        r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":"8wQ1P/MENb8="}],"model":"m","usage":{"prompt_tokens":1,"total_tokens":1}}"#,
    );
}

#[test]
fn the_same_words_have_the_same_vector() {
    let endpoint = Running::start(SCRIPT);
    let vectors = |input: &str| -> Vec<String> {
        let body = format!(r#"{{"model": "m", "input": {input}}}"#);
        let json = endpoint.post("/v1/embeddings", &body).json();
        let data = json.get("data").unwrap().as_list().unwrap();
        data.iter().map(|item| item.get("embedding").unwrap().to_json()).collect()
    };
    let many = vectors(r#"["one two", "two, ONE", "three"]"#);
    assert_eq!(many[0], many[1]);
    assert_ne!(many[0], many[2]);
    assert_eq!(vectors(r#""three""#), many[2..]);
    assert_eq!(vectors("[[1, 2], [3]]").len(), 2, "lists of tokens are texts");
    assert_eq!(vectors("[1, 2]").len(), 1, "and so is one such list");
}

#[test]
fn what_is_no_text_is_refused() {
    let endpoint = Running::start(SCRIPT);
    let refused = |body: &str| {
        let answer = endpoint.post("/v1/embeddings", body);
        let json = answer.json();
        let said = json.get("error").unwrap().get("message").unwrap().as_str().unwrap().to_owned();
        (answer.status, said)
    };
    let wrong = "`input` must be a text, a list of texts, or lists of tokens";
    assert_eq!(refused(r#"{"model": "m"}"#), (400, "Missing required parameter: 'input'.".to_owned()));
    assert_eq!(refused(r#"{"model": "m", "input": {}}"#), (400, wrong.to_owned()));
    assert_eq!(refused(r#"{"model": "m", "input": []}"#), (400, wrong.to_owned()));
    assert_eq!(refused(r#"{"model": "m", "input": ["a", null]}"#), (400, wrong.to_owned()));
    assert_eq!(
        refused(r#"{"model": "m", "input": "a", "dimensions": 0}"#),
        (400, "`dimensions` must be a whole number above 0".to_owned())
    );
    let large = format!(r#"{{"model": "m", "input": [{}"x"], "dimensions": 9999}}"#, r#""x","#.repeat(999));
    assert_eq!(
        refused(&large),
        (400, "1000 texts of 9999 dimensions are more than the 8388608 numbers of a reply".to_owned())
    );
    let many = format!(r#"{{"model": "m", "input": [{}"x"]}}"#, r#""x","#.repeat(2048));
    assert_eq!(refused(&many), (400, "`input` has 2049 texts, and 2048 is the most".to_owned()));
}
