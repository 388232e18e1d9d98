//! Rows computed by nltk, rouge-score, sacrebleu, rapidfuzz, Levenshtein and azure-ai-evaluation.

use std::collections::BTreeMap;

use serde_json::Value;
use sluicegate_evaluate::text::meteor::MeteorParameters;
use sluicegate_evaluate::text::rouge::Rouge;
use sluicegate_evaluate::text::{
    Normalization, Tokenizer, bleu, distance, exact_match, f1_score, gleu, meteor, normalize, rouge, sacrebleu,
};

const TOLERANCE: f64 = 1e-9;

/// Computes what a row asks for; `None` if the metric is not known.
fn compute(metric: &str, params: &Value, prediction: &str, reference: &str) -> Option<Value> {
    let text = |name: &str| params.get(name).and_then(Value::as_str).unwrap_or_default();
    let tokenizer = Tokenizer::AzureCompat;
    Some(match metric {
        "exact_match" => {
            let normalization = match text("normalize") {
                "none" => Normalization::Raw,
                "squad" => Normalization::Squad,
                _ => return None,
            };
            f64::from(u8::from(exact_match(prediction, reference, normalization))).into()
        }
        "f1_score" => f1_score(prediction, reference).into(),
        "bleu" => bleu(prediction, reference, tokenizer).into(),
        "gleu" => gleu(prediction, reference, tokenizer).into(),
        "sacrebleu_sentence" => sacrebleu::sacrebleu_sentence(prediction, reference).into(),
        "meteor" => meteor(prediction, reference, tokenizer, MeteorParameters::default()).into(),
        "levenshtein_distance" => distance::levenshtein_distance(prediction, reference).into(),
        "levenshtein_ratio" => match text("kind") {
            "indel" => distance::indel_ratio(prediction, reference).into(),
            "normalized_similarity" => distance::normalized_similarity(prediction, reference).into(),
            _ => return None,
        },
        "azure_nltk_tokenize" => tokenizer.tokenize(prediction).iter().collect(),
        "squad_normalize" => normalize::squad(prediction).into(),
        _ => {
            let stemmer = params.get("use_stemmer").and_then(Value::as_bool)?;
            let score = rouge(Rouge::named(metric)?, prediction, reference, stemmer);
            serde_json::json!({"precision": score.precision, "recall": score.recall, "f1": score.f1})
        }
    })
}

fn agree(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| agree(value, other)))
        }
        _ => match (found.as_f64(), expected.as_f64()) {
            (Some(found), Some(expected)) => (found - expected).abs() <= TOLERANCE,
            _ => found == expected,
        },
    }
}

fn check(file: &str, rows: Option<usize>) {
    let mut differences: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut counted = 0;
    for line in file.lines() {
        let row: Value = serde_json::from_str(line).expect("a row is JSON");
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        counted += 1;
        let found = compute(text("metric"), &row["params"], text("prediction"), text("reference"));
        if !found.as_ref().is_some_and(|found| agree(found, &row["value"])) {
            let shown = found.map_or_else(|| "not known".to_owned(), |found| found.to_string());
            let row = format!(
                "{}\n  prediction {:?}\n  reference  {:?}\n  expected {}\n  found    {shown}",
                text("id"),
                text("prediction"),
                text("reference"),
                row["value"],
            );
            differences.entry(text("metric").to_owned()).or_default().push(row);
        }
    }
    assert!(counted > 0 && rows.is_none_or(|rows| rows == counted), "{counted} rows");
    let told: Vec<String> = differences
        .iter()
        .map(|(metric, rows)| {
            format!("{metric}: {} differ, the first:\n{}", rows.len(), rows[..rows.len().min(3)].join("\n"))
        })
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n\n"));
}

#[test]
fn every_golden_row_matches() {
    check(include_str!("../data/text_metrics.jsonl"), Some(540));
}

/// Words that the tokenizers treat specially, put together at random, with scores computed by nltk 3.10.4, rouge-score 0.1.2
/// and sacrebleu 2.6.0.
#[test]
fn every_random_row_matches() {
    check(include_str!("../data/random_text_metrics.jsonl"), Some(540));
}

/// For rows that are not in this repository: `SLUICEGATE_METRIC_ROWS=rows.jsonl cargo test -- --ignored`.
#[test]
#[ignore = "needs a file"]
#[expect(clippy::disallowed_methods, reason = "a test run by hand has no other way to be told a file")]
fn every_row_of_another_file_matches() {
    let path = std::env::var("SLUICEGATE_METRIC_ROWS").expect("SLUICEGATE_METRIC_ROWS names a file");
    check(&std::fs::read_to_string(path).expect("a file of rows"), None);
}
