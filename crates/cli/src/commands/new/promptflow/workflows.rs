//! Pipelines and shell scripts: each old command in place becomes ours, and nothing else is touched.

use std::sync::Arc;

use sluicegate_config::variables::looks_secret;
use sluicegate_source::SourceFile;

use super::super::draft::Draft;
use super::survey::Survey;
use super::translate::{Translation, translate};
use super::words::{Word, command, line};

/// Lines around a change that a diff shows.
const AROUND: usize = 2;
/// Programs whose commands may be ours to translate.
const PROGRAMS: &[&str] = &["pf", "pfazure", "python", "python3", "py"];

/// What becomes of one file.
#[derive(Debug)]
pub(crate) struct Change {
    file: Arc<SourceFile>,
    /// In order, none touching another.
    replaced: Vec<Replaced>,
    /// Every old command with what it becomes, also those that nothing replaces.
    pub(crate) commands: Vec<OldCommand>,
}

/// An old command, and what it becomes.
#[derive(Clone, Debug)]
pub(crate) struct OldCommand {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) old: String,
    pub(crate) new: Translation,
}

/// Lines that become one line.
#[derive(Debug)]
struct Replaced {
    first: usize,
    last: usize,
    new: String,
}

/// What becomes of every pipeline that has old commands.
pub(crate) fn changes(survey: &Survey) -> Vec<Change> {
    let all = survey.pipelines.iter().map(|file| Change::of(file, survey));
    all.filter(|change| !change.commands.is_empty()).collect()
}

impl Change {
    fn of(file: &Arc<SourceFile>, survey: &Survey) -> Self {
        let lines: Vec<&str> = file.text().lines().collect();
        let mut change = Self { file: file.clone(), replaced: Vec::new(), commands: Vec::new() };
        let mut at = 0;
        while at < lines.len() {
            let (last, joined) = logical_line(&lines, at);
            if let Some(new) = change.translated(&joined, at + 1, survey) {
                change.replaced.push(Replaced { first: at, last, new });
            }
            at = last + 1;
        }
        change
    }

    /// The file's path.
    pub(crate) fn path(&self) -> &str {
        self.file.name()
    }

    /// A line with every old command in it replaced; `None` if none was.
    fn translated(&mut self, text: &str, number: usize, survey: &Survey) -> Option<String> {
        let (mut new, mut rest, mut changed) = (String::new(), text, false);
        if text.trim_start().starts_with('#') {
            return None;
        }
        while let Some((begin, words, length)) = next_command(rest) {
            let end = begin + length;
            new.push_str(&rest[..begin]);
            match translate(&words, survey) {
                Some(translation) => {
                    let ours = translation.line();
                    changed |= !ours.is_empty();
                    new.push_str(if ours.is_empty() { &rest[begin..end] } else { &ours });
                    self.commands.push(OldCommand { line: number, old: hidden(&line(&words)), new: translation });
                }
                None => new.push_str(&rest[begin..end]),
            }
            rest = &rest[end..];
        }
        new.push_str(rest);
        changed.then_some(new)
    }

    /// The whole file with all changes, as a draft; `None` if nothing is replaced.
    pub(crate) fn draft(&self) -> Option<Draft> {
        if self.replaced.is_empty() {
            return None;
        }
        let ends_with_break = self.file.text().ends_with('\n');
        let line_end = if self.file.text().contains("\r\n") { "\r\n" } else { "\n" };
        let lines: Vec<&str> = self.file.text().lines().collect();
        let mut text = String::new();
        let mut at = 0;
        for replaced in &self.replaced {
            lines[at..replaced.first].iter().for_each(|line| text += &format!("{line}{line_end}"));
            text += &format!("{}{line_end}", replaced.new);
            at = replaced.last + 1;
        }
        lines[at..].iter().for_each(|line| text += &format!("{line}{line_end}"));
        if !ends_with_break {
            text.truncate(text.len() - line_end.len());
        }
        let about = "its old commands in our words".to_owned();
        Some(Draft { path: self.path().to_owned(), text, about, shown: hidden(&self.diff()) })
    }

    /// The changes as a unified diff.
    fn diff(&self) -> String {
        let lines: Vec<&str> = self.file.text().lines().collect();
        let mut diff = format!("--- {0}\n+++ {0}\n", self.path());
        // How many lines the new text is ahead of the old one.
        let mut ahead: isize = 0;
        let mut groups: Vec<Vec<&Replaced>> = Vec::new();
        for replaced in &self.replaced {
            match groups.last_mut() {
                Some(group) if group.last().is_some_and(|last| replaced.first <= last.last + 2 * AROUND + 1) => {
                    group.push(replaced);
                }
                _ => groups.push(vec![replaced]),
            }
        }
        for group in groups {
            let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
            let begin = first.first.saturating_sub(AROUND);
            let end = (last.last + 1 + AROUND).min(lines.len());
            let mut body = String::new();
            let mut at = begin;
            for replaced in &group {
                lines[at..replaced.first].iter().for_each(|line| body += &format!(" {line}\n"));
                lines[replaced.first..=replaced.last].iter().for_each(|line| body += &format!("-{line}\n"));
                body += &format!("+{}\n", replaced.new);
                at = replaced.last + 1;
            }
            lines[at..end].iter().for_each(|line| body += &format!(" {line}\n"));
            let old = end - begin;
            let taken: usize = group.iter().map(|replaced| replaced.last - replaced.first).sum();
            let new = old - taken;
            let new_begin = (begin + 1).saturating_add_signed(ahead);
            diff += &format!("@@ -{},{old} +{new_begin},{new} @@\n{body}", begin + 1);
            ahead -= isize::try_from(taken).unwrap_or_default();
        }
        diff
    }
}

/// A text with every value hidden that is named as a secret and is one: `api_key=sk-…`, `API_KEY: sk-…`.
fn hidden(text: &str) -> String {
    let is_secret =
        |name: &str| looks_secret(name.trim_matches(|letter: char| !letter.is_alphanumeric() && letter != '_'));
    let says_it = |value: &str| {
        let value = value.trim_matches(['"', '\'']);
        !value.is_empty() && !value.contains('$')
    };
    let mut hidden = String::new();
    let mut before = "";
    for piece in text.split_inclusive([' ', '\t', '\n']) {
        let word = piece.trim_end_matches([' ', '\t', '\n']);
        let gap = &piece[word.len()..];
        match word.split_once('=') {
            Some((name, value)) if is_secret(name) && says_it(value) => hidden += &format!("{name}=[hidden]"),
            _ if before.strip_suffix(':').is_some_and(is_secret) && says_it(word) => hidden += "[hidden]",
            _ => hidden += word,
        }
        hidden += gap;
        before = if gap.ends_with('\n') { "" } else { word };
    }
    hidden
}

/// A line and those that go on with it by `\` (or PowerShell's backtick) at their ends: the last one's place, and all as one.
fn logical_line(lines: &[&str], first: usize) -> (usize, String) {
    let mut joined = lines[first].to_owned();
    let mut last = first;
    while let Some(before) = joined.trim_end().strip_suffix(['\\', '`']) {
        let Some(next) = lines.get(last + 1) else { break };
        // A backtick is a quote elsewhere.
        if joined.trim_end().ends_with('`') && !before.ends_with(' ') {
            break;
        }
        joined = format!("{} {}", before.trim_end(), next.trim_start());
        last += 1;
    }
    (last, joined)
}

/// The next command of one of the programs in a line: where it begins, its words, how many bytes it takes.
fn next_command(text: &str) -> Option<(usize, Vec<Word>, usize)> {
    let mut from = 0;
    while from < text.len() {
        let found = PROGRAMS.iter().filter_map(|program| Some((from + text[from..].find(program)?, *program)));
        let (begin, program) = found.min_by_key(|(begin, program)| (*begin, std::cmp::Reverse(program.len())))?;
        let end = begin + program.len();
        let before = text[..begin].chars().next_back();
        let begins = before.is_none_or(|letter| letter.is_whitespace() || "\"'(;&|".contains(letter));
        let ends = text[end..].starts_with([' ', '\t']);
        if begins && ends {
            // A command in quotes ends with them.
            let quoted = before.filter(|letter| matches!(letter, '"' | '\''));
            let limit = quoted.and_then(|quote| text[begin..].rfind(quote)).map_or(text.len(), |at| begin + at);
            let (words, length) = command(&text[begin..limit]);
            if words.len() > 1 {
                return Some((begin, words, length));
            }
        }
        from = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_where_they_stand() {
        for (text, expected) in [
            ("      - run: pf flow test --flow x", Some("pf flow test --flow x")),
            ("  run: \"pf run list\"", Some("pf run list")),
            ("set -e; pf run list && echo", Some("pf run list")),
            ("name: pf tests", Some("pf tests")),
            ("pip install promptflow-python pf", None),
            ("python", None),
            ("uses: actions/setup-python@v4", None),
        ] {
            let found = next_command(text).map(|(_, words, _)| line(&words));
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn secrets_are_hidden() {
        for (text, expected) in [
            (
                "pf connection create --set api_key=sk-1 api_base=https://a",
                "pf connection create --set api_key=[hidden] api_base=https://a",
            ),
            ("  API_KEY: sk-1\n  API_KEY: ${{ secrets.K }}\n", "  API_KEY: [hidden]\n  API_KEY: ${{ secrets.K }}\n"),
            ("--set api_key=$KEY", "--set api_key=$KEY"),
        ] {
            assert_eq!(hidden(text), expected);
        }
    }

    #[test]
    fn lines_that_go_on_are_one() {
        let lines = ["a \\", "   b \\", "  c", "d"];
        assert_eq!(logical_line(&lines, 0), (2, "a b c".to_owned()));
        assert_eq!(logical_line(&lines, 3), (3, "d".to_owned()));
        assert_eq!(logical_line(&["a \\"], 0), (0, "a \\".to_owned()));
    }
}
