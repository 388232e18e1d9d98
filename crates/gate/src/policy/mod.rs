//! What an evaluation must show: rules, and how strictly they are read.
//!
//! [`read`] takes the short form and the long one; [`Policy::expanded`] spells the short form out, and what it gives is
//! read back as the same policy.

mod calibration;
mod expand;
mod possible;
mod reader;
mod rules;
mod sections;
mod short;

pub use calibration::{CalibrationLimits, Uncalibrated};
pub(crate) use possible::cases_needed;
pub use sections::{BaselinePolicy, BaselineSource, NoBaseline, Sequential, SpendingMethod};

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sluicegate_source::yaml::Node;
use sluicegate_source::{Problem, SourceFile};

use crate::{Comparator, Metric, MetricName};

/// What an evaluation must show.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// How often a rule may block by luck alone.
    pub alpha: f64,
    /// How `alpha` is shared among the rules that block.
    pub adjust: Adjust,
    /// What thin evidence means.
    pub inconclusive: Inconclusive,
    /// The share of cases that may fail for reasons that have nothing to do with quality.
    pub errors: Comparator,
    /// The rules; all must hold.
    pub rules: Vec<Rule>,
    /// What the candidate is compared with.
    pub baseline: BaselinePolicy,
    /// What is demanded of judges, by metric.
    pub calibration: BTreeMap<MetricName, CalibrationLimits>,
    /// Looks at the evidence before all of it is there; `None` for one look at the end.
    pub sequential: Option<Sequential>,
}

/// How the chance of a false alarm is shared among rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adjust {
    /// Holm: the chance that any rule blocks by luck stays below `alpha`.
    #[default]
    Holm,
    /// Benjamini and Hochberg: the share of false alarms among all alarms stays below `alpha`.
    Bh,
    /// Each rule for itself.
    None,
}

/// What happens where the evidence is too thin to decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inconclusive {
    /// A threshold that the point estimate misses blocks, one that it meets warns; a comparison with the baseline
    /// blocks only where it shows a regression.
    #[default]
    ByPoint,
    /// It blocks (`strict: true`).
    Block,
    /// It warns.
    Warn,
}

/// One thing that must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name in the receipt; no two rules have the same.
    pub id: String,
    /// A minijinja expression over a case's columns: only cases for which it holds count.
    pub only: Option<String>,
    /// What must hold.
    pub check: Check,
    /// Where it is written.
    pub place: Option<Place>,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The file, as its author would write it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u64,
}

/// What a rule demands. Margins and drops are shares of the metric's scale.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// The mean of a metric against a threshold.
    Threshold {
        /// The metric.
        metric: MetricName,
        /// The threshold.
        is: Comparator,
        /// Which end of the interval must meet it.
        bound: Bound,
    },
    /// Not worse than the baseline, by more than a margin.
    NoRegression {
        /// The metric.
        metric: MetricName,
        /// How much worse is still as good, as a share of the scale.
        margin: f64,
        /// A drop below this never fails, however sure, as a share of the scale.
        min_effect: f64,
        /// Refuse to measure if a drop of `margin` would be seen with less than this probability.
        require_power: Option<f64>,
    },
    /// Every single case passes.
    EveryCase {
        /// The metric.
        metric: MetricName,
        /// When a case passes; `None` for the evaluator's own word.
        is: Option<Comparator>,
    },
    /// How many cases that passed in the baseline fail now.
    Flips {
        /// The metric; `None` for all.
        metric: Option<MetricName>,
        /// How many may.
        is: Comparator,
        /// How often a flip must repeat before it counts.
        confirm_reruns: u32,
    },
    /// No case falls this far below its baseline.
    CaseDrop {
        /// The metric.
        metric: MetricName,
        /// The fall that is too far, as a share of the scale.
        drop: f64,
        /// How often a fall must repeat before it counts.
        confirm_reruns: u32,
    },
    /// The share of cases that pass in some repeats only.
    FlakyCases {
        /// The metric; `None` for all.
        metric: Option<MetricName>,
        /// How large it may be.
        is: Comparator,
    },
    /// The chance that a case passes `k` times in a row.
    PassHatK {
        /// The metric; `None` for all.
        metric: Option<MetricName>,
        /// How often.
        k: u32,
        /// What its lower bound must be.
        is: Comparator,
    },
    /// What an answer costs on average, in US dollars or as a multiple of the baseline.
    CostPerCase {
        /// The limit.
        is: Comparator,
    },
    /// How long an answer takes, in milliseconds or as a multiple of the baseline.
    Latency {
        /// Which percentile: 50, 90, 95 or 99.
        percentile: u8,
        /// The limit.
        is: Comparator,
    },
    /// The share of cases that a content filter keeps back.
    Filtered {
        /// The limit.
        is: Comparator,
    },
}

/// Which value is held against a threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The end of the one-sided interval that is farther from the good side: three answers are possible.
    #[default]
    Lower,
    /// The mean itself: two answers, and luck.
    Point,
}

/// What the reader of a policy knows of the evaluation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// The metrics that the evaluators give.
    pub metrics: &'a [Metric],
    /// How many cases there are, if that is known already.
    pub cases: Option<u64>,
    /// The config environment; thresholds may differ by it.
    pub environment: Option<&'a str>,
    /// All config environments; empty if they are not known.
    pub environments: &'a [String],
}

/// The sections of an evaluation file that make its policy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sections<'a> {
    /// `gate:`
    pub gate: Option<&'a Node>,
    /// `baseline:`
    pub baseline: Option<&'a Node>,
    /// `calibration:`
    pub calibration: Option<&'a Node>,
    /// `sequential:`
    pub sequential: Option<&'a Node>,
}

/// The keys of an evaluation file that are read here; the others (`data`, `target`, `evaluators`, `budget`, `report`,
/// `lock`) are for whoever does the measuring.
pub const SECTION_KEYS: [&str; 4] = ["gate", "baseline", "calibration", "sequential"];

/// A policy, and what one should know about it.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The policy.
    pub policy: Policy,
    /// Warnings, such as a rule that no score can pass with so few cases.
    pub warnings: Vec<Problem>,
}

/// Reads a policy.
///
/// # Errors
/// All problems, warnings among them, if one at least is an error: unknown keys, metrics and environments, comparators
/// that are none, thresholds beyond a scale, ids given twice.
pub fn read(file: &Arc<SourceFile>, sections: Sections<'_>, known: Known<'_>) -> Result<Reading, Vec<Problem>> {
    let mut reader = reader::Reader::new(file, known);
    let mut policy = Policy::default();
    if let Some(node) = sections.baseline {
        policy.baseline = sections::read_baseline(&mut reader, node);
    }
    if let Some(node) = sections.calibration {
        policy.calibration = calibration::read_calibration(&mut reader, node);
    }
    if let Some(node) = sections.sequential {
        policy.sequential = sections::read_sequential(&mut reader, node);
    }
    if let Some(node) = sections.gate {
        short::read_gate(&mut reader, node, &mut policy);
    }
    possible::check(&mut reader, &policy);
    reader.finish(policy)
}

/// Reads rules as they are given on the command line: `f1 >= 0.8`, `no_regression`, `p95 <= 2s`.
///
/// # Errors
/// All problems, as for [`read`]; the file that they name is called `--gate`.
pub fn read_flags(flags: &[String], known: Known<'_>) -> Result<Reading, Vec<Problem>> {
    let file = SourceFile::new("--gate", flags.join("\n"));
    let mut reader = reader::Reader::new(&file, known);
    let mut policy = Policy::default();
    short::read_flags(&mut reader, flags, &mut policy);
    possible::check(&mut reader, &policy);
    reader.finish(policy)
}

impl Sections<'_> {
    /// The sections of an evaluation file.
    #[must_use]
    pub fn of(root: &Node) -> Sections<'_> {
        Sections {
            gate: root.get("gate"),
            baseline: root.get("baseline"),
            calibration: root.get("calibration"),
            sequential: root.get("sequential"),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            adjust: Adjust::default(),
            inconclusive: Inconclusive::default(),
            errors: Comparator { order: crate::Order::AtMost, limit: crate::Limit::Percent(0.02) },
            rules: Vec::new(),
            baseline: BaselinePolicy::default(),
            calibration: BTreeMap::new(),
            sequential: None,
        }
    }
}

impl Policy {
    /// The threshold that the policy sets for a metric's mean, if it sets one.
    #[must_use]
    pub fn threshold(&self, wanted: &MetricName) -> Option<Comparator> {
        self.rules.iter().find_map(|rule| match &rule.check {
            Check::Threshold { metric, is, .. } if metric == wanted && rule.only.is_none() => Some(*is),
            _ => None,
        })
    }

    /// Whether a rule compares with the baseline, so that one is needed.
    #[must_use]
    pub fn needs_baseline(&self) -> bool {
        self.rules.iter().any(|rule| rule.check.needs_baseline())
    }

    /// The `where` expressions, each once: whoever can run expressions says for which cases they hold.
    #[must_use]
    pub fn expressions(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.rules.iter().filter_map(|rule| rule.only.as_deref()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Hash of everything that this policy says, however it was written.
    #[must_use]
    pub fn hash(&self) -> String {
        sluicegate_value::hash::sha256(self.expanded().to_json())
    }
}

impl Check {
    /// The kind's name in receipts.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Threshold { .. } => "threshold",
            Self::NoRegression { .. } => "no_regression",
            Self::EveryCase { .. } => "every_case",
            Self::Flips { .. } => "flips",
            Self::CaseDrop { .. } => "max_case_drop",
            Self::FlakyCases { .. } => "flaky_cases",
            Self::PassHatK { .. } => "pass_hat_k",
            Self::CostPerCase { .. } => "cost_per_case",
            Self::Latency { .. } => "latency",
            Self::Filtered { .. } => "filtered",
        }
    }

    /// The metric that it reads, if it reads one.
    #[must_use]
    pub fn metric(&self) -> Option<&MetricName> {
        match self {
            Self::Threshold { metric, .. }
            | Self::NoRegression { metric, .. }
            | Self::EveryCase { metric, .. }
            | Self::CaseDrop { metric, .. } => Some(metric),
            Self::Flips { metric, .. } | Self::FlakyCases { metric, .. } | Self::PassHatK { metric, .. } => {
                metric.as_ref()
            }
            Self::CostPerCase { .. } | Self::Latency { .. } | Self::Filtered { .. } => None,
        }
    }

    /// Whether it counts single cases instead of estimating something of all of them.
    #[must_use]
    pub fn is_on_single_cases(&self) -> bool {
        matches!(self, Self::EveryCase { .. } | Self::Flips { .. } | Self::CaseDrop { .. })
    }

    /// Whether it compares with the baseline.
    #[must_use]
    pub fn needs_baseline(&self) -> bool {
        match self {
            Self::NoRegression { .. } | Self::Flips { .. } | Self::CaseDrop { .. } => true,
            Self::CostPerCase { is } | Self::Latency { is, .. } => is.is_of_baseline(),
            _ => false,
        }
    }
}
