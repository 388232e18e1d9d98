//! One command, one file.

pub(crate) mod batch;
pub(crate) mod calibrate;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod connections;
pub(crate) mod draw;
pub(crate) mod evaluate;
pub(crate) mod gate;
pub(crate) mod new;
pub(crate) mod pf;
pub(crate) mod python;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod schema;
pub(crate) mod simulate;
pub(crate) mod talk;
pub(crate) mod verify;
