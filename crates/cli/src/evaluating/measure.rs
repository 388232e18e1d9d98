//! From answers to scores: pure evaluators at once, the others by a batch of their flow.

use std::path::Path;
use std::sync::Arc;

use sluicegate_config::Environment;
use sluicegate_evaluate::score::{Comparison, NotScored};
use sluicegate_evaluate::{BoundEvaluator, CaseFacts, CaseScore, EvaluationSpec, Reading, Work, results};
use sluicegate_events::RunId;
use sluicegate_gate::{Arm, Outcome, Stopped};
use sluicegate_store::Store;
use sluicegate_value::{Map, Value};

use super::cases::Row;
use super::record::write_whole;
use super::stage::Rows;
use super::{Answer, Cases, Record, Stage, Stages, answers_of, flows};
use crate::error::CliError;

/// What is scored, and by what.
pub(crate) struct Measuring<'a> {
    pub(crate) bound: &'a [BoundEvaluator],
    pub(crate) target: &'a Environment,
    pub(crate) cases: &'a Cases,
    pub(crate) store: &'a Store,
    /// Before the names of its batches: empty for the candidate.
    pub(crate) prefix: &'a str,
}

/// One answer to one case, with its scores.
pub(crate) struct Item {
    pub(crate) case: usize,
    pub(crate) repeat: u32,
    pub(crate) answer: Answer,
    pub(crate) scores: Vec<CaseScore>,
}

impl Item {
    /// The trace of the answer, in hex; empty if none is recorded.
    pub(crate) fn trace_id(&self) -> String {
        self.answer.span.map_or_else(String::new, |span| format!("{:032x}", span.trace_id))
    }
}

/// All answers of one arm, scored.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) items: Vec<Item>,
    /// Numbers that evaluation flows gave for the whole: evaluator, name, number.
    pub(crate) logged: Vec<(Arc<str>, Arc<str>, f64)>,
    /// What judges cost; `None` if a price is not known.
    pub(crate) judges_usd: Option<f64>,
    pub(crate) stopped: Option<Stopped>,
}

/// Which reading of which answer a row of a judge's batch is about.
struct Asked {
    item: usize,
    judge_repeat: u32,
}

impl Measured {
    /// The answers of batches, one for each repeat, to the cases. A line that is not over is no answer.
    pub(crate) fn of_runs(cases: &Cases, store: &Store, runs: &[RunId]) -> Result<Self, CliError> {
        let mut items = Vec::new();
        for (repeat, run) in runs.iter().enumerate() {
            let mut answers = answers_of(store, run)?;
            for (case, row) in cases.rows.iter().enumerate() {
                if let Some(answer) = answers.remove(&row.number) {
                    items.push(Item { case, repeat: repeat as u32, answer, scores: Vec::new() });
                }
            }
        }
        Ok(Self { items, judges_usd: Some(0.0), ..Self::default() })
    }

    /// As the gate reads it.
    pub(crate) fn arm(&self, spec: &EvaluationSpec, cases: &Cases) -> Arm {
        let cluster = spec.data.cluster.as_deref();
        Arm {
            cases: self
                .items
                .iter()
                .map(|item| results::case(&facts(&cases.rows, item), cluster, &item.trace_id()))
                .collect(),
            scores: self.items.iter().flat_map(|item| &item.scores).map(|scored| scored.score.clone()).collect(),
        }
    }
}

impl Measuring<'_> {
    /// Scores every answer by every evaluator, in the order in which one may read another's scores.
    pub(crate) fn score(
        &self,
        measured: &mut Measured,
        stages: &mut Stages<'_>,
        record: &mut Record,
    ) -> Result<(), CliError> {
        for bound in self.bound {
            if bound.evaluator.work() != Work::Pure {
                self.ask(bound, measured, stages, record)?;
                if measured.stopped == Some(Stopped::Interrupted) {
                    return Ok(());
                }
                continue;
            }
            for item in &mut measured.items {
                let scores = bound.score(&facts(&self.cases.rows, item));
                item.scores.extend(scores);
            }
        }
        Ok(())
    }

    /// Scores by a batch of the evaluator's flow.
    fn ask(
        &self,
        bound: &BoundEvaluator,
        measured: &mut Measured,
        stages: &mut Stages<'_>,
        record: &mut Record,
    ) -> Result<(), CliError> {
        let (mut rows, mut asked) = (Vec::new(), Vec::new());
        let embeds = matches!(bound.evaluator.work(), Work::Embed(_));
        for at in 0..measured.items.len() {
            for judge_repeat in 0..bound.evaluator.repeats.max(1) {
                let Some(item) = measured.items.get_mut(at) else { continue };
                let facts = facts(&self.cases.rows, item);
                let inputs =
                    if embeds { to_embed(bound, &facts) } else { bound.flow_inputs(&facts, judge_repeat).map(Ok) };
                match inputs {
                    Ok(Ok(row)) => {
                        rows.push(row);
                        asked.push(Asked { item: at, judge_repeat });
                    }
                    Ok(Err(scores)) => item.scores.extend(scores),
                    Err(missing) => {
                        let scores = bound.missing(&facts, judge_repeat, &missing);
                        item.scores.extend(scores);
                    }
                }
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let name = format!("{}{}", self.prefix, flows::file_name(&bound.evaluator.name));
        let run = RunId(format!("{}-{name}", record.id).into());
        let (file, hash) = write_rows(&record.folder, &name, &rows)?;
        let manner = record.wanted.manner.clone();
        let (evaluator, folder) = (&bound.evaluator, &record.folder);
        let (prepared, choices) = flows::prepare(stages.session, evaluator, self.target, folder, manner.concurrency)?;
        let stage = Stage {
            name,
            run: run.clone(),
            prepared: &prepared,
            choices: &choices,
            manner: &manner,
            rows: Rows::Inputs { rows, file, hash },
            reserve: 0.0,
        };
        let ended = stage.run(stages, record);
        prepared.close();
        let ended = ended?;
        measured.judges_usd = measured.judges_usd.zip(ended.spent.cost).map(|(before, now)| before + now);
        measured.stopped = ended.stopped.or(measured.stopped);
        let evaluator = &bound.evaluator.name;
        measured.logged.extend(
            ended
                .metrics
                .iter()
                .filter_map(|(name, value)| Some((evaluator.clone(), name.clone(), value.as_number()?))),
        );
        let answers = answers_of(self.store, &run)?;
        for (number, Asked { item, judge_repeat }) in asked.iter().enumerate() {
            let Some(item) = measured.items.get_mut(*item) else { continue };
            let facts = facts(&self.cases.rows, item);
            let scores = match answers.get(&(number as u64)) {
                Some(answer) => scores_of(bound, &facts, answer, *judge_repeat),
                None => bound.missing(&facts, *judge_repeat, &NotScored::failed("it was not asked any more")),
            };
            item.scores.extend(scores);
        }
        Ok(())
    }
}

/// What a case is to an evaluator.
pub(super) fn facts<'a>(rows: &'a [Row], item: &'a Item) -> CaseFacts<'a> {
    // Items are made from rows, so that there is one.
    let row = &rows[item.case];
    CaseFacts {
        key: &row.key,
        line: row.line,
        repeat: item.repeat,
        outcome: &item.answer.outcome,
        data: &row.columns,
        outputs: &item.answer.outputs,
        run_inputs: item.answer.inputs.as_ref(),
        baseline: None,
        run: item.answer.run,
        scores: &item.scores,
    }
}

pub(super) fn scores_of(
    bound: &BoundEvaluator,
    facts: &CaseFacts<'_>,
    answer: &Answer,
    judge_repeat: u32,
) -> Vec<CaseScore> {
    match &answer.outcome {
        Outcome::Answered if matches!(bound.evaluator.work(), Work::Embed(_)) => {
            match (vector(answer.outputs.get("one")), vector(answer.outputs.get("other"))) {
                (Some(one), Some(other)) => bound.score_vectors(facts, &one, &other, answer.run.cost_usd),
                _ => bound.missing(facts, judge_repeat, &NotScored::failed("there is no vector")),
            }
        }
        Outcome::Answered => {
            let reading = Reading { outputs: &answer.outputs, judge_repeat, cost_usd: answer.run.cost_usd };
            bound.score_outputs(facts, &reading)
        }
        Outcome::Error(message) | Outcome::FilterFailed(message) => {
            bound.missing(facts, judge_repeat, &NotScored::failed(message.clone()))
        }
        Outcome::FilteredInput | Outcome::FilteredOutput => {
            bound.missing(facts, judge_repeat, &NotScored::failed("a content filter kept it from the evaluator"))
        }
    }
}

/// Two texts as a row; or scores at once, where there are vectors already.
fn to_embed(bound: &BoundEvaluator, facts: &CaseFacts<'_>) -> Result<Result<Map, Vec<CaseScore>>, NotScored> {
    Ok(match bound.texts_to_embed(facts)? {
        Comparison::Texts([one, other]) => Ok(Map::from([("one", Value::from(one)), ("other", other.into())])),
        Comparison::Vectors([one, other]) => Err(bound.score_vectors(facts, &one, &other, None)),
    })
}

/// A vector, or the only one of a list.
fn vector(value: Option<&Value>) -> Option<Vec<f64>> {
    match value?.as_list()? {
        [only @ Value::List(_)] => vector(Some(only)),
        numbers => numbers.iter().map(Value::as_number).collect(),
    }
}

/// The rows of a batch for whoever wants to look: their file, and its hash.
pub(super) fn write_rows(folder: &Path, name: &str, rows: &[Map]) -> Result<(String, String), CliError> {
    let file = folder.join(format!("{name}.jsonl"));
    let text: String = rows.iter().map(|row| Value::from(row.clone()).to_json() + "\n").collect();
    write_whole(&file, &text)?;
    Ok((file.display().to_string(), sluicegate_value::hash::sha256(&text)))
}
