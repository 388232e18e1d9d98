//! `${NAME}` in a text, looked up.
//!
//! Only single texts of a parsed file are looked at, and what a variable holds is not looked at again: a secret may
//! contain anything.

use std::sync::Arc;

use sluicegate_source::Problem;
use sluicegate_value::Value;

use crate::layers::Leaf;
use crate::variables::looks_secret;
use crate::{Origin, Setting, Variables};

/// A piece of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Literal(&'a str),
    /// `${NAME}`, `${env:NAME}`, `${NAME:-default}`; or `$NAME`, which stays as it is if there is no such variable.
    Variable {
        name: &'a str,
        default: Option<&'a str>,
        braced: bool,
        written: &'a str,
    },
}

/// Looks up the variables of a setting.
///
/// `key` is for the problem that tells of an unset variable.
pub(crate) fn resolve(leaf: &Leaf, key: &str, variables: &Variables) -> Result<Setting, Problem> {
    let mut setting = Setting {
        value: leaf.value.clone(),
        origin: leaf.origin.clone(),
        variables: Vec::new(),
        secret: holds_secret(key),
        whole: false,
    };
    // What is no file's was not written as a template: a key from a flag or a variable is taken as it is.
    if !matches!(leaf.origin, Origin::File { .. } | Origin::Default) {
        setting.whole = true;
        return Ok(setting);
    }
    if let Value::Str(text) = &leaf.value {
        setting.whole = matches!(pieces(text).as_slice(), [Piece::Variable { .. }]);
    }
    let mut unset: Option<String> = None;
    let mut used: Vec<(Arc<str>, Origin)> = Vec::new();
    let replaced = leaf.value.map_strings(&mut |text| {
        let mut replaced = String::new();
        for piece in pieces(text) {
            match piece {
                Piece::Literal(text) => replaced.push_str(text),
                Piece::Variable { name, default, braced, written } => {
                    let found = variables.get(name);
                    // As in a shell, `:-` stands in for an empty variable too.
                    let spare = variables.stand_in(key);
                    match found.filter(|found| (default.is_none() && spare.is_none()) || !found.value.is_empty()) {
                        Some(found) => {
                            replaced.push_str(found.value);
                            used.push((name.into(), found.origin));
                        }
                        None if default.is_some() => {
                            stand_in(default.unwrap_or(""), variables, &mut replaced, &mut used)
                        }
                        None if braced && spare.is_some() => replaced.push_str(spare.unwrap_or_default()),
                        None if braced => unset = unset.take().or_else(|| Some(name.to_owned())),
                        None => replaced.push_str(written),
                    }
                }
            }
        }
        (replaced != text).then_some(replaced)
    });
    if let Some(name) = unset {
        let problem =
            Problem::error("config::unset_variable", format!("`{key}` needs the variable `{name}`, which is not set"))
                .help(format!("set `{name}` in the process or in `.env`, or give a default: `${{{name}:-…}}`"));
        return Err(leaf.origin.mark(problem, "used here"));
    }
    if let Some(value) = replaced {
        setting.value = value;
    }
    setting.secret |= used.iter().any(|(name, _)| looks_secret(name));
    setting.variables = used;
    Ok(setting)
}

/// Whether a dotted key holds a secret, by the looks of its last word. A certificate's `key` is the path of a file.
pub(crate) fn holds_secret(key: &str) -> bool {
    !key.ends_with("client_certificate.key") && looks_secret(key.rsplit('.').next().unwrap_or(key))
}

/// Takes a text apart. `${data.x}`, `${run.outputs.x}` and all else that is no variable's name is literal, and so is
/// what follows `$$`: `$${NAME}` is the text `${NAME}`.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut literal, mut at) = (0, 0);
    while let Some(found) = text[at..].find('$') {
        let dollar = at + found;
        let rest = &text[dollar + 1..];
        if rest.starts_with("${") {
            // The second dollar stays, with the brace behind it.
            push_literal(&mut pieces, &text[literal..dollar]);
            literal = dollar + 1;
            at = dollar + 3;
        } else if let Some((piece, end)) = variable(text, dollar) {
            push_literal(&mut pieces, &text[literal..dollar]);
            pieces.push(piece);
            (literal, at) = (end, end);
        } else {
            at = dollar + 1;
        }
    }
    push_literal(&mut pieces, &text[literal..]);
    pieces
}

fn push_literal<'a>(pieces: &mut Vec<Piece<'a>>, text: &'a str) {
    if !text.is_empty() {
        pieces.push(Piece::Literal(text));
    }
}

/// The variable that begins with the `$` at `dollar`, and where it ends.
fn variable(text: &str, dollar: usize) -> Option<(Piece<'_>, usize)> {
    let rest = &text[dollar + 1..];
    let Some(inner) = rest.strip_prefix('{') else {
        let length = name_length(rest);
        let end = dollar + 1 + length;
        let piece =
            Piece::Variable { name: &rest[..length], default: None, braced: false, written: &text[dollar..end] };
        return (length > 0).then_some((piece, end));
    };
    let close = closing(inner)?;
    let end = dollar + 2 + close + 1;
    let inner = &inner[..close];
    let inner = inner.strip_prefix("env:").unwrap_or(inner);
    let length = name_length(inner);
    let (name, after) = inner.split_at(length);
    let default = match after {
        "" => None,
        after => Some(after.strip_prefix(":-")?),
    };
    (length > 0).then_some((Piece::Variable { name, default, braced: true, written: &text[dollar..end] }, end))
}

/// Where the brace closes that stands open before `inner`; a default may hold variables of its own.
fn closing(inner: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut before = ' ';
    for (at, letter) in inner.char_indices() {
        match letter {
            '{' if before == '$' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
        before = letter;
    }
    None
}

/// Writes a default: its own variables are looked up, the unset ones without a default are empty, as in a shell.
fn stand_in(default: &str, variables: &Variables, out: &mut String, used: &mut Vec<(Arc<str>, Origin)>) {
    for piece in pieces(default) {
        match piece {
            Piece::Literal(text) => out.push_str(text),
            Piece::Variable { name, default, braced, written } => match variables.get_non_empty(name) {
                Some(found) => {
                    out.push_str(found.value);
                    used.push((name.into(), found.origin));
                }
                None if default.is_some() => stand_in(default.unwrap_or(""), variables, out, used),
                None if braced => {}
                None => out.push_str(written),
            },
        }
    }
}

fn name_length(text: &str) -> usize {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return 0;
    }
    text.find(|character: char| !(character.is_ascii_alphanumeric() || character == '_')).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sluicegate_source::{SourceFile, Span};

    use super::*;

    fn resolved(value: Value) -> Result<Setting, Problem> {
        let variables =
            Variables::new([("A", "one"), ("EMPTY", ""), ("N", "5"), ("SECRET_KEY", "a: b # c\n\"d\"'e' ${A}")]);
        let origin = Origin::File { file: SourceFile::new("config.yaml", "k: x"), span: Span::new(3, 4) };
        resolve(&Leaf { value, origin }, "k", &variables)
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(resolved(Value::from(text)).unwrap().value.as_str(), Some(expected), "{text}");
    }

    #[test]
    fn variables_are_looked_up_in_text() {
        check("${A}", "one");
        check("$A/x-${env:A}.", "one/x-one.");
        check("${NOPE:-default}", "default");
        check("${EMPTY:-default}", "default");
        check("${EMPTY}|$EMPTY|${NOPE:-}", "||");
        check("${NOPE:-http://x/$y}", "http://x/$y");
        check("${NOPE:-${NEITHER:-${A}}}!", "one!");
        check("${NOPE:-<${NEITHER}>}", "<>");
    }

    #[test]
    fn references_of_flows_and_data_are_left_alone() {
        for text in [
            "${data.text}",
            "${run.outputs.answer}",
            "${inputs.q}",
            "${target.x}",
            "${a.output['k']}",
            "${}",
            "${",
            "$",
            "$5",
            "a$",
            "${x y}",
            "${A:?}",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn a_bare_name_that_is_not_set_stays() {
        check("costs $USD", "costs $USD");
    }

    #[test]
    fn a_doubled_dollar_keeps_braces_literal() {
        check("$${A} ${A} pa$$word", "${A} one pa$$word");
    }

    #[test]
    fn a_value_is_not_looked_at_again() {
        check("${SECRET_KEY}", "a: b # c\n\"d\"'e' ${A}");
    }

    #[test]
    fn lists_and_maps_are_looked_through() {
        let setting = resolved(vec![Value::from("${A}"), Value::from(5_i64)].into()).unwrap();
        assert_eq!(setting.value.to_json(), r#"["one",5]"#);
    }

    #[test]
    fn an_unset_variable_is_a_problem_with_its_key_and_place() {
        let problem = resolved(Value::from("x ${NOPE}")).unwrap_err();
        assert_eq!(problem.to_string(), "config.yaml:1:4: `k` needs the variable `NOPE`, which is not set");
    }

    #[test]
    fn what_comes_from_a_secret_variable_is_secret() {
        let setting = resolved(Value::from("${SECRET_KEY}")).unwrap();
        assert!(setting.secret);
        assert_eq!(setting.provenance(), "config.yaml:1, from `SECRET_KEY` of the process");
        assert!(!format!("{setting:?}").contains("a: b"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart_and_back(text in "[${}A-C:.\\-a ]{0,30}") {
            let together: String = pieces(&text)
                .into_iter()
                .map(|piece| match piece {
                    Piece::Literal(text) => text,
                    Piece::Variable { written, .. } => written,
                })
                .collect();
            if text.contains("$${") {
                prop_assert!(together.len() <= text.len());
            } else {
                prop_assert_eq!(together, text);
            }
        }
    }
}
