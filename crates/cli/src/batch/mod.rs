//! Batches: what rows there are, how they become inputs, what a person sees meanwhile, and what is left at the end.
//!
//! ```text
//! Asked (flags, run.yaml, or what a run remembers) ─► Data (data set, mapping, survey) ─► executor ─► journal ─► output.jsonl
//! ```

mod asked;
mod data;
mod finish;
mod manner;
mod memory;
mod output;
mod progress;
mod provider_batch;
mod run_file;
mod run_folder;
mod work;

pub(crate) use asked::{Asked, OnBadLine};
pub(crate) use data::Data;
pub(crate) use finish::{Ended, finish};
pub(crate) use manner::{Manner, below};
pub(crate) use output::{OutputPlace, write_outputs};
pub(crate) use progress::{Progress, ProgressStyle};
pub(crate) use provider_batch::{cancel_batches, keep_batches, provider_batches, tell_open_batches};
pub(crate) use run_file::{RunFile, node_flags, nodes_from_map, nodes_to_map};
pub(crate) use run_folder::{RunFolder, write_output_rows};
pub(crate) use work::{Before, Work, Worked, going_on, last_end, recorded_data};
