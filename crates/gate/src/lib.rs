//! A verdict on scores: statistics, rules, the receipt, and what people and machines read of it.
//!
//! Everything here is arithmetic on plain data: no files, no clock, no network, no model.
//!
//! ```text
//! evaluation.yaml ──policy::read──► Policy ┐
//! scores, cases, baseline ──► Evidence ────┼──judge──► Receipt ──projection──► terminal · summary · comment ·
//! hashes, commit, ids ──► Facts ───────────┘                                   annotations · JUnit · SARIF · HTML
//! ```
//!
//! What a model wrote is hostile wherever it is printed: every projection passes it through `projection::text`.

pub mod calibration;
mod comparator;
mod evidence;
pub mod judge;
pub mod plan;
pub mod policy;
pub mod projection;
mod receipt;
pub mod replay;
mod score;
pub mod statistics;

pub use calibration::{Calibration, Confusion};
pub use comparator::{Comparator, ComparatorError, Limit, Order};
pub use evidence::{Arm, Case, Evidence, KEPT_OUTPUT, Outcome, Stopped, shortened};
pub use policy::{Adjust, Bound, Check, Inconclusive, Place, Policy, Rule};
pub use receipt::*;
pub use score::{CaseKey, Metric, MetricName, Missing, Score, ScoreValue};
