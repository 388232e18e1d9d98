//! `.env` files: `NAME=value` lines with comments, quotes and `export`.

use std::collections::BTreeMap;

use sluicegate_source::Problem;

/// Reads the variables of a `.env` file; of a name that is given twice the last one counts.
///
/// A `$` in a value is a `$`, as it may stand in a password; only `${NAME}`, outside of single quotes, is replaced: by
/// the process's variable (`process` looks it up), else by an earlier line's, else by nothing.
///
/// Problems name the line and never show it.
pub(crate) fn read<'a>(
    name: &str,
    text: &str,
    process: &dyn Fn(&str) -> Option<&'a str>,
) -> Result<BTreeMap<String, String>, Vec<Problem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let dollar = ('\u{e000}'..='\u{f8ff}').find(|sign| !text.contains(*sign)).unwrap_or('\u{e000}');
    let mut problems = Vec::new();
    let mut variables = BTreeMap::new();
    // The reader would replace `$NAME` from the process itself, behind the back of whoever hands in variables.
    let hidden = hide_dollars(&text, dollar) + "\n";
    for line in dotenvy::from_read_iter(hidden.as_bytes()) {
        match line {
            Ok((variable, value)) => {
                let value = show_dollars(&value, dollar, &text, &variable, process, &variables);
                variables.insert(variable, value);
            }
            Err(dotenvy::Error::LineParse(line, _)) => {
                let place = line.trim_end().lines().next().and_then(|first| hidden.find(first));
                let number = place.map_or(1, |place| hidden[..place].matches('\n').count() + 1);
                problems.push(Problem::error("config::dot_env", format!("{name}:{number} is not `NAME=value`")).help(
                    "quote a value that has blanks, `#` or quotes in it: with single quotes it is taken as it is",
                ));
            }
            Err(_) => problems.push(Problem::error("config::dot_env", format!("{name} cannot be read"))),
        }
    }
    if problems.is_empty() { Ok(variables) } else { Err(problems) }
}

fn hide_dollars(text: &str, sign: char) -> String {
    let mut hidden = String::with_capacity(text.len());
    let mut escaped = false;
    for character in text.chars() {
        hidden.push(if character == '$' && !escaped { sign } else { character });
        escaped = character == '\\' && !escaped;
    }
    hidden
}

fn show_dollars<'a>(
    value: &str,
    sign: char,
    text: &str,
    variable: &str,
    process: &dyn Fn(&str) -> Option<&'a str>,
    earlier: &BTreeMap<String, String>,
) -> String {
    let literal = is_single_quoted(text, variable);
    let mut shown = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find(sign) {
        shown.push_str(&rest[..at]);
        rest = &rest[at + sign.len_utf8()..];
        let name = rest.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        match name.filter(|(name, _)| !literal && is_name(name)) {
            Some((name, after)) => {
                shown.push_str(process(name).or_else(|| earlier.get(name).map(String::as_str)).unwrap_or(""));
                rest = after;
            }
            None => shown.push('$'),
        }
    }
    shown.push_str(rest);
    shown
}

fn is_single_quoted(text: &str, variable: &str) -> bool {
    let assigned = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let value = line.strip_prefix(variable)?.trim_start().strip_prefix('=')?;
        Some(value.trim_start().starts_with('\''))
    };
    text.lines().filter_map(assigned).next_back().unwrap_or(false)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let variables = read(".env", text, &|name| (name == "HOST").then_some("from-process")).unwrap();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(variables, expected, "{text}");
    }

    #[test]
    fn comments_quotes_export_and_empty_values_are_understood() {
        check(
            "# a comment\n\nA=1\nexport B = two # comment\nC='it # is'\nD=\"line\\nbreak\"\nE=\nF=a#b\nA=last\n",
            &[("A", "last"), ("B", "two"), ("C", "it # is"), ("D", "line\nbreak"), ("E", ""), ("F", "a#b")],
        );
        check("A=1\r\nB='two'\r\n", &[("A", "1"), ("B", "two")]);
        check("\u{feff}A=1", &[("A", "1")]);
        check("A='several\nlines'\nB=2 ", &[("A", "several\nlines"), ("B", "2")]);
    }

    #[test]
    fn a_dollar_is_a_dollar() {
        check(
            "A=pa$$word$1\nB=\"x$HOME\"\nC='$x${y}'\nD=\\$x",
            &[("A", "pa$$word$1"), ("B", "x$HOME"), ("C", "$x${y}"), ("D", "$x")],
        );
    }

    #[test]
    fn a_name_in_braces_is_another_variable() {
        check("A=1\nB=\"${A}-${HOST}-${NOPE}\"", &[("A", "1"), ("B", "1-from-process-")]);
    }

    #[test]
    fn a_problem_names_the_line_and_hides_it() {
        let problems = read(".env", "A=1\nKEY sk-secret\nB='open\n", &|_| None).unwrap_err();
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told[0], ".env:2 is not `NAME=value`");
        assert!(!format!("{problems:?}").contains("sk-secret"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[A-Z='\"\\\\$ {}#\n\r\u{e000}x]{0,40}") {
            let _ = read(".env", &text, &|_| None);
        }

        #[test]
        fn a_single_quoted_value_survives(value in "[^'\\\\\r\u{e000}-\u{f8ff}]{0,40}") {
            let variables = read(".env", &format!("A='{value}'\nB=2\n"), &|_| None).unwrap();
            prop_assert_eq!(variables.get("A").map(String::as_str), Some(value.as_str()));
        }
    }
}
