//! What was handed over to the provider, in a file beside the run's journal: enough to find every batch again, and which
//! calls are in it. No request, no reply, no key.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluicegate_value::{Map, Value, json};

/// The manifest's form.
const VERSION: i64 = 1;

/// All batches of a run, in the order in which they were submitted.
#[derive(Clone, Debug, Default)]
pub(super) struct Manifest {
    pub(super) entries: Vec<Entry>,
}

/// A batch.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) connection: Arc<str>,
    pub(super) model: Arc<str>,
    pub(super) url: Arc<str>,
    pub(super) state: State,
    /// The input file at the provider.
    pub(super) file: Arc<str>,
    /// The batch at the provider.
    pub(super) batch: Option<Arc<str>>,
    /// The calls' ids, which hold hashes of what they ask.
    pub(super) calls: Vec<Arc<str>>,
    /// Those that are over without a reply: who asks them again asks anew.
    pub(super) failed: HashSet<Arc<str>>,
}

/// How far a batch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its file is at the provider; whether the batch was submitted, only the provider knows.
    Uploaded,
    /// It was submitted.
    Submitted,
    /// It is over.
    Over,
}

impl State {
    const ALL: [Self; 3] = [Self::Uploaded, Self::Submitted, Self::Over];

    fn word(self) -> &'static str {
        match self {
            Self::Uploaded => "uploaded",
            Self::Submitted => "submitted",
            Self::Over => "over",
        }
    }
}

/// The manifest cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record of provider batches `{}` {what}", file.display())]
pub struct ManifestError {
    /// Which file.
    pub file: PathBuf,
    /// What is wrong, as the end of a sentence.
    pub what: String,
}

impl Manifest {
    /// Reads it; one that is not there is empty.
    pub(super) fn read(file: &Path) -> Result<Self, ManifestError> {
        let wrong = |what: String| ManifestError { file: file.to_owned(), what };
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(wrong(format!("cannot be read: {error}"))),
        };
        let document = json::read(&text).map_err(|error| wrong(format!("is no JSON: {error}")))?;
        let version = document.get("version").and_then(Value::as_int);
        if version != Some(VERSION) {
            return Err(wrong("was written by another version".to_owned()));
        }
        let entries = document.get("batches").and_then(Value::as_list).unwrap_or_default();
        let entries: Option<Vec<Entry>> = entries.iter().map(entry).collect();
        entries.map(|entries| Self { entries }).ok_or_else(|| wrong("makes no sense".to_owned()))
    }

    /// Writes it: the old one is there until the new one is whole and on disk.
    pub(super) fn write(&self, file: &Path, run: &str) -> Result<(), ManifestError> {
        let batches: Vec<Value> = self.entries.iter().map(to_value).collect();
        let document = Map::from([
            ("version", Value::from(VERSION)),
            ("run", Value::from(run)),
            ("batches", Value::from(batches)),
        ]);
        let part = file.with_extension("json.part");
        let written = std::fs::File::create(&part)
            .and_then(|mut out| out.write_all(Value::from(document).to_json().as_bytes()).and_then(|()| out.sync_all()))
            .and_then(|()| std::fs::rename(&part, file));
        written.map_err(|error| ManifestError { file: file.to_owned(), what: format!("cannot be written: {error}") })
    }
}

fn to_value(entry: &Entry) -> Value {
    let list = |calls: &mut dyn Iterator<Item = &Arc<str>>| -> Value {
        calls.map(|call| Value::from(call.clone())).collect::<Vec<_>>().into()
    };
    Value::from(Map::from([
        ("connection", Value::from(entry.connection.clone())),
        ("model", Value::from(entry.model.clone())),
        ("url", Value::from(entry.url.clone())),
        ("state", Value::from(entry.state.word())),
        ("file_id", Value::from(entry.file.clone())),
        ("batch_id", entry.batch.clone().map_or(Value::Null, Value::from)),
        ("calls", list(&mut entry.calls.iter())),
        // In the order of the calls, so that the same state is the same file.
        ("failed", list(&mut entry.calls.iter().filter(|call| entry.failed.contains(*call)))),
    ]))
}

fn entry(value: &Value) -> Option<Entry> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(Arc::<str>::from);
    let list = |name: &str| {
        let items = value.get(name).and_then(Value::as_list).unwrap_or_default();
        items.iter().map(|item| item.as_str().map(Arc::<str>::from)).collect::<Option<Vec<_>>>()
    };
    let state = text("state")?;
    let state = State::ALL.into_iter().find(|known| known.word() == &*state)?;
    Some(Entry {
        connection: text("connection")?,
        model: text("model")?,
        url: text("url")?,
        state,
        file: text("file_id")?,
        batch: text("batch_id"),
        calls: list("calls")?,
        failed: list("failed")?.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Entry {
        Entry {
            connection: "c".into(),
            model: "m".into(),
            url: "/v1/chat/completions".into(),
            state: State::Submitted,
            file: "file-1".into(),
            batch: Some("batch_1".into()),
            calls: vec!["0-0-0-a".into(), "1-0-0-b".into()],
            failed: ["1-0-0-b".into()].into(),
        }
    }

    #[test]
    fn what_was_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.provider-batches.json");
        assert!(Manifest::read(&file).unwrap().entries.is_empty());
        let waiting = Entry { state: State::Uploaded, batch: None, failed: HashSet::new(), ..sample() };
        let manifest = Manifest { entries: vec![sample(), waiting] };
        manifest.write(&file, "run").unwrap();
        let read = Manifest::read(&file).unwrap();
        assert_eq!(format!("{:?}", read.entries), format!("{:?}", manifest.entries));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn one_that_cannot_be_understood_is_not_taken_for_empty() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("m.json");
        let check = |text: &str, expected: &str| {
            std::fs::write(&file, text).unwrap();
            let error = Manifest::read(&file).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        };
        check("{", "is no JSON");
        check(r#"{"version": 2, "batches": []}"#, "another version");
        check(r#"{"version": 1, "batches": [{"state": "asleep"}]}"#, "makes no sense");
        let nowhere = Manifest::default().write(&folder.path().join("none/m.json"), "run").unwrap_err();
        assert!(nowhere.to_string().contains("cannot be written"), "{nowhere}");
    }
}
