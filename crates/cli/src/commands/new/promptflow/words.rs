//! Words of a command line, as a shell cuts them: quotes, `${{ … }}` and `$( … )` hold together.

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// As it is written, quotes included.
    pub(crate) raw: String,
    /// Without its quotes.
    pub(crate) value: String,
}

impl Word {
    /// A word of our own, with the quotes that it needs.
    pub(crate) fn of(value: &str) -> Self {
        let needs_none = !value.is_empty()
            && value.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-./=:,@%+".contains(letter));
        let raw = if needs_none { value.to_owned() } else { format!("'{}'", value.replace('\'', "'\\''")) };
        Self { raw, value: value.to_owned() }
    }

    /// Whether it is a flag.
    pub(crate) fn is_flag(&self) -> bool {
        self.raw.starts_with('-')
            && self.raw.len() > 1
            && !self.raw[1..].starts_with(|next: char| next.is_ascii_digit())
    }
}

/// Several words of our own, with the quotes that they need.
pub(crate) fn words(values: &[&str]) -> Vec<Word> {
    values.iter().map(|value| Word::of(value)).collect()
}

/// The words on one line.
pub(crate) fn line(words: &[Word]) -> String {
    words.iter().map(|word| word.raw.as_str()).collect::<Vec<_>>().join(" ")
}

/// The words of the command that `text` begins with, and how many bytes it takes: it ends before `&&`, `;`, `|`, `>`, `)`,
/// a comment, or the end.
pub(crate) fn command(text: &str) -> (Vec<Word>, usize) {
    let mut found = Vec::new();
    let mut end = 0;
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start();
        let at = text.len() - trimmed.len();
        let begins_operator = trimmed.starts_with(['&', ';', '|', '>', '<', ')', '#', '\n'])
            || trimmed.strip_prefix(|digit: char| digit.is_ascii_digit()).is_some_and(|rest| rest.starts_with('>'));
        if trimmed.is_empty() || begins_operator {
            return (found, end);
        }
        let length = word_length(trimmed);
        let raw = &trimmed[..length];
        found.push(Word { raw: raw.to_owned(), value: unquoted(raw) });
        end = at + length;
        rest = &trimmed[length..];
    }
}

fn word_length(text: &str) -> usize {
    let mut quote = None;
    // What is open, by the brackets that close it.
    let mut open: Vec<char> = Vec::new();
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), letter) if letter == open && before != '\\' => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if before != '\\' => quote = Some(letter),
            (None, '{') if before == '$' || open.last() == Some(&'}') => open.push('}'),
            (None, '(') if before == '$' => open.push(')'),
            (None, letter) if open.last() == Some(&letter) => {
                open.pop();
            }
            (None, letter) if open.is_empty() && (letter.is_whitespace() || ";|&)<>".contains(letter)) => return at,
            _ => {}
        }
        before = if before == '\\' && letter == '\\' { ' ' } else { letter };
    }
    text.len()
}

fn unquoted(raw: &str) -> String {
    let mut text = String::new();
    let mut quote = None;
    for letter in raw.chars() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (_, letter) => text.push(letter),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &[&str], rest: &str) {
        let (found, end) = command(text);
        let values: Vec<&str> = found.iter().map(|word| word.value.as_str()).collect();
        assert_eq!((values.as_slice(), &text[end..]), (expected, rest), "{text}");
    }

    #[test]
    fn a_command_is_cut_as_a_shell_cuts_it() {
        check("pf flow test --flow . && echo done", &["pf", "flow", "test", "--flow", "."], " && echo done");
        check(
            "pf run create -n 'a b' c='${data.x}' > log",
            &["pf", "run", "create", "-n", "a b", "c=${data.x}"],
            " > log",
        );
        check(
            "python -m flows.${{ inputs.x }}.e --environment_name ${{ inputs.env }}",
            &["python", "-m", "flows.${{ inputs.x }}.e", "--environment_name", "${{ inputs.env }}"],
            "",
        );
        check("pf run list # all", &["pf", "run", "list"], " # all");
        check("pf run show -n $(cat name) 2> x", &["pf", "run", "show", "-n", "$(cat name)"], " 2> x");
    }

    proptest! {
        #[test]
        fn any_text_ends(text in "\\PC{0,40}") {
            let (found, end) = command(&text);
            prop_assert!(end <= text.len() && text.is_char_boundary(end));
            prop_assert!(found.iter().all(|word| !word.raw.is_empty()));
        }

        #[test]
        fn our_own_words_are_read_back(value in "[ -~]{1,12}") {
            prop_assume!(!value.contains(['\'', '\\']));
            let (found, _) = command(&Word::of(&value).raw);
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(&found[0].value, &value);
        }
    }
}
