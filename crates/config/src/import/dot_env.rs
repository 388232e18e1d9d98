//! Lines for `.env` and `.env.sample`.

use std::fmt::Write as _;

use super::ImportedVariable;

/// Lines for `.env.sample`: each variable that `existing` has no line for, with what it is for.
#[must_use]
pub fn sample_lines(existing: &str, variables: &[ImportedVariable]) -> String {
    let mut lines = String::new();
    for variable in variables.iter().filter(|variable| !has_line(existing, &variable.name, true)) {
        let _ = write!(lines, "\n# {}\n{}=\n", variable.about, variable.name);
    }
    lines
}

/// Lines for `.env`, secrets and all: each variable with a value that `existing` has no line for. Whoever writes them keeps
/// the file from other eyes.
#[must_use]
pub fn dot_env_lines(existing: &str, variables: &[ImportedVariable]) -> String {
    let mut lines = String::new();
    for variable in variables.iter().filter(|variable| !has_line(existing, &variable.name, false)) {
        if let Some(value) = &variable.value {
            let _ = writeln!(lines, "{}={}", variable.name, quoted(value.expose()));
        }
    }
    lines
}

/// Whether a file has a line for a variable; `or_comment`: `#NAME=` is one too.
fn has_line(text: &str, name: &str, or_comment: bool) -> bool {
    text.lines().map(str::trim_start).any(|line| {
        let line = line.strip_prefix("export ").unwrap_or(line);
        let line = if or_comment { line.trim_start_matches(['#', ' ']) } else { line };
        line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='))
    })
}

/// A value as `.env` files are read: without quotes where that means the same, else in single ones.
fn quoted(value: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./:+=@%,~".contains(letter);
    if value.chars().all(is_plain) {
        return value.to_owned();
    }
    if !value.contains(['\'', '\\', '\n', '\r']) {
        return format!("'{value}'");
    }
    let mut text = String::from("\"");
    for letter in value.chars() {
        match letter {
            '"' | '\\' | '$' => text.extend(['\\', letter]),
            '\n' => text.push_str("\\n"),
            letter => text.push(letter),
        }
    }
    text + "\""
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Secret, Variables};

    fn variable(value: &str) -> ImportedVariable {
        ImportedVariable { name: "A_KEY".to_owned(), about: "a key".to_owned(), value: Some(Secret::new(value)) }
    }

    proptest! {
        #[test]
        fn a_value_is_read_as_it_was(value in "[ -~é\n]{1,20}") {
            let lines = dot_env_lines("", &[variable(&value)]);
            let read = Variables::default().with_dot_env(".env", &lines).expect("reads");
            prop_assert_eq!(read.get("A_KEY").map(|found| found.value.to_owned()), Some(value));
        }
    }

    #[test]
    fn what_is_there_stays() {
        let one = [variable("k3y-of-mine")];
        assert_eq!(dot_env_lines("X=1\nexport A_KEY = other\n", &one), "");
        assert_eq!(dot_env_lines("#A_KEY=other\nA_KEY2=x\n", &one), "A_KEY=k3y-of-mine\n");
        assert_eq!(sample_lines("# A_KEY=\n", &one), "");
        assert_eq!(sample_lines("", &one), "\n# a key\nA_KEY=\n");
    }
}
