//! A small project that runs at once.

use std::path::Path;

use super::draft::Draft;
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::terminal::harmless;

/// Path and text of each file.
const FILES: &[(&str, &str)] = &[
    ("config/config.yaml", include_str!("sample/config.yaml")),
    ("config/simulated/triage.yaml", include_str!("sample/simulated.yaml")),
    ("flows/triage/flow.dag.yaml", include_str!("sample/flow.dag.yaml")),
    ("flows/triage/classify.jinja2", include_str!("sample/classify.jinja2")),
    ("data/triage.jsonl", include_str!("sample/data.jsonl")),
    (".env.sample", include_str!("sample/env.sample")),
    (".gitignore", include_str!("sample/gitignore")),
    (".github/workflows/sluicegate.yml", include_str!("sample/workflow.yml")),
];

/// Writes the project; a folder that has any of its files keeps all that it has.
pub(crate) fn make(session: &Session, folder: &Path) -> Result<Exit, CliError> {
    let there: Vec<String> = FILES
        .iter()
        // Every repository has one, and ours says little.
        .filter(|(path, _)| *path != ".gitignore" && folder.join(path).exists())
        .map(|(path, _)| format!("`{path}`"))
        .collect();
    let shown = folder.strip_prefix(session.directory()).unwrap_or(folder);
    let shown = if shown.as_os_str().is_empty() { ".".to_owned() } else { shown.display().to_string() };
    if !there.is_empty() {
        return Err(CliError::misused(format!("`{shown}` has {} already", there.join(", ")))
            .hint("name another folder: sluicegate new DIR")
            .hint("a prompt flow project is brought over by: sluicegate new --from-promptflow DIR"));
    }
    let failed =
        |error: std::io::Error| CliError::failed(format!("`{shown}` cannot be written")).cause(error.to_string());
    std::fs::create_dir_all(folder).map_err(failed)?;
    let printer = session.printer();
    for (path, text) in FILES.iter().filter(|(path, _)| !folder.join(path).exists()) {
        let draft =
            Draft { path: (*path).to_owned(), text: (*text).to_owned(), about: String::new(), shown: String::new() };
        draft.write(folder).map_err(failed)?;
        printer.data(path)?;
    }
    let enter = if shown == "." { String::new() } else { format!("cd {} && ", harmless(&shown)) };
    printer.say(&format!("run it: {enter}sluicegate run triage --environment_name local"));
    printer.say("then:   copy .env.sample to .env, fill it in, and run it in environment pr");
    Ok(Exit::Done)
}
