//! Evaluations: batches of a flow and of its judges become scores, and scores become a receipt.
//!
//! ```text
//! evaluation.yaml, flags ─► Declaration ─► target: a batch for each repeat ─┐
//!                                          judges: a batch for each        ─┼─► measure ─► Evidence ─► gate ─► receipt.json
//! receipts that are kept ─► baseline ──────────────────────────────────────┘                    └─► evaluation_results.json
//! ```
//!
//! All of it stands in `.sluicegate/evaluations/ID/`. Its batches are ordinary runs with names that follow from ID: an
//! evaluation that died goes on by doing the same again, and what is over is read, not run.

mod answers;
mod baseline;
mod calibration;
mod cases;
mod declaration;
mod fingerprints;
mod flows;
mod git;
mod labels;
mod measure;
mod record;
mod report;
mod stage;
mod tell;

use answers::{Answer, answers_of};
pub(crate) use baseline::{Baseline, Seeker, age_seconds};
pub(crate) use calibration::{KeptCalibration, advice, calibrations_of, environment_of, stands_as_in};
pub(crate) use cases::Cases;
pub(crate) use declaration::{Declaration, Earlier};
pub(crate) use fingerprints::fingerprints;
pub(crate) use flows::{deployment, file_name};
pub(crate) use git::Git;
pub(crate) use labels::{Labels, Readings};
pub(crate) use measure::{Measured, Measuring};
pub(crate) use record::{Record, Wanted, write_whole};
pub(crate) use report::{latencies, metric_lines, results};
pub(crate) use stage::{Rows, Stage, Stages, changed};
pub(crate) use tell::{note_traces, tell_cases};
