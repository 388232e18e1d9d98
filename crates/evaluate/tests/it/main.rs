//! The text metrics against recorded rows, and evaluations from file to evidence.

mod binding;
mod golden;
mod project;
mod properties;
mod registry;
mod replies;
mod results;
mod scores;
mod spec;
