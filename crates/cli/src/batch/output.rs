//! `output.jsonl`: the journal's completed lines, in the order of the data.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use sluicegate_events::RunId;
use sluicegate_store::Store;
use sluicegate_value::{Map, Value};

use crate::commands::runs::store_error;
use crate::error::CliError;

/// Where outputs go.
#[derive(Clone, Debug)]
pub(crate) enum OutputPlace {
    /// `output.jsonl` and `metrics.json` in this folder.
    Folder(PathBuf),
    /// Standard output.
    Stdout,
}

impl OutputPlace {
    /// Makes the folder now: that it cannot be written is not to be found out when all is paid for.
    pub(crate) fn open(&self) -> Result<(), CliError> {
        let Self::Folder(folder) = self else { return Ok(()) };
        let probe = folder.join("output.jsonl.part");
        let tried = std::fs::create_dir_all(folder).and_then(|()| File::create(&probe).map(drop)).and_then(|()| {
            let _ = std::fs::remove_file(&probe);
            match folder.join("output.jsonl").is_dir() {
                true => Err(io::Error::new(io::ErrorKind::IsADirectory, "`output.jsonl` there is a folder")),
                false => Ok(()),
            }
        });
        tried.map_err(|error| {
            CliError::misused(format!("the outputs cannot be written to `{}`", folder.display()))
                .cause(error.to_string())
                .hint("choose another folder by --output DIR")
        })
    }

    /// Where the outputs are, for people and scripts.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Folder(folder) => Some(folder.join("output.jsonl")),
            Self::Stdout => None,
        }
    }
}

/// Writes the outputs of all lines that completed: `{"line_number": 0, …}` each.
pub(crate) fn write_outputs(store: &Store, run: &RunId, place: &OutputPlace, metrics: &Map) -> Result<(), CliError> {
    match place {
        OutputPlace::Stdout => write_lines(store, run, &mut BufWriter::new(io::stdout().lock())),
        OutputPlace::Folder(folder) => {
            in_place(&folder.join("output.jsonl"), |out| write_lines(store, run, out))?;
            in_place(&folder.join("metrics.json"), |out| {
                writeln!(out, "{}", Value::from(metrics.clone()).to_json_pretty())
                    .map_err(|error| unwritten(folder, &error))
            })
        }
    }
}

/// Writes a file beside its place and puts it there whole.
fn in_place(file: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<(), CliError>) -> Result<(), CliError> {
    let part = file.with_extension("part");
    let part = match file.file_name() {
        Some(name) => file.with_file_name(format!("{}.part", name.to_string_lossy())),
        None => part,
    };
    let mut out = BufWriter::new(File::create(&part).map_err(|error| unwritten(file, &error))?);
    write(&mut out)?;
    out.into_inner()
        .map_err(io::IntoInnerError::into_error)
        .and_then(|part| part.sync_all())
        .and_then(|()| std::fs::rename(&part, file))
        .map_err(|error| unwritten(file, &error))
}

fn write_lines(store: &Store, run: &RunId, out: &mut dyn Write) -> Result<(), CliError> {
    let reader = store.open_run(run).map_err(store_error)?;
    let mut text = String::new();
    let written = reader.outputs_in_order(&mut |line, _, outputs| {
        let mut row = Map::from([("line_number", Value::from(line))]);
        row.extend(outputs.iter().map(|(name, value)| (name.clone(), value.clone())));
        text.clear();
        text.push_str(&Value::from(row).to_json());
        text.push('\n');
        out.write_all(text.as_bytes())
    });
    match written
        .map_err(store_error)
        .and_then(|()| out.flush().map_err(|error| unwritten(Path::new("stdout"), &error)))
    {
        // Whoever reads has what they wanted.
        Err(CliError::Other(complaint)) if complaint.message.contains("Broken pipe") => Ok(()),
        done => done,
    }
}

fn unwritten(file: &Path, error: &io::Error) -> CliError {
    CliError::failed(format!("`{}` cannot be written", file.display()))
        .cause(error.to_string())
        .hint("all outputs are in the run: `sluicegate runs outputs RUN` prints them, `sluicegate batch --resume RUN` writes them again")
}
