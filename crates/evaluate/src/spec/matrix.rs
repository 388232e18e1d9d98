//! `matrix:`, the same evaluation in several settings of the target.

use std::collections::BTreeSet;
use std::sync::Arc;

use sluicegate_source::Problem;
use sluicegate_source::yaml::Node;
use sluicegate_value::{Map, Value};

use super::reader::Reader;

/// Several settings of the target, each combination of which is evaluated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matrix {
    /// Axis by axis, in the order of the file, what it takes.
    pub axes: Vec<(Arc<str>, Vec<Arc<str>>)>,
    /// Combinations that are left out: all that have each of one entry's settings.
    pub exclude: Vec<Vec<(Arc<str>, Arc<str>)>>,
}

/// A combination: for each axis its setting.
pub type Cell = Vec<(Arc<str>, Arc<str>)>;

/// What can be varied: a node's variant (`${node.variant}`), a prompt file in place of a node's, a connection, a
/// deployment.
const AXES: [&str; 4] = ["variants", "prompts", "connections", "deployments"];

/// More evaluations at once than anybody means.
const MAX_CELLS: usize = 1_000;

impl Matrix {
    /// Every combination that is not left out, the last axis varying fastest.
    #[must_use]
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells: Vec<Cell> = vec![Vec::new()];
        for (axis, settings) in &self.axes {
            cells = cells
                .iter()
                .flat_map(|cell| {
                    settings.iter().map(|setting| {
                        cell.iter().cloned().chain(std::iter::once((axis.clone(), setting.clone()))).collect()
                    })
                })
                .take(MAX_CELLS + 1)
                .collect();
        }
        cells
            .retain(|cell: &Cell| !self.exclude.iter().any(|left_out| left_out.iter().all(|pair| cell.contains(pair))));
        cells
    }

    pub(super) fn expanded(&self) -> Value {
        let texts = |texts: &[Arc<str>]| texts.iter().map(|text| Value::from(text.clone())).collect::<Vec<_>>();
        let mut map: Map = self.axes.iter().map(|(axis, settings)| (axis.clone(), texts(settings))).collect();
        if !self.exclude.is_empty() {
            let left_out = |pairs: &Vec<(Arc<str>, Arc<str>)>| Value::from(pairs.iter().cloned().collect::<Map>());
            map.insert("exclude", self.exclude.iter().map(left_out).collect::<Vec<_>>());
        }
        map.into()
    }
}

pub(super) fn read_matrix(reader: &mut Reader<'_>, node: &Node) -> Option<Matrix> {
    let mut read = Matrix::default();
    let mut left_out = None;
    for entry in reader.entries(node, "matrix") {
        let value = &entry.value;
        match &*entry.key {
            "exclude" => left_out = Some(value),
            axis if AXES.contains(&axis) => {
                let settings = reader.texts(axis, value);
                let distinct: BTreeSet<&Arc<str>> = settings.iter().collect();
                if distinct.len() < settings.len() {
                    reader.wrong_value(format!("`{axis}` names a setting twice"), "", value.span);
                }
                read.axes.push((entry.key.clone(), settings));
            }
            _ => {
                reader.unknown_key(entry, "`matrix`", &["variants", "prompts", "connections", "deployments", "exclude"])
            }
        }
    }
    if let Some(node) = left_out {
        read.exclude = excluded(reader, node, &read);
    }
    let cells = read.cells().len();
    if cells == 0 || cells > MAX_CELLS {
        let message = match cells {
            0 => "the matrix has no combination".to_owned(),
            _ => format!("the matrix has more than {MAX_CELLS} combinations"),
        };
        reader.wrong_value(message, "", node.span);
    }
    (!read.axes.is_empty()).then_some(read)
}

fn excluded(reader: &mut Reader<'_>, node: &Node, matrix: &Matrix) -> Vec<Vec<(Arc<str>, Arc<str>)>> {
    let Some(items) = node.as_list() else {
        reader.wrong_type("exclude", "a list", node);
        return Vec::new();
    };
    let mut all = Vec::new();
    for item in items {
        let mut pairs = Vec::new();
        for entry in reader.entries(item, "exclude") {
            let Some((axis, settings)) = matrix.axes.iter().find(|(axis, _)| *axis == entry.key) else {
                let axes: Vec<&str> = matrix.axes.iter().map(|(axis, _)| &**axis).collect();
                reader.unknown_key(entry, "an entry of `exclude`", &axes);
                continue;
            };
            let Some(setting) = reader.text(axis, &entry.value) else { continue };
            if !settings.iter().any(|known| **known == *setting) {
                let problem = Problem::error(
                    "evaluation::wrong_value",
                    format!("`{axis}` has no setting `{setting}` to leave out"),
                );
                reader.problem(problem, entry.value.span);
            }
            pairs.push((axis.clone(), setting.into()));
        }
        if !pairs.is_empty() {
            all.push(pairs);
        }
    }
    all
}
