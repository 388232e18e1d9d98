//! A page that stands alone: no script, nothing fetched, drawings inline. Written so that XML parsers read it too.

use std::fmt::Write as _;

use super::diff::{self, DiffLine};
use super::{color, numbers, plot, text, xml};
use crate::{CaseRegression, Outcome, Receipt, RuleResult, RuleVerdict, Verdict};

/// How many cases the page holds.
const MOST_CASES: usize = 500;
const OUTPUT: usize = 20_000;
/// Browsers open larger pages slowly.
const MOST_BYTES: usize = 16 << 20;
const SENTENCE: usize = 1_000;

pub(super) const STYLE: &str = "
:root{color-scheme:light dark;--line:#8884;--good:#1a7f37;--bad:#cf222e;--doubt:#9a6700}
body{font:15px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.3rem 0;padding:.5rem;border:1px solid var(--line)}
.pass{color:var(--good)}.fail,.invalid,.aborted{color:var(--bad)}.inconclusive{color:var(--doubt)}.skipped,.advisory,.dim{opacity:.7}
.sides{display:grid;grid-template-columns:1fr 1fr;gap:1rem}.sides div{min-width:0}
.gone{background:#cf222e22}.new{background:#1a7f3722}
svg{display:block}svg text{font-size:10px;fill:currentColor}.axis{stroke:#888}.interval{stroke:#0969da;stroke-width:4}.estimate{fill:#0969da}
.limit{stroke:var(--bad);stroke-width:2;stroke-dasharray:4 2}.worse{fill:var(--bad)}.same{fill:#888}.better{fill:var(--good)}
";

/// The page.
#[must_use]
pub fn render(receipt: &Receipt) -> String {
    let decision = &receipt.decision;
    let title = color::title(decision.verdict, decision.unchanged);
    let flow = xml::one_line(&decision.flow, 200);
    let mut out = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\"><head><meta charset=\"utf-8\"/>",
    );
    // No word of a model may become a style either: the one sheet there is is named by its hash.
    let _ = write!(
        out,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'\"/>",
        base64_of_sha256(STYLE)
    );
    out.push_str(
        "<meta name=\"referrer\" content=\"no-referrer\"/><meta name=\"viewport\" content=\"width=device-width\"/>",
    );
    let _ = write!(out, "<title>{title}: {flow}</title><style>{STYLE}</style></head>\n<body>\n");
    let environment = decision.environment.as_deref().map(|name| format!(" ({})", xml::one_line(name, 100)));
    let _ = write!(
        out,
        "<h1><span class=\"{}\">{title}</span> {flow}{}</h1>\n<p>{}</p>\n<p class=\"dim\">{}</p>\n",
        class_of(decision.verdict),
        environment.unwrap_or_default(),
        xml::one_line(&decision.headline, SENTENCE),
        xml::one_line(&numbers::integrity(decision), SENTENCE),
    );
    rules(&mut out, &decision.rules);
    cases(&mut out, receipt);
    notes(&mut out, receipt);
    out.push_str("</body></html>\n");
    out
}

/// As policies for content name a sheet.
pub(super) fn base64_of_sha256(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let hex = sluicegate_value::hash::sha256(text);
    let bytes: Vec<u32> =
        (0..hex.len() / 2).filter_map(|at| u32::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()).collect();
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let at = |index: usize| three.get(index).copied().unwrap_or(0);
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for index in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * index) & 63) as usize];
            out.push(if index <= three.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

fn class_of(verdict: Verdict) -> &'static str {
    verdict.as_str()
}

fn rules(out: &mut String, rules: &[RuleResult]) {
    if rules.is_empty() {
        return;
    }
    out.push_str("<h2>Rules</h2>\n<table><thead><tr><th>rule</th><th>demands</th><th>measured</th><th>bounds</th><th>n</th><th>p</th><th>verdict</th><th>drawn</th></tr></thead><tbody>\n");
    for rule in rules {
        let p = match (rule.p_value, rule.p_adjusted) {
            (Some(raw), Some(adjusted)) => format!("{} ({} adjusted)", numbers::plain(raw), numbers::plain(adjusted)),
            (Some(raw), None) => numbers::plain(raw),
            _ => "–".to_owned(),
        };
        let would_be = rule.would_be.map(|verdict| format!(" (would be {verdict})")).unwrap_or_default();
        let method = if rule.method.is_empty() {
            String::new()
        } else {
            format!("<br/><span class=\"dim\">{}</span>", xml::one_line(&rule.method, 200))
        };
        let _ = writeln!(
            out,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}{method}</td><td>{}</td><td>{p}</td><td class=\"{}\">{} {}{would_be}</td><td>{}{}</td></tr>",
            xml::one_line(&rule.id, 200),
            xml::one_line(&numbers::demand(rule), 100),
            numbers::estimate(rule),
            numbers::interval(rule),
            rule.n,
            rule.verdict,
            color::sign(rule.verdict),
            rule.verdict,
            plot::interval(rule),
            plot::differences(rule),
        );
        if rule.verdict != RuleVerdict::Pass && !rule.words.is_empty() {
            let _ = writeln!(
                out,
                "<tr><td></td><td colspan=\"7\" class=\"dim\">{}</td></tr>",
                xml::one_line(&rule.words, SENTENCE)
            );
        }
    }
    out.push_str("</tbody></table>\n");
}

fn cases(out: &mut String, receipt: &Receipt) {
    let decision = &receipt.decision;
    if decision.regressions.is_empty() {
        return;
    }
    out.push_str("<h2>Worst cases</h2>\n");
    let mut shown = 0;
    for case in decision.regressions.iter().take(MOST_CASES) {
        if out.len() > MOST_BYTES {
            break;
        }
        of_case(out, receipt, case);
        shown += 1;
    }
    let more = decision.regressions_total.max(decision.regressions.len() as u64) - shown;
    if more > 0 {
        let _ = writeln!(out, "<p class=\"dim\">and {more} more</p>");
    }
}

fn of_case(out: &mut String, receipt: &Receipt, case: &CaseRegression) {
    let number = |number: Option<f64>| number.map_or_else(|| "missing".to_owned(), numbers::plain);
    let scores: Vec<String> = case
        .scores
        .iter()
        .map(|pair| {
            let metric = xml::one_line(pair.metric.as_str(), 200);
            format!("<code>{metric}</code> {} → {}", number(pair.baseline), number(pair.candidate))
        })
        .collect();
    let place = case.line.map_or_else(|| xml::one_line(case.key.as_str(), 60), |line| format!("line {line}"));
    let _ = writeln!(out, "<details><summary>{place}: {}</summary>", scores.join(", "));
    if !case.input.is_empty() {
        let _ = writeln!(out, "<p>asked: <code>{}</code></p>", xml::one_line(&case.input, SENTENCE));
    }
    match &case.outcome {
        Outcome::Answered => {}
        Outcome::Error(error) | Outcome::FilterFailed(error) => {
            let _ = writeln!(out, "<p class=\"fail\">failed: {}</p>", xml::one_line(error, SENTENCE));
        }
        Outcome::FilteredInput => out.push_str("<p class=\"fail\">a content filter refused the question</p>\n"),
        Outcome::FilteredOutput => out.push_str("<p class=\"fail\">a content filter kept the answer back</p>\n"),
    }
    let (before, after) = (case.baseline_output.as_deref(), case.candidate_output.as_deref());
    let before = before.map(|output| text::lines(output, OUTPUT));
    let after = after.map(|output| text::lines(output, OUTPUT));
    let lines = diff::compare(before.as_deref().unwrap_or(""), after.as_deref().unwrap_or(""));
    out.push_str("<div class=\"sides\">");
    let mut side = |title: &str, there: bool, changed: &str, mine: &dyn Fn(&DiffLine<'_>) -> bool| {
        let _ = write!(out, "<div><h3>{title}</h3>");
        if there {
            out.push_str("<pre>");
            for line in lines.iter().filter(|line| mine(line)) {
                let (class, line) = match line {
                    DiffLine::Same(line) => ("", line),
                    DiffLine::Gone(line) | DiffLine::New(line) => (changed, line),
                };
                let line = xml::escape(line);
                let _ = if class.is_empty() {
                    writeln!(out, "{line}")
                } else {
                    writeln!(out, "<span class=\"{class}\">{line}</span>")
                };
            }
            out.push_str("</pre>");
        } else {
            out.push_str("<p class=\"dim\">no answer</p>");
        }
        out.push_str("</div>");
    };
    side("was", before.is_some(), "gone", &|line| !matches!(line, DiffLine::New(_)));
    side("now", after.is_some(), "new", &|line| !matches!(line, DiffLine::Gone(_)));
    out.push_str("</div>\n");
    for pair in case.scores.iter().filter(|pair| !pair.reason.is_empty()) {
        let (metric, reason) = (xml::one_line(pair.metric.as_str(), 200), xml::lines(&pair.reason, SENTENCE));
        let _ = writeln!(out, "<p><code>{metric}</code>: {reason}</p>");
    }
    if let Some(trace) = receipt.about.traces.get(&case.key) {
        let _ = writeln!(out, "<p class=\"dim\">trace <code>{}</code></p>", xml::one_line(trace, 100));
    }
    out.push_str("</details>\n");
}

fn notes(out: &mut String, receipt: &Receipt) {
    let decision = &receipt.decision;
    let mut notes: Vec<String> = Vec::new();
    if let Some(models) = &decision.baseline.served_models {
        notes.push(format!(
            "the arms were answered by different models: {} before, {} now",
            models.baseline, models.candidate
        ));
    }
    if let Some(commit) = &decision.baseline.commit {
        notes.push(format!("baseline {commit}, {} cases in common", decision.baseline.common_cases));
    }
    notes.extend(Some(decision.baseline.note.clone()).filter(|note| !note.is_empty()));
    notes.extend(decision.warnings.iter().cloned());
    notes.extend(numbers::detectable(decision));
    notes.extend(Some(numbers::costs(&receipt.about.costs)).filter(|costs| !costs.is_empty()));
    if let (Some(p50), Some(p95)) = (receipt.about.latencies.p50_ms, receipt.about.latencies.p95_ms) {
        notes.push(format!("latency: p50 {}, p95 {}", numbers::milliseconds(p50), numbers::milliseconds(p95)));
    }
    notes.push(format!("decision {}", receipt.decision_hash));
    out.push_str("<h2>Notes</h2>\n<ul>\n");
    for note in notes.iter().take(200) {
        let _ = writeln!(out, "<li>{}</li>", xml::one_line(note, SENTENCE));
    }
    out.push_str("</ul>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_written_as_policies_want_it() {
        assert_eq!(base64_of_sha256("abc"), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    }
}
