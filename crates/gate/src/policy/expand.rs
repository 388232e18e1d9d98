//! The long form of a policy, as a value.

use sluicegate_value::{Map, Value};

use super::{Adjust, Bound, Check, Inconclusive, Policy, Rule, calibration};

impl Policy {
    /// The long form, with every default: sections `gate` and `baseline`, and `calibration` and `sequential` where they
    /// say something. Written as JSON or YAML it is read back as the same policy.
    #[must_use]
    pub fn expanded(&self) -> Value {
        let mut gate = Map::new();
        gate.insert("alpha", self.alpha);
        gate.insert(
            "adjust",
            match self.adjust {
                Adjust::Holm => "holm",
                Adjust::Bh => "bh",
                Adjust::None => "none",
            },
        );
        gate.insert("strict", self.inconclusive == Inconclusive::Block);
        if self.inconclusive == Inconclusive::Warn {
            gate.insert("inconclusive", "warn");
        }
        gate.insert("errors", self.errors.to_string());
        gate.insert("rules", self.rules.iter().map(Rule::expanded).collect::<Vec<_>>());
        let mut sections = Map::new();
        sections.insert("baseline", self.baseline.expanded());
        if !self.calibration.is_empty() {
            sections.insert("calibration", calibration::expanded(&self.calibration));
        }
        if let Some(sequential) = &self.sequential {
            sections.insert("sequential", sequential.expanded());
        }
        sections.insert("gate", gate);
        sections.into()
    }
}

impl Rule {
    /// The long form of one rule.
    #[must_use]
    pub fn expanded(&self) -> Value {
        let mut map = Map::new();
        map.insert("id", self.id.as_str());
        if let Some(only) = &self.only {
            map.insert("where", only.as_str());
        }
        if let Some(metric) = self.check.metric() {
            map.insert("metric", metric.as_str());
        }
        let reruns = |map: &mut Map, count: u32| {
            if count > 0 {
                map.insert("confirm_reruns", i64::from(count));
            }
        };
        match &self.check {
            Check::Threshold { is, bound, .. } => {
                map.insert("bound", if *bound == Bound::Lower { "lower" } else { "point" });
                map.insert("is", is.to_string());
            }
            Check::NoRegression { margin, min_effect, require_power, .. } => {
                map.insert("against", "baseline");
                map.insert("margin", *margin);
                map.insert("min_effect", *min_effect);
                if let Some(power) = require_power {
                    map.insert("require_power", *power);
                }
            }
            Check::EveryCase { is, .. } => {
                map.insert("every_case", true);
                if let Some(is) = is {
                    map.insert("is", is.to_string());
                }
            }
            Check::Flips { is, confirm_reruns, .. } => {
                map.insert("flips", is.to_string());
                reruns(&mut map, *confirm_reruns);
            }
            Check::CaseDrop { drop, confirm_reruns, .. } => {
                map.insert("max_case_drop", *drop);
                reruns(&mut map, *confirm_reruns);
            }
            Check::FlakyCases { is, .. } => {
                map.insert("flaky_cases", is.to_string());
            }
            Check::PassHatK { k, is, .. } => {
                map.insert(
                    "pass_hat_k",
                    Map::from([("k", Value::from(i64::from(*k))), ("lower", is.to_string().into())]),
                );
            }
            Check::CostPerCase { is } => {
                map.insert("cost_per_case", is.to_string());
            }
            Check::Latency { percentile, is } => {
                map.insert(format!("p{percentile}"), is.to_string());
            }
            Check::Filtered { is } => {
                map.insert("filtered", is.to_string());
            }
        }
        map.into()
    }
}
