//! `new`: a small project to begin with, or what an existing prompt flow project lacks.

mod draft;
mod promptflow;
mod sample;

use std::path::PathBuf;

use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;

/// Begin a project, or bring one over from prompt flow.
///
/// Without a flag, a small project is written into DIR: one flow with a scripted model, config, data, a workflow; it runs at
/// once, without a key. With --from-promptflow, an existing project is read (nothing in it is run) and a report goes to
/// stdout: what runs as it is, what differs, what is not supported, the new command for each old one, and drafts of what is
/// missing.
#[derive(Debug, clap::Args)]
pub(crate) struct NewArgs {
    /// The new project's folder; else the current one
    #[arg(value_name = "DIR", conflicts_with = "from_promptflow")]
    folder: Option<PathBuf>,

    /// Read this prompt flow project and draft what it lacks
    #[arg(long, value_name = "DIR")]
    from_promptflow: Option<PathBuf>,

    /// Write the drafts; where a file exists, FILE.sluicegate is written beside it
    #[arg(long, requires = "from_promptflow")]
    write: bool,
}

/// Makes a project, or brings one over.
pub(crate) fn new(session: &Session, args: &NewArgs) -> Result<Exit, CliError> {
    match &args.from_promptflow {
        Some(project) => promptflow::bring_over(session, &session.directory().join(project), args.write),
        None => {
            let folder = args
                .folder
                .as_deref()
                .map_or(session.directory().to_owned(), |folder| session.directory().join(folder));
            sample::make(session, &folder)
        }
    }
}
