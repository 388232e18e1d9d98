//! The bytes of a file, counted, hashed where that is wanted, and compared with what they were before.

use std::fmt::Write as _;
use std::fs::{File, Metadata};
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use super::Piece;
use super::excerpt::is_continuation;

/// Enough that a read costs little beside what is done with the bytes.
const CHUNK: usize = 128 * 1024;

/// What a file was when it was read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// The file, by the name it was given.
    pub name: Arc<str>,
    /// Its length, in bytes.
    pub length: u64,
    /// When it was changed last, where that is known.
    pub modified: Option<SystemTime>,
    /// SHA-256 of its bytes, in lower-case hex.
    pub hash: String,
}

/// A file, read from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Input {
    reader: BufReader<Tap>,
    opened: Metadata,
    line: u64,
    column: u64,
    max_row_bytes: usize,
}

/// Sees every byte that is read.
#[derive(Debug)]
struct Tap {
    file: File,
    hasher: Option<Sha256>,
    bytes: u64,
    /// How many bytes the file had when it was opened: what is appended later is not read.
    length: u64,
}

impl Input {
    pub(crate) fn open(path: &Path, is_hashed: bool, max_row_bytes: usize) -> io::Result<Self> {
        let file = File::open(path)?;
        let opened = file.metadata()?;
        let tap = Tap { file, hasher: is_hashed.then(Sha256::new), bytes: 0, length: opened.len() };
        Ok(Self { reader: BufReader::with_capacity(CHUNK, tap), opened, line: 1, column: 1, max_row_bytes })
    }

    /// Whether this is the file that was stamped, as far as length and time of change tell.
    pub(crate) fn is(&self, stamp: &FileStamp) -> bool {
        self.opened.len() == stamp.length && self.opened.modified().ok() == stamp.modified
    }

    /// Reads what is left and tells what the file is; `None` if it was changed meanwhile.
    pub(crate) fn finish(mut self, name: &Arc<str>) -> io::Result<Option<FileStamp>> {
        let is_hashed = self.reader.get_ref().hasher.is_some();
        if is_hashed {
            io::copy(&mut self.reader, &mut io::sink())?;
        }
        let tap = self.reader.get_mut();
        let now = tap.file.metadata()?;
        let is_same = now.len() == self.opened.len() && now.modified().ok() == self.opened.modified().ok();
        if !is_same || (is_hashed && tap.bytes != now.len()) {
            return Ok(None);
        }
        let digest = tap.hasher.take().map(|hasher| hasher.finalize()).unwrap_or_default();
        let hash = digest.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        Ok(Some(FileStamp { name: name.clone(), length: now.len(), modified: now.modified().ok(), hash }))
    }

    pub(crate) fn max_row_bytes(&self) -> usize {
        self.max_row_bytes
    }

    /// The line and the column, from 1, of the next byte.
    pub(super) fn place(&self) -> (u64, u64) {
        (self.line, self.column)
    }

    /// Bytes to look at; none at the end of the file.
    pub(super) fn chunk(&mut self) -> io::Result<&[u8]> {
        // The borrow of a chunk cannot be returned from within the loop that retries.
        while let Err(error) = self.reader.fill_buf() {
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        Ok(self.reader.buffer())
    }

    /// Goes over `count` bytes of the chunk.
    pub(super) fn consume(&mut self, count: usize) {
        let buffer = self.reader.buffer();
        let gone = &buffer[..count.min(buffer.len())];
        let in_line = match gone.iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => {
                self.line += gone.iter().filter(|byte| **byte == b'\n').count() as u64;
                self.column = 1;
                &gone[newline + 1..]
            }
            None => gone,
        };
        self.column += in_line.iter().filter(|byte| !is_continuation(**byte)).count() as u64;
        self.reader.consume(count);
    }

    /// Goes over a byte-order mark; the error is the name of an encoding that is not UTF-8.
    pub(super) fn skip_byte_order_mark(&mut self) -> io::Result<Result<(), &'static str>> {
        let (is_utf8, encoding) = match self.chunk()? {
            [0xef, 0xbb, 0xbf, ..] => (true, None),
            [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => (false, Some("UTF-32")),
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => (false, Some("UTF-16")),
            _ => (false, None),
        };
        if is_utf8 {
            self.reader.consume(3);
        }
        Ok(encoding.map_or(Ok(()), Err))
    }

    /// Goes over blanks and line ends; gives the byte that follows, `None` at the end.
    pub(super) fn skip_blanks(&mut self) -> io::Result<Option<u8>> {
        loop {
            let chunk = self.chunk()?;
            let length = chunk.len();
            let found = chunk.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
            let next = found.and_then(|at| chunk.get(at)).copied();
            self.consume(found.unwrap_or(length));
            if next.is_some() || length == 0 {
                return Ok(next);
            }
        }
    }

    /// Ends the line whose `\r` was just taken, and takes the `\n` that may follow it.
    pub(super) fn end_line_after_return(&mut self) -> io::Result<()> {
        if self.chunk()?.first() == Some(&b'\n') {
            self.consume(1);
        } else {
            (self.line, self.column) = (self.line + 1, 1);
        }
        Ok(())
    }

    /// The next line that is not blank, without its end.
    pub(super) fn line(&mut self, piece: &mut Vec<u8>) -> io::Result<Piece> {
        loop {
            piece.clear();
            let (line, column) = self.place();
            let at_most = self.max_row_bytes as u64 + 1;
            let read = self.reader.by_ref().take(at_most).read_until(b'\n', piece)?;
            if read == 0 {
                return Ok(Piece::End);
            }
            let is_whole = piece.ends_with(b"\n") || read as u64 <= self.max_row_bytes as u64;
            if !is_whole {
                self.reader.skip_until(b'\n')?;
                shorten(piece);
            }
            (self.line, self.column) = (line + 1, 1);
            piece.truncate(piece.trim_ascii_end().len());
            if !piece.is_empty() {
                return Ok(Piece::Found { line, column, is_whole, is_last: false });
            }
        }
    }
}

/// Keeps of a row that is too long what an excerpt shows.
pub(super) fn shorten(piece: &mut Vec<u8>) {
    piece.truncate(1024);
    piece.shrink_to(1024);
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length - self.bytes).unwrap_or(usize::MAX);
        let at_most = buffer.len().min(left);
        let count = self.file.read(&mut buffer[..at_most])?;
        self.bytes += count as u64;
        if let (Some(hasher), Some(bytes)) = (&mut self.hasher, buffer.get(..count)) {
            hasher.update(bytes);
        }
        Ok(count)
    }
}
