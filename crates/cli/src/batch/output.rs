//! `output.jsonl`: the journal's completed lines, in the order of the data.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use sluicegate_events::RunId;
use sluicegate_store::Store;
use sluicegate_value::{Map, Value, json};

use super::{Manner, RunFolder};
use crate::commands::runs::store_error;
use crate::error::CliError;

/// All places to which a batch writes.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) output: OutputPlace,
    pub(crate) run_folder: Option<RunFolder>,
}

/// Where outputs go.
#[derive(Clone, Debug)]
pub(crate) enum OutputPlace {
    /// `output.jsonl` and `metrics.json` in the store's own folder for the run.
    OfStore(PathBuf),
    /// The same in a folder that somebody named, and [`CLAIM`] beside them.
    Folder(PathBuf),
    /// Standard output.
    Stdout,
}

/// Says whose outputs lie in a folder.
const CLAIM: &str = "run.json";

impl Places {
    /// The places of a run, as they were asked for.
    pub(crate) fn of(manner: &Manner, store: &Store, run: &RunId) -> Self {
        let output = match manner.output.as_deref() {
            Some("-") => OutputPlace::Stdout,
            Some(folder) => OutputPlace::Folder(PathBuf::from(folder)),
            None => OutputPlace::OfStore(store.root().join("out").join(run.to_string())),
        };
        Self { output, run_folder: manner.run_folder.as_deref().map(|folder| RunFolder::at(Path::new(folder))) }
    }

    /// Sees that all of them can be written, and belong to no other run: that is not to be found out when all is paid
    /// for. With `force`, what another run has written is written over.
    pub(crate) fn open(&self, store: &Store, run: &RunId, force: bool) -> Result<(), CliError> {
        if let (OutputPlace::Folder(folder), Some(run_folder)) = (&self.output, &self.run_folder)
            && is_same(folder, run_folder.path())
        {
            return Err(CliError::misused("`--output` and `--run-folder` are one folder")
                .hint("both write metrics.json: name two folders, such as out and out/run"));
        }
        if let Some(run_folder) = &self.run_folder {
            run_folder.open(run, force)?;
        }
        self.output.open(store, run, force)
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.components().collect());
    whole(one) == whole(other)
}

impl OutputPlace {
    fn open(&self, store: &Store, run: &RunId, force: bool) -> Result<(), CliError> {
        let folder = match self {
            Self::OfStore(folder) | Self::Folder(folder) => folder,
            Self::Stdout => return Ok(()),
        };
        if matches!(self, Self::Folder(_)) && !force {
            refuse_others(folder, store, run)?;
        }
        let probe = folder.join("output.jsonl.part");
        let tried = std::fs::create_dir_all(folder).and_then(|()| File::create(&probe).map(drop)).and_then(|()| {
            let _ = std::fs::remove_file(&probe);
            match (folder.join("output.jsonl").is_dir(), self) {
                (true, _) => Err(io::Error::new(io::ErrorKind::IsADirectory, "`output.jsonl` there is a folder")),
                (false, Self::Folder(_)) => std::fs::write(folder.join(CLAIM), claim(run)),
                (false, _) => Ok(()),
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
            Self::OfStore(folder) | Self::Folder(folder) => Some(folder.join("output.jsonl")),
            Self::Stdout => None,
        }
    }

    /// Whether outputs lie there, and are this run's.
    pub(crate) fn has_outputs_of(&self, run: &RunId) -> bool {
        let is_there = self.file().is_some_and(|file| file.exists());
        match self {
            // Versions before claims left none.
            Self::Folder(folder) => is_there && claimed_by(folder).is_none_or(|other| other == *run.0),
            Self::OfStore(_) | Self::Stdout => is_there,
        }
    }
}

/// Where the outputs of a run lie, if they still do; `manner` is what the run remembers of how it worked.
pub(crate) fn outputs_of(store: &Store, run: &RunId, manner: Option<&Map>) -> Option<PathBuf> {
    let manner = manner.map(|then| Manner::default().or_as(then)).unwrap_or_default();
    let place = Places::of(&manner, store, run).output;
    place.file().filter(|_| place.has_outputs_of(run))
}

fn claim(run: &RunId) -> String {
    Value::from(Map::from([("run", Value::from(run.to_string())), ("written_by", "sluicegate".into())])).to_json()
        + "\n"
}

/// The run whose outputs lie in a folder, if it says so.
fn claimed_by(folder: &Path) -> Option<String> {
    let claim = json::read(&std::fs::read_to_string(folder.join(CLAIM)).ok()?).ok()?;
    claim.get("run")?.as_str().map(ToOwned::to_owned)
}

/// Another run's outputs, and what only looks so, are not written over. A run that never wrote any and is gone has no
/// claim.
fn refuse_others(folder: &Path, store: &Store, run: &RunId) -> Result<(), CliError> {
    let taken = ["output.jsonl", "metrics.json"].into_iter().find(|name| folder.join(name).exists());
    let message = match (claimed_by(folder), taken) {
        (Some(other), _) if other == *run.0 => return Ok(()),
        (Some(other), Some(_)) => format!("`{}` holds the outputs of run `{other}`", folder.display()),
        (Some(other), None) if store.open_run(&RunId(other.as_str().into())).is_ok() => {
            format!("`{}` is where run `{other}` writes its outputs", folder.display())
        }
        (None, Some(name)) => format!("there is a file `{}` already", folder.join(name).display()),
        (_, None) => return Ok(()),
    };
    Err(CliError::misused(message).hint("choose another folder, or write over it by `sluicegate batch … --force`"))
}

/// Writes the outputs of all lines that completed: `{"line_number": 0, …}` each.
pub(crate) fn write_outputs(store: &Store, run: &RunId, place: &OutputPlace, metrics: &Map) -> Result<(), CliError> {
    match place {
        OutputPlace::Stdout => write_lines(store, run, &mut BufWriter::new(io::stdout().lock())),
        OutputPlace::OfStore(folder) | OutputPlace::Folder(folder) => {
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
