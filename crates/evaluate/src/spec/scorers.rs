//! Options of the evaluators that compare texts, numbers and JSON.

use std::sync::Arc;

use sluicegate_gate::Metric;
use sluicegate_source::{Problem, SourceFile, Span};
use sluicegate_value::{Value, json};

use super::evaluators::{Built, expression};
use super::options::Options;
use crate::evaluator::{EvaluatorKind, ListMeasure, ModelChoice, Parts, Scorer, Share, Tokens};
use crate::text::Normalization;
use crate::text::json_path::JsonPath;
use crate::text::json_schema::JsonSchema;
use crate::text::meteor::MeteorParameters;
use crate::text::numbers::Tolerance;
use crate::text::rouge::Rouge;

const SHARES: [(&str, Share); 3] = [("f1", Share::F1), ("precision", Share::Precision), ("recall", Share::Recall)];

/// What an expression may read.
pub(super) const EXPRESSION_NAMES: [&str; 4] = ["data", "target", "run", "scores"];

pub(super) fn build(options: &mut Options<'_, '_, '_>, kind: &EvaluatorKind, at: Span) -> Option<Built> {
    let raw = Normalization::Raw;
    let scorer = match kind.name {
        "exact_match" => {
            let normalization = options.normalization_if_given();
            Scorer::ExactMatch { normalization, ordered: options.boolean("ordered", false) }
        }
        "partial_match" => Scorer::PartialMatch { normalization: options.normalization_if_given() },
        "list_match" => return Some(list_match(options, kind)),
        "contains" => Scorer::Contains { which: Parts::One, normalization: options.normalization(raw) },
        "contains_any" => Scorer::Contains { which: Parts::Any, normalization: options.normalization(raw) },
        "contains_all" => Scorer::Contains { which: Parts::All, normalization: options.normalization(raw) },
        "contains_none" => Scorer::Contains { which: Parts::None, normalization: options.normalization(raw) },
        "starts_with" => Scorer::StartsWith { normalization: options.normalization(raw) },
        "ends_with" => Scorer::EndsWith { normalization: options.normalization(raw) },
        "regex" => Scorer::Regex { pattern: None },
        "valid_json" => Scorer::ValidJson,
        "json_equal" => Scorer::JsonEqual,
        "json_schema" => return json_schema(options, kind, at),
        "json_path" => json_path(options, at)?,
        "numeric" => Scorer::Numeric { tolerance: tolerance(options) },
        "f1" => Scorer::F1 { measure: options.word("measure", &SHARES) },
        "bleu" => Scorer::Bleu { tokenizer: options.tokenizer() },
        "gleu" => Scorer::Gleu { tokenizer: options.tokenizer() },
        "meteor" => meteor(options),
        "sacrebleu" => Scorer::SacreBleu,
        "levenshtein" => Scorer::Levenshtein { normalization: options.normalization(raw) },
        "levenshtein_ratio" => Scorer::LevenshteinRatio { normalization: options.normalization(raw) },
        "indel_ratio" => Scorer::IndelRatio { normalization: options.normalization(raw) },
        "cosine" => Scorer::Cosine { model: model(options) },
        "latency" => Scorer::Latency,
        "cost" => Scorer::Cost,
        "tokens" => {
            let words = [("total", Tokens::Total), ("prompt", Tokens::Prompt), ("completion", Tokens::Completion)];
            Scorer::Tokens { which: options.word("count", &words) }
        }
        "expression" => return of_expression(options, kind, at),
        name => Scorer::Rouge {
            kind: Rouge::named(name)?,
            measure: options.word("measure", &SHARES),
            use_stemmer: options.boolean("stemmer", false),
        },
    };
    Some(Built::simple(scorer, kind, options.name))
}

/// Whom an evaluator asks, by its options.
pub(super) fn model(options: &mut Options<'_, '_, '_>) -> ModelChoice {
    ModelChoice {
        connection: options.text("connection").map(|(name, _)| name),
        deployment: options.text("deployment").map(|(name, _)| name),
    }
}

fn list_match(options: &mut Options<'_, '_, '_>, kind: &EvaluatorKind) -> Built {
    let words = [
        ("exact", ListMeasure::Exact),
        ("partial", ListMeasure::Partial),
        ("f1", ListMeasure::Share(Share::F1)),
        ("precision", ListMeasure::Share(Share::Precision)),
        ("recall", ListMeasure::Share(Share::Recall)),
    ];
    let measure = options.word("measure", &words);
    let normalization = options.normalization(Normalization::Case);
    let ordered = options.boolean("ordered", false);
    let metric = match measure {
        ListMeasure::Exact | ListMeasure::Partial => Metric::boolean(options.name),
        ListMeasure::Share(_) => Metric::share(options.name),
    };
    Built::with_metric(Scorer::ListMatch { normalization, ordered, measure }, kind, metric)
}

fn tolerance(options: &mut Options<'_, '_, '_>) -> Tolerance {
    let default = Tolerance::default();
    Tolerance {
        absolute: options.number("tolerance", default.absolute, 0.0, f64::MAX),
        relative: options.number("relative_tolerance", default.relative, 0.0, f64::MAX),
    }
}

fn meteor(options: &mut Options<'_, '_, '_>) -> Scorer {
    let default = MeteorParameters::default();
    Scorer::Meteor {
        tokenizer: options.tokenizer(),
        parameters: MeteorParameters {
            alpha: options.number("alpha", default.alpha, 0.0, 1.0),
            beta: options.number("beta", default.beta, 0.0, 100.0),
            gamma: options.number("gamma", default.gamma, 0.0, 1.0),
        },
    }
}

fn json_path(options: &mut Options<'_, '_, '_>, at: Span) -> Option<Scorer> {
    let Some((text, node)) = options.text("path") else {
        options.lacks("path", "path: \"$.items[0].name\"", at);
        return None;
    };
    let tolerance = tolerance(options);
    let normalization = options.normalization(Normalization::Raw);
    match JsonPath::parse(&text) {
        Ok(path) => Some(Scorer::JsonPath { path, normalization, tolerance }),
        Err(error) => {
            options.reader.wrong_value(format!("`path`: {error}"), "as in `$.items[0].name`", node.span);
            None
        }
    }
}

fn json_schema(options: &mut Options<'_, '_, '_>, kind: &EvaluatorKind, at: Span) -> Option<Built> {
    let Some(node) = options.node("schema") else {
        options.lacks("schema", "schema: schemas/answer.json", at);
        return None;
    };
    let (schema, content): (Value, Option<Arc<str>>) = match node.as_str() {
        Some(path) => {
            options.note("schema", path);
            let (path, text) = options.reader.file_text("schema", path, node.span)?;
            (schema_of_file(options, &path, &text, node.span)?, Some(text))
        }
        None => {
            options.note("schema", node.to_value());
            (node.to_value(), None)
        }
    };
    match JsonSchema::new(&schema) {
        Ok(schema) => {
            let mut built = Built::simple(Scorer::JsonSchema { schema }, kind, options.name);
            built.contents.extend(content);
            Some(built)
        }
        Err(error) => {
            let problem = Problem::error("evaluation::wrong_schema", format!("`schema` cannot be used: {error}"));
            options.reader.problem(problem, node.span);
            None
        }
    }
}

fn schema_of_file(options: &mut Options<'_, '_, '_>, path: &str, text: &Arc<str>, at: Span) -> Option<Value> {
    if path.ends_with(".yaml") || path.ends_with(".yml") {
        return match sluicegate_source::yaml::read(&SourceFile::new(path, text.clone())) {
            Ok(document) => Some(document.root.to_value()),
            Err(problems) => {
                options.reader.problems.extend(problems);
                None
            }
        };
    }
    match json::read(text) {
        Ok(schema) => Some(schema),
        Err(error) => {
            let message =
                format!("`{path}` is no JSON: line {}, column {}: {}", error.line, error.column, error.message);
            options.reader.problem(Problem::error("evaluation::wrong_schema", message), at);
            None
        }
    }
}

fn of_expression(options: &mut Options<'_, '_, '_>, kind: &EvaluatorKind, at: Span) -> Option<Built> {
    let Some((_, node)) = options.text("expression") else {
        options.lacks("expression", "expression: target.answer|length < 200", at);
        return None;
    };
    let parsed = expression(options.reader, "expression", node, &EXPRESSION_NAMES);
    let metric = metric_of_scale(options);
    Some(Built::with_metric(Scorer::Expression(parsed?), kind, metric))
}

/// Numbers on `scale`, numbers without bounds for `scale: none`, yes or no if nothing is said.
fn metric_of_scale(options: &mut Options<'_, '_, '_>) -> Metric {
    let name = options.name;
    let is_none = |value: &Value| value.is_null() || value.as_str() == Some("none");
    match options.node("scale") {
        Some(node) if node.as_scalar().is_some_and(is_none) => {
            options.note("scale", "none");
            Metric { scale: None, ..Metric::share(name) }
        }
        Some(_) => options.scale().map_or_else(|| Metric::share(name), |[low, high]| Metric::on_scale(name, low, high)),
        None => Metric::boolean(name),
    }
}
