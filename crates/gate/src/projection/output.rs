//! The block for the file that `GITHUB_OUTPUT` names.

use std::fmt::Write as _;

use super::text;
use crate::Receipt;

/// How many characters of the headline are given out.
const HEADLINE: usize = 500;

/// `name<<DELIMITER` blocks: `verdict`, `exit_code`, `unchanged`, `blocks`, `headline`, `failed_rules`, `decision_hash`.
///
/// `delimiter` should be random; where it stands in a value all the same, it is made longer.
#[must_use]
pub fn render(receipt: &Receipt, delimiter: &str) -> String {
    let decision = &receipt.decision;
    let blocking: Vec<&str> = decision.rules.iter().filter(|rule| rule.blocks).map(|rule| rule.id.as_str()).collect();
    let values = [
        ("verdict", decision.verdict.to_string()),
        ("exit_code", decision.exit_code.to_string()),
        ("unchanged", decision.unchanged.to_string()),
        ("blocks", decision.blocks.to_string()),
        ("headline", text::one_line(&decision.headline, HEADLINE)),
        ("failed_rules", text::one_line(&blocking.join(","), 4 * HEADLINE)),
        ("decision_hash", text::one_line(&receipt.decision_hash, 128)),
    ];
    // Only letters, digits and `_`: what is given as random must not end a line or a block itself.
    let mut delimiter: String =
        delimiter.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect();
    if delimiter.is_empty() {
        delimiter.push_str("END_OF_VALUE");
    }
    while values.iter().any(|(_, value)| value.contains(&delimiter)) {
        delimiter.push('_');
        delimiter.push_str(&delimiter.len().to_string());
    }
    let mut out = String::new();
    for (name, value) in values {
        let _ = write!(out, "{name}<<{delimiter}\n{value}\n{delimiter}\n");
    }
    out
}
