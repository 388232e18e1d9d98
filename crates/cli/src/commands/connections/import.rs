//! `connections import`: prompt flow's connection files become entries of config/config.yaml.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluicegate_config::import::{self, Imported, ImportedVariable};
use sluicegate_source::{Problem, SourceFile};

use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::terminal::harmless;

/// Print prompt flow's connection files as entries of config/config.yaml, or add them there.
///
/// Each secret becomes a variable, named after connection and key; its value goes nowhere but, if asked, into .env.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// Files as `pf connection create` takes them (YAML, or .env with --name) or `pf connection show` prints them (JSON)
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The connection's name, in place of the one in the file
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Add the entries to config/config.yaml and the variables to .env.sample; what is there stays as it is
    #[arg(long)]
    write: bool,

    /// Add the secrets that the files hold to .env, which nobody else may read
    #[arg(long)]
    write_env: bool,

    /// Take prompt flow's own store (it cannot be read; says what to do)
    #[arg(long)]
    from_pf_home: bool,
}

/// Imports connections.
pub(super) fn import(session: &Session, args: &ImportArgs) -> Result<Exit, CliError> {
    if args.from_pf_home {
        return Err(CliError::misused("prompt flow's own store cannot be read")
            .cause("it keeps secrets encrypted, by a key in the keyring of the operating system (pf.sqlite in ~/.promptflow)")
            .hint("`pf connection list` shows the names; for each: `pf connection show --name NAME > NAME.json`")
            .hint("then `sluicegate connections import *.json --write`, and put the secrets into .env yourself: there they are stars"));
    }
    if args.files.is_empty() {
        return Err(CliError::misused("no file is named").hint("write `sluicegate connections import FILE…`"));
    }
    if args.name.is_some() && args.files.len() > 1 {
        return Err(CliError::misused("`--name` is for one file, and several are given").hint("import them one by one"));
    }
    let printer = session.printer();
    let imported = read(session, args)?;
    let held: Vec<_> = variables(&imported).filter_map(|variable| variable.value.clone()).collect();
    let environment = session.settings_of_all(None)?;
    let redactor = environment.redactor([]).with(held.iter().map(sluicegate_config::Secret::expose));
    printer.hide(Arc::new(redactor));
    for note in imported.iter().flat_map(|one| &one.notes) {
        printer.warn(&harmless(note));
    }
    let root = environment.project().root.clone();
    if args.write {
        write(session, &root, &imported)?;
    } else {
        print(session, &imported)?;
    }
    if args.write_env {
        write_env(session, &root, &imported)?;
    }
    for variable in variables(&imported) {
        let is_set = environment.variable(&variable.name).is_some_and(|found| !found.value.is_empty());
        let is_written = args.write_env && variable.value.is_some();
        if !is_set && !is_written {
            printer.say(&format!(
                "set {} ({}), in the environment or in .env",
                variable.name,
                harmless(&variable.about)
            ));
        }
    }
    Ok(Exit::Done)
}

fn read(session: &Session, args: &ImportArgs) -> Result<Vec<Imported>, CliError> {
    let (mut imported, mut problems): (Vec<Imported>, Vec<Problem>) = Default::default();
    for path in &args.files {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(session.directory().join(path))
            .map_err(|error| CliError::misused(format!("`{shown}` cannot be read")).cause(error.to_string()))?;
        let is_dot_env = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".env"));
        let file = SourceFile::new(shown.as_str(), text);
        let found = match (&args.name, is_dot_env) {
            (Some(name), true) => import::read_dot_env(&file, name),
            (None, true) => {
                return Err(CliError::misused(format!("`{shown}` holds variables, and no name for a connection"))
                    .hint("name the custom connection that they make: `--name NAME`"));
            }
            (name, false) => import::read(&file, name.as_deref()),
        };
        match found {
            Ok(one) => imported.push(one),
            // No snippets: they would show what is secret.
            Err(found) => problems.extend(found.into_iter().map(without_snippet)),
        }
    }
    if !problems.is_empty() {
        return Err(CliError::Problems(problems));
    }
    for (index, one) in imported.iter().enumerate() {
        if imported.iter().take(index).any(|before| before.name == one.name) {
            return Err(CliError::misused(format!("two of the files describe connection `{}`", one.name))
                .hint("import them one by one, with `--name NAME`"));
        }
    }
    Ok(imported)
}

/// The problem with its place in words alone.
fn without_snippet(problem: Problem) -> Problem {
    let message = problem.to_string();
    Problem { message, file: None, labels: Vec::new(), ..problem }
}

fn variables(imported: &[Imported]) -> impl Iterator<Item = &ImportedVariable> {
    imported.iter().flat_map(|one| &one.variables)
}

fn print(session: &Session, imported: &[Imported]) -> Result<(), CliError> {
    let entries: String = imported.iter().map(|one| one.yaml(2)).collect();
    let all: Vec<ImportedVariable> = variables(imported).cloned().collect();
    let sample = import::sample_lines("", &all);
    let sample = if sample.is_empty() {
        String::new()
    } else {
        format!("\n# for .env.sample, and with values for .env:\n{sample}")
    };
    session.printer().data(format!("# for config/config.yaml:\nconnections:\n{entries}{sample}").trim_end())
}

fn write(session: &Session, root: &Path, imported: &[Imported]) -> Result<(), CliError> {
    let config = root.join("config").join("config.yaml");
    let old = existing(&config)?;
    let new = import::insert(&SourceFile::new("config/config.yaml", old), imported)?;
    if let Some(folder) = config.parent() {
        std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
    }
    replace(&config, &new, false)?;
    let names: Vec<String> = imported.iter().map(|one| format!("`{}`", one.name)).collect();
    session.printer().say(&format!("{} added to {}", harmless(&names.join(", ")), config.display()));
    let all: Vec<ImportedVariable> = variables(imported).cloned().collect();
    let sample = root.join(".env.sample");
    append(&sample, |old| import::sample_lines(old, &all), false)?;
    Ok(())
}

fn write_env(session: &Session, root: &Path, imported: &[Imported]) -> Result<(), CliError> {
    let printer = session.printer();
    let all: Vec<ImportedVariable> = variables(imported).cloned().collect();
    let path = root.join(".env");
    let added = append(&path, |old| import::dot_env_lines(old, &all), true)?;
    let names: Vec<&str> = added.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let held = all.iter().filter(|variable| variable.value.is_some());
    for kept in held.filter(|variable| !names.contains(&variable.name.as_str())) {
        printer.say(&format!("{} is in .env already and stays as it is", kept.name));
    }
    if names.is_empty() {
        return Ok(());
    }
    printer.say(&format!("{} added to {}", names.join(", "), path.display()));
    if !is_ignored(root) {
        printer.warn("git may take .env along: add a line `.env` to .gitignore");
    }
    Ok(())
}

/// Whether `.gitignore` names `.env`, or there is no repository that could take it along.
fn is_ignored(root: &Path) -> bool {
    let Some(repository) = root.ancestors().find(|folder| folder.join(".git").exists()) else { return true };
    let mut folders = root.ancestors().take_while(|folder| folder.starts_with(repository));
    folders.any(|folder| {
        let lines = std::fs::read_to_string(folder.join(".gitignore")).unwrap_or_default();
        lines.lines().map(str::trim).any(|line| matches!(line, ".env" | "/.env" | ".env*" | "*.env"))
    })
}

/// The text of a file; nothing of one that is not there.
fn existing(path: &Path) -> Result<String, CliError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(CliError::misused(format!("`{}` cannot be read", path.display())).cause(error.to_string())),
    }
}

/// Adds lines to a file; they are returned.
fn append(path: &Path, lines: impl FnOnce(&str) -> String, private: bool) -> Result<String, CliError> {
    let old = existing(path)?;
    let lines = lines(&old);
    if !lines.is_empty() {
        let between = if old.is_empty() || old.ends_with('\n') { "" } else { "\n" };
        let new = if old.is_empty() { lines.trim_start().to_owned() } else { format!("{old}{between}{lines}") };
        replace(path, &new, private)?;
    }
    Ok(lines)
}

/// Writes a file anew beside itself and puts it in its place, so that nobody finds half of it. A private one is for its
/// owner alone from the first byte; any other keeps the rights that it has.
fn replace(path: &Path, text: &str, private: bool) -> Result<(), CliError> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let written = || -> std::io::Result<()> {
        let mut beside = path.clone().into_os_string();
        beside.push(format!(".{}.new", std::process::id()));
        let beside = PathBuf::from(beside);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        if private {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        let mut file = options.open(&beside)?;
        let done = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| match std::fs::metadata(&path) {
                Ok(about) if !private => std::fs::set_permissions(&beside, about.permissions()),
                _ => Ok(()),
            })
            .and_then(|()| std::fs::rename(&beside, &path));
        if done.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        done
    };
    written().map_err(|error| cannot_write(&path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> CliError {
    CliError::failed(format!("`{}` cannot be written", path.display())).cause(error.to_string())
}
