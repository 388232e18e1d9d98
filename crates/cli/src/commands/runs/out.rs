//! Standard output and files for what may be long, and sizes as people read them.

use std::fs::{self, File};
use std::io::{self, BufWriter, StdoutLock, Write};
use std::path::Path;

use crate::error::CliError;

/// Standard output, buffered. That its reader went away is remembered: it has what it wanted.
pub(super) struct Out {
    out: BufWriter<StdoutLock<'static>>,
    is_closed: bool,
}

/// Writes to standard output, piece by piece. A closed pipe ends it without a complaint.
pub(super) fn to_stdout(write: impl FnOnce(&mut Out) -> Result<(), CliError>) -> Result<(), CliError> {
    let mut out = Out { out: BufWriter::with_capacity(64 * 1024, io::stdout().lock()), is_closed: false };
    let done = write(&mut out).and_then(|()| out.flush().map_err(|error| unwritten(&error)));
    if out.is_closed { Ok(()) } else { done }
}

/// Writes a file beside its place, and puts it there when it is whole.
pub(super) fn to_file(
    file: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let failed = |error: &io::Error| {
        CliError::failed(format!("`{}` cannot be written", file.display())).cause(error.to_string())
    };
    let Some(name) = file.file_name() else {
        return Err(CliError::misused(format!("`{}` is no file's name", file.display())));
    };
    let part = file.with_file_name(format!("{}.part", name.to_string_lossy()));
    let mut out = BufWriter::new(File::create(&part).map_err(|error| failed(&error))?);
    let done = write(&mut out).and_then(|()| {
        let done = out.into_inner().map_err(io::IntoInnerError::into_error);
        done.and_then(|part| part.sync_all()).and_then(|()| fs::rename(&part, file)).map_err(|error| failed(&error))
    });
    if done.is_err() {
        let _ = fs::remove_file(&part);
    }
    done
}

/// That standard output cannot be written.
pub(super) fn unwritten(error: &io::Error) -> CliError {
    CliError::failed("stdout cannot be written").cause(error.to_string())
}

impl Out {
    /// Writes a line.
    pub(super) fn line(&mut self, text: &str) -> Result<(), CliError> {
        self.write_all(text.as_bytes()).and_then(|()| self.write_all(b"\n")).map_err(|error| unwritten(&error))
    }

    fn noted<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        self.is_closed |= done.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        done
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.out.write(bytes);
        self.noted(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.out.flush();
        self.noted(done)
    }
}

/// The items of a JSON array, each on a line of its own, written as they come.
pub(super) struct Items {
    count: u64,
}

impl Items {
    pub(super) fn begin(out: &mut Out) -> Result<Self, CliError> {
        out.write_all(b"[").map_err(|error| unwritten(&error))?;
        Ok(Self { count: 0 })
    }

    pub(super) fn item(&mut self, out: &mut Out, json: &str) -> Result<(), CliError> {
        let before: &[u8] = if self.count == 0 { b"\n  " } else { b",\n  " };
        self.count += 1;
        out.write_all(before).and_then(|()| out.write_all(json.as_bytes())).map_err(|error| unwritten(&error))
    }

    pub(super) fn end(self, out: &mut Out) -> Result<(), CliError> {
        out.line(if self.count == 0 { "]" } else { "\n]" })
    }
}

/// A size as people read it: `0 B`, `812 B`, `1.2 MB`.
pub(super) fn show_bytes(bytes: u64) -> String {
    let mut size = bytes as f64;
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    for unit in ["kB", "MB", "GB"] {
        size /= 1_000.0;
        if size < 999.95 {
            return format!("{size:.1} {unit}");
        }
    }
    format!("{:.1} TB", size / 1_000.0)
}

/// A text on one line and no longer than `most` characters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let flat = text.replace(['\n', '\t'], " ");
    match flat.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &flat[..end]),
        None => flat,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_say_them() {
        let shown = [0, 999, 1_000, 1_234_567, 999_999_999, 5_000_000_000_000].map(show_bytes);
        assert_eq!(shown, ["0 B", "999 B", "1.0 kB", "1.2 MB", "1.0 GB", "5.0 TB"]);
    }

    #[test]
    fn long_texts_are_cut_between_letters() {
        assert_eq!(shortened("a\nbé", 4), "a bé");
        assert_eq!(shortened("a\nbéc", 4), "a bé…");
    }
}
