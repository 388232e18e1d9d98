//! Data sets on disk, read as a batch reads them.

mod filter;
mod folder;
mod formats;
mod join;
mod mapping;
mod round_trip;
mod survey;

use std::path::{Path, PathBuf};

use sluicegate_dataset::{BadRow, Dataset, Row, Source};
use sluicegate_value::Value;

/// A folder with files, for one test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn with(name: &str, content: impl AsRef<[u8]>) -> Self {
        let folder = Self::new();
        folder.write(name, content);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, content).expect("a file");
    }

    /// The file or folder as a source that messages call by this name.
    fn source(&self, name: &str) -> Source {
        Source::new(self.path(name)).named(name)
    }

    fn dataset(&self, name: &str) -> Dataset {
        Dataset::open(&[self.source(name)]).expect("a data set")
    }
}

/// A row as one line: `0 data.jsonl:1 {"a":1}`, or `! 0 data.jsonl:1:5: what is wrong`; `!!` if it is fatal.
fn shown(row: Result<Row, BadRow>) -> String {
    match row {
        Ok(row) => {
            let place = row.place.map(|place| format!("{place} ")).unwrap_or_default();
            format!("{} {place}{}", row.number, Value::from(row.columns).to_json())
        }
        Err(bad) => format!("{} {} {bad}", if bad.is_fatal { "!!" } else { "!" }, bad.number),
    }
}

/// What is read from one file.
#[track_caller]
fn check(name: &str, content: impl AsRef<[u8]>, expected: &[&str]) {
    let folder = Folder::with(name, content);
    let found: Vec<String> = folder.dataset(name).rows().map(shown).collect();
    assert_eq!(found, expected);
}

/// The names of the files below a folder's path that a data set has.
fn names(dataset: &Dataset, folder: &Path) -> Vec<String> {
    let below = |name: &str| Path::new(name).strip_prefix(folder).unwrap_or(Path::new(name)).display().to_string();
    dataset.file_names().map(below).collect()
}
