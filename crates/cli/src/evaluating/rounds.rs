//! The rounds of an evaluation: which cases are measured before which look, and those that fell once more.
//!
//! What is measured in a round follows from the data, the policy, the seed and the answers so far: an evaluation that died
//! comes to the same rounds again, and finds the batches that are over.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sluicegate_config::Environment;
use sluicegate_evaluate::{BoundEvaluator, EvaluationSpec};
use sluicegate_events::RunId;
use sluicegate_gate::judge::{AfterLook, StopReason, after_look, case_order, first_cases, next_look};
use sluicegate_gate::{CaseKey, Ended, Policy, Receipt, Stopped};
use sluicegate_store::Store;

use super::{Cases, Earlier, Measured, Measuring, Record, Rows, Stage, Stages};
use crate::batch::{Asked, Data};
use crate::error::CliError;
use crate::prepared::{Choices, Prepared};

/// What is measured before a look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Round {
    /// Which look follows, of how many; `None` for the only one.
    pub(crate) look: Option<[u32; 2]>,
    /// The cases that are measured in it, by their places among all, in order.
    pub(crate) cases: Vec<usize>,
    /// Cases that are measured by then though it is not their turn yet, because they are critical.
    pub(crate) ahead: Vec<CaseKey>,
}

impl Round {
    /// All rounds of an evaluation.
    pub(crate) fn all(
        policy: &Policy,
        cases: &Cases,
        selections: &BTreeMap<String, Vec<CaseKey>>,
        seed: u64,
    ) -> Vec<Self> {
        let count = cases.rows.len();
        let looks = next_look(policy, count);
        if looks.len() < 2 {
            return vec![Self { cases: (0..count).collect(), ..Self::default() }];
        }
        let order = case_order(count, seed);
        let turn: HashMap<usize, usize> = order.iter().enumerate().map(|(turn, case)| (*case, turn)).collect();
        let first = first_cases(policy, selections);
        let first: Vec<usize> = order.iter().copied().filter(|case| first.contains(&cases.rows[*case].key)).collect();
        let mut is_measured = vec![false; count];
        let of = looks.len() as u32;
        let mut rounds = Vec::new();
        for (at, up_to) in (1..).zip(looks) {
            let due = order.iter().take(up_to).copied();
            let due: Vec<usize> = first
                .iter()
                .copied()
                .chain(due)
                .filter(|case| !std::mem::replace(&mut is_measured[*case], true))
                .collect();
            let ahead = first.iter().filter(|case| turn.get(*case).is_some_and(|turn| *turn >= up_to));
            let ahead = ahead.map(|case| cases.rows[*case].key.clone()).collect();
            rounds.push(Self { look: Some([at, of]), cases: due, ahead });
        }
        rounds
    }

    /// Why no further round follows; `None` if one does, or if there was one only and all of it is in.
    pub(crate) fn ended(&self, receipt: &Receipt, stopped: Option<Stopped>) -> Option<Ended> {
        if stopped.is_some() {
            return Some(Ended::Budget);
        }
        let look = self.look?;
        match after_look(receipt, look) {
            AfterLook::Stop(StopReason::Success) => Some(Ended::Success),
            AfterLook::Stop(StopReason::Decided) => Some(Ended::Decided),
            AfterLook::Stop(StopReason::Futility) => Some(Ended::Futility),
            AfterLook::Continue => (look[0] == look[1]).then_some(Ended::Complete),
        }
    }

    /// Before the names of its batches.
    fn prefix(&self) -> String {
        match self.look {
            Some([at, _]) if at > 1 => format!("look-{at}-"),
            _ => String::new(),
        }
    }
}

/// Both arms of an evaluation, as far as they are measured.
pub(crate) struct Arms {
    pub(crate) candidate: Measured,
    pub(crate) baseline: Option<Measured>,
    /// The batches of the target.
    pub(crate) runs: Vec<RunId>,
    /// `None` if a price is not known.
    pub(crate) target_usd: Option<f64>,
    pub(crate) stopped: Option<Stopped>,
    /// How many batches of cases that fell there were.
    draws: u32,
    /// Whether such batches can be: what was recorded without them is replayed without them.
    can_draw: bool,
}

/// How often cases that fell run again where their answers do not come: an error is no answer.
const PASSES: u32 = 2;

impl Arms {
    pub(crate) fn new() -> Self {
        Self {
            candidate: Measured::nothing(),
            baseline: None,
            runs: Vec::new(),
            target_usd: Some(0.0),
            stopped: None,
            draws: 0,
            can_draw: true,
        }
    }

    /// How it was measured so far, of so many cases.
    pub(crate) fn rounds(&self, cases: u64, seed: Option<u64>) -> sluicegate_gate::Rounds {
        let items = &self.candidate.items;
        let again = items.iter().filter(|item| item.confirming);
        let measured: BTreeSet<usize> = items.iter().map(|item| item.case).collect();
        sluicegate_gate::Rounds {
            ended: None,
            cases,
            not_needed: cases.saturating_sub(measured.len() as u64),
            seed,
            confirmed_cases: again.clone().map(|item| item.case).collect::<BTreeSet<_>>().len() as u64,
            confirming_answers: again.count() as u64,
        }
    }

    fn stop(&mut self, stopped: Option<Stopped>) {
        // Somebody who stops it has the last word.
        if self.stopped != Some(Stopped::Interrupted) {
            self.stopped = stopped.or(self.stopped);
        }
    }
}

/// What measures.
pub(crate) struct Rounds<'a> {
    pub(crate) prepared: &'a Prepared,
    pub(crate) choices: &'a Choices,
    pub(crate) spec: &'a EvaluationSpec,
    pub(crate) bound: &'a [BoundEvaluator],
    pub(crate) target: &'a Environment,
    pub(crate) cases: &'a Cases,
    pub(crate) store: &'a Store,
    /// Lines of the target; `None` where an earlier batch is scored, or there are none.
    pub(crate) lines: Option<(Data, &'a Asked)>,
    /// The earlier batch that is scored.
    pub(crate) earlier: Option<&'a Earlier>,
    /// The earlier batch that is compared with.
    pub(crate) baseline: Option<Earlier>,
}

impl Rounds<'_> {
    /// Answers and scores of a round, for both arms.
    pub(crate) fn measure(
        &self,
        arms: &mut Arms,
        round: &Round,
        stages: &mut Stages<'_>,
        record: &mut Record,
    ) -> Result<(), CliError> {
        stages.limits.begin_round();
        let prefix = round.prefix();
        let mut candidate = Measured::nothing();
        let repeats = if self.earlier.is_some() { 1 } else { self.spec.target.repeats.max(1) };
        for repeat in 0..repeats {
            let run = match self.earlier {
                Some(earlier) => Some(earlier.run.clone()),
                None => self.ask(arms, &format!("{prefix}target"), repeat, round, stages, record)?,
            };
            if arms.stopped == Some(Stopped::Interrupted) {
                return Ok(());
            }
            if let Some(run) = run {
                candidate.add(Measured::of_run(self.cases, self.store, &run, &round.cases, (repeat, false))?);
                arms.runs.push(run);
            }
            if arms.stopped.is_some() {
                break;
            }
        }
        self.measuring(&prefix, 0).score(&mut candidate, stages, record)?;
        arms.stop(candidate.stopped);
        arms.candidate.add(candidate);
        if arms.stopped != Some(Stopped::Interrupted)
            && let Some(run) = &self.baseline
        {
            let mut baseline = Measured::of_run(self.cases, self.store, &run.run, &round.cases, (0, false))?;
            self.measuring(&format!("{prefix}baseline-"), 0).score(&mut baseline, stages, record)?;
            arms.stop(baseline.stopped);
            arms.baseline.get_or_insert_with(Measured::nothing).add(baseline);
        }
        Ok(())
    }

    /// Runs cases again, until they have as many answers as are `wanted`: they are scored as the others are, and are more
    /// of the sample, not better answers in the place of bad ones.
    pub(crate) fn confirm(
        &self,
        arms: &mut Arms,
        round: &Round,
        wanted: &dyn Fn(&Arms) -> Vec<(CaseKey, u32)>,
        stages: &mut Stages<'_>,
        record: &mut Record,
    ) -> Result<(), CliError> {
        if self.earlier.is_some() {
            return Ok(());
        }
        for _ in 0..PASSES {
            let missing = self.missing(arms, wanted(arms));
            let draws = missing.values().copied().max().unwrap_or_default();
            for draw in 0..draws {
                if arms.stopped.is_some() || !arms.can_draw {
                    return Ok(());
                }
                let cases: Vec<usize> =
                    missing.iter().filter(|(_, missing)| **missing > draw).map(|(case, _)| *case).collect();
                self.draw(arms, round, cases, stages, record)?;
            }
        }
        Ok(())
    }

    /// How many answers each case lacks.
    fn missing(&self, arms: &Arms, wanted: Vec<(CaseKey, u32)>) -> BTreeMap<usize, u32> {
        let wanted: HashMap<CaseKey, u32> = wanted.into_iter().collect();
        let mut missing = BTreeMap::new();
        for (case, row) in self.cases.rows.iter().enumerate() {
            let Some(wanted) = wanted.get(&row.key) else { continue };
            let answers = arms.candidate.items.iter().filter(|item| item.case == case);
            let answered = answers.filter(|item| !item.answer.outcome.is_error()).count() as u32;
            missing.insert(case, wanted.saturating_sub(answered).max(1));
        }
        missing
    }

    /// One more answer to each of some cases.
    fn draw(
        &self,
        arms: &mut Arms,
        round: &Round,
        cases: Vec<usize>,
        stages: &mut Stages<'_>,
        record: &mut Record,
    ) -> Result<(), CliError> {
        arms.draws += 1;
        let repeat = self.spec.target.repeats.max(1) + arms.draws - 1;
        let prefix = format!("again-{}-", arms.draws);
        // In a round of its own, so that it is never taken for all of the data.
        let again = Round { look: round.look.or(Some([1, 1])), cases, ahead: Vec::new() };
        let replayed = record.manner_of(repeat).kept.replay;
        if replayed.is_some_and(|folder| !folder.is_dir()) {
            stages.session.printer().warn("cases that fell do not run again: no such replies were recorded");
            arms.can_draw = false;
            return Ok(());
        }
        stages.limits.begin_round();
        let run = self.ask(arms, &format!("{prefix}target"), repeat, &again, stages, record)?;
        if arms.stopped == Some(Stopped::Interrupted) {
            return Ok(());
        }
        let Some(run) = run else { return Ok(()) };
        let mut more = Measured::of_run(self.cases, self.store, &run, &again.cases, (repeat, true))?;
        arms.runs.push(run);
        self.measuring(&prefix, repeat).score(&mut more, stages, record)?;
        arms.stop(more.stopped);
        arms.candidate.add(more);
        Ok(())
    }

    /// A batch of the target over the cases of a round.
    fn ask(
        &self,
        arms: &mut Arms,
        name: &str,
        repeat: u32,
        round: &Round,
        stages: &mut Stages<'_>,
        record: &mut Record,
    ) -> Result<Option<RunId>, CliError> {
        let Some((data, asked)) = self.lines.as_ref().filter(|_| !round.cases.is_empty()) else { return Ok(None) };
        let is_again = repeat >= self.spec.target.repeats.max(1);
        let name = if repeat == 0 || is_again { name.to_owned() } else { format!("{name}-{}", repeat + 1) };
        let manner = record.manner_of(repeat);
        let numbers: Vec<u64> =
            round.cases.iter().filter_map(|case| Some(self.cases.rows.get(*case)?.number)).collect();
        let stage = Stage {
            run: RunId(format!("{}-{name}", record.id).into()),
            name,
            prepared: self.prepared,
            choices: self.choices,
            manner: &manner,
            rows: match round.look {
                None => Rows::Mapped(data, asked),
                Some(_) => Rows::Chosen(data, asked, &numbers),
            },
            reserve: self.spec.budget.reserve,
        };
        let ended = stage.run(stages, record)?;
        arms.target_usd = arms.target_usd.zip(ended.spent.cost).map(|(before, now)| before + now);
        arms.stop(ended.stopped);
        Ok(Some(stage.run))
    }

    fn measuring<'m>(&'m self, prefix: &'m str, draw: u32) -> Measuring<'m> {
        Measuring { bound: self.bound, target: self.target, cases: self.cases, store: self.store, prefix, draw }
    }
}
