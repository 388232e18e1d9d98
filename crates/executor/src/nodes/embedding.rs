//! `embedding`: texts become vectors.

use std::sync::Arc;

use sluicegate_events::Failure;
use sluicegate_flow::plan::EmbeddingNode;
use sluicegate_flow::request;
use sluicegate_flow::template::Binding;
use sluicegate_value::Value;

use super::{AttemptFailure, Product, named_connection, named_model};
use crate::calls::Calls;

pub(super) async fn embed(
    embedding: &EmbeddingNode,
    inputs: &[Binding],
    calls: &Calls<'_>,
) -> Result<Product, AttemptFailure> {
    let given: Vec<(Arc<str>, Value)> = inputs.iter().map(|input| (input.name.clone(), input.value.clone())).collect();
    let connection = named_connection(embedding.connection.as_ref())?;
    let request = request::embedding_request(named_model(&given)?, &given)
        .map_err(|error| AttemptFailure::lasting(Failure::new("input", error.to_string())))?;
    let reply = calls.embed(connection, &request).await?;
    Ok(reply.to_value(&request.input).into())
}
