//! One batch of an evaluation: begun, gone on with, or found to be over.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use sluicegate_events::{BatchData, EventKind, LineCounts, RunId, RunStatus, RunSummary, Spent};
use sluicegate_executor::NewRun;
use sluicegate_executor::batch::{BatchOptions, BatchStart, Line, MaxFailures, Stopped};
use sluicegate_store::Store;
use sluicegate_value::hash::sha256_of_parts;
use sluicegate_value::{Map, Value};

use super::{Limits, Record};
use crate::batch::{
    Asked, Before, Data, Manner, ProgressStyle, Work, Worked, going_on, last_end, nodes_to_map, recorded_data,
};
use crate::commands::runs::{last_aggregation, store_error};
use crate::error::CliError;
use crate::prepared::{Choices, Prepared};
use crate::session::Session;

/// What all batches of an evaluation share.
pub(crate) struct Stages<'a> {
    pub(crate) session: &'a Session,
    pub(crate) progress: ProgressStyle,
    /// What all of them may take.
    pub(crate) limits: Limits,
    pub(crate) interrupted: Pin<Box<dyn Future<Output = ()>>>,
    /// `--deploy_traces`.
    pub(crate) deploy_traces: Option<&'a str>,
}

/// A batch that may have begun.
pub(crate) struct Stage<'a> {
    /// What it is called in `evaluation.json`.
    pub(crate) name: String,
    pub(crate) run: RunId,
    pub(crate) prepared: &'a Prepared,
    pub(crate) choices: &'a Choices,
    pub(crate) manner: &'a Manner,
    pub(crate) rows: Rows<'a>,
    /// The share of money, tokens and time that others need yet.
    pub(crate) reserve: f64,
}

/// What a batch runs over.
pub(crate) enum Rows<'a> {
    /// Rows of the data, mapped.
    Mapped(&'a Data, &'a Asked),
    /// Some rows of the data, mapped, by their numbers and in this order.
    Chosen(&'a Data, &'a Asked, &'a [u64]),
    /// Inputs as they are.
    Inputs {
        /// In order.
        rows: Vec<Map>,
        /// Where they are written for people, and for a resume of the batch alone.
        file: String,
        hash: String,
    },
}

/// What a batch came to.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    pub(crate) spent: Spent,
    /// Numbers of aggregation nodes.
    pub(crate) metrics: Vec<(Arc<str>, Value)>,
    pub(crate) stopped: Option<sluicegate_gate::Stopped>,
}

type Lines = Box<dyn Iterator<Item = Result<Line, String>>>;

impl Stage<'_> {
    /// Runs it, or what is left of it.
    pub(crate) fn run(&self, stages: &mut Stages<'_>, record: &mut Record) -> Result<Ended, CliError> {
        let session = stages.session;
        let (store, durability) = session.store_of(self.prepared.flow.environment.project())?;
        record.note_stage(&self.name, &self.run)?;
        let recorded = self.recorded()?;
        let (journal, start, before) = match self.past(&store)? {
            Past::Over(ended) => {
                stages.limits.take(&ended.spent);
                return Ok(ended);
            }
            Past::None => {
                let journal = self.prepared.new_journal(session, &self.run)?;
                let lines = LineCounts { left: recorded.lines, ..LineCounts::default() };
                let start = BatchStart::New { run: self.new_run(record), data: recorded };
                (journal, start, Before { lines, ..Before::default() })
            }
            Past::Begun => {
                let (journal, past) = store.resume_batch(&self.run, durability).map_err(store_error)?;
                if recorded_data(&past.run_events).is_some_and(|data| data.hash != recorded.hash) {
                    return Err(changed(&record.id));
                }
                let (start, before) = going_on(past, recorded.lines, false, None);
                (journal, start, before)
            }
        };
        let timeout = stages.limits.time_left(self.reserve);
        let no_time = timeout.is_some_and(|left| left.is_zero());
        let lines: Lines = if no_time { Box::new(std::iter::empty()) } else { self.lines(session)? };
        let work = Work {
            session,
            prepared: self.prepared,
            manner: self.manner,
            store: &store,
            progress: stages.progress,
            budget: stages.limits.budget(&before.spent, self.reserve, self.manner.assume_tokens),
            traces: stages.deploy_traces,
            lines_at_once: 1,
            options: &BatchOptions { max_failures: MaxFailures::Percent(100.0), timeout, ..BatchOptions::default() },
        };
        let Worked { report, warnings, .. } = work.run(journal, start, &before, lines, stages.interrupted.as_mut())?;
        for warning in report.warnings.iter().chain(&warnings) {
            session.printer().warn(warning);
        }
        if let Some(failure) = &report.aggregation_failure {
            session.printer().warn(&format!("an aggregation node failed: {}", failure.message));
        }
        if let Some(error) = &report.journal_error {
            return Err(CliError::failed("the journal cannot be written").cause(error.to_string()));
        }
        stages.limits.take(&report.spent);
        let stopped = match (&report.stopped, report.status) {
            (Some(Stopped::Budget(_) | Stopped::TimedOut), _) => Some(sluicegate_gate::Stopped::Budget),
            (None, _) if no_time && report.lines.left > 0 => Some(sluicegate_gate::Stopped::Budget),
            (Some(Stopped::Interrupted), _) | (None, RunStatus::Interrupted) => {
                Some(sluicegate_gate::Stopped::Interrupted)
            }
            (Some(Stopped::Data(cause)), _) => {
                return Err(CliError::failed("the data cannot be read any more").cause(cause.clone()));
            }
            _ => None,
        };
        let metrics = report.metrics.iter().map(|(name, value)| (Arc::from(name.as_str()), value.clone())).collect();
        Ok(Ended { spent: report.spent, metrics, stopped })
    }

    /// What earlier processes left of it.
    fn past(&self, store: &Store) -> Result<Past, CliError> {
        let reader = match store.open_run(&self.run) {
            Ok(reader) => reader,
            Err(_) if store.is_unborn(&self.run) => {
                store.delete(&self.run).map_err(store_error)?;
                return Ok(Past::None);
            }
            Err(_) => return Ok(Past::None),
        };
        let events = reader.run_events().map_err(store_error)?;
        if !events.iter().any(|event| matches!(event.kind, EventKind::BatchStarted { .. })) {
            // Its process died before its beginning was on disk: there is nothing to go on with.
            drop(reader);
            store.delete(&self.run).map_err(store_error)?;
            return Ok(Past::None);
        }
        let is_over = last_end(&events).is_some_and(
            |end| matches!(end, EventKind::RunFinished { status, .. } if *status != RunStatus::Interrupted),
        );
        let totals = reader.line_totals().map_err(store_error)?;
        let lines = totals.completed.lines + totals.failed.lines;
        if !is_over || lines < self.recorded()?.lines {
            return Ok(Past::Begun);
        }
        let metrics = RunSummary::of(last_aggregation(&events)).metrics;
        let metrics = metrics.into_iter().map(|(name, value)| (Arc::from(name.as_str()), value)).collect();
        Ok(Past::Over(Ended { spent: totals.all(), metrics, stopped: None }))
    }

    fn recorded(&self) -> Result<BatchData, CliError> {
        Ok(match &self.rows {
            Rows::Mapped(data, _) => data.recorded(),
            Rows::Chosen(data, _, numbers) => {
                let recorded = data.recorded();
                let parts = numbers.iter().map(u64::to_string);
                BatchData {
                    hash: sha256_of_parts(std::iter::once(recorded.hash.clone()).chain(parts)),
                    lines: numbers.len() as u64,
                    ..recorded
                }
            }
            Rows::Inputs { rows, file, hash } => BatchData {
                sources: vec![file.clone()],
                hash: hash.clone(),
                lines: rows.len() as u64,
                column_mapping: Map::new(),
            },
        })
    }

    fn lines(&self, session: &Session) -> Result<Lines, CliError> {
        match &self.rows {
            Rows::Mapped(data, _) => Ok(Box::new(data.lines()?)),
            Rows::Chosen(data, _, numbers) => chosen(data, numbers),
            Rows::Inputs { rows, .. } => {
                let takes = self.prepared.takes(session, None)?;
                let rows = rows.clone();
                let lines = rows.into_iter().enumerate().map(move |(number, row)| {
                    let inputs = takes.inputs(&row).map_err(|errors| {
                        let words: Vec<String> = errors.iter().map(ToString::to_string).collect();
                        sluicegate_events::Failure::new("input", words.join("; "))
                    });
                    Ok(Line { number: number as u64, inputs })
                });
                Ok(Box::new(lines))
            }
        }
    }

    fn new_run(&self, record: &Record) -> NewRun {
        let flow = &self.prepared.flow;
        let asked = match &self.rows {
            Rows::Mapped(_, asked) | Rows::Chosen(_, asked, _) => (*asked).clone(),
            Rows::Inputs { file, .. } => Asked { data: vec![file.clone()], ..Asked::default() },
        };
        let manner = Manner { max_failures: Some(MaxFailures::Percent(100.0)), ..self.manner.clone() };
        NewRun {
            run: self.run.clone(),
            inputs: Map::new(),
            flow: flow.name.clone(),
            flow_path: flow.path.display().to_string(),
            environment: flow.environment.environment_name().map(ToOwned::to_owned),
            hashes: self.prepared.hashes(),
            options: Map::from([
                ("flow", Value::from(flow.name.as_str())),
                (
                    "variant",
                    self.choices.variant.as_ref().map(|one| format!("${{{}.{}}}", one.node, one.variant)).into(),
                ),
                ("evaluation", record.id.as_str().into()),
                ("batch", asked.remembered().into()),
                ("manner", manner.remembered().into()),
                ("connections", nodes_to_map(&self.choices.nodes).into()),
            ]),
        }
    }
}

/// Some lines of the data, in another order.
fn chosen(data: &Data, numbers: &[u64]) -> Result<Lines, CliError> {
    let mut wanted: HashMap<u64, Option<Line>> = numbers.iter().map(|number| (*number, None)).collect();
    for line in data.lines()? {
        match line {
            Ok(line) => {
                if let Some(place) = wanted.get_mut(&line.number) {
                    *place = Some(line);
                }
            }
            Err(cause) => return Ok(Box::new(std::iter::once(Err(cause)))),
        }
    }
    let lines: Vec<_> = numbers.iter().filter_map(|number| wanted.remove(number).flatten()).map(Ok).collect();
    Ok(Box::new(lines.into_iter()))
}

enum Past {
    None,
    Begun,
    Over(Ended),
}

/// What is said where an evaluation cannot go on because it would be another one.
pub(crate) fn changed(id: &str) -> CliError {
    CliError::misused(format!("flow, data, evaluators or rules have changed since evaluation `{id}` began"))
        .hint("begin a new one: scores of both would not be of one thing")
}
