//! Problems with their snippets.

use std::borrow::Cow;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use sluicegate_config::variables::looks_secret;
use sluicegate_source::{Problem, Severity};

use super::harmless;

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
    let source = problem.file.as_ref().map_or(Cow::Borrowed(""), |file| masked(file.text()));
    if let Some(file) = &problem.file {
        let length = file.text().len();
        let mut snippet = Snippet::source(source.as_ref()).path(file.name());
        for (index, label) in problem.labels.iter().enumerate() {
            let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let start = file.text().floor_char_boundary((label.span.start as usize).min(length));
            let end = file.text().floor_char_boundary((label.span.end as usize).clamp(start, length));
            let mark = kind.span(start..end);
            snippet = snippet.annotation(if label.text.is_empty() { mark } else { mark.label(label.text.as_str()) });
        }
        group =
            if problem.labels.is_empty() { group.element(Origin::path(file.name())) } else { group.element(snippet) };
    }
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// The text with what stands behind a secret's name (`api_key: sk-…`) starred out, byte by byte, so that places stay: a
/// key that was written into a file by mistake must not end in a build's log with the problem beside it.
fn masked(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let mut from = 0;
        while let Some(colon) = line[from..].find([':', '=']).map(|at| at + from) {
            from = colon + 1;
            let name =
                line[..colon].rsplit([' ', '{', ',', '"', '\'', '-']).find(|part| !part.is_empty()).unwrap_or("");
            let value = line[from..].trim_start();
            let value_start = line.len() - value.len();
            let end = value.find([',', '}', '\n', '\r']).map_or(line.len(), |at| value_start + at);
            let value = line[value_start..end].trim_end().trim_matches(['"', '\'']);
            if looks_secret(&name.to_uppercase()) && !value.is_empty() && !value.starts_with('$') {
                out.push_str(&text[copied..start + value_start]);
                out.extend(std::iter::repeat_n('*', end - value_start));
                copied = start + end;
                from = end;
            }
        }
        start += line.len();
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::masked;

    fn check(text: &str, expected: &str) {
        assert_eq!(masked(text), expected);
        assert_eq!(masked(text).len(), text.len(), "places stay");
    }

    #[test]
    fn a_key_that_stands_in_a_file_is_not_shown() {
        check("a:\n  api_key: sk-123\n  b: c\n", "a:\n  api_key: ******\n  b: c\n");
        check("x: { api_key: sk-1, name: y }\n", "x: { api_key: ****, name: y }\n");
        check("API_KEY=abc\n", "API_KEY=***\n");
        check(
            "api_key: ${THE_KEY}\nkeys: none\nurl: http://a:b\n",
            "api_key: ${THE_KEY}\nkeys: none\nurl: http://a:b\n",
        );
        check("client_secret: \"é\"", "client_secret: ****");
    }
}
