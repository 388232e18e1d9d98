//! Pull requests that never were: pipelines whose truth is known, and what the gate makes of them.

use sluicegate_gate::judge::{AfterLook, Facts, after_look, judge, next_look};
use sluicegate_gate::policy::{self, Known, Sections};
use sluicegate_gate::statistics::Random;
use sluicegate_gate::*;
use sluicegate_source::{SourceFile, yaml};

/// How a pipeline does by one metric.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Yes or no: this share of cases is always right, that share is right every other time, the others never.
    YesNo { sure: f64, lucky: f64 },
    /// A number from 0 to 1: the mean over cases, how far cases lie from it at most, and answers to one case from that, all
    /// evenly: nothing is cut off at the ends, so that a drop is what it says.
    Number { mean: f64, between: f64, within: f64 },
    /// As a judge gives it: a whole number from 1 to 5.
    Steps { mean: f64, between: f64, within: f64 },
}

/// One metric of the world, and by how much the candidate is worse than the baseline, in the metric's own units.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) drop: f64,
}

/// A pull request.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) cases: usize,
    /// Cases that share their luck: one for independent ones.
    pub(crate) cluster: usize,
    /// Answers to each case in each arm.
    pub(crate) repeats: u32,
    /// The share of answers that fail for reasons that have nothing to do with quality.
    pub(crate) errors: f64,
    pub(crate) metrics: Vec<Measured>,
}

pub(crate) fn yes_no(name: &'static str) -> Measured {
    Measured { name, kind: Kind::YesNo { sure: 0.75, lucky: 0.2 }, drop: 0.0 }
}

pub(crate) fn number(name: &'static str) -> Measured {
    Measured { name, kind: Kind::Number { mean: 0.55, between: 0.2, within: 0.25 }, drop: 0.0 }
}

pub(crate) fn steps(name: &'static str) -> Measured {
    Measured { name, kind: Kind::Steps { mean: 4.0, between: 0.7, within: 0.6 }, drop: 0.0 }
}

impl Measured {
    pub(crate) fn dropping(self, drop: f64) -> Self {
        Self { drop, ..self }
    }

    fn metric(&self) -> Metric {
        match self.kind {
            Kind::YesNo { .. } => Metric::boolean(self.name),
            Kind::Number { .. } => Metric::share(self.name),
            Kind::Steps { .. } => Metric::on_scale(self.name, 1.0, 5.0),
        }
    }
}

impl Kind {
    /// A case's own nature, which both arms meet.
    fn nature(self, random: &mut Random) -> f64 {
        match self {
            Self::YesNo { .. } => random.unit(),
            Self::Number { mean, between, .. } => mean + between * (2.0 * random.unit() - 1.0),
            Self::Steps { mean, between, .. } => mean + between * random.normal(),
        }
    }

    /// One answer to a case of this nature; `luck` is from 0 to 1, and `bad` is the drop.
    fn answer(self, nature: f64, luck: f64, bad: f64, random: &mut Random) -> ScoreValue {
        match self {
            Self::YesNo { sure, lucky } => {
                let right = nature < sure || (nature < sure + lucky && luck < 0.5);
                // Only what is right can break.
                let broken = random.unit() < bad / (sure + lucky / 2.0);
                ScoreValue::Bool(right && !broken)
            }
            Self::Number { within, .. } => ScoreValue::Number(nature + within * (2.0 * luck - 1.0) - bad),
            Self::Steps { within, .. } => {
                ScoreValue::Number((nature + within * normal_of(luck) - bad).round().clamp(1.0, 5.0))
            }
        }
    }
}

fn normal_of(luck: f64) -> f64 {
    statistics::normal_quantile(luck.clamp(1e-9, 1.0 - 1e-9)).unwrap_or(0.0)
}

impl World {
    pub(crate) fn new(cases: usize, metrics: Vec<Measured>) -> Self {
        Self { cases, cluster: 1, repeats: 1, errors: 0.0, metrics }
    }

    pub(crate) fn metrics(&self) -> Vec<Metric> {
        self.metrics.iter().map(Measured::metric).collect()
    }

    /// The policy that a file with these sections makes.
    pub(crate) fn policy(&self, sections: &str) -> Policy {
        let file = SourceFile::new("evaluation.yaml", sections);
        let metrics = self.metrics();
        let known = Known { metrics: &metrics, ..Known::default() };
        let document = yaml::read(&file).expect("YAML");
        policy::read(&file, Sections::of(&document.root), known).expect("a policy").policy
    }

    /// Baseline and candidate, measured on the same cases.
    pub(crate) fn evidence(&self, random: &mut Random) -> Evidence {
        let mut arms = [Arm::default(), Arm::default()];
        // Luck that the cases of a cluster share, for each arm and metric.
        let mut shared: Vec<[f64; 2]> = Vec::new();
        for at in 0..self.cases {
            if at % self.cluster == 0 {
                shared = self.metrics.iter().map(|_| [random.unit(), random.unit()]).collect();
            }
            let natures: Vec<f64> = self.metrics.iter().map(|metric| metric.kind.nature(random)).collect();
            for (which, arm) in arms.iter_mut().enumerate() {
                for repeat in 0..self.repeats {
                    let failed = random.unit() < self.errors;
                    let outcome = if failed { Outcome::Error("503".to_owned()) } else { Outcome::Answered };
                    let key = format!("case-{at:05}");
                    let cluster = (self.cluster > 1).then(|| format!("article-{}", at / self.cluster));
                    let line = Some(at as u64 + 1);
                    let case = Case { line, cluster, repeat, outcome, ..Case::answered(key.as_str(), "") };
                    for ((metric, nature), luck) in self.metrics.iter().zip(&natures).zip(&shared) {
                        let luck = if self.cluster > 1 { luck[which] } else { random.unit() };
                        let bad = if which == 1 { metric.drop } else { 0.0 };
                        let value = match failed {
                            true => ScoreValue::missing(Missing::TargetFailed),
                            false => metric.kind.answer(*nature, luck, bad, random),
                        };
                        arm.scores.push(score(&case, metric.name, value));
                    }
                    arm.cases.push(case);
                }
            }
        }
        let [baseline, candidate] = arms;
        Evidence { metrics: self.metrics(), candidate, baseline: Some(baseline), ..Evidence::default() }
    }
}

fn score(case: &Case, metric: &str, value: ScoreValue) -> Score {
    Score {
        case: case.key.clone(),
        line: case.line,
        repeat: case.repeat,
        judge_repeat: 0,
        evaluator: metric.to_owned(),
        metric: metric.into(),
        value,
        passed: None,
        reason: String::new(),
        cost_usd: None,
        evaluator_hash: String::new(),
    }
}

/// What became of a pull request.
#[derive(Clone, Debug)]
pub(crate) struct Outcomes {
    pub(crate) decision: Decision,
    /// Cases that were paid for.
    pub(crate) cases: usize,
    pub(crate) after: AfterLook,
}

impl Outcomes {
    pub(crate) fn failed(&self) -> bool {
        self.decision.exit_code == 10
    }

    pub(crate) fn verdict(&self, rule: &str) -> Option<RuleVerdict> {
        self.decision.rules.iter().find(|result| result.id == rule).map(|result| result.verdict)
    }
}

/// How often to draw again: less than in earnest, so that a simulation takes minutes. Of clusters, whose test is made of
/// such draws, more often: with 200 of them it loses more than a point of power.
fn draws(evidence: &Evidence) -> usize {
    let clustered = evidence.candidate.cases.iter().any(|case| case.cluster.is_some());
    match (cfg!(debug_assertions), clustered) {
        (true, _) => 100,
        (false, false) => 200,
        (false, true) => 1_000,
    }
}

/// Judges at every look that the policy plans, until one stops.
pub(crate) fn decide(policy: &Policy, evidence: &Evidence, seed: u64) -> Outcomes {
    let cases = evidence.candidate.cases.iter().map(|case| case.line.unwrap_or(0)).max().unwrap_or(0) as usize;
    let looks = next_look(policy, cases);
    let of = looks.len() as u32;
    let mut last = None;
    for (at, count) in (1..).zip(looks) {
        let look = (of > 1).then_some([at, of]);
        let facts = Facts { resamples: Some(draws(evidence)), seed, look, ..Facts::default() };
        let receipt = judge(policy, &first(evidence, count), &facts);
        let after = after_look(&receipt, [at, of]);
        last = Some(Outcomes { decision: receipt.decision, cases: count, after });
        if after != AfterLook::Continue {
            break;
        }
    }
    last.expect("a world has cases")
}

/// What every look that the policy plans comes to, whether one stopped before or not.
pub(crate) fn at_all_looks(policy: &Policy, evidence: &Evidence, seed: u64) -> Vec<Decision> {
    let looks = next_look(policy, evidence.candidate.cases.len());
    let of = looks.len() as u32;
    let at = (1..).zip(looks).map(|(at, count)| {
        let facts = Facts { resamples: Some(draws(evidence)), seed, look: Some([at, of]), ..Facts::default() };
        judge(policy, &first(evidence, count), &facts).decision
    });
    at.collect()
}

/// What is known after so many cases.
pub(crate) fn first(evidence: &Evidence, count: usize) -> Evidence {
    let inside = |line: Option<u64>| line.is_some_and(|line| line <= count as u64);
    let arm = |arm: &Arm| Arm {
        cases: arm.cases.iter().filter(|case| inside(case.line)).cloned().collect(),
        scores: arm.scores.iter().filter(|score| inside(score.line)).cloned().collect(),
    };
    Evidence {
        metrics: evidence.metrics.clone(),
        candidate: arm(&evidence.candidate),
        baseline: evidence.baseline.as_ref().map(arm),
        ..Evidence::default()
    }
}

/// All scores of a metric, candidate minus baseline, row by row, as one who knows nothing of clusters and repeats sees them.
pub(crate) fn row_differences(evidence: &Evidence, metric: &str) -> Vec<f64> {
    let numbers = |arm: &Arm| -> Vec<f64> {
        let scores = arm.scores.iter().filter(|score| score.metric.as_str() == metric);
        scores.filter_map(|score| score.value.number()).collect()
    };
    let baseline = evidence.baseline.as_ref().map(numbers).unwrap_or_default();
    numbers(&evidence.candidate).iter().zip(&baseline).map(|(now, was)| now - was).collect()
}
