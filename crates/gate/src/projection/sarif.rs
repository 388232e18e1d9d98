//! SARIF 2.1.0: rules of the gate as rules, what blocks and what got worse as results.

use serde_json::{Map, Value, json};

use super::text;
use crate::{Receipt, RuleResult, RuleVerdict};

/// Code scanning takes 25,000 results of a run, and shows 5,000.
const MOST_RESULTS: usize = 5_000;
const MESSAGE: usize = 1_000;

/// The file.
#[must_use]
pub fn render(receipt: &Receipt) -> String {
    let decision = &receipt.decision;
    let rules: Vec<Value> = decision
        .rules
        .iter()
        .map(|rule| {
            json!({
                "id": text::one_line(&rule.id, 200),
                "name": text::one_line(&rule.kind, 100),
                "shortDescription": { "text": message(&format!("{} {}", rule.id, super::numbers::demand(rule))) },
                "defaultConfiguration": { "level": if rule.blocks { "error" } else { "warning" } },
            })
        })
        .collect();
    let mut results: Vec<Value> =
        decision.rules.iter().enumerate().filter_map(|(at, rule)| of_rule(receipt, at, rule)).collect();
    results.extend(of_cases(receipt));
    results.truncate(MOST_RESULTS);
    let version = receipt.about.engine.as_deref().unwrap_or("0");
    let sarif = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "sluicegate", "version": text::one_line(version, 60), "rules": rules } },
            "properties": {
                "verdict": decision.verdict.as_str(),
                "exitCode": decision.exit_code,
                "decisionHash": text::one_line(&receipt.decision_hash, 128),
            },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    let mut out = serde_json::to_string_pretty(&sarif).unwrap_or_default();
    out.push('\n');
    out
}

fn of_rule(receipt: &Receipt, at: usize, rule: &RuleResult) -> Option<Value> {
    let level = match rule.verdict {
        _ if rule.blocks => "error",
        RuleVerdict::Fail | RuleVerdict::Inconclusive => "warning",
        _ => return None,
    };
    let place = rule.place.as_ref().map(|place| (place.file.to_string(), place.line));
    let place = place.or_else(|| Some((receipt.about.evaluation_file.clone()?, 1)));
    Some(result(&rule.id, Some(at), level, &rule.words, place, &["rule", &rule.id]))
}

fn of_cases(receipt: &Receipt) -> Vec<Value> {
    let decision = &receipt.decision;
    let mut results = Vec::new();
    for case in &decision.regressions {
        let place = receipt.about.data_file.clone().zip(case.line);
        let place = place.or_else(|| Some((receipt.about.evaluation_file.clone()?, 1)));
        let number = |number: Option<f64>| number.map_or_else(|| "missing".to_owned(), super::numbers::plain);
        let scores: Vec<String> = case
            .scores
            .iter()
            .map(|pair| format!("{} {} → {}", pair.metric, number(pair.baseline), number(pair.candidate)))
            .collect();
        let words = format!("a case got worse: {}", scores.join(", "));
        let rules: Vec<&str> =
            if case.rules.is_empty() { vec!["case"] } else { case.rules.iter().map(String::as_str).collect() };
        for rule in rules {
            let at = decision.rules.iter().position(|known| known.id == rule);
            results.push(result(rule, at, "warning", &words, place.clone(), &["case", case.key.as_str(), rule]));
        }
    }
    results
}

/// One result. The fingerprint is of what it is about, never of its words: the same case is the same alert next week.
fn result(
    rule: &str,
    at: Option<usize>,
    level: &str,
    words: &str,
    place: Option<(String, u64)>,
    about: &[&str],
) -> Value {
    let mut map = Map::new();
    map.insert("ruleId".into(), text::one_line(rule, 200).into());
    if let Some(at) = at {
        map.insert("ruleIndex".into(), at.into());
    }
    map.insert("level".into(), level.into());
    map.insert("message".into(), json!({ "text": message(words) }));
    if let Some((file, line)) = place {
        let location = json!({ "physicalLocation": {
            "artifactLocation": { "uri": uri(&file) },
            "region": { "startLine": line.max(1) },
        } });
        map.insert("locations".into(), json!([location]));
    }
    let fingerprint = sluicegate_value::hash::sha256_of_parts(about);
    map.insert("partialFingerprints".into(), json!({ "sluicegate/v1": fingerprint }));
    map.into()
}

/// A message: in SARIF, `[text](address)` is a link and `{0}` a placeholder.
fn message(words: &str) -> String {
    let line = text::one_line(words, MESSAGE);
    line.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]").replace('{', "{{").replace('}', "}}")
}

/// A path as a relative reference of a URI.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.replace('\\', "/").trim_start_matches("./").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
