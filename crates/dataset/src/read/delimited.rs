//! CSV and TSV: cells between commas or tabs, quoted if need be, over several lines if quoted.
//!
//! Our own, since a row that is wrong must be told with its line and column, a quote that is never closed with the
//! place where it opens, and a cell's beginning is what libraries forget.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use sluicegate_source::Problem;
use sluicegate_value::{Map, Value};

use super::input::{Input, shorten};
use super::{Fault, Piece, Raw};

/// The rows of a file whose first row names the columns.
#[derive(Debug)]
pub(super) struct Delimited {
    delimiter: u8,
    header: Option<Vec<Arc<str>>>,
}

/// Where the next byte stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    CellStart,
    Bare,
    Quoted,
    /// After a quote in a quoted cell: it ends the cell, or is the first of two.
    Quote,
}

/// Why a row's cells cannot be told apart, and at which byte.
struct CellError {
    offset: usize,
    message: &'static str,
    help: &'static str,
}

impl Delimited {
    pub(super) fn new(delimiter: u8) -> Self {
        Self { delimiter, header: None }
    }

    /// Cuts the next row that is not blank; a line end inside quotes belongs to it.
    pub(super) fn next(&self, input: &mut Input, piece: &mut Vec<u8>) -> io::Result<Piece> {
        loop {
            piece.clear();
            let (line, column) = input.place();
            let max = input.max_row_bytes();
            let (mut state, mut is_whole, mut is_over) = (State::CellStart, true, false);
            let mut read = 0;
            while !is_over {
                let chunk = input.chunk()?;
                if chunk.is_empty() {
                    break;
                }
                let end = chunk.iter().position(|byte| {
                    let is_end = matches!(byte, b'\n' | b'\r') && state != State::Quoted;
                    if !is_end {
                        state = state.after(*byte, self.delimiter);
                    }
                    is_end
                });
                let used = end.unwrap_or(chunk.len());
                let is_return = end.is_some_and(|at| chunk.get(at) == Some(&b'\r'));
                if is_whole && piece.len() + used <= max {
                    piece.extend_from_slice(&chunk[..used]);
                } else if is_whole {
                    piece.extend_from_slice(&chunk[..used.min(1024)]);
                    is_whole = false;
                    shorten(piece);
                }
                is_over = end.is_some();
                read += used + usize::from(is_over);
                input.consume(used + usize::from(is_over));
                if is_return {
                    input.end_line_after_return()?;
                }
            }
            if read == 0 {
                return Ok(Piece::End);
            }
            if !piece.iter().all(|byte| matches!(byte, b' ' | b'\t') && *byte != self.delimiter) {
                // Rows that follow a quote that is never closed were taken for the cell's text.
                let is_last = state == State::Quoted;
                return Ok(Piece::Found { line, column, is_whole, is_last });
            }
        }
    }

    /// Reads a row; the first one is the header, and gives nothing.
    pub(super) fn read(&mut self, raw: &Raw<'_>, text: &str, name: &Arc<str>) -> Result<Option<Map>, Fault> {
        let fault = |problem, offset, is_fatal| Fault { problem: raw.mark(problem, name, offset, 1), is_fatal };
        let broken = |error: CellError, is_fatal| {
            fault(Problem::error("data::csv", error.message).help(error.help), error.offset, is_fatal)
        };
        let Some(header) = &self.header else {
            // Without a header no row can be read.
            let header = self.header(raw, text, name, |error| broken(error, true))?;
            self.header = Some(header);
            return Ok(None);
        };
        let mut entries: Vec<(Arc<str>, Value)> = Vec::with_capacity(header.len());
        let (mut count, mut surplus) = (0, None);
        cells(text, self.delimiter, |offset, cell| {
            match header.get(count) {
                Some(column) => entries.push((column.clone(), Value::from(&*cell))),
                None => surplus = surplus.or(Some(offset)),
            }
            count += 1;
        })
        .map_err(|error| broken(error, false))?;
        if count == header.len() {
            return Ok(Some(entries.into_iter().collect()));
        }
        let message = format!("this row has {}, and the header has {}", cells_of(count), header.len());
        let help = match (surplus, header.get(count)) {
            (Some(_), _) => "put a cell that holds the separator between double quotes".to_owned(),
            (None, Some(first)) => format!("the first column without a cell is `{first}`"),
            (None, None) => String::new(),
        };
        let problem = Problem::error("data::cell_count", message).help(help);
        Err(fault(problem, surplus.unwrap_or(text.len()), false))
    }

    fn header(
        &self,
        raw: &Raw<'_>,
        text: &str,
        name: &Arc<str>,
        broken: impl Fn(CellError) -> Fault,
    ) -> Result<Vec<Arc<str>>, Fault> {
        if let Some(problem) = self.other_delimiter(text) {
            return Err(Fault { problem: raw.mark(problem, name, 0, text.len()), is_fatal: true });
        }
        let mut header: Vec<Arc<str>> = Vec::new();
        let mut wrong: Vec<(usize, String)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        cells(text, self.delimiter, |offset, cell| {
            let number = header.len() + 1;
            if cell.trim().is_empty() {
                wrong.push((offset, format!("column {number} has no name")));
            } else if !seen.insert(cell.to_string()) {
                wrong.push((offset, format!("column {number} is named `{cell}` as one before it")));
            }
            header.push(cell.into());
        })
        .map_err(broken)?;
        let Some((first, _)) = wrong.first() else { return Ok(header) };
        let all: Vec<&str> = wrong.iter().take(10).map(|(_, message)| message.as_str()).collect();
        let problem = Problem::error("data::header", format!("in the header, {}", all.join(", ")))
            .help("every column needs a name of its own (pandas: `to_csv(…, index=False)` leaves out the row numbers)");
        Err(Fault { problem: raw.mark(problem, name, *first, 1), is_fatal: true })
    }

    /// A header of one cell in which other programs would see several.
    fn other_delimiter(&self, text: &str) -> Option<Problem> {
        const OTHERS: [(u8, &str, &str); 3] = [
            (b';', "semicolons", "save it with commas, or with tabs as .tsv"),
            (b'\t', "tabs", "name it .tsv"),
            (b',', "commas", "name it .csv"),
        ];
        if has_several(text, self.delimiter) {
            return None;
        }
        let (_, what, help) = OTHERS.iter().find(|(byte, ..)| *byte != self.delimiter && has_several(text, *byte))?;
        let wanted = if self.delimiter == b',' { "commas" } else { "tabs" };
        let message = format!("between the names of the columns stand {what}, not {wanted}");
        Some(Problem::error("data::delimiter", message).help(*help))
    }
}

/// Whether a row has more than one cell if this byte stands between cells.
fn has_several(text: &str, delimiter: u8) -> bool {
    let mut state = State::CellStart;
    text.bytes().any(|byte| {
        let is_between = byte == delimiter && state != State::Quoted;
        state = state.after(byte, delimiter);
        is_between
    })
}

impl State {
    fn after(self, byte: u8, delimiter: u8) -> Self {
        match (self, byte) {
            (Self::CellStart, b'"') | (Self::Quote, b'"') => Self::Quoted,
            (Self::Quoted, b'"') => Self::Quote,
            (Self::Quoted, _) => Self::Quoted,
            _ if byte == delimiter => Self::CellStart,
            _ => Self::Bare,
        }
    }
}

/// Gives each cell and the byte at which it begins. Tells cells apart as [`State`] does.
fn cells<'a>(text: &'a str, delimiter: u8, mut each: impl FnMut(usize, Cow<'a, str>)) -> Result<(), CellError> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let start = at;
        if bytes.get(at) == Some(&b'"') {
            let cell = quoted(text, &mut at)?;
            if bytes.get(at).is_some_and(|byte| *byte != delimiter) {
                return Err(CellError {
                    offset: at,
                    message: "there is text after the closing quote of a cell",
                    help: "inside a quoted cell, write a double quote twice: `\"\"`",
                });
            }
            each(start, cell);
        } else {
            let length = bytes[at..].iter().position(|byte| *byte == delimiter).unwrap_or(bytes.len() - at);
            at += length;
            each(start, Cow::Borrowed(&text[start..at]));
        }
        if at >= bytes.len() {
            return Ok(());
        }
        at += 1;
    }
}

/// A cell in quotes that begin at `at`, which moves behind them.
fn quoted<'a>(text: &'a str, at: &mut usize) -> Result<Cow<'a, str>, CellError> {
    let start = *at;
    let mut from = start + 1;
    let mut cell = Cow::Borrowed("");
    loop {
        let Some(length) = text[from..].find('"') else {
            return Err(CellError {
                offset: start,
                message: "a cell is quoted here, and the quote is never closed",
                help: "close it; inside a quoted cell, write a double quote twice: `\"\"`",
            });
        };
        let part = &text[from..from + length];
        if cell.is_empty() {
            cell = Cow::Borrowed(part)
        } else {
            cell.to_mut().push_str(part)
        }
        *at = from + length + 1;
        if text.as_bytes().get(*at) != Some(&b'"') {
            return Ok(cell);
        }
        cell.to_mut().push('"');
        from = *at + 1;
    }
}

fn cells_of(count: usize) -> String {
    format!("{count} cell{}", if count == 1 { "" } else { "s" })
}
