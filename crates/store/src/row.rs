//! What `runs list` shows of a run: a fold of its events, and whether somebody holds its lock.

use jiff::Timestamp;
use sluicegate_events::{Event, EventKind, Failure, LineCounts, RunId, RunStatus, Spent};
use sluicegate_model::Usage;

use crate::LineTotals;

/// What `runs list` shows of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRow {
    /// The run.
    pub id: RunId,
    /// The flow's name; empty if the run broke before it said so.
    pub flow: String,
    /// The environment, if one was named.
    pub environment: Option<String>,
    /// How it stands.
    pub status: ShownStatus,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// Tokens used, of all its processes.
    pub usage: Usage,
    /// What they cost in US dollars; `None`, unknown, if a reply has no price.
    pub cost: Option<f64>,
    /// Why it failed, or what is wrong with its file.
    pub failure: Option<String>,
    /// How many lines stand how, if it is a batch.
    pub lines: Option<LineCounts>,
}

/// How a run stands, as far as its file and its lock tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShownStatus {
    /// A process writes it.
    Running,
    /// Every output is there.
    Completed,
    /// A node failed.
    Failed,
    /// It was stopped, or its process died; it can be resumed.
    Interrupted,
    /// Its file cannot be read.
    Damaged,
}

impl ShownStatus {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Damaged => "damaged",
        }
    }

    /// The status of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Running, Self::Completed, Self::Failed, Self::Interrupted, Self::Damaged]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

impl std::fmt::Display for ShownStatus {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.pad(self.name())
    }
}

/// Which runs to list; the default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Only those of this flow.
    pub flow: Option<String>,
    /// Only those of this environment.
    pub environment: Option<String>,
    /// Only those that stand so.
    pub status: Option<ShownStatus>,
    /// At most so many, the newest.
    pub limit: Option<usize>,
}

impl RunFilter {
    pub(crate) fn admits(&self, row: &RunRow) -> bool {
        self.flow.as_ref().is_none_or(|flow| *flow == row.flow)
            && self.environment.as_ref().is_none_or(|name| Some(name) == row.environment.as_ref())
            && self.status.is_none_or(|status| status == row.status)
    }
}

/// The kinds of events that the fold reads, as SQL has them.
pub(crate) const KINDS: &str = "'run_started', 'batch_started', 'run_resumed', 'batch_finished', 'run_finished'";

/// The fold.
pub(crate) struct Fold {
    row: RunRow,
    /// By the calls of all processes.
    spent: Spent,
    ended: Option<RunStatus>,
    /// How many lines a batch has, and how they ended if it says so.
    lines: Option<u64>,
    counted: Option<LineCounts>,
}

impl Fold {
    pub(crate) fn new(id: RunId) -> Self {
        let row = RunRow {
            id,
            flow: String::new(),
            environment: None,
            status: ShownStatus::Interrupted,
            started: None,
            finished: None,
            usage: Usage::default(),
            cost: None,
            failure: None,
            lines: None,
        };
        Self { row, spent: Spent::default(), ended: None, lines: None, counted: None }
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match &event.kind {
            EventKind::RunStarted { flow, environment, .. } => {
                self.row.flow.clone_from(flow);
                self.row.environment.clone_from(environment);
                self.row.started = Some(event.at);
            }
            EventKind::RunResumed { .. } => {
                self.ended = None;
                self.counted = None;
                self.row.finished = None;
                self.row.failure = None;
            }
            EventKind::BatchStarted { data } => self.lines = Some(data.lines),
            EventKind::BatchFinished { lines } => self.counted = Some(*lines),
            kind @ EventKind::ModelCallFinished { .. } => {
                if let Some(spent) = Spent::of(kind) {
                    self.spent = self.spent.plus(&spent);
                }
            }
            EventKind::RunFinished { status, usage, cost, failure, .. } => {
                self.ended = Some(*status);
                self.row.finished = Some(event.at);
                self.row.usage = *usage;
                self.row.cost = *cost;
                self.row.failure = failure.as_ref().map(|Failure { message, .. }| message.clone());
            }
            _ => {}
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Whether the table of lines knows what the events of the run itself do not say.
    pub(crate) fn needs_lines(&self) -> bool {
        self.lines.is_some() && (self.ended.is_none() || self.counted.is_none())
    }

    /// Takes the table of lines in.
    pub(crate) fn apply_lines(&mut self, totals: &LineTotals) {
        self.spent = self.spent.plus(&totals.all());
        let (completed, failed) = (totals.completed.lines, totals.failed.lines);
        let left = self.lines.unwrap_or(0).saturating_sub(completed + failed);
        self.counted.get_or_insert(LineCounts { completed, failed, left });
    }

    pub(crate) fn row(mut self, is_running: impl FnOnce() -> bool) -> RunRow {
        if self.ended.is_none() {
            (self.row.usage, self.row.cost) = (self.spent.usage, self.spent.cost);
        }
        self.row.lines = self.counted.filter(|_| self.lines.is_some());
        self.row.status = match self.ended {
            Some(RunStatus::Completed) => ShownStatus::Completed,
            Some(RunStatus::Failed) => ShownStatus::Failed,
            Some(RunStatus::Interrupted) => ShownStatus::Interrupted,
            None if is_running() => ShownStatus::Running,
            None => ShownStatus::Interrupted,
        };
        self.row
    }
}
