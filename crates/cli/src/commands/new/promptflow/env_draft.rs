//! `.env.sample`: the variables that the drafts ask for.

use std::collections::BTreeSet;

use super::super::draft::Draft;
use super::survey::Survey;
use crate::variable_names::variable_names;

const SAMPLE: &str = ".env.sample";

/// The sample of a project that has none, from what its config will ask for. One that exists keeps what it has, and the
/// names that it lacks are added.
pub(crate) fn draft(survey: &Survey, drafts: &[Draft]) -> Option<Draft> {
    let config = drafts.iter().find(|draft| draft.path == super::config_file::CONFIG_FILE)?;
    let old = survey.sample_variables.as_ref();
    let mut seen = BTreeSet::new();
    let said = config.text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let wanted: Vec<String> = said
        .flat_map(variable_names)
        .filter(|name| !old.is_some_and(|(_, names)| names.contains(name)) && seen.insert(name.clone()))
        .collect();
    if wanted.is_empty() {
        return None;
    }
    let lines: String = wanted.iter().map(|name| format!("{name}=\n")).collect();
    let text = match old {
        Some((text, _)) => {
            let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            format!("{text}{gap}\n# config/config.yaml asks for these too\n{lines}")
        }
        None => format!(
            "# Copy this file to .env and fill in what you use. Variables of the process come before those of .env.\n\n{lines}"
        ),
    };
    let about = "the variables that config/config.yaml asks for".to_owned();
    Some(Draft { path: SAMPLE.to_owned(), text, about, shown: lines })
}

/// The text of a sample and the names in it.
pub(crate) fn read(root: &std::path::Path) -> Option<(String, BTreeSet<String>)> {
    let text = std::fs::read_to_string(root.join(SAMPLE)).ok()?;
    let names = text.lines().filter_map(|line| {
        let line = line.trim().trim_start_matches('#').trim_start_matches("export ").trim();
        let (name, _) = line.split_once('=')?;
        name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_').then(|| name.to_owned())
    });
    let names = names.collect();
    Some((text, names))
}
