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
    /// Settings of the cell with which the others are compared; empty for the first.
    pub reference: Cell,
    /// Settings of the cell whose verdict alone counts; empty where every cell's does.
    pub candidate: Cell,
}

/// A combination: for each axis its setting.
pub type Cell = Vec<(Arc<str>, Arc<str>)>;

/// What can be varied: a node's variant (`${node.variant}`), a prompt file in place of a node's, a connection, a
/// deployment.
const AXES: [&str; 4] = ["variants", "prompts", "connections", "deployments"];
const KEYS: [&str; 7] = ["variants", "prompts", "connections", "deployments", "exclude", "reference", "candidate"];

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

    /// The same, with these settings on an axis in place of its own. What else was said about settings that are gone
    /// leaves out nothing and names nothing.
    #[must_use]
    pub fn with_axis(mut self, axis: &str, settings: Vec<Arc<str>>) -> Self {
        match self.axes.iter_mut().find(|(name, _)| **name == *axis) {
            Some((_, own)) => *own = settings,
            None => self.axes.push((axis.into(), settings)),
        }
        self
    }

    /// The place among [`Matrix::cells`] of the cell with which the others are compared.
    #[must_use]
    pub fn reference_at(&self) -> usize {
        self.place_of(&self.reference).unwrap_or(0)
    }

    /// The place of the cell whose verdict alone counts, if one is named and there.
    #[must_use]
    pub fn candidate_at(&self) -> Option<usize> {
        if self.candidate.is_empty() { None } else { self.place_of(&self.candidate) }
    }

    fn place_of(&self, settings: &Cell) -> Option<usize> {
        self.cells().iter().position(|cell| settings.iter().all(|pair| cell.contains(pair)))
    }

    pub(super) fn expanded(&self) -> Value {
        let texts = |texts: &[Arc<str>]| texts.iter().map(|text| Value::from(text.clone())).collect::<Vec<_>>();
        let mut map: Map = self.axes.iter().map(|(axis, settings)| (axis.clone(), texts(settings))).collect();
        if !self.exclude.is_empty() {
            let left_out = |pairs: &Vec<(Arc<str>, Arc<str>)>| Value::from(pairs.iter().cloned().collect::<Map>());
            map.insert("exclude", self.exclude.iter().map(left_out).collect::<Vec<_>>());
        }
        for (key, settings) in [("reference", &self.reference), ("candidate", &self.candidate)] {
            if !settings.is_empty() {
                map.insert(key, settings.iter().cloned().collect::<Map>());
            }
        }
        map.into()
    }
}

pub(super) fn read_matrix(reader: &mut Reader<'_>, node: &Node) -> Option<Matrix> {
    let mut read = Matrix::default();
    let mut left_out = None;
    let mut named = Vec::new();
    for entry in reader.entries(node, "matrix") {
        let value = &entry.value;
        match &*entry.key {
            "exclude" => left_out = Some(value),
            "reference" | "candidate" => named.push((&*entry.key, value)),
            axis if AXES.contains(&axis) => {
                let settings: Vec<Arc<str>> = match axis {
                    // Files count from the evaluation file, as all paths in it do; `NODE=` before one stays.
                    "prompts" => reader.texts(axis, value).iter().map(|text| prompt_of(reader, text)).collect(),
                    _ => reader.texts(axis, value),
                };
                let distinct: BTreeSet<&Arc<str>> = settings.iter().collect();
                if distinct.len() < settings.len() {
                    reader.wrong_value(format!("`{axis}` names a setting twice"), "", value.span);
                }
                read.axes.push((entry.key.clone(), settings));
            }
            _ => reader.unknown_key(entry, "`matrix`", &KEYS),
        }
    }
    if let Some(node) = left_out {
        read.exclude = excluded(reader, node, &read);
    }
    for (key, node) in named {
        let settings = settings_of(reader, node, (key, &format!("`{key}`")), &read, "to name");
        let fitting = read.cells().iter().filter(|cell| settings.iter().all(|pair| cell.contains(pair))).count();
        match fitting {
            _ if settings.is_empty() => {}
            0 => reader.wrong_value(format!("`{key}` names a combination that is left out"), "", node.span),
            1 => {}
            _ => {
                let help = "name a setting of each axis";
                reader.wrong_value(format!("`{key}` names {fitting} combinations"), help, node.span);
            }
        }
        match key {
            "reference" => read.reference = settings,
            _ => read.candidate = settings,
        }
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

fn prompt_of(reader: &mut Reader<'_>, text: &str) -> Arc<str> {
    let (node, path) = text.split_once('=').map_or((None, text), |(node, path)| (Some(node), path));
    let path = reader.path(path.trim()).unwrap_or_else(|| path.trim().into());
    node.map_or_else(|| path.clone(), |node| format!("{}={path}", node.trim()).into())
}

fn excluded(reader: &mut Reader<'_>, node: &Node, matrix: &Matrix) -> Vec<Vec<(Arc<str>, Arc<str>)>> {
    let Some(items) = node.as_list() else {
        reader.wrong_type("exclude", "a list", node);
        return Vec::new();
    };
    items
        .iter()
        .map(|item| settings_of(reader, item, ("exclude", "an entry of `exclude`"), matrix, "to leave out"))
        .filter(|pairs| !pairs.is_empty())
        .collect()
}

/// Settings, at most one of each axis, that a combination has.
fn settings_of(
    reader: &mut Reader<'_>,
    node: &Node,
    (key, owner): (&str, &str),
    matrix: &Matrix,
    what_for: &str,
) -> Cell {
    let mut pairs = Cell::new();
    for entry in reader.entries(node, key) {
        let Some((axis, settings)) = matrix.axes.iter().find(|(axis, _)| *axis == entry.key) else {
            let axes: Vec<&str> = matrix.axes.iter().map(|(axis, _)| &**axis).collect();
            reader.unknown_key(entry, owner, &axes);
            continue;
        };
        let Some(setting) = reader.text(axis, &entry.value) else { continue };
        if !settings.iter().any(|known| **known == *setting) {
            let problem =
                Problem::error("evaluation::wrong_value", format!("`{axis}` has no setting `{setting}` {what_for}"));
            reader.problem(problem, entry.value.span);
        }
        pairs.push((axis.clone(), setting.into()));
    }
    pairs
}
