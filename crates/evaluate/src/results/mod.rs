//! From scores to what people, files and the gate read.

mod case_key;
mod evidence;
mod keys;
mod summary;
mod table;

pub use case_key::{CaseKeys, RepeatedKey};
pub use evidence::{case, cluster_of, holds, selections};
pub use keys::ResultKeys;
pub use summary::{MetricSummary, summaries};
pub use table::{ResultRow, evaluation_results, metrics_of, row};
