//! `--provider-batch`: chat calls by way of the providers' batch APIs; what is said of these batches, and where what is
//! known of them is kept.

use std::path::PathBuf;
use std::sync::Arc;

use sluicegate_events::RunId;
use sluicegate_providers::{BatchHappened, BatchNotice, OpenBatch, ProviderBatches};
use sluicegate_store::Store;
use sluicegate_value::{Map, Value};

use super::ProgressStyle;
use crate::error::CliError;
use crate::exit::Exit;
use crate::prepared::Prepared;
use crate::session::Session;
use crate::terminal::harmless;

/// How calls go into batches of this size; `None` or 0: they do not.
pub(crate) fn provider_batches(
    session: &Session,
    size: Option<u32>,
    style: ProgressStyle,
) -> Option<Arc<ProviderBatches>> {
    let size = size.filter(|size| *size > 0)?;
    let printer = session.printer().clone();
    let batches = ProviderBatches::new(size as usize).telling(move |notice| match style {
        ProgressStyle::None => {}
        ProgressStyle::Json => printer.say(&json(notice)),
        ProgressStyle::Auto | ProgressStyle::Bar | ProgressStyle::Lines => {
            printer.say(&printer.painter().dim(&harmless(&notice.to_string())));
        }
    });
    Some(Arc::new(batches))
}

/// Keeps what is known of a run's batches beside its journal, and takes up what an earlier process knew. A run that goes
/// on without batches is told which of them are still paid for.
pub(crate) fn keep_batches(
    session: &Session,
    batches: Option<&Arc<ProviderBatches>>,
    store: &Store,
    run: &RunId,
) -> Result<(), CliError> {
    let file = file(store, run);
    let take_up = |batches: &ProviderBatches| {
        batches.keep_in(&file, &run.0).map_err(|error| {
            CliError::failed(error.to_string()).hint(
                "without it, calls that are in a batch already would be paid for again; delete it if that is meant",
            )
        })
    };
    match batches {
        Some(batches) => take_up(batches),
        None if file.exists() => {
            let unused = ProviderBatches::new(1);
            take_up(&unused)?;
            for open in unused.open() {
                session.printer().warn(&format!("{} is not waited for, and paid for all the same", said(&open)));
            }
            Ok(())
        }
        None => Ok(()),
    }
}

/// Says which batches go on without this process.
pub(crate) fn tell_open_batches(session: &Session, batches: Option<&Arc<ProviderBatches>>, run: &RunId) {
    let open = batches.map(|batches| batches.open()).unwrap_or_default();
    for open in &open {
        let told = format!("{} goes on at the provider: {} of {} done", said(open), open.completed, open.calls);
        session.printer().say(&harmless(&told));
    }
    if !open.is_empty() {
        session.printer().say(&format!(
            "collect what it answers: sluicegate batch --resume {run} --provider-batch\ncancel it: sluicegate batch --resume \
             {run} --cancel-provider-batch"
        ));
    }
}

/// Asks for a run's batches to be cancelled, and runs nothing.
pub(crate) fn cancel_batches(
    session: &Session,
    prepared: &Prepared,
    store: &Store,
    run: &RunId,
) -> Result<Exit, CliError> {
    let known = ProviderBatches::new(1);
    known.keep_in(&file(store, run), &run.0).map_err(|error| CliError::failed(error.to_string()))?;
    let open = known.open();
    if open.is_empty() {
        session.printer().say(&format!("run `{run}` has no batch at a provider"));
    }
    let mut exit = Exit::Done;
    for open in &open {
        let Some(batch) = &open.batch else {
            session.printer().warn(&format!("{} may be at the provider: look there", said(open)));
            exit = Exit::Failed;
            continue;
        };
        match prepared.cancel_batch(&open.connection, batch) {
            Ok(status) => session.printer().say(&harmless(&format!("{} is {status}", said(open)))),
            Err(error) => {
                session.printer().warn(&format!("{} is not cancelled: {error}", said(open)));
                exit = Exit::Failed;
            }
        }
    }
    Ok(exit)
}

fn file(store: &Store, run: &RunId) -> PathBuf {
    store.root().join("runs").join(format!("{run}.provider-batches.json"))
}

fn said(open: &OpenBatch) -> String {
    match &open.batch {
        Some(batch) => format!("provider batch {batch} of connection `{}`", open.connection),
        None => format!("a provider batch of connection `{}` that was being submitted", open.connection),
    }
}

fn json(notice: &BatchNotice) -> String {
    let mut told = Map::from([
        ("event", Value::from("provider_batch")),
        ("what", Value::from(notice.happened.word())),
        ("batch", Value::from(notice.batch.clone())),
        ("connection", Value::from(notice.connection.clone())),
        ("calls", Value::from(notice.calls)),
        ("completed", Value::from(notice.completed)),
        ("failed", Value::from(notice.failed)),
    ]);
    match &notice.happened {
        BatchHappened::Progressed { status } | BatchHappened::Ended { status } => {
            told.insert("status", status.clone());
        }
        BatchHappened::Trouble { message } => {
            told.insert("message", message.clone());
        }
        BatchHappened::Submitted | BatchHappened::Attached => {}
    }
    Value::from(told).to_json()
}
