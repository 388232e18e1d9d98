//! What tokens cost.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Usage;

/// What a model's tokens cost, in US dollars per million.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// Tokens of the request.
    pub input: f64,
    /// Tokens of the request that the endpoint had cached; `None`: as `input`.
    pub cached_input: Option<f64>,
    /// Tokens of the reply.
    pub output: f64,
}

impl Price {
    /// What `usage` costs in US dollars; `None` if the endpoint did not say how many tokens it used.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Option<f64> {
        let (input, output) = (usage.input_tokens?, usage.output_tokens?);
        let cached = usage.cached_input_tokens.unwrap_or(0).min(input);
        let cached_price = self.cached_input.unwrap_or(self.input);
        let millionths =
            (input - cached) as f64 * self.input + cached as f64 * cached_price + output as f64 * self.output;
        Some(millionths / 1e6)
    }
}

/// Prices by model or deployment name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices(pub BTreeMap<Arc<str>, Price>);

impl Prices {
    /// What `usage` of a model costs in US dollars: the deployment's price if it has one, else that of the model
    /// which the endpoint says it served; `None` where neither has a price or no usage is known.
    #[must_use]
    pub fn cost(&self, deployment: &str, served: Option<&str>, usage: &Usage) -> Option<f64> {
        let price = self.0.get(deployment).or_else(|| self.0.get(served?))?;
        price.cost(usage)
    }
}
