//! JUnit XML: a suite of the rules, and a suite of the cases.
//!
//! A failed assertion is a `failure`, trouble that has nothing to do with quality an `error`, what was not judged is
//! `skipped`. A case that passes in some of its repeats only is told as nextest and Surefire tell it: `flakyFailure`
//! where the majority passes, `rerunFailure` where it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::xml;
use crate::{Arm, Case, CaseKey, CaseRegression, Outcome, Receipt, RuleVerdict, Score, ScoreValue, Verdict};

/// Readers of such files hold them in memory: more cases than these are counted, not listed.
const MOST_CASES: usize = 20_000;
const MOST_BYTES: usize = 32 << 20;
const MESSAGE: usize = 300;
const OUTPUT: usize = 4_000;

/// The file.
#[must_use]
pub fn render(receipt: &Receipt) -> String {
    let decision = &receipt.decision;
    let suites = [rules(receipt), cases(receipt)];
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let sum = |count: fn(&Suite) -> usize| -> usize { suites.iter().map(count).sum() };
    let _ = writeln!(
        out,
        "<testsuites name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\">",
        xml::one_line(&decision.flow, MESSAGE),
        sum(|suite| suite.tests),
        sum(|suite| suite.failures),
        sum(|suite| suite.errors),
    );
    for suite in suites.iter().filter(|suite| suite.tests > 0) {
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">\n{}  </testsuite>",
            xml::one_line(&suite.name, MESSAGE),
            suite.tests,
            suite.failures,
            suite.errors,
            suite.skipped,
            suite.body
        );
    }
    out.push_str("</testsuites>\n");
    out
}

#[derive(Default)]
struct Suite {
    name: String,
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    body: String,
}

impl Suite {
    /// Adds a test with what is inside of its element; `inside` is XML already.
    fn push(&mut self, class: &str, name: &str, seconds: Option<f64>, inside: &str) {
        self.tests += 1;
        let time = seconds.map(|seconds| format!(" time=\"{seconds:.3}\"")).unwrap_or_default();
        let (class, name) = (xml::one_line(class, MESSAGE), xml::one_line(name, MESSAGE));
        let _ = if inside.is_empty() {
            writeln!(self.body, "    <testcase classname=\"{class}\" name=\"{name}\"{time}/>")
        } else {
            writeln!(self.body, "    <testcase classname=\"{class}\" name=\"{name}\"{time}>\n{inside}    </testcase>")
        };
    }
}

fn element(tag: &str, kind: &str, message: &str, content: &str) -> String {
    let (kind, message) = (xml::one_line(kind, 80), xml::one_line(message, MESSAGE));
    format!("      <{tag} type=\"{kind}\" message=\"{message}\">{}</{tag}>\n", xml::lines(content, OUTPUT))
}

fn rules(receipt: &Receipt) -> Suite {
    let decision = &receipt.decision;
    let mut suite = Suite { name: format!("{}: gate", decision.flow), ..Suite::default() };
    let class = format!("{}.gate", decision.flow);
    for rule in &decision.rules {
        let inside = match rule.verdict {
            RuleVerdict::Pass => String::new(),
            RuleVerdict::Fail | RuleVerdict::Inconclusive if rule.blocks => {
                suite.failures += 1;
                element("failure", rule.verdict.as_str(), &rule.words, &rule.words)
            }
            _ => {
                suite.skipped += 1;
                format!(
                    "      <skipped message=\"{}\"/>\n",
                    xml::one_line(&format!("{}: {}", rule.verdict, rule.words), MESSAGE)
                )
            }
        };
        suite.push(&class, &rule.id, None, &inside);
    }
    if matches!(decision.verdict, Verdict::Invalid | Verdict::Aborted) {
        suite.errors += 1;
        let inside = element("error", decision.verdict.as_str(), &decision.headline, &decision.warnings.join("\n"));
        suite.push(&class, "evidence", None, &inside);
    }
    suite
}

fn cases(receipt: &Receipt) -> Suite {
    let decision = &receipt.decision;
    let mut suite = Suite { name: format!("{}: cases", decision.flow), ..Suite::default() };
    let worse: BTreeMap<&CaseKey, &CaseRegression> =
        decision.regressions.iter().map(|case| (&case.key, case)).collect();
    let Some(evidence) = &receipt.evidence else {
        for case in decision.regressions.iter().take(MOST_CASES) {
            suite.failures += 1;
            let inside =
                element("failure", "regression", &reasons(case), case.candidate_output.as_deref().unwrap_or(""));
            suite.push(&decision.flow, &name(case.line, &case.key), None, &inside);
        }
        return suite;
    };
    for repeats in by_case(&evidence.candidate).into_iter().take(MOST_CASES) {
        if suite.body.len() > MOST_BYTES {
            break;
        }
        of_case(&mut suite, &decision.flow, &repeats, worse.get(&repeats[0].0.key).copied());
    }
    suite
}

/// A case's repeats, each with its scores; cases in the order of the data.
type Repeats<'a> = Vec<(&'a Case, Vec<&'a Score>)>;

fn by_case(arm: &Arm) -> Vec<Repeats<'_>> {
    let mut scores: BTreeMap<(&CaseKey, u32), Vec<&Score>> = BTreeMap::new();
    for score in &arm.scores {
        scores.entry((&score.case, score.repeat)).or_default().push(score);
    }
    let mut order = Vec::new();
    let mut cases: BTreeMap<&CaseKey, Repeats<'_>> = BTreeMap::new();
    for case in &arm.cases {
        let repeats = cases.entry(&case.key).or_insert_with(|| {
            order.push(&case.key);
            Vec::new()
        });
        repeats.push((case, scores.remove(&(&case.key, case.repeat)).unwrap_or_default()));
    }
    order.into_iter().filter_map(|key| cases.remove(key)).collect()
}

fn of_case(suite: &mut Suite, class: &str, repeats: &Repeats<'_>, worse: Option<&CaseRegression>) {
    let Some((first, _)) = repeats.first() else { return };
    let name = name(first.line, &first.key);
    let times: Vec<f64> = repeats.iter().filter_map(|(case, _)| case.latency_ms).collect();
    let seconds = (!times.is_empty()).then(|| times.iter().sum::<f64>() / 1000.0);
    let failed: Vec<String> = repeats.iter().filter_map(|(_, scores)| failed_scores(scores)).collect();
    let errors: BTreeSet<&str> = repeats
        .iter()
        .filter_map(|(case, _)| match &case.outcome {
            Outcome::Error(error) | Outcome::FilterFailed(error) => Some(error.as_str()),
            _ => None,
        })
        .collect();
    let output = first.output.as_str();
    let inside = if let Some(error) = errors.iter().next() {
        suite.errors += 1;
        element("error", "infrastructure", error, "")
    } else if failed.len() * 2 >= repeats.len() && !failed.is_empty() {
        suite.failures += 1;
        let mut inside = element("failure", "score", &failed[0], output);
        failed.iter().skip(1).for_each(|message| inside.push_str(&element("rerunFailure", "score", message, "")));
        inside
    } else if let Some(case) = worse {
        suite.failures += 1;
        element("failure", "regression", &reasons(case), output)
    } else if repeats.iter().all(|(case, _)| case.outcome.is_filtered()) {
        suite.skipped += 1;
        "      <skipped message=\"filtered\"/>\n".to_owned()
    } else if repeats.iter().all(|(_, scores)| scores.iter().all(|score| score.value.number().is_none())) {
        suite.skipped += 1;
        "      <skipped message=\"not scored\"/>\n".to_owned()
    } else {
        failed.iter().map(|message| element("flakyFailure", "score", message, "")).collect()
    };
    suite.push(class, &name, seconds, &inside);
}

/// What is wrong with one answer, in words; `None` if nothing is.
fn failed_scores(scores: &[&Score]) -> Option<String> {
    let failed: Vec<String> = scores
        .iter()
        .filter(|score| !score.passed.unwrap_or(score.value != ScoreValue::Bool(false)))
        .map(|score| {
            let number = score.value.number().map_or_else(|| "missing".to_owned(), super::numbers::plain);
            let reason = if score.reason.is_empty() { String::new() } else { format!(" ({})", score.reason) };
            format!("{} {number}{reason}", score.metric)
        })
        .collect();
    (!failed.is_empty()).then(|| failed.join(", "))
}

fn name(line: Option<u64>, key: &CaseKey) -> String {
    match line {
        Some(line) => format!("line {line} ({})", key.as_str().chars().take(12).collect::<String>()),
        None => key.as_str().to_owned(),
    }
}

fn reasons(case: &CaseRegression) -> String {
    let number = |number: Option<f64>| number.map_or_else(|| "missing".to_owned(), super::numbers::plain);
    let scores = case
        .scores
        .iter()
        .map(|pair| format!("{} {} → {}", pair.metric, number(pair.baseline), number(pair.candidate)));
    scores.collect::<Vec<_>>().join(", ")
}
