//! Python's methods on texts, lists and maps: those that minijinja's Python compatibility lacks, those whose results
//! must be bounded, and a good answer to those that change a value in place, which nothing here can.

use minijinja::value::{Kwargs, Tuple, ValueKind as Kind, from_args};
use minijinja::{Error, ErrorKind, State, Value as Item};
use minijinja_contrib::pycompat;

use super::format;
use super::guards;
use super::marks;
use super::print::{self, Style};

/// Calls `item.method(arguments)`.
pub(super) fn call(state: &mut State<'_, '_>, item: &Item, method: &str, arguments: &[Item]) -> Result<Item, Error> {
    let ours = match item.kind() {
        _ if method == "__slice" => Some(slice(state, item, arguments)?),
        Kind::String => of_text(state, item.as_str().unwrap_or_default(), method, arguments)?,
        Kind::Seq | Kind::Iterable => of_list(item, method, arguments)?,
        Kind::Map => of_map(item, method, arguments)?,
        Kind::Number => of_number(item, method)?,
        _ => None,
    };
    if let Some(result) = ours {
        return Ok(result);
    }
    pycompat::unknown_method_callback(state, item, method, arguments).map_err(|error| match error.kind() {
        ErrorKind::UnknownMethod => unknown(item, method),
        _ => error,
    })
}

/// `item[start:stop:step]`.
fn slice(state: &mut State<'_, '_>, item: &Item, arguments: &[Item]) -> Result<Item, Error> {
    let whole = |index: usize| match arguments.get(index).filter(|part| !part.is_none()) {
        None => Ok(None),
        Some(part) => part.as_i64().map(Some).ok_or_else(|| {
            Error::new(ErrorKind::InvalidOperation, "TypeError: slice indices must be integers or None")
        }),
    };
    let (start, stop, step) = (whole(0)?, whole(1)?, whole(2)?.unwrap_or(1));
    if step == 0 {
        return Err(value_error("slice step cannot be zero"));
    }
    if let Some(text) = item.as_str() {
        guards::spend(state, text.len())?;
        let letters: Vec<char> = marks::without(text).chars().collect();
        return Ok(Item::from(
            indices(letters.len(), start, stop, step).map(|index| letters[index]).collect::<String>(),
        ));
    }
    if !matches!(item.kind(), Kind::Seq | Kind::Iterable) {
        return Err(Error::new(ErrorKind::InvalidOperation, format!("TypeError: a {} cannot be sliced", item.kind())));
    }
    let items: Vec<Item> = item.try_iter()?.collect();
    let part: Vec<Item> = indices(items.len(), start, stop, step).map(|index| items[index].clone()).collect();
    Ok(if item.is_tuple() { Item::from(Tuple::from(part)) } else { Item::from(part) })
}

/// The indices that a slice of so many items names, as Python counts them.
fn indices(length: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> impl Iterator<Item = usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clamp = |index: i64| (if index < 0 { index.saturating_add(length) } else { index }).clamp(low, high);
    let start = start.map_or(if step > 0 { low } else { high }, clamp);
    let stop = stop.map_or(if step > 0 { high } else { low }, clamp);
    let mut next = start;
    std::iter::from_fn(move || {
        let inside = if step > 0 { next < stop } else { next > stop };
        let index = usize::try_from(next).ok().filter(|_| inside)?;
        next = next.saturating_add(step);
        Some(index)
    })
}

fn unknown(item: &Item, method: &str) -> Error {
    let kind = match item.kind() {
        Kind::String => "str",
        Kind::Map => "dict",
        Kind::Seq | Kind::Iterable => "list",
        Kind::Bool => "bool",
        Kind::None => return Error::new(ErrorKind::UnknownMethod, format!("'None' has no attribute '{method}'")),
        Kind::Number if item.is_integer() => "int",
        Kind::Number => "float",
        _ => "builtin",
    };
    Error::new(ErrorKind::UnknownMethod, format!("'{kind} object' has no attribute '{method}'"))
}

fn in_place(method: &str, instead: &str) -> Error {
    let message = format!("`.{method}()` changes a value in place, which a template here cannot: write {instead}");
    Error::new(ErrorKind::UnknownMethod, message)
}

fn value_error(message: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("ValueError: {message}"))
}

fn of_list(item: &Item, method: &str, arguments: &[Item]) -> Result<Option<Item>, Error> {
    match method {
        "append" => Err(in_place(
            method,
            "`{% set ns.items = ns.items + [x] %}`, with `ns = namespace(items=[])` before the loop",
        )),
        "extend" => Err(in_place(method, "`{% set ns.items = ns.items + more %}`")),
        "insert" | "pop" | "remove" | "clear" => Err(in_place(method, "a new list with `+`, slices and `|reject`")),
        "sort" => Err(in_place(method, "`|sort`")),
        "reverse" => Err(in_place(method, "`|reverse`")),
        "copy" => Ok(Some(item.clone())),
        "index" => {
            let (wanted,): (&Item,) = from_args(arguments)?;
            let found = item.try_iter()?.position(|inner| inner == *wanted);
            found.map(|index| Some(Item::from(index))).ok_or_else(|| {
                let mut shown = String::new();
                print::repr(wanted, &mut shown, 0);
                value_error(&format!("{shown} is not in list"))
            })
        }
        _ => Ok(None),
    }
}

fn of_map(item: &Item, method: &str, _: &[Item]) -> Result<Option<Item>, Error> {
    match method {
        "update" | "setdefault" => Err(in_place(method, "`{% set d = dict(d, key=value) %}`")),
        "pop" | "popitem" | "clear" => Err(in_place(method, "a loop that skips the key")),
        "copy" => Ok(Some(item.clone())),
        _ => Ok(None),
    }
}

fn of_number(item: &Item, method: &str) -> Result<Option<Item>, Error> {
    let number = f64::try_from(item.clone()).unwrap_or(f64::NAN);
    Ok(match method {
        "is_integer" => Some(Item::from(number.fract() == 0.0)),
        "bit_length" if item.is_integer() => {
            i128::try_from(item.clone()).ok().map(|number| Item::from(128 - number.unsigned_abs().leading_zeros()))
        }
        _ => None,
    })
}

fn of_text(state: &mut State<'_, '_>, marked: &str, method: &str, arguments: &[Item]) -> Result<Option<Item>, Error> {
    let plain = marks::without(marked);
    let text = &*plain;
    let item = match method {
        "center" | "ljust" | "rjust" => {
            let (width, fill): (i64, Option<&str>) = from_args(arguments)?;
            Item::from(pad(state, text, width, fill.unwrap_or(" "), method)?)
        }
        "zfill" => {
            let (width,): (i64,) = from_args(arguments)?;
            let (sign, digits) = match text.strip_prefix(['+', '-']) {
                Some(digits) => text.split_at(text.len() - digits.len()),
                None => ("", text),
            };
            let padded = pad(state, digits, width - sign.len() as i64, "0", "rjust")?;
            Item::from(format!("{sign}{padded}"))
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(arguments)?;
            Item::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(arguments)?;
            Item::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(arguments)?;
            if separator.is_empty() {
                return Err(value_error("empty separator"));
            }
            let found = if method == "partition" { text.split_once(separator) } else { text.rsplit_once(separator) };
            let parts = match (found, method) {
                (Some((before, after)), _) => [before, separator, after],
                (None, "partition") => [text, "", ""],
                (None, _) => ["", "", text],
            };
            Item::from(Tuple::from(parts.map(Item::from)))
        }
        "rsplit" => {
            let (separator, most, kwargs): (Option<&str>, Option<i64>, Kwargs) = from_args(arguments)?;
            let most = most.or(kwargs.get("maxsplit")?).unwrap_or(-1);
            Item::from(rsplit(text, separator, usize::try_from(most).unwrap_or(usize::MAX)))
        }
        "find" | "rfind" | "index" | "rindex" => {
            let (wanted, start, end): (&str, Option<i64>, Option<i64>) = from_args(arguments)?;
            let (offset, window) = window(text, start, end);
            let at = if method.starts_with('r') { window.rfind(wanted) } else { window.find(wanted) };
            match at {
                Some(at) => Item::from(offset + window[..at].chars().count()),
                None if method.ends_with("find") => Item::from(-1),
                None => return Err(value_error("substring not found")),
            }
        }
        "count" => {
            let (wanted, start, end): (&str, Option<i64>, Option<i64>) = from_args(arguments)?;
            let (_, window) = window(text, start, end);
            Item::from(if wanted.is_empty() { window.chars().count() + 1 } else { window.matches(wanted).count() })
        }
        "replace" => {
            let (old, new, most, kwargs): (&str, &str, Option<i64>, Kwargs) = from_args(arguments)?;
            let most = most.or(kwargs.get("count")?).unwrap_or(-1);
            Item::from(replace(state, marked, old, new, usize::try_from(most).ok())?)
        }
        "join" => {
            let (items,): (&Item,) = from_args(arguments)?;
            let mut texts = Vec::new();
            for (index, inner) in items.try_iter()?.enumerate() {
                let Some(part) = inner.as_str() else {
                    let kind = inner.kind();
                    let message = format!("sequence item {index}: expected str instance, {kind} found");
                    return Err(Error::new(ErrorKind::InvalidOperation, message));
                };
                texts.push(part.to_owned());
            }
            Item::from(join(state, &texts, marked)?)
        }
        "format" => Item::from(format::braces(state, marked, arguments)?),
        "splitlines" => {
            let (keep_ends,): (Option<bool>,) = from_args(arguments)?;
            Item::from(split_lines(text, keep_ends.unwrap_or(false)))
        }
        "expandtabs" => {
            let (size,): (Option<usize>,) = from_args(arguments)?;
            Item::from(expand_tabs(state, text, size.unwrap_or(8))?)
        }
        "casefold" => Item::from(text.to_lowercase().replace('ß', "ss")),
        "swapcase" => Item::from(text.chars().flat_map(swap_case).collect::<String>()),
        "istitle" => {
            let mut previous_cased = false;
            let mut any = false;
            let fits = text.chars().all(|letter| {
                let fits = if letter.is_uppercase() {
                    !previous_cased
                } else if letter.is_lowercase() {
                    previous_cased
                } else {
                    true
                };
                previous_cased = letter.is_uppercase() || letter.is_lowercase();
                any |= previous_cased;
                fits
            });
            Item::from(fits && any)
        }
        "isdecimal" => Item::from(
            !text.is_empty()
                && text.chars().all(|letter| {
                    letter.is_numeric() && letter.is_alphanumeric() && (!letter.is_ascii() || letter.is_ascii_digit())
                }),
        ),
        "isidentifier" => {
            let mut letters = text.chars();
            let first = letters.next().is_some_and(|letter| letter == '_' || letter.is_alphabetic());
            Item::from(first && letters.all(|letter| letter == '_' || letter.is_alphanumeric()))
        }
        "isprintable" => Item::from(!text.chars().any(|letter| letter.is_control())),
        "encode" => {
            let message = "`.encode()` gives bytes, which a template here cannot hold: text is UTF-8 everywhere";
            return Err(Error::new(ErrorKind::UnknownMethod, message));
        }
        _ => return Ok(None),
    };
    Ok(Some(item))
}

fn swap_case(letter: char) -> Vec<char> {
    if letter.is_uppercase() { letter.to_lowercase().collect() } else { letter.to_uppercase().collect() }
}

/// The part of a text between two character indices, Python's way, and where it begins.
fn window(text: &str, start: Option<i64>, end: Option<i64>) -> (usize, &str) {
    let length = text.chars().count() as i64;
    let clamp = |index: i64| (if index < 0 { index + length } else { index }).clamp(0, length) as usize;
    let (start, end) = (clamp(start.unwrap_or(0)), clamp(end.unwrap_or(length)));
    let byte = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(at, _)| at);
    (start, text.get(byte(start)..byte(end)).unwrap_or(""))
}

/// Pads a text to a width in characters.
pub(super) fn pad(state: &mut State<'_, '_>, text: &str, width: i64, fill: &str, how: &str) -> Result<String, Error> {
    let mut letters = fill.chars();
    let (Some(letter), None) = (letters.next(), letters.next()) else {
        let message = "TypeError: The fill character must be exactly one character long";
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    };
    let missing = usize::try_from(width).unwrap_or(0).saturating_sub(text.chars().count());
    guards::text(state, text.len().saturating_add(missing.saturating_mul(letter.len_utf8())))?;
    let left = match how {
        "ljust" => 0,
        "rjust" => missing,
        // As CPython: the odd blank goes left if the width is odd.
        _ => missing / 2 + (missing & usize::try_from(width).unwrap_or(0) & 1),
    };
    let side = |count: usize| std::iter::repeat_n(letter, count).collect::<String>();
    Ok(format!("{}{text}{}", side(left), side(missing - left)))
}

/// Replaces in a text that may hold marks: a header stays one only if its line stays as it was.
pub(super) fn replace(
    state: &mut State<'_, '_>,
    marked: &str,
    old: &str,
    new: &str,
    most: Option<usize>,
) -> Result<String, Error> {
    let old = marks::without(old);
    let found = if old.is_empty() { marked.chars().count() + 1 } else { marked.matches(&*old).count() };
    let count = most.map_or(found, |most| most.min(found));
    guards::text(state, marked.len().saturating_add(count.saturating_mul(new.len())))?;
    let replaced = marked.replacen(&*old, new, count);
    Ok(if marks::is_marked(marked) { marks::recheck(marked, &replaced) } else { replaced })
}

/// Joins texts.
pub(super) fn join(state: &mut State<'_, '_>, texts: &[String], separator: &str) -> Result<String, Error> {
    let length = texts.iter().map(|text| text.len() + separator.len()).sum();
    guards::text(state, length)?;
    Ok(texts.join(separator))
}

fn rsplit(text: &str, separator: Option<&str>, most: usize) -> Vec<Item> {
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = text;
    if let Some(separator) = separator.filter(|separator| !separator.is_empty()) {
        while parts.len() < most {
            let Some((before, after)) = rest.rsplit_once(separator) else { break };
            parts.push(after);
            rest = before;
        }
        parts.push(rest);
    } else {
        rest = rest.trim_end();
        while parts.len() < most && !rest.is_empty() {
            let Some(at) = rest.rfind(char::is_whitespace) else { break };
            parts.push(&rest[at..]);
            rest = rest[..at].trim_end();
        }
        if !rest.is_empty() {
            parts.push(if parts.len() < most { rest.trim_start() } else { rest });
        }
        parts.iter_mut().take(most).for_each(|part| *part = part.trim_start());
    }
    parts.into_iter().rev().map(Item::from).collect()
}

/// Python's line breaks: more than `\n`.
pub(super) fn split_lines(text: &str, keep_ends: bool) -> Vec<String> {
    let is_break = |letter: char| {
        matches!(letter, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let at = rest.find(is_break).unwrap_or(rest.len());
        let length = match rest[at..].chars().next() {
            Some('\r') if rest[at + 1..].starts_with('\n') => 2,
            Some(letter) => letter.len_utf8(),
            None => 0,
        };
        lines.push(rest[..if keep_ends { at + length } else { at }].to_owned());
        rest = &rest[at + length..];
    }
    lines
}

fn expand_tabs(state: &mut State<'_, '_>, text: &str, size: usize) -> Result<String, Error> {
    guards::text(state, text.len().saturating_add(text.matches('\t').count().saturating_mul(size)))?;
    let mut out = String::with_capacity(text.len());
    let mut column = 0;
    for letter in text.chars() {
        match letter {
            '\t' => {
                let blanks = if size == 0 { 0 } else { size - column % size };
                out.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
            }
            '\n' | '\r' => {
                out.push(letter);
                column = 0;
            }
            _ => {
                out.push(letter);
                column += 1;
            }
        }
    }
    Ok(out)
}

/// The text of an item as a filter reads it: without marks.
pub(super) fn plain_text(item: &Item) -> String {
    let text = print::str(item, Style::Python);
    match marks::without(&text) {
        std::borrow::Cow::Borrowed(_) => text,
        std::borrow::Cow::Owned(plain) => plain,
    }
}
