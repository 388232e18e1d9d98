//! `calibration:`, what is demanded of a judge before its rules may block.

use std::collections::BTreeMap;

use sluicegate_source::yaml::Node;
use sluicegate_value::{Map, Value};

use super::reader::Reader;
use crate::{Calibration, Comparator, Limit, MetricName, Order};

/// What a judge's record must show before a rule on its metric may block.
#[derive(Clone, Debug, PartialEq)]
pub struct CalibrationLimits {
    /// The file of human labels; for whoever makes the record.
    pub labels: Option<String>,
    /// Weights of kappa, as the author wrote them; for whoever makes the record.
    pub kappa_weights: Option<String>,
    /// How many labelled cases.
    pub min_labels: u32,
    /// Lower bound of kappa.
    pub kappa: Comparator,
    /// Mean of judge minus person, as a share of the scale; its absolute value is held against this.
    pub bias: Comparator,
    /// Share of cases in which the judge agrees with itself.
    pub self_agreement: Comparator,
    /// Age of the record, in milliseconds.
    pub age: Comparator,
    /// What a judge is that does not meet this.
    pub otherwise: Uncalibrated,
}

/// What becomes of a rule whose judge is not calibrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncalibrated {
    /// Its outcome is told, and blocks nothing.
    Advisory,
    /// The evaluation is invalid.
    Invalid,
    /// It blocks all the same.
    Block,
}

/// One day, in milliseconds.
const DAY: f64 = 86_400_000.0;

impl Default for CalibrationLimits {
    fn default() -> Self {
        Self {
            labels: None,
            kappa_weights: None,
            min_labels: 50,
            kappa: Comparator::at_least(0.6),
            bias: Comparator::at_most(0.05),
            self_agreement: Comparator::at_least(0.9),
            age: Comparator { order: Order::AtMost, limit: Limit::Milliseconds(90.0 * DAY) },
            otherwise: Uncalibrated::Advisory,
        }
    }
}

impl CalibrationLimits {
    /// What speaks against a judge whose hash is `judge_hash`; empty if it may block. Each is a fragment such as
    /// "kappa's lower bound is 0.41, which is not >= 0.6".
    #[must_use]
    pub fn shortcomings(&self, record: Option<&Calibration>, judge_hash: &str) -> Vec<String> {
        let Some(record) = record else { return vec!["no calibration record".to_owned()] };
        let mut found = Vec::new();
        if record.judge_hash != judge_hash {
            found.push("the record is of another judge (its model or prompt has changed)".to_owned());
        }
        if record.n < u64::from(self.min_labels) {
            found.push(format!("it rests on {} labels, and {} are needed", record.n, self.min_labels));
        }
        let demanded = self.kappa_weights.as_ref().map(|_| crate::calibration::Options::of(self).agreement);
        if let (Some(demanded), Some(found_by)) = (demanded, record.measured_by)
            && demanded != found_by
        {
            let (demanded, found_by) = (demanded.as_str(), found_by.as_str());
            found.push(format!("agreement was measured by {found_by}, and {demanded} is demanded"));
        }
        let mut hold = |what: &str, value: Option<f64>, limit: &Comparator| match value {
            Some(value) if limit.holds(value) => {}
            Some(value) => found.push(format!("{what} is {}, which is not {limit}", (value * 1e4).round() / 1e4)),
            None => found.push(format!("{what} is not known")),
        };
        hold("kappa's lower bound", record.kappa_lower, &self.kappa);
        hold("the bias", record.bias.map(f64::abs), &self.bias);
        hold("agreement with itself", record.self_agreement, &self.self_agreement);
        match record.age_days {
            Some(days) if self.age.holds(days * DAY) => {}
            Some(days) => found.push(format!("it is {} days old, which is not {}", days.round(), self.age)),
            None => found.push("its age is not known".to_owned()),
        }
        found
    }

    fn expanded(&self) -> Value {
        let otherwise = OTHERWISE.iter().find(|(_, meaning)| *meaning == self.otherwise).map_or("", |(word, _)| *word);
        let mut kappa = Map::new();
        if let Some(weights) = &self.kappa_weights {
            kappa.insert("weights", weights.as_str());
        }
        kappa.insert("lower", self.kappa.to_string());
        let mut map = Map::new();
        if let Some(labels) = &self.labels {
            map.insert("labels", labels.as_str());
        }
        map.insert("min_labels", i64::from(self.min_labels));
        map.insert("kappa", kappa);
        map.insert("bias", self.bias.to_string());
        map.insert("self_agreement", self.self_agreement.to_string());
        map.insert("age", self.age.to_string());
        map.insert("otherwise", otherwise);
        map.into()
    }
}

const OTHERWISE: [(&str, Uncalibrated); 3] =
    [("advisory", Uncalibrated::Advisory), ("invalid", Uncalibrated::Invalid), ("block", Uncalibrated::Block)];
const KEYS: [&str; 7] = ["labels", "min_labels", "kappa", "bias", "self_agreement", "age", "otherwise"];

pub(super) fn read_calibration(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<MetricName, CalibrationLimits> {
    let mut all = BTreeMap::new();
    for entry in reader.entries(node, "calibration") {
        let limits = read_limits(reader, &entry.key, &entry.value);
        if let Some(metric) = reader.metric(&entry.key, entry.key_span) {
            all.insert(metric, limits);
        }
    }
    all
}

pub(super) fn expanded(all: &BTreeMap<MetricName, CalibrationLimits>) -> Value {
    all.iter().map(|(metric, limits)| (metric.as_str(), limits.expanded())).collect::<Map>().into()
}

fn read_limits(reader: &mut Reader<'_>, metric: &str, node: &Node) -> CalibrationLimits {
    let mut read = CalibrationLimits::default();
    for entry in reader.entries(node, metric) {
        let value = &entry.value;
        let set = |reader: &mut Reader<'_>, limit: &mut Comparator| {
            *limit = reader.comparator(&entry.key, value).unwrap_or(*limit);
        };
        match &*entry.key {
            "labels" => read.labels = reader.text("labels", value).map(str::to_owned),
            "min_labels" => read.min_labels = reader.whole("min_labels", value, 1, u32::MAX).unwrap_or(read.min_labels),
            "kappa" if value.as_map().is_some() => {
                for entry in reader.entries(value, "kappa") {
                    match &*entry.key {
                        "weights" => {
                            let words = [("none", "none"), ("linear", "linear"), ("quadratic", "quadratic")];
                            read.kappa_weights = reader.word("weights", &entry.value, &words).map(str::to_owned);
                        }
                        "lower" => read.kappa = reader.comparator("lower", &entry.value).unwrap_or(read.kappa),
                        _ => reader.unknown_key(entry, "`kappa`", &["weights", "lower"]),
                    }
                }
            }
            "kappa" => set(reader, &mut read.kappa),
            "bias" => set(reader, &mut read.bias),
            "self_agreement" => set(reader, &mut read.self_agreement),
            "age" => set(reader, &mut read.age),
            "otherwise" => read.otherwise = reader.word("otherwise", value, &OTHERWISE).unwrap_or(read.otherwise),
            _ => reader.unknown_key(entry, &format!("the calibration of `{metric}`"), &KEYS),
        }
    }
    read
}
