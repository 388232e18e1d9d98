//! `runs delete` and `runs prune`.

use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use sluicegate_events::RunId;
use sluicegate_store::{PruneFilter, Removed, ShownStatus, Store};
use sluicegate_value::duration;

use super::out::show_bytes;
use super::{parse_status, store_error, the_store};
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::terminal::{Printer, table};

#[derive(Debug, clap::Args)]
pub(crate) struct DeleteArgs {
    /// The runs: their ids, the beginnings of them, or `latest`
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<String>,

    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PruneArgs {
    /// Only runs that began longer ago: 30d, 12h
    #[arg(long, value_name = "TIME", value_parser = parse_age)]
    older_than: Option<Duration>,

    /// Keep the newest so many
    #[arg(long, value_name = "N")]
    keep: Option<usize>,

    /// Only runs that stand so: completed, failed, interrupted, damaged
    #[arg(long, value_name = "STATUS", value_parser = parse_status)]
    status: Option<ShownStatus>,

    /// Only say what would go
    #[arg(long)]
    dry_run: bool,

    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,
}

/// Durations have no days, since a flow's never last so long; ages of runs do.
fn parse_age(text: &str) -> Result<Duration, String> {
    let days = text.trim().strip_suffix('d').map(|days| days.trim().parse::<u64>());
    match days {
        Some(Ok(days)) => Ok(Duration::from_secs(days.saturating_mul(24 * 60 * 60))),
        Some(Err(_)) => Err("is no number of days such as 30d".to_owned()),
        None => duration::parse(text).map_err(|error| error.to_string()),
    }
}

pub(super) fn delete(session: &Session, args: &DeleteArgs) -> Result<Exit, CliError> {
    let store = the_store(session)?;
    // All are found before the first one goes.
    let mut ids: Vec<RunId> = Vec::new();
    for asked in &args.runs {
        let id = store.find(asked).map_err(store_error)?;
        if store.is_running(&id) {
            return Err(
                CliError::misused(format!("run `{id}` is running")).hint("stop it first, by Ctrl-C in its terminal")
            );
        }
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let what = match &ids[..] {
        [one] => format!("run `{one}`"),
        several => so_many_runs(several.len()),
    };
    if !args.yes && !is_agreed(session.printer(), &format!("delete {what}?"))? {
        session.printer().say("nothing is deleted");
        return Ok(Exit::Failed);
    }
    let mut bytes = 0;
    for id in &ids {
        bytes += outputs_size(&store, id);
        bytes += store.delete(id).map_err(store_error)?;
        delete_outputs(&store, id)?;
    }
    session.printer().say(&format!("deleted {what}, {}", show_bytes(bytes)));
    Ok(Exit::Done)
}

pub(super) fn prune(session: &Session, args: &PruneArgs) -> Result<Exit, CliError> {
    let printer = session.printer();
    if args.older_than.is_none() && args.keep.is_none() && args.status.is_none() {
        return Err(CliError::misused("nothing says which runs are to go")
            .hint("write --older-than 30d, --keep 100 or --status damaged; --dry-run shows what would go"));
    }
    let Some((store, _)) = session.existing_store()? else {
        printer.say("no runs are kept here");
        return Ok(Exit::Done);
    };
    let older_than = args.older_than.map(|age| Timestamp::now() - age.min(MOST_AGE));
    let filter = PruneFilter { status: args.status, older_than, keep: args.keep.unwrap_or(0) };
    let mut planned = store.prune(&filter, true).map_err(store_error)?;
    if planned.is_empty() {
        printer.say("there is nothing to prune");
        return Ok(Exit::Done);
    }
    planned.iter_mut().for_each(|run| run.bytes += outputs_size(&store, &run.run));
    printer.data(&as_table(&planned))?;
    let all: u64 = planned.iter().map(|run| run.bytes).sum();
    let what = format!("{}, {}", so_many_runs(planned.len()), show_bytes(all));
    if args.dry_run {
        printer.say(&format!("would delete {what}"));
        return Ok(Exit::Done);
    }
    if !args.yes && !is_agreed(printer, &format!("delete {what}?"))? {
        printer.say("nothing is deleted");
        return Ok(Exit::Failed);
    }
    // What was shown is what goes: runs that ended meanwhile were not asked about.
    let (mut count, mut bytes) = (0, 0);
    for Removed { run, bytes: size, .. } in &planned {
        match store.delete(run) {
            Ok(_) => {
                delete_outputs(&store, run)?;
                (count, bytes) = (count + 1, bytes + size);
            }
            // Somebody goes on with it, or has deleted it.
            Err(sluicegate_store::StoreError::Held { .. } | sluicegate_store::StoreError::NoSuchRun { .. }) => {}
            Err(error) => return Err(store_error(error)),
        }
    }
    printer.say(&format!("deleted {}, {}", so_many_runs(count), show_bytes(bytes)));
    Ok(Exit::Done)
}

/// As far back as times go here: a thousand years.
const MOST_AGE: Duration = Duration::from_secs(1_000 * 365 * 24 * 60 * 60);

fn so_many_runs(count: usize) -> String {
    if count == 1 { "1 run".to_owned() } else { format!("{count} runs") }
}

fn as_table(runs: &[Removed]) -> String {
    let rows = runs.iter().map(|run| {
        let started = run.started.map_or_else(|| "-".to_owned(), |time| format!("{time:.0}"));
        vec![run.run.to_string(), started, show_bytes(run.bytes)]
    });
    table(&["RUN", "STARTED", "SIZE"], rows.collect())
}

/// Asks a person; where there is none, `--yes` must say so.
fn is_agreed(printer: &Printer, question: &str) -> Result<bool, CliError> {
    if !std::io::stdin().is_terminal() || !printer.is_terminal() {
        return Err(CliError::misused("nobody is there to be asked").hint("write --yes if that is what you want"));
    }
    printer.say_part(&format!("{question} [y/N] "));
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    // The answer's own line break has ended the line.
    printer.say_part(if answer.ends_with('\n') { "" } else { "\n" });
    read.map_err(|error| CliError::failed("the answer cannot be read").cause(error.to_string()))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Where a batch's outputs are, if nobody said where else: in a folder of the store under the run's name.
fn outputs_folder(store: &Store, run: &RunId) -> PathBuf {
    store.root().join("out").join(run.to_string())
}

fn outputs_size(store: &Store, run: &RunId) -> u64 {
    fn size(path: &Path) -> u64 {
        let Ok(facts) = fs::symlink_metadata(path) else { return 0 };
        if !facts.is_dir() {
            return facts.len();
        }
        fs::read_dir(path).into_iter().flatten().flatten().map(|entry| size(&entry.path())).sum()
    }
    size(&outputs_folder(store, run))
}

/// Outputs are the run's, too: who deletes it does not want to find its texts later.
fn delete_outputs(store: &Store, run: &RunId) -> Result<(), CliError> {
    let folder = outputs_folder(store, run);
    let is_folder = fs::symlink_metadata(&folder).is_ok_and(|facts| facts.is_dir());
    let done = if is_folder { fs::remove_dir_all(&folder) } else { Ok(()) };
    done.map_err(|error| {
        CliError::failed(format!("the run is deleted, but its outputs in `{}` are not", folder.display()))
            .cause(error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_may_be_days() {
        assert_eq!(parse_age("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(parse_age("1h 30m"), Ok(Duration::from_secs(5_400)));
        assert!(parse_age("d").is_err() && parse_age("soon").is_err());
    }
}
