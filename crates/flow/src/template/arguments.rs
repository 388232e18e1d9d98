//! Arguments of filters, by place or by name.

use minijinja::value::{Kwargs, ValueKind as Kind};
use minijinja::{Error, Value as Item};

use super::filters::type_error;

/// Sorts arguments to the parameters of `filter`.
///
/// # Errors
/// Too many arguments, unknown names, and a parameter that is given twice.
pub(super) fn bind<const N: usize>(
    filter: &str,
    names: [&str; N],
    positional: &[Item],
    named: &Kwargs,
) -> Result<[Option<Item>; N], Error> {
    if positional.len() > N {
        let given = positional.len() + 1;
        return Err(type_error(format_args!(
            "{filter}() takes at most {} positional arguments but {given} were given",
            N + 1
        )));
    }
    let mut bound: [Option<Item>; N] =
        std::array::from_fn(|index| positional.get(index).filter(|item| item.kind() != Kind::Undefined).cloned());
    for name in named.args() {
        let Some(index) = names.iter().position(|known| *known == name) else {
            return Err(type_error(format_args!("{filter}() got an unexpected keyword argument '{name}'")));
        };
        if index < positional.len() {
            return Err(type_error(format_args!("{filter}() got multiple values for argument '{name}'")));
        }
        if let Some(place) = bound.get_mut(index) {
            *place = Some(named.peek(name)?);
        }
    }
    Ok(bound)
}
