//! The table for a terminal: plain text in spans that say what they mean; whoever prints paints them, or does not.

use super::{color, numbers, text};
use crate::{CaseRegression, Receipt, RuleResult, RuleVerdict, Verdict};

/// What a piece of text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Style {
    /// Nothing in particular.
    Plain,
    /// A heading.
    Bold,
    /// Of less interest.
    Dim,
    /// Good.
    Good,
    /// Bad.
    Bad,
    /// To be looked at.
    Doubtful,
}

/// A piece of text with its meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What it means.
    pub style: Style,
    /// The text: one line, nothing invisible in it.
    pub text: String,
}

/// A line for the terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StyledLine(pub Vec<Piece>);

/// How many regressions a terminal shows.
const MOST_REGRESSIONS: usize = 5;
/// How many characters of an output it shows.
const OUTPUT: usize = 160;
/// How many characters of a name or a sentence of ours (rules are named by their author).
const SENTENCE: usize = 400;

/// The verdict, the table of rules, the worst regressions, what to know besides.
#[must_use]
pub fn render(receipt: &Receipt) -> Vec<StyledLine> {
    let decision = &receipt.decision;
    let mut lines = vec![headline(receipt)];
    lines.push(StyledLine::of(Style::Dim, format!("  {}", safe(&numbers::integrity(decision)))));
    if !decision.rules.is_empty() {
        lines.push(StyledLine::default());
        lines.extend(table(&decision.rules));
    }
    let words: Vec<&RuleResult> =
        decision.rules.iter().filter(|rule| rule.verdict != RuleVerdict::Pass && !rule.words.is_empty()).collect();
    if !words.is_empty() {
        lines.push(StyledLine::default());
    }
    for rule in words {
        lines.push(StyledLine(vec![
            Piece { style: style_of(rule.verdict), text: format!("  {} ", color::sign(rule.verdict)) },
            Piece { style: Style::Plain, text: format!("{}: {}", safe(&rule.id), safe(&rule.words)) },
        ]));
    }
    if !decision.regressions.is_empty() {
        lines.push(StyledLine::default());
        lines.push(StyledLine::of(Style::Bold, "worst cases"));
        for case in decision.regressions.iter().take(MOST_REGRESSIONS) {
            lines.extend(regression(case));
        }
        let more = decision.regressions_total.saturating_sub(MOST_REGRESSIONS as u64);
        if more > 0 {
            lines.push(StyledLine::of(Style::Dim, format!("  and {more} more")));
        }
    }
    let mut notes: Vec<String> = decision.warnings.iter().map(|warning| format!("note: {warning}")).collect();
    if !decision.baseline.note.is_empty() {
        notes.push(format!("baseline: {}", decision.baseline.note));
    }
    notes.extend(numbers::detectable(decision));
    notes.extend(Some(numbers::costs(&receipt.about.costs)).filter(|costs| !costs.is_empty()));
    if !notes.is_empty() {
        lines.push(StyledLine::default());
        lines.extend(notes.into_iter().map(|note| StyledLine::of(Style::Dim, format!("  {}", safe(&note)))));
    }
    lines
}

/// The lines as plain text, each with a line end.
#[must_use]
pub fn plain(lines: &[StyledLine]) -> String {
    let mut out = String::new();
    for line in lines {
        let mut text = String::new();
        line.0.iter().for_each(|piece| text.push_str(&piece.text));
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

fn headline(receipt: &Receipt) -> StyledLine {
    let decision = &receipt.decision;
    let style = match decision.verdict {
        Verdict::Pass => Style::Good,
        Verdict::Inconclusive if !decision.blocks => Style::Doubtful,
        _ => Style::Bad,
    };
    let title = color::title(decision.verdict, decision.unchanged).to_uppercase();
    let environment = decision.environment.as_deref().map(|name| format!(" ({})", safe(name))).unwrap_or_default();
    StyledLine(vec![
        Piece { style, text: title },
        Piece { style: Style::Bold, text: format!("  {}{environment}", safe(&decision.flow)) },
        Piece { style: Style::Plain, text: format!("  {}", safe(&decision.headline)) },
    ])
}

fn table(rules: &[RuleResult]) -> Vec<StyledLine> {
    let header = ["", "rule", "demands", "measured", "bounds", "n", "verdict"].map(str::to_owned);
    let rows: Vec<[String; 7]> = rules
        .iter()
        .map(|rule| {
            let verdict = match rule.would_be {
                Some(would_be) => format!("{} ({would_be})", rule.verdict),
                None if rule.verdict == RuleVerdict::Inconclusive && !rule.blocks => "inconclusive (warns)".to_owned(),
                None => rule.verdict.to_string(),
            };
            [
                color::sign(rule.verdict).to_owned(),
                defused(&text::one_line(&rule.id, 60)),
                safe(&numbers::demand(rule)),
                numbers::estimate(rule),
                numbers::interval(rule),
                rule.n.to_string(),
                verdict,
            ]
        })
        .collect();
    let mut widths = [0; 7];
    for row in std::iter::once(&header).chain(&rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let padded = |row: &[String; 7], column: usize| {
        let cell = &row[column];
        let blanks = " ".repeat(widths[column] - cell.chars().count());
        // Numbers stand below one another at their end.
        if matches!(column, 3 | 5) { format!("{blanks}{cell}  ") } else { format!("{cell}{blanks}  ") }
    };
    let head: String = (0..7).map(|column| padded(&header, column)).collect();
    let mut lines = vec![StyledLine::of(Style::Dim, format!("  {head}"))];
    for (row, rule) in rows.iter().zip(rules) {
        let style = style_of(rule.verdict);
        let middle: String = (1..6).map(|column| padded(row, column)).collect();
        lines.push(StyledLine(vec![
            Piece { style, text: format!("  {}", padded(row, 0)) },
            Piece { style: Style::Plain, text: middle },
            Piece { style, text: padded(row, 6) },
        ]));
    }
    lines
}

fn regression(case: &CaseRegression) -> Vec<StyledLine> {
    let place = case.line.map_or_else(|| format!("case {}", safe(case.key.as_str())), |line| format!("line {line}"));
    let scores: Vec<String> = case
        .scores
        .iter()
        .map(|pair| {
            let number = |number: Option<f64>| number.map_or_else(|| "missing".to_owned(), numbers::plain);
            match pair.baseline {
                Some(_) => {
                    format!("{} {} → {}", safe(pair.metric.as_str()), number(pair.baseline), number(pair.candidate))
                }
                None => format!("{} {}", safe(pair.metric.as_str()), number(pair.candidate)),
            }
        })
        .collect();
    let mut lines = vec![StyledLine(vec![
        Piece { style: Style::Bad, text: "  ↓ ".to_owned() },
        Piece { style: Style::Plain, text: format!("{place}: {}", scores.join(", ")) },
    ])];
    let mut side = |name: &str, output: &Option<String>, style: Style| {
        if let Some(output) = output {
            let text = format!("      {name}: {}", defused(&text::one_line(output, OUTPUT)));
            lines.push(StyledLine(vec![Piece { style, text }]));
        }
    };
    side("was", &case.baseline_output, Style::Dim);
    side("now", &case.candidate_output, Style::Plain);
    if let Some(pair) = case.scores.iter().find(|pair| !pair.reason.is_empty()) {
        lines
            .push(StyledLine::of(Style::Dim, format!("      why: {}", defused(&text::one_line(&pair.reason, OUTPUT)))));
    }
    lines
}

fn style_of(verdict: RuleVerdict) -> Style {
    match verdict {
        RuleVerdict::Pass => Style::Good,
        RuleVerdict::Fail => Style::Bad,
        RuleVerdict::Inconclusive => Style::Doubtful,
        RuleVerdict::Skipped | RuleVerdict::Advisory => Style::Dim,
    }
}

fn safe(sentence: &str) -> String {
    defused(&text::one_line(sentence, SENTENCE))
}

/// Runners read commands such as `##[add-mask]` and `##vso[…]` from anywhere in a line of a log, not only from its
/// beginning (`::` is read at the beginning alone, where no line here has text that is not ours).
#[must_use]
pub fn defused(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for letter in line.chars() {
        if letter == '#' && out.ends_with('#') {
            out.push(' ');
        }
        out.push(letter);
    }
    out
}

impl StyledLine {
    fn of(style: Style, text: impl Into<String>) -> Self {
        Self(vec![Piece { style, text: text.into() }])
    }
}
