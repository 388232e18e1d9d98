//! `evaluation.json`: what an evaluation was asked to do, so that it can go on.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use sluicegate_config::Project;
use sluicegate_events::RunId;
use sluicegate_value::{Map, Value, json};

use crate::batch::Manner;
use crate::error::CliError;
use crate::keepers::CacheUse;

/// What an evaluation was asked to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// The flow, as it is found again from the project's root.
    pub(crate) flow: String,
    pub(crate) environment: Option<String>,
    /// Absolute.
    pub(crate) data: Option<String>,
    /// Rules of the command line.
    pub(crate) gate: Vec<String>,
    pub(crate) no_gate: bool,
    /// The earlier batch that is scored.
    pub(crate) run: Option<String>,
    pub(crate) limit: Option<u64>,
    pub(crate) repeats: Option<u32>,
    /// Settings of the matrix in place of the file's.
    pub(crate) variants: Vec<String>,
    pub(crate) connections: Vec<String>,
    pub(crate) manner: Manner,
}

/// An evaluation's folder and what stands in its `evaluation.json`.
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) folder: PathBuf,
    pub(crate) wanted: Wanted,
    /// What it was over when it began; empty until that is known. By another one it is not gone on with.
    pub(crate) fingerprint: String,
    /// What it is compared with, as [`super::Baseline`] remembers it.
    pub(crate) baseline: Map,
    /// The batches, in the order in which they began.
    pub(crate) stages: Vec<(String, String)>,
    /// The verdict, once there is one.
    pub(crate) verdict: Option<String>,
}

/// Where an evaluation keeps its parts.
pub(super) const PARTS: &str = "cells";

/// The folder of all evaluations.
pub(super) fn folder_of_all(project: &Project) -> PathBuf {
    project.state_folder().join("evaluations")
}

impl Record {
    /// A new one.
    pub(crate) fn new(project: &Project, wanted: Wanted) -> Self {
        let id = RunId::generate().to_string();
        let folder = folder_of_all(project).join(&id);
        Self::begun(id, folder, wanted)
    }

    /// A part of it: what is evaluated in one setting, with a folder and batches of its own.
    pub(crate) fn part(&self, name: &str) -> Result<Self, CliError> {
        let (id, folder) = (format!("{}-{name}", self.id), self.folder.join(PARTS).join(name));
        let mut wanted = self.wanted.clone();
        let beside = |folder: PathBuf| folder.join(name);
        wanted.manner.kept.record = wanted.manner.kept.record.map(beside);
        wanted.manner.kept.replay = wanted.manner.kept.replay.map(beside);
        if !folder.join("evaluation.json").is_file() {
            return Ok(Self::begun(id, folder, wanted));
        }
        Ok(Self { wanted, ..Self::read(id, folder)? })
    }

    fn begun(id: String, folder: PathBuf, wanted: Wanted) -> Self {
        Self { id, folder, wanted, fingerprint: String::new(), baseline: Map::new(), stages: Vec::new(), verdict: None }
    }

    /// The one of this id, or `latest`.
    pub(crate) fn find(project: &Project, asked: &str) -> Result<Self, CliError> {
        let all = folder_of_all(project);
        let entries = std::fs::read_dir(&all).into_iter().flatten().filter_map(Result::ok);
        let mut ids: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        // Ids begin with their time.
        ids.sort();
        ids.retain(|id| (asked == "latest" || id.starts_with(asked)) && all.join(id).join("evaluation.json").is_file());
        let exact = ids.iter().find(|id| *id == asked).cloned();
        let id = match (exact, asked, &ids[..]) {
            (Some(id), ..) => id,
            (None, "latest", [.., last]) => last.clone(),
            (None, _, [only]) => only.clone(),
            (None, _, [_, _, ..]) if asked != "latest" => {
                return Err(CliError::misused(format!("several evaluations begin with `{asked}`")));
            }
            _ => {
                return Err(CliError::misused(format!("there is no evaluation `{asked}`"))
                    .hint(format!("they are kept in `{}`", all.display())));
            }
        };
        let folder = all.join(&id);
        Self::read(id, folder)
    }

    fn read(id: String, folder: PathBuf) -> Result<Self, CliError> {
        let file = folder.join("evaluation.json");
        let damaged = |cause: String| CliError::failed(format!("`{}` cannot be read", file.display())).cause(cause);
        let text = std::fs::read_to_string(&file).map_err(|error| damaged(error.to_string()))?;
        let read = json::read(&text).map_err(|error| damaged(error.to_string()))?;
        let map = read.as_map().ok_or_else(|| damaged("it is no map".to_owned()))?;
        Ok(Self::of_map(id, folder, map))
    }

    fn of_map(id: String, folder: PathBuf, map: &Map) -> Self {
        let text = |name: &str| map.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let whole = |name: &str| match map.get(name) {
            Some(Value::Int(number)) => u64::try_from(*number).ok(),
            _ => None,
        };
        let texts = |name: &str| -> Vec<String> {
            let all = map.get(name).and_then(Value::as_list).unwrap_or_default().iter();
            all.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
        };
        let manner = map.get("manner").and_then(Value::as_map).cloned().unwrap_or_default();
        let stages = map.get("stages").and_then(Value::as_map).cloned().unwrap_or_default();
        let wanted = Wanted {
            flow: text("flow").unwrap_or_default(),
            environment: text("environment"),
            data: text("data"),
            gate: texts("gate"),
            no_gate: matches!(map.get("no_gate"), Some(Value::Bool(true))),
            run: text("run"),
            limit: whole("limit"),
            repeats: whole("repeats").and_then(|repeats| u32::try_from(repeats).ok()),
            variants: texts("variants"),
            connections: texts("connections"),
            manner: Manner::default().or_as(&manner),
        };
        Self {
            id,
            folder,
            wanted,
            fingerprint: text("fingerprint").unwrap_or_default(),
            baseline: map.get("baseline").and_then(Value::as_map).cloned().unwrap_or_default(),
            stages: stages
                .iter()
                .map(|(name, run)| (name.to_string(), run.as_str().unwrap_or("").to_owned()))
                .collect(),
            verdict: text("verdict"),
        }
    }

    /// Writes `evaluation.json`.
    pub(crate) fn save(&self) -> Result<(), CliError> {
        let wanted = &self.wanted;
        let texts = |all: &[String]| Value::from(all.iter().map(|text| Value::from(text.as_str())).collect::<Vec<_>>());
        let stages = self
            .stages
            .iter()
            .map(|(name, run)| (std::sync::Arc::<str>::from(name.as_str()), Value::from(run.as_str())));
        let map = Map::from([
            ("id", Value::from(self.id.as_str())),
            ("flow", wanted.flow.as_str().into()),
            ("environment", wanted.environment.as_deref().into()),
            ("data", wanted.data.as_deref().into()),
            ("gate", texts(&wanted.gate)),
            ("no_gate", wanted.no_gate.into()),
            ("run", wanted.run.as_deref().into()),
            ("limit", wanted.limit.into()),
            ("repeats", wanted.repeats.map(u64::from).into()),
            ("variants", texts(&wanted.variants)),
            ("connections", texts(&wanted.connections)),
            ("manner", wanted.manner.remembered().into()),
            ("fingerprint", self.fingerprint.as_str().into()),
            ("baseline", self.baseline.clone().into()),
            ("stages", stages.collect::<Map>().into()),
            ("verdict", self.verdict.as_deref().into()),
        ]);
        write_whole(&self.folder.join("evaluation.json"), &Value::from(map).to_json_pretty())
    }

    /// Notes that a batch begins.
    pub(crate) fn note_stage(&mut self, name: &str, run: &RunId) -> Result<(), CliError> {
        if self.stages.iter().any(|(known, _)| known == name) {
            return Ok(());
        }
        self.stages.push((name.to_owned(), run.to_string()));
        self.save()
    }

    /// How many replies of a repeat may be kept ones: two answers to one case must not be the same reply.
    pub(crate) fn manner_of(&self, repeat: u32) -> Manner {
        let mut manner = self.wanted.manner.clone();
        if repeat > 0 {
            let beside = |folder: PathBuf| folder.join(format!("repeat-{}", repeat + 1));
            manner.kept.cache = CacheUse::Off;
            manner.kept.record = manner.kept.record.map(beside);
            manner.kept.replay = manner.kept.replay.map(beside);
        }
        manner
    }
}

/// Writes a file beside its place and puts it there whole.
pub(crate) fn write_whole(file: &Path, text: &str) -> Result<(), CliError> {
    let failed = |error: std::io::Error| {
        CliError::failed(format!("`{}` cannot be written", file.display())).cause(error.to_string())
    };
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut part = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    part.write_all(text.as_bytes()).and_then(|()| part.as_file().sync_all()).map_err(failed)?;
    part.persist(file).map(drop).map_err(|error| failed(error.error))
}
