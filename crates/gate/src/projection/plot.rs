//! Drawings in SVG: numbers in, shapes out; no text of a model comes here.

use std::fmt::Write as _;

use super::numbers;
use crate::RuleResult;

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 44.0;
const EDGE: f64 = 8.0;

/// The interval of a rule against its limit; empty if there is nothing to draw.
pub(super) fn interval(rule: &RuleResult) -> String {
    let limit = rule.limit.or_else(|| rule.margin.map(|margin| -margin)).filter(|limit| limit.is_finite());
    let (Some(estimate), Some(limit)) = (rule.estimate.filter(|number| number.is_finite()), limit) else {
        return String::new();
    };
    let lower = rule.lower.filter(|number| number.is_finite()).unwrap_or(estimate);
    let upper = rule.upper.filter(|number| number.is_finite()).unwrap_or(estimate);
    // The whole scale of a mean; for differences, what is there with zero in sight.
    let (mut from, mut to) = (lower.min(limit).min(estimate), upper.max(limit).max(estimate));
    match rule.scale {
        Some([lowest, highest]) if rule.kind == "threshold" => (from, to) = (from.min(lowest), to.max(highest)),
        _ => (from, to) = (from.min(0.0), to.max(0.0)),
    }
    let span = to - from;
    if !span.is_finite() || span <= 0.0 {
        return String::new();
    }
    let x = |value: f64| EDGE + (value - from) / span * (WIDTH - 2.0 * EDGE);
    let mut out = begin(
        HEIGHT,
        &format!("{} in {}, limit {}", numbers::plain(estimate), numbers::interval(rule), numbers::plain(limit)),
    );
    let _ = write!(out, "<line class=\"axis\" x1=\"{EDGE}\" y1=\"22\" x2=\"{}\" y2=\"22\"/>", WIDTH - EDGE);
    let (left, right) = (x(lower), x(upper));
    let _ = write!(out, "<line class=\"interval\" x1=\"{left:.1}\" y1=\"22\" x2=\"{right:.1}\" y2=\"22\"/>");
    let _ = write!(out, "<circle class=\"estimate\" cx=\"{:.1}\" cy=\"22\" r=\"4\"/>", x(estimate));
    let at = x(limit);
    let _ = write!(out, "<line class=\"limit\" x1=\"{at:.1}\" y1=\"8\" x2=\"{at:.1}\" y2=\"36\"/>");
    label(&mut out, EDGE, "start", from);
    label(&mut out, WIDTH - EDGE, "end", to);
    out.push_str("</svg>");
    out
}

/// Each paired difference as a dot on a strip, zero in the middle; equal ones are stacked.
pub(super) fn differences(rule: &RuleResult) -> String {
    let values: Vec<f64> = rule.differences.iter().copied().filter(|number| number.is_finite()).collect();
    let reach = values.iter().fold(0.0_f64, |reach, value| reach.max(value.abs()));
    if values.is_empty() || reach == 0.0 {
        return String::new();
    }
    let height = 72.0;
    let bins = 61_usize;
    let mut counts = vec![0_usize; bins];
    for value in &values {
        let at = ((value / reach + 1.0) / 2.0 * (bins - 1) as f64).round() as usize;
        counts[at.min(bins - 1)] += 1;
    }
    let tallest = counts.iter().copied().max().unwrap_or(1) as f64;
    let (worse, better) = (values.iter().filter(|v| **v < 0.0).count(), values.iter().filter(|v| **v > 0.0).count());
    let mut out = begin(height, &format!("differences of {} cases: {worse} lower, {better} higher", values.len()));
    let step = (WIDTH - 2.0 * EDGE) / bins as f64;
    for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let class = match at.cmp(&(bins / 2)) {
            std::cmp::Ordering::Less => "worse",
            std::cmp::Ordering::Equal => "same",
            std::cmp::Ordering::Greater => "better",
        };
        // A root, so that many equal cases leave single ones visible.
        let tall = ((*count as f64 / tallest).sqrt() * 48.0).max(2.0);
        let (left, top) = (EDGE + at as f64 * step, 54.0 - tall);
        let _ = write!(
            out,
            "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{tall:.1}\"/>",
            step - 0.8
        );
    }
    let _ = write!(out, "<line class=\"axis\" x1=\"{EDGE}\" y1=\"54\" x2=\"{}\" y2=\"54\"/>", WIDTH - EDGE);
    let labels = [(EDGE, "start", -reach), (WIDTH / 2.0, "middle", 0.0), (WIDTH - EDGE, "end", reach)];
    for (x, anchor, value) in labels {
        let _ = write!(out, "<text x=\"{x}\" y=\"67\" text-anchor=\"{anchor}\">{}</text>", numbers::signed(value));
    }
    out.push_str("</svg>");
    out
}

fn begin(height: f64, title: &str) -> String {
    let title = super::xml::one_line(title, 200);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\"><title>{title}</title>"
    )
}

fn label(out: &mut String, x: f64, anchor: &str, value: f64) {
    let _ = write!(out, "<text x=\"{x}\" y=\"40\" text-anchor=\"{anchor}\">{}</text>", numbers::plain(value));
}
