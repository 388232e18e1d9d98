//! mteval-v13a, as sacrebleu has it.

/// The text with blanks between its tokens.
pub(super) fn spaced(text: &str) -> String {
    let text = text.trim_end_matches(super::is_space);
    let mut text = text.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    if text.contains('&') {
        text = text.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
    }
    let mut letters: Vec<char> = Vec::with_capacity(text.len() + 16);
    letters.push(' ');
    for letter in text.chars() {
        if is_sign(letter) {
            letters.extend([' ', letter, ' ']);
        } else {
            letters.push(letter);
        }
    }
    letters.push(' ');
    let letters = part(&letters, |c| !c.is_ascii_digit(), is_point, |a, b| [a, ' ', b, ' ']);
    let letters = part(&letters, is_point, |c| !c.is_ascii_digit(), |a, b| [' ', a, ' ', b]);
    let letters = part(&letters, |c| c.is_ascii_digit(), |c| c == '-', |a, b| [a, ' ', b, ' ']);
    letters.into_iter().collect()
}

/// The class ``[{-~[-` -&(-+:-@/]``: signs other than `'`, `,`, `-` and `.`.
fn is_sign(letter: char) -> bool {
    matches!(letter, '{'..='~' | '['..='`' | ' '..='&' | '('..='+' | ':'..='@' | '/')
}

fn is_point(letter: char) -> bool {
    matches!(letter, '.' | ',')
}

/// Replaces pairs, from the left, each letter in one pair at most.
fn part(
    letters: &[char],
    left: impl Fn(char) -> bool,
    right: impl Fn(char) -> bool,
    replace: impl Fn(char, char) -> [char; 4],
) -> Vec<char> {
    let mut out = Vec::with_capacity(letters.len() + 16);
    let mut rest = letters;
    loop {
        match rest {
            [first, second, after @ ..] if left(*first) && right(*second) => {
                out.extend(replace(*first, *second));
                rest = after;
            }
            [first, after @ ..] => {
                out.push(*first);
                rest = after;
            }
            [] => return out,
        }
    }
}
