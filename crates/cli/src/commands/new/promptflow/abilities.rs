//! What this program can do: asked of its own command line, so that a report never claims what is not there.

use clap::Parser as _;

use super::words::Word;
use crate::args::{Cli, one_spelling};

/// Whether flows with Python nodes run.
pub(crate) const RUNS_PYTHON: bool = true;

/// Whether a command line of ours, `sluicegate` in front, is one that this version takes.
pub(crate) fn takes(command: &[Word]) -> bool {
    let words = command.iter().map(|word| word.value.clone().into());
    Cli::try_parse_from(one_spelling(words)).is_ok()
}
