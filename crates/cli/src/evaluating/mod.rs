//! Evaluations: batches of a flow and of its judges become scores, and scores become a receipt.
//!
//! ```text
//!                                       ┌─ rounds: up to each look, and cases that fell once more ─┐
//! evaluation.yaml, flags ─► Declaration ─► target: a batch for each repeat ─┐                        │
//!                                       │  judges: a batch for each        ─┼─► measure ─► Evidence ─┴► gate ─► receipt.json
//! receipts that are kept ─► baseline ──────────────────────────────────────┘                          └─► evaluation_results.json
//! ```
//!
//! All of it stands in `.sluicegate/evaluations/ID/`. Its batches are ordinary runs with names that follow from ID: an
//! evaluation that died goes on by doing the same again, and what is over is read, not run.

mod affected;
mod answers;
mod baseline;
mod before;
mod calibration;
mod cases;
mod declaration;
mod fingerprints;
mod flows;
mod git;
mod labels;
mod limits;
mod lock;
mod matrix;
mod measure;
mod record;
mod report;
mod rounds;
mod stage;
mod tell;

pub(crate) use affected::{Affected, Fate};
use answers::{Answer, answers_of};
pub(crate) use baseline::{Baseline, Seeker, age_seconds};
pub(crate) use before::BeforeSpending;
pub(crate) use calibration::{KeptCalibration, advice, calibrations_of, environment_of, stands_as_in};
pub(crate) use cases::Cases;
pub(crate) use declaration::{Declaration, Earlier};
pub(crate) use fingerprints::fingerprints;
pub(crate) use flows::{deployment, file_name};
pub(crate) use git::Git;
pub(crate) use labels::{Labels, Readings};
pub(crate) use limits::Limits;
pub(crate) use lock::Lock;
pub(crate) use matrix::{CellDone, Grid, Variation};
pub(crate) use measure::Measured;
use measure::Measuring;
pub(crate) use record::{Record, Wanted, write_whole};
pub(crate) use report::{costs, latencies, metric_lines, reasons, results};
pub(crate) use rounds::{Arms, Round, Rounds};
use stage::{Rows, Stage};
pub(crate) use stage::{Stages, changed};
pub(crate) use tell::{note_traces, tell_cases};
