//! The rows of all files, one after the other.

use std::sync::Arc;

use sluicegate_source::Problem;

use crate::read::{Fault, FileRows, FileStamp, Input, unreadable};
use crate::row::{BadRow, Row, RowPlace};
use crate::source::DataFile;

/// The rows of a data set, in the order of its files. Holds one row at a time.
///
/// After a row that cannot be read it goes on with the next; after one whose file is lost too
/// ([`BadRow::is_fatal`]), with the next file.
#[derive(Debug)]
pub struct Rows {
    files: Arc<[DataFile]>,
    stamps: Option<Arc<[FileStamp]>>,
    max_row_bytes: usize,
    next_file: usize,
    current: Option<FileRows>,
    number: u64,
    made: Option<Vec<FileStamp>>,
    is_over: bool,
}

impl Rows {
    /// Reads the files; those that are stamped must still be what they were.
    pub(crate) fn new(files: Arc<[DataFile]>, stamps: Option<Arc<[FileStamp]>>, max_row_bytes: usize) -> Self {
        Self { files, stamps, max_row_bytes, next_file: 0, current: None, number: 0, made: None, is_over: false }
    }

    /// Stamps each file on the way.
    pub(crate) fn stamping(self) -> Self {
        Self { made: Some(Vec::new()), ..self }
    }

    /// Reads to the end whatever is left, without looking at rows, and gives the stamps of all files.
    pub(crate) fn into_stamps(mut self) -> (Vec<FileStamp>, Vec<Problem>) {
        let mut problems = Vec::new();
        while !self.is_over {
            let step = match self.current.take() {
                Some(current) => self.finish(current.into_input()),
                None => match self.files.get(self.next_file).map(|file| file.path.clone()) {
                    None => break,
                    Some(path) => {
                        self.next_file += 1;
                        match Input::open(&path, true, self.max_row_bytes) {
                            Ok(input) => self.finish(input),
                            Err(error) => Err(unreadable(&self.name(), &error)),
                        }
                    }
                },
            };
            problems.extend(step.err().map(|fault| fault.problem));
        }
        (self.made.unwrap_or_default(), problems)
    }

    fn step(&mut self) -> Option<Result<Row, Fault>> {
        loop {
            if let Some(current) = &mut self.current {
                match current.next() {
                    Some(Ok((columns, line))) => {
                        let place = Some(RowPlace { file: self.name(), line });
                        return Some(Ok(Row { number: self.number, columns, place }));
                    }
                    Some(Err(fault)) => return Some(Err(fault)),
                    None => {}
                }
            }
            if let Some(current) = self.current.take()
                && let Err(fault) = self.finish(current.into_input())
            {
                return Some(Err(fault));
            }
            let file = self.files.get(self.next_file).filter(|_| !self.is_over)?.clone();
            self.next_file += 1;
            match self.open(&file) {
                Ok(rows) => self.current = Some(rows),
                Err(fault) => return Some(Err(fault)),
            }
        }
    }

    fn open(&mut self, file: &DataFile) -> Result<FileRows, Fault> {
        let input = Input::open(&file.path, self.made.is_some(), self.max_row_bytes)
            .map_err(|error| unreadable(&file.name, &error))?;
        if self.stamp().is_some_and(|stamp| !input.is(stamp)) {
            return Err(self.changed("since it was checked"));
        }
        FileRows::open(file, input)
    }

    /// Sees at the end of a file that it is what it was at its beginning.
    fn finish(&mut self, input: Input) -> Result<(), Fault> {
        let name = self.name();
        match input.finish(&name).map_err(|error| unreadable(&name, &error))? {
            Some(stamp) => {
                self.made.iter_mut().for_each(|made| made.push(stamp.clone()));
                Ok(())
            }
            None => Err(self.changed("while it was read")),
        }
    }

    /// Rows of a changed file may be other rows than those that were checked: nothing more is read.
    fn changed(&mut self, when: &str) -> Fault {
        self.is_over = true;
        let problem = Problem::error("data::changed", format!("`{}` has changed {when}", self.name()));
        Fault { problem: problem.help("start again when nothing writes to it"), is_fatal: true }
    }

    /// The name of the file that was opened last.
    fn name(&self) -> Arc<str> {
        let file = self.next_file.checked_sub(1).and_then(|index| self.files.get(index));
        file.map_or_else(|| Arc::from(""), |file| file.name.clone())
    }

    fn stamp(&self) -> Option<&FileStamp> {
        self.stamps.as_ref()?.get(self.next_file.checked_sub(1)?)
    }
}

impl Iterator for Rows {
    type Item = Result<Row, BadRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.step()?;
        let number = self.number;
        self.number += 1;
        Some(row.map_err(|fault| BadRow { number, problem: fault.problem, is_fatal: fault.is_fatal }))
    }
}
