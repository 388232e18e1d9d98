//! A matrix for people: on a terminal, in Markdown, as a page. What machines read is its JSON.
//!
//! Cells are named by their author, metrics too; no answer of a model is in any of it.

use std::fmt::Write as _;

use super::terminal::{Piece, Style, StyledLine, defused};
use super::{color, html, markdown, numbers, text, xml};
use crate::Verdict;
use crate::matrix::{Difference, Matrix, MatrixCell};

/// How many characters of a name are shown.
const NAME: usize = 80;

/// What the first table says of each cell beside its metrics, left and right of them.
const BEFORE: [&str; 3] = ["", "cell", "verdict"];
const AFTER: [&str; 3] = ["$/case", "p50", "p95"];
const DIFFERENCES: [&str; 7] = ["cell", "metric", "difference", "both bounds", "p", "worse", "better"];

/// The tables for a terminal.
#[must_use]
pub fn terminal(matrix: &Matrix) -> Vec<StyledLine> {
    let bold = |text: String| StyledLine(vec![Piece { style: Style::Bold, text }]);
    let dim = |text: String| StyledLine(vec![Piece { style: Style::Dim, text }]);
    let mut lines = vec![bold(defused(&title(matrix)))];
    let rows: Vec<Vec<String>> = matrix.cells.iter().map(|cell| cell_row(matrix, cell)).collect();
    let styles = matrix.cells.iter().map(|cell| style_of(cell.verdict, cell.exit_code));
    lines.extend(table(&cell_header(matrix), &rows, styles));
    if !matrix.pairs.is_empty() {
        lines.push(StyledLine::default());
        lines.push(bold(defused(&format!("difference from {}", text::one_line(&matrix.reference, NAME)))));
        let shown: Vec<(&str, &Difference)> = differences(matrix).collect();
        let rows: Vec<Vec<String>> = shown.iter().map(|(name, difference)| difference_row(name, difference)).collect();
        let styles = shown.iter().map(|(_, difference)| weight_of(matrix, difference));
        lines.extend(table(&DIFFERENCES.map(str::to_owned), &rows, styles));
    }
    lines.extend(notes(matrix).into_iter().map(|note| dim(format!("  {}", defused(&note)))));
    lines
}

/// The tables in Markdown.
#[must_use]
pub fn markdown(matrix: &Matrix) -> String {
    let mut out = format!("### {}\n\n", markdown::inline(&title(matrix), 400));
    let push = |out: &mut String, header: &[String], rows: &[Vec<String>]| {
        let row = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| markdown::inline(cell, 400)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        out.push_str(&row(header));
        let _ = writeln!(out, "|{}", "---|".repeat(header.len()));
        rows.iter().for_each(|cells| out.push_str(&row(cells)));
        out.push('\n');
    };
    let cells: Vec<Vec<String>> = matrix.cells.iter().map(|cell| cell_row(matrix, cell)).collect();
    push(&mut out, &cell_header(matrix), &cells);
    if !matrix.pairs.is_empty() {
        let _ = write!(out, "Difference from {}:\n\n", markdown::code(&matrix.reference, NAME));
        let rows: Vec<Vec<String>> =
            differences(matrix).map(|(name, difference)| difference_row(name, difference)).collect();
        push(&mut out, &DIFFERENCES.map(str::to_owned), &rows);
    }
    for note in notes(matrix) {
        let _ = writeln!(out, "- {}", markdown::inline(&note, 600));
    }
    out
}

/// A page that stands alone, with each difference drawn.
#[must_use]
pub fn page(matrix: &Matrix) -> String {
    let mut out = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\"><head><meta charset=\"utf-8\"/>",
    );
    let title = xml::one_line(&title(matrix), 400);
    let _ = write!(
        out,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'\"/><meta name=\"referrer\" content=\"no-referrer\"/><meta name=\"viewport\" content=\"width=device-width\"/><title>{title}</title><style>{}</style></head>\n<body>\n<h1>{title}</h1>\n",
        html::base64_of_sha256(html::STYLE),
        html::STYLE,
    );
    let header = |out: &mut String, names: &[String]| {
        let names: String = names.iter().map(|name| format!("<th>{}</th>", xml::one_line(name, NAME))).collect();
        let _ = writeln!(out, "<table><thead><tr>{names}</tr></thead><tbody>");
    };
    header(&mut out, &cell_header(matrix));
    for cell in &matrix.cells {
        let row: String =
            cell_row(matrix, cell).iter().map(|text| format!("<td>{}</td>", xml::one_line(text, 400))).collect();
        let _ = writeln!(out, "<tr class=\"{}\">{row}</tr>", cell.verdict);
    }
    out.push_str("</tbody></table>\n");
    if !matrix.pairs.is_empty() {
        let _ = writeln!(out, "<h2>Difference from {}</h2>", xml::one_line(&matrix.reference, NAME));
        let drawn = DIFFERENCES.map(str::to_owned).into_iter().chain(["drawn".to_owned()]).collect::<Vec<_>>();
        header(&mut out, &drawn);
        for (name, difference) in differences(matrix) {
            let cells = difference_row(name, difference);
            let row: String = cells.iter().map(|text| format!("<td>{}</td>", xml::one_line(text, 400))).collect();
            let _ = writeln!(out, "<tr>{row}<td>{}</td></tr>", drawing(difference));
        }
        out.push_str("</tbody></table>\n");
    }
    out.push_str("<ul>\n");
    for note in notes(matrix) {
        let _ = writeln!(out, "<li class=\"dim\">{}</li>", xml::one_line(&note, 600));
    }
    out.push_str("</ul>\n</body></html>\n");
    out
}

fn title(matrix: &Matrix) -> String {
    let environment = matrix.environment.as_deref().map(|name| format!(" ({})", text::one_line(name, NAME)));
    let count = matrix.cells.len() + matrix.not_measured.len();
    let flow = text::one_line(&matrix.flow, NAME);
    format!("matrix of {flow}{}: {count} cells", environment.unwrap_or_default())
}

/// The metrics that any cell has, in order.
fn metrics(matrix: &Matrix) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for metric in matrix.cells.iter().flat_map(|cell| &cell.metrics) {
        if !names.contains(&metric.metric.as_str()) {
            names.push(metric.metric.as_str());
        }
    }
    names
}

fn cell_header(matrix: &Matrix) -> Vec<String> {
    let own = |names: [&str; 3]| names.map(str::to_owned);
    let metrics = metrics(matrix).into_iter().map(|name| text::one_line(name, NAME));
    own(BEFORE).into_iter().chain(metrics).chain(own(AFTER)).collect()
}

fn cell_row(matrix: &Matrix, cell: &MatrixCell) -> Vec<String> {
    let marks = [(cell.name == matrix.reference, "="), (cell.name == matrix.decided_by, "*")];
    let marks: String = marks.iter().filter(|(holds, _)| *holds).map(|(_, mark)| *mark).collect();
    let verdict = match (cell.verdict, cell.unchanged) {
        (Verdict::Pass, true) => color::title(cell.verdict, true).to_lowercase(),
        (Verdict::Inconclusive, _) if cell.exit_code == 0 => "inconclusive (warns)".to_owned(),
        (verdict, _) => verdict.to_string(),
    };
    let mut row = vec![marks, text::one_line(&cell.name, NAME), verdict];
    for name in metrics(matrix) {
        let metric = cell.metrics.iter().find(|metric| metric.metric.as_str() == name);
        row.push(match metric.and_then(|metric| Some((metric, metric.mean?))) {
            None => "–".to_owned(),
            Some((metric, mean)) => match (metric.lower, metric.upper) {
                (Some(lower), Some(upper)) => {
                    format!("{} ({} … {})", numbers::plain(mean), numbers::plain(lower), numbers::plain(upper))
                }
                _ => numbers::plain(mean),
            },
        });
    }
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    row.push(or_none(cell.usd_per_case.map(numbers::usd)));
    row.push(or_none(cell.latencies.p50_ms.map(numbers::milliseconds)));
    row.push(or_none(cell.latencies.p95_ms.map(numbers::milliseconds)));
    row
}

fn differences(matrix: &Matrix) -> impl Iterator<Item = (&str, &Difference)> {
    matrix.pairs.iter().flat_map(|pair| pair.differences.iter().map(|difference| (pair.other.as_str(), difference)))
}

fn difference_row(name: &str, difference: &Difference) -> Vec<String> {
    let bounds = match (difference.lower, difference.upper) {
        (Some(lower), Some(upper)) => format!("{} … {}", numbers::signed(lower), numbers::signed(upper)),
        _ if difference.note.is_empty() => "–".to_owned(),
        _ => difference.note.clone(),
    };
    vec![
        text::one_line(name, NAME),
        text::one_line(difference.metric.as_str(), NAME),
        difference.estimate.map_or_else(|| "–".to_owned(), numbers::signed),
        bounds,
        difference
            .p_adjusted
            .map_or_else(|| "–".to_owned(), |p| if p < 1e-4 { "<0.0001".to_owned() } else { numbers::plain(p) }),
        difference.worse.to_string(),
        difference.better.to_string(),
    ]
}

fn notes(matrix: &Matrix) -> Vec<String> {
    let mut notes = vec!["= the reference   * what decides the exit code".to_owned()];
    if !matrix.pairs.is_empty() {
        let adjusted = match matrix.adjust {
            crate::Adjust::Holm => ", adjusted for all differences of the matrix (Holm)",
            crate::Adjust::Bh => ", adjusted for all differences of the matrix (Benjamini and Hochberg)",
            crate::Adjust::None => ", each for itself",
        };
        let percent = numbers::percent(1.0 - matrix.alpha);
        notes.push(format!(
            "paired by case; bounds hold together with {percent}, each row for itself; p of either direction{adjusted}"
        ));
    }
    let headlines = matrix.cells.iter().filter(|cell| cell.verdict != Verdict::Pass);
    notes.extend(
        headlines.map(|cell| format!("{}: {}", text::one_line(&cell.name, NAME), text::one_line(&cell.headline, 300))),
    );
    if !matrix.not_measured.is_empty() {
        let names: Vec<String> = matrix.not_measured.iter().map(|name| text::one_line(name, NAME)).collect();
        notes.push(format!("not measured, because the budget was spent: {}", names.join(", ")));
    }
    notes
}

fn style_of(verdict: Verdict, exit_code: u8) -> Style {
    match verdict {
        Verdict::Pass => Style::Good,
        Verdict::Inconclusive if exit_code == 0 => Style::Doubtful,
        _ => Style::Bad,
    }
}

/// What is not shown is of less interest.
fn weight_of(matrix: &Matrix, difference: &Difference) -> Style {
    match difference.is_shown(matrix.alpha) {
        false => Style::Dim,
        true if difference.worse > difference.better => Style::Bad,
        true => Style::Good,
    }
}

fn table(header: &[String], rows: &[Vec<String>], styles: impl Iterator<Item = Style>) -> Vec<StyledLine> {
    let widths: Vec<usize> = (0..header.len())
        .map(|column| {
            let cells = std::iter::once(header).chain(rows.iter().map(Vec::as_slice));
            cells.filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let line = |row: &[String]| {
        let cells = row.iter().zip(&widths);
        let cells =
            cells.map(|(cell, width)| format!("{cell}{}", " ".repeat(width.saturating_sub(cell.chars().count()))));
        defused(&format!("  {}", cells.collect::<Vec<_>>().join("  ")))
    };
    let head = StyledLine(vec![Piece { style: Style::Dim, text: line(header) }]);
    let rows = rows.iter().zip(styles).map(|(row, style)| StyledLine(vec![Piece { style, text: line(row) }]));
    std::iter::once(head).chain(rows).collect()
}

/// An interval beside zero.
fn drawing(difference: &Difference) -> String {
    let (Some(estimate), Some(lower), Some(upper)) = (difference.estimate, difference.lower, difference.upper) else {
        return String::new();
    };
    let far = [lower.abs(), upper.abs(), f64::MIN_POSITIVE].into_iter().fold(0.0, f64::max) * 1.1;
    let at = |number: f64| 100.0 + 95.0 * (number / far).clamp(-1.0, 1.0);
    format!(
        "<svg width=\"200\" height=\"16\" role=\"img\"><line class=\"limit\" x1=\"100\" x2=\"100\" y1=\"0\" y2=\"16\"/><line class=\"interval\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"8\" y2=\"8\"/><circle class=\"estimate\" cx=\"{:.1}\" cy=\"8\" r=\"4\"/></svg>",
        at(lower),
        at(upper),
        at(estimate)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::{CellMetric, Pair};
    use crate::{Latencies, projection};

    fn matrix(name: &str) -> Matrix {
        let cell = |name: &str, mean: f64, verdict: Verdict| MatrixCell {
            name: name.to_owned(),
            verdict,
            exit_code: verdict.exit_code(),
            headline: format!("{name} headline"),
            metrics: vec![CellMetric {
                metric: "f1".into(),
                mean: Some(mean),
                lower: Some(mean - 0.1),
                upper: Some(mean + 0.1),
                ..CellMetric::default()
            }],
            usd_per_case: Some(0.002),
            latencies: Latencies { p50_ms: Some(120.0), p95_ms: Some(300.0) },
            ..MatrixCell::default()
        };
        let difference = Difference {
            metric: "f1".into(),
            estimate: Some(-0.2),
            lower: Some(-0.3),
            upper: Some(-0.1),
            p_adjusted: Some(0.00001),
            worse: 9,
            ..Difference::default()
        };
        Matrix {
            flow: "answer".to_owned(),
            reference: "ask.v1".to_owned(),
            decided_by: name.to_owned(),
            alpha: 0.05,
            cells: vec![cell("ask.v1", 0.8, Verdict::Pass), cell(name, 0.6, Verdict::Fail)],
            pairs: vec![Pair { reference: "ask.v1".to_owned(), other: name.to_owned(), differences: vec![difference] }],
            ..Matrix::default()
        }
    }

    #[test]
    fn cells_stand_beside_one_another_and_differences_below() {
        let shown = projection::terminal::plain(&terminal(&matrix("ask.v2")));
        let expected = "matrix of answer: 2 cells
     cell    verdict  f1               $/case  p50    p95
  =  ask.v1  pass     0.8 (0.7 … 0.9)  $0.002  120ms  300ms
  *  ask.v2  fail     0.6 (0.5 … 0.7)  $0.002  120ms  300ms

difference from ask.v1
  cell    metric  difference  both bounds  p        worse  better
  ask.v2  f1      -0.2        -0.3 … -0.1  <0.0001  9      0
";
        assert!(shown.starts_with(expected), "{shown}");
    }

    #[test]
    fn what_an_author_wrote_is_harmless_everywhere() {
        let hostile = "a|b <script>@team ##[error]\u{1b}[2J\n::set-output::";
        let matrix = matrix(hostile);
        let (page, marked, shown) = (page(&matrix), markdown(&matrix), projection::terminal::plain(&terminal(&matrix)));
        for text in [&page, &marked, &shown] {
            assert!(!text.contains('\u{1b}'), "{text}");
        }
        // The terminal's is a build's log.
        assert!(!shown.contains("##[") && !shown.contains("\n::"), "{shown}");
        assert!(!page.contains("<script>") && !marked.contains("<script>") && !marked.contains("@team"));
    }
}
