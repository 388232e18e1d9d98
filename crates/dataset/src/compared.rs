//! Comparisons of a text with a number: what a spreadsheet shows as a number is a text in its CSV file, and an expression
//! that compares it with one says something of every row, and of none what was meant.

use std::sync::Arc;

use sluicegate_value::Value;

/// A piece of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'t> {
    Name(&'t str),
    Number,
    Comparison,
    Text,
    Other(char),
}

/// The first name that is compared with a number as it stands, and is a text here.
pub(crate) fn text_beside_number<'g>(expression: &str, given: &'g [(Arc<str>, Value)]) -> Option<&'g Arc<str>> {
    if !given.iter().any(|(_, value)| value.as_str().is_some()) {
        return None;
    }
    let compared = compared_with_numbers(expression);
    let is_text = |(name, value): &&(Arc<str>, Value)| value.as_str().is_some() && compared.contains(&&**name);
    given.iter().find(is_text).map(|(name, _)| name)
}

/// The names that stand alone on one side of a comparison whose other side begins or ends with a number.
fn compared_with_numbers(expression: &str) -> Vec<&str> {
    let tokens = tokens(expression);
    let begins_side =
        |token: Option<&Token<'_>>| matches!(token, None | Some(Token::Other('(') | Token::Name("and" | "or" | "not")));
    let ends_side = |token: Option<&Token<'_>>| {
        matches!(token, None | Some(Token::Other(')') | Token::Name("and" | "or") | Token::Comparison))
    };
    let mut names = Vec::new();
    for (at, three) in tokens.windows(3).enumerate() {
        let before = at.checked_sub(1).and_then(|at| tokens.get(at));
        match three {
            [Token::Name(name), Token::Comparison, Token::Number] if begins_side(before) => names.push(*name),
            [Token::Number, Token::Comparison, Token::Name(name)] if ends_side(tokens.get(at + 3)) => names.push(*name),
            _ => {}
        }
    }
    names
}

fn tokens(expression: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '"' | '\'' => (Token::Text, quoted(rest, first)),
            '<' | '>' | '=' | '!' => {
                (Token::Comparison, leading(rest, |letter| matches!(letter, '<' | '>' | '=' | '!')))
            }
            '0'..='9' => {
                (Token::Number, leading(rest, |letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_')))
            }
            // A sign before a number is its own.
            '-' | '+' if matches!(tokens.last(), Some(Token::Comparison) | None) => {
                rest = rest[1..].trim_start();
                continue;
            }
            letter if letter.is_alphabetic() || letter == '_' => {
                let length = leading(rest, |letter| letter.is_alphanumeric() || letter == '_');
                (Token::Name(&rest[..length]), length)
            }
            other => (Token::Other(other), other.len_utf8()),
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    tokens
}

fn leading(text: &str, is_of_it: impl Fn(char) -> bool) -> usize {
    text.find(|letter| !is_of_it(letter)).unwrap_or(text.len())
}

/// The length of a text with its quotes; backslashes hide what follows them.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_hidden = false;
    let end = text.char_indices().skip(1).find(|(_, letter)| {
        let ends = *letter == quote && !is_hidden;
        is_hidden = *letter == '\\' && !is_hidden;
        ends
    });
    end.map_or(text.len(), |(at, quote)| at + quote.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beside_numbers_are_found_and_what_is_made_of_names_is_not() {
        let check = |expression: &str, expected: &[&str]| {
            assert_eq!(compared_with_numbers(expression), expected, "{expression}");
        };
        check("n > 1", &["n"]);
        check("(a >= -1.5 and not b == 2) or 3 < c", &["a", "b", "c"]);
        check("n|int > 1 and text|length > 20", &[]);
        check("data.n > 1 or rows[0] > 2", &[]);
        check("1 < n|float and 2 < n.x and 'n > 1' == m", &[]);
        check("2 * n > 1", &[]);
        check("lang == \"de\\\" n > 1\"", &[]);
        check("", &[]);
        check("ö > 1 < 2", &["ö"]);
    }
}
