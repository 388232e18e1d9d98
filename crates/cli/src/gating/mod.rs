//! A receipt, told to everybody who wants to know: people, builds, pull requests.
//!
//! ```text
//! evaluate ───┐                    ┌─► files: receipt.json · junit.xml · SARIF · HTML · Markdown · comment
//! gate judge ─┴─► Receipt ─publish─┼─► the table on stderr
//!                                  ├─► GitHub: step summary · outputs · annotations
//!                                  └─► the exit code
//! ```
//!
//! Every text is made by `sluicegate_gate::projection`; here it is only brought to where it belongs.

mod declared;
mod files;
mod github;
mod matrix;
mod outcome;
mod paint;
mod publish;
mod receipts;
mod reports;
mod rules;

pub(crate) use declared::{Declared, read_evaluation};
pub(crate) use matrix::publish_matrix;
pub(crate) use paint::painted;
pub(crate) use publish::publish;
pub(crate) use receipts::{is_receipt, read_receipt};
pub(crate) use reports::Reports;
pub(crate) use rules::policy_of;
