//! The long form of an evaluation, as a value.

use std::sync::Arc;

use sluicegate_value::{Map, Value};

use super::{BudgetSpec, DataSpec, EvaluationSpec, Exhausted, ReportSpec, TargetSpec};
use crate::binding::{BoundEvaluator, Operand};
use crate::evaluator::Evaluator;

impl EvaluationSpec {
    /// The long form, with every default. Written as JSON or YAML it is read back as the same evaluation.
    #[must_use]
    pub fn expanded(&self) -> Value {
        self.expanded_with(&[])
    }

    /// The same with the inputs that were found by name.
    #[must_use]
    pub fn expanded_with(&self, bound: &[BoundEvaluator]) -> Value {
        let mut map = Map::from([("version", Value::from(1_i64))]);
        insert_unless_empty(&mut map, "data", self.data.expanded());
        map.insert("target", self.target.expanded());
        let evaluators = self.evaluators.iter().map(|evaluator| {
            let found = bound.iter().find(|bound| bound.evaluator.name == evaluator.name);
            (evaluator.name.clone(), expanded(evaluator, found))
        });
        map.insert("evaluators", evaluators.collect::<Map>());
        if let Some(sections) = self.policy.expanded().as_map() {
            map.extend(sections.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        insert_unless_empty(&mut map, "budget", self.budget.expanded());
        insert_unless_empty(&mut map, "report", self.report.expanded());
        map.insert("result_keys", self.result_keys.word());
        if let Some(matrix) = &self.matrix {
            map.insert("matrix", matrix.expanded());
        }
        if let Some(lock) = &self.lock {
            map.insert("lock", lock.clone());
        }
        map.into()
    }
}

fn expanded(evaluator: &Evaluator, bound: Option<&BoundEvaluator>) -> Value {
    let mut map = Map::from([("use", Value::from(evaluator.kind.name))]);
    map.extend(evaluator.options.iter().map(|(key, value)| (key.clone(), value.clone())));
    if let Some(threshold) = &evaluator.threshold {
        map.insert("threshold", threshold.to_string());
    }
    if let Some(only) = &evaluator.only {
        map.insert("where", only.source());
    }
    let inputs = match bound {
        Some(bound) => bound.mapping(),
        None => evaluator
            .given
            .iter()
            .map(|given| {
                let written = match &given.operand {
                    Operand::Literal(value) => value.clone(),
                    Operand::Reference(reference) => reference.to_string().into(),
                };
                (given.input.clone(), written)
            })
            .collect(),
    };
    insert_unless_empty(&mut map, "inputs", inputs);
    map.into()
}

impl DataSpec {
    fn expanded(&self) -> Map {
        let mut map = Map::new();
        match &self.files[..] {
            [] => {}
            [file] => drop(map.insert("file", file.clone())),
            files => drop(map.insert("files", texts(files))),
        }
        if !self.key.is_empty() {
            map.insert("key", texts(&self.key));
        }
        insert_text(&mut map, "cluster", self.cluster.as_ref());
        insert_text(&mut map, "where", self.only_text.as_ref());
        map
    }
}

impl TargetSpec {
    fn expanded(&self) -> Map {
        let mut map = Map::new();
        insert_text(&mut map, "flow", self.flow.as_ref());
        map.insert("repeats", i64::from(self.repeats));
        if let Some(seed) = self.seed {
            map.insert("seed", seed);
        }
        let mapping = self.column_mapping.iter().map(|entry| (entry.target.clone(), entry.value.clone()));
        insert_unless_empty(&mut map, "column_mapping", mapping.collect());
        map
    }
}

impl BudgetSpec {
    fn expanded(&self) -> Map {
        let mut map = Map::new();
        if let Some(usd) = self.usd {
            map.insert("usd", usd);
        }
        if let Some(tokens) = self.tokens {
            map.insert("tokens", tokens);
        }
        if let Some(time) = self.time {
            map.insert("time", format!("{}ms", time.as_millis()));
        }
        if !map.is_empty() {
            let aborted = self.exhausted == Exhausted::Aborted;
            map.insert("exhausted", if aborted { "aborted" } else { "inconclusive" });
            map.insert("reserve", self.reserve);
        }
        map
    }
}

impl ReportSpec {
    fn expanded(&self) -> Map {
        let mut map = Map::new();
        if let Some(summary) = self.summary {
            map.insert("summary", summary);
        }
        if let Some(comment) = self.comment {
            map.insert("comment", if comment { "sticky" } else { "none" });
        }
        if let Some(annotations) = self.annotations {
            map.insert("annotations", i64::from(annotations));
        }
        insert_text(&mut map, "junit", self.junit.as_ref());
        insert_text(&mut map, "sarif", self.sarif.as_ref());
        insert_text(&mut map, "html", self.html.as_ref());
        insert_text(&mut map, "markdown", self.markdown.as_ref());
        map
    }
}

fn texts(texts: &[Arc<str>]) -> Value {
    texts.iter().map(|text| Value::from(text.clone())).collect::<Vec<_>>().into()
}

fn insert_text(map: &mut Map, key: &'static str, text: Option<&Arc<str>>) {
    if let Some(text) = text {
        map.insert(key, text.clone());
    }
}

fn insert_unless_empty(map: &mut Map, key: &'static str, inner: Map) {
    if !inner.is_empty() {
        map.insert(key, inner);
    }
}
