//! Numbers as people read them.

use crate::{Costs, Decision, RuleResult, Unit};

/// A number with at most four digits after the point, and no zeros at its end.
pub(super) fn plain(number: f64) -> String {
    if !number.is_finite() {
        return "–".to_owned();
    }
    let decimals = if number.abs() >= 100.0 {
        1
    } else if number.abs() >= 10.0 {
        2
    } else {
        4
    };
    let text = format!("{number:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

pub(super) fn signed(number: f64) -> String {
    let text = plain(number);
    if number > 0.0 && text != "0" { format!("+{text}") } else { text }
}

pub(super) fn percent(share: f64) -> String {
    format!("{}%", plain((share * 1e4).round() / 1e2))
}

pub(super) fn usd(amount: f64) -> String {
    if amount != 0.0 && amount.abs() < 0.01 {
        format!("${}", plain((amount * 1e6).round() / 1e6))
    } else {
        format!("${amount:.2}")
    }
}

pub(super) fn milliseconds(number: f64) -> String {
    if number >= 10_000.0 { format!("{}s", plain(number / 1000.0)) } else { format!("{}ms", number.round()) }
}

pub(super) fn in_unit(unit: Unit, number: f64) -> String {
    match unit {
        Unit::Score | Unit::Cases => plain(number),
        Unit::Share => percent(number),
        Unit::Usd => usd(number),
        Unit::Milliseconds => milliseconds(number),
        Unit::Ratio => format!("{}x", plain(number)),
    }
}

/// What was measured: the estimate, or the difference with its sign.
pub(super) fn estimate(rule: &RuleResult) -> String {
    match rule.estimate {
        None => "–".to_owned(),
        Some(number) if rule.kind == "no_regression" => signed(number),
        Some(number) => in_unit(rule.unit, number),
    }
}

/// `0.74 … 0.91`, or what there is of it.
pub(super) fn interval(rule: &RuleResult) -> String {
    match (rule.lower, rule.upper) {
        (None, None) => "–".to_owned(),
        (lower, upper) => {
            let end = |end: Option<f64>| end.map_or_else(|| "–".to_owned(), |number| in_unit(rule.unit, number));
            format!("{} … {}", end(lower), end(upper))
        }
    }
}

/// What the rule demands: `>= 0.8`, or `> -0.05` for a margin.
pub(super) fn demand(rule: &RuleResult) -> String {
    match rule.margin {
        Some(margin) if rule.threshold.is_empty() => format!("drop < {}", plain(margin)),
        _ if rule.threshold.is_empty() => "–".to_owned(),
        _ => rule.threshold.clone(),
    }
}

/// "31 more cases, or 2 repeats, about $0.40"; empty if nothing is known that would settle it.
pub(super) fn needed(rule: &RuleResult) -> String {
    rule.needed.as_ref().map(ToString::to_string).unwrap_or_default()
}

impl std::fmt::Display for crate::Needed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        if let Some(cases) = self.more_cases {
            parts.push(format!("{cases} more {}", if cases == 1 { "case" } else { "cases" }));
        }
        if let Some(repeats) = self.repeats {
            let word = if repeats == 1 { "repeat" } else { "repeats" };
            parts.push(if parts.is_empty() { format!("{repeats} {word}") } else { format!("or {repeats} {word}") });
        }
        if let Some(amount) = self.usd.filter(|_| !parts.is_empty()) {
            parts.push(format!("about {}", usd(amount)));
        }
        out.write_str(&parts.join(", "))
    }
}

/// "50 cases: 47 scored, 3 missing (2 failed, 1 filtered)".
pub(super) fn integrity(decision: &Decision) -> String {
    let integrity = &decision.integrity;
    let mut words = format!("{} cases: {} scored", integrity.cases, integrity.scored);
    if integrity.missing > 0 {
        let filtered = integrity.filtered_input + integrity.filtered_output;
        let parts: Vec<String> =
            [(integrity.errors, "failed"), (filtered, "filtered"), (integrity.unscored, "unscored")]
                .into_iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, word)| format!("{count} {word}"))
                .collect();
        words.push_str(&format!(", {} missing", integrity.missing));
        if !parts.is_empty() {
            words.push_str(&format!(" ({})", parts.join(", ")));
        }
    }
    if let Some(share) = integrity.error_share.filter(|share| *share > 0.0) {
        words.push_str(&format!("; errors {} (limit {})", percent(share), integrity.error_limit));
    }
    words
}

/// "cost: $0.31 target, $0.12 judge; $0.52 at list price, 12 answers from the cache"; empty if nothing is known.
pub(super) fn costs(costs: &Costs) -> String {
    let mut parts = Vec::new();
    if let Some(amount) = costs.target_usd {
        parts.push(format!("{} target", usd(amount)));
    }
    if let Some(amount) = costs.judge_usd {
        parts.push(format!("{} judge", usd(amount)));
    }
    if let Some(amount) = costs.list_usd {
        parts.push(format!("{} at list price", usd(amount)));
    }
    if costs.cached > 0 {
        parts.push(format!("{} answers from the cache", costs.cached));
    }
    if costs.unpriced > 0 {
        parts.push(format!("{} calls without a known price", costs.unpriced));
    }
    if let Some(amount) = costs.budget_usd {
        parts.push(format!("budget {}", usd(amount)));
    }
    if parts.is_empty() { String::new() } else { format!("cost: {}", parts.join(", ")) }
}

/// "power of exact_match: with 50 cases a drop of 0.12 or more is seen four times out of five (margin 0.05)" for each
/// comparison. A name never stands at the beginning of a line.
pub(super) fn detectable(decision: &Decision) -> Vec<String> {
    let rules = decision.rules.iter().filter_map(|rule| Some((rule, rule.detectable?)));
    rules
        .map(|(rule, drop)| {
            let margin = rule.margin.map(|margin| format!(" (margin {})", plain(margin))).unwrap_or_default();
            let name = rule.metric.as_ref().map_or(rule.id.as_str(), |metric| metric.as_str());
            format!(
                "power of {name}: with {} cases a drop of {} or more is seen four times out of five{margin}",
                rule.n,
                plain(drop)
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Needed;

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.8, 1.0 / 3.0, 12.345, 1234.56, -0.00001, f64::NAN].map(plain),
            ["0.8", "0.3333", "12.35", "1234.6", "0", "–"]
        );
        assert_eq!([0.4, 0.004, 0.0, 12.0].map(usd), ["$0.40", "$0.004", "$0.00", "$12.00"]);
        assert_eq!([0.5, 0.123_456, 0.02].map(percent), ["50%", "12.35%", "2%"]);
    }

    #[test]
    fn what_would_settle_it() {
        let needed = Needed { more_cases: Some(31), repeats: Some(2), usd: Some(0.4) };
        assert_eq!(needed.to_string(), "31 more cases, or 2 repeats, about $0.40");
        assert_eq!(Needed { more_cases: Some(1), ..Needed::default() }.to_string(), "1 more case");
        assert_eq!(Needed { usd: Some(1.0), ..Needed::default() }.to_string(), "");
    }
}
