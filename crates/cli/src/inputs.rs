//! `--inputs`: what a person types becomes values.

use std::io::Read as _;
use std::path::Path;

use sluicegate_value::{Map, Value, json};

use crate::error::CliError;

/// Reads `--inputs`: `name=value …`, or one file (`.json`, `.jsonl`, `-` for stdin).
///
/// Values on the command line are text; the flow's declared types say what becomes of them.
pub(crate) fn read_inputs(arguments: &[String], directory: &Path) -> Result<(Map, Option<String>), CliError> {
    if let [file] = arguments
        && (file == "-" || !file.contains('='))
    {
        return read_file(file, directory);
    }
    let mut inputs = Map::new();
    for argument in arguments {
        let (name, value) = argument.split_once('=').ok_or_else(|| {
            CliError::misused(format!("`--inputs {argument}` is neither name=value nor a file"))
                .hint("write --inputs name=value other=value, or --inputs file.json, or --inputs - for stdin")
        })?;
        if inputs.insert(name, value).is_some() {
            return Err(CliError::misused(format!("input `{name}` is given twice")));
        }
    }
    Ok((inputs, None))
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
            Ok((inputs, warning)) => {
                Value::from(inputs).to_json() + &warning.map_or(String::new(), |w| format!(" ({w})"))
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
        check(&["a=1", "b"], "`--inputs b` is neither name=value nor a file");
        check(&["a=1", "a=2"], "input `a` is given twice");
    }
}
