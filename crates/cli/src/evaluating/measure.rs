//! From answers to scores: pure evaluators at once, the others by a batch of their flow.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use sluicegate_config::Environment;
use sluicegate_evaluate::score::{Comparison, NotScored};
use sluicegate_evaluate::{BoundEvaluator, CaseFacts, CaseScore, EvaluationSpec, Reading, Work, results};
use sluicegate_events::RunId;
use sluicegate_gate::{Arm, Case, Outcome, Stopped};
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
    /// Which answer to their cases the answers are: those of another one than the first are not read from a cache.
    pub(crate) draw: u32,
}

/// One answer to one case, with its scores.
pub(crate) struct Item {
    /// The batch that the answer is of.
    pub(crate) run: RunId,
    pub(crate) case: usize,
    pub(crate) repeat: u32,
    /// Whether the case was answered once more because it fell.
    pub(crate) confirming: bool,
    pub(crate) answer: Answer,
    pub(crate) scores: Vec<CaseScore>,
    /// Whether an evaluator was not asked any more: then it is not measured.
    unasked: bool,
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
    /// Nothing yet.
    pub(crate) fn nothing() -> Self {
        Self { judges_usd: Some(0.0), ..Self::default() }
    }

    /// The answers of a batch to some cases. A line that is not over is no answer.
    pub(crate) fn of_run(
        cases: &Cases,
        store: &Store,
        run: &RunId,
        chosen: &[usize],
        (repeat, confirming): (u32, bool),
    ) -> Result<Self, CliError> {
        let mut answers = answers_of(store, run)?;
        let mut measured = Self::nothing();
        for case in chosen {
            let answer = cases.rows.get(*case).and_then(|row| answers.remove(&row.number));
            if let Some(answer) = answer {
                let (run, case, scores) = (run.clone(), *case, Vec::new());
                let item = Item { run, case, repeat, confirming, answer, scores, unasked: false };
                measured.items.push(item);
            }
        }
        Ok(measured)
    }

    /// Takes over what else was measured.
    pub(crate) fn add(&mut self, more: Self) {
        // Numbers that are of a part of the cases are none of the whole.
        if self.items.is_empty() {
            self.logged = more.logged;
        } else if more.items.iter().any(|item| !item.confirming) {
            self.logged.clear();
        }
        self.items.extend(more.items);
        self.judges_usd = self.judges_usd.zip(more.judges_usd).map(|(before, now)| before + now);
        self.stopped = more.stopped.or(self.stopped);
    }

    /// The models that answered; `None` if no endpoint said it.
    pub(crate) fn served(&self) -> Option<String> {
        let served: BTreeSet<&str> =
            self.items.iter().flat_map(|item| &item.answer.served).map(String::as_str).collect();
        (!served.is_empty()).then(|| served.into_iter().collect::<Vec<_>>().join(", "))
    }

    /// As the gate reads it.
    pub(crate) fn arm(&self, spec: &EvaluationSpec, cases: &Cases) -> Arm {
        arm(self.items.iter(), spec, cases)
    }

    /// The same, without answers to cases that ran again because they fell: what means are made of.
    pub(crate) fn planned(&self, spec: &EvaluationSpec, cases: &Cases) -> Arm {
        arm(self.items.iter().filter(|item| !item.confirming), spec, cases)
    }
}

fn arm<'a>(items: impl Iterator<Item = &'a Item>, spec: &EvaluationSpec, cases: &Cases) -> Arm {
    let cluster = spec.data.cluster.as_deref();
    let mut arm = Arm::default();
    for item in items {
        let case = results::case(&facts(&cases.rows, item), cluster, &item.trace_id());
        arm.cases.push(Case { confirming: item.confirming, ..case });
        arm.scores.extend(item.scores.iter().map(|scored| scored.score.clone()));
    }
    arm
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
        measured.items.retain(|item| !item.unasked);
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
        let name = format!("{}{}", self.prefix, own_name(&bound.evaluator.name));
        let run = RunId(format!("{}-{name}", record.id).into());
        let (file, hash) = write_rows(&record.folder, &name, &rows)?;
        let manner = record.manner_of(self.draw);
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
            item.unasked |= ended.stopped.is_some() && !answers.contains_key(&(number as u64));
            item.scores.extend(scores);
        }
        Ok(())
    }
}

/// What the batches of an evaluator are called: not as those of the target, nor as those of another round.
fn own_name(evaluator: &str) -> String {
    let name = flows::file_name(evaluator);
    let is_taken = ["target", "baseline", "look", "again", "of-"].iter().any(|taken| name.starts_with(taken));
    if is_taken { format!("of-{name}") } else { name }
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
