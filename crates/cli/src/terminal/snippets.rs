//! Problems with their snippets.

use std::borrow::Cow;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use sluicegate_source::{Problem, Severity};

use super::harmless;
use super::mask::masked;

/// Renders problems in order, with file, line, column, the marked snippet and what to do; then a line that counts them.
pub(crate) fn show_problems(problems: &[Problem], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for problem in problems {
        out.push_str(&show(problem, &renderer));
        out.push_str("\n\n");
    }
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    out.push_str(&count(errors, "problem"));
    let warnings = problems.len() - errors;
    if warnings > 0 {
        out.push_str(&format!(", {}", count(warnings, "warning")));
    }
    out
}

fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

fn show(problem: &Problem, renderer: &Renderer) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let message = harmless(&problem.message);
    let mut group = Group::with_title(level.primary_title(message.as_ref()).id(problem.code));
    let source = problem.file.as_ref().map_or(Cow::Borrowed(""), |file| masked(file));
    if let Some(file) = &problem.file {
        let length = file.text().len();
        let mut snippet = Snippet::source(source.as_ref()).path(file.name()).line_start(file.first().line);
        for (index, label) in problem.labels.iter().enumerate() {
            let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let start = file.text().floor_char_boundary((label.span.start as usize).min(length));
            let end = file.text().floor_char_boundary((label.span.end as usize).clamp(start, length));
            let mark = kind.span(start..end);
            snippet = snippet.annotation(if label.text.is_empty() { mark } else { mark.label(label.text.as_str()) });
        }
        group = match problem.labels.is_empty() {
            true => group.element(Origin::path(file.name())),
            // A row of a data file, whose text is not at hand.
            false if length == 0 && file.first().line > 1 => {
                group.element(Origin::path(file.name()).line(file.first().line).char_column(file.first().column))
            }
            false => group.element(snippet),
        };
    }
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}
