//! `evaluators:`.

use std::sync::Arc;

use sluicegate_flow::template::Expression;
use sluicegate_gate::Metric;
use sluicegate_source::yaml::{Entry, Node};
use sluicegate_source::{Problem, Span, suggest};
use sluicegate_value::Value;

use super::options::Options;
use super::reader::Reader;
use super::{ReadContext, judges, outputs, scorers};
use crate::binding::{Family, GivenInput, Operand, Reference, ReferenceError, quoted};
use crate::evaluator::registry::{self, COMMON_OPTIONS, EvaluatorKind};
use crate::evaluator::{Evaluator, EvaluatorMetric, InputSpec, Scorer};
use crate::text::matching::Pattern;

/// Words of `gate:` that name no metric.
const TAKEN: [&str; 17] = [
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

/// An evaluator as its kind and options make it, before its inputs are read.
pub(super) struct Built {
    pub(super) scorer: Scorer,
    pub(super) inputs: Vec<InputSpec>,
    /// Whether it takes inputs that are not known here.
    pub(super) open: bool,
    pub(super) metrics: Vec<EvaluatorMetric>,
    pub(super) contents: Vec<Arc<str>>,
    pub(super) repeats: u32,
}

impl Built {
    /// One that gives one metric of its kind's range, called as it is.
    pub(super) fn simple(scorer: Scorer, kind: &EvaluatorKind, name: &str) -> Self {
        Self::with_metric(scorer, kind, kind.range.metric(name))
    }

    pub(super) fn with_metric(scorer: Scorer, kind: &EvaluatorKind, metric: Metric) -> Self {
        let inputs = kind.inputs.iter().map(|input| InputSpec {
            name: input.name.into(),
            family: input.family,
            required: input.required,
        });
        Self {
            scorer,
            inputs: inputs.collect(),
            open: false,
            metrics: vec![EvaluatorMetric { metric, output: None }],
            contents: Vec::new(),
            repeats: 1,
        }
    }
}

/// Reads all of them. `metrics` gets the metrics of those too that have problems, so that a rule on one is not one more.
pub(super) fn read_evaluators(
    reader: &mut Reader<'_>,
    context: &ReadContext<'_>,
    node: &Node,
    evaluators: &mut Vec<Arc<Evaluator>>,
    metrics: &mut Vec<Metric>,
) {
    let mut add = |reader: &mut Reader<'_>, name: &str, at: Span, options: &[Entry]| {
        let before = reader.problems.len();
        let read = read_evaluator(reader, context, name, at, options);
        match read {
            Some(evaluator) => {
                metrics.extend(evaluator.metrics(None));
                if reader.problems.len() == before || !is_error(&reader.problems[before..]) {
                    evaluators.push(Arc::new(evaluator));
                }
            }
            None => metrics.push(Metric::share(name)),
        }
    };
    if let Some(items) = node.as_list() {
        for item in items {
            if let Some(name) = reader.text("an item of `evaluators`", item) {
                add(reader, name, item.span, &[]);
            }
        }
        return;
    }
    let entries = reader.entries(node, "evaluators");
    if entries.is_empty() && node.as_scalar().is_none_or(Value::is_null) {
        let problem = Problem::error("evaluation::no_evaluators", "`evaluators` names none");
        reader.problem(problem.help("as in `exact_match: {}`"), node.span);
    }
    for entry in entries {
        let options = reader.entries(&entry.value, &entry.key);
        add(reader, &entry.key, entry.key_span, options);
    }
}

/// An evaluator that a command line names by its kind alone.
pub(super) fn by_name(reader: &mut Reader<'_>, context: &ReadContext<'_>, name: &str, at: Span) -> Option<Evaluator> {
    read_evaluator(reader, context, name, at, &[])
}

fn is_error(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.severity == sluicegate_source::Severity::Error)
}

fn read_evaluator(
    reader: &mut Reader<'_>,
    context: &ReadContext<'_>,
    name: &str,
    at: Span,
    entries: &[Entry],
) -> Option<Evaluator> {
    check_name(reader, name, at);
    let kind = kind_of(reader, name, at, entries)?;
    let mut options = Options::new(reader, name, entries);
    options.take("use");
    let mut built = match kind.name {
        "flow" | "python" => outputs::build(&mut options, context, kind, at)?,
        _ if kind.options.contains(&"prompt") => judges::build(&mut options, kind, at)?,
        _ => scorers::build(&mut options, kind, at)?,
    };
    if let Some(node) = options.node("higher_is_better")
        && let Some(higher) = options.reader.boolean("higher_is_better", node)
    {
        built.metrics.iter_mut().for_each(|given| given.metric.lower_is_better = !higher);
        options.note("higher_is_better", higher);
    }
    let lower_is_better = built.metrics.first().is_some_and(|given| given.metric.lower_is_better);
    let threshold = options.node("threshold").and_then(|node| options.reader.threshold(node, lower_is_better));
    let only = options.node("where").and_then(|node| expression(options.reader, "where", node, &WHERE_NAMES));
    let (given_in_map, rest) = (given_in_map(&mut options), options.rest());
    let resolved = std::mem::take(&mut options.resolved);
    let mut given = Vec::new();
    for entry in given_in_map.iter().copied().chain(rest) {
        let known = input_called(&built.inputs, &entry.key);
        let Some(input) = known.or_else(|| built.open.then(|| entry.key.clone())) else {
            let names = kind.options.iter().copied().chain(COMMON_OPTIONS.into_iter().skip(1));
            let names: Vec<&str> = built.inputs.iter().map(|input| &*input.name).chain(names).collect();
            reader.unknown_key(entry, &format!("evaluator `{name}`"), &names);
            continue;
        };
        if known_twice(&given, &input) {
            let message = format!("`{input}` of evaluator `{name}` is given twice");
            reader.wrong_value(message, "keep one of them", entry.key_span);
            continue;
        }
        if let Some(operand) = operand(reader, &entry.value) {
            if built.open && !built.inputs.iter().any(|known| known.name == input) {
                built.inputs.push(InputSpec { name: input.clone(), family: None, required: false });
            }
            given.push(GivenInput { input, operand, span: entry.value.span });
        }
    }
    compile_literals(reader, &mut built.scorer, &given);
    Some(Evaluator {
        name: name.into(),
        kind,
        inputs: built.inputs,
        given,
        options: resolved,
        metrics: built.metrics,
        threshold,
        only,
        repeats: built.repeats,
        place: at,
        scorer: built.scorer,
        contents: built.contents,
    })
}

/// What an expression of `where` may read.
const WHERE_NAMES: [&str; 2] = ["data", "target"];

/// An expression, with the names that it may read.
pub(super) fn expression(reader: &mut Reader<'_>, key: &str, node: &Node, names: &[&str]) -> Option<Arc<Expression>> {
    let text = reader.text(key, node)?;
    let parsed = match Expression::parse(reader.file, node.written(), text) {
        Ok(parsed) => parsed,
        Err(problem) => {
            reader.problems.push(problem);
            return None;
        }
    };
    for (name, span) in parsed.variables() {
        if !names.contains(&&**name) {
            let problem = Problem::error("evaluation::unknown_variable", format!("`{key}` knows no `{name}`"));
            let help = match suggest::nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it can read {}, as in `data.{name}`", quoted(names.iter().copied())),
            };
            reader.problem(problem.help(help), *span);
        }
    }
    Some(Arc::new(parsed))
}

fn check_name(reader: &mut Reader<'_>, name: &str, at: Span) {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
    if name.is_empty() || !name.chars().all(is_word) {
        let problem = Problem::error("evaluation::wrong_name", format!("`{name}` cannot be an evaluator's name"));
        reader.problem(problem.help("use letters, digits, `_` and `-`"), at);
    } else if TAKEN.contains(&name) {
        let message = format!("an evaluator cannot be called `{name}`, which is a word of `gate`");
        let problem = Problem::error("evaluation::wrong_name", message);
        reader.problem(problem.help("choose another name, and say what it is by `use:`"), at);
    }
}

fn kind_of(reader: &mut Reader<'_>, name: &str, at: Span, entries: &[Entry]) -> Option<&'static EvaluatorKind> {
    let given = entries.iter().find(|entry| &*entry.key == "use");
    let (wanted, at) = match given {
        Some(entry) => (reader.text("use", &entry.value)?, entry.value.span),
        None => (name, at),
    };
    let found = registry::find(wanted);
    if found.is_none() {
        let problem = Problem::error("evaluation::unknown_evaluator", format!("there is no evaluator `{wanted}`"));
        reader.problem(
            problem.help(match suggest::nearest(wanted, registry::names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if given.is_none() => {
                    "say what it is, as in `use: f1`, `use: judge` with a `prompt`, or `use: flow` with a `flow`"
                        .to_owned()
                }
                None => format!("there are {}", quoted(registry::KINDS.iter().map(|kind| kind.name))),
            }),
            at,
        );
    }
    found
}

/// Inputs that stand under `inputs:` or `column_mapping:`, where an input is called as an option is.
fn given_in_map<'n>(options: &mut Options<'_, '_, 'n>) -> Vec<&'n Entry> {
    let mut given = Vec::new();
    for key in ["inputs", "column_mapping"] {
        if let Some(node) = options.node(key) {
            given.extend(options.reader.entries(node, key));
        }
    }
    given
}

/// The input of this name, or the one whose family knows it.
fn input_called(inputs: &[InputSpec], name: &str) -> Option<Arc<str>> {
    let exact = inputs.iter().find(|input| *input.name == *name);
    let by_family = || Family::of(name).and_then(|family| inputs.iter().find(|input| input.family == Some(family)));
    exact.or_else(by_family).map(|input| input.name.clone())
}

fn known_twice(given: &[GivenInput], input: &str) -> bool {
    given.iter().any(|given| *given.input == *input)
}

fn operand(reader: &mut Reader<'_>, node: &Node) -> Option<Operand> {
    let Some(text) = node.as_str() else { return Some(Operand::Literal(node.to_value())) };
    match Reference::parse(text) {
        Ok(Some(reference)) => Some(Operand::Reference(reference)),
        Ok(None) => Some(Operand::Literal(text.into())),
        Err(error) => {
            let help = match &error {
                ReferenceError::Embedded(_) => "put texts together by an evaluator `expression`, or in a prompt",
                ReferenceError::Unknown(_) => {
                    "it can read `${data.column}`, `${target.output}`, `${run.outputs.output}` and `${baseline.output}`"
                }
            };
            let problem = Problem::error("evaluation::wrong_reference", error.to_string());
            reader.problem(problem.help(help), node.span);
            None
        }
    }
}

/// What can be made ready once because it is the same for each case.
fn compile_literals(reader: &mut Reader<'_>, scorer: &mut Scorer, given: &[GivenInput]) {
    let Scorer::Regex { pattern } = scorer else { return };
    let Some(given) = given.iter().find(|given| &*given.input == "pattern") else { return };
    let Operand::Literal(written) = &given.operand else { return };
    let text = written.as_str().map(str::to_owned).unwrap_or_else(|| written.to_json());
    match Pattern::new(&text) {
        Ok(compiled) => *pattern = Some(compiled),
        Err(error) => {
            // The expression's own message draws the pattern over several lines.
            let message = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let problem =
                Problem::error("evaluation::wrong_pattern", format!("`pattern` is no regular expression: {message}"));
            reader.problem(
                problem.help("looking ahead or behind and going back to a group are not supported"),
                given.span,
            );
        }
    }
}
