//! The lock file of an evaluation: what it is judged by, so that a change of that is seen and meant.
//!
//! It holds, for each flow and config environment, the hashes that receipts have of rules, evaluators, judges and data. A
//! prompt or the flow itself is none of them: that is what is judged.

use std::path::PathBuf;

use sluicegate_events::PlanHashes;
use sluicegate_gate::{About, Decision, Hashes, Receipt, Verdict};
use sluicegate_value::hash::sha256_of_parts;
use sluicegate_value::{Map, Value, json};

use super::{Cases, Declaration, Git, fingerprints, write_whole};
use crate::error::CliError;
use crate::session::Session;

const SCHEMA: &str = "sluicegate.lock";
const VERSION: i64 = 1;
/// What stands in place of the name where there is no config environment.
const NO_ENVIRONMENT: &str = "-";

/// What is locked, and what people call it.
const LOCKED: [(&str, &str); 4] = [
    ("policy", "the gate's rules"),
    ("evaluators", "the evaluators"),
    ("judge", "the judges' prompts or models"),
    ("data", "the data"),
];

/// A lock file, and what it should say of this evaluation.
pub(crate) struct Lock {
    file: PathBuf,
    /// The file as people call it.
    shown: String,
    flow: String,
    environment: Option<String>,
    now: Hashes,
    cases_file: String,
    evaluation_file: Option<String>,
    commit: Option<String>,
    /// The command that writes it.
    command: String,
}

impl Lock {
    /// The lock of an evaluation, if its file names one. Reads the data.
    pub(crate) fn of(session: &Session, declaration: &Declaration) -> Result<Option<Self>, CliError> {
        let Some(path) = &declaration.spec.lock else { return Ok(None) };
        let (spec, target) = (&declaration.spec, &declaration.target);
        let project = target.environment.project();
        let filters: Vec<String> = declaration.asked.filter.iter().cloned().collect();
        // All of it, whatever --limit says: a look at a few rows is no change of the data.
        let cases = Cases::read(session, spec, &project.root, &declaration.files(), &filters, None)?;
        let mut now = fingerprints(spec, target, &PlanHashes::default(), &cases.hash, 1);
        if !filters.is_empty() {
            let of_rows = cases.rows.iter().map(|row| row.key.to_string());
            now.data = Some(sha256_of_parts(std::iter::once(cases.hash.clone()).chain(of_rows)));
        }
        let environment = target.environment.environment_name().map(ToOwned::to_owned);
        let file = project.resolve(path);
        let of_environment = environment.as_deref().map(|name| format!(" -e {name}")).unwrap_or_default();
        Ok(Some(Self {
            shown: project.display_name(&file),
            file,
            flow: target.name.clone(),
            command: format!("sluicegate evaluate {}{of_environment} --update-lock", target.shown_name()),
            environment,
            now: Hashes { plan: None, prompts: None, ..now },
            cases_file: cases.shown,
            evaluation_file: declaration.file.clone(),
            commit: Git::at(&project.root).clean_commit(),
        }))
    }

    /// The receipt of an evaluation that is not what is locked; `None` if it is.
    pub(crate) fn objection(&self) -> Result<Option<Receipt>, CliError> {
        let Some(why) = self.why_not()? else { return Ok(None) };
        let decision = Decision {
            verdict: Verdict::Invalid,
            blocks: true,
            exit_code: Verdict::Invalid.exit_code(),
            headline: format!("{why}; if that is meant, write it anew and commit it: {}", self.command),
            flow: self.flow.clone(),
            environment: self.environment.clone(),
            hashes: self.now.clone(),
            ..Decision::default()
        };
        let about = About {
            at: Some(jiff::Timestamp::now().to_string()),
            commit: self.commit.clone(),
            engine: Some(env!("CARGO_PKG_VERSION").to_owned()),
            data_file: Some(self.cases_file.clone()),
            evaluation_file: self.evaluation_file.clone(),
            ..About::default()
        };
        Ok(Some(Receipt::new(decision, about, None)))
    }

    /// Writes what it should say, and leaves what it says of others. Says what is new in it.
    pub(crate) fn update(&self) -> Result<String, CliError> {
        let before = self.why_not()?;
        let mut root = self.read()?.unwrap_or_default();
        root.insert("schema", SCHEMA);
        root.insert("version", VERSION);
        let map = |map: &Map, name: &str| map.get(name).and_then(Value::as_map).cloned().unwrap_or_default();
        let mut flows = map(&root, "flows");
        let mut environments = map(&flows, &self.flow);
        environments.insert(self.environment_word(), self.entry());
        flows.insert(self.flow.as_str(), sorted(environments));
        root.insert("flows", sorted(flows));
        write_whole(&self.file, &(Value::from(root).to_json_pretty() + "\n"))?;
        Ok(match before {
            None => format!("`{}` says so already", self.shown),
            Some(why) => format!("`{}` is written: {why} until now", self.shown),
        })
    }

    /// The lock file, as people call it.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    fn why_not(&self) -> Result<Option<String>, CliError> {
        let Some(root) = self.read()? else {
            return Ok(Some(format!("there is no lock file `{}`", self.shown)));
        };
        let of_flow = root.get("flows").and_then(Value::as_map).and_then(|flows| flows.get(&self.flow));
        let entry = of_flow.and_then(Value::as_map).and_then(|all| all.get(self.environment_word()));
        let Some(entry) = entry.and_then(Value::as_map) else {
            let environment =
                self.environment.as_deref().map(|name| format!(" in environment `{name}`")).unwrap_or_default();
            return Ok(Some(format!("`{}` says nothing of `{}`{environment}", self.shown, self.flow)));
        };
        let now = self.entry();
        let changed: Vec<&str> = LOCKED
            .iter()
            .filter(|(part, _)| entry.get(part).and_then(Value::as_str) != now.get(part).and_then(Value::as_str))
            .map(|(_, words)| *words)
            .collect();
        Ok(match changed.split_last() {
            None => None,
            Some((last, [])) => Some(format!("{last} changed against `{}`", self.shown)),
            Some((last, others)) => Some(format!("{} and {last} changed against `{}`", others.join(", "), self.shown)),
        })
    }

    fn environment_word(&self) -> &str {
        self.environment.as_deref().unwrap_or(NO_ENVIRONMENT)
    }

    fn entry(&self) -> Map {
        let hashes = [&self.now.policy, &self.now.evaluators, &self.now.judge, &self.now.data];
        let parts = LOCKED.iter().zip(hashes).filter_map(|((part, _), hash)| Some((*part, hash.as_deref()?)));
        parts.map(|(part, hash)| (std::sync::Arc::from(part), Value::from(hash))).collect()
    }

    fn read(&self) -> Result<Option<Map>, CliError> {
        let damaged = |cause: String| {
            CliError::misused(format!("lock file `{}` cannot be read", self.shown))
                .cause(cause)
                .hint(format!("take it from git again, or remove it and write it anew: {}", self.command))
        };
        let text = match std::fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(damaged(error.to_string())),
        };
        let read = json::read(&text).map_err(|error| damaged(error.to_string()))?;
        let map = read.as_map().ok_or_else(|| damaged("it is no map".to_owned()))?;
        if map.get("schema").and_then(Value::as_str) != Some(SCHEMA)
            || map.get("version").and_then(Value::as_int) != Some(VERSION)
        {
            return Err(damaged(format!("it is no `{SCHEMA}` of version {VERSION}")));
        }
        Ok(Some(map.clone()))
    }
}

/// In the order of their names, so that two branches that each add one meet in one place.
fn sorted(map: Map) -> Map {
    let mut entries: Vec<_> = map.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    entries.into_iter().collect()
}
