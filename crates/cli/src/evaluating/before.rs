//! Said before anything is paid for: what the comparisons can see, and about what it costs.

use sluicegate_evaluate::{EvaluationSpec, Work};
use sluicegate_gate::plan::{PowerLine, before_spending};
use sluicegate_gate::{Arm, Receipt};

use super::{Baseline, Limits};
use crate::terminal::{Printer, harmless};

/// What is known before anything is paid for.
pub(crate) struct BeforeSpending {
    /// What each comparison can see; empty where there is nothing to compare with.
    power: Vec<PowerLine>,
    cases: u64,
    answers: u64,
    estimate: Estimate,
}

/// What an evaluation costs at list price, if its answers cost what those of the baseline did.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Estimate {
    Usd { target: f64, judges: f64 },
    Unknown,
}

impl BeforeSpending {
    pub(crate) fn of(spec: &EvaluationSpec, baseline: &Baseline, cases: u64, repeats: u32) -> Self {
        let receipt = baseline.receipt.as_ref();
        let evidence = receipt.and_then(|receipt| receipt.evidence.as_ref());
        // The first evaluation of all has nothing to compare with, and must be able to begin.
        let compares = evidence.is_some() || baseline.run.is_some();
        let power = if compares { before_spending(&spec.policy, evidence, cases, repeats) } else { Vec::new() };
        let answers = cases * u64::from(repeats.max(1));
        Self { power, cases, answers, estimate: estimate(spec, receipt, answers) }
    }

    /// Why nothing may be spent, if a rule requires more power than there is.
    pub(crate) fn refusal(&self) -> Option<String> {
        let refusing: Vec<String> = self
            .power
            .iter()
            .filter(|line| line.refuses())
            .map(|line| format!("rule `{}`: {}", line.rule, line.words))
            .collect();
        (!refusing.is_empty()).then(|| refusing.join("; "))
    }

    /// Tells people.
    pub(crate) fn tell(&self, printer: &Printer, limits: &Limits) {
        for (is_warning, line) in self.lines(limits) {
            let line = harmless(&line);
            if is_warning { printer.warn(&line) } else { printer.say(&line) }
        }
    }

    /// Lines for people, and whether each is a warning.
    fn lines(&self, limits: &Limits) -> Vec<(bool, String)> {
        let mut lines: Vec<(bool, String)> = self
            .power
            .iter()
            .filter(|line| !line.refuses())
            .map(|line| (!line.suffices(), format!("rule `{}`: {}", line.rule, line.words)))
            .collect();
        let answers = match self.answers {
            answers if answers == self.cases => format!("{answers} answers"),
            answers => format!("{answers} answers to {} cases", self.cases),
        };
        match (self.estimate, limits.usd) {
            (Estimate::Usd { target, judges }, most) => {
                let all = target + judges;
                let judges = if judges > 0.0 { format!(", ${judges:.2} of it for judges") } else { String::new() };
                let words = format!("{answers} cost about ${all:.2}{judges}, as those of the baseline did");
                match most {
                    Some(most) if all > most => lines.push((true, format!("{words}: more than the budget of ${most}"))),
                    _ => lines.push((false, words)),
                }
            }
            (Estimate::Unknown, Some(most)) => {
                lines.push((false, format!("what {answers} cost is not known yet: ${most} at most")));
            }
            (Estimate::Unknown, None) => {}
        }
        lines
    }
}

fn estimate(spec: &EvaluationSpec, receipt: Option<&Receipt>, answers: u64) -> Estimate {
    let Some(arm) = receipt.and_then(|receipt| Some(&receipt.evidence.as_ref()?.candidate)) else {
        return Estimate::Unknown;
    };
    let planned: Vec<_> = arm.cases.iter().filter(|case| !case.confirming && !case.outcome.is_error()).collect();
    let costs: Option<Vec<f64>> = planned.iter().map(|case| case.cost_usd).collect();
    match costs.filter(|costs| !costs.is_empty()) {
        Some(costs) => {
            let each = costs.iter().sum::<f64>() / costs.len() as f64;
            let judges = judges_each(spec, arm, planned.len()) * answers as f64;
            Estimate::Usd { target: each * answers as f64, judges }
        }
        None => Estimate::Unknown,
    }
}

/// What judges cost for each answer.
fn judges_each(spec: &EvaluationSpec, arm: &Arm, answers: usize) -> f64 {
    let asks = |name: &str| {
        let of_name = spec.evaluators.iter().find(|evaluator| &*evaluator.name == name);
        of_name.is_some_and(|evaluator| evaluator.work() != Work::Pure)
    };
    let confirming: Vec<_> =
        arm.cases.iter().filter(|case| case.confirming).map(|case| (&case.key, case.repeat)).collect();
    // An evaluator of several metrics tells its cost with each.
    let mut seen = std::collections::BTreeSet::new();
    let costs = arm.scores.iter().filter(|score| {
        asks(&score.evaluator)
            && !confirming.contains(&(&score.case, score.repeat))
            && seen.insert((&score.case, score.repeat, score.judge_repeat, &score.evaluator))
    });
    costs.filter_map(|score| score.cost_usd).sum::<f64>() / answers.max(1) as f64
}
