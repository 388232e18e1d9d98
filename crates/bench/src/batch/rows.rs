//! The rows of the benchmarks, and the prompt that both sides make of them.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use crate::failure::Failure;
use crate::mock::reply::mark_of;

/// Short texts, as people's first data sets have them.
const TEXTS: [&str; 4] = [
    "The software engineer is working on a new update for the application.",
    "Ilse Vandamme, head librarian in Ghent, asked the school nurse to open the reading week.",
    "After twelve years as a crane operator, Tomasz Lis retrained as a history teacher and never looked back.",
    "Nobody at the harbour remembered who had ordered the second crane.",
];

/// What the model is told; the flow's template says the same.
pub(crate) const SYSTEM: &str = "You extract entities from text. You are given a type of entity and a text. Answer with the \
                                 entities of that type as they stand in the text, separated by commas, and with nothing \
                                 else. If the text has none, answer with nothing.";

/// The system message and the user's, as the flow's template gives them.
pub(crate) fn prompt_of(entity_type: &str, text: &str) -> (&'static str, String) {
    (SYSTEM, format!("Entity type: {entity_type}\nText: {text}\nEntities:"))
}

/// Writes a data set of so many rows; each text ends with its row's mark.
pub(crate) fn write_rows(path: &Path, count: usize) -> Result<(), Failure> {
    let failed = || Failure::while_doing::<std::io::Error>(format!("writing {}", path.display()));
    let mut out = BufWriter::new(File::create(path).map_err(failed())?);
    for (row, text) in (0..count).zip(TEXTS.iter().cycle()) {
        writeln!(out, "{{\"text\": \"{text} {}\", \"entity_type\": \"job title\"}}", mark_of(row)).map_err(failed())?;
    }
    out.flush().map_err(failed())
}
