//! The sticky comment of a pull request.

use super::markdown::{Limits, document};
use crate::Receipt;

/// The most bytes: the body of a comment may have 65,536 characters.
pub const MOST_BYTES: usize = 65_536;

/// The hidden line by which the comment of an evaluation is found again. It depends on flow and config environment
/// alone, so that each evaluation of a pull request has one comment of its own.
#[must_use]
pub fn marker(flow: &str, environment: Option<&str>) -> String {
    // The names are hashed: what they hold must not close the HTML comment.
    let hash = sluicegate_value::hash::sha256_of_parts([flow, environment.unwrap_or_default()]);
    format!("<!-- sluicegate:{} -->", hash.get(..16).unwrap_or_default())
}

/// The comment's body: its marker, then the report with the worst ten cases.
#[must_use]
pub fn render(receipt: &Receipt) -> String {
    let marker = marker(&receipt.decision.flow, receipt.decision.environment.as_deref());
    document(receipt, &format!("{marker}\n"), Limits { bytes: MOST_BYTES, cases: 10, output: 1_200 })
}
