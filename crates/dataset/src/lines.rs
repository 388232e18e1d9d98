//! The lines of a batch: rows, joined with the lines of an earlier run.

use std::cmp::Ordering;
use std::sync::Arc;

use sluicegate_source::Problem;
use sluicegate_value::{Map, Value};

use crate::filter::Where;
use crate::read::FileStamp;
use crate::row::{BadRow, Row};
use crate::rows::Rows;

/// A line of an earlier run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunRow {
    /// Its number in that run.
    pub line_number: u64,
    /// What it was given.
    pub inputs: Map,
    /// What it gave.
    pub outputs: Map,
}

/// The lines of an earlier run, by their numbers from the lowest to the highest; a problem if they cannot be read.
pub type RunRows<'a> = Box<dyn Iterator<Item = Result<RunRow, Problem>> + Send + 'a>;

/// What runs as one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its number: the row's; in a join the number by which row and run were matched.
    pub number: u64,
    /// The row; without columns if there are no data but those of the run.
    pub row: Row,
    /// The line of the earlier run, if there is one.
    pub run: Option<RunRow>,
}

/// The lines of a [`Dataset`](crate::Dataset), from the lowest number to the highest.
///
/// Data and an earlier run are joined by line number. A row's number is its own column `line_number` if the first row
/// that can be read has such a column with a number (then all rows must, in ascending order), else its position from
/// 0. Rows and run lines without a partner are dropped and counted. A bad row is never dropped; if rows have numbers
/// of their own (or no row before it tells), nobody knows which line a bad one is, and it is fatal.
pub struct Lines<'a> {
    rows: Option<Rows>,
    run: Option<RunSide<'a>>,
    numbers: Numbers,
    filter: Option<Arc<Where>>,
    left: Option<u64>,
    unmatched_rows: u64,
    odd_answer: Option<Problem>,
}

/// How rows are numbered in a join.
#[derive(Clone, Copy, Debug)]
enum Numbers {
    NotKnown,
    Position,
    Own { last: u64 },
}

struct RunSide<'a> {
    rows: RunRows<'a>,
    next: Option<RunRow>,
    last: Option<u64>,
    unmatched: u64,
    is_over: bool,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(
        rows: Option<Rows>,
        run: Option<RunRows<'a>>,
        filter: Option<Arc<Where>>,
        limit: Option<u64>,
    ) -> Self {
        let run = run.map(|rows| RunSide { rows, next: None, last: None, unmatched: 0, is_over: false });
        Self { rows, run, numbers: Numbers::NotKnown, filter, left: limit, unmatched_rows: 0, odd_answer: None }
    }

    /// How many rows had no line of the run, as far as was read.
    #[must_use]
    pub fn unmatched_rows(&self) -> u64 {
        self.unmatched_rows
    }

    /// How many lines of the run had no row, as far as was read.
    #[must_use]
    pub fn unmatched_run_lines(&self) -> u64 {
        self.run.as_ref().map_or(0, |run| run.unmatched)
    }

    /// The first line for which the filter holds without being true, as far as was read.
    pub(crate) fn odd_answer(&mut self) -> Option<Problem> {
        self.odd_answer.take()
    }

    /// The next line, and whether it is wanted.
    pub(crate) fn next_of_all(&mut self) -> Option<Result<(Line, bool), BadRow>> {
        if self.left == Some(0) {
            return None;
        }
        let line = self.joined()?.and_then(|line| {
            let Some(filter) = &self.filter else { return Ok((line, true)) };
            match filter.answer(&line) {
                Ok(answer) => {
                    if self.odd_answer.is_none() {
                        self.odd_answer = answer.odd;
                    }
                    Ok((line, answer.holds))
                }
                Err(problem) => Err(BadRow { number: line.number, problem, is_fatal: false }),
            }
        });
        let counts = line.as_ref().map_or(true, |(_, is_wanted)| *is_wanted);
        self.left = self.left.map(|left| left - u64::from(counts));
        Some(line)
    }

    pub(crate) fn into_stamps(self) -> (Vec<FileStamp>, Vec<Problem>) {
        self.rows.map(Rows::into_stamps).unwrap_or_default()
    }

    fn joined(&mut self) -> Option<Result<Line, BadRow>> {
        let (rows, run) = match (&mut self.rows, &mut self.run) {
            (Some(rows), Some(run)) => (rows, run),
            (Some(rows), None) => {
                return Some(rows.next()?.map(|row| Line { number: row.number, row, run: None }));
            }
            (None, Some(run)) => {
                return Some(run.next()?.map(|run| {
                    let row = Row { number: run.line_number, columns: Map::new(), place: None };
                    Line { number: run.line_number, row, run: Some(run) }
                }));
            }
            (None, None) => return None,
        };
        loop {
            let Some(row) = rows.next() else {
                // What is left of the run has no row.
                loop {
                    match run.next()? {
                        Ok(_) => run.unmatched += 1,
                        Err(bad) => return Some(Err(bad)),
                    }
                }
            };
            let (row, number) = match row.and_then(|row| self.numbers.of(row)) {
                Ok(numbered) => numbered,
                Err(mut bad) => {
                    bad.is_fatal |= !matches!(self.numbers, Numbers::Position);
                    // Its partner, if it has one, is not without a row.
                    return Some(Err(match run.at(bad.number) {
                        Ok(_) => bad,
                        Err(worse) => worse,
                    }));
                }
            };
            match run.at(number) {
                Ok(Some(run)) => return Some(Ok(Line { number, row, run: Some(run) })),
                Ok(None) => self.unmatched_rows += 1,
                Err(bad) => return Some(Err(bad)),
            }
        }
    }
}

impl Iterator for Lines<'_> {
    type Item = Result<Line, BadRow>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_of_all()? {
                Ok((_, false)) => {}
                Ok((line, true)) => return Some(Ok(line)),
                Err(bad) => return Some(Err(bad)),
            }
        }
    }
}

impl Numbers {
    /// The number of a row in the join.
    fn of(&mut self, row: Row) -> Result<(Row, u64), BadRow> {
        let own = row.columns.get("line_number").and_then(Value::as_int).and_then(|own| u64::try_from(own).ok());
        let (first, last) = match (*self, own) {
            (Self::NotKnown, Some(_)) => (true, 0),
            (Self::Own { last }, _) => (false, last),
            (Self::NotKnown | Self::Position, _) => {
                *self = Self::Position;
                let number = row.number;
                return Ok((row, number));
            }
        };
        let problem = match own {
            Some(own) if first || own > last => {
                *self = Self::Own { last: own };
                return Ok((row, own));
            }
            Some(own) => row
                .problem("data::line_order", format!("`line_number` {own} comes after {last}"))
                .help("to be joined with a run, rows are sorted by `line_number`, and each has its own"),
            None => row
                .problem("data::line_number", "this row has no `line_number`, and the first one has")
                .help("to be joined with a run, all rows have a `line_number`, or none"),
        };
        Err(BadRow { number: row.number, problem, is_fatal: true })
    }
}

impl RunSide<'_> {
    /// The next line, in order.
    fn next(&mut self) -> Option<Result<RunRow, BadRow>> {
        if let Some(next) = self.next.take() {
            return Some(Ok(next));
        }
        if self.is_over {
            return None;
        }
        let failed = |number, problem| Some(Err(BadRow { number, problem, is_fatal: true }));
        match self.rows.next() {
            None => {
                self.is_over = true;
                None
            }
            Some(Err(problem)) => {
                self.is_over = true;
                failed(self.last.map_or(0, |last| last + 1), problem)
            }
            Some(Ok(row)) if self.last.is_some_and(|last| row.line_number <= last) => {
                self.is_over = true;
                let message = format!("line {} of the earlier run comes twice or late", row.line_number);
                failed(row.line_number, Problem::error("data::run_order", message))
            }
            Some(Ok(row)) => {
                self.last = Some(row.line_number);
                Some(Ok(row))
            }
        }
    }

    /// The line of this number, if the run has it; those before it have no row.
    fn at(&mut self, number: u64) -> Result<Option<RunRow>, BadRow> {
        while let Some(row) = self.next().transpose()? {
            match row.line_number.cmp(&number) {
                Ordering::Equal => return Ok(Some(row)),
                Ordering::Less => self.unmatched += 1,
                Ordering::Greater => {
                    self.next = Some(row);
                    break;
                }
            }
        }
        Ok(None)
    }
}
