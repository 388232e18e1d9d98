//! One file becomes rows: bytes are cut where a row ends (`lines`, `items`, `delimited`), then each piece is read.

mod delimited;
mod excerpt;
mod input;
mod items;

use std::io;
use std::sync::Arc;

use sluicegate_source::Problem;
use sluicegate_value::{Map, Value, json};

use crate::source::{DataFile, Format};
use delimited::Delimited;
pub(crate) use excerpt::Raw;
pub use input::FileStamp;
pub(crate) use input::Input;
use items::Items;

/// Where a piece begins, or why there is none.
pub(crate) enum Piece {
    /// The piece is in the buffer; it begins on this line and column of the text, from 1. If `is_whole` is not true,
    /// only its beginning is kept; if `is_last` is, nobody knows where the next one begins.
    Found { line: u64, column: u64, is_whole: bool, is_last: bool },
    /// The file is not what it should be, from this place on.
    Broken { line: u64, column: u64, message: &'static str, help: &'static str },
    /// There is no more.
    End,
}

/// Why there is no row.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) problem: Problem,
    /// Whether the rest of the file is lost too.
    pub(crate) is_fatal: bool,
}

/// The rows of one file.
#[derive(Debug)]
pub(crate) struct FileRows {
    name: Arc<str>,
    input: Input,
    kind: Kind,
    piece: Vec<u8>,
    is_done: bool,
}

#[derive(Debug)]
enum Kind {
    Lines,
    Items(Items),
    Delimited(Delimited),
}

/// A piece whose buffer grew beyond this gives it back, so that one huge row does not stay in memory.
const KEPT_BUFFER: usize = 1 << 20;

impl FileRows {
    pub(crate) fn open(file: &DataFile, mut input: Input) -> Result<Self, Fault> {
        let name = &file.name;
        let unreadable = |error: io::Error| unreadable(name, &error);
        input.skip_byte_order_mark().map_err(unreadable)?.map_err(|encoding| Fault {
            problem: Raw { bytes: &[], line: 1, column: 1 }.mark(
                Problem::error("data::encoding", format!("`{name}` is {encoding} text"))
                    .help("save it as UTF-8: `iconv -f UTF-16 -t UTF-8`, or \"CSV UTF-8\" in a spreadsheet"),
                name,
                0,
                0,
            ),
            is_fatal: true,
        })?;
        let kind = match file.format {
            Format::Csv => Kind::Delimited(Delimited::new(b',')),
            Format::Tsv => Kind::Delimited(Delimited::new(b'\t')),
            format @ (Format::JsonLines | Format::Json | Format::Detect) => {
                match (input.skip_blanks().map_err(unreadable)?, format) {
                    (Some(b'['), _) => Kind::Items(Items::list()),
                    (_, Format::Json) => Kind::Items(Items::stream()),
                    (Some(byte), Format::Detect) if byte != b'{' => {
                        let problem = Problem::error("data::unknown_format", format!("`{name}` is no JSON"))
                            .help("only JSON is told by its text: put CSV or TSV into a file of that name");
                        return Err(Fault { problem, is_fatal: true });
                    }
                    _ => Kind::Lines,
                }
            }
        };
        Ok(Self { name: name.clone(), input, kind, piece: Vec::new(), is_done: false })
    }

    /// The next row and the line of the text on which it begins.
    pub(crate) fn next(&mut self) -> Option<Result<(Map, u64), Fault>> {
        while !self.is_done {
            self.piece.clear();
            self.piece.shrink_to(KEPT_BUFFER);
            let found = self.piece();
            if !matches!(&found, Ok(None)) {
                self.is_done |= found.as_ref().is_err_and(|fault| fault.is_fatal);
                return found.transpose();
            }
        }
        None
    }

    /// Ends the reading; gives the input back, to see whether it is still the same file.
    pub(crate) fn into_input(self) -> Input {
        self.input
    }

    /// A row, or nothing if the piece was the header or the file ended.
    fn piece(&mut self) -> Result<Option<(Map, u64)>, Fault> {
        let found = match &mut self.kind {
            Kind::Lines => self.input.line(&mut self.piece),
            Kind::Items(items) => items.next(&mut self.input, &mut self.piece),
            Kind::Delimited(delimited) => delimited.next(&mut self.input, &mut self.piece),
        };
        match found.map_err(|error| unreadable(&self.name, &error))? {
            Piece::End => {
                self.is_done = true;
                Ok(None)
            }
            Piece::Broken { line, column, message, help } => Err(Fault {
                problem: Raw { bytes: &self.piece, line, column }.mark(
                    Problem::error("data::json", message).help(help),
                    &self.name,
                    0,
                    0,
                ),
                is_fatal: true,
            }),
            Piece::Found { line, column, is_whole, is_last } => {
                let raw = Raw { bytes: &self.piece, line, column };
                let row = if is_whole {
                    read(&mut self.kind, &raw, &self.name)
                } else {
                    Err(raw.too_long(self.input.max_row_bytes(), &self.name))
                };
                let row = row.map_err(|fault| Fault { is_fatal: fault.is_fatal || is_last, ..fault })?;
                Ok(row.map(|columns| (columns, line)))
            }
        }
    }
}

/// The row that a piece is; nothing if it is the header.
fn read(kind: &mut Kind, raw: &Raw<'_>, name: &Arc<str>) -> Result<Option<Map>, Fault> {
    let text = raw.text(name)?;
    match kind {
        Kind::Delimited(delimited) => delimited.read(raw, text, name),
        Kind::Lines => object(raw, text, name, ONE_LINE).map(Some),
        Kind::Items(_) => object(raw, text, name, CUT_OFF).map(Some),
    }
}

const ONE_LINE: &str = "every row stands on one line of its own; objects over several lines go into a .json file";
const CUT_OFF: &str = "the file ends within this object: it may have been cut off";

/// `when_cut` is what one can do if the text ends too soon.
fn object(raw: &Raw<'_>, text: &str, name: &Arc<str>, when_cut: &str) -> Result<Map, Fault> {
    let fault = |problem, offset, length| Fault { problem: raw.mark(problem, name, offset, length), is_fatal: false };
    match json::read(text) {
        Ok(Value::Map(map)) => Ok(Arc::try_unwrap(map).unwrap_or_else(|shared| (*shared).clone())),
        Ok(other) => {
            let message = format!("a row must be an object of columns, and this is {}", described(&other));
            let problem = Problem::error("data::not_an_object", message);
            Err(fault(problem.help("write it as `{\"column\": value}`"), 0, text.len()))
        }
        Err(error) => {
            let problem = Problem::error("data::json", format!("a row is not JSON: {}", error.message));
            let is_cut = error.offset >= text.trim_end().len();
            let problem = if is_cut { problem.help(when_cut) } else { problem };
            Err(fault(problem, error.offset, 1))
        }
    }
}

fn described(value: &Value) -> &'static str {
    match value {
        Value::Null => "`null`",
        Value::Bool(_) => "a boolean",
        Value::Str(_) => "text",
        Value::List(_) => "a list",
        _ => "a number",
    }
}

pub(crate) fn unreadable(name: &Arc<str>, error: &io::Error) -> Fault {
    Fault { problem: Problem::error("data::unreadable", format!("`{name}` cannot be read: {error}")), is_fatal: true }
}
