//! Rows of data files, one after the other, and how their columns become inputs.
//!
//! Nothing here holds more than a row: a [`Dataset`] is read twice, first by a [`Survey`] that finds everything that is
//! wrong before any call is paid, then by the run. The second pass notices when a file is not what was surveyed.
//!
//! ```text
//! Source ─open─► Dataset ─rows─► Row ─┐
//!                                     ├─join by line number─► Line ─where, limit─► ColumnMapping::apply ─► inputs
//!              an earlier run ─► RunRow ─┘
//! ```
//!
//! Files only: whoever has a stream (standard input) puts it into a file first. What the inputs of a flow become, and
//! how lines run, is not known here.

mod compared;
mod dataset;
mod filter;
mod lines;
mod mapping;
mod read;
mod row;
mod rows;
mod source;
mod survey;

pub use dataset::Dataset;
pub use filter::Where;
pub use lines::{Line, Lines, RunRow, RunRows};
pub use mapping::{ColumnMapping, MappingContext, MappingEntry, Missing, MissingColumn};
pub use read::FileStamp;
pub use row::{BadRow, Row, RowPlace};
pub use rows::Rows;
pub use source::{Format, Source};
pub use survey::{Columns, MAX_COLUMNS, MAX_PROBLEMS, Survey};
