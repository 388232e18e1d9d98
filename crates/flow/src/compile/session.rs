//! What one compilation has read so far, and what it found wrong.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use sluicegate_source::{Problem, Severity, SourceFile, Span};

use super::extent::Extent;
use super::includes::Folder;
use super::kinds::no_role_header;
use crate::files::{FileError, Files, file_name, join, parent, read_text};
use crate::plan::Plan;
use crate::prompty::{PromptyFile, Version};
use crate::template::{Mode, Template};

/// One compilation, inner flows included.
pub(super) struct Session<'f> {
    pub(super) files: &'f dyn Files,
    problems: Vec<Problem>,
    /// Each file by path, read once.
    sources: HashMap<String, Result<Arc<SourceFile>, FileError>>,
    /// The order in which files were first read, for the order of problems.
    order: HashMap<Arc<str>, usize>,
    templates: HashMap<(String, u8), Option<Arc<Template>>>,
    prompties: HashMap<String, Option<Arc<PromptyFile>>>,
    /// What a prompty reads from files beside it, by the prompty's path.
    beside: HashMap<String, Vec<(String, Arc<str>)>>,
    /// Flows by the path of their file; `None` for one that is wrong.
    pub(super) plans: HashMap<String, Option<Arc<Plan>>>,
    /// The flows that are being compiled, outermost first.
    pub(super) underway: Vec<String>,
    /// How large the plans are.
    pub(super) extents: HashMap<*const Plan, Extent>,
}

/// Where something is asked for: problems about it are shown there.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) file: &'a Arc<SourceFile>,
    pub(super) at: Span,
}

impl<'f> Session<'f> {
    pub(super) fn new(files: &'f dyn Files) -> Self {
        Self {
            files,
            problems: Vec::new(),
            sources: HashMap::new(),
            order: HashMap::new(),
            templates: HashMap::new(),
            prompties: HashMap::new(),
            beside: HashMap::new(),
            plans: HashMap::new(),
            underway: Vec::new(),
            extents: HashMap::new(),
        }
    }

    pub(super) fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(super) fn report_all(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.extend(problems);
    }

    /// How many errors were found so far: whoever compares two moments knows whether a part is sound.
    pub(super) fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.severity == Severity::Error).count()
    }

    /// All problems, file by file as they were opened, each file from top to bottom.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        let order = self.order;
        self.problems.sort_by_key(|problem| {
            let file = problem.file.as_ref().and_then(|file| order.get(file.name()).copied());
            (file, problem.labels.first().map(|label| label.span.start))
        });
        self.problems
    }

    /// A text file, read once.
    pub(super) fn source(&mut self, path: &str) -> Result<Arc<SourceFile>, FileError> {
        if let Some(known) = self.sources.get(path) {
            return known.clone();
        }
        let source = read_text(self.files, path).map(|text| SourceFile::new(path, text));
        self.order.insert(path.into(), self.order.len());
        self.sources.insert(path.to_owned(), source.clone());
        source
    }

    /// A file that must be there: what is wrong with it is reported where it is asked for.
    pub(super) fn required_source(&mut self, path: &str, asked: Asked<'_>) -> Option<Arc<SourceFile>> {
        match self.source(path) {
            Ok(source) => Some(source),
            Err(error) => {
                let problem = self.file_problem(&error, path);
                self.report(problem.in_file(asked.file).at(asked.at, ""));
                None
            }
        }
    }

    /// A file that cannot be had, as a problem without a place.
    pub(super) fn file_problem(&self, error: &FileError, path: &str) -> Problem {
        match error {
            FileError::Missing(_) => {
                let problem = Problem::error("flow::missing_file", error.to_string());
                let beside = self.files.list(parent(path)).unwrap_or_default();
                match sluicegate_source::suggest::nearest(file_name(path), beside.iter().map(String::as_str)) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem,
                }
            }
            FileError::Outside(_) => Problem::error("flow::outside_project", error.to_string())
                .help("keep what a flow needs inside of the project, or run from a folder above both"),
            FileError::WrongKind(..) | FileError::NotText(_) | FileError::Unreadable { .. } => {
                Problem::error("flow::unreadable_file", error.to_string())
            }
        }
    }

    /// A template, parsed once for each mode; its problems are reported once.
    pub(super) fn template(&mut self, source: &Arc<SourceFile>, mode: Mode) -> Option<Arc<Template>> {
        let key = (source.name().to_owned(), mode as u8);
        if let Some(known) = self.templates.get(&key) {
            return known.clone();
        }
        let template = match Template::parse_file(source, mode) {
            Ok(template) => Some(Arc::new(template)),
            Err(problem) => {
                self.report(problem);
                None
            }
        };
        self.templates.insert(key, template.clone());
        template
    }

    /// A prompty, read once; its problems are reported once.
    pub(super) fn prompty(&mut self, source: &Arc<SourceFile>) -> Option<Arc<PromptyFile>> {
        if let Some(known) = self.prompties.get(source.name()) {
            return known.clone();
        }
        let (files, folder) = (self.files, parent(source.name()).to_owned());
        let beside = RefCell::new(Vec::new());
        let read_beside = |path: &str| {
            let path = join(&folder, path).ok_or_else(|| format!("`{path}` lies outside of the project"))?;
            let text = read_text(files, &path).map_err(|error| error.to_string())?;
            beside.borrow_mut().push((path, text.clone()));
            Ok(text)
        };
        let prompty = match PromptyFile::read(source, &read_beside) {
            Ok(mut prompty) => {
                self.problems.extend(prompty.warnings.iter().cloned());
                self.problems.extend(super::prompty::load_images(&mut prompty, files, &mut beside.borrow_mut()));
                self.problems.extend(prompty.cannot_run.clone());
                // Text before a role line of version 2 is the system's.
                let is_chat = prompty.version == Version::V1 && &*prompty.model.api != "completion";
                if is_chat && !prompty.template.has_role_header() {
                    let help = "write `system:` or `user:` on a line of its own";
                    self.problems.push(no_role_header(&prompty.file).help(help));
                }
                Some(Arc::new(prompty))
            }
            Err(problems) => {
                self.problems.extend(problems);
                None
            }
        };
        self.beside.insert(source.name().to_owned(), beside.into_inner());
        self.prompties.insert(source.name().to_owned(), prompty.clone());
        prompty
    }

    /// Notes a prompty and what it reads for a flow's hash.
    pub(super) fn note_prompty(&self, folder: &mut Folder, source: &SourceFile) {
        folder.note(source.name(), source.text());
        for (path, text) in self.beside.get(source.name()).into_iter().flatten() {
            folder.note(path, text);
        }
    }
}
