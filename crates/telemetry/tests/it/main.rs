//! Telemetry against a real OTLP receiver: what a collector sees of a run.

#![expect(clippy::unwrap_used, reason = "in the checks that tests share, a failure is the test's")]

mod batch;
mod calls;
mod code;
mod delivery;
mod resumed;
mod sample;
mod spans;
