//! `--inputs`: what a person types becomes values.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use sluicegate_value::{Map, Value, json};

use crate::error::CliError;

/// What `--inputs` gave.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// The values by name. Those of the command line are text; the flow's declared types say what becomes of them.
    pub(crate) inputs: Map,
    /// Where the file lies that they came from: its relative paths count from there.
    pub(crate) folder: Option<PathBuf>,
    /// Something to say.
    pub(crate) warning: Option<String>,
}

/// Reads `--inputs`: one file (`.json`, `.jsonl`, `-` for stdin), `name=value` pairs, or a file and pairs over it.
pub(crate) fn read_inputs(arguments: &[String], directory: &Path) -> Result<Given, CliError> {
    let mut given = Given::default();
    let (files, pairs): (Vec<&String>, Vec<&String>) = arguments.iter().partition(|argument| !argument.contains('='));
    match files[..] {
        [] => {}
        [file] => {
            (given.inputs, given.warning) = read_file(file, directory)?;
            given.folder = directory.join(file).parent().filter(|_| file != "-").map(Path::to_owned);
        }
        [_, second, ..] => {
            return Err(CliError::misused(format!("`--inputs … {second}`: only one file of inputs can be given"))
                .hint("write --inputs name=value other=value, or --inputs file.json, or --inputs - for stdin"));
        }
    }
    let mut typed = std::collections::BTreeSet::new();
    for (name, value) in pairs.into_iter().filter_map(|pair| pair.split_once('=')) {
        if !typed.insert(name) {
            return Err(CliError::misused(format!("input `{name}` is given twice")));
        }
        given.inputs.insert(name, value);
    }
    Ok(given)
}

/// Reads a file of inputs; the second value is a warning, if there is something to say.
fn read_file(name: &str, directory: &Path) -> Result<(Map, Option<String>), CliError> {
    let (shown, text) = if name == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| CliError::misused("stdin cannot be read").cause(error.to_string()))?;
        ("stdin", text)
    } else {
        let text = std::fs::read_to_string(directory.join(name)).map_err(|error| {
            CliError::misused(format!("`{name}` cannot be read"))
                .cause(error.to_string())
                .hint("--inputs takes name=value pairs, or a .json or .jsonl file")
        })?;
        (name, text)
    };
    let text = text.trim_start_matches('\u{feff}');
    let (value, warning) = match json::read(text) {
        Ok(value) => (value, None),
        Err(whole) => {
            // JSONL: the first line that is not blank; the rest is for `batch`.
            let mut lines = text.lines().filter(|line| !line.trim().is_empty());
            let first = lines.next().unwrap_or("");
            let more = lines.count();
            match json::read(first) {
                Ok(value) if more > 0 => {
                    (value, Some(format!("`{shown}` has {} rows; only the first is run", more + 1)))
                }
                _ => return Err(CliError::misused(format!("`{shown}` is not JSON: {whole}"))),
            }
        }
    };
    match value {
        Value::Map(map) => Ok(((*map).clone(), warning)),
        Value::List(rows) => match rows.first() {
            Some(Value::Map(map)) => {
                let warning =
                    (rows.len() > 1).then(|| format!("`{shown}` has {} rows; only the first is run", rows.len()));
                Ok(((**map).clone(), warning))
            }
            _ => Err(CliError::misused(format!("`{shown}` holds no row of inputs"))),
        },
        other => {
            Err(CliError::misused(format!("`{shown}` must hold a JSON object of inputs, not {}", other.type_name())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str], expected: &str) {
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("one.json"), "{\"q\": 1}").expect("written");
        std::fs::write(folder.path().join("rows.jsonl"), "{\"q\": 1}\n\n{\"q\": 2}\n").expect("written");
        std::fs::write(folder.path().join("bad.json"), "{q}").expect("written");
        let shown = match read_inputs(&arguments, folder.path()) {
            Ok(given) => {
                Value::from(given.inputs).to_json() + &given.warning.map_or(String::new(), |said| format!(" ({said})"))
            }
            Err(CliError::Other(complaint)) => complaint.message,
            Err(other) => format!("{other:?}"),
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn inputs_are_pairs_or_a_file() {
        check(&["q=a=b", "n=1"], r#"{"q":"a=b","n":"1"}"#);
        check(&["one.json"], r#"{"q":1}"#);
        check(&["rows.jsonl"], r#"{"q":1} (`rows.jsonl` has 2 rows; only the first is run)"#);
        check(&["bad.json"], "`bad.json` is not JSON: expected a key in double quotes at line 1 column 2");
        check(&["missing.json"], "`missing.json` cannot be read");
        check(&["one.json", "q=2", "r=3"], r#"{"q":"2","r":"3"}"#);
        check(&["a=1", "b"], "`b` cannot be read");
        check(&["one.json", "rows.jsonl"], "`--inputs … rows.jsonl`: only one file of inputs can be given");
        check(&["a=1", "a=2"], "input `a` is given twice");
    }
}
