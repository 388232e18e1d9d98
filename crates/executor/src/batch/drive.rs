//! The batch's own task: it admits lines, takes their reports, and says how the whole ended.

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use sluicegate_events::{
    Event, EventKind, Failure, JournalError, LineCounts, LineEnd, LineSet, RunStatus, Scope, SpanRef, Spent,
};
use sluicegate_flow::bind::BoundPlan;
use sluicegate_value::{Map, Value};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{BatchOptions, BatchPast, BatchReport, BatchStart, Line, LineFailed, Stopped};
use crate::budget::BudgetEnd;
use crate::engine::{Engine, LineKey};
use crate::ledger::{Ledger, Sequence};
use crate::progress::{ForAggregation, Progress, Shape};
use crate::run::{LineReport, LineStart, Shared, Stop, aggregate, run_line};
use crate::spans::Spans;

/// How many rows are looked at before something else has its turn: most rows of a batch that goes on are over.
const ROWS_AT_A_TIME: usize = 256;

/// How many failed lines a report names.
const MOST_FAILURES_TOLD: usize = 20;

/// Runs a flow over lines, or goes on with a batch whose process is gone.
///
/// `lines` gives rows in the order of their numbers, also those that are over: they are passed by. It is asked for a line
/// when there is room for one. An `Err` ends the batch: the data cannot be read any more. When `interrupt` completes,
/// nothing more is begun, and what runs is stopped so that a resume can go on with it.
///
/// Must be called within a tokio runtime: each line is a task of its own.
pub async fn run_batch(
    engine: Arc<Engine>,
    plan: &BoundPlan,
    start: BatchStart,
    lines: impl Iterator<Item = Result<Line, String>>,
    options: BatchOptions,
    interrupt: impl Future<Output = ()>,
) -> BatchReport {
    let shape = Shape::of(plan.plan());
    let (mut batch, ledger) = Batch::begin(&engine, shape, start, options);
    match batch.keep(ledger).await {
        Ok(()) => batch.drive(lines, pin!(interrupt)).await,
        Err(error) => batch.end_without_journal(error),
    }
}

struct Batch {
    engine: Arc<Engine>,
    shared: Shared,
    root: SpanRef,
    options: BatchOptions,
    past: Option<BatchPast>,
    tasks: JoinSet<LineReport>,
    /// Tells lines to stop.
    stop: watch::Sender<bool>,
    stopped: Option<Stopped>,
    total: u64,
    completed: LineSet,
    failed: LineSet,
    failures: BTreeMap<u64, LineFailed>,
    spent: Spent,
    /// What lines used that are not over.
    spent_on_cancelled: Spent,
    /// What aggregation nodes read, by line.
    values: BTreeMap<u64, Vec<Result<Value, Failure>>>,
    repeated_calls: u64,
    repeated_nodes: u64,
    journal_error: Option<JournalError>,
}

impl Batch {
    fn begin(engine: &Arc<Engine>, shape: Shape, start: BatchStart, options: BatchOptions) -> (Self, Vec<Event>) {
        let plan_name = shape.plan().name.to_string();
        let for_aggregation = ForAggregation::of(&shape);
        let (run, sequence, root, kinds, total, past) = match start {
            BatchStart::New { run, data } => {
                let parent = engine.options.parent;
                let trace_id = parent.map_or_else(crate::spans::random, |parent| parent.trace_id);
                let mut spans = Spans::new(trace_id, (engine.options.sample)(parent, trace_id));
                let root = spans.next(parent.map(|parent| parent.span_id));
                let total = data.lines;
                let started = EventKind::RunStarted {
                    flow: if run.flow.is_empty() { plan_name } else { run.flow },
                    flow_path: run.flow_path,
                    environment: run.environment,
                    inputs: Map::new(),
                    hashes: run.hashes,
                    options: run.options,
                };
                let kinds = vec![started, EventKind::BatchStarted { data }];
                (run.run, Sequence::after(0), root, kinds, total, None)
            }
            BatchStart::Resume(past) => {
                let first = past.events.first();
                let trace = first.and_then(|event| event.trace);
                let (trace_id, sampled) =
                    trace.map_or_else(|| (crate::spans::random(), false), |span| (span.trace_id, span.sampled));
                let root = Spans::new(trace_id, sampled).next(trace.map(|span| span.span_id));
                let run = first.map_or_else(|| sluicegate_events::RunId("".into()), |event| event.run.clone());
                let total = past.events.iter().rev().find_map(|event| match &event.kind {
                    EventKind::BatchStarted { data } => Some(data.lines),
                    _ => None,
                });
                // How many calls are repeated, each line says itself.
                let mut kinds = vec![EventKind::RunResumed { repeated_calls: 0, repeated_nodes: 0 }];
                let total = past.changed.as_ref().map(|data| data.lines).or(total).unwrap_or_default();
                kinds.extend(past.changed.clone().map(|data| EventKind::BatchStarted { data }));
                (run, Sequence::after(past.last_seq), root, kinds, total, Some(past))
            }
        };
        let mut batch = Self {
            engine: engine.clone(),
            shared: Shared { run, shape, sequence, for_aggregation },
            root,
            options,
            tasks: JoinSet::new(),
            stop: watch::Sender::new(false),
            stopped: None,
            total,
            completed: LineSet::default(),
            failed: LineSet::default(),
            failures: BTreeMap::new(),
            spent: Spent::default(),
            spent_on_cancelled: Spent::default(),
            values: BTreeMap::new(),
            repeated_calls: 0,
            repeated_nodes: 0,
            journal_error: None,
            past: None,
        };
        if let Some(past) = past {
            batch.completed = past.completed.clone();
            batch.spent = past.spent;
            match past.failed_again {
                // What was spent on them is counted when they are over again.
                true => batch.spent = minus(past.spent, past.spent_on_failed),
                false => batch.failed = past.failed.clone(),
            }
            batch.past = Some(past);
        }
        let events = kinds.into_iter().map(|kind| batch.event(kind)).collect();
        (batch, events)
    }

    fn event(&self, kind: EventKind) -> Event {
        self.ledger().event(Scope::default(), Some(self.root), kind)
    }

    fn ledger(&self) -> Ledger<'_> {
        Ledger::new(&self.engine, self.shared.run.clone(), LineKey::default(), self.shared.sequence.clone())
    }

    /// Keeps events of the batch as a whole, and waits until they are kept.
    async fn keep(&mut self, events: Vec<Event>) -> Result<(), JournalError> {
        let kept = {
            let mut ledger = self.ledger();
            let kept: Vec<Event> = events.into_iter().map(|event| ledger.record(event, false).clone()).collect();
            ledger.flush();
            ledger.acked().await?;
            kept
        };
        // Aggregation nodes that go on are told of the resume, too.
        if let Some(past) = &mut self.past {
            past.events.extend(kept);
        }
        Ok(())
    }

    async fn drive(
        mut self,
        lines: impl Iterator<Item = Result<Line, String>>,
        mut interrupt: Pin<&mut impl Future<Output = ()>>,
    ) -> BatchReport {
        let mut lines = lines.fuse();
        let mut more = true;
        let mut over = pin!(time_over(self.options.timeout));
        let engine = self.engine.clone();
        let mut paid_out = pin!(async {
            match &engine.budget {
                Some(budget) => budget.is_over().await,
                None => std::future::pending().await,
            }
        });
        let width = self.options.lines_at_once.max(1);
        loop {
            let mut rows = 0;
            while more && rows < ROWS_AT_A_TIME && self.admits(width) {
                rows += 1;
                match lines.next() {
                    Some(Ok(line)) => self.admit(line),
                    Some(Err(why)) => self.stop(Stopped::Data(why)),
                    None => more = false,
                }
            }
            let admits = more && self.admits(width);
            if self.tasks.is_empty() && !admits {
                break;
            }
            tokio::select! {
                biased;
                () = &mut interrupt, if self.stopped.is_none() => self.stop(Stopped::Interrupted),
                end = &mut paid_out, if self.stopped.is_none() => self.stop(Stopped::Budget(end)),
                () = &mut over, if self.stopped.is_none() => self.stop(Stopped::TimedOut),
                Some(done) = self.tasks.join_next() => match done {
                    Ok(report) => self.line_over(report),
                    // A defect of the engine ends the batch as it would end a run.
                    Err(error) => match error.try_into_panic() {
                        Ok(panic) => std::panic::resume_unwind(panic),
                        Err(_) => self.stop(Stopped::Interrupted),
                    },
                },
                () = tokio::task::yield_now(), if admits => {}
            }
        }
        if let Some(error) = self.journal_error.take() {
            return self.end_without_journal(error);
        }
        self.finish(interrupt).await
    }

    fn admits(&self, width: usize) -> bool {
        self.stopped.is_none() && self.journal_error.is_none() && self.tasks.len() < width
    }

    fn admit(&mut self, line: Line) {
        let Line { number, inputs } = line;
        if self.completed.contains(number) || self.failed.contains(number) {
            return;
        }
        let mut past = Vec::new();
        if let Some(recorded) = self.past.as_ref().filter(|recorded| recorded.begun.contains(number)) {
            match recorded.lines.events_of(number, 0) {
                Ok(events) => past = events,
                Err(error) => {
                    self.journal_error.get_or_insert(error);
                    let _ = self.stop.send(true);
                    return;
                }
            }
        }
        let start = LineStart { key: LineKey { line: Some(number), repeat: 0 }, inputs, past };
        let (engine, shared, mut stop) = (self.engine.clone(), self.shared.clone(), self.stop.subscribe());
        let timeout = self.options.line_timeout;
        self.tasks.spawn(async move {
            let stopped = async move {
                // Without a sender nobody will stop it any more, and nobody waits for it either.
                let told = async {
                    let _ = stop.wait_for(|stop| *stop).await;
                };
                match timeout {
                    None => {
                        told.await;
                        Stop::Interrupted
                    }
                    Some(timeout) => match tokio::time::timeout(timeout, told).await {
                        Ok(()) => Stop::Interrupted,
                        Err(_) => Stop::TimedOut(timeout),
                    },
                }
            };
            // Boxed within the task: what is spawned is moved several times, and a line is large.
            Box::pin(run_line(&engine, &shared, start, stopped)).await
        });
    }

    fn stop(&mut self, why: Stopped) {
        self.stopped.get_or_insert(why);
        let _ = self.stop.send(true);
    }

    fn line_over(&mut self, report: LineReport) {
        let LineReport { key, end, spent, values, repeated_calls, repeated_nodes, journal_error } = report;
        if let Some(error) = journal_error {
            self.journal_error.get_or_insert(error);
            let _ = self.stop.send(true);
        }
        let number = key.line.unwrap_or_default();
        self.repeated_calls += u64::from(repeated_calls);
        self.repeated_nodes += u64::from(repeated_nodes);
        match end {
            LineEnd::Completed { .. } => {
                self.completed.insert(number);
                self.spent = self.spent.plus(&spent);
                if let Some(values) = values {
                    self.values.insert(number, values);
                }
            }
            LineEnd::Failed { failure, node } => {
                self.failed.insert(number);
                self.spent = self.spent.plus(&spent);
                self.failures.insert(number, LineFailed { line: number, node, failure });
                if self.failures.len() > MOST_FAILURES_TOLD {
                    self.failures.pop_last();
                }
                if self.options.fail_fast && !self.options.max_failures.allows(self.failed.len(), self.total) {
                    self.stop(Stopped::TooManyFailures);
                }
            }
            LineEnd::Cancelled => self.spent_on_cancelled = self.spent_on_cancelled.plus(&spent),
        }
    }

    /// All lines are over, or nothing more may be begun.
    async fn finish(mut self, mut interrupt: Pin<&mut impl Future<Output = ()>>) -> BatchReport {
        let lines = self.counts();
        let mut aggregation = None;
        if self.stopped.is_none()
            && lines.left == 0
            && let Some(wanted) = self.shared.for_aggregation.clone()
        {
            match self.aggregate(&wanted, &mut interrupt).await {
                Ok(done) => aggregation = Some(done),
                Err(error) => return self.end_without_journal(error),
            }
        }
        if aggregation.as_ref().is_some_and(|(status, ..)| *status == RunStatus::Interrupted) {
            self.stopped.get_or_insert(Stopped::Interrupted);
        }
        let (status, failure) = self.verdict(&lines);
        let mut spent = self.spent.plus(&self.spent_on_cancelled);
        if let Some((_, _, summary)) = &aggregation {
            spent = spent.plus(&Spent { usage: summary.usage(), cost: summary.cost() });
        }
        let finished = EventKind::RunFinished {
            status,
            outputs: None,
            failure: failure.clone(),
            usage: spent.usage,
            cost: spent.cost,
        };
        let events = vec![self.event(EventKind::BatchFinished { lines }), self.event(finished)];
        if let Err(error) = self.keep(events).await {
            return self.end_without_journal(error);
        }
        let mut report = self.report(status, failure, spent);
        if let Some((_, failure, summary)) = aggregation {
            report.aggregation_failure = failure;
            report.metrics = summary.metrics;
            report.aggregation =
                summary.nodes.iter().map(|(path, node)| (path.to_string(), node.status.word())).collect();
        }
        report
    }

    async fn aggregate(
        &mut self,
        wanted: &ForAggregation,
        interrupt: &mut Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(RunStatus, Option<Failure>, sluicegate_events::RunSummary), JournalError> {
        if let Some(past) = &self.past {
            for number in past.completed.iter() {
                let mut line = Progress::of(&self.shared.shape, Map::new());
                let events = past.lines.events_of(number, 0)?;
                let inputs = events.iter().rev().find_map(|event| match &event.kind {
                    EventKind::LineStarted { inputs } => Some(inputs.clone()),
                    _ => None,
                });
                if let Some(inputs) = inputs {
                    line = Progress::of(&self.shared.shape, inputs);
                }
                crate::run::take_line(&mut line, &events);
                self.values.insert(number, wanted.values(&line));
            }
        }
        let values: Vec<_> = std::mem::take(&mut self.values).into_values().collect();
        let lines = values.len() as u64;
        // What earlier processes did of the same aggregation counts.
        let begun = |event: &Event| matches!(event.kind, EventKind::AggregationStarted { lines: of } if of == lines);
        let past: Vec<Event> = match &self.past {
            Some(past) => {
                let from =
                    past.events.iter().rposition(|event| matches!(event.kind, EventKind::AggregationStarted { .. }));
                from.filter(|from| begun(&past.events[*from]))
                    .map(|from| past.events[from..].to_vec())
                    .unwrap_or_default()
            }
            None => Vec::new(),
        };
        if past.is_empty() {
            let started = self.event(EventKind::AggregationStarted { lines });
            self.keep(vec![started]).await?;
        }
        let stop = async {
            interrupt.await;
            Stop::Interrupted
        };
        let done = aggregate(&self.engine, &self.shared, self.root, wanted.progress(values), &past, stop).await;
        match done.journal_error {
            Some(error) => Err(error),
            None => Ok((done.status, done.failure, done.summary)),
        }
    }

    fn counts(&self) -> LineCounts {
        let (completed, failed) = (self.completed.len(), self.failed.len());
        LineCounts { completed, failed, left: self.total.saturating_sub(completed + failed) }
    }

    fn verdict(&self, lines: &LineCounts) -> (RunStatus, Option<Failure>) {
        let failed = self.failed_words(lines);
        match &self.stopped {
            Some(Stopped::Interrupted) => (RunStatus::Interrupted, None),
            Some(Stopped::Budget(end)) => {
                let failure = match end {
                    BudgetEnd::Reached => {
                        Failure::new("budget", "the next call might cost more than the budget has left")
                            .hint("what is done is kept: go on by `sluicegate batch --resume RUN --budget USD`, or `none`")
                    }
                    BudgetEnd::Unpriced(model) => {
                        Failure::new("budget", format!("`{model}` has no price, so nobody knows what its calls cost"))
                            .hint("give it one under `prices:` in config/config.yaml, or go on by `sluicegate batch --resume RUN --budget none`")
                    }
                };
                (RunStatus::Interrupted, Some(failure))
            }
            Some(Stopped::TimedOut) => {
                let why = format!("the batch was not done within {:?}", self.options.timeout.unwrap_or_default());
                (RunStatus::Failed, Some(Failure::new("timeout", why).hint("resume it, or raise `--timeout`")))
            }
            Some(Stopped::Data(why)) => (RunStatus::Failed, Some(Failure::new("data", why.clone()))),
            Some(Stopped::TooManyFailures) => (RunStatus::Failed, failed),
            None if !self.options.max_failures.allows(lines.failed, lines.total()) => (RunStatus::Failed, failed),
            None if lines.left > 0 => {
                let why = format!("{} of {} lines are missing in the data", lines.left, lines.total());
                (RunStatus::Failed, Some(Failure::new("data", why)))
            }
            None => (RunStatus::Completed, None),
        }
    }

    fn failed_words(&self, lines: &LineCounts) -> Option<Failure> {
        let mut words = format!("{} of {} lines failed", lines.failed, lines.total());
        if let Some(LineFailed { line, node, failure }) = self.failures.values().next() {
            let node = if node.is_root() { String::new() } else { format!(", node `{node}`") };
            words += &format!("; the first: line {line}{node}: {}", failure.message);
        }
        (lines.failed > 0).then(|| Failure::new("lines_failed", words))
    }

    fn report(self, status: RunStatus, failure: Option<Failure>, spent: Spent) -> BatchReport {
        BatchReport {
            run: self.shared.run.clone(),
            trace_id: self.root.trace_id,
            status,
            failure,
            lines: self.counts(),
            stopped: self.stopped,
            failures: self.failures.into_values().collect(),
            spent,
            metrics: IndexMap::new(),
            aggregation: Vec::new(),
            aggregation_failure: None,
            repeated_calls: self.repeated_calls,
            repeated_nodes: self.repeated_nodes,
            journal_error: None,
            warnings: self.engine.listeners.finish(),
        }
    }

    fn end_without_journal(self, error: JournalError) -> BatchReport {
        let spent = self.spent.plus(&self.spent_on_cancelled);
        let failure = Failure::new("journal", error.to_string())
            .hint("what was recorded before is kept; make room and resume the batch");
        BatchReport { journal_error: Some(error), ..self.report(RunStatus::Failed, Some(failure), spent) }
    }
}

async fn time_over(after: Option<Duration>) {
    match after {
        Some(after) => tokio::time::sleep(after).await,
        None => std::future::pending().await,
    }
}

/// What is left of `all` without a part of it.
fn minus(all: Spent, part: Spent) -> Spent {
    let less = |all: Option<u64>, part: Option<u64>| all.map(|all| all.saturating_sub(part.unwrap_or_default()));
    let usage = sluicegate_model::Usage {
        input_tokens: less(all.usage.input_tokens, part.usage.input_tokens),
        output_tokens: less(all.usage.output_tokens, part.usage.output_tokens),
        cached_input_tokens: less(all.usage.cached_input_tokens, part.usage.cached_input_tokens),
        reasoning_tokens: less(all.usage.reasoning_tokens, part.usage.reasoning_tokens),
    };
    Spent { usage, cost: all.cost.zip(part.cost).map(|(all, part)| (all - part).max(0.0)) }
}
