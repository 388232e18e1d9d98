//! How values print.

use std::fmt::Write as _;

use minijinja::Value as Item;
use minijinja::value::ValueKind as Kind;
use sluicegate_value::python;

use super::inputs::{ListInput, MapInput, OpaqueInput};
use super::marks;

/// Whose printing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Python's `str()`.
    Python,
    /// Prompty version 2: lower-case booleans, empty null, whole floats without a point, lists and maps as JSON.
    Plain,
}

/// How deep lists and maps print; deeper ones print as `...`.
const DEPTH: usize = 100;

/// The text that an expression prints.
pub(super) fn str(item: &Item, style: Style) -> String {
    if let Some(text) = item.as_str() {
        return text.to_owned();
    }
    if style == Style::Plain {
        return plain(item);
    }
    match item.kind() {
        Kind::Undefined => String::new(),
        // A list of the caller knows whether it prints in lines.
        _ if item.downcast_object_ref::<ListInput>().is_some() => item.to_string(),
        _ => {
            let mut out = String::new();
            repr(item, &mut out, 0);
            out
        }
    }
}

/// Writes Python's `repr()`.
pub(super) fn repr(item: &Item, out: &mut String, depth: usize) {
    if depth > DEPTH {
        out.push_str("...");
    } else if let Some(list) = item.downcast_object_ref::<ListInput>() {
        python::write_repr(&sluicegate_value::Value::List(list.items.clone()), out);
    } else if let Some(map) = item.downcast_object_ref::<MapInput>() {
        python::write_repr(&sluicegate_value::Value::Map(map.map.clone()), out);
    } else if let Some(opaque) = item.downcast_object_ref::<OpaqueInput>() {
        out.push_str(&marks::without(&python::repr(&opaque.0)));
    } else if let Some(text) = item.as_str() {
        python::write_string_repr(&marks::without(text), out);
    } else {
        match item.kind() {
            Kind::Undefined => out.push_str("Undefined"),
            Kind::None => out.push_str("None"),
            Kind::Bool => out.push_str(if item.is_true() { "True" } else { "False" }),
            Kind::Number => number(item, out),
            Kind::Map => {
                sequence(item, ["{", "}"], out, |key, out| {
                    repr(&key, out, depth + 1);
                    out.push_str(": ");
                    repr(&item.get_item(&key).unwrap_or_default(), out, depth + 1);
                });
            }
            Kind::Seq | Kind::Iterable if item.is_tuple() => {
                let ends = if item.len() == Some(1) { ["(", ",)"] } else { ["(", ")"] };
                sequence(item, ends, out, |inner, out| repr(&inner, out, depth + 1));
            }
            Kind::Seq | Kind::Iterable => sequence(item, ["[", "]"], out, |inner, out| repr(&inner, out, depth + 1)),
            _ => {
                let _ = write!(out, "{item}");
            }
        }
    }
}

fn number(item: &Item, out: &mut String) {
    match (item.is_integer(), f64::try_from(item.clone())) {
        (false, Ok(number)) => out.push_str(&python::float_repr(number)),
        _ => {
            let _ = write!(out, "{item}");
        }
    }
}

fn sequence(item: &Item, ends: [&str; 2], out: &mut String, mut write: impl FnMut(Item, &mut String)) {
    out.push_str(ends[0]);
    if let Ok(items) = item.try_iter() {
        for (index, inner) in items.enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            write(inner, out);
        }
    }
    out.push_str(ends[1]);
}

fn plain(item: &Item) -> String {
    match item.kind() {
        Kind::Undefined | Kind::None => String::new(),
        Kind::Bool => item.is_true().to_string(),
        Kind::Number => {
            let mut out = String::new();
            number(item, &mut out);
            out.strip_suffix(".0").map(str::to_owned).unwrap_or(out)
        }
        Kind::Seq | Kind::Iterable | Kind::Map => match super::inputs::value(item, DEPTH) {
            Ok(value) => value.to_json(),
            Err(_) => "...".to_owned(),
        },
        _ => item.to_string(),
    }
}
