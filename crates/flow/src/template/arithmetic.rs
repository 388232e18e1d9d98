//! What `+`, `~`, `*` and `%` do: as in Python, and within the budget.

use minijinja::value::{Tuple, ValueKind as Kind};
use minijinja::{Environment, Error, ErrorKind, State, Value as Item};

use super::filters::type_error;
use super::print::{self, Style};
use super::{format, guards};

/// Adds the filters that [`super::operators`] puts in.
pub(super) fn add_to(env: &mut Environment<'static>, style: Style) {
    env.add_filter("__add", add);
    env.add_filter("__mul", multiply);
    env.add_filter("__rem", remainder);
    env.add_filter("__concat", move |state: &mut State<'_, '_>, left: Item, right: Item| {
        let (left, right) = (print::str(&left, style), print::str(&right, style));
        guards::text(state, left.len().saturating_add(right.len()))?;
        Ok::<_, Error>(left + &right)
    });
}

/// Two numbers as Python's operators see them.
enum Numbers {
    Int(i128, i128),
    Float(f64, f64),
}

fn numbers(left: &Item, right: &Item) -> Option<Numbers> {
    let is_number = |item: &Item| matches!(item.kind(), Kind::Number | Kind::Bool);
    if !is_number(left) || !is_number(right) {
        return None;
    }
    if let (Ok(left), Ok(right)) = (whole(left)?, whole(right)?) {
        return Some(Numbers::Int(left, right));
    }
    Some(Numbers::Float(float(left)?, float(right)?))
}

/// The integer, or that it is a float; `None` beyond 127 bits.
fn whole(item: &Item) -> Option<Result<i128, ()>> {
    match item.kind() {
        Kind::Bool => Some(Ok(i128::from(item.is_true()))),
        _ if item.is_integer() => i128::try_from(item.clone()).ok().map(Ok),
        _ => Some(Err(())),
    }
}

fn float(item: &Item) -> Option<f64> {
    match item.kind() {
        Kind::Bool => Some(if item.is_true() { 1.0 } else { 0.0 }),
        _ => f64::try_from(item.clone()).ok(),
    }
}

fn integer(number: Option<i128>, left: &Item, sign: &str, right: &Item) -> Result<Item, Error> {
    let number = number
        .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, format!("unable to calculate {left} {sign} {right}")))?;
    Ok(i64::try_from(number).map_or_else(|_| Item::from(number), Item::from))
}

fn unsupported(left: &Item, sign: &str, right: &Item) -> Error {
    let message = format!("tried to use {sign} operator on unsupported types {} and {}", kind(left), kind(right));
    Error::new(ErrorKind::InvalidOperation, message)
}

fn kind(item: &Item) -> String {
    match item.kind() {
        Kind::Number if item.is_integer() => "int".to_owned(),
        Kind::Number => "float".to_owned(),
        _ if item.is_tuple() => "tuple".to_owned(),
        other => other.to_string(),
    }
}

fn is_list(item: &Item) -> bool {
    matches!(item.kind(), Kind::Seq | Kind::Iterable)
}

fn add(state: &mut State<'_, '_>, left: Item, right: Item) -> Result<Item, Error> {
    if let (Some(left), Some(right)) = (left.as_str(), right.as_str()) {
        guards::text(state, left.len().saturating_add(right.len()))?;
        return Ok(Item::from([left, right].concat()));
    }
    match numbers(&left, &right) {
        Some(Numbers::Int(a, b)) => return integer(a.checked_add(b), &left, "+", &right),
        Some(Numbers::Float(a, b)) => return Ok(Item::from(a + b)),
        None => {}
    }
    if !is_list(&left) || !is_list(&right) || left.is_tuple() != right.is_tuple() {
        return Err(unsupported(&left, "+", &right));
    }
    let mut items = guards::items(state, &left)?;
    items.extend(guards::items(state, &right)?);
    Ok(if left.is_tuple() { Item::from(Tuple::from(items)) } else { Item::from(items) })
}

fn multiply(state: &mut State<'_, '_>, left: Item, right: Item) -> Result<Item, Error> {
    match numbers(&left, &right) {
        Some(Numbers::Int(a, b)) => return integer(a.checked_mul(b), &left, "*", &right),
        Some(Numbers::Float(a, b)) => return Ok(Item::from(a * b)),
        None => {}
    }
    let is_count = |item: &Item| item.kind() == Kind::Bool || (item.kind() == Kind::Number && item.is_integer());
    let (repeated, count) = if is_count(&right) { (&left, &right) } else { (&right, &left) };
    if !is_count(count) || (repeated.as_str().is_none() && !is_list(repeated)) {
        return Err(unsupported(&left, "*", &right));
    }
    let count = match whole(count) {
        Some(Ok(count)) => usize::try_from(count.max(0)).unwrap_or(usize::MAX),
        _ => usize::MAX,
    };
    if let Some(text) = repeated.as_str() {
        guards::text(state, text.len().saturating_mul(count))?;
        return Ok(Item::from(text.repeat(count)));
    }
    let items = guards::items(state, repeated)?;
    guards::spend_items(state, items.len().saturating_mul(count))?;
    let length = items.len().saturating_mul(count);
    let repeated_items: Vec<Item> = items.into_iter().cycle().take(length).collect();
    Ok(if repeated.is_tuple() { Item::from(Tuple::from(repeated_items)) } else { Item::from(repeated_items) })
}

fn remainder(state: &mut State<'_, '_>, left: Item, right: Item) -> Result<Item, Error> {
    if let Some(text) = left.as_str() {
        let arguments = if right.is_tuple() {
            right.try_iter()?.collect()
        } else if right.kind() == Kind::Map {
            // `%(name)s` reads names; minijinja takes them as named arguments.
            let names: Result<Vec<(String, Item)>, Error> =
                right.try_iter()?.map(|key| Ok((print::str(&key, Style::Python), right.get_item(&key)?))).collect();
            vec![Item::from(names?.into_iter().collect::<minijinja::value::Kwargs>())]
        } else {
            vec![right]
        };
        return format::percent(state, text, &arguments).map(Item::from);
    }
    match numbers(&left, &right) {
        Some(Numbers::Int(_, 0)) => Err(Error::new(ErrorKind::InvalidOperation, "unable to calculate x % 0")),
        Some(Numbers::Int(a, b)) => {
            let rest = a.checked_rem(b).unwrap_or(0);
            integer(Some(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }), &left, "%", &right)
        }
        Some(Numbers::Float(_, 0.0)) => Err(Error::new(ErrorKind::InvalidOperation, "unable to calculate x % 0")),
        Some(Numbers::Float(a, b)) => {
            let rest = a % b;
            Ok(Item::from(if rest == 0.0 {
                0.0_f64.copysign(b)
            } else if (rest < 0.0) != (b < 0.0) {
                rest + b
            } else {
                rest
            }))
        }
        None if left.is_undefined() || right.is_undefined() => Err(unsupported(&left, "%", &right)),
        None => {
            Err(type_error(format_args!("unsupported operand type(s) for %: '{}' and '{}'", kind(&left), kind(&right))))
        }
    }
}
