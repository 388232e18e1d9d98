//! What a render may spend, and where that is counted.
//!
//! minijinja counts instructions (fuel), not bytes. A value grows beyond what the source spells out only by being kept
//! under a name and used again, or by an operation that takes a width or a count. The second kind is in our own filters
//! and methods; for the first, [`super::rewrite`] puts one of these filters around everything that is assigned, looped
//! over or passed to a macro, and the formatter counts everything that is printed, into captured text too.

use minijinja::value::ValueKind as Kind;
use minijinja::{Error, ErrorKind, State, Value as Item};

use super::inputs::{ListInput, MapInput, OpaqueInput};
use super::{marks, print};

/// Instructions of minijinja's machine.
pub(super) const FUEL: u64 = 5_000_000;
/// Bytes of the rendered text, of one text on the way, and of one kept value with all that it holds.
pub(super) const TEXT: usize = 16 << 20;
/// Bytes printed and kept in the course of one render.
const BYTES: usize = 256 << 20;
/// Items that filters and assignments look at in the course of one render.
const ITEMS: usize = 20_000_000;
/// Items of one list.
const LIST: usize = 1_000_000;
/// Levels of lists and maps in a kept value.
const DEPTH: usize = 50;
/// Calls within calls: each takes a few kilobytes of stack.
pub(super) const RECURSION: usize = 100;

/// What one render has spent.
#[derive(Default)]
pub(super) struct Spent {
    bytes: usize,
    items: usize,
}

/// The words that [`super::failure`] knows a limit by.
pub(super) const LIMIT: &str = "beyond the limit: ";

/// An error for what goes beyond the budget.
pub(super) fn limit(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("{LIMIT}{what}"))
}

/// Counts bytes that are about to be made.
pub(super) fn spend(state: &mut State<'_, '_>, bytes: usize) -> Result<(), Error> {
    let spent = state.get_or_insert_extension_with(Spent::default);
    spent.bytes = spent.bytes.saturating_add(bytes);
    if spent.bytes > BYTES {
        return Err(limit(format_args!("the template makes more than {} MiB of text", BYTES >> 20)));
    }
    Ok(())
}

/// Refuses one text of more than [`TEXT`] bytes before it is made, and counts it.
pub(super) fn text(state: &mut State<'_, '_>, bytes: usize) -> Result<(), Error> {
    if bytes > TEXT {
        return Err(limit(format_args!("a text of more than {} MiB", TEXT >> 20)));
    }
    spend(state, bytes)
}

/// Counts items that are about to be looked at or made.
pub(super) fn spend_items(state: &mut State<'_, '_>, items: usize) -> Result<(), Error> {
    if items > LIST {
        return Err(limit(format_args!("a list of more than {LIST} items")));
    }
    let spent = state.get_or_insert_extension_with(Spent::default);
    spent.items = spent.items.saturating_add(items);
    if spent.items > ITEMS {
        return Err(limit(format_args!("the template goes through more than {ITEMS} items")));
    }
    Ok(())
}

/// The items of a list, counted.
pub(super) fn items(state: &mut State<'_, '_>, item: &Item) -> Result<Vec<Item>, Error> {
    spend_items(state, item.len().unwrap_or(0))?;
    let items: Vec<Item> = item.try_iter()?.take(LIST + 1).collect();
    spend_items(state, items.len())?;
    Ok(items)
}

/// Literal text of a body that is about to run.
pub(super) fn spend_literal(state: &mut State<'_, '_>, bytes: usize) -> Result<Item, Error> {
    spend(state, bytes).map(|()| Item::UNDEFINED)
}

/// A value that is about to be kept under a name.
pub(super) fn keep(state: &mut State<'_, '_>, item: Item) -> Result<Item, Error> {
    measured(state, item, false)
}

/// A value that is about to be kept in a namespace, which outlives the round of a loop.
pub(super) fn keep_in(state: &mut State<'_, '_>, item: Item) -> Result<Item, Error> {
    measured(state, item, true)
}

/// A value that a loop is about to go over.
pub(super) fn each(state: &mut State<'_, '_>, item: Item) -> Result<Item, Error> {
    // What is undefined is looped over as if it were empty; `None` and numbers are not.
    if matches!(item.kind(), Kind::None | Kind::Bool | Kind::Number) {
        let kind = match item.kind() {
            Kind::None => "NoneType",
            Kind::Bool => "bool",
            _ if item.is_integer() => "int",
            _ => "float",
        };
        return Err(Error::new(ErrorKind::InvalidOperation, format!("TypeError: '{kind}' object is not iterable")));
    }
    measured(state, item, false)
}

/// The text of a value that stands where a role stands: marked if it is one.
pub(super) fn role(style: print::Style) -> impl Fn(Item) -> Item {
    move |item| {
        let text = print::str(&item, style);
        if marks::is_role(&text) { Item::from(format!("{text}{}", marks::ROLE)) } else { item }
    }
}

/// A value that is printed behind data: its first line cannot be a header.
pub(super) fn inline(item: Item) -> Item {
    match item.as_str().map(marks::without_first) {
        Some(std::borrow::Cow::Owned(text)) => Item::from(text),
        _ => item,
    }
}

fn measured(state: &mut State<'_, '_>, item: Item, in_namespace: bool) -> Result<Item, Error> {
    // What is computed anew at each use is computed once, so that such values do not pile up in one another.
    let is_lazy = item.kind() == Kind::Iterable && !item.is_tuple();
    let item = if is_lazy && item.try_iter().is_ok() { Item::from(items(state, &item)?) } else { item };
    spend_items(state, item.len().filter(|_| item.as_str().is_none()).unwrap_or(0))?;
    let mut measure = Measure { bytes: 0, items: 0, in_namespace };
    measure.add(&item, 0)?;
    spend_items(state, measure.items)?;
    if item.as_str().is_some() {
        spend(state, measure.bytes)?;
    }
    Ok(item)
}

struct Measure {
    bytes: usize,
    items: usize,
    in_namespace: bool,
}

impl Measure {
    fn add(&mut self, item: &Item, depth: usize) -> Result<(), Error> {
        self.items += 1;
        self.bytes += item.as_str().map_or(1, str::len);
        if self.bytes > TEXT || self.items > LIST {
            return Err(limit(format_args!("a value of more than {} MiB", TEXT >> 20)));
        }
        let is_input = item.downcast_object_ref::<ListInput>().is_some()
            || item.downcast_object_ref::<MapInput>().is_some()
            || item.downcast_object_ref::<OpaqueInput>().is_some();
        let is_container = matches!(item.kind(), Kind::Seq | Kind::Map | Kind::Iterable);
        if is_input || !is_container {
            return Ok(());
        }
        if depth >= DEPTH {
            return Err(limit(format_args!("lists and maps nest deeper than {DEPTH} levels")));
        }
        if self.in_namespace && item.as_object().is_some_and(|object| object.type_name().ends_with("::Namespace")) {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "a namespace cannot hold a namespace: use a second one",
            ));
        }
        // What cannot be looped over (a cycler) holds no more than it was made with.
        let Ok(items) = item.try_iter() else { return Ok(()) };
        for inner in items {
            self.add(&inner, depth + 1)?;
            if item.kind() == Kind::Map {
                self.add(&item.get_item(&inner)?, depth + 1)?;
            }
        }
        Ok(())
    }
}
