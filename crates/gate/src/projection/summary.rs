//! The step summary.

use super::markdown::{Limits, document};
use crate::Receipt;

/// The most bytes: a summary above 1 MiB is thrown away without failing the job.
pub const MOST_BYTES: usize = 900 * 1024;

/// Markdown for the file that `GITHUB_STEP_SUMMARY` names.
#[must_use]
pub fn render(receipt: &Receipt) -> String {
    document(receipt, "", Limits { bytes: MOST_BYTES, cases: 100, output: 4_000 })
}
