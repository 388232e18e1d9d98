//! `prompt`: a rendered template. Its text remembers where the author's role headers are, for an `llm` node that reads
//! it whole.

use sluicegate_flow::template::{Binding, Template};
use sluicegate_value::Value;

use super::{AttemptFailure, Product, nonce};

pub(super) fn render(template: &Template, inputs: &[Binding]) -> Result<Product, AttemptFailure> {
    let rendered = template.render(inputs, nonce()).map_err(|error| AttemptFailure::of_render(&error))?;
    Ok(Product { headers: rendered.headers.to_vec(), ..Product::from(Value::from(rendered.text)) })
}
