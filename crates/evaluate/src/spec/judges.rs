//! Judges: a prompt, its scale, and whom it asks.

use std::sync::Arc;

use sluicegate_flow::files::{FileKind, join, parent, read_text};
use sluicegate_flow::prompty::PromptyFile;
use sluicegate_gate::Metric;
use sluicegate_source::{SourceFile, Span};
use sluicegate_value::Map;

use super::evaluators::Built;
use super::options::Options;
use super::scorers;
use crate::binding::Family;
use crate::evaluator::{EvaluatorKind, EvaluatorMetric, InputSpec, JudgeScorer, Scorer};
use crate::judge::{self, Expects, JudgePrompt};

/// Readings of one answer: more tells nothing new.
const MAX_READINGS: u32 = 100;

pub(super) fn build(options: &mut Options<'_, '_, '_>, kind: &EvaluatorKind, at: Span) -> Option<Built> {
    let model = scorers::model(options);
    let score_key = options.text("score_key").map(|(key, _)| key);
    let scale = if kind.options.contains(&"scale") { options.scale().or(Some([1.0, 5.0])) } else { None };
    let weighted = kind.options.contains(&"weighted") && options.boolean("weighted", false);
    let constants = constants(options, kind, scale, weighted, at);
    let prompt = prompt(options, kind, weighted, at);
    // In an even number of readings each of two answers comes first equally often.
    let default = if kind.name == "pairwise" { 2 } else { 1 };
    let repeats = options.node("repeats").and_then(|node| options.reader.whole("repeats", node, 1, MAX_READINGS));
    let repeats = repeats.unwrap_or(default);
    options.note("repeats", i64::from(repeats));
    let prompt = prompt?;
    let read = read_prompt(options, &prompt)?;
    let mut metric = kind.range.metric(options.name);
    let expects = match kind.name {
        "pairwise" => Expects::Winner,
        "select_best" => Expects::Number,
        _ => {
            if let Some([lowest, highest]) = scale {
                metric = Metric::on_scale(options.name, lowest, highest);
            }
            Expects::Score
        }
    };
    let declared = read.inputs.iter().map(|input| input.name.clone()).collect();
    let inputs = inputs(&read, kind, &constants);
    Some(Built {
        contents: vec![prompt.text.clone()],
        scorer: Scorer::Judge(JudgeScorer { prompt, model, expects, constants, declared, score_key, weighted }),
        inputs,
        open: false,
        metrics: vec![EvaluatorMetric { metric, output: None }],
        repeats,
    })
}

/// Inputs of the prompt that are the same for each case.
fn constants(
    options: &mut Options<'_, '_, '_>,
    kind: &EvaluatorKind,
    scale: Option<[f64; 2]>,
    weighted: bool,
    at: Span,
) -> Map {
    let mut constants = Map::new();
    if kind.options.contains(&"criteria") {
        match options.node("criteria") {
            Some(node) => {
                let value = node.to_value();
                let text = judge::criteria_text(&value);
                if text.trim().is_empty() {
                    options.reader.wrong_type("criteria", "text, a list or a map of texts", node);
                }
                options.note("criteria", value);
                constants.insert("criteria", text);
            }
            None if kind.name == "rubric" => {
                options.lacks("criteria", "criteria: The answer names a source for each fact.", at);
            }
            None => {}
        }
    }
    if kind.name != "rubric" {
        return constants;
    }
    let [lowest, highest] = scale.unwrap_or([1.0, 5.0]);
    constants.insert("lowest", judge::number_text(lowest));
    constants.insert("highest", judge::number_text(highest));
    if let Some(node) = options.node("levels") {
        let value = node.to_value();
        let text = judge::levels_text(&value);
        if text.is_none() {
            let message = "`levels` must say for a score what it means".to_owned();
            options.reader.wrong_value(message, "as in `{ 1: no source, 5: a source for each fact }`", node.span);
        }
        options.note("levels", value);
        constants.insert("levels", text.unwrap_or_default());
    }
    let reasoning = options.boolean("reasoning", !weighted);
    constants.insert("reasoning", reasoning);
    constants
}

/// The author's prompt, the project's of our name, or ours.
fn prompt(options: &mut Options<'_, '_, '_>, kind: &EvaluatorKind, weighted: bool, at: Span) -> Option<JudgePrompt> {
    if let Some((written, node)) = options.text("prompt") {
        let (path, text) = options.reader.file_text("prompt", &written, node.span)?;
        return Some(JudgePrompt { path, text, is_ours: false });
    }
    let name = if weighted { "rubric_weighted" } else { kind.name };
    let Some(ours) = judge::built_in(name) else {
        options.lacks("prompt", "prompt: flows/judges/correct.prompty", at);
        return None;
    };
    let path = ours.path.clone();
    if options.reader.files.kind(&path) == FileKind::File
        && let Ok(text) = read_text(options.reader.files, &path)
    {
        // The same text is ours still: a project may have been made with a copy.
        let is_ours = text == ours.text;
        return Some(JudgePrompt { path, text, is_ours });
    }
    Some(ours)
}

fn read_prompt(options: &mut Options<'_, '_, '_>, prompt: &JudgePrompt) -> Option<PromptyFile> {
    let file = SourceFile::new(prompt.path.clone(), prompt.text.clone());
    let files = options.reader.files;
    let read_file = |path: &str| {
        let located =
            join(parent(&prompt.path), path).ok_or_else(|| format!("`{path}` lies outside of the project"))?;
        read_text(files, &located).map_err(|error| error.to_string())
    };
    match PromptyFile::read(&file, &read_file) {
        Ok(read) => Some(read),
        Err(problems) => {
            options.reader.problems.extend(problems);
            None
        }
    }
}

/// What the prompt declares, without what is the same for each case. Of a kind of ours the kind says what is needed.
fn inputs(prompty: &PromptyFile, kind: &EvaluatorKind, constants: &Map) -> Vec<InputSpec> {
    const OURS: [&str; 5] = ["criteria", "lowest", "highest", "levels", "reasoning"];
    let declared = prompty.inputs.iter().filter(|input| {
        let is_of_rubric = kind.options.contains(&"criteria") && OURS.contains(&&*input.name);
        !is_of_rubric && !constants.contains_key(&input.name)
    });
    let mut inputs: Vec<InputSpec> = declared
        .map(|input| {
            let family = Family::of(&input.name);
            let of_kind = kind
                .inputs
                .iter()
                .find(|known| *known.name == *input.name || (family.is_some() && known.family == family));
            InputSpec {
                name: input.name.clone(),
                family: of_kind.map_or(family, |known| known.family),
                required: of_kind.map_or(input.required, |known| known.required),
            }
        })
        .collect();
    // The answer that is judged stands among the candidates, and is no input of the prompt.
    if kind.name == "select_best" && !inputs.iter().any(|input| input.family == Some(Family::Response)) {
        inputs.push(InputSpec { name: "response".into(), family: Some(Family::Response), required: true });
    }
    // `count` is counted.
    inputs.retain(|input| kind.name != "select_best" || &*input.name != "count");
    // A conversation is never a prompt's own input: its last turn is question and answer.
    let takes_conversation = kind.inputs.iter().any(|input| input.family == Some(Family::Conversation));
    if takes_conversation && !inputs.iter().any(|input| input.family == Some(Family::Conversation)) {
        let family = Some(Family::Conversation);
        inputs.push(InputSpec { name: Arc::from("conversation"), family, required: false });
    }
    inputs
}
