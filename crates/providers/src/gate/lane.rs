//! One model's way through the gate: whose turn it is, what the endpoint said of it, and what it is likely to use.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluicegate_model::{ModelError, Usage};
use tokio::sync::{Mutex as Turn, MutexGuard as TurnGuard, Notify};
use tokio::time::Instant;

use super::crowd::Crowd;
use super::lock;
use super::mirror::Mirror;
use super::quota::{Quota, Window};
use super::rates::{Cost, Rates, estimate};
use crate::ask::Ask;

/// One model's way through the gate.
pub(super) struct Lane {
    /// Who waits, waits in turn: only the first looks at pauses and rates.
    turn: Turn<()>,
    /// A share of the crowd was freed.
    freed: Notify,
    state: Mutex<State>,
}

/// What holds an attempt up.
#[derive(Debug, PartialEq)]
pub(super) enum Hold {
    /// The endpoint wants to hear nothing until then.
    Pause(Instant),
    /// As many as the endpoint bears are in flight.
    Crowd,
    /// A limit of the settings.
    Limit(Duration),
    /// The endpoint's quota; how long is a guess.
    Quota(Duration),
}

/// An attempt that passed. Dropping it frees its share of the crowd.
pub(super) struct Passed {
    lane: Arc<Lane>,
    at: Instant,
    /// How much had been sent then, this included.
    sent: Sent,
}

/// Somebody waits.
pub(super) struct Waiting<'l>(&'l Lane);

#[derive(Clone, Copy, Default)]
struct Sent {
    requests: f64,
    tokens: f64,
}

struct State {
    waiting: usize,
    in_flight: usize,
    most_in_flight: usize,
    pause: Option<Instant>,
    crowd: Crowd,
    requests: Option<Mirror>,
    tokens: Option<Mirror>,
    sent: Sent,
    /// Attempts sent before this tell nothing new by being refused.
    refused_at: Option<Instant>,
    /// Mean tokens of a reply lately, reasoning included.
    mean_output: f64,
    replies: u32,
    /// By what estimates of requests are to be multiplied, as their answers tell.
    input_factor: f64,
    /// How much of what a reply might have the endpoint counts, from 0 (what it really has) to 1 (its maximum).
    by_maximum: f64,
    /// By how much the next refusal raises that: more, the sooner it comes after the last one.
    doubt: f64,
}

/// By how much a refusal that comes alone raises how much of a maximum counts.
const DOUBT: f64 = 0.02;

/// By how much an answer lowers it again: a refusal in some hundred answers, if maxima count indeed.
const FORGETTING: f64 = 0.000_05;

impl Lane {
    pub(super) fn new() -> Arc<Self> {
        let state = State {
            waiting: 0,
            in_flight: 0,
            most_in_flight: 1,
            pause: None,
            crowd: Crowd::default(),
            requests: None,
            tokens: None,
            sent: Sent::default(),
            refused_at: None,
            mean_output: 200.0,
            replies: 0,
            input_factor: 1.0,
            by_maximum: 0.0,
            doubt: DOUBT,
        };
        Arc::new(Self { turn: Turn::new(()), freed: Notify::new(), state: Mutex::new(state) })
    }

    pub(super) fn is_waited_for(&self) -> bool {
        lock(&self.state).waiting > 0
    }

    pub(super) fn waiting(&self) -> Waiting<'_> {
        lock(&self.state).waiting += 1;
        Waiting(self)
    }

    /// Waits for one's turn.
    pub(super) async fn turn(&self) -> TurnGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Waits until an attempt of this lane has ended.
    pub(super) async fn share_freed(&self) {
        self.freed.notified().await;
    }

    pub(super) fn hold(&self, ask: &Ask<'_>, rates: Option<&mut Rates>) -> Option<Hold> {
        let mut state = lock(&self.state);
        let cost = state.cost(ask);
        state.hold(&cost, rates)
    }

    /// Lets an attempt through, and takes what it likely costs.
    pub(super) fn pass(self: &Arc<Self>, ask: &Ask<'_>, mut rates: Option<&mut Rates>) -> Result<(Cost, Passed), Hold> {
        let mut state = lock(&self.state);
        let cost = state.cost(ask);
        if let Some(hold) = state.hold(&cost, rates.as_deref_mut()) {
            return Err(hold);
        }
        if let Some(rates) = rates {
            rates.take(cost.taken);
        }
        if let Some(mirror) = &mut state.requests {
            mirror.take(1.0);
        }
        if let Some(mirror) = &mut state.tokens {
            mirror.take(cost.taken);
        }
        state.sent.requests += 1.0;
        state.sent.tokens += cost.taken;
        state.in_flight += 1;
        state.most_in_flight = state.most_in_flight.max(state.in_flight);
        Ok((cost, Passed { lane: self.clone(), at: Instant::now(), sent: state.sent }))
    }

    /// Settles what an attempt really used.
    pub(super) fn succeeded(
        &self,
        passed: &Passed,
        cost: &Cost,
        usage: &Usage,
        text: Option<&str>,
        quota: Option<&Quota>,
        rates: Option<&mut Rates>,
    ) {
        let mut state = lock(&self.state);
        let spoken = text.map(|text| estimate(text.len()));
        let output = usage.output_tokens.map(|tokens| tokens as f64).or(spoken);
        if let (Some(output), true) = (output, cost.has_reply) {
            // Each of the first counts as much as any other; later ones are forgotten slowly.
            state.replies = state.replies.saturating_add(1);
            let weight = (1.0 / f64::from(state.replies)).max(0.02);
            state.mean_output += (output - state.mean_output) * weight;
        }
        let estimated = cost.input * state.input_factor;
        let input = usage.input_tokens.map_or(estimated, |tokens| tokens as f64);
        if cost.input > 0.0 && usage.input_tokens.is_some() {
            let factor = state.input_factor * 0.95 + 0.05 * (input / cost.input);
            state.input_factor = factor.clamp(0.25, 4.0);
        }
        let counted = input + state.counted(output.unwrap_or_default(), cost.maximum);
        state.give_back(cost.taken - counted, rates);
        state.by_maximum = (state.by_maximum - FORGETTING).max(0.0);
        state.doubt = (state.doubt * 0.998).max(DOUBT);
        let (in_flight, most) = (state.in_flight, state.most_in_flight);
        state.crowd.answered(in_flight, most);
        state.hear(quota, passed);
    }

    /// Remembers a pause that the endpoint asked for and what its refusal tells, and gives back the tokens of the reply
    /// that never came.
    pub(super) fn failed(
        &self,
        passed: &Passed,
        cost: &Cost,
        error: &ModelError,
        quota: Option<&Quota>,
        rates: Option<&mut Rates>,
    ) {
        let mut state = lock(&self.state);
        let limits_tokens = rates.as_ref().is_some_and(|rates| rates.limits_tokens());
        let input = (cost.input * state.input_factor).min(cost.taken);
        state.give_back(cost.taken - input, rates);
        state.hear(quota, passed);
        if let ModelError::RateLimited { retry_after, temporary: true, .. } = error {
            let now = Instant::now();
            if let Some(until) = retry_after.and_then(|pause| now.checked_add(pause)) {
                state.pause = Some(state.pause.map_or(until, |known| known.max(until)));
            }
            // Those that were on their way when one was refused tell the same once more.
            if state.refused_at.is_none_or(|refused| passed.at > refused) {
                state.refused_at = Some(now);
                if limits_tokens || state.tokens.is_some() {
                    // Who paces by tokens and is refused counts them in another way than the endpoint does.
                    let counts_all = state.by_maximum >= 1.0 || cost.maximum.is_none();
                    if let (true, Some(mirror)) = (counts_all, &mut state.tokens) {
                        mirror.refused();
                    }
                    state.by_maximum = (state.by_maximum + state.doubt).min(1.0);
                    state.doubt = (state.doubt * 2.0).min(0.5);
                } else if state.requests.is_none() {
                    let in_flight = state.in_flight;
                    state.crowd.refused(in_flight);
                }
            }
        }
    }
}

impl State {
    fn cost(&self, ask: &Ask<'_>) -> Cost {
        let cost = Cost::of(ask);
        let output = if cost.has_reply {
            let likely = cost.maximum.map_or(self.mean_output, |maximum| maximum.min(self.mean_output));
            self.counted(likely, cost.maximum)
        } else {
            0.0
        };
        Cost { taken: cost.input * self.input_factor + output, ..cost }
    }

    /// What the endpoint counts for a reply of so many tokens.
    fn counted(&self, output: f64, maximum: Option<f64>) -> f64 {
        output + self.by_maximum * (maximum.unwrap_or(output) - output).max(0.0)
    }

    fn hold(&mut self, cost: &Cost, rates: Option<&mut Rates>) -> Option<Hold> {
        let now = Instant::now();
        if let Some(until) = self.pause.filter(|until| *until > now) {
            return Some(Hold::Pause(until));
        }
        self.pause = None;
        if !self.crowd.has_room(self.in_flight) {
            return Some(Hold::Crowd);
        }
        let limit = rates.map_or(Duration::ZERO, |rates| rates.wait(now, cost.taken));
        if !limit.is_zero() {
            return Some(Hold::Limit(limit));
        }
        let sent = self.sent;
        let requests = self.requests.as_mut().map_or(Duration::ZERO, |mirror| mirror.wait(now, 1.0, sent.requests));
        let tokens = self.tokens.as_mut().map_or(Duration::ZERO, |mirror| mirror.wait(now, cost.taken, sent.tokens));
        let wait = requests.max(tokens);
        (!wait.is_zero()).then_some(Hold::Quota(wait))
    }

    fn give_back(&mut self, tokens: f64, rates: Option<&mut Rates>) {
        if let Some(rates) = rates {
            rates.give_back(tokens);
        }
        if let Some(mirror) = &mut self.tokens {
            mirror.give_back(tokens);
        }
    }

    /// Takes what an answer tells of the quota.
    fn hear(&mut self, quota: Option<&Quota>, passed: &Passed) {
        let Some(quota) = quota else { return };
        let now = Instant::now();
        let hear = |mirror: &mut Option<Mirror>, window: Window, first_limit: Option<f64>, sent: f64| match mirror {
            Some(mirror) => mirror.hear(window, window.limit, passed.at, sent),
            None => *mirror = first_limit.and_then(|limit| Mirror::new(window, limit, passed.at, sent, now)),
        };
        if let Some(window) = quota.tokens {
            // An older Azure tells what is left and not of how much: the most that was left will do.
            hear(&mut self.tokens, window, window.limit.or(Some(window.remaining.max(1.0))), passed.sent.tokens);
        }
        if let Some(window) = quota.requests {
            // What is left of requests may be of ten seconds, so that it tells nothing of a minute's limit.
            hear(&mut self.requests, window, window.limit, passed.sent.requests);
        }
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        lock(&self.lane.state).in_flight -= 1;
        self.lane.freed.notify_one();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).waiting -= 1;
    }
}
