//! The long form: `rules`, each with an id.

use sluicegate_source::Problem;
use sluicegate_source::yaml::{Entry, Node};

use super::reader::Reader;
use super::short::{MARGIN, MIN_EFFECT, push, share_limit};
use super::{Bound, Check, Policy, Rule};
use crate::{Comparator, Limit, MetricName};

/// Every key that a rule may have.
pub(super) const RULE_KEYS: [&str; 21] = [
    "id",
    "metric",
    "where",
    "is",
    "bound",
    "against",
    "margin",
    "min_effect",
    "require_power",
    "every_case",
    "flips",
    "confirm_reruns",
    "max_case_drop",
    "flaky_cases",
    "pass_hat_k",
    "cost_per_case",
    "filtered",
    "p50",
    "p90",
    "p95",
    "p99",
];

const BOUNDS: [(&str, Bound); 2] = [("lower", Bound::Lower), ("point", Bound::Point)];

/// The percentile that a key names.
pub(super) fn percentile(key: &str) -> Option<u8> {
    match key {
        "p50" => Some(50),
        "p90" => Some(90),
        "p95" => Some(95),
        "p99" => Some(99),
        _ => None,
    }
}

pub(super) fn read_rules(reader: &mut Reader<'_>, node: &Node, policy: &mut Policy) {
    let Some(items) = node.as_list() else { return reader.wrong_type("rules", "a list", node) };
    for item in items {
        read_rule(reader, item, None, policy);
    }
}

/// Reads one rule; it may hold several checks, which then are rules of their own (`cost` and `cost.baseline`).
pub(super) fn read_rule(reader: &mut Reader<'_>, node: &Node, owner: Option<&MetricName>, policy: &mut Policy) {
    let entries = reader.entries(node, "a rule");
    if entries.is_empty() {
        return;
    }
    for entry in entries {
        if !RULE_KEYS.contains(&&*entry.key) {
            reader.unknown_key(entry, "a rule", &RULE_KEYS);
        }
    }
    let mut draft = Draft { reader, node, metric: owner.cloned(), checks: Vec::new() };
    if let Some(entry) = node.entry("metric") {
        let named = draft.reader.text("metric", &entry.value).map(str::to_owned);
        match named.map(|name| draft.reader.metric(&name, entry.value.span)) {
            Some(Some(metric)) => draft.metric = Some(metric),
            _ => return,
        }
    }
    for entry in entries {
        draft.check(entry);
    }
    let Draft { metric, checks, .. } = draft;
    let id = match node.get("id") {
        Some(value) => reader.text("id", value).map(str::to_owned),
        None => metric.map(|metric| metric.as_str().to_owned()),
    };
    let only = node.get("where").and_then(|value| reader.text("where", value)).map(str::to_owned);
    let place = Some(reader.place(node.span));
    if checks.is_empty() {
        if !entries.iter().any(|entry| says_what(&entry.key)) {
            let problem = Problem::error("gate::empty_rule", "the rule says nothing that must hold");
            let help = "give it `is: \">= 0.8\"`, `against: baseline`, `every_case: true` or another check";
            reader.problem(problem.help(help), node.span);
        }
        return;
    }
    for (at, (suffix, check)) in checks.into_iter().enumerate() {
        let base = id.clone().unwrap_or_else(|| check.kind().to_owned());
        let id = if at == 0 { base } else { format!("{base}.{suffix}") };
        push(policy, Rule { id, only: only.clone(), check, place: place.clone() });
    }
}

fn says_what(key: &str) -> bool {
    !matches!(key, "id" | "metric" | "where" | "bound" | "margin" | "min_effect" | "require_power" | "confirm_reruns")
}

struct Draft<'d, 'a> {
    reader: &'d mut Reader<'a>,
    node: &'d Node,
    metric: Option<MetricName>,
    checks: Vec<(&'static str, Check)>,
}

impl Draft<'_, '_> {
    fn check(&mut self, entry: &Entry) {
        let (key, value) = (&*entry.key, &entry.value);
        match key {
            "is" if self.node.get("every_case").is_none() => {
                let bound = match self.node.get("bound") {
                    Some(word) => self.reader.word("bound", word, &BOUNDS).unwrap_or_default(),
                    None => Bound::default(),
                };
                let (Some(metric), Some(is)) = (self.metric_of(entry), self.reader.comparator(key, value)) else {
                    return;
                };
                self.checks.push(("is", Check::Threshold { metric, is, bound }));
            }
            "against" => self.against(entry),
            "every_case" => {
                if self.reader.boolean(key, value) != Some(true) {
                    return;
                }
                let is = match self.node.get("is") {
                    Some(is) => self.reader.comparator("is", is),
                    None => None,
                };
                if let Some(metric) = self.metric_of(entry) {
                    self.checks.push(("every_case", Check::EveryCase { metric, is }));
                }
            }
            "flips" => {
                let (Some(is), confirm_reruns) = (self.reader.comparator(key, value), self.confirm_reruns()) else {
                    return;
                };
                self.checks.push(("flips", Check::Flips { metric: self.metric.clone(), is, confirm_reruns }));
            }
            "max_case_drop" => {
                let confirm_reruns = self.confirm_reruns();
                let (Some(metric), Some(drop)) = (self.metric_of(entry), self.reader.number(key, value, 0.0, 1.0))
                else {
                    return;
                };
                self.checks.push(("max_case_drop", Check::CaseDrop { metric, drop, confirm_reruns }));
            }
            "flaky_cases" => {
                let Some(is) = share_limit(self.reader, key, value) else { return };
                self.checks.push(("flaky_cases", Check::FlakyCases { metric: self.metric.clone(), is }));
            }
            "pass_hat_k" => {
                let Some((k, is)) = read_pass_hat_k(self.reader, value) else { return };
                self.checks.push(("pass_hat_k", Check::PassHatK { metric: self.metric.clone(), k, is }));
            }
            "cost_per_case" => {
                let Some(is) = cost_limit(self.reader, key, value) else { return };
                self.checks.push(("cost_per_case", Check::CostPerCase { is }));
            }
            "filtered" => {
                let Some(is) = share_limit(self.reader, key, value) else { return };
                self.checks.push(("filtered", Check::Filtered { is }));
            }
            _ => {
                let Some(percentile) = percentile(key) else { return };
                let Some(is) = latency_limit(self.reader, key, value) else { return };
                let suffix = ["p50", "p90", "p95", "p99"].into_iter().find(|name| *name == key).unwrap_or("latency");
                self.checks.push((suffix, Check::Latency { percentile, is }));
            }
        }
    }

    /// `against: baseline`, or `against: { baseline: "<= 1.15x" }` beside a cost or a time.
    fn against(&mut self, entry: &Entry) {
        let value = &entry.value;
        if value.as_map().is_none() {
            if self.reader.word("against", value, &[("baseline", ())]).is_none() {
                return;
            }
            let Some(metric) = self.metric_of(entry) else { return };
            let mut number = |key: &str, otherwise: f64| match self.node.get(key) {
                Some(value) => self.reader.number(key, value, 0.0, 1.0).unwrap_or(otherwise),
                None => otherwise,
            };
            let margin = number("margin", MARGIN);
            let min_effect = number("min_effect", MIN_EFFECT).min(margin);
            let require_power = match self.node.get("require_power") {
                Some(value) => self.reader.number("require_power", value, 0.05, 0.999),
                None => None,
            };
            self.checks.push(("against", Check::NoRegression { metric, margin, min_effect, require_power }));
            return;
        }
        for inner in self.reader.entries(value, "against") {
            if &*inner.key != "baseline" {
                self.reader.unknown_key(inner, "`against`", &["baseline"]);
                continue;
            }
            let Some(is) = self.reader.comparator("baseline", &inner.value) else { continue };
            if !is.is_of_baseline() || is.wants_more() {
                let problem = Problem::error("gate::wrong_comparator", "`against` takes an upper limit as a multiple");
                self.reader.problem(problem.help("as in `<= 1.15x`"), inner.value.span);
                continue;
            }
            let keys = self.node.as_map().unwrap_or_default().iter().map(|entry| &*entry.key);
            let checks: Vec<Check> = keys
                .filter_map(|key| match key {
                    "cost_per_case" => Some(Check::CostPerCase { is }),
                    _ => percentile(key).map(|percentile| Check::Latency { percentile, is }),
                })
                .collect();
            if checks.is_empty() {
                let problem = Problem::error("gate::empty_rule", "a multiple of the baseline needs a cost or a time");
                let help = "add `cost_per_case` or `p95`; for a metric write `against: baseline` and a `margin`";
                self.reader.problem(problem.help(help), entry.key_span);
            }
            self.checks.extend(checks.into_iter().map(|check| ("baseline", check)));
        }
    }

    fn confirm_reruns(&mut self) -> u32 {
        match self.node.get("confirm_reruns") {
            Some(value) => self.reader.whole("confirm_reruns", value, 0, 100).unwrap_or(0),
            None => 0,
        }
    }

    fn metric_of(&mut self, entry: &Entry) -> Option<MetricName> {
        if self.metric.is_none() {
            let problem = Problem::error("gate::no_metric", format!("`{}` needs a metric", entry.key));
            self.reader.problem(problem.help("add `metric: NAME`"), entry.key_span);
        }
        self.metric.clone()
    }
}

/// `{ k: 3, lower: ">= 0.75" }`
pub(super) fn read_pass_hat_k(reader: &mut Reader<'_>, node: &Node) -> Option<(u32, Comparator)> {
    let (mut k, mut lower) = (None, None);
    for entry in reader.entries(node, "pass_hat_k") {
        match &*entry.key {
            "k" => k = reader.whole("k", &entry.value, 1, 1000),
            "lower" => lower = reader.comparator("lower", &entry.value),
            _ => reader.unknown_key(entry, "`pass_hat_k`", &["k", "lower"]),
        }
    }
    if k.is_none() || lower.is_none() {
        let problem = Problem::error("gate::wrong_value", "`pass_hat_k` needs `k` and `lower`");
        reader.problem(problem.help("as in `{ k: 3, lower: \">= 0.75\" }`"), node.span);
    }
    Some((k?, lower?))
}

/// An upper limit of a time, or a multiple of the baseline.
pub(super) fn latency_limit(reader: &mut Reader<'_>, key: &str, node: &Node) -> Option<Comparator> {
    let is = reader.comparator(key, node)?;
    if is.wants_more() || !matches!(is.limit, Limit::Milliseconds(_) | Limit::OfBaseline(_)) {
        let problem = Problem::error("gate::wrong_comparator", format!("`{key}` takes an upper limit of a time"));
        reader.problem(problem.help("as in `<= 2500ms` or `<= 1.2x`"), node.span);
        return None;
    }
    Some(is)
}

/// An upper limit of dollars, or a multiple of the baseline.
pub(super) fn cost_limit(reader: &mut Reader<'_>, key: &str, node: &Node) -> Option<Comparator> {
    let is = reader.comparator(key, node)?;
    if is.wants_more() || !matches!(is.limit, Limit::Number(_) | Limit::OfBaseline(_)) {
        let problem = Problem::error("gate::wrong_comparator", format!("`{key}` takes an upper limit of dollars"));
        reader.problem(problem.help("as in `<= 0.004` or `<= 1.15x`"), node.span);
        return None;
    }
    Some(is)
}
