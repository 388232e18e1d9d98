//! The `tojson` filter as jinja2 has it: sorted keys, everything beyond ASCII escaped, safe within HTML.

use std::fmt::Write as _;

use minijinja::value::{Kwargs, Rest};
use minijinja::{Error, State, Value as Item};
use sluicegate_value::{Value, json};

use super::arguments::bind;
use super::filters::type_error;
use super::{guards, inputs};

/// How deep values may nest.
const DEPTH: usize = 100;

pub(super) fn filter(state: &mut State<'_, '_>, item: Item, rest: Rest<Item>, kwargs: Kwargs) -> Result<Item, Error> {
    let [indent] = bind("tojson", ["indent"], &rest, &kwargs)?;
    if item.is_undefined() {
        return Err(type_error("Object of type Undefined is not JSON serializable"));
    }
    let value = inputs::value(&item, DEPTH)?;
    let indent = indent.and_then(|indent| indent.as_usize());
    if indent.is_some_and(|indent| indent > 100) {
        return Err(guards::limit("more than 100 in `tojson`'s indent"));
    }
    let mut out = String::new();
    write(&value, &mut out, indent, 0)?;
    guards::text(state, out.len())?;
    Ok(Item::from_safe_string(out))
}

fn write(value: &Value, out: &mut String, indent: Option<usize>, level: usize) -> Result<(), Error> {
    if out.len() > guards::TEXT {
        return Err(guards::limit("the text that `tojson` makes"));
    }
    match value {
        Value::Str(text) => string(text, out),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(out, index, indent, level + 1);
                write(item, out, indent, level + 1)?;
            }
            close(out, items.is_empty(), indent, level);
            out.push(']');
        }
        Value::Map(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, item)) in entries.into_iter().enumerate() {
                separate(out, index, indent, level + 1);
                string(key, out);
                out.push_str(": ");
                write(item, out, indent, level + 1)?;
            }
            close(out, map.is_empty(), indent, level);
            out.push('}');
        }
        Value::Blob(_) | Value::Handle(_) => {
            return Err(type_error(format_args!("Object of type {} is not JSON serializable", value.type_name())));
        }
        other => out.push_str(&other.to_json()),
    }
    Ok(())
}

fn string(text: &str, out: &mut String) {
    let mut plain = String::with_capacity(text.len() + 2);
    json::write_string(text, &mut plain);
    for letter in plain.chars() {
        match letter {
            '<' | '>' | '&' | '\'' => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            ascii if ascii.is_ascii() => out.push(ascii),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
}

fn separate(out: &mut String, index: usize, indent: Option<usize>, level: usize) {
    match indent {
        Some(width) => {
            out.push_str(if index > 0 { ",\n" } else { "\n" });
            out.push_str(&" ".repeat(width * level));
        }
        None if index > 0 => out.push_str(", "),
        None => {}
    }
}

fn close(out: &mut String, is_empty: bool, indent: Option<usize>, level: usize) {
    if let (Some(width), false) = (indent, is_empty) {
        out.push('\n');
        out.push_str(&" ".repeat(width * level));
    }
}
