//! What there is: models, the one behind a model inference endpoint, the endpoint's health.

use serde_json::{Value, json};
use sluicegate_model::script::Failure;

use crate::simulate::body::Answer;
use crate::simulate::route::{Flavour, Operation};
use crate::simulate::{Shared, failure};

/// The answer to whatever has no body.
pub(in crate::simulate) fn answer(shared: &Shared, operation: &Operation) -> Answer {
    match operation {
        Operation::Health => Answer::json(200, &json!({ "status": "ok" })),
        Operation::Info => {
            let name = shared.script.models().and_then(|models| models.first()).unwrap_or(&shared.name);
            let about =
                json!({ "model_name": name, "model_type": "chat-completion", "model_provider_name": "sluicegate" });
            Answer::json(200, &about)
        }
        Operation::Model(name) if shared.script.serves(name) => Answer::json(200, &model(name)),
        Operation::Model(name) => failure::answer(Flavour::OpenAi, &Failure::unknown_model(name)),
        _ => {
            let models: Vec<Value> = match shared.script.models() {
                Some(models) => models.iter().map(|name| model(name)).collect(),
                None => vec![model(&shared.name)],
            };
            Answer::json(200, &json!({ "object": "list", "data": models }))
        }
    }
}

fn model(name: &str) -> Value {
    json!({ "id": name, "object": "model", "created": 0, "owned_by": "sluicegate" })
}
