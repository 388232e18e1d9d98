//! `--gate 'f1 >= 0.8'`: rules on the command line, with or without a file.

use std::sync::Arc;

use sluicegate_gate::Policy;
use sluicegate_gate::policy;
use sluicegate_source::{SourceFile, Span};

use super::reader::Reader;
use super::{EvaluationSpec, ReadContext, SpecReading, evaluators, known};
use crate::evaluator::registry;
use sluicegate_source::Problem;

/// Rules that are about no metric.
const NO_METRIC: [&str; 9] =
    ["errors", "cost_per_case", "filtered", "flaky_cases", "p50", "p90", "p95", "p99", "no_regression"];

impl EvaluationSpec {
    /// The evaluation that rules on the command line ask for: each metric that they name is an evaluator.
    ///
    /// # Errors
    /// All problems; the file that they name is called `--gate`.
    pub fn from_flags(flags: &[String], context: &ReadContext<'_>) -> Result<SpecReading, Vec<Problem>> {
        let file = SourceFile::new("--gate", flags.join("\n"));
        Self::empty(&file).with_flags(flags, context)
    }

    /// This evaluation, with rules of the command line besides its own. A rule of the same name is replaced; a metric
    /// that no evaluator gives yet is an evaluator of that name.
    ///
    /// # Errors
    /// All problems; the file that they name is called `--gate`.
    pub fn with_flags(mut self, flags: &[String], context: &ReadContext<'_>) -> Result<SpecReading, Vec<Problem>> {
        let file = SourceFile::new("--gate", flags.join("\n"));
        let mut reader = Reader { file: &file, files: context.files, problems: Vec::new() };
        let mut metrics = self.metrics(&|_| None);
        let mut start = 0;
        for flag in flags {
            let name = flag.split(['<', '>', '=', '≤', '≥', '!']).next().unwrap_or_default().trim();
            let span = Span::new(start, start + flag.len());
            start += flag.len() + 1;
            let is_given = metrics.iter().any(|metric| metric.name.as_str() == name);
            // What is no evaluator is told by the policy's reader, among the metrics that there are.
            if is_given || NO_METRIC.contains(&name) || (registry::find(name).is_none() && !metrics.is_empty()) {
                continue;
            }
            if flag.trim() == name {
                continue;
            }
            if let Some(evaluator) = evaluators::by_name(&mut reader, context, name, span) {
                metrics.extend(evaluator.metrics(None));
                self.evaluators.push(Arc::new(evaluator));
            }
        }
        let mut problems = reader.problems;
        // Without any metric every rule on one would be a second problem of what was told above.
        if !problems.is_empty() {
            return Err(problems);
        }
        match policy::read_flags(flags, known(context, &metrics)) {
            Ok(reading) => {
                problems.extend(reading.warnings);
                let asked = flags.iter().map(|flag| flag.trim());
                merge(&mut self.policy, reading.policy, asked);
            }
            Err(found) => problems.extend(found),
        }
        self.finish(problems)
    }
}

fn merge<'f>(policy: &mut Policy, flags: Policy, mut texts: impl Iterator<Item = &'f str>) {
    if texts.any(|text| text.starts_with("errors")) {
        policy.errors = flags.errors;
    }
    if flags.inconclusive != Policy::default().inconclusive {
        policy.inconclusive = flags.inconclusive;
    }
    for rule in flags.rules {
        match policy.rules.iter_mut().find(|known| known.id == rule.id) {
            Some(known) => *known = rule,
            None => policy.rules.push(rule),
        }
    }
}
