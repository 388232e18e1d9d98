//! One batch of an evaluation: begun, gone on with, or found to be over.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sluicegate_events::{BatchData, EventKind, LineCounts, RunId, RunStatus, RunSummary, Spent};
use sluicegate_executor::batch::{BatchOptions, BatchPast, BatchStart, Line, MaxFailures, Stopped};
use sluicegate_executor::{Budget, NewRun};
use sluicegate_store::Store;
use sluicegate_value::{Map, Value};

use super::Record;
use crate::batch::{Asked, Data, Manner, Progress, ProgressStyle, nodes_to_map};
use crate::commands::runs::{last_aggregation, store_error};
use crate::error::CliError;
use crate::keepers::Keepers;
use crate::prepared::{Choices, Prepared};
use crate::session::Session;

/// How far apart the journal's commits are at least.
const BETWEEN_COMMITS: Duration = Duration::from_millis(2);

/// What all batches of an evaluation share.
pub(crate) struct Stages<'a> {
    pub(crate) session: &'a Session,
    pub(crate) progress: ProgressStyle,
    /// The most that all of them may spend.
    pub(crate) budget: Option<f64>,
    /// What those before this one spent.
    pub(crate) spent: f64,
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
    /// The share of the money that others need yet.
    pub(crate) reserve: f64,
}

/// What a batch runs over.
pub(crate) enum Rows<'a> {
    /// Rows of the data, mapped.
    Mapped(&'a Data, &'a Asked),
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
        let mut before = (LineCounts { left: recorded.lines, ..LineCounts::default() }, Spent::default());
        let mut past_events = Vec::new();
        let (journal, start) = match self.past(&store)? {
            Past::Over(ended) => {
                stages.spent += ended.spent.cost.unwrap_or_default();
                return Ok(ended);
            }
            Past::None => {
                let journal = self.prepared.new_journal(session, &self.run)?;
                (journal, BatchStart::New { run: self.new_run(record), data: recorded })
            }
            Past::Begun => {
                let (journal, past) = store.resume_batch(&self.run, durability).map_err(store_error)?;
                let hash = past.run_events.iter().rev().find_map(|event| match &event.kind {
                    EventKind::BatchStarted { data } => Some(data.hash.clone()),
                    _ => None,
                });
                if hash.is_some_and(|hash| hash != recorded.hash) {
                    return Err(changed(&record.id));
                }
                let (completed, failed) = (past.totals.completed.lines, past.totals.failed.lines);
                let left = recorded.lines.saturating_sub(completed + failed);
                before = (LineCounts { completed, failed, left }, past.totals.all());
                past_events.clone_from(&past.run_events);
                let mut begun = past.sets.begun;
                past.sets.failed.iter().for_each(|line| {
                    begun.insert(line);
                });
                let start = BatchStart::Resume(BatchPast {
                    events: past.run_events,
                    last_seq: past.last_seq,
                    completed: past.sets.completed,
                    failed: past.sets.failed,
                    begun,
                    spent: past.totals.finished(),
                    spent_on_failed: past.totals.failed.spent,
                    lines: past.lines,
                    failed_again: false,
                    changed: None,
                });
                (journal, start)
            }
        };
        journal.gather(BETWEEN_COMMITS);
        let kept = Keepers::open(session, Some(&store), &self.manner.kept, self.prepared.plan())?;
        let progress = Progress::begin(session.printer(), stages.progress, before.0, before.1);
        let journal = Arc::new(journal);
        let mut engine =
            self.prepared.engine(session, journal, vec![progress.listener()], stages.deploy_traces, &past_events)?;
        engine.kept = kept.replies();
        engine.budget = stages.budget.map(|most| {
            let spent = stages.spent + before.1.cost.unwrap_or_default();
            Arc::new(Budget::new(most * (1.0 - self.reserve), spent, self.manner.assume_tokens))
        });
        let options = BatchOptions {
            lines_at_once: self.prepared.in_flight.saturating_mul(2).max(1),
            max_failures: MaxFailures::Percent(100.0),
            ..BatchOptions::default()
        };
        let lines = self.lines(session)?;
        let report = self.prepared.run_batch(engine, start, lines, options, stages.interrupted.as_mut());
        drop(progress);
        for warning in report.warnings.iter().chain(&kept.close()) {
            session.printer().warn(warning);
        }
        if let Some(failure) = &report.aggregation_failure {
            session.printer().warn(&format!("an aggregation node failed: {}", failure.message));
        }
        if let Some(error) = &report.journal_error {
            return Err(CliError::failed("the journal cannot be written").cause(error.to_string()));
        }
        stages.spent += report.spent.cost.unwrap_or_default();
        let stopped = match (&report.stopped, report.status) {
            (Some(Stopped::Budget(_)), _) => Some(sluicegate_gate::Stopped::Budget),
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
        let Ok(reader) = store.open_run(&self.run) else { return Ok(Past::None) };
        let events = reader.run_events().map_err(store_error)?;
        if !events.iter().any(|event| matches!(event.kind, EventKind::BatchStarted { .. })) {
            // Its process died before its beginning was on disk: there is nothing to go on with.
            drop(reader);
            store.delete(&self.run).map_err(store_error)?;
            return Ok(Past::None);
        }
        let last = events
            .iter()
            .rev()
            .find(|event| matches!(event.kind, EventKind::RunFinished { .. } | EventKind::RunResumed { .. }));
        let is_over = last.is_some_and(
            |event| matches!(event.kind, EventKind::RunFinished { status, .. } if status != RunStatus::Interrupted),
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
            Rows::Mapped(_, asked) => (*asked).clone(),
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
                ("evaluation", record.id.as_str().into()),
                ("batch", asked.remembered().into()),
                ("manner", manner.remembered().into()),
                ("connections", nodes_to_map(&self.choices.nodes).into()),
            ]),
        }
    }
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
