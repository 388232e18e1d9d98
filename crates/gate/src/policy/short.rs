//! The short form: a metric with its comparator, and a few words for what most people want.

use sluicegate_source::yaml::{Entry, Node};
use sluicegate_source::{Problem, Span};
use sluicegate_value::Value;

use super::reader::{Reader, quoted};
use super::rules::{self, RULE_KEYS, percentile};
use super::{Adjust, Bound, Check, Inconclusive, Policy, Rule};
use crate::{Comparator, MetricName};

/// Half a tenth of the scale: what a few hundred cases can show.
pub(super) const MARGIN: f64 = 0.05;
/// A drop that nobody would notice does not block, however sure.
pub(super) const MIN_EFFECT: f64 = 0.01;

const ADJUST: [(&str, Adjust); 4] =
    [("holm", Adjust::Holm), ("bh", Adjust::Bh), ("benjamini-hochberg", Adjust::Bh), ("none", Adjust::None)];
const INCONCLUSIVE: [(&str, Inconclusive); 3] =
    [("by-point", Inconclusive::ByPoint), ("block", Inconclusive::Block), ("warn", Inconclusive::Warn)];

/// The keys of `gate:` that are no metrics.
const GATE_KEYS: [&str; 17] = [
    "alpha",
    "adjust",
    "strict",
    "inconclusive",
    "errors",
    "rules",
    "no_regression",
    "every_case",
    "critical",
    "max_case_drop",
    "flaky_cases",
    "pass_hat_k",
    "cost_per_case",
    "filtered",
    "p50",
    "p95",
    "p99",
];

pub(super) fn read_gate(reader: &mut Reader<'_>, node: &Node, policy: &mut Policy) {
    let (mut strict, mut inconclusive) = (None, None);
    for entry in reader.entries(node, "gate") {
        let value = &entry.value;
        match &*entry.key {
            "alpha" => policy.alpha = reader.number("alpha", value, 1e-6, 0.5).unwrap_or(policy.alpha),
            "adjust" => policy.adjust = reader.word("adjust", value, &ADJUST).unwrap_or(policy.adjust),
            "strict" => strict = reader.boolean("strict", value).map(|strict| (strict, entry.key_span)),
            "inconclusive" => inconclusive = reader.word("inconclusive", value, &INCONCLUSIVE),
            "errors" => policy.errors = share_limit(reader, "errors", value).unwrap_or(policy.errors),
            "rules" => rules::read_rules(reader, value, policy),
            _ => read_short(reader, entry, policy),
        }
    }
    policy.inconclusive = match (strict, inconclusive) {
        (Some((true, at)), Some(other)) if other != Inconclusive::Block => {
            let message = "`strict: true` and `inconclusive` say different things";
            reader.problem(Problem::error("gate::contradiction", message).help("keep one of them"), at);
            other
        }
        (Some((true, _)), _) => Inconclusive::Block,
        (_, Some(other)) => other,
        (_, None) => policy.inconclusive,
    };
    check_ids(reader, policy);
}

pub(super) fn read_flags(reader: &mut Reader<'_>, flags: &[String], policy: &mut Policy) {
    let mut start = 0;
    for flag in flags {
        let span = Span::new(start, start + flag.len());
        start += flag.len() + 1;
        read_flag(reader, flag.trim(), span, policy);
    }
    check_ids(reader, policy);
}

fn read_flag(reader: &mut Reader<'_>, flag: &str, span: Span, policy: &mut Policy) {
    if flag == "strict" {
        policy.inconclusive = Inconclusive::Block;
        return;
    }
    if flag == "no_regression" {
        no_regression_of_all(reader, policy, MARGIN, MIN_EFFECT, span);
        return;
    }
    let Some(at) = flag.find(['<', '>', '=', '≤', '≥', '!']).filter(|at| *at > 0) else {
        let problem = Problem::error("gate::wrong_flag", format!("`{flag}` is no rule"));
        reader.problem(problem.help("as in `f1 >= 0.8`, `p95 <= 2s` or `no_regression`"), span);
        return;
    };
    let (name, comparator) = flag.split_at(at);
    let name = name.trim();
    let Some(is) = reader.comparator_text(name, comparator, span) else { return };
    let place = Some(reader.place(span));
    let check = match name {
        "errors" => {
            policy.errors = is;
            return;
        }
        "cost_per_case" => Check::CostPerCase { is },
        "filtered" => Check::Filtered { is },
        "flaky_cases" => Check::FlakyCases { metric: None, is },
        _ => match percentile(name) {
            Some(percentile) => Check::Latency { percentile, is },
            None => {
                let Some(metric) = reader.metric(name, span) else { return };
                Check::Threshold { metric, is, bound: Bound::Lower }
            }
        },
    };
    push(policy, Rule { id: name.to_owned(), only: None, check, place });
}

fn read_short(reader: &mut Reader<'_>, entry: &Entry, policy: &mut Policy) {
    let (key, value) = (&*entry.key, &entry.value);
    let place = Some(reader.place(entry.key_span));
    let mut rule = |id: &str, only: Option<&str>, check: Check| {
        push(policy, Rule { id: id.to_owned(), only: only.map(str::to_owned), check, place: place.clone() });
    };
    match key {
        "no_regression" => read_no_regression(reader, entry, policy),
        "every_case" => {
            for (metric, _) in named_metrics(reader, entry) {
                let check = Check::EveryCase { metric: metric.clone(), is: None };
                rule(&format!("every_case.{metric}"), None, check);
            }
        }
        "critical" => {
            if let Some(only) = reader.text(key, value) {
                let is = Comparator::at_most(0.0);
                rule(key, Some(only), Check::Flips { metric: None, is, confirm_reruns: 0 });
            }
        }
        "max_case_drop" => {
            let Some(drop) = reader.number(key, value, 0.0, 1.0) else { return };
            for metric in quality_metrics(reader, key, entry.key_span) {
                let id = format!("max_case_drop.{metric}");
                rule(&id, None, Check::CaseDrop { metric, drop, confirm_reruns: 0 });
            }
        }
        "flaky_cases" => {
            if let Some(is) = share_limit(reader, key, value) {
                rule(key, None, Check::FlakyCases { metric: None, is });
            }
        }
        "pass_hat_k" => {
            if let Some((k, is)) = rules::read_pass_hat_k(reader, value) {
                rule(key, None, Check::PassHatK { metric: None, k, is });
            }
        }
        "cost_per_case" => {
            if let Some(is) = rules::cost_limit(reader, key, value) {
                rule(key, None, Check::CostPerCase { is });
            }
        }
        "filtered" => {
            if let Some(is) = share_limit(reader, key, value) {
                rule(key, None, Check::Filtered { is });
            }
        }
        _ => match percentile(key) {
            Some(percentile) => {
                if let Some(is) = rules::latency_limit(reader, key, value) {
                    rule(key, None, Check::Latency { percentile, is });
                }
            }
            None => read_metric(reader, entry, policy),
        },
    }
}

/// A metric: a comparator (or one for each environment), or a long rule without id and metric.
fn read_metric(reader: &mut Reader<'_>, entry: &Entry, policy: &mut Policy) {
    let known = reader.known.metrics;
    if !known.is_empty() && !known.iter().any(|metric| metric.name.as_str() == &*entry.key) {
        let names: Vec<&str> =
            known.iter().map(|metric| metric.name.as_str()).chain(GATE_KEYS.iter().copied()).collect();
        let problem = Problem::error("gate::unknown_key", format!("`gate` knows no metric or key `{}`", entry.key));
        let problem = problem.help(match sluicegate_source::suggest::nearest(&entry.key, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the evaluators give {}", quoted(known.iter().map(|metric| metric.name.as_str()))),
        });
        reader.problem(problem, entry.key_span);
        return;
    }
    let metric = MetricName::from(&*entry.key);
    let long = entry.value.as_map().is_some_and(|entries| entries.iter().any(|inner| RULE_KEYS.contains(&&*inner.key)));
    if long {
        rules::read_rule(reader, &entry.value, Some(&metric), policy);
        return;
    }
    let Some(is) = reader.comparator(&entry.key, &entry.value) else { return };
    let check = Check::Threshold { metric, is, bound: Bound::Lower };
    push(policy, Rule { id: entry.key.to_string(), only: None, check, place: Some(reader.place(entry.key_span)) });
}

/// `no_regression: true`, a list of metrics, or `{ metrics, margin, min_effect }`.
fn read_no_regression(reader: &mut Reader<'_>, entry: &Entry, policy: &mut Policy) {
    let (mut margin, mut min_effect, mut require_power) = (MARGIN, MIN_EFFECT, None);
    let mut named = None;
    let value = &entry.value;
    if let Some(yes) = value.as_scalar().and_then(Value::as_bool) {
        if !yes {
            return;
        }
    } else if value.as_map().is_some() {
        for inner in reader.entries(value, "no_regression") {
            match &*inner.key {
                "margin" => margin = reader.number("margin", &inner.value, 0.0, 1.0).unwrap_or(margin),
                "min_effect" => min_effect = reader.number("min_effect", &inner.value, 0.0, 1.0).unwrap_or(min_effect),
                "metrics" => named = Some(named_metrics(reader, inner)),
                "require_power" => require_power = reader.number("require_power", &inner.value, 0.05, 0.999),
                _ => {
                    reader.unknown_key(inner, "`no_regression`", &["metrics", "margin", "min_effect", "require_power"])
                }
            }
        }
    } else {
        named = Some(named_metrics(reader, entry));
    }
    let Some(named) = named else {
        let before = policy.rules.len();
        no_regression_of_all(reader, policy, margin, min_effect, entry.key_span);
        policy.rules.iter_mut().skip(before).for_each(|rule| demand_power(rule, require_power));
        return;
    };
    for (metric, at) in named {
        if reader.metric_info(&metric).is_some_and(|info| info.width().is_none()) {
            let problem =
                Problem::error("gate::no_scale", format!("`{metric}` has no scale, so that no margin fits it"));
            reader.problem(problem.help("leave it out, or give its evaluator a `scale`"), at);
            continue;
        }
        push_no_regression(policy, metric, margin, min_effect, reader.place(at));
        policy.rules.iter_mut().rev().take(1).for_each(|rule| demand_power(rule, require_power));
    }
}

fn demand_power(rule: &mut Rule, demanded: Option<f64>) {
    if let Check::NoRegression { require_power, .. } = &mut rule.check {
        *require_power = demanded;
    }
}

fn no_regression_of_all(reader: &mut Reader<'_>, policy: &mut Policy, margin: f64, min_effect: f64, at: Span) {
    let place = reader.place(at);
    for metric in quality_metrics(reader, "no_regression", at) {
        push_no_regression(policy, metric, margin, min_effect, place.clone());
    }
}

fn push_no_regression(policy: &mut Policy, metric: MetricName, margin: f64, min_effect: f64, place: super::Place) {
    let id = format!("no_regression.{metric}");
    let check = Check::NoRegression { metric, margin, min_effect: min_effect.min(margin), require_power: None };
    push(policy, Rule { id, only: None, check, place: Some(place) });
}

/// All metrics with a scale: those of quality. Latency, cost and tokens have none, and rules of their own.
fn quality_metrics(reader: &mut Reader<'_>, key: &str, at: Span) -> Vec<MetricName> {
    let all: Vec<MetricName> = reader
        .known
        .metrics
        .iter()
        .filter(|metric| metric.width().is_some_and(|width| width > 0.0))
        .map(|metric| metric.name.clone())
        .collect();
    if all.is_empty() {
        let problem = Problem::error("gate::no_metric", format!("`{key}` has no metric to read"));
        reader.problem(problem.help("name evaluators whose scores have a scale"), at);
    }
    all
}

/// One metric's name, or a list of them; `true` for every metric of yes and no.
fn named_metrics(reader: &mut Reader<'_>, entry: &Entry) -> Vec<(MetricName, Span)> {
    let value = &entry.value;
    if value.as_scalar().and_then(Value::as_bool) == Some(true) {
        let all = reader.known.metrics.iter().filter(|metric| metric.boolean);
        return all.map(|metric| (metric.name.clone(), entry.key_span)).collect();
    }
    let items: Vec<&Node> = match value.as_list() {
        Some(items) => items.iter().collect(),
        None => vec![value],
    };
    let mut named = Vec::new();
    for item in items {
        if let Some(metric) = reader.text(&entry.key, item).and_then(|name| reader.metric(name, item.span)) {
            named.push((metric, item.span));
        }
    }
    named
}

/// A limit of a share: `<= 2%` or `<= 0.02`.
pub(super) fn share_limit(reader: &mut Reader<'_>, key: &str, node: &Node) -> Option<Comparator> {
    let is = reader.comparator(key, node)?;
    let fits =
        matches!(is.limit, crate::Limit::Number(_) | crate::Limit::Percent(_)) && (0.0..=1.0).contains(&is.number());
    if !fits || is.wants_more() {
        let message = format!("`{key}` takes an upper limit of a share");
        reader.problem(Problem::error("gate::wrong_comparator", message).help("as in `<= 2%`"), node.span);
        return None;
    }
    Some(is)
}

/// Adds a rule, under another name if its own is taken.
pub(super) fn push(policy: &mut Policy, rule: Rule) {
    policy.rules.push(rule);
}

fn check_ids(reader: &mut Reader<'_>, policy: &Policy) {
    let mut seen = std::collections::BTreeSet::new();
    for rule in &policy.rules {
        if !seen.insert(rule.id.as_str()) {
            let problem = Problem::error("gate::duplicate_rule", format!("two rules are called `{}`", rule.id));
            reader.problem_at_line(problem.help("give one of them another `id`"), rule.place.as_ref());
        }
    }
}
