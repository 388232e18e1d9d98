//! What is remembered of runs, for those spans of a run that do not begin with it.

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry::trace::{Link, SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use sluicegate_events::{Event, EventKind, LineCounts, RunId, SpanRef};

use crate::attributes::Attributes;
use crate::names;

/// Runs that are remembered; a process that serves for weeks forgets those that are over.
const MOST_RUNS: usize = 1024;

/// The runs that were heard of.
#[derive(Debug, Default)]
pub(crate) struct Runs(HashMap<RunId, RunFacts>);

/// What is remembered of a run.
#[derive(Debug, Default)]
pub(crate) struct RunFacts {
    flow: Arc<str>,
    environment: Option<Arc<str>>,
    /// The run's own span, recorded or not.
    span: Option<SpanRef>,
    /// How many lines there are, if it is a batch.
    lines: Option<u64>,
    /// How they ended.
    counts: Option<LineCounts>,
    is_over: bool,
}

impl Runs {
    /// Learns what the event tells of its run, whether the run's own span is recorded or not: those of its lines may be.
    pub(crate) fn hear(&mut self, event: &Event) {
        match &event.kind {
            EventKind::RunStarted { flow, environment, .. } => {
                self.make_room();
                let facts = RunFacts {
                    flow: flow.as_str().into(),
                    environment: environment.as_deref().map(Arc::from),
                    span: event.trace,
                    ..RunFacts::default()
                };
                self.0.insert(event.run.clone(), facts);
            }
            EventKind::RunResumed { .. } => self.change(event, |facts| {
                facts.is_over = false;
                facts.counts = None;
            }),
            EventKind::BatchStarted { data } => self.change(event, |facts| facts.lines = Some(data.lines)),
            EventKind::BatchFinished { lines } => self.change(event, |facts| facts.counts = Some(*lines)),
            EventKind::RunFinished { .. } => self.change(event, |facts| facts.is_over = true),
            _ => {}
        }
    }

    /// The name and the attributes of a run's span, or of a line's.
    pub(crate) fn describe(&self, run: &RunId) -> (String, Attributes) {
        let mut attributes = Attributes::default();
        attributes.add(names::SPAN_KIND, "CHAIN");
        attributes.add(names::OPERATION_NAME, "invoke_workflow");
        let Some(facts) = self.0.get(run) else { return ("run".to_owned(), attributes) };
        attributes.add(names::WORKFLOW_NAME, Arc::clone(&facts.flow));
        attributes.add_some(names::ENVIRONMENT, facts.environment.clone());
        (facts.flow.to_string(), attributes)
    }

    /// A batch's lines, as far as is known; nothing for a run of one input.
    pub(crate) fn describe_lines(&self, run: &RunId, attributes: &mut Attributes) {
        let Some(facts) = self.0.get(run) else { return };
        let counts = facts.counts.as_ref();
        attributes.set_count(names::LINES_TOTAL, facts.lines.or_else(|| Some(counts?.total())));
        attributes.set_count(names::LINES_COMPLETED, counts.map(|counts| counts.completed));
        attributes.set_count(names::LINES_FAILED, counts.map(|counts| counts.failed));
    }

    /// The link of a line's span to its batch's: the only tie between two traces.
    pub(crate) fn link(&self, run: &RunId) -> Option<Link> {
        let span = self.0.get(run)?.span?;
        Some(Link::with_context(SpanContext::new(
            TraceId::from(span.trace_id),
            SpanId::from(span.span_id),
            if span.sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED },
            false,
            TraceState::NONE,
        )))
    }

    /// How many runs are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn change(&mut self, event: &Event, change: impl FnOnce(&mut RunFacts)) {
        if let Some(facts) = self.0.get_mut(&event.run) {
            change(facts);
        }
    }

    fn make_room(&mut self) {
        if self.0.len() >= MOST_RUNS {
            self.0.retain(|_, facts| !facts.is_over);
        }
        if self.0.len() >= MOST_RUNS {
            self.0.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use sluicegate_events::{PlanHashes, RunStatus, Scope};
    use sluicegate_model::Usage;
    use sluicegate_value::Map;

    use super::*;

    fn event(run: u32, kind: EventKind) -> Event {
        Event {
            seq: 1,
            at: Timestamp::UNIX_EPOCH,
            run: RunId(run.to_string().into()),
            scope: Scope::default(),
            trace: None,
            redacted: false,
            kind,
        }
    }

    fn started() -> EventKind {
        EventKind::RunStarted {
            flow: "a".into(),
            flow_path: "/a".into(),
            environment: None,
            inputs: Map::new(),
            hashes: PlanHashes::default(),
            options: Map::new(),
        }
    }

    fn finished() -> EventKind {
        let (status, usage) = (RunStatus::Completed, Usage::default());
        EventKind::RunFinished { status, outputs: None, failure: None, usage, cost: None }
    }

    #[test]
    fn a_run_that_goes_on_is_remembered_whatever_comes_and_goes() {
        let mut runs = Runs::default();
        runs.hear(&event(0, started()));
        for run in 1..10_000 {
            runs.hear(&event(run, started()));
            runs.hear(&event(run, finished()));
        }
        assert_eq!(runs.describe(&RunId("0".into())).0, "a");
        assert!(runs.0.len() <= MOST_RUNS);
    }
}
