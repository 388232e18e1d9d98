//! Flows and Python functions as evaluators: which of their outputs are scores.

use std::sync::Arc;

use sluicegate_flow::files::{join, read_text};
use sluicegate_gate::Metric;
use sluicegate_source::yaml::Node;
use sluicegate_source::{Problem, Span, suggest};
use sluicegate_value::{Map, Value};

use super::evaluators::Built;
use super::options::{Options, tidy};
use super::{FlowSignature, ReadContext, scorers};
use crate::binding::{Family, quoted};
use crate::evaluator::{EvaluatorKind, EvaluatorMetric, FlowScorer, InputSpec, ModelChoice, Scorer};

pub(super) fn build(
    options: &mut Options<'_, '_, '_>,
    context: &ReadContext<'_>,
    kind: &EvaluatorKind,
    at: Span,
) -> Option<Built> {
    let (scorer, signature, contents) =
        if kind.name == "python" { python(options, at)? } else { flow(options, context, at)? };
    let metrics = metrics(options, signature.as_ref());
    let open = signature.is_none();
    let inputs = signature.map(|signature| signature.inputs).unwrap_or_default();
    let inputs = inputs.into_iter().map(|(name, required)| InputSpec { family: Family::of(&name), name, required });
    Some(Built { scorer: Scorer::Flow(scorer), inputs: inputs.collect(), open, metrics, contents, repeats: 1 })
}

/// A scorer, what its flow takes and gives where that is known, and the contents that its scores rest on.
type Found = (FlowScorer, Option<FlowSignature>, Vec<Arc<str>>);

fn flow(options: &mut Options<'_, '_, '_>, context: &ReadContext<'_>, at: Span) -> Option<Found> {
    let Some((written, node)) = options.text("flow") else {
        options.lacks("flow", "flow: flows/eval_answer", at);
        return None;
    };
    let Some(path) = options.reader.path(&written) else {
        options.reader.wrong_value("`flow` must be a path within the project".to_owned(), "", node.span);
        return None;
    };
    if options.reader.files.kind(&path) == sluicegate_flow::files::FileKind::Missing {
        let problem = Problem::error("evaluation::no_file", format!("there is no flow `{path}`"));
        options
            .reader
            .problem(problem.help("paths are from the project's root, or with `./` from this folder"), node.span);
        return None;
    }
    let signature = (context.signature)(&path);
    let contents = signature.iter().filter_map(|signature| signature.hash.clone()).collect();
    Some((FlowScorer { path, call: None, model: scorers::model(options) }, signature, contents))
}

fn python(options: &mut Options<'_, '_, '_>, at: Span) -> Option<Found> {
    let Some((call, node)) = options.text("call") else {
        options.lacks("call", "call: scores:politeness", at);
        return None;
    };
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || "_.".contains(letter));
    if !call.split_once(':').is_some_and(|(module, function)| is_name(module) && is_name(function)) {
        options.reader.wrong_value(format!("`{call}` names no function"), "as in `module:function`", node.span);
        return None;
    }
    // The module is looked for beside the evaluation file, as a flow's is in its folder.
    let folder = match options.text("folder") {
        Some((written, _)) => options.reader.path(&written)?,
        None => sluicegate_flow::files::parent(options.reader.file.name()).into(),
    };
    let module = call.split(':').next().unwrap_or_default().replace('.', "/");
    let text = join(&folder, &format!("{module}.py")).and_then(|path| read_text(options.reader.files, &path).ok());
    Some((FlowScorer { path: folder, call: Some(call), model: ModelChoice::default() }, None, Vec::from_iter(text)))
}

/// `score: grade`, `scores: [grade, tone]`, `scores: { grade: { scale: [1, 5] } }`; without either, all outputs that the
/// flow has.
fn metrics(options: &mut Options<'_, '_, '_>, signature: Option<&FlowSignature>) -> Vec<EvaluatorMetric> {
    let common = look(options, "scale", "boolean");
    let mut wanted: Vec<(Arc<str>, Look, Span)> = Vec::new();
    if let Some(node) = options.node("score")
        && let Some(output) = options.reader.text("score", node)
    {
        wanted.push((output.into(), common, node.span));
    }
    if let Some(node) = options.node("scores") {
        wanted.extend(scores(options, node, common));
    }
    if !wanted.is_empty() {
        let scores: Map = wanted.iter().map(|(output, look, _)| (output.clone(), look.expanded())).collect();
        options.note("scores", scores);
    }
    if let Some(signature) = signature {
        for (output, _, at) in &wanted {
            check_output(options, output, signature, *at);
        }
        if wanted.is_empty() {
            // What explains a score is none.
            let scored = signature.outputs.iter().filter(|output| !is_reason(output));
            wanted.extend(scored.map(|output| (output.clone(), common, Span::default())));
        }
    }
    let name = options.name;
    let metric = |name: String, look: Look| match look {
        Look { boolean: true, .. } => Metric::boolean(name),
        Look { scale: Some([lowest, highest]), .. } => Metric::on_scale(name, lowest, highest),
        Look { scale: None, .. } => Metric { scale: None, ..Metric::share(name) },
    };
    match &wanted[..] {
        [] => vec![EvaluatorMetric { metric: metric(name.to_owned(), common), output: None }],
        [(output, look, _)] => {
            vec![EvaluatorMetric { metric: metric(name.to_owned(), *look), output: Some(output.clone()) }]
        }
        several => several
            .iter()
            .map(|(output, look, _)| EvaluatorMetric {
                metric: metric(format!("{name}.{output}"), *look),
                output: Some(output.clone()),
            })
            .collect(),
    }
}

/// What an output's scores look like.
#[derive(Clone, Copy)]
struct Look {
    scale: Option<[f64; 2]>,
    boolean: bool,
}

impl Look {
    fn expanded(self) -> Value {
        let mut map = Map::new();
        if let Some(scale) = self.scale {
            map.insert("scale", scale.map(tidy).to_vec());
        }
        if self.boolean {
            map.insert("boolean", true);
        }
        map.into()
    }
}

fn look(options: &mut Options<'_, '_, '_>, scale: &'static str, boolean: &'static str) -> Look {
    let scale = if options.take(scale).is_some() { options.scale() } else { None };
    let boolean = options.take(boolean).is_some() && options.boolean(boolean, false);
    Look { scale, boolean }
}

fn scores(options: &mut Options<'_, '_, '_>, node: &Node, common: Look) -> Vec<(Arc<str>, Look, Span)> {
    if node.as_map().is_none() {
        let names = options.reader.texts("scores", node);
        return names.into_iter().map(|name| (name, common, node.span)).collect();
    }
    let mut all = Vec::new();
    for entry in options.reader.entries(node, "scores") {
        let mut look = common;
        for inner in options.reader.entries(&entry.value, &entry.key) {
            match &*inner.key {
                "scale" => look.scale = options.reader.scale(&inner.value),
                "boolean" => look.boolean = options.reader.boolean("boolean", &inner.value).unwrap_or(false),
                _ => options.reader.unknown_key(inner, &format!("score `{}`", entry.key), &["scale", "boolean"]),
            }
        }
        all.push((entry.key.clone(), look, entry.key_span));
    }
    all
}

fn check_output(options: &mut Options<'_, '_, '_>, output: &str, signature: &FlowSignature, at: Span) {
    if signature.outputs.iter().any(|known| **known == *output) {
        return;
    }
    let names = || signature.outputs.iter().map(|name| &**name);
    let problem = Problem::error("evaluation::unknown_output", format!("the evaluation flow has no output `{output}`"));
    let help = match suggest::nearest(output, names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it has {}", quoted(names())),
    };
    options.reader.problem(problem.help(help), at);
}

/// Whether an output is called as one that explains a score.
pub(crate) fn is_reason(output: &str) -> bool {
    ["reason", "reasoning", "explanation", "rationale"]
        .iter()
        .any(|word| output == *word || output.strip_suffix(word).is_some_and(|rest| rest.ends_with('_')))
}
