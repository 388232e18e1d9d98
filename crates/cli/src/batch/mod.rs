//! Batches: what rows there are, how they become inputs, what a person sees meanwhile, and what is left at the end.
//!
//! ```text
//! Asked (flags, run.yaml, or what a run remembers) ─► Data (data set, mapping, survey) ─► executor ─► journal ─► output.jsonl
//! ```

mod asked;
mod data;
mod finish;
mod memory;
mod output;
mod progress;
mod run_file;

pub(crate) use asked::{Asked, OnBadLine};
pub(crate) use data::Data;
pub(crate) use finish::{Ended, finish};
pub(crate) use output::{OutputPlace, write_outputs};
pub(crate) use progress::{Progress, ProgressStyle};
pub(crate) use run_file::{RunFile, node_flags, nodes_from_map, nodes_to_map};
