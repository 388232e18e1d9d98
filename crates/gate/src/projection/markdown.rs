//! Markdown: the escaping, and the report of which the step summary and the comment are shorter forms.

use std::fmt::Write as _;

use super::diff::{self, DiffLine};
use super::{color, numbers, text};
use crate::{CaseRegression, Outcome, Receipt, RuleResult, RuleVerdict};

/// How much of a receipt a report holds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes.
    pub bytes: usize,
    /// The most cases.
    pub cases: usize,
    /// The most characters of each output.
    pub output: usize,
}

/// The report as a file for people.
#[must_use]
pub fn render(receipt: &Receipt) -> String {
    document(receipt, "", Limits { bytes: 8 << 20, cases: 1_000, output: 20_000 })
}

/// How many characters a sentence or a name may have.
const SENTENCE: usize = 600;
/// How many characters of a reason are shown.
const REASON: usize = 1_000;
/// Room that is kept for the notes that something was left out.
const NOTES: usize = 600;

/// The report after `marker`, within `limits`: whole rows and whole cases are left out, and it is said.
pub(super) fn document(receipt: &Receipt, marker: &str, limits: Limits) -> String {
    let decision = &receipt.decision;
    let mut page = Page { out: String::new(), limit: limits.bytes.saturating_sub(NOTES), full: false };
    page.push(marker);
    let environment =
        decision.environment.as_deref().map(|name| format!(" ({})", inline(name, 80))).unwrap_or_default();
    page.push(&format!(
        "## {} {}: {}{environment}\n\n{}\n\n",
        color::verdict_emoji(decision.verdict),
        color::title(decision.verdict, decision.unchanged),
        inline(&decision.flow, 120),
        inline(&decision.headline, SENTENCE),
    ));
    page.push(&format!("{}\n\n", inline(&numbers::integrity(decision), SENTENCE)));
    rule_table(&mut page, &decision.rules);
    let words: Vec<&RuleResult> =
        decision.rules.iter().filter(|rule| rule.verdict != RuleVerdict::Pass && !rule.words.is_empty()).collect();
    for rule in &words {
        page.push(&format!(
            "- {} {}: {}\n",
            color::emoji(rule.verdict),
            code(&rule.id, 120),
            inline(&rule.words, SENTENCE)
        ));
    }
    if !words.is_empty() {
        page.push("\n");
    }
    cases(&mut page, receipt, limits);
    notes(&mut page, receipt);
    let full = page.full;
    let mut out = page.out;
    if full {
        out.push_str("\n> This report was shortened to fit.");
        match &receipt.about.report_url {
            Some(url) => match address(url) {
                Some(url) => {
                    let _ = writeln!(out, " [The full report]({url})");
                }
                None => out.push_str(" The full one is among the artifacts of this run.\n"),
            },
            None => out.push_str(" The full one is among the artifacts of this run.\n"),
        }
    }
    out
}

/// A text within a paragraph or a cell of a table: nothing in it is Markdown, HTML, a mention or a link.
#[must_use]
pub fn inline(text: &str, limit: usize) -> String {
    let line = text::one_line(text, limit);
    let mut out = String::with_capacity(line.len() + line.len() / 4);
    let mut before = ' ';
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied().unwrap_or(' ');
        match letter {
            // Mentions are looked for in the rendered text, where an entity is the character itself: something must
            // stand between the sign and the name.
            '@' => out.push_str("&#64;&#8203;"),
            '#' if next.is_ascii_digit() => out.push_str("&#35;&#8203;"),
            '_' if before.is_alphanumeric() && next.is_alphanumeric() => out.push('_'),
            ':' if next == ' ' => out.push(':'),
            '.' if before.eq_ignore_ascii_case(&'w') => out.push_str("&#46;"),
            '&' | '<' | '>' | '"' | '\'' | '`' | '*' | '_' | '~' | '[' | ']' | '!' | '|' | '\\' | '#' | ':' | '$'
            | '{' | '}' => {
                let _ = write!(out, "&#{};", u32::from(letter));
            }
            _ => out.push(letter),
        }
        before = letter;
    }
    out
}

/// The same, in the face of code.
#[must_use]
pub fn code(text: &str, limit: usize) -> String {
    format!("<code>{}</code>", inline(text, limit))
}

/// Lines in a fence that nothing in them can close.
pub(super) fn fenced(content: &str, language: &str) -> String {
    let longest = content.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let end = if content.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{language}\n{content}{end}{fence}\n")
}

/// An address that may stand in a link.
fn address(url: &str) -> Option<String> {
    let plain = url.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/?#&=%+".contains(&byte));
    ((url.starts_with("https://") || url.starts_with("http://")) && plain && url.len() < 2_000).then(|| url.to_owned())
}

/// A text that grows up to a limit.
struct Page {
    out: String,
    limit: usize,
    full: bool,
}

impl Page {
    fn fits(&self, bytes: usize) -> bool {
        self.out.len() + bytes <= self.limit
    }

    /// Adds a whole block, or nothing.
    fn push(&mut self, block: &str) -> bool {
        let fits = self.fits(block.len());
        if fits {
            self.out.push_str(block);
        } else {
            self.full = true;
        }
        fits
    }
}

fn rule_table(page: &mut Page, rules: &[RuleResult]) {
    if rules.is_empty() {
        return;
    }
    page.push("| | rule | demands | measured | bounds | n | p | verdict |\n|---|---|---|---:|---|---:|---:|---|\n");
    for (at, rule) in rules.iter().enumerate() {
        let verdict = match rule.would_be {
            Some(would_be) => format!("{} (would be {would_be})", rule.verdict),
            None if rule.verdict == RuleVerdict::Inconclusive && !rule.blocks => "inconclusive, warns".to_owned(),
            None => rule.verdict.to_string(),
        };
        let row = format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |\n",
            color::emoji(rule.verdict),
            code(&rule.id, 120),
            inline(&numbers::demand(rule), 80),
            numbers::estimate(rule),
            numbers::interval(rule),
            rule.n,
            rule.p_adjusted.or(rule.p_value).map_or_else(|| "–".to_owned(), numbers::plain),
            verdict,
        );
        if !page.push(&row) {
            let _ = write!(page.out, "\n… and {} more rules\n", rules.len() - at);
            break;
        }
    }
    page.push("\n");
}

fn cases(page: &mut Page, receipt: &Receipt, limits: Limits) {
    let decision = &receipt.decision;
    if decision.regressions.is_empty() || limits.cases == 0 {
        return;
    }
    page.push("### Worst cases\n\n");
    let mut shown = 0;
    for case in decision.regressions.iter().take(limits.cases) {
        if !page.push(&of_case(case, limits.output)) {
            break;
        }
        shown += 1;
    }
    let more = decision.regressions_total.max(decision.regressions.len() as u64) - shown;
    if more > 0 {
        // Within the room that is kept for notes.
        let _ = write!(page.out, "… and {more} more cases\n\n");
    }
}

fn of_case(case: &CaseRegression, output: usize) -> String {
    let place = case.line.map_or_else(|| code(case.key.as_str(), 40), |line| format!("line {line}"));
    let scores: Vec<String> = case
        .scores
        .iter()
        .take(20)
        .map(|pair| {
            let number = |number: Option<f64>| number.map_or_else(|| "missing".to_owned(), numbers::plain);
            let metric = code(pair.metric.as_str(), 120);
            match pair.baseline {
                Some(_) => format!("{metric} {} → {}", number(pair.baseline), number(pair.candidate)),
                None => format!("{metric} {}", number(pair.candidate)),
            }
        })
        .collect();
    let mut out = format!("<details><summary>{place}: {}</summary>\n\n", scores.join(", "));
    if !case.input.is_empty() {
        let _ = write!(out, "asked: {}\n\n", code(&case.input, 400));
    }
    match &case.outcome {
        Outcome::Error(error) | Outcome::FilterFailed(error) => {
            let _ = write!(out, "failed: {}\n\n", code(error, REASON));
        }
        Outcome::FilteredInput => out.push_str("a content filter refused the question\n\n"),
        Outcome::FilteredOutput => out.push_str("a content filter kept the answer back\n\n"),
        Outcome::Answered => {}
    }
    match (&case.baseline_output, &case.candidate_output) {
        (Some(before), Some(after)) => {
            let (before, after) = (text::lines(before, output), text::lines(after, output));
            let mut lines = String::new();
            for line in diff::compare(&before, &after) {
                let (sign, line) = match line {
                    DiffLine::Same(line) => (' ', line),
                    DiffLine::Gone(line) => ('-', line),
                    DiffLine::New(line) => ('+', line),
                };
                let _ = writeln!(lines, "{sign} {line}");
            }
            out.push_str(&fenced(&lines, "diff"));
        }
        (None, Some(only)) | (Some(only), None) => {
            let sign = if case.candidate_output.is_some() { '+' } else { '-' };
            let mut lines = String::new();
            for line in text::lines(only, output).lines() {
                let _ = writeln!(lines, "{sign} {line}");
            }
            out.push_str(&fenced(&lines, "diff"));
        }
        (None, None) => {}
    }
    for pair in case.scores.iter().filter(|pair| !pair.reason.is_empty()).take(5) {
        let _ = write!(out, "\n{}: {}\n", code(pair.metric.as_str(), 120), inline(&pair.reason, REASON));
    }
    out.push_str("\n</details>\n\n");
    out
}

fn notes(page: &mut Page, receipt: &Receipt) {
    let decision = &receipt.decision;
    let baseline = &decision.baseline;
    let mut notes = Vec::new();
    if let Some(models) = &baseline.served_models {
        // First, since nothing else explains as much.
        notes.push(format!(
            "**the arms were answered by different models**: {} before, {} now",
            code(&models.baseline, 120),
            code(&models.candidate, 120)
        ));
    }
    if let Some(commit) = &baseline.commit {
        let instead = baseline.wanted_commit.as_deref().map(|wanted| format!(" (in place of {})", code(wanted, 40)));
        let cases = baseline.common_cases;
        notes.push(format!("baseline {}{}, {cases} cases in common", code(commit, 40), instead.unwrap_or_default()));
    }
    if !baseline.note.is_empty() {
        notes.push(format!("baseline: {}", inline(&baseline.note, SENTENCE)));
    }
    notes.extend(decision.warnings.iter().take(50).map(|warning| inline(warning, SENTENCE)));
    notes.extend(numbers::detectable(decision).iter().map(|line| inline(line, SENTENCE)));
    for metric in decision.integrity.metrics.iter().filter(|metric| metric.missing > 0).take(20) {
        if let (Some(mean), Some(worst)) = (metric.mean, metric.worst_case) {
            let name = code(metric.metric.as_str(), 120);
            let (mean, worst) = (numbers::plain(mean), numbers::plain(worst));
            notes
                .push(format!("{name}: {mean} without the {} missing, {worst} if all of them are bad", metric.missing));
        }
    }
    notes.extend(Some(inline(&numbers::costs(&receipt.about.costs), SENTENCE)).filter(|costs| !costs.is_empty()));
    if notes.is_empty() {
        return;
    }
    for note in notes {
        page.push(&format!("- {note}\n"));
    }
    page.push(&format!(
        "\n<sub>decision {}</sub>\n",
        code(&receipt.decision_hash.chars().take(16).collect::<String>(), 16)
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mention_does_not_become_one() {
        assert_eq!(inline("ask @team, see #12", 99), "ask &#64;&#8203;team, see &#35;&#8203;12");
    }

    #[test]
    fn names_stay_readable() {
        assert_eq!(inline("exact_match: 0.8", 99), "exact_match: 0.8");
        assert_eq!(inline("_a_ *b* a|b", 99), "&#95;a&#95; &#42;b&#42; a&#124;b");
    }

    #[test]
    fn a_fence_is_longer_than_what_it_holds() {
        assert_eq!(fenced("a\n````\nb", "diff"), "`````diff\na\n````\nb\n`````\n");
    }
}
