//! `%` formatting and `str.format`, with widths held within bounds.

use minijinja::formatting::{FormatStyle, format};
use minijinja::{Error, State, Value as Item};

use super::guards;
use super::marks;

/// The widest field.
const WIDTH: usize = 10_000;

/// `'..'|format(..)`.
pub(super) fn percent(state: &mut State<'_, '_>, marked: &str, arguments: &[Item]) -> Result<String, Error> {
    bounded(state, FormatStyle::Printf, marked, arguments)
}

/// `'..'.format(..)`.
pub(super) fn braces(state: &mut State<'_, '_>, marked: &str, arguments: &[Item]) -> Result<String, Error> {
    bounded(state, FormatStyle::StrFormat, marked, arguments)
}

fn bounded(state: &mut State<'_, '_>, style: FormatStyle, marked: &str, arguments: &[Item]) -> Result<String, Error> {
    let plain = marks::without(marked);
    let mut digits = 0_usize;
    for letter in plain.chars() {
        digits = letter.to_digit(10).map_or(0, |digit| digits.saturating_mul(10).saturating_add(digit as usize));
        if digits > WIDTH {
            return Err(guards::limit(format_args!("a width of more than {WIDTH} in a format")));
        }
    }
    // A width may also come from an argument.
    let takes_width = plain.contains('*') || plain.contains(":{");
    for argument in arguments {
        if takes_width && argument.as_usize().is_some_and(|width| width > WIDTH) {
            return Err(guards::limit(format_args!("a width of more than {WIDTH} in a format")));
        }
    }
    let fields = plain.matches(['%', '{']).count();
    let longest = arguments.iter().filter_map(|argument| argument.as_str().map(str::len)).max().unwrap_or(64);
    guards::spend(state, plain.len())?;
    if fields.saturating_mul(longest) > guards::TEXT {
        return Err(guards::limit("the text that a format makes"));
    }
    let text = format(style, marked, arguments)?;
    guards::text(state, text.len())?;
    // `%c` makes characters from numbers: only the marks of the format itself and of its arguments stay.
    let count = |text: &str| text.matches(marks::is_mark).count();
    let known = count(marked) + arguments.iter().filter_map(Item::as_str).map(count).sum::<usize>();
    Ok(if count(&text) > known { marks::without(&text).into_owned() } else { text })
}
