//! Where rows come from, and in which format they stand there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluicegate_flow::plan::Place;
use sluicegate_source::{Problem, suggest};

/// A file or a folder of rows, as it was asked for.
#[derive(Clone, Debug)]
pub struct Source {
    name: Arc<str>,
    path: PathBuf,
    format: Option<Format>,
    at: Option<Place>,
}

/// How rows stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object on each line; a list, if the first character is `[`.
    JsonLines,
    /// A JSON list of objects; or objects one after the other, if the first character is `{`.
    Json,
    /// Cells between commas, names in the first row.
    Csv,
    /// Cells between tabs, names in the first row.
    Tsv,
    /// Whichever JSON the first character tells.
    Detect,
}

/// A file to read.
#[derive(Clone, Debug)]
pub(crate) struct DataFile {
    pub(crate) name: Arc<str>,
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
}

impl Source {
    /// A file or a folder, read with all data files below it, in the order of their paths. Text that is no path at all
    /// (`azureml:…`) is refused by name when the data set is opened.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_owned();
        Self { name: path.to_string_lossy().into(), path, format: None, at: None }
    }

    /// A file that holds what came from elsewhere: messages call it `name` (`-`), and its own name tells no format.
    #[must_use]
    pub fn spooled(name: &str, path: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), path: path.into(), format: Some(Format::Detect), at: None }
    }

    /// Calls it `name` in messages: the path as its author wrote it.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Says what the file's name does not tell.
    #[must_use]
    pub fn in_format(self, format: Format) -> Self {
        Self { format: Some(format), ..self }
    }

    /// Says where it was asked for, for problems.
    #[must_use]
    pub fn asked_at(self, place: Place) -> Self {
        Self { at: Some(place), ..self }
    }

    /// Finds the files, every problem at once.
    pub(crate) fn find(&self, files: &mut Vec<DataFile>, problems: &mut Vec<Problem>) {
        match self.found() {
            Ok(found) => files.extend(found),
            Err(problem) => problems.push(match &self.at {
                Some(place) => problem.in_file(&place.file).at(place.span, ""),
                None => problem,
            }),
        }
    }

    fn found(&self) -> Result<Vec<DataFile>, Problem> {
        let name = &self.name;
        let lower = name.to_lowercase();
        if lower.starts_with("azureml:") {
            return Err(Problem::error("data::azureml", format!("`{name}` is data that Azure ML keeps"))
                .help("download it (`az ml data show` tells where it lies) and name the file"));
        }
        if let Some((scheme, _)) = lower.split_once("://") {
            return Err(Problem::error("data::remote", format!("`{name}` is an address (`{scheme}`), not a file"))
                .help("download it and name the file"));
        }
        let metadata = fs::metadata(&self.path).map_err(|error| self.unreadable(&error))?;
        if metadata.is_dir() {
            return self.in_folder();
        }
        if !metadata.is_file() {
            return Err(Problem::error("data::not_a_file", format!("`{name}` is neither a file nor a folder"))
                .help("the data are read twice, so a pipe will not do: pass them on standard input, as `-`"));
        }
        let format = match self.format {
            Some(format) => format,
            None => Format::of(&self.path).ok_or_else(|| self.unknown_format())?,
        };
        Ok(vec![DataFile { name: name.clone(), path: self.path.clone(), format }])
    }

    fn in_folder(&self) -> Result<Vec<DataFile>, Problem> {
        let mut found = Vec::new();
        let mut folders = vec![self.path.clone()];
        let mut has_parquet = false;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(|error| self.unreadable(&error))? {
                let entry = entry.map_err(|error| self.unreadable(&error))?;
                let (path, hidden) = (entry.path(), entry.file_name().as_encoded_bytes().starts_with(b"."));
                let kind = entry.file_type().map_err(|error| self.unreadable(&error))?;
                // What editors and notebooks keep beside the data is no data.
                if hidden {
                    continue;
                }
                // A link to a folder may lead in a circle; a link to a file is as good as the file.
                if kind.is_dir() {
                    folders.push(path);
                } else if let Some(format) = Format::of(&path).filter(|_| path.is_file()) {
                    let below = path.strip_prefix(&self.path).unwrap_or(&path);
                    let name = Path::new(&*self.name).join(below).to_string_lossy().into();
                    found.push(DataFile { name, format: self.format.unwrap_or(format), path });
                } else {
                    has_parquet |= extension(&path) == "parquet";
                }
            }
        }
        if found.is_empty() {
            let help = if has_parquet { PARQUET } else { "data files end in .jsonl, .ndjson, .json, .csv or .tsv" };
            return Err(
                Problem::error("data::empty_folder", format!("there is no data file in `{}`", self.name)).help(help)
            );
        }
        found.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }

    fn unknown_format(&self) -> Problem {
        let (name, extension) = (&self.name, extension(&self.path));
        if extension == "parquet" {
            return Problem::error("data::parquet", format!("`{name}` is a Parquet file")).help(PARQUET);
        }
        let problem = Problem::error("data::unknown_format", format!("the name `{name}` does not tell its format"));
        problem.help(match &*extension {
            "gz" | "zip" | "zst" | "bz2" | "xz" => "unpack it first",
            "xls" | "xlsx" | "ods" => "save the sheet as CSV",
            _ => "data files end in .jsonl, .ndjson, .json, .csv or .tsv",
        })
    }

    fn unreadable(&self, error: &std::io::Error) -> Problem {
        let name = &self.name;
        if error.kind() != std::io::ErrorKind::NotFound {
            return Problem::error("data::unreadable", format!("`{name}` cannot be read: {error}"));
        }
        let problem = Problem::error("data::not_found", format!("there is no data file `{name}`"));
        match self.neighbour() {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem,
        }
    }

    /// The name of a file beside the missing one that may be meant.
    fn neighbour(&self) -> Option<String> {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let wanted = self.path.file_name()?.to_string_lossy().into_owned();
        // More names than this are no neighbourhood to guess in.
        let names = fs::read_dir(parent).ok()?.take(1000);
        let names: Vec<String> =
            names.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
        let near = suggest::nearest(&wanted, names.iter().map(String::as_str))?;
        Some(Path::new(&*self.name).with_file_name(near).to_string_lossy().into_owned())
    }
}

const PARQUET: &str = "convert it: `python -c \"import pandas; pandas.read_parquet('data.parquet')\
                       .to_json('data.jsonl', orient='records', lines=True)\"`";

impl Format {
    /// The format that a file's name tells.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        Some(match &*extension(path) {
            "jsonl" | "ndjson" => Self::JsonLines,
            "json" => Self::Json,
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            _ => return None,
        })
    }
}

fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default()
}
