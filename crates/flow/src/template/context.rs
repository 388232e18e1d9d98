//! What a translated mustache template calls: names are looked up in the items of the sections around them.

use minijinja::value::{Rest, ValueKind as Kind};
use minijinja::{Environment, Error, State, Value as Item};

use super::guards;
use super::print::{self, Style};

/// The variable that holds all inputs.
pub(super) const ROOT: &str = "root";

/// Adds the functions to an environment that runs translated templates only.
pub(super) fn add_to(env: &mut Environment<'static>) {
    env.add_function("lookup", |path: &str, contexts: Rest<Item>| lookup(path, &contexts));
    env.add_function("section", section);
    env.add_function("inverted", |item: Item| is_falsy(&item));
    env.add_filter("html", html);
}

/// The value of a dotted name. Its first part is the first context's that has it; what follows is that value's own.
fn lookup(path: &str, contexts: &[Item]) -> Item {
    if path == "." {
        return contexts.first().cloned().unwrap_or_default();
    }
    let mut parts = path.split('.');
    let first = parts.next().unwrap_or_default();
    let found = contexts.iter().find_map(|context| member(context, first));
    parts.try_fold(found, |item, part| item.map(|item| member(&item, part))).flatten().unwrap_or_default()
}

/// A map's value, or a list's item by number.
fn member(item: &Item, name: &str) -> Option<Item> {
    let found = match item.kind() {
        Kind::Map => item.get_attr(name).ok(),
        Kind::Seq => name.parse().ok().and_then(|index| item.get_item_by_index(index).ok()),
        _ => None,
    };
    found.filter(|item| !item.is_undefined())
}

/// What a section goes over: a list's items, or any other value once.
fn section(item: Item) -> Item {
    match item.kind() {
        _ if is_falsy(&item) => Item::from(Vec::<Item>::new()),
        Kind::Seq | Kind::Iterable => item,
        _ => Item::from(vec![item]),
    }
}

/// A map is something even if it is empty.
fn is_falsy(item: &Item) -> bool {
    item.kind() != Kind::Map && !item.is_true()
}

/// Escapes what the specification names, and no more.
fn html(state: &mut State<'_, '_>, item: Item) -> Result<Item, Error> {
    let text = print::str(&item, Style::Plain);
    let escape = |byte: u8| match byte {
        b'&' => "&amp;",
        b'<' => "&lt;",
        b'>' => "&gt;",
        b'"' => "&quot;",
        _ => "",
    };
    let growth: usize = text.bytes().map(|byte| escape(byte).len()).sum();
    // A role or a conversation's placeholder must come out as it went in.
    if growth == 0 {
        return Ok(if item.as_str().is_some() { item } else { Item::from(text) });
    }
    guards::text(state, text.len().saturating_add(growth))?;
    let mut out = String::with_capacity(text.len() + growth);
    for letter in text.chars() {
        match u8::try_from(letter).map(escape) {
            Ok(escaped) if !escaped.is_empty() => out.push_str(escaped),
            _ => out.push(letter),
        }
    }
    Ok(Item::from(out))
}
