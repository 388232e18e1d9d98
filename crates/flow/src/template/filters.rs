//! Filters: those that minijinja lacks or has otherwise than jinja2, and guards around those whose results can be
//! much larger than what goes in.

use minijinja::value::{Kwargs, Rest, ValueKind as Kind};
use minijinja::{Environment, Error, ErrorKind, State, Value as Item, filters};

use super::arguments::bind;
use super::methods::{self, plain_text, split_lines};
use super::print::{self, Style};
use super::{format, from_json, guards, marks, numbers, tojson};

/// The most columns, rows or blanks that an argument may ask for.
const WIDTH: i64 = 100_000;

/// Adds the filters to an environment whose expressions print in `style`.
pub(super) fn add_to(env: &mut Environment<'static>, style: Style) {
    guard(env, "list", filters::list);
    guard(env, "sort", filters::sort);
    guard(env, "unique", filters::unique);
    guard(env, "map", filters::map);
    guard(env, "select", filters::select);
    guard(env, "reject", filters::reject);
    guard(env, "groupby", filters::groupby);
    guard(env, "reverse", filters::reverse);
    guard(env, "batch", filters::batch);
    guard(env, "slice", filters::slice);
    guard(env, "sum", filters::sum);
    guard(env, "min", filters::min);
    guard(env, "max", filters::max);
    guard(env, "selectattr", filters::selectattr);
    guard(env, "rejectattr", filters::rejectattr);
    guard(env, "dictsort", filters::dictsort);
    guard(env, "chain", filters::chain);
    guard(env, "zip", filters::zip);
    env.add_filter("tojson", tojson::filter);
    env.add_filter("from_json", from_json::filter);
    env.add_filter("length", length);
    env.add_filter("count", length);
    env.add_filter("truncate", truncate);
    env.add_filter("wordwrap", wordwrap);
    env.add_filter("replace", replace);
    env.add_filter("center", center);
    env.add_filter("xmlattr", xmlattr);
    env.add_filter("forceescape", |item: Item| escaped(&print::str(&item, Style::Python)));
    env.add_filter("escape", escape);
    env.add_filter("e", escape);
    env.add_filter("join", move |state: &mut State<'_, '_>, items: Item, rest: Rest<Item>, kwargs: Kwargs| {
        join(state, style, &items, &rest, &kwargs)
    });
    env.add_filter("string", move |item: Item| match item.as_str() {
        Some(_) => item,
        None => Item::from(print::str(&item, style)),
    });
    env.add_filter("format", |state: &mut State<'_, '_>, item: Item, rest: Rest<Item>, kwargs: Kwargs| {
        format::percent(state, &print::str(&item, Style::Python), &with_named(rest, kwargs))
    });
    env.add_filter("indent", indent);
    env.add_filter("striptags", |text: String| {
        marks::without(&minijinja_contrib::filters::striptags(marks::without(&text).into_owned())).into_owned()
    });
    env.add_filter("int", numbers::int);
    env.add_filter("float", numbers::float);
    env.add_filter("round", numbers::round);
    env.add_filter("random", |_: Item, _: Rest<Item>, _: Kwargs| -> Result<Item, Error> {
        Err(type_error("`random` is not available: a template gives the same text for the same inputs"))
    });
    env.add_filter("__keep", guards::keep);
    env.add_filter("__keep_in", guards::keep_in);
    env.add_filter("__each", guards::each);
    env.add_filter("__role", guards::role(style));
    env.add_filter("__inline", guards::inline);
}

/// An error of Python's class `TypeError`.
pub(super) fn type_error(message: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("TypeError: {message}"))
}

/// Adds a filter of minijinja that makes a list of letters out of a text, or of as many items as it is told to.
fn guard<F, Rv, Args>(env: &mut Environment<'static>, name: &'static str, filter: F)
where
    F: minijinja::functions::Function<Rv, Args>,
    Rv: minijinja::value::FunctionResult,
    Args: for<'a> minijinja::value::FunctionArgs<'a>,
{
    let inner = format!("__{name}");
    env.add_filter(inner.clone(), filter);
    env.add_filter(name, move |state: &mut State<'_, '_>, item: Item, rest: Rest<Item>, kwargs: Kwargs| {
        if item.as_str().is_some_and(|text| text.len() > guards::TEXT / 16) {
            return Err(guards::limit("a list of the letters of so long a text"));
        }
        guards::spend_items(state, item.len().unwrap_or(0))?;
        if matches!(name, "batch" | "slice") && rest.first().and_then(Item::as_i64).is_some_and(|count| count > WIDTH) {
            return Err(guards::limit(format_args!("more than {WIDTH} in `{name}`")));
        }
        let mut arguments = Vec::with_capacity(rest.len() + 1);
        arguments.push(item);
        arguments.extend(with_named(rest, kwargs));
        state.apply_filter(&inner, &arguments)
    });
}

/// Arguments as a filter passes them on: those with names last, as one.
fn with_named(rest: Rest<Item>, kwargs: Kwargs) -> Vec<Item> {
    let mut arguments = rest.0;
    if kwargs.args().next().is_some() {
        arguments.push(Item::from(kwargs));
    }
    arguments
}

fn length(item: Item) -> Result<usize, Error> {
    if item.is_undefined() {
        return Ok(0);
    }
    if let Some(text) = item.as_str() {
        return Ok(marks::without(text).chars().count());
    }
    let kind = match item.kind() {
        Kind::None => "NoneType",
        Kind::Bool => "bool",
        Kind::Number if item.is_integer() => "int",
        Kind::Number => "float",
        _ => "object",
    };
    match item.len() {
        Some(length) => Ok(length),
        None if item.kind() == Kind::Iterable => Ok(item.try_iter()?.count()),
        None => Err(type_error(format_args!("object of type '{kind}' has no len()"))),
    }
}

fn truncate(item: Item, rest: Rest<Item>, kwargs: Kwargs) -> Result<String, Error> {
    let [length, kill_words, end, leeway] = bind("truncate", ["length", "killwords", "end", "leeway"], &rest, &kwargs)?;
    let text = plain_text(&item);
    let length = length.map_or(Ok(255), count)?;
    let end = end.map_or_else(|| "...".to_owned(), |end| plain_text(&end));
    let leeway = leeway.filter(|leeway| !leeway.is_none()).map_or(Ok(5), count)?;
    let end_length = end.chars().count();
    if length < end_length {
        return Err(type_error(format_args!("expected length >= {end_length}, got {length}")));
    }
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(text);
    }
    let kept: String = text.chars().take(length - end_length).collect();
    let kept = match kept.rsplit_once(' ') {
        Some((words, _)) if !kill_words.is_some_and(|kill| kill.is_true()) => words,
        _ => &kept,
    };
    Ok(format!("{kept}{end}"))
}

fn count(item: Item) -> Result<usize, Error> {
    item.as_i64()
        .map(|number| usize::try_from(number).unwrap_or(0))
        .ok_or_else(|| type_error(format_args!("expected an integer, got {}", item.kind())))
}

fn wordwrap(state: &mut State<'_, '_>, item: Item, rest: Rest<Item>, kwargs: Kwargs) -> Result<String, Error> {
    let names = ["width", "break_long_words", "wrapstring", "break_on_hyphens"];
    let [width, break_long, wrap_string, on_hyphens] = bind("wordwrap", names, &rest, &kwargs)?;
    let width = width.map_or(Ok(79), count)?;
    if width == 0 {
        return Err(Error::new(ErrorKind::InvalidOperation, "ValueError: invalid width 0 (must be > 0)"));
    }
    let break_long = break_long.is_none_or(|yes| yes.is_true());
    let on_hyphens = on_hyphens.is_none_or(|yes| yes.is_true());
    let wrap_string =
        wrap_string.filter(|item| !item.is_none()).map_or_else(|| "\n".to_owned(), |item| plain_text(&item));
    let mut lines = Vec::new();
    for line in split_lines(&plain_text(&item), false) {
        let wrapped = wrap(&line, width, break_long, on_hyphens);
        // An empty line stays one.
        if wrapped.is_empty() { lines.push(String::new()) } else { lines.extend(wrapped) }
    }
    methods::join(state, &lines, &wrap_string)
}

/// Python's `textwrap.wrap`, which drops the blanks at which it breaks.
fn wrap(line: &str, width: usize, break_long: bool, on_hyphens: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    let mut current_width = 0;
    for chunk in chunks(line, on_hyphens) {
        let mut letters: Vec<char> = chunk.chars().collect();
        let is_blank = chunk.trim().is_empty();
        if current_width + letters.len() > width {
            if is_blank {
                if !current.is_empty() {
                    lines.push(std::mem::take(&mut current).trim_end().to_owned());
                }
                current_width = 0;
                continue;
            }
            while letters.len() > width && break_long || current_width + letters.len() > width && current_width > 0 {
                let room = width.saturating_sub(current_width);
                if letters.len() > width && break_long && room > 0 {
                    current.extend(letters.drain(..room));
                }
                lines.push(std::mem::take(&mut current).trim_end().to_owned());
                current_width = 0;
            }
        }
        if is_blank && current_width == 0 && !lines.is_empty() {
            continue;
        }
        current_width += letters.len();
        current.extend(letters);
    }
    let rest = current.trim_end();
    if !rest.is_empty() {
        lines.push(rest.to_owned());
    }
    lines
}

/// Words, the blanks between them, and the parts of words with hyphens.
fn chunks(line: &str, on_hyphens: bool) -> Vec<&str> {
    let mut chunks = Vec::new();
    let mut start = 0;
    let mut previous = None;
    for (at, letter) in line.char_indices() {
        let Some(before) = previous.replace(letter) else { continue };
        let edge = char::is_whitespace(before) != letter.is_whitespace();
        let after_hyphen = on_hyphens
            && before == '-'
            && letter.is_alphabetic()
            && line[start..at].chars().rev().nth(1).is_some_and(char::is_alphabetic);
        if edge || after_hyphen {
            chunks.push(&line[start..at]);
            start = at;
        }
    }
    if start < line.len() {
        chunks.push(&line[start..]);
    }
    chunks
}

fn replace(state: &mut State<'_, '_>, item: Item, rest: Rest<Item>, kwargs: Kwargs) -> Result<String, Error> {
    let [old, new, count] = bind("replace", ["old", "new", "count"], &rest, &kwargs)?;
    let (Some(old), Some(new)) = (old, new) else {
        return Err(type_error("do_replace() missing required arguments: 'old' and 'new'"));
    };
    let text = print::str(&item, Style::Python);
    let most = count.as_ref().and_then(Item::as_i64).and_then(|count| usize::try_from(count).ok());
    methods::replace(state, &text, &print::str(&old, Style::Python), &print::str(&new, Style::Python), most)
}

fn center(state: &mut State<'_, '_>, item: Item, rest: Rest<Item>, kwargs: Kwargs) -> Result<String, Error> {
    let [width] = bind("center", ["width"], &rest, &kwargs)?;
    let width = width.and_then(|width| width.as_i64()).unwrap_or(80);
    methods::pad(state, &plain_text(&item), width, " ", "center")
}

fn indent(state: &mut State<'_, '_>, item: Item, rest: Rest<Item>, kwargs: Kwargs) -> Result<String, Error> {
    let [width, first, blank] = bind("indent", ["width", "first", "blank"], &rest, &kwargs)?;
    let with = match width {
        Some(width) if width.as_str().is_some() => plain_text(&width),
        Some(width) => {
            let width = width.as_i64().unwrap_or(4);
            if width > WIDTH {
                return Err(guards::limit(format_args!("more than {WIDTH} in `indent`")));
            }
            " ".repeat(usize::try_from(width).unwrap_or(0))
        }
        None => "    ".to_owned(),
    };
    let is_true = |item: Option<Item>| item.is_some_and(|item| item.is_true());
    let (first, blank) = (is_true(first), is_true(blank));
    let text = plain_text(&item) + "\n";
    let lines = split_lines(&text, false);
    guards::text(state, text.len().saturating_add(lines.len().saturating_mul(with.len())))?;
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let wanted = if index == 0 { first } else { blank || !line.is_empty() };
        if wanted {
            out.push_str(&with);
        }
        out.push_str(line);
    }
    Ok(out)
}

fn join(
    state: &mut State<'_, '_>,
    style: Style,
    items: &Item,
    rest: &[Item],
    kwargs: &Kwargs,
) -> Result<String, Error> {
    let [separator, attribute] = bind("join", ["d", "attribute"], rest, kwargs)?;
    let separator = separator.map_or_else(String::new, |separator| print::str(&separator, style));
    let mut texts = Vec::new();
    let mut length = 0;
    if !items.is_undefined() {
        for item in items.try_iter()? {
            let item = match &attribute {
                Some(attribute) => attribute_of(&item, attribute)?,
                None => item,
            };
            let text = print::str(&item, style);
            length += text.len() + separator.len();
            if length > guards::TEXT {
                guards::text(state, length)?;
            }
            texts.push(text);
        }
    }
    methods::join(state, &texts, &separator)
}

/// An attribute such as `a.b.0`.
fn attribute_of(item: &Item, path: &Item) -> Result<Item, Error> {
    let Some(path) = path.as_str() else { return item.get_item(path) };
    path.split('.').try_fold(item.clone(), |item, part| match part.parse::<usize>() {
        Ok(index) => item.get_item_by_index(index),
        Err(_) => item.get_attr(part),
    })
}

fn escape(item: Item) -> Item {
    if item.is_safe() { item } else { escaped(&print::str(&item, Style::Python)) }
}

/// Escapes as markupsafe does.
fn escaped(text: &str) -> Item {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    Item::from_safe_string(out)
}

fn xmlattr(item: Item, rest: Rest<Item>, kwargs: Kwargs) -> Result<Item, Error> {
    let [auto_space] = bind("xmlattr", ["autospace"], &rest, &kwargs)?;
    let mut parts = Vec::new();
    for key in item.try_iter()? {
        let value = item.get_item(&key)?;
        if value.is_none() || value.is_undefined() {
            continue;
        }
        let name = plain_text(&key);
        if name.contains(|letter: char| letter.is_whitespace() || "/>=".contains(letter)) {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                format!("ValueError: Invalid character in attribute name: '{name}'"),
            ));
        }
        parts.push(format!("{}=\"{}\"", escaped(&name), escaped(&plain_text(&value))));
    }
    let mut text = parts.join(" ");
    if !text.is_empty() && auto_space.is_none_or(|yes| yes.is_true()) {
        text.insert(0, ' ');
    }
    Ok(Item::from_safe_string(text))
}
