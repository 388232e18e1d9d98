//! What a person sees: stdout is data, everything said to a person is stderr.

mod hostile;
mod mask;
mod printer;
mod snippets;
mod table;
mod tree;

pub(crate) use hostile::harmless;
pub(crate) use printer::{Painter, Printer};
pub(crate) use snippets::show_problems;
pub(crate) use table::table;
pub(crate) use tree::{show_duration, show_nodes, show_tokens};
