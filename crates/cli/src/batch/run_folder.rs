//! A batch as prompt flow's run folder (spec: promptflow.md §3): what reads those reads ours.
//!
//! ```text
//!             ┌─ once through all events ─► flow_artifacts · node_artifacts · flow_logs · logs.txt
//!  journal ───┼─ by line number ──────────► inputs.jsonl · outputs.jsonl · flow_outputs/output.jsonl · error.json
//!             └─ the run's own events ────► metrics.json · meta.json;   the flow ─► snapshot/
//! ```
//!
//! A line is in memory while it runs, no longer. All is written into `.part` first, and then put in place.

mod errors;
mod gathered;
mod log;
mod records;
mod snapshot;
mod writing;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sluicegate_events::{Event, EventKind, RunId};
use sluicegate_flow::compile::VariantChoice;
use sluicegate_flow::plan::MessageFormat;
use sluicegate_store::{RunReader, Store, StoreError};
use sluicegate_value::{Map, Value, json};

use crate::commands::runs::store_error;
use crate::error::CliError;
use crate::prepared::Prepared;
use crate::session::Session;
pub(crate) use snapshot::FlowCopy;
use writing::Writing;

/// All that stands in a run folder: nothing else in it is touched.
const ENTRIES: [&str; 11] = [
    "flow_outputs",
    "flow_artifacts",
    "node_artifacts",
    "flow_logs",
    "snapshot",
    "inputs.jsonl",
    "outputs.jsonl",
    "metrics.json",
    "error.json",
    "logs.txt",
    // Says that the folder is ours: at the end, when all else is there.
    "meta.json",
];
const PART: &str = ".part";
const WRITER: &str = "sluicegate";

/// A run folder in prompt flow's layout.
#[derive(Debug)]
pub(crate) struct RunFolder {
    folder: PathBuf,
}

impl RunFolder {
    /// The run folder at a path.
    pub(crate) fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// Makes the folder now: that it cannot be written is not to be found out when all is paid for. What somebody else
    /// has put there is not written over, the original's run folders above all; another run's only with `force`.
    pub(crate) fn open(&self, run: &RunId, force: bool) -> Result<(), CliError> {
        let refused = |error: io::Error| {
            CliError::misused(format!("no run folder can be written to `{}`", self.folder.display()))
                .cause(error.to_string())
                .hint("choose another folder")
        };
        fs::create_dir_all(&self.folder).map_err(refused)?;
        let mut entries = fs::read_dir(&self.folder).map_err(refused)?;
        let is_taken = entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != PART));
        match self.written_for() {
            Some(ours) if force || ours == *run.0 => {}
            Some(other) => {
                return Err(CliError::misused(format!(
                    "`{}` is the run folder of run `{other}`",
                    self.folder.display()
                ))
                .hint("choose another folder, or write over it by --force"));
            }
            None if is_taken => {
                return Err(CliError::misused(format!(
                    "`{}` is not empty, and is no run folder that was written here",
                    self.folder.display()
                ))
                .hint("choose a folder that is new or empty"));
            }
            None => {}
        }
        let part = self.folder.join(PART);
        fs::create_dir_all(&part).and_then(|()| fs::remove_dir_all(&part)).map_err(refused)
    }

    /// The run whose folder it is, if it was written here.
    fn written_for(&self) -> Option<String> {
        let meta = json::read(&fs::read_to_string(self.folder.join("meta.json")).ok()?).ok()?;
        let is_ours = meta.get("written_by").and_then(Value::as_str) == Some(WRITER);
        is_ours.then(|| meta.get("run").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Writes the folder of a batch that has just ended.
    pub(crate) fn write_ended(
        &self,
        session: &Session,
        store: &Store,
        run: &RunId,
        prepared: &Prepared,
    ) -> Result<(), CliError> {
        let flow = FlowCopy {
            path: prepared.flow.path.clone(),
            root: prepared.flow.environment.project().root.clone(),
            plan: prepared.plan().clone(),
        };
        self.write(session, store, run, Some(&flow))
    }

    /// Writes the folder of a batch of any age: with a copy of its flow only if that is still the one that ran.
    pub(crate) fn write_exported(&self, session: &Session, store: &Store, run: &RunId) -> Result<(), CliError> {
        let events = store.open_run(run).and_then(|reader| reader.run_events()).map_err(store_error)?;
        let flow = unchanged_flow(session, &events);
        if flow.is_none() {
            session
                .printer()
                .warn("the flow is not as it was when this run began: there is no copy of it in snapshot/");
        }
        self.write(session, store, run, flow.as_ref())
    }

    fn write(&self, session: &Session, store: &Store, run: &RunId, flow: Option<&FlowCopy>) -> Result<(), CliError> {
        let part = self.folder.join(PART);
        let _ = fs::remove_dir_all(&part);
        let reader = store.open_run(run).map_err(store_error)?;
        let run_events = reader.run_events().map_err(store_error)?;
        let writing = Writing {
            reader: &reader,
            run: run.to_string(),
            run_events: &run_events,
            format: flow.map_or(MessageFormat::Basic, |flow| flow.plan.message_format),
            to: part.clone(),
        };
        let done = writing.all().and_then(|()| {
            if let Some(flow) = flow {
                let left_out = flow
                    .write(&remembered(&run_events), &part.join("snapshot"), &self.folder)
                    .map_err(|error| unwritten(&part.join("snapshot"), &error))?;
                for file in left_out {
                    session
                        .printer()
                        .warn(&format!("`{file}` is not copied to snapshot/: it is too large, or one of too many"));
                }
            }
            self.put_in_place(&part)
        });
        let _ = fs::remove_dir_all(&part);
        done
    }

    /// What was there is gone only now. Files of an earlier run folder, such as its errors, do not stay.
    fn put_in_place(&self, part: &Path) -> Result<(), CliError> {
        for entry in ENTRIES {
            let (from, to) = (part.join(entry), self.folder.join(entry));
            let gone = match fs::symlink_metadata(&to) {
                Ok(facts) if facts.is_dir() => fs::remove_dir_all(&to),
                Ok(_) => fs::remove_file(&to),
                Err(_) => Ok(()),
            };
            let put = gone.and_then(|()| if from.exists() { fs::rename(&from, &to) } else { Ok(()) });
            put.map_err(|error| unwritten(&to, &error))?;
        }
        Ok(())
    }
}

/// Writes the outputs of all lines that completed, in order: `{"line_number": 0, …}` each.
pub(crate) fn write_output_rows(reader: &RunReader, out: &mut dyn Write) -> Result<(), StoreError> {
    reader.outputs_in_order(&mut |line, _, outputs| writeln!(out, "{}", numbered_first(line, &outputs)))
}

fn numbered_first(line: u64, outputs: &Map) -> String {
    let mut row = Map::from([("line_number", Value::from(line))]);
    row.extend(outputs.iter().map(|(name, value)| (name.clone(), value.clone())));
    Value::from(row).to_json()
}

fn numbered_last(line: u64, values: Map) -> String {
    let mut row = values;
    row.insert("line_number", line);
    Value::from(row).to_json()
}

/// What the run remembers of its command line.
fn remembered(run_events: &[Event]) -> Map {
    let options = run_events.iter().find_map(|event| match &event.kind {
        EventKind::RunStarted { options, .. } => Some(options.clone()),
        _ => None,
    });
    options.unwrap_or_default()
}

/// The flow of a run, if its files are those that ran.
fn unchanged_flow(session: &Session, run_events: &[Event]) -> Option<FlowCopy> {
    let (flow_path, hashes, options) = run_events.iter().find_map(|event| match &event.kind {
        EventKind::RunStarted { flow_path, hashes, options, .. } => Some((flow_path, hashes, options)),
        _ => None,
    })?;
    let flow = session.find_flow(flow_path).ok()?;
    let variant = options.get("variant").and_then(Value::as_str).and_then(VariantChoice::parse);
    let plan = session.compile(&flow, variant.as_ref()).plan?;
    (*plan.hash == *hashes.plan).then(|| FlowCopy {
        path: flow.path.clone(),
        root: flow.environment.project().root.clone(),
        plan,
    })
}

fn unwritten(file: &Path, error: &io::Error) -> CliError {
    CliError::failed(format!("`{}` cannot be written", file.display())).cause(error.to_string()).hint(
        "all of it is in the run: `sluicegate runs export RUN --as promptflow --output DIR` writes the folder again",
    )
}
