//! From a request to a turn.

use std::time::Duration;

use sluicegate_value::{Map, Value};

use super::asked::estimated_tokens;
use super::dice::Dice;
use super::fault::{Failure, Fault, FaultKind};
use super::reply::{CalledTool, Reply};
use super::template::Filling;
use super::{Asked, Entry, Occasion, Outcome, Said, Script, Turn};
use crate::{FilterState, Usage};

impl Script {
    /// What the scripted model does with one attempt to have an answer.
    #[must_use]
    pub fn answer(&self, asked: &Asked<'_>, occasion: Occasion) -> Turn {
        let matched = self
            .entries
            .iter()
            .find_map(|entry| entry.when.captures(asked).map(|captures| (entry, captures)))
            .or_else(|| self.default.as_ref().map(|entry| (entry, None)));
        let dice = self.dice(asked);
        let (delay, faults) =
            matched.as_ref().map_or((Duration::ZERO, &[][..]), |(entry, _)| (entry.delay, &entry.faults));
        self.turn(asked, occasion, dice, delay, faults, || match matched {
            Some((entry, captures)) => Outcome::Reply(entry.reply(asked, captures.as_ref(), dice)),
            None => Outcome::Unscripted(asked.shortened()),
        })
    }

    pub(super) fn dice(&self, asked: &Asked<'_>) -> Dice {
        Dice::new(self.seed).text(asked.model).text(&asked.system).text(&asked.user)
    }

    /// A turn in which `say` speaks unless a fault strikes.
    pub(super) fn turn<R>(
        &self,
        asked: &Asked<'_>,
        occasion: Occasion,
        dice: Dice,
        delay: Duration,
        faults: &[Fault],
        say: impl FnOnce() -> Outcome<R>,
    ) -> Turn<R> {
        let mut turn = Turn { delay, chunk_delay: self.chunk_delay, cut_after: None, outcome: Outcome::Hang };
        if !self.serves(asked.model) {
            turn.outcome = Outcome::Failure(Failure::unknown_model(asked.model));
            return turn;
        }
        let fault = self.faults.iter().chain(faults).enumerate().find(|(index, fault)| {
            fault.strikes(asked, occasion.attempt, || {
                dice.number(*index as u64)
                    .number(u64::from(occasion.attempt))
                    .number(occasion.line.map_or(u64::MAX, |line| line))
                    .number(u64::from(occasion.repeat))
                    .number(u64::from(occasion.index))
            })
        });
        let Some((_, fault)) = fault else {
            turn.outcome = say();
            return turn;
        };
        turn.delay = fault.delay.unwrap_or(turn.delay);
        turn.outcome = match &fault.kind {
            FaultKind::Failure(failure) => Outcome::Failure(failure.clone()),
            FaultKind::Reset => Outcome::Reset,
            FaultKind::Hang => Outcome::Hang,
            FaultKind::Late => say(),
            FaultKind::Cut(pieces) => {
                turn.cut_after = Some(*pieces);
                say()
            }
        };
        turn
    }
}

impl Entry {
    fn reply(&self, asked: &Asked<'_>, captures: Option<&regex::Captures<'_>>, dice: Dice) -> Reply {
        let found = self.find.as_ref().map_or_else(String::new, |find| {
            let found: Vec<&str> = find.find_iter(&asked.user).map(|found| found.as_str()).collect();
            found.join(", ")
        });
        let filling = Filling {
            captures,
            found: &found,
            model: asked.model,
            user: &asked.user,
            system: &asked.system,
            tool: asked.tool.as_deref().unwrap_or_default(),
        };
        let number = dice.bits();
        // Whoever was stopped before the model has said nothing, whatever the entry has besides.
        let is_stopped = self.filter.as_ref().is_some_and(|filter| filter.state == FilterState::Input);
        let speaks = !is_stopped && self.refusal.is_none();
        let text = self.reply.as_ref().filter(|_| speaks).map(|said| said.text(&filling));
        let refusal = self.refusal.as_ref().filter(|_| !is_stopped).map(|refusal| refusal.fill(&filling));
        let tool_calls = if speaks { &self.tool_calls[..] } else { &[] };
        let tool_calls: Vec<CalledTool> = tool_calls
            .iter()
            .enumerate()
            .map(|(index, call)| CalledTool {
                id: format!("call_{number:016x}_{index}"),
                name: call.name.fill(&filling),
                arguments: call.arguments.text(&filling),
            })
            .collect();
        let estimate = || Usage {
            input_tokens: Some(asked.estimated_tokens()),
            output_tokens: Some(estimated_tokens(
                text.as_ref().or(refusal.as_ref()).map_or(0, |text| text.chars().count())
                    + tool_calls.iter().map(CalledTool::weight).sum::<usize>(),
            )),
            ..Usage::default()
        };
        Reply {
            number,
            usage: match self.usage {
                Some(usage) => usage,
                None if is_stopped => Usage::default(),
                None => estimate(),
            },
            usage_is_estimated: self.usage.is_none() && !is_stopped,
            text,
            refusal,
            tool_calls,
            finish_reason: self.finish_reason.clone(),
            filter: self.filter.clone(),
        }
    }
}

impl Said {
    /// As text: itself, or its JSON.
    fn text(&self, filling: &Filling<'_>) -> String {
        match self {
            Self::Text(template) => template.fill(filling),
            other => other.fill(filling).to_json(),
        }
    }

    fn fill(&self, filling: &Filling<'_>) -> Value {
        match self {
            Self::Text(template) => template.fill(filling).into(),
            Self::List(items) => items.iter().map(|item| item.fill(filling)).collect::<Vec<_>>().into(),
            Self::Map(entries) => {
                entries.iter().map(|(key, value)| (key.clone(), value.fill(filling))).collect::<Map>().into()
            }
            Self::Other(value) => value.clone(),
        }
    }
}
