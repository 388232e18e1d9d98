//! Labels of people, and what a judge says of the same answers.
//!
//! A file of labels has the judge's inputs as columns, by their own names (`query`, `response`, `context` …), or by the names
//! of the columns and outputs that an evaluation feeds it from; and a column with what people say.

use std::collections::BTreeSet;
use std::sync::Arc;

use sluicegate_config::Environment;
use sluicegate_evaluate::binding::{Operand, Side};
use sluicegate_evaluate::score::NotScored;
use sluicegate_evaluate::{Available, BoundEvaluator, CaseFacts, EvaluationSpec, Evaluator, Names, RunFacts};
use sluicegate_events::RunId;
use sluicegate_gate::calibration::Labelled;
use sluicegate_gate::{Metric, Missing, Outcome, ScoreValue, Stopped};
use sluicegate_source::Problem;
use sluicegate_store::Store;
use sluicegate_value::{Map, Value};

use super::measure::{scores_of, write_rows};
use super::stage::Rows;
use super::{Cases, Record, Stage, Stages, answers_of, flows};
use crate::error::CliError;

/// The columns in which labels are looked for, in this order, where none is named.
pub(crate) const LABEL_COLUMNS: [&str; 4] = ["label", "human", "human_label", "human_score"];

/// Labelled answers.
pub(crate) struct Labels {
    /// Those with a label, the column of labels taken out: a judge must not read what it should say.
    pub(crate) cases: Cases,
    /// What people say of each.
    pub(crate) human: Vec<f64>,
    /// The column of labels.
    pub(crate) column: String,
    /// Rows without a label.
    pub(crate) unlabelled: u64,
}

/// What a judge said.
#[derive(Default)]
pub(crate) struct Readings {
    /// With what people say; rows that the judge says nothing about are left out.
    pub(crate) labelled: Vec<Labelled>,
    /// How many rows those are, and why the first of them is one.
    pub(crate) left_out: (u64, String),
    /// What the first reading without a score came to.
    pub(crate) unscored: Option<String>,
    /// What it cost; `None` if a price is not known.
    pub(crate) usd: Option<f64>,
    pub(crate) stopped: Option<Stopped>,
}

impl Labels {
    /// Takes the labels out of rows. Each must be a number on the metric's scale, yes or no, or a list of such.
    pub(crate) fn of(mut cases: Cases, asked: Option<&str>, metric: &Metric) -> Result<Self, CliError> {
        let known = |name: &str| cases.columns.known.iter().any(|known| **known == *name);
        let column = match asked {
            Some(name) if known(name) => Some(name),
            Some(_) => None,
            None => LABEL_COLUMNS.into_iter().find(|name| known(name)),
        };
        let Some(column) = column.map(ToOwned::to_owned) else {
            let names: Vec<String> = cases.columns.known.iter().map(|name| format!("`{name}`")).collect();
            let wanted = asked.map_or_else(|| "column of labels".to_owned(), |name| format!("column `{name}`"));
            return Err(CliError::misused(format!("`{}` has no {wanted}", cases.shown)).hint(format!(
                "it has {}; --label COLUMN says which holds what people say",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            )));
        };
        let (mut rows, mut human, mut unlabelled) = (Vec::new(), Vec::new(), 0);
        for mut row in std::mem::take(&mut cases.rows) {
            let label = row.columns.remove(&column).unwrap_or_default();
            match number_of(&label, metric) {
                Ok(Some(label)) => {
                    human.push(label);
                    rows.push(row);
                }
                Ok(None) => unlabelled += 1,
                Err(why) => {
                    let place = row.line.map_or_else(String::new, |line| format!("line {line} of "));
                    return Err(CliError::misused(format!("{place}`{}`: `{column}` {why}", cases.shown))
                        .hint("nothing was asked yet"));
                }
            }
        }
        if rows.is_empty() {
            return Err(CliError::misused(format!("`{}` has no label in column `{column}`", cases.shown)));
        }
        cases.columns.known.retain(|name| **name != *column);
        cases.rows = rows;
        Ok(Self { cases, human, column, unlabelled })
    }

    /// Asks the judge about each row, as often as `draws` says: a batch for each time.
    pub(crate) fn ask(
        &self,
        (spec, evaluator): (&EvaluationSpec, &Arc<Evaluator>),
        target: &Environment,
        draws: u32,
        stages: &mut Stages<'_>,
        record: &mut Record,
    ) -> Result<Readings, CliError> {
        let sides = Sides::of(evaluator, &self.cases.columns)?;
        let bound = BoundEvaluator::bind(evaluator, &spec.file, &sides.available(&self.cases.columns));
        let bound = bound.map_err(|problems| self.unfed(evaluator, &problems))?;
        let store = stages.session.store_of(target.project())?.0;
        let mut readings = Readings { usd: Some(0.0), ..Readings::default() };
        let mut scores: Vec<Vec<Option<f64>>> = vec![Vec::new(); self.cases.rows.len()];
        for draw in 0..draws.max(1) {
            let drawn = self.draw(&bound, &sides, target, draw, (stages, record, &store))?;
            readings.usd = readings.usd.zip(drawn.usd).map(|(before, now)| before + now);
            readings.stopped = drawn.stopped;
            if readings.stopped.is_some() {
                return Ok(readings);
            }
            for (scores, said) in scores.iter_mut().zip(drawn.said) {
                match said {
                    Said::Score(score) => scores.push(Some(score)),
                    Said::None(why) => {
                        scores.push(None);
                        readings.unscored.get_or_insert(why);
                    }
                    Said::NotAsked(why) if draw == 0 => {
                        readings.left_out.0 += 1;
                        if readings.left_out.1.is_empty() {
                            readings.left_out.1 = why;
                        }
                    }
                    Said::NotAsked(_) => {}
                }
            }
        }
        let asked = self.human.iter().zip(scores).filter(|(_, scores)| !scores.is_empty());
        readings.labelled = asked.map(|(human, judge)| Labelled { human: *human, judge }).collect();
        Ok(readings)
    }

    /// Why the labels are none for this judge, in words of their file.
    fn unfed(&self, evaluator: &Evaluator, problems: &[Problem]) -> CliError {
        let quoted = |names: &mut dyn Iterator<Item = &Arc<str>>| {
            names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        };
        let columns = quoted(&mut self.cases.columns.known.iter());
        let needed = quoted(&mut evaluator.inputs.iter().filter(|input| input.required).map(|input| &input.name));
        let error = CliError::misused(format!("`{}` lacks what judge `{}` reads", self.cases.shown, evaluator.name));
        problems
            .iter()
            .fold(error, |error, problem| error.cause(problem.message.clone()))
            .hint(format!("the judge reads {needed}; besides the labels there are the columns {columns}"))
    }

    fn draw(
        &self,
        bound: &BoundEvaluator,
        sides: &Sides,
        target: &Environment,
        draw: u32,
        (stages, record, store): (&mut Stages<'_>, &mut Record, &Store),
    ) -> Result<Drawn, CliError> {
        let maps: Vec<Maps> = self.cases.rows.iter().map(|row| sides.maps(&row.columns)).collect();
        let facts = |at: usize| -> CaseFacts<'_> {
            // One map for each row.
            let (row, maps) = (&self.cases.rows[at], &maps[at]);
            CaseFacts {
                key: &row.key,
                line: row.line,
                repeat: 0,
                outcome: &Outcome::Answered,
                data: &maps.data,
                outputs: &maps.target,
                run_inputs: Some(&maps.data),
                baseline: Some(&maps.baseline),
                run: RunFacts::default(),
                scores: &[],
            }
        };
        let (mut rows, mut places, mut said) = (Vec::new(), Vec::new(), Vec::new());
        for at in 0..maps.len() {
            match bound.flow_inputs(&facts(at), draw) {
                Ok(row) => {
                    places.push((at, rows.len() as u64));
                    rows.push(row);
                    said.push(Said::None("it was not asked any more".to_owned()));
                }
                Err(NotScored { why: Missing::EvaluatorFailed, detail }) => said.push(Said::None(detail)),
                Err(missing) => said.push(Said::NotAsked(missing.detail)),
            }
        }
        if rows.is_empty() {
            return Ok(Drawn { said, usd: Some(0.0), stopped: None });
        }
        let name = if draw == 0 { "judge".to_owned() } else { format!("judge-{}", draw + 1) };
        let run = RunId(format!("{}-{name}", record.id).into());
        let (file, hash) = write_rows(&record.folder, &name, &rows)?;
        // Two readings of one answer must not be one reply: those after the first are never taken from the cache.
        let manner = record.manner_of(draw);
        let (evaluator, folder) = (&bound.evaluator, &record.folder);
        let (prepared, choices) = flows::prepare(stages.session, evaluator, target, folder, manner.concurrency)?;
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
        let answers = answers_of(store, &run)?;
        for (at, number) in places {
            let Some(answer) = answers.get(&number) else { continue };
            let score = scores_of(bound, &facts(at), answer, draw).into_iter().next().map(|scored| scored.score.value);
            said[at] = match score {
                Some(ScoreValue::Missing { detail, .. }) => Said::None(detail),
                Some(value) => value.number().map_or_else(|| Said::None(String::new()), Said::Score),
                None => Said::None(String::new()),
            };
        }
        Ok(Drawn { said, usd: ended.spent.cost, stopped: ended.stopped })
    }
}

/// One reading of all rows.
struct Drawn {
    said: Vec<Said>,
    usd: Option<f64>,
    stopped: Option<Stopped>,
}

enum Said {
    Score(f64),
    /// It gave no score.
    None(String),
    /// It says nothing about such a row.
    NotAsked(String),
}

/// Inputs that an evaluation feeds from columns and outputs of other names, and for which the labels have a column.
struct Sides(Vec<(Side, Arc<str>, Arc<str>)>);

/// A row as the judge finds it.
struct Maps {
    data: Map,
    target: Map,
    baseline: Map,
}

impl Sides {
    fn of(evaluator: &Evaluator, columns: &Names) -> Result<Self, CliError> {
        let given = evaluator.given.iter().filter_map(|given| match &given.operand {
            Operand::Reference(reference) => Some((reference.side, reference.path.clone(), given.input.clone())),
            Operand::Literal(_) => None,
        });
        let (named, others): (Vec<_>, Vec<_>) =
            given.partition(|(_, _, input)| columns.open || columns.known.contains(input));
        // `${target.answer}` and `${data.answer}` are two things, of which one column cannot be both.
        for (at, (side, path, input)) in others.iter().enumerate() {
            let mut before = others.iter().take(at);
            if let Some((_, _, first)) = before.find(|(other, known, _)| other != side && known == path) {
                return Err(CliError::misused(format!("column `{path}` would feed both `{first}` and `{input}`"))
                    .hint(format!(
                        "call the columns of the labels `{first}` and `{input}`, as the judge's inputs are"
                    )));
            }
        }
        Ok(Self(named))
    }

    /// All columns may be columns of the data and outputs of the target.
    fn available(&self, columns: &Names) -> Available {
        let with = |side: Side| {
            let known: BTreeSet<Arc<str>> = columns.known.iter().cloned().collect();
            let more = self.0.iter().filter(|(of, path, _)| *of == side && !known.contains(path));
            let more: Vec<Arc<str>> = more.map(|(_, path, _)| path.clone()).collect();
            Names { known: columns.known.iter().cloned().chain(more).collect(), open: columns.open }
        };
        Available { data: with(Side::Data), target: with(Side::Target) }
    }

    fn maps(&self, columns: &Map) -> Maps {
        let mut maps = Maps { data: columns.clone(), target: columns.clone(), baseline: Map::new() };
        for (side, path, input) in &self.0 {
            let Some(value) = columns.get(input) else { continue };
            let map = match side {
                Side::Data | Side::RunInputs => &mut maps.data,
                Side::Target => &mut maps.target,
                Side::Baseline => &mut maps.baseline,
            };
            map.insert(path.clone(), value.clone());
        }
        maps
    }
}

/// A label as a number; `None` for none.
fn number_of(label: &Value, metric: &Metric) -> Result<Option<f64>, String> {
    let number = match label {
        Value::Null => return Ok(None),
        Value::Str(text) if text.trim().is_empty() => return Ok(None),
        Value::Bool(yes) => f64::from(u8::from(*yes)),
        Value::Str(text) => match text.trim().to_lowercase().as_str() {
            "yes" | "true" | "pass" => 1.0,
            "no" | "false" | "fail" => 0.0,
            other => other.parse().map_err(|_| format!("is {}, which is no number", label.to_json()))?,
        },
        Value::List(labels) => {
            let all: Vec<Option<f64>> =
                labels.iter().map(|label| number_of(label, metric)).collect::<Result<_, String>>()?;
            let all: Vec<f64> = all.into_iter().flatten().collect();
            if all.is_empty() {
                return Ok(None);
            }
            all.iter().sum::<f64>() / all.len() as f64
        }
        other => other.as_number().ok_or_else(|| format!("is {}, which is no number", other.to_json()))?,
    };
    match metric.scale {
        _ if !number.is_finite() => Err(format!("is {number}")),
        Some([lowest, highest]) if !(lowest..=highest).contains(&number) => {
            Err(format!("is {number}, which is not on the judge's scale from {lowest} to {highest}"))
        }
        _ => Ok(Some(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(label: &str, expected: Result<Option<f64>, &str>) {
        let label = sluicegate_value::json::read(label).unwrap();
        let metric = Metric::on_scale("m", 0.0, 5.0);
        assert_eq!(number_of(&label, &metric), expected.map_err(ToOwned::to_owned), "{}", label.to_json());
    }

    #[test]
    fn a_label_is_a_number_on_the_scale_or_yes_or_no() {
        check("4", Ok(Some(4.0)));
        check("\" 4.5 \"", Ok(Some(4.5)));
        check("true", Ok(Some(1.0)));
        check("\"No\"", Ok(Some(0.0)));
        check("null", Ok(None));
        check("\"\"", Ok(None));
        check("7", Err("is 7, which is not on the judge's scale from 0 to 5"));
        check("\"good\"", Err("is \"good\", which is no number"));
        check("{}", Err("is {}, which is no number"));
    }

    #[test]
    fn labels_of_several_people_are_their_mean() {
        check("[4, 5, null]", Ok(Some(4.5)));
        check("[]", Ok(None));
        check("[4, \"good\"]", Err("is \"good\", which is no number"));
    }
}
