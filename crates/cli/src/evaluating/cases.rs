//! The cases: rows of the data, each with the key by which it is found in a baseline.

use std::path::{Path, PathBuf};

use sluicegate_dataset::{Dataset, Source, Survey, Where};
use sluicegate_evaluate::{CaseKeys, EvaluationSpec, Names};
use sluicegate_gate::CaseKey;
use sluicegate_source::{SourceFile, Span};
use sluicegate_value::Map;

use crate::error::CliError;
use crate::session::Session;
use crate::terminal::show_problems;

/// One row.
pub(crate) struct Row {
    pub(crate) key: CaseKey,
    /// Its number among the lines of a batch, from 0.
    pub(crate) number: u64,
    /// The line of the file, from 1.
    pub(crate) line: Option<u64>,
    pub(crate) columns: Map,
}

/// The rows of an evaluation, in order.
pub(crate) struct Cases {
    pub(crate) rows: Vec<Row>,
    /// SHA-256 of the data.
    pub(crate) hash: String,
    pub(crate) columns: Names,
    /// The data's files, as people call them.
    pub(crate) shown: String,
}

impl Cases {
    /// Reads the data whole: what an evaluation knows of a case is kept until the receipt is written.
    pub(crate) fn read(
        session: &Session,
        spec: &EvaluationSpec,
        root: &Path,
        files: &[PathBuf],
        filters: &[String],
        limit: Option<u64>,
    ) -> Result<Self, CliError> {
        let shown: Vec<String> =
            files.iter().map(|file| file.strip_prefix(root).unwrap_or(file).display().to_string()).collect();
        let sources: Vec<Source> = files.iter().zip(&shown).map(|(file, name)| Source::new(file).named(name)).collect();
        let mut dataset = Dataset::open(&sources)?;
        for text in filters {
            let file = SourceFile::new("where", text.clone());
            let filter = Where::parse(&file, Span::new(0, text.len()), text).map_err(|problem| vec![problem])?;
            dataset = dataset.with_filter(filter);
        }
        if let Some(limit) = limit {
            dataset = dataset.with_limit(limit);
        }
        let Survey { bad_rows, bad_row_problems, columns, hash, .. } = dataset.survey(None, |_| Ok(()));
        if bad_rows > 0 {
            session.printer().say(&show_problems(&bad_row_problems, session.printer().colour()));
            return Err(CliError::misused(format!("{bad_rows} rows cannot be read")).hint("nothing was asked yet"));
        }
        let mut keys = CaseKeys::new(&spec.data.key);
        let mut rows = Vec::new();
        for line in dataset.lines(None) {
            let line = line.map_err(|bad| CliError::Problems(vec![bad.problem]))?;
            rows.push(Row {
                key: keys.next(&line.row.columns),
                number: line.number,
                line: line.row.place.as_ref().map(|place| place.line),
                columns: line.row.columns,
            });
        }
        let repeated = keys.repeated().0;
        if repeated > 0 && !spec.data.key.is_empty() {
            session
                .printer()
                .warn(&format!("{repeated} rows have the key of an earlier row; `data.key` does not name them"));
        }
        let names: Vec<&str> = columns.names().collect();
        let columns = Names { open: columns.is_cut || rows.is_empty(), ..Names::exactly(names) };
        Ok(Self { rows, hash, columns, shown: shown.join(", ") })
    }
}
