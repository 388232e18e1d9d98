//! Text from models and data is hostile: it may hold escape sequences that move a terminal's cursor, change its title
//! or hide what came before.

use std::borrow::Cow;

/// The text with every control character (line breaks and tabs aside) shown as its code, and direction overrides too.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    text.chars()
        .map(|letter| if is_harmful(letter) { format!("\\u{{{:x}}}", u32::from(letter)) } else { letter.to_string() })
        .collect::<String>()
        .into()
}

fn is_harmful(letter: char) -> bool {
    match letter {
        '\n' | '\t' => false,
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => letter.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn escape_sequences_are_shown_not_obeyed() {
        assert_eq!(harmless("a\nb\tc é"), "a\nb\tc é");
        assert_eq!(harmless("\x1b[2Jgone\r"), "\\u{1b}[2Jgone\\u{d}");
        assert_eq!(harmless("ab\u{202e}cd\u{9b}"), "ab\\u{202e}cd\\u{9b}");
    }
}
