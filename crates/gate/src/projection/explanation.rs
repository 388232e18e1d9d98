//! How a decision came about, for a terminal: the table, then each rule in words.

use super::terminal::{self, Piece, Style, StyledLine, defused};
use super::{numbers, text};
use crate::replay::{Replay, Replayed};
use crate::{Receipt, RuleResult, RuleVerdict};

/// How many characters of a name or a sentence are shown.
const SENTENCE: usize = 400;

/// The table, each rule in words, and whether the receipt is what it says it is.
#[must_use]
pub fn render(receipt: &Receipt, replay: &Replay) -> Vec<StyledLine> {
    let decision = &receipt.decision;
    let mut lines = terminal::render(receipt);
    lines.push(StyledLine::default());
    lines.push(line(Style::Bold, "how it was decided"));
    if let Some(alpha) = decision.policy.get("gate").and_then(|gate| gate.get("alpha")) {
        let adjust = decision.policy.get("gate").and_then(|gate| gate.get("adjust")?.as_str()).unwrap_or("none");
        let shared = match adjust {
            "none" => "each rule by itself",
            _ => "shared among the rules that may block",
        };
        lines.push(line(Style::Dim, format!("  chance of a false alarm {alpha}, {shared} ({adjust})")));
    }
    for rule in &decision.rules {
        lines.push(StyledLine::default());
        lines.extend(one(rule));
    }
    lines.push(StyledLine::default());
    lines.extend(trust(receipt, replay));
    lines
}

fn one(rule: &RuleResult) -> Vec<StyledLine> {
    let mut lines = Vec::new();
    let place = rule.place.as_ref().map(|place| format!(", {}:{}", place.file, place.line)).unwrap_or_default();
    let style = match rule.verdict {
        RuleVerdict::Pass => Style::Good,
        RuleVerdict::Fail => Style::Bad,
        RuleVerdict::Inconclusive => Style::Doubtful,
        RuleVerdict::Skipped | RuleVerdict::Advisory => Style::Dim,
    };
    lines.push(StyledLine(vec![
        Piece {
            style: Style::Plain,
            text: format!("  rule `{}` ({}{}): ", safe(&rule.id), safe(&rule.kind), safe(&place)),
        },
        Piece { style, text: rule.verdict.to_string() },
        Piece { style: Style::Plain, text: consequence(rule) },
    ]));
    let mut say = |name: &str, what: &str| {
        if !what.is_empty() {
            lines.push(line(Style::Plain, format!("    {name:<9} {}", safe(what))));
        }
    };
    let metric = rule.metric.as_ref().map(|metric| format!(" of {metric}")).unwrap_or_default();
    let only = rule.only.as_ref().map(|only| format!(", where {only}")).unwrap_or_default();
    say("demands", &format!("{}{metric}{only}", numbers::demand(rule)));
    say("measured", &measured(rule));
    say("by", &method(rule));
    say("luck", &luck(rule));
    say("why", &rule.words);
    let needed = numbers::needed(rule);
    if !rule.words.contains(&needed) {
        say("settled", &format!("by {needed}"));
    }
    lines
}

fn consequence(rule: &RuleResult) -> String {
    match (rule.verdict, rule.blocks) {
        (_, true) => ", blocks".to_owned(),
        (RuleVerdict::Inconclusive | RuleVerdict::Fail, false) => ", warns".to_owned(),
        (RuleVerdict::Advisory, false) => {
            rule.would_be.map(|would_be| format!(", would be {would_be}")).unwrap_or_default()
        }
        _ => String::new(),
    }
}

fn measured(rule: &RuleResult) -> String {
    if rule.estimate.is_none() && rule.n == 0 {
        return String::new();
    }
    let mut words = format!("{} over {} cases", numbers::estimate(rule), rule.n);
    if let (Some(was), Some(now)) = (rule.baseline_estimate, rule.candidate_estimate) {
        words.push_str(&format!(" ({} before, {} now)", numbers::plain(was), numbers::plain(now)));
    }
    if rule.lower.is_some() || rule.upper.is_some() {
        words.push_str(&format!(", bounds {}", numbers::interval(rule)));
    }
    words
}

fn method(rule: &RuleResult) -> String {
    if rule.method.is_empty() {
        return String::new();
    }
    let mut words = rule.method.clone();
    if let Some(confidence) = rule.confidence {
        words.push_str(&format!(", each bound with confidence {}", numbers::plain(confidence)));
    }
    if let Some(error) = rule.standard_error {
        words.push_str(&format!(", standard error {}", numbers::plain(error)));
    }
    if let Some(seed) = rule.seed {
        words.push_str(&format!(", seed {seed}"));
    }
    words
}

fn luck(rule: &RuleResult) -> String {
    let Some(p) = rule.p_value else { return String::new() };
    let mut words = format!("one that keeps the rule looks so bad with probability {}", numbers::plain(p));
    if let Some(adjusted) = rule.p_adjusted.filter(|adjusted| *adjusted != p) {
        words.push_str(&format!(", adjusted for all rules {}", numbers::plain(adjusted)));
    }
    words
}

/// Whether the receipt is what it says it is.
fn trust(receipt: &Receipt, replay: &Replay) -> Vec<StyledLine> {
    let mut lines = Vec::new();
    if replay.hash_holds {
        lines.push(line(
            Style::Good,
            format!("hash {}: the decision is as it was written", safe(&replay.computed_hash)),
        ));
    } else {
        lines.push(line(Style::Bad, "the decision was changed after it was written".to_owned()));
        lines.push(line(Style::Plain, format!("  written {}", safe(&receipt.decision_hash))));
        lines.push(line(Style::Plain, format!("  now     {}", safe(&replay.computed_hash))));
    }
    match &replay.replayed {
        Replayed::Same { look: None } => {
            lines.push(line(Style::Good, "judged again from the kept evidence: the same decision".to_owned()));
        }
        Replayed::Same { look: Some([at, of]) } => {
            let words = format!("judged again from the kept evidence, at look {at} of {of}: the same decision");
            lines.push(line(Style::Good, words));
        }
        Replayed::Differs(differences) => {
            lines.push(line(Style::Bad, "judged again from the kept evidence: another decision".to_owned()));
            lines.extend(differences.iter().map(|words| line(Style::Plain, format!("  {}", safe(words)))));
        }
        Replayed::NotPossible(why) => {
            lines.push(line(Style::Dim, format!("it cannot be judged again: {}", safe(why))));
        }
    }
    lines
}

fn line(style: Style, text: impl Into<String>) -> StyledLine {
    StyledLine(vec![Piece { style, text: text.into() }])
}

fn safe(sentence: &str) -> String {
    defused(&text::one_line(sentence, SENTENCE))
}
