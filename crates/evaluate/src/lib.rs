//! Evaluators: scores with reasons for what a flow gave.

pub mod text;
