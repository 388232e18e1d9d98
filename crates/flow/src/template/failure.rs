//! minijinja's errors in Python's words and the author's places.

use std::ops::Range;
use std::sync::Arc;

use minijinja::{Error, ErrorKind};
use sluicegate_source::{SourceFile, Span};

use super::RenderError;
use super::guards;
use super::rewrite::Rewritten;

/// Where a rewritten source came from.
pub(super) struct Origin<'a> {
    pub(super) file: &'a Arc<SourceFile>,
    /// The part of the file that was rewritten.
    pub(super) span: Span,
    pub(super) rewritten: &'a Rewritten,
    /// Whether places within the span mean something: they do not if the text was unquoted first.
    pub(super) has_places: bool,
}

impl Origin<'_> {
    /// A range of the rewritten text, in the file.
    pub(super) fn span(&self, range: Range<usize>) -> Span {
        if !self.has_places {
            return self.span;
        }
        let start = self.span.start as usize;
        let (from, to) = (self.rewritten.origin(range.start), self.rewritten.origin(range.end));
        Span::new(start + from, (start + to.max(from)).min(self.span.end as usize))
    }

    /// Translates an error of a render.
    pub(super) fn error(&self, error: &Error) -> RenderError {
        let range = error.range().map(|range| whole_operation(&self.rewritten.text, range));
        let span = match (&range, error.line()) {
            (Some(range), _) => self.span(range.clone()),
            (None, Some(line)) => {
                let start = self.rewritten.text.split_inclusive('\n').take(line - 1).map(str::len).sum::<usize>();
                self.span(start..start)
            }
            _ => self.span,
        };
        let source = range.and_then(|range| self.rewritten.text.get(range)).unwrap_or("");
        let (class, message) = words(error, source);
        RenderError { class, message, file: self.file.clone(), span }
    }
}

/// A failed operator is a filter by now, `(a )|__add( b)`: minijinja names the part behind the `|`.
fn whole_operation(text: &str, range: Range<usize>) -> Range<usize> {
    let is_operator = text.get(range.clone()).is_some_and(|source| source.starts_with("__"));
    let Some(before) = text.get(..range.start).filter(|_| is_operator) else { return range };
    let mut depth = 0_usize;
    let open = before.bytes().rposition(|byte| {
        match byte {
            b')' => depth += 1,
            b'(' => depth = depth.saturating_sub(1),
            _ => {}
        }
        byte == b'(' && depth == 0
    });
    open.unwrap_or(range.start)..range.end
}

/// The class of Python's exception, and its words. `source` is the expression that failed.
fn words(error: &Error, source: &str) -> (&'static str, String) {
    if let Some(limit) = limit_of(error) {
        return ("LimitError", limit);
    }
    let detail = error.detail().unwrap_or("").to_owned();
    match error.kind() {
        ErrorKind::OutOfFuel => ("LimitError", format!("the template takes more than {} steps", guards::FUEL)),
        ErrorKind::UndefinedError => ("UndefinedError", undefined(source)),
        ErrorKind::UnknownFunction => match detail.split_whitespace().next() {
            Some(name) => ("UndefinedError", format!("'{name}' is undefined")),
            None => ("UndefinedError", detail),
        },
        ErrorKind::UnknownMethod if detail.contains("has no attribute") => ("UndefinedError", detail),
        ErrorKind::UnknownMethod => ("TypeError", detail),
        ErrorKind::TooManyArguments | ErrorKind::MissingArgument => {
            ("TypeError", if detail.is_empty() { format!("{}: `{source}`", error.kind()) } else { detail })
        }
        ErrorKind::InvalidOperation | ErrorKind::BadEscape | ErrorKind::NonKey | ErrorKind::CannotUnpack => {
            operation(&detail, source)
        }
        ErrorKind::SyntaxError => ("TemplateSyntaxError", detail),
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest => ("TemplateRuntimeError", detail),
        kind if detail.is_empty() => ("TemplateRuntimeError", kind.to_string()),
        _ => ("TemplateRuntimeError", detail),
    }
}

fn limit_of(error: &Error) -> Option<String> {
    let found = |text: &str| text.split_once(guards::LIMIT).map(|(_, limit)| limit.to_owned());
    let mut source = std::error::Error::source(error);
    let mut limit = error.detail().and_then(found);
    while let (None, Some(cause)) = (&limit, source) {
        limit = found(&cause.to_string());
        source = cause.source();
    }
    limit
}

fn operation(detail: &str, source: &str) -> (&'static str, String) {
    for class in ["ValueError", "TypeError"] {
        if let Some(message) = detail.strip_prefix(class).and_then(|rest| rest.strip_prefix(": ")) {
            return (if class == "ValueError" { "ValueError" } else { "TypeError" }, message.to_owned());
        }
    }
    if detail.contains("recursion limit") {
        return ("RecursionError", "maximum recursion depth exceeded".to_owned());
    }
    if let Some(calculation) = detail.strip_prefix("unable to calculate ") {
        if calculation.ends_with(" 0") || calculation.ends_with(" 0.0") {
            return ("ZeroDivisionError", "division by zero".to_owned());
        }
        return ("OverflowError", format!("{detail}: integers have at most 38 digits here"));
    }
    if let Some(rest) = detail.strip_prefix("tried to use ")
        && let Some((sign, types)) = rest.split_once(" operator on unsupported types ")
        && let Some((left, right)) = types.split_once(" and ")
    {
        if left == "undefined" || right == "undefined" {
            let is_left = left == "undefined";
            return ("UndefinedError", undefined_name(operand(source, sign, is_left)));
        }
        let help = if sign == "%" && left == "string" { " (write `'..'|format(..)` to fill in a text)" } else { "" };
        let message = format!(
            "unsupported operand type(s) for {sign}: '{}' and '{}'{help}",
            python_type(left),
            python_type(right)
        );
        return ("TypeError", message);
    }
    if detail.contains("string is too large")
        || detail.contains("sequence is too large")
        || detail.contains("too many elements")
    {
        return ("LimitError", detail.to_owned());
    }
    ("TypeError", if detail.is_empty() { format!("`{source}` cannot be computed") } else { detail.to_owned() })
}

/// The operand of a failed operator, in the rewritten source (`(a )|__add( b)`) or in the author's.
fn operand<'a>(source: &'a str, sign: &str, left: bool) -> &'a str {
    let filter = match sign {
        "+" => ")|__add(",
        "*" => ")|__mul(",
        "%" => ")|__rem(",
        _ => sign,
    };
    let found = source.rsplit_once(filter).or_else(|| source.split_once(sign));
    let side = found.map_or(source, |(before, after)| if left { before } else { after });
    side.trim_matches(|letter: char| letter.is_whitespace() || "()".contains(letter))
}

fn python_type(kind: &str) -> &str {
    match kind {
        "string" => "str",
        "sequence" | "iterator" => "list",
        "map" => "dict",
        "none" => "NoneType",
        other => other,
    }
}

/// What jinja2 says when something is asked of an undefined value: `source` is the question, `missing.attribute`.
fn undefined(source: &str) -> String {
    let end = source.rfind(['.', '[', '(']).unwrap_or(source.len());
    undefined_name(source[..end].trim())
}

fn undefined_name(name: &str) -> String {
    let is_plain =
        |text: &str| !text.is_empty() && text.chars().all(|letter| letter == '_' || letter.is_alphanumeric());
    let name = name.trim_start_matches('(');
    match name.rsplit_once('.') {
        _ if name.is_empty() => "a value is undefined".to_owned(),
        Some((_, attribute)) if is_plain(attribute) => format!("'dict object' has no attribute '{attribute}'"),
        _ => match name.strip_suffix(']').and_then(|name| name.rsplit_once('[')) {
            Some((_, key)) => format!("'dict object' has no attribute {key}"),
            None => format!("'{name}' is undefined"),
        },
    }
}
