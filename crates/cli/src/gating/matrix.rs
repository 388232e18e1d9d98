//! A matrix, told to people and machines: beside the receipt of the cell that decides.

use std::path::{Path, PathBuf};

use sluicegate_gate::matrix::Matrix;
use sluicegate_gate::projection::matrix::{markdown, page, terminal};

use super::files::{append, size, write_whole};
use super::github::{self, Hush};
use super::{Reports, painted};
use crate::error::CliError;
use crate::session::Session;

/// Shows the tables, and writes `matrix.json`, `matrix.md` and `matrix.html` into a folder, and the tables into the step's
/// summary. Gives the path of `matrix.json`.
pub(crate) fn publish_matrix(
    session: &Session,
    matrix: &Matrix,
    reports: &Reports,
    folder: &Path,
) -> Result<PathBuf, CliError> {
    let printer = session.printer();
    let hush = Hush::begin(session);
    printer.say(&format!("\n{}", painted(&terminal(matrix), printer.painter())));
    drop(hush);
    let marked = markdown(matrix);
    let file = folder.join("matrix.json");
    write_whole(&file, &matrix.to_json())?;
    write_whole(&folder.join("matrix.md"), &marked)?;
    write_whole(&folder.join("matrix.html"), &page(matrix))?;
    let summary = github::summary_file(session).filter(|_| !reports.no_summary && reports.summary.is_none());
    if let Some(summary) = summary {
        let fits = size(&summary) + (marked.len() as u64) < github::MOST_SUMMARY;
        let added = if fits {
            append(&summary, &format!("\n{marked}")).map_err(|error| error.to_string())
        } else {
            Err("it is full".to_owned())
        };
        if let Err(why) = added {
            printer.warn(&format!("the matrix is not in the step's summary: {why}"));
        }
    }
    Ok(file)
}
