//! An evaluation in a string, read, bound and asked about a case.

use std::sync::Arc;

use sluicegate_evaluate::spec::FlowSignature;
use sluicegate_evaluate::{
    Available, BoundEvaluator, CaseFacts, CaseScore, EvaluationSpec, Names, ReadContext, RunFacts, SpecReading,
};
use sluicegate_flow::files::MemoryFiles;
use sluicegate_gate::{CaseKey, Outcome, ScoreValue};
use sluicegate_source::{Problem, SourceFile};
use sluicegate_value::{Map, json};

pub(crate) const PATH: &str = "flows/answer/evaluation.yaml";

pub(crate) fn files() -> MemoryFiles {
    MemoryFiles::new(&[
        ("schemas/answer.json", r#"{"type": "object", "required": ["name"]}"#),
        ("schemas/broken.json", "{"),
        ("flows/answer/beside.json", r#"{"type": "array"}"#),
        ("flows/eval_answer/flow.dag.yaml", ""),
        (
            "flows/judges/correct.prompty",
            "---\nmodel:\n  api: chat\n  configuration:\n    type: openai\n    model: m\ninputs:\n  question:\n    type: string\n  answer:\n    type: string\n  tone:\n    type: string\n    default: kind\n---\nuser:\n{{question}} {{answer}} {{tone}}\n",
        ),
    ])
}

pub(crate) fn context(files: &MemoryFiles) -> ReadContext<'_> {
    ReadContext { files, signature: &signature, environment: Some("pr"), environments: &[], cases: None }
}

fn signature(path: &str) -> Option<FlowSignature> {
    (path == "flows/eval_answer").then(|| FlowSignature {
        inputs: vec![("question".into(), true), ("prediction".into(), true), ("mode".into(), false)],
        outputs: vec!["grade".into(), "tone".into(), "grade_reason".into()],
        hash: None,
    })
}

pub(crate) fn read(text: &str) -> Result<SpecReading, Vec<Problem>> {
    EvaluationSpec::parse(&SourceFile::new(PATH, text), &context(&files()))
}

#[track_caller]
pub(crate) fn spec(text: &str) -> EvaluationSpec {
    match read(text) {
        Ok(reading) => reading.spec,
        Err(problems) => panic!("{}", shown(&problems)),
    }
}

pub(crate) fn shown(problems: &[Problem]) -> String {
    let line = |problem: &Problem| match &problem.help {
        Some(help) => format!("{problem}\n    {help}"),
        None => problem.to_string(),
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The columns and outputs that most tests have.
pub(crate) fn available() -> Available {
    Available {
        data: Names::exactly(["question", "expected", "context", "tags"]),
        target: Names::exactly(["answer", "sources"]),
    }
}

pub(crate) fn map(text: &str) -> Map {
    json::read(text).expect("JSON").as_map().expect("a map").clone()
}

/// A case, with what it is made of.
pub(crate) struct Told {
    pub(crate) key: CaseKey,
    pub(crate) outcome: Outcome,
    pub(crate) data: Map,
    pub(crate) outputs: Map,
    pub(crate) run: RunFacts,
    pub(crate) scores: Vec<CaseScore>,
}

impl Told {
    pub(crate) fn new(data: &str, outputs: &str) -> Self {
        Self {
            key: "case-1".into(),
            outcome: Outcome::Answered,
            data: map(data),
            outputs: map(outputs),
            run: RunFacts::default(),
            scores: Vec::new(),
        }
    }

    pub(crate) fn available(&self) -> Available {
        Available {
            data: Names::exactly(self.data.keys().cloned()),
            target: Names::exactly(self.outputs.keys().cloned()),
        }
    }

    pub(crate) fn facts(&self) -> CaseFacts<'_> {
        CaseFacts {
            key: &self.key,
            line: Some(1),
            repeat: 0,
            outcome: &self.outcome,
            data: &self.data,
            outputs: &self.outputs,
            run_inputs: None,
            baseline: None,
            run: self.run,
            scores: &self.scores,
        }
    }
}

/// The one evaluator of an evaluation, bound to what the case has.
#[track_caller]
pub(crate) fn bound(evaluators: &str, told: &Told) -> BoundEvaluator {
    let spec = spec(&format!("evaluators: {evaluators}"));
    let mut bound = match spec.bind(&told.available()) {
        Ok(bound) => bound,
        Err(problems) => panic!("{}", shown(&problems)),
    };
    assert_eq!(bound.len(), 1, "one evaluator");
    bound.remove(0)
}

/// A score as one line: its value, whether it passed, and why.
pub(crate) fn line(scored: &CaseScore) -> String {
    let score = &scored.score;
    let value = match &score.value {
        ScoreValue::Bool(yes) => yes.to_string(),
        ScoreValue::Number(number) => ((number * 1e4).round() / 1e4).to_string(),
        ScoreValue::Missing { why, detail } => return format!("{why:?}: {detail}"),
    };
    let passed = match score.passed {
        Some(true) => ", passed",
        Some(false) => ", failed",
        None => "",
    };
    let reason = if score.reason.is_empty() { String::new() } else { format!(": {}", score.reason) };
    format!("{value}{passed}{reason}")
}

pub(crate) fn names(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}
