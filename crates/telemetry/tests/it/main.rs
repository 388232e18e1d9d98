//! Telemetry against a real OTLP receiver: what a collector sees of a run.

mod delivery;
mod resumed;
mod sample;
mod spans;
