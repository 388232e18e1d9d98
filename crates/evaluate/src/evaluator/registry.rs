//! Every evaluator that there is.

use sluicegate_gate::Metric;

pub use super::kinds::KINDS;
use crate::binding::Family;

/// A kind of evaluator.
#[derive(Debug)]
pub struct EvaluatorKind {
    /// Its name, for `use:` and as a key of `evaluators:`.
    pub name: &'static str,
    /// Other names that are understood.
    pub also: &'static [&'static str],
    /// What its score says, for people.
    pub about: &'static str,
    /// What it takes.
    pub inputs: &'static [KindInput],
    /// Its own options, beside those that all have.
    pub options: &'static [&'static str],
    /// The range of its scores.
    pub range: Range,
    /// Its key in results as azure-ai-evaluation writes them; empty for its own name.
    pub azure_key: &'static str,
    /// Its key in results as promptflow-evals writes them; empty for its own name.
    pub promptflow_key: &'static str,
    /// What counts as passed in results where nobody says: azure-ai-evaluation's defaults. Rules do not read it.
    pub usual_threshold: Option<f64>,
}

/// Something that a kind of evaluator takes.
#[derive(Debug)]
pub struct KindInput {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub family: Option<Family>,
    /// Whether there is no score without it.
    pub required: bool,
}

/// The range of a kind's scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// Yes or no.
    Boolean,
    /// Numbers between two.
    Scale(f64, f64),
    /// Numbers without a bound, less being better.
    LowerIsBetter,
    /// What the options say.
    Own,
}

/// Options that every evaluator has.
pub const COMMON_OPTIONS: [&str; 6] = ["use", "inputs", "column_mapping", "threshold", "higher_is_better", "where"];

/// The kind of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static EvaluatorKind> {
    KINDS.iter().find(|kind| kind.name == name || kind.also.contains(&name))
}

/// Every name that [`find`] knows.
pub fn names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().flat_map(|kind| std::iter::once(kind.name).chain(kind.also.iter().copied()))
}

impl Range {
    /// A metric of this range.
    pub(crate) fn metric(self, name: &str) -> Metric {
        match self {
            Self::Boolean => Metric::boolean(name),
            Self::Scale(lowest, highest) => Metric::on_scale(name, lowest, highest),
            Self::LowerIsBetter => Metric { scale: None, lower_is_better: true, ..Metric::share(name) },
            Self::Own => Metric { scale: None, ..Metric::share(name) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_means_one_kind() {
        let mut all: Vec<&str> = names().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert_eq!(find("gpt_groundedness").map(|kind| kind.name), Some("groundedness"));
        assert!(find("vibes").is_none());
    }

    #[test]
    fn no_input_is_called_as_an_option_is() {
        for kind in KINDS {
            for input in kind.inputs {
                let taken = kind.options.iter().chain(&COMMON_OPTIONS).any(|option| *option == input.name);
                assert!(!taken, "`{}` of {}", input.name, kind.name);
            }
            assert!(!kind.about.is_empty(), "{}", kind.name);
        }
    }
}
