//! The executor as a whole: flows in strings, scripted models, a journal in memory.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

mod batch;
mod calls;
mod chaos;
mod conformance;
mod faults;
mod flows;
mod python;
mod python_support;
mod resume;
mod secrets;
mod shortfalls;
mod stops;
mod support;
