//! Authors' files: what they say, where they say it, and what is wrong with it.
//!
//! [`yaml::read`] turns a text into a tree in which every key and value knows its place, in one pass and within a
//! budget. Whoever finds something wrong (`config`, `flow`) makes a [`Problem`]; only the command line prints them.
//!
//! Its own crate because `config` and `flow` both read YAML and neither may know the other.

mod file;
mod problem;
pub mod suggest;
pub mod yaml;

pub use file::{Position, SourceFile, Span};
pub use problem::{Label, Problem, Severity};
