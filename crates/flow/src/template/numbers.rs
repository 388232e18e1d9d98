//! Filters that make numbers, as jinja2 has them.

use minijinja::value::{Kwargs, Rest, ValueKind as Kind};
use minijinja::{Error, Value as Item};
use sluicegate_value::{BigInt, Value};

use super::arguments::bind;
use super::filters::type_error;
use super::inputs::{self, Origin};
use super::marks;

/// `int(default=0, base=10)`.
pub(super) fn int(item: Item, rest: Rest<Item>, kwargs: Kwargs) -> Result<Item, Error> {
    let [default, base] = bind("int", ["default", "base"], &rest, &kwargs)?;
    let default = default.unwrap_or_else(|| Item::from(0));
    if item.is_undefined() {
        return Ok(default);
    }
    let base = base.and_then(|base| base.as_i64()).and_then(|base| u32::try_from(base).ok()).unwrap_or(10);
    if let Some(text) = item.as_str() {
        let plain = marks::without(text);
        let text = plain.trim().replace('_', "");
        let whole = match base {
            10 => BigInt::parse(&text),
            2..=36 => i64::from_str_radix(without_prefix(&text, base), base).ok().map(Value::Int),
            _ => None,
        };
        let whole = whole.or_else(|| truncate(text.parse::<f64>().ok()?));
        return Ok(whole.map_or(default, |value| inputs::item(&value, Origin::default())));
    }
    Ok(match item.kind() {
        Kind::Bool => Item::from(i64::from(item.is_true())),
        Kind::Number if item.is_integer() => item,
        Kind::Number => {
            f64::try_from(item).ok().and_then(truncate).map_or(default, |value| inputs::item(&value, Origin::default()))
        }
        _ => default,
    })
}

fn truncate(number: f64) -> Option<Value> {
    BigInt::truncate(number)
}

fn without_prefix(text: &str, base: u32) -> &str {
    let prefixes: &[&str] = match base {
        16 => &["0x", "0X"],
        8 => &["0o", "0O"],
        2 => &["0b", "0B"],
        _ => &[],
    };
    prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text)
}

/// `float(default=0.0)`.
pub(super) fn float(item: Item, rest: Rest<Item>, kwargs: Kwargs) -> Result<Item, Error> {
    let [default] = bind("float", ["default"], &rest, &kwargs)?;
    let default = default.unwrap_or_else(|| Item::from(0.0));
    if let Some(text) = item.as_str() {
        let plain = marks::without(text);
        return Ok(plain.trim().replace('_', "").parse::<f64>().map_or(default, Item::from));
    }
    Ok(match item.kind() {
        Kind::Bool => Item::from(if item.is_true() { 1.0 } else { 0.0 }),
        Kind::Number => f64::try_from(item).map_or(default, Item::from),
        _ => default,
    })
}

/// `round(precision=0, method='common')`; halves go to the even neighbour, as in Python.
pub(super) fn round(item: Item, rest: Rest<Item>, kwargs: Kwargs) -> Result<Item, Error> {
    let [precision, method] = bind("round", ["precision", "method"], &rest, &kwargs)?;
    let precision = precision.and_then(|precision| precision.as_i64()).unwrap_or(0).clamp(-300, 300);
    let method = method.as_ref().and_then(Item::as_str).unwrap_or("common");
    let Some(number) = number(&item) else {
        return Err(type_error(format_args!("type {} doesn't define __round__ method", item.kind())));
    };
    let scale = 10_f64.powi(i32::try_from(precision).unwrap_or(0));
    Ok(match method {
        "ceil" => Item::from((number * scale).ceil() / scale),
        "floor" => Item::from((number * scale).floor() / scale),
        "common" if item.is_integer() && precision >= 0 => item,
        "common" if item.is_integer() => {
            let step = 10_f64.powi(i32::try_from(-precision).unwrap_or(0));
            Item::from(((number / step).round_ties_even() * step) as i64)
        }
        "common" if precision < 0 => Item::from((number * scale).round_ties_even() / scale),
        // The decimal digits of the exact value decide, not a product that is rounded itself.
        "common" => {
            let digits = usize::try_from(precision).unwrap_or(0);
            Item::from(format!("{number:.digits$}").parse::<f64>().unwrap_or(number))
        }
        _ => return Err(type_error("method must be common, ceil or floor")),
    })
}

fn number(item: &Item) -> Option<f64> {
    match item.kind() {
        Kind::Bool => Some(if item.is_true() { 1.0 } else { 0.0 }),
        Kind::Number => f64::try_from(item.clone()).ok(),
        _ => None,
    }
}
