//! What a batch runs over.

use std::sync::Arc;

use sluicegate_source::Problem;

use crate::Line;
use crate::filter::Where;
use crate::lines::{Lines, RunRows};
use crate::read::FileStamp;
use crate::rows::Rows;
use crate::source::{DataFile, Source};
use crate::survey::{self, Survey};

/// A row that is longer is no row but a missing line end: it is reported, and not held in memory.
const MAX_ROW_BYTES: usize = 256 << 20;

/// Files of rows, and which of the rows are wanted. Cheap to clone; nothing stays open.
#[derive(Clone, Debug)]
pub struct Dataset {
    files: Arc<[DataFile]>,
    /// Whether there are data at all: without, the lines are those of an earlier run.
    has_data: bool,
    stamps: Option<Arc<[FileStamp]>>,
    filter: Option<Arc<Where>>,
    limit: Option<u64>,
    max_row_bytes: usize,
}

impl Dataset {
    /// Finds the files. What is in them is not read yet.
    ///
    /// # Errors
    /// Every source that is missing, is no file or folder, or whose format is not known.
    pub fn open(sources: &[Source]) -> Result<Self, Vec<Problem>> {
        let (mut files, mut problems) = (Vec::new(), Vec::new());
        sources.iter().for_each(|source| source.find(&mut files, &mut problems));
        if problems.is_empty() { Ok(Self::of(files, true)) } else { Err(problems) }
    }

    /// No data: the lines are those of an earlier run alone.
    #[must_use]
    pub fn of_run_only() -> Self {
        Self::of(Vec::new(), false)
    }

    fn of(files: Vec<DataFile>, has_data: bool) -> Self {
        let files = files.into();
        Self { files, has_data, stamps: None, filter: None, limit: None, max_row_bytes: MAX_ROW_BYTES }
    }

    /// Only the lines for which an expression holds.
    #[must_use]
    pub fn with_filter(self, filter: Where) -> Self {
        Self { filter: Some(Arc::new(filter)), ..self }
    }

    /// Only the first `limit` lines of those that the filter leaves; one that cannot be read counts.
    #[must_use]
    pub fn with_limit(self, limit: u64) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// A row of more bytes is a bad row (256 MiB if nothing is said).
    #[must_use]
    pub fn with_max_row_bytes(self, max_row_bytes: usize) -> Self {
        Self { max_row_bytes, ..self }
    }

    /// Binds every later pass to what was surveyed: a file of another length or time of change ends it with a fatal
    /// bad row, `data::changed`.
    #[must_use]
    pub fn as_surveyed(self, survey: &Survey) -> Self {
        Self { stamps: Some(survey.files.clone().into()), ..self }
    }

    /// The names of the files, in order.
    pub fn file_names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| &*file.name)
    }

    /// All rows of all files, without filter and limit.
    #[must_use]
    pub fn rows(&self) -> Rows {
        Rows::new(self.files.clone(), self.stamps.clone(), self.max_row_bytes)
    }

    /// The lines to run: rows, joined with the lines of an earlier run if there is one, filtered and limited.
    #[must_use]
    pub fn lines<'a>(&self, run: Option<RunRows<'a>>) -> Lines<'a> {
        self.lines_of(self.rows(), run)
    }

    /// Reads everything once: what is wrong, which columns there are, what the files are.
    ///
    /// `check` sees every line that would run and may refuse it; what it says is counted and the first are kept.
    pub fn survey(&self, run: Option<RunRows<'_>>, check: impl FnMut(&Line) -> Result<(), Problem>) -> Survey {
        survey::survey(self.lines_of(self.rows().stamping(), run), check)
    }

    fn lines_of<'a>(&self, rows: Rows, run: Option<RunRows<'a>>) -> Lines<'a> {
        Lines::new(self.has_data.then_some(rows), run, self.filter.clone(), self.limit)
    }
}
