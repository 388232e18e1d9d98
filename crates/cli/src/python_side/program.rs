//! How Python code starts this very program: batches that code asks for (`PFClient.run`) are processes of their own.
//!
//! The other end is `promptflow/_program.py` of the stand-in package.

use std::path::Path;

use sluicegate_executor::python::Place;
use sluicegate_value::Value;

/// Where this program is.
const PROGRAM: &str = "SLUICEGATE_PROGRAM";
/// The folder that it is to work in.
const DIRECTORY: &str = "SLUICEGATE_DIRECTORY";
/// The config environment that it is to work in; the program reads it itself.
const ENVIRONMENT: &str = "SLUICEGATE_ENVIRONMENT";
/// `[[there, here], …]`: where folders of a merged flow come from.
const MOVED: &str = "SLUICEGATE_MOVED";

/// Variables that tell the stand-in package how to start this program.
pub(crate) fn program_variables(directory: &Path, environment: Option<&str>) -> Vec<(String, String)> {
    let mut variables = vec![(DIRECTORY.to_owned(), directory.display().to_string())];
    variables.extend(
        std::env::current_exe().ok().map(|program| (PROGRAM.to_owned(), whole(&program.display().to_string()))),
    );
    variables.extend(environment.map(|name| (ENVIRONMENT.to_owned(), name.to_owned())));
    variables
}

/// Linux marks the path of a program that was replaced since it began; who is in its place does as well.
fn whole(path: &str) -> String {
    match path.strip_suffix(" (deleted)") {
        Some(replaced) if !Path::new(path).exists() => replaced.to_owned(),
        _ => path.to_owned(),
    }
}

/// Where the folders of a merged flow come from, if it is one: paths that its code names lead into the copy.
pub(super) fn moved_folders(place: &Place) -> Option<(String, String)> {
    if place.moved.is_empty() {
        return None;
    }
    let pair = |(from, to): &(String, std::path::PathBuf)| {
        let from = place.root.join(from);
        Value::from(vec![Value::from(to.display().to_string()), Value::from(from.display().to_string())])
    };
    Some((MOVED.to_owned(), Value::from(place.moved.iter().map(pair).collect::<Vec<_>>()).to_json()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_was_replaced_is_found_again() {
        assert_eq!(whole("/bin/sluicegate (deleted)"), "/bin/sluicegate");
        assert_eq!(whole("/bin/sluicegate"), "/bin/sluicegate");
    }
}
