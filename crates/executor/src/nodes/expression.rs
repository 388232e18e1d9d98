//! `expression`: a value computed from the inputs.

use sluicegate_flow::template::{Binding, Expression};

use super::{AttemptFailure, Product};
use crate::lookup;

pub(super) fn evaluate(expression: &Expression, inputs: &[Binding]) -> Result<Product, AttemptFailure> {
    let variables: Vec<_> = inputs.iter().map(|input| (input.name.clone(), input.value.clone())).collect();
    lookup::evaluate(expression, &variables).map(Product::from).map_err(AttemptFailure::passing)
}
