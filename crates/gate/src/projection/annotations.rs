//! Workflow commands that mark lines of files in a pull request.

use std::fmt::Write as _;

use super::{numbers, text};
use crate::{CaseRegression, Outcome, Receipt, RuleVerdict};

/// How many a runner shows for each step; more are dropped silently, so the worst come first.
pub const MOST: usize = 10;

const MESSAGE: usize = 600;

/// At most `most` annotations (never more than [`MOST`]): rules that block, then cases, the worst first; the last says
/// how many there are besides.
#[must_use]
pub fn render(receipt: &Receipt, most: usize) -> String {
    let most = most.min(MOST);
    if most == 0 {
        return String::new();
    }
    let mut all = rules(receipt);
    let known = all.len() as u64 + receipt.decision.regressions_total.max(receipt.decision.regressions.len() as u64);
    let room = if known > most as u64 { most - 1 } else { most };
    all.extend(receipt.decision.regressions.iter().take(room).map(|case| of_case(receipt, case)));
    all.truncate(room);
    let left_out = known - all.len() as u64;
    if left_out > 0 {
        all.push(Annotation {
            level: "notice",
            place: None,
            title: "sluicegate".to_owned(),
            message: format!("{left_out} more; see the report of this run"),
        });
    }
    all.iter().fold(String::new(), |mut out, annotation| {
        annotation.write(&mut out);
        out
    })
}

struct Annotation {
    level: &'static str,
    place: Option<(String, u64)>,
    title: String,
    message: String,
}

fn rules(receipt: &Receipt) -> Vec<Annotation> {
    let decision = &receipt.decision;
    let mut all = Vec::new();
    if decision.blocks && !decision.rules.iter().any(|rule| rule.blocks) {
        all.push(Annotation {
            level: "error",
            place: receipt.about.evaluation_file.clone().map(|file| (file, 1)),
            title: format!("{}: {}", decision.flow, decision.verdict),
            message: decision.headline.clone(),
        });
    }
    let mut rules: Vec<_> = decision
        .rules
        .iter()
        .filter(|rule| rule.blocks || matches!(rule.verdict, RuleVerdict::Fail | RuleVerdict::Inconclusive))
        .collect();
    rules.sort_by_key(|rule| (!rule.blocks, rule.verdict != RuleVerdict::Fail));
    all.extend(rules.into_iter().map(|rule| {
        let needed = numbers::needed(rule);
        let needed = if needed.is_empty() || rule.words.contains(&needed) {
            String::new()
        } else {
            format!(" It takes {needed}.")
        };
        Annotation {
            level: if rule.blocks { "error" } else { "warning" },
            place: rule.place.as_ref().map(|place| (place.file.to_string(), place.line)),
            title: format!("{}: {} {}", decision.flow, rule.id, rule.verdict),
            message: format!("{}{needed}", rule.words),
        }
    }));
    all
}

fn of_case(receipt: &Receipt, case: &CaseRegression) -> Annotation {
    let scores: Vec<String> = case
        .scores
        .iter()
        .map(|pair| {
            let number = |number: Option<f64>| number.map_or_else(|| "missing".to_owned(), numbers::plain);
            format!("{} {} → {}", pair.metric, number(pair.baseline), number(pair.candidate))
        })
        .collect();
    let mut message = scores.join(", ");
    match (&case.outcome, &case.candidate_output) {
        (Outcome::Error(error), _) => message.push_str(&format!("\nfailed: {}", text::one_line(error, MESSAGE / 3))),
        (_, Some(output)) => message.push_str(&format!("\nnow: {}", text::one_line(output, MESSAGE / 3))),
        _ => {}
    }
    if let Some(output) = &case.baseline_output {
        message.push_str(&format!("\nwas: {}", text::one_line(output, MESSAGE / 3)));
    }
    Annotation {
        level: "warning",
        place: receipt.about.data_file.clone().zip(case.line),
        title: format!("{}: a case got worse", receipt.decision.flow),
        message,
    }
}

impl Annotation {
    fn write(&self, out: &mut String) {
        let place = match &self.place {
            Some((file, line)) => format!("file={},line={line},", property(&text::one_line(file, 300))),
            None => String::new(),
        };
        let title = property(&text::one_line(&self.title, 120));
        let message = data(&text::lines(&self.message, MESSAGE));
        let _ = writeln!(out, "::{} {place}title={title}::{message}", self.level);
    }
}

/// Escapes the message of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
