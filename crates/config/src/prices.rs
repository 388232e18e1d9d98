//! What models cost.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluicegate_source::Problem;

use crate::Variables;
use crate::layers::Tree;
use crate::reader::Reader;

/// When the built-in prices were what OpenAI's public list said, for those who show a cost.
pub const PRICES_AS_OF: &str = "2025-10";

/// What a model's tokens cost, in US dollars per million.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelPrice {
    /// Tokens of the request.
    pub input: f64,
    /// Tokens of the request that the endpoint had cached; `None`: as `input`.
    pub cached_input: Option<f64>,
    /// Tokens of the reply.
    pub output: f64,
}

/// Reads `prices:`; a model with `null` has no price.
pub(crate) fn read(root: &Tree, variables: &Variables) -> Result<BTreeMap<Arc<str>, ModelPrice>, Vec<Problem>> {
    let mut prices = BTreeMap::new();
    let mut problems = Vec::new();
    for (model, tree) in root.get("prices").and_then(Tree::as_table).into_iter().flatten() {
        let Tree::Table(table) = tree else { continue };
        let path = format!("prices.{model}");
        let reader = Reader::new(table, &path, variables);
        let required = |key: &str| {
            let message = || format!("`{path}.{key}` is missing: US dollars per million tokens");
            reader.amount(key)?.ok_or_else(|| {
                let place = table.first().map_or("", |(key, _)| key);
                reader.problem(place, "config::missing_key", message())
            })
        };
        match (required("input"), reader.amount("cached_input"), required("output")) {
            (Ok(input), Ok(cached_input), Ok(output)) => {
                prices.insert(model.clone(), ModelPrice { input, cached_input, output });
            }
            (input, cached, output) => {
                problems.extend(input.err().into_iter().chain(cached.err()).chain(output.err()));
            }
        }
    }
    if problems.is_empty() { Ok(prices) } else { Err(problems) }
}
