//! The files of a run folder, written as the journal is read.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluicegate_events::{Event, EventKind, LineEnd, RunStatus, RunSummary};
use sluicegate_flow::image::in_outputs;
use sluicegate_flow::plan::MessageFormat;
use sluicegate_store::{LineFilter, LineStatus, RunReader};
use sluicegate_value::{BlobSource, Map, Value, hash};

use super::gathered::Gathered;
use super::log::logged;
use super::records::{self, Record};
use super::{WRITER, numbered_first, numbered_last, unwritten};
use crate::commands::runs::{last_aggregation, store_error};
use crate::error::CliError;
use crate::python_side::name_of_image;

/// How many events or lines are read at once.
const EVENTS: usize = 200;
const LINES: usize = 500;

/// A run folder that is being written.
pub(super) struct Writing<'a> {
    pub(super) reader: &'a RunReader,
    pub(super) run: String,
    pub(super) run_events: &'a [Event],
    pub(super) format: MessageFormat,
    pub(super) to: PathBuf,
}

impl Writing<'_> {
    pub(super) fn all(&self) -> Result<(), CliError> {
        for folder in ["flow_outputs", "flow_artifacts", "node_artifacts", "flow_logs"] {
            let folder = self.to.join(folder);
            fs::create_dir_all(&folder).map_err(|error| unwritten(&folder, &error))?;
        }
        self.once_through_all()?;
        self.aggregation()?;
        self.inputs()?;
        self.outputs()?;
        self.errors()?;
        let metrics = RunSummary::of(last_aggregation(self.run_events)).metrics;
        let metrics: Map = metrics.iter().map(|(name, value)| (Arc::from(name.as_str()), value.clone())).collect();
        self.put("metrics.json", &(Value::from(metrics).to_json() + "\n"))?;
        let meta =
            [("batch_size", Value::from(1_i64)), ("written_by", WRITER.into()), ("run", self.run.as_str().into())];
        self.put("meta.json", &(Value::from(Map::from(meta)).to_json() + "\n"))
    }

    /// Lines are written when they end. One that went on after an end has its events far apart: it is looked up when all
    /// others are written.
    fn once_through_all(&self) -> Result<(), CliError> {
        let file = self.to.join("logs.txt");
        let failed = |error: &io::Error| unwritten(&file, error);
        let mut log = BufWriter::new(File::create(&file).map_err(|error| failed(&error))?);
        let mut running: HashMap<u64, Gathered> = HashMap::new();
        let mut again: BTreeSet<u64> = BTreeSet::new();
        let mut seen = 0;
        loop {
            let events = self.reader.events_after(seen, EVENTS).map_err(store_error)?;
            let Some(last) = events.last() else { break };
            seen = last.seq;
            for event in events.iter().filter(|event| event.scope.repeat == 0) {
                let logged = logged(event);
                if let Some(logged) = logged.as_ref().filter(|logged| logged.of_run) {
                    log.write_all(logged.text.as_bytes()).map_err(|error| failed(&error))?;
                }
                let Some(line) = event.scope.line.filter(|line| !again.contains(line)) else { continue };
                if !running.contains_key(&line) && !matches!(event.kind, EventKind::LineStarted { .. }) {
                    again.insert(line);
                    continue;
                }
                running.entry(line).or_default().hear(event, logged.as_ref().map(|logged| logged.text.as_str()));
                if let EventKind::LineFinished { end, .. } = &event.kind
                    && let Some(gathered) = running.remove(&line)
                    && !matches!(end, LineEnd::Cancelled)
                {
                    self.line(line, &gathered)?;
                }
            }
        }
        log.flush().map_err(|error| failed(&error))?;
        self.lines_again(&again)
    }

    fn lines_again(&self, again: &BTreeSet<u64>) -> Result<(), CliError> {
        if again.is_empty() {
            return Ok(());
        }
        let past = self.reader.line_past().map_err(store_error)?;
        for line in again {
            let events = past
                .events_of(*line, 0)
                .map_err(|error| CliError::failed(format!("line {line} cannot be read")).cause(error.to_string()))?;
            let mut gathered = Gathered::default();
            for event in &events {
                gathered.hear(event, logged(event).as_ref().map(|logged| logged.text.as_str()));
            }
            match gathered.summary.status {
                Some(RunStatus::Completed | RunStatus::Failed) => self.line(*line, &gathered)?,
                // It ended, went on, and has not ended again.
                Some(RunStatus::Interrupted) | None => {
                    let _ = fs::remove_file(self.to.join(file_of_line(*line)));
                }
            }
        }
        Ok(())
    }

    fn line(&self, line: u64, gathered: &Gathered) -> Result<(), CliError> {
        let record = records::of_line(&self.run, line, gathered);
        self.put_rows(&file_of_line(line), &[record])?;
        self.put(&format!("flow_logs/{line:09}.log"), &gathered.log)?;
        self.nodes(Some(line), gathered)
    }

    fn nodes(&self, line: Option<u64>, gathered: &Gathered) -> Result<(), CliError> {
        let mut of_node: Vec<Record> = Vec::new();
        let mut records = records::of_nodes(&self.run, line, gathered).into_iter().peekable();
        while let Some(record) = records.next() {
            let node = record.node.clone();
            of_node.push(record);
            if records.peek().is_none_or(|next| next.node != node) {
                let folder = folder_of_node(node.as_deref().unwrap_or_default());
                let path = self.to.join("node_artifacts").join(&folder);
                fs::create_dir_all(&path).map_err(|error| unwritten(&path, &error))?;
                let file = format!("node_artifacts/{folder}/{:09}.jsonl", line.unwrap_or_default());
                self.put_rows(&file, &std::mem::take(&mut of_node))?;
            }
        }
        Ok(())
    }

    fn aggregation(&self) -> Result<(), CliError> {
        let mut gathered = Gathered::default();
        last_aggregation(self.run_events).iter().for_each(|event| gathered.hear(event, None));
        self.nodes(None, &gathered)
    }

    fn inputs(&self) -> Result<(), CliError> {
        let file = self.to.join("inputs.jsonl");
        let failed = |error: &io::Error| unwritten(&file, error);
        let mut out = BufWriter::new(File::create(&file).map_err(|error| failed(&error))?);
        let mut after = None;
        loop {
            let filter = LineFilter { after, limit: Some(LINES), ..LineFilter::default() };
            let rows = self.reader.lines(&filter).map_err(store_error)?;
            let Some(last) = rows.last() else { break };
            after = Some((last.line, last.repeat));
            let is_over = |status| matches!(status, LineStatus::Completed | LineStatus::Failed);
            for row in rows.iter().filter(|row| row.repeat == 0 && is_over(row.status)) {
                let inputs = self.reader.inputs_of(row.line, 0).map_err(store_error)?.unwrap_or_default();
                writeln!(out, "{}", numbered_last(row.line, inputs)).map_err(|error| failed(&error))?;
            }
        }
        out.flush().map_err(|error| failed(&error))
    }

    fn outputs(&self) -> Result<(), CliError> {
        let files = ["flow_outputs/output.jsonl", "outputs.jsonl"].map(|name| self.to.join(name));
        let create = |file: &PathBuf| File::create(file).map(BufWriter::new).map_err(|error| unwritten(file, &error));
        let (mut first, mut last) = (create(&files[0])?, create(&files[1])?);
        let folder = self.to.join("flow_outputs");
        let written = self.reader.outputs_in_order(&mut |line, repeat, outputs| {
            if repeat > 0 {
                return Ok(());
            }
            let outputs = self.with_images(&outputs.into(), &folder)?.as_map().cloned().unwrap_or_default();
            writeln!(first, "{}", numbered_first(line, &outputs))?;
            writeln!(last, "{}", numbered_last(line, outputs))
        });
        written.map_err(store_error)?;
        first.flush().and_then(|()| last.flush()).map_err(|error| unwritten(&files[0], &error))
    }

    fn put_rows(&self, file: &str, records: &[Record]) -> Result<(), CliError> {
        let path = self.to.join(file);
        let folder = path.parent().unwrap_or(&self.to);
        let mut text = String::new();
        for record in records {
            let row = self.with_images(&record.row.clone().into(), folder).map_err(|error| unwritten(&path, &error))?;
            text += &row.to_json();
            text.push('\n');
        }
        self.put(file, &text)
    }

    fn put(&self, file: &str, text: &str) -> Result<(), CliError> {
        let path = self.to.join(file);
        fs::write(&path, text).map_err(|error| unwritten(&path, &error))
    }

    /// Images as files beside what names them.
    fn with_images(&self, value: &Value, folder: &Path) -> io::Result<Value> {
        let mut failed = None;
        let shown = in_outputs(value, self.format, &mut |image| {
            let BlobSource::Bytes(bytes) = &image.source else { return None };
            let name = name_of_image(image);
            match fs::write(folder.join(&name), bytes) {
                Ok(()) => Some(name),
                Err(error) => {
                    failed = Some(error);
                    None
                }
            }
        });
        failed.map_or(Ok(shown), Err)
    }
}

/// The file of a line's record: prompt flow puts so many lines into a file as `meta.json` says, which is one.
fn file_of_line(line: u64) -> String {
    format!("flow_artifacts/{line:09}_{line:09}.jsonl")
}

/// The folder of a node's records. A name that cannot be a folder's everywhere is told apart by its hash; the records
/// themselves have the name.
fn folder_of_node(name: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | ' ');
    if !name.is_empty() && name.len() <= 100 && name.trim() == name && name.chars().all(is_plain) {
        return name.to_owned();
    }
    let plain: String = name.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).take(40).collect();
    format!("{}-{}", plain.trim(), hash::sha256(name).get(..12).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::folder_of_node;

    #[test]
    fn no_name_of_a_node_leads_out_of_its_folder() {
        assert_eq!(folder_of_node("clean_up"), "clean_up");
        assert_eq!(folder_of_node("näher dran"), "näher dran");
        for name in ["../../x", "a/b", "..", ".", "", "C:\\x", " a"] {
            let folder = folder_of_node(name);
            assert!(!folder.contains(['/', '\\', '.', ':']) && !folder.is_empty(), "{name}: {folder}");
        }
        assert_ne!(folder_of_node("a/b"), folder_of_node("a_b"));
    }
}
