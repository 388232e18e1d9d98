//! The lines of an earlier run, read while they are joined: a thread reads ahead a little, and nothing is held.

use std::sync::mpsc::sync_channel;

use sluicegate_dataset::{RunRow, RunRows};
use sluicegate_events::RunId;
use sluicegate_source::Problem;
use sluicegate_store::{RunReader, Store, StoreError};

/// How many lines are read ahead.
const AHEAD: usize = 64;

/// The lines of a run that completed, by their numbers.
pub(super) fn run_rows(store: &Store, run: &RunId) -> Result<RunRows<'static>, StoreError> {
    let (ends, inputs) = (store.open_run(run)?, store.open_run(run)?);
    let (rows, read) = sync_channel(AHEAD);
    std::thread::Builder::new()
        .name("earlier run".to_owned())
        .spawn(move || {
            let told = ends.outputs_in_order(&mut |line_number, _, outputs| {
                let row = row(&inputs, line_number, outputs);
                // Whoever reads has enough: that ends the thread.
                rows.send(row).map_err(|_| std::io::Error::from(std::io::ErrorKind::BrokenPipe))
            });
            if let Err(error) = told {
                let _ = rows.send(Err(Problem::error("data::run", error.to_string())));
            }
        })
        .map_err(|error| StoreError::NotTaken { message: error.to_string() })?;
    Ok(Box::new(read.into_iter()))
}

fn row(reader: &RunReader, line_number: u64, outputs: sluicegate_value::Map) -> Result<RunRow, Problem> {
    let inputs = reader.inputs_of(line_number, 0).map_err(|error| Problem::error("data::run", error.to_string()))?;
    Ok(RunRow { line_number, inputs: inputs.unwrap_or_default(), outputs })
}
