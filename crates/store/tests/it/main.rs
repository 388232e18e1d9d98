//! The store over real files, real processes and real failures.

#![expect(clippy::unwrap_used, reason = "in the checks that tests share, a failure is the test's")]

mod broken;
mod cache;
mod cassette;
mod crash;
mod fixture;
mod journal;
mod lines;
mod listing;
mod remove;
mod resume;
mod sample;
