//! `evaluation.yaml` for flows that a script evaluates: as far as its syntax tree tells.

use sluicegate_value::{Map, Value};

use super::super::draft::Draft;
use super::abilities::takes;
use super::flows::FlowFacts;
use super::scripts::{Call, Scripts, config_key, written};
use super::survey::{Survey, parent};
use super::translate::flow_of_script;
use super::words::words;
use super::yaml_text::{entry, inline};

/// Class of the original, evaluator here.
const EVALUATORS: &[(&str, &str)] = &[
    ("GroundednessEvaluator", "groundedness"),
    ("RelevanceEvaluator", "relevance"),
    ("CoherenceEvaluator", "coherence"),
    ("FluencyEvaluator", "fluency"),
    ("SimilarityEvaluator", "similarity"),
    ("RetrievalEvaluator", "retrieval"),
    ("ResponseCompletenessEvaluator", "response_completeness"),
    ("F1ScoreEvaluator", "f1"),
    ("BleuScoreEvaluator", "bleu"),
    ("GleuScoreEvaluator", "gleu"),
    ("MeteorScoreEvaluator", "meteor"),
    ("RougeScoreEvaluator", "rouge"),
    // Classes of the template's own, by what they do there.
    ("MatchEvaluator", "exact_match"),
    ("JsonEvaluator", "json_schema"),
];
/// Evaluators of a service that is not asked from here.
const OF_A_SERVICE: &[&str] = &[
    "ViolenceEvaluator",
    "SexualEvaluator",
    "SelfHarmEvaluator",
    "HateUnfairnessEvaluator",
    "ContentSafetyEvaluator",
    "ContentSafetyChatEvaluator",
    "ProtectedMaterialEvaluator",
    "IndirectAttackEvaluator",
    "GroundednessProEvaluator",
];

/// An evaluation that a script makes.
pub(crate) struct Evaluation<'s> {
    pub(crate) script: &'s str,
    pub(crate) flow: &'s FlowFacts,
    pub(crate) data: Option<String>,
    pub(crate) evaluators: Vec<Evaluator>,
}

/// One of its evaluators.
pub(crate) struct Evaluator {
    pub(crate) alias: String,
    /// The class, full name.
    pub(crate) class: String,
    /// What it is here, if that is known.
    pub(crate) ours: Option<&'static str>,
    pub(crate) mapping: Map,
}

impl Evaluator {
    /// Whether a service of Azure does the work.
    pub(crate) fn is_of_a_service(&self) -> bool {
        OF_A_SERVICE.contains(&self.class_name())
    }

    /// The class without its module.
    pub(crate) fn class_name(&self) -> &str {
        self.class.rsplit('.').next().unwrap_or(&self.class)
    }
}

/// Every evaluation that scripts make of flows that are known.
pub(crate) fn evaluations(survey: &Survey) -> Vec<Evaluation<'_>> {
    let Scripts { files, .. } = &survey.scripts;
    let mut found = Vec::new();
    for (path, facts) in files {
        let Some(name) = facts.evaluations().next().and_then(|_| flow_of_script(path, facts, survey)) else { continue };
        let Some(flow) = survey.flow_named(&name) else { continue };
        found.extend(facts.evaluations().map(|call| Evaluation {
            script: path,
            flow,
            data: data_of(call, survey, flow),
            evaluators: evaluators_of(call),
        }));
    }
    found
}

/// A draft for each flow that is evaluated and has no file of its own; the first script counts.
pub(crate) fn drafts(survey: &Survey) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::new();
    for evaluation in evaluations(survey) {
        let folder = parent(&evaluation.flow.file);
        let path = if folder.is_empty() { "evaluation.yaml".to_owned() } else { format!("{folder}/evaluation.yaml") };
        let is_there = survey.files.contains(&path) || drafts.iter().any(|draft| draft.path == path);
        if !is_there && !evaluation.evaluators.is_empty() {
            let later = if takes(&words(&["sluicegate", "evaluate", "x"])) { "" } else { ", for a later version" };
            let (text, about) = (evaluation.to_text(), format!("what {} evaluates{later}", evaluation.script));
            drafts.push(Draft { path, shown: text.clone(), text, about });
        }
    }
    drafts
}

impl Evaluation<'_> {
    fn to_text(&self) -> String {
        let mut text = format!("# From {}.\n", self.script);
        match &self.data {
            Some(data) => text += &entry("data", &Value::from(data.as_str()), 0),
            None => text += "# data: the rows to evaluate\n",
        }
        text += "evaluators:\n";
        let mut names: Vec<String> = Vec::new();
        for evaluator in &self.evaluators {
            let Some(ours) = evaluator.ours else {
                let word = if evaluator.is_of_a_service() { "a service of Azure" } else { "your own Python" };
                let mapping = inline(&Value::from(evaluator.mapping.clone()));
                text += &format!(
                    "  # {}: {} is {word}: it needs a twin here. It was given {mapping}\n",
                    evaluator.alias, evaluator.class
                );
                continue;
            };
            let mut section = evaluator.mapping.clone();
            let name = if names.iter().any(|name| name == ours) {
                section = std::iter::once(("use".into(), Value::from(ours))).chain(section).collect();
                evaluator.alias.clone()
            } else {
                ours.to_owned()
            };
            match evaluator.class_name() {
                "MatchEvaluator" => {
                    text += "  # MatchEvaluator counts partial matches too, and cleans the truth: look whether this is what you mean.\n"
                }
                "JsonEvaluator" => text += "  # JsonEvaluator: name the schema (`schema: PATH`).\n",
                _ => {}
            }
            text += &entry(&name, &Value::from(section), 2);
            names.push(name);
        }
        text += "gate:\n";
        // The original's pipelines have no limit anywhere: inventing one would fail or pass for no reason of the author's.
        text += "  # The old pipeline had no limits. Set yours, for example:\n";
        for name in names.iter().take(2) {
            let limit =
                if matches!(name.as_str(), "groundedness" | "relevance" | "coherence" | "fluency" | "similarity") {
                    "\">= 4\""
                } else {
                    "\">= 0.80\""
                };
            text += &format!("  # {name}: {limit}\n");
        }
        text + "  no_regression: true\n"
    }
}

fn data_of(call: &Call, survey: &Survey, flow: &FlowFacts) -> Option<String> {
    let told = call.argument("data", 0)?;
    if let Some(path) = written(told) {
        return Some(path.to_owned());
    }
    let sections = survey.config.flows.get(&flow.name)?;
    match config_key(told)? {
        "eval_data_path" => sections.eval_data_path.clone(),
        "data_path" => sections.data_path.clone(),
        _ => None,
    }
}

fn evaluators_of(call: &Call) -> Vec<Evaluator> {
    let map = |name: &str| {
        let told = call.argument(name, usize::MAX)?;
        told.get("map").and_then(Value::as_map).cloned()
    };
    let configs = map("evaluator_config").unwrap_or_default();
    let evaluators = map("evaluators").unwrap_or_default();
    let mapping_of = |alias: &str| {
        let own = configs.get(alias).or_else(|| configs.get("default"))?.get("map")?.as_map()?;
        // The newer package has a level between.
        let own = own.get("column_mapping").and_then(|inner| inner.get("map")?.as_map()).unwrap_or(own);
        Some(
            own.iter()
                .filter_map(|(key, told)| Some((key.clone(), Value::from(ours(written(told)?)))))
                .collect::<Map>(),
        )
    };
    evaluators
        .iter()
        .map(|(alias, told)| {
            let class = told.get("class").and_then(Value::as_str).unwrap_or(alias).to_owned();
            let name = class.rsplit('.').next().unwrap_or(&class);
            let ours = EVALUATORS.iter().find(|(known, _)| *known == name).map(|(_, ours)| *ours);
            Evaluator { ours, mapping: mapping_of(alias).unwrap_or_default(), alias: alias.to_string(), class }
        })
        .collect()
}

/// `${run.outputs.x}` is what the target gave.
fn ours(reference: &str) -> String {
    reference.replace("${run.outputs.", "${target.")
}
