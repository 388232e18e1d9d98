//! One pass over everything, before anything is paid for.

use std::sync::Arc;

use indexmap::IndexMap;
use sluicegate_source::Problem;
use sluicegate_value::{Map, hash};

use crate::filter::Where;
use crate::lines::{Line, Lines};
use crate::read::FileStamp;

/// How many problems are kept of each kind; the rest is counted.
pub const MAX_PROBLEMS: usize = 20;

/// How many names of columns are kept: data whose keys are texts, not names, must not fill the memory.
pub const MAX_COLUMNS: usize = 1000;

/// What a pass over a [`Dataset`](crate::Dataset) found.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Lines that would run, those that `check` refused included.
    pub lines: u64,
    /// Rows that cannot be read; they are not among `lines`.
    pub bad_rows: u64,
    /// The first of them.
    pub bad_row_problems: Vec<Problem>,
    /// For how many of them it is the filter that failed.
    pub filter_failures: u64,
    /// Lines that the filter left out.
    pub unwanted: u64,
    /// The first line for which the filter holds without being true.
    pub odd_answer: Option<Problem>,
    /// Whether any of them, or a file that changed meanwhile, is more than one lost line: then the data cannot be run.
    pub is_broken: bool,
    /// Lines that `check` refused.
    pub refused: u64,
    /// The first of them.
    pub refusals: Vec<Problem>,
    /// In how many lines each column of the data is.
    pub columns: Columns,
    /// In how many lines each input of the earlier run is.
    pub run_inputs: Columns,
    /// In how many lines each output of the earlier run is.
    pub run_outputs: Columns,
    /// Rows that have no line in the earlier run.
    pub unmatched_rows: u64,
    /// Lines of the earlier run that have no row.
    pub unmatched_run_lines: u64,
    /// What the files were.
    pub files: Vec<FileStamp>,
    /// SHA-256 over everything that was read, in lower-case hex: the file's own if there is one file, else that of
    /// all files' hashes in their order.
    pub hash: String,
}

/// The names of columns, and in how many lines each of them is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    present: IndexMap<Arc<str>, u64>,
    /// Whether there are more than [`MAX_COLUMNS`] names, so that some are missing here.
    pub is_cut: bool,
}

impl Columns {
    /// In how many lines the column is.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.present.get(name).copied().unwrap_or(0)
    }

    /// Whether any row has the column, even if the filter left no such row.
    #[must_use]
    pub fn exists(&self, name: &str) -> bool {
        self.present.contains_key(name)
    }

    /// The names, in the order in which they were first seen.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.present.keys().map(|name| &**name)
    }

    fn see(&mut self, columns: &Map, is_wanted: bool) {
        for name in columns.keys() {
            if let Some(count) = self.present.get_mut(name) {
                *count += u64::from(is_wanted);
            } else if self.present.len() < MAX_COLUMNS {
                self.present.insert(name.clone(), u64::from(is_wanted));
            } else {
                self.is_cut = true;
            }
        }
    }
}

pub(crate) fn survey(mut lines: Lines<'_>, mut check: impl FnMut(&Line) -> Result<(), Problem>) -> Survey {
    let mut survey = Survey::default();
    while let Some(line) = lines.next_of_all() {
        match line {
            Ok((line, is_wanted)) => survey.see(&line, is_wanted, &mut check),
            Err(bad) => {
                survey.is_broken |= bad.is_fatal;
                survey.bad_rows += 1;
                survey.filter_failures += u64::from(bad.problem.code == Where::FAILED);
                keep(&mut survey.bad_row_problems, bad.problem);
            }
        }
    }
    (survey.unmatched_rows, survey.unmatched_run_lines) = (lines.unmatched_rows(), lines.unmatched_run_lines());
    survey.odd_answer = lines.odd_answer();
    let (files, problems) = lines.into_stamps();
    survey.is_broken |= !problems.is_empty();
    problems.into_iter().for_each(|problem| keep(&mut survey.bad_row_problems, problem));
    survey.hash = match files.as_slice() {
        [file] => file.hash.clone(),
        files => hash::sha256_of_parts(files.iter().map(|file| &file.hash)),
    };
    survey.files = files;
    survey
}

impl Survey {
    fn see(&mut self, line: &Line, is_wanted: bool, check: &mut impl FnMut(&Line) -> Result<(), Problem>) {
        self.columns.see(&line.row.columns, is_wanted);
        if let Some(run) = &line.run {
            self.run_inputs.see(&run.inputs, is_wanted);
            self.run_outputs.see(&run.outputs, is_wanted);
        }
        if !is_wanted {
            self.unwanted += 1;
            return;
        }
        self.lines += 1;
        if let Err(problem) = check(line) {
            self.refused += 1;
            keep(&mut self.refusals, problem);
        }
    }
}

fn keep(problems: &mut Vec<Problem>, problem: Problem) {
    if problems.len() < MAX_PROBLEMS {
        problems.push(problem);
    }
}

/// "there is `a`, `b` and 3 more".
pub(crate) fn listed(columns: &Columns) -> String {
    const SHOWN: usize = 20;
    let names: Vec<String> = columns.names().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match columns.present.len() {
        0 => "there are no columns at all".to_owned(),
        count if count > SHOWN => format!("there are {} and {} more", names.join(", "), count - SHOWN),
        _ => format!("there are: {}", names.join(", ")),
    }
}
