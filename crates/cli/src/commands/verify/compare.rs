//! One line: what was recorded beside what we have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sluicegate_events::{NodePath, NodeStatus, NodeSummary, RunStatus};
use sluicegate_executor::RunReport;
use sluicegate_flow::plan::{NodeId, Operand, Plan};
use sluicegate_value::Value;

use super::difference::{Difference, differences};
use super::prepare::{Preparation, stand_in_for};
use super::reasons::Reasons;
use super::recorded::{RecordedCall, RecordedEnd, RecordedLine, RunFolder};
use super::replay::Asked;
use super::request::normalized;

/// What came of a line, or of an aggregation node.
#[derive(Debug, Default)]
pub(crate) struct LineResult {
    /// In the order of the flow.
    pub(crate) nodes: Vec<NodeResult>,
    pub(crate) outputs: Compared,
    pub(crate) found: Vec<Found>,
    /// What could not be compared, and why.
    pub(crate) notes: BTreeSet<String>,
}

/// What came of a node.
#[derive(Debug)]
pub(crate) struct NodeResult {
    pub(crate) node: Arc<str>,
    pub(crate) kind: &'static str,
    /// Requests made, and how many of those are as recorded.
    pub(crate) requests: usize,
    pub(crate) same_requests: usize,
    pub(crate) output: Compared,
}

/// What came of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Compared {
    /// There was nothing to compare.
    #[default]
    Not,
    Same,
    Different,
}

/// A difference, with its place and its reason.
#[derive(Debug)]
pub(crate) struct Found {
    /// `None`: the flow itself.
    pub(crate) node: Option<Arc<str>>,
    pub(crate) what: What,
    /// Empty for the whole.
    pub(crate) path: String,
    pub(crate) recorded: Option<Value>,
    pub(crate) ours: Option<Value>,
    pub(crate) reason: Option<String>,
}

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// How it ended.
    Status,
    /// What was asked of a model.
    Request,
    /// What it gave.
    Output,
    /// What it logged over all lines.
    Metric,
}

impl What {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Request => "request",
            Self::Output => "output",
            Self::Metric => "metric",
        }
    }
}

impl LineResult {
    pub(crate) fn is_different(&self) -> bool {
        !self.found.is_empty()
    }

    /// Whether anything at all was compared.
    pub(crate) fn is_measured(&self) -> bool {
        self.is_different()
            || self.outputs != Compared::Not
            || self.nodes.iter().any(|node| node.output != Compared::Not || node.requests > 0)
    }
}

/// What is compared with what.
pub(crate) struct Comparison<'a> {
    pub(crate) run: &'a RunFolder,
    pub(crate) preparation: &'a Preparation<'a>,
    pub(crate) reasons: &'a Reasons<'a>,
    /// The calls that our run was answered with.
    pub(crate) calls: &'a [RecordedCall],
    pub(crate) asked: &'a [Asked],
}

impl Comparison<'_> {
    /// Compares a line.
    pub(crate) fn line(&self, number: u64, recorded: &RecordedLine, ours: &RunReport) -> LineResult {
        let mut result = LineResult::default();
        let plan = self.preparation.plan();
        for node in plan.nodes.iter().filter(|node| !node.aggregation) {
            let mut of_node = NodeResult {
                node: node.name.0.clone(),
                kind: node.kind.word(),
                requests: 0,
                same_requests: 0,
                output: Compared::Not,
            };
            self.requests(Some(&node.name.0), &mut of_node, &mut result);
            if !self.preparation.is_stand_in(node) {
                let summary = ours.summary.nodes.get(&NodePath::default().child(&node.name));
                of_node.output = self.output(number, &node.name.0, summary, &mut result);
            }
            result.nodes.push(of_node);
        }
        let mut of_code =
            NodeResult { node: "".into(), kind: "", requests: 0, same_requests: 0, output: Compared::Not };
        self.requests(None, &mut of_code, &mut result);
        if of_code.requests > 0 {
            result.nodes.push(of_code);
        }
        if ours.status == RunStatus::Completed {
            self.calls_not_made(&mut result);
        }
        self.outputs(recorded, ours, &mut result);
        self.give_reasons(plan, &mut result);
        result
    }

    /// Compares what a node asked for with what it had asked for then.
    pub(crate) fn requests(&self, node: Option<&Arc<str>>, tally: &mut NodeResult, result: &mut LineResult) {
        let inside = |of: &Arc<str>| node.is_some_and(|node| of.starts_with(&format!("{node}/")));
        let is_its = |asked: &&Asked| match (&asked.node, node) {
            (Some(of), Some(node)) => of == node || inside(of),
            (None, None) => true,
            _ => false,
        };
        for asked in self.asked.iter().filter(is_its) {
            tally.requests += 1;
            let recorded = asked.answered_by.and_then(|position| self.calls.get(position));
            let found = match recorded {
                Some(call) => {
                    let then = Value::from(normalized(call.asking, &call.request));
                    self.without_unset(differences(&then, &asked.request.clone().into()), asked, &mut result.notes)
                }
                None => {
                    vec![Difference { path: String::new(), recorded: None, ours: Some(asked.request.clone().into()) }]
                }
            };
            tally.same_requests += usize::from(found.is_empty());
            result.found.extend(found.into_iter().map(|found| Found {
                reason: self.reasons.of_request(asked.node.as_deref(), &found, recorded, &asked.request),
                node: asked.node.clone(),
                what: What::Request,
                path: found.path,
                recorded: found.recorded,
                ours: found.ours,
            }));
        }
    }

    /// What hangs on a variable that nobody has set cannot be compared.
    fn without_unset(&self, found: Vec<Difference>, asked: &Asked, notes: &mut BTreeSet<String>) -> Vec<Difference> {
        let unset = self.preparation.unset();
        let hangs_on = |found: &Difference| {
            let text = found.ours.as_ref().and_then(Value::as_str)?;
            unset.iter().find(|variable| text.contains(&stand_in_for(variable)))
        };
        found
            .into_iter()
            .filter(|found| {
                let Some(variable) = hangs_on(found) else { return true };
                let node = asked.node.as_deref().unwrap_or("a Python node");
                notes.insert(format!(
                    "`{}` of what node `{node}` asks is not compared: variable `{variable}` is not set",
                    found.path
                ));
                false
            })
            .collect()
    }

    fn output(&self, line: u64, node: &Arc<str>, ours: Option<&NodeSummary>, result: &mut LineResult) -> Compared {
        let Some(recorded) = self.run.node(line, node) else {
            return Compared::Not;
        };
        let Some(end) = &recorded.end else { return Compared::Not };
        let status = ours.map_or(NodeStatus::Pending, |ours| ours.status);
        match (end, status) {
            (RecordedEnd::Completed, NodeStatus::Completed) => {
                let output = ours.and_then(|ours| ours.output.clone()).unwrap_or_default();
                let found = differences(&recorded.output, &output);
                let compared = if found.is_empty() { Compared::Same } else { Compared::Different };
                result.found.extend(found.into_iter().map(|found| Found {
                    node: Some(node.clone()),
                    what: What::Output,
                    path: found.path,
                    recorded: found.recorded,
                    ours: found.ours,
                    reason: None,
                }));
                compared
            }
            (RecordedEnd::Bypassed, NodeStatus::Bypassed) | (RecordedEnd::Failed(_), NodeStatus::Failed) => {
                Compared::Same
            }
            // A node that was stopped, or never begun, since another one failed.
            (_, NodeStatus::Pending | NodeStatus::Cancelled) if result_failed_before(result) => Compared::Not,
            (then, now) => {
                let failure = ours.and_then(|ours| ours.failure.as_ref());
                result.found.push(Found {
                    node: Some(node.clone()),
                    what: What::Status,
                    path: String::new(),
                    recorded: Some(told_end(then)),
                    ours: Some(told_status(now, failure.map(|failure| failure.message.as_str()))),
                    reason: None,
                });
                Compared::Different
            }
        }
    }

    /// Calls that were made then and not now.
    fn calls_not_made(&self, result: &mut LineResult) {
        let made: BTreeSet<usize> = self.asked.iter().filter_map(|asked| asked.answered_by).collect();
        let plan = self.preparation.plan();
        for (_, call) in self.calls.iter().enumerate().filter(|(index, _)| !made.contains(index)) {
            let known = call.node.as_deref().and_then(|name| plan.find(name)).map(|id| plan.node(id));
            let is_of_stand_in = match known {
                Some(node) => self.preparation.is_stand_in(node),
                None => plan.nodes.iter().any(|node| self.preparation.is_stand_in(node)),
            };
            if is_of_stand_in || call.error.is_some() {
                continue;
            }
            let then = normalized(call.asking, &call.request);
            result.found.push(Found {
                node: call.node.clone(),
                what: What::Request,
                path: String::new(),
                recorded: Some(then.into()),
                ours: None,
                reason: Some("the recorded call was not made".to_owned()),
            });
        }
    }

    fn outputs(&self, recorded: &RecordedLine, ours: &RunReport, result: &mut LineResult) {
        let completed_then = match (&recorded.end, &recorded.outputs) {
            (Some(RecordedEnd::Completed), _) | (None, Some(_)) => true,
            (Some(_), _) => false,
            (None, None) => {
                result.notes.insert("nothing tells how the line ended".to_owned());
                return;
            }
        };
        let completed_now = ours.status == RunStatus::Completed;
        if completed_then != completed_now {
            let failed = RecordedEnd::Failed(String::new());
            let end = recorded.end.as_ref().unwrap_or(if completed_then { &RecordedEnd::Completed } else { &failed });
            let message = ours.failure.as_ref().map(|failure| match &ours.failed_node {
                Some(node) => format!("node `{node}`: {}", failure.message),
                None => failure.message.clone(),
            });
            let status = if completed_now { NodeStatus::Completed } else { NodeStatus::Failed };
            result.outputs = Compared::Different;
            result.found.push(Found {
                node: None,
                what: What::Status,
                path: String::new(),
                recorded: Some(told_end(end)),
                ours: Some(told_status(status, message.as_deref())),
                reason: None,
            });
            return;
        }
        if !completed_now {
            result.outputs = Compared::Same;
            return;
        }
        let Some(then) = &recorded.outputs else { return };
        let now = ours.outputs.clone().unwrap_or_default();
        let found = differences(&then.clone().into(), &now.into());
        result.outputs = if found.is_empty() { Compared::Same } else { Compared::Different };
        result.found.extend(found.into_iter().map(|found| Found {
            node: None,
            what: What::Output,
            path: found.path,
            recorded: found.recorded,
            ours: found.ours,
            reason: None,
        }));
    }

    /// What differs where another difference goes in is that one's doing.
    fn give_reasons(&self, plan: &Plan, result: &mut LineResult) {
        // Not by an own change only: a request that differs is answered as recorded, and its node's output is the same.
        let roots: BTreeMap<NodeId, Arc<str>> = result
            .found
            .iter()
            .filter(|found| found.what != What::Request)
            .filter_map(|found| Some((plan.find(found.node.as_deref()?)?, found.node.clone()?)))
            .collect();
        let ran_otherwise = result.found.iter().any(|found| found.what == What::Request);
        for found in &mut result.found {
            let own = found.node.as_deref().and_then(|name| plan.find(name));
            let above = match (own, found.node.is_some()) {
                (Some(own), _) => ancestors(plan, plan.node(own).operands().filter_map(Operand::node).collect()),
                (None, true) => BTreeSet::new(),
                (None, false) => {
                    let output = found.path.split(['.', '[']).next().unwrap_or_default();
                    let of_output = plan.outputs.get(output).and_then(|output| output.from.node());
                    match (found.what, of_output) {
                        (What::Output, Some(node)) => ancestors(plan, BTreeSet::from([node])),
                        _ => roots.keys().copied().collect(),
                    }
                }
            };
            let cause = roots.iter().find(|(id, _)| above.contains(id) && Some(**id) != own).map(|(_, name)| name);
            if let Some(cause) = cause {
                found.reason = Some(format!("what node `{cause}` gives differs"));
            } else if found.reason.is_none() {
                found.reason = self.reasons.of_end(found, ran_otherwise);
            }
        }
    }
}

/// Whether a difference or a failure before this one explains that a node did not run.
fn result_failed_before(result: &LineResult) -> bool {
    result.found.iter().any(|found| found.what == What::Status)
}

/// The nodes and all that they wait for.
fn ancestors(plan: &Plan, mut wanted: BTreeSet<NodeId>) -> BTreeSet<NodeId> {
    let mut found = BTreeSet::new();
    while let Some(node) = wanted.pop_first() {
        if found.insert(node) {
            wanted.extend(plan.node(node).operands().filter_map(Operand::node));
        }
    }
    found
}

fn told_end(end: &RecordedEnd) -> Value {
    match end {
        RecordedEnd::Completed => "completed".into(),
        RecordedEnd::Bypassed => "bypassed".into(),
        RecordedEnd::Failed(message) if message.is_empty() => "failed".into(),
        RecordedEnd::Failed(message) => format!("failed: {message}").into(),
    }
}

fn told_status(status: NodeStatus, message: Option<&str>) -> Value {
    match message {
        Some(message) => format!("{}: {message}", status.word()).into(),
        None => status.word().into(),
    }
}
