//! The hash of a decision.

use serde_json::Value;

use super::Decision;

/// What a rule on times is reduced to: no two runs share its numbers, and its words hold numbers.
const OF_A_TIMED_RULE: [&str; 6] = ["id", "kind", "where", "verdict", "blocks", "threshold"];

/// SHA-256 over a decision as compact JSON with sorted keys, without places and the numbers of times.
pub(super) fn of(decision: &Decision) -> String {
    let timed: Vec<bool> = decision.rules.iter().map(super::RuleResult::is_timed).collect();
    let mut value = serde_json::to_value(decision).unwrap_or_default();
    if let Some(Value::Array(rules)) = value.get_mut("rules") {
        for (rule, timed) in rules.iter_mut().zip(timed) {
            if let Value::Object(rule) = rule {
                rule.remove("place");
                if timed {
                    rule.retain(|key, _| OF_A_TIMED_RULE.contains(&key.as_str()));
                }
            }
        }
    }
    // The sentence that tells what decided may speak of times.
    if let Value::Object(map) = &mut value {
        map.remove("headline");
    }
    let mut text = String::new();
    write_sorted(&value, &mut text);
    sluicegate_value::hash::sha256(text)
}

fn write_sorted(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                sluicegate_value::json::write_string(key, out);
                out.push(':');
                write_sorted(item, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_sorted(item, out);
            }
            out.push(']');
        }
        Value::String(text) => sluicegate_value::json::write_string(text, out),
        other => out.push_str(&other.to_string()),
    }
}
