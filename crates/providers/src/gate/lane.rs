//! One model's way through the gate: whose turn it is, what the endpoint said of it, and what it is likely to use.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluicegate_model::{ModelError, Usage};
use tokio::sync::{Mutex as Turn, MutexGuard as TurnGuard, Notify};
use tokio::time::Instant;

use super::counting::Counting;
use super::crowd::Crowd;
use super::lock;
use super::mirror::Mirror;
use super::quota::{Quota, Window};
use super::rates::{Cost, Rates};
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
    /// The endpoint's quota; how long is a guess.
    Quota(Duration),
}

/// An attempt that passed. Dropping it frees its share of the crowd.
pub(super) struct Passed {
    lane: Arc<Lane>,
    at: Instant,
    /// How much had been sent then, this included.
    sent: Sent,
    /// Whether it waited for tokens, as far as there was something to wait for.
    is_paced: bool,
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
    /// When the last attempt passed.
    passed_at: Option<Instant>,
    counting: Counting,
}

/// After how long without an attempt one passes whatever the quota seems to be: what was told of it before is a minute
/// old, or was never true.
const PROBE_AFTER: Duration = Duration::from_secs(60);

/// How many requests have to fit into what is left, so that it is taken for the limit where an endpoint tells none.
const MANY_REQUESTS: f64 = 20.0;

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
            passed_at: None,
            counting: Counting::new(),
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

    /// What holds the next attempt up, beside the settings' limits.
    pub(super) fn hold(&self, ask: &Ask<'_>) -> Option<Hold> {
        let mut state = lock(&self.state);
        let cost = state.counting.cost(ask);
        state.hold(&cost)
    }

    /// How many tokens an attempt likely costs.
    pub(super) fn cost(&self, ask: &Ask<'_>) -> f64 {
        lock(&self.state).counting.cost(ask).taken
    }

    /// Lets an attempt through, if nothing holds it up, and takes what it likely costs.
    pub(super) fn pass(self: &Arc<Self>, ask: &Ask<'_>, rates: Option<&mut Rates>) -> Option<(Cost, Passed)> {
        let mut state = lock(&self.state);
        let cost = state.counting.cost(ask);
        if state.hold(&cost).is_some() {
            return None;
        }
        let now = Instant::now();
        let is_paced = state.tokens.is_some() || rates.as_ref().is_some_and(|rates| rates.limits_tokens());
        if let Some(rates) = rates {
            if !rates.wait(now, cost.taken).is_zero() {
                return None;
            }
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
        state.passed_at = Some(now);
        Some((cost, Passed { lane: self.clone(), at: now, sent: state.sent, is_paced }))
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
        let counted = state.counting.answered(cost, usage, text);
        state.give_back(cost.taken - counted, rates);
        let (in_flight, most) = (state.in_flight, state.most_in_flight);
        state.crowd.answered(in_flight, most);
        state.hear(quota, passed, cost);
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
        let input = state.counting.input(cost).min(cost.taken);
        state.give_back(cost.taken - input, rates);
        state.hear(quota, passed, cost);
        if let ModelError::RateLimited { retry_after, temporary: true, .. } = error {
            let now = Instant::now();
            if let Some(until) = retry_after.and_then(|pause| now.checked_add(pause)) {
                let until = state.pause.map_or(until, |known| known.max(until));
                state.pause = Some(until);
                let State { requests, tokens, .. } = &mut *state;
                for mirror in [requests, tokens].into_iter().flatten() {
                    mirror.exhausted(until);
                }
            }
            // Those that were on their way when one was refused tell the same once more.
            if state.refused_at.is_none_or(|refused| passed.at > refused) {
                state.refused_at = Some(now);
                if passed.is_paced {
                    // Who paces by tokens and is refused counts them in another way than the endpoint does.
                    let counts_all = state.counting.counts_all(cost);
                    if let (true, Some(mirror)) = (counts_all, &mut state.tokens) {
                        mirror.refused();
                    }
                    let is_told = state.tokens.is_some();
                    state.counting.refused(is_told);
                } else if state.requests.is_none() && state.tokens.is_none() {
                    let in_flight = state.in_flight;
                    state.crowd.refused(in_flight);
                }
            }
        }
    }
}

impl State {
    fn hold(&mut self, cost: &Cost) -> Option<Hold> {
        let now = Instant::now();
        if let Some(until) = self.pause.filter(|until| *until > now) {
            return Some(Hold::Pause(until));
        }
        self.pause = None;
        if !self.crowd.has_room(self.in_flight) {
            return Some(Hold::Crowd);
        }
        let sent = self.sent;
        let requests = self.requests.as_mut().map_or(Duration::ZERO, |mirror| mirror.wait(now, 1.0, sent.requests));
        let tokens = self.tokens.as_mut().map_or(Duration::ZERO, |mirror| mirror.wait(now, cost.taken, sent.tokens));
        let is_silent = self.passed_at.is_some_and(|passed| now.saturating_duration_since(passed) >= PROBE_AFTER);
        let wait = requests.max(tokens);
        (!wait.is_zero() && !is_silent).then_some(Hold::Quota(wait))
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
    fn hear(&mut self, quota: Option<&Quota>, passed: &Passed, cost: &Cost) {
        let Some(quota) = quota else { return };
        let now = Instant::now();
        let hear = |mirror: &mut Option<Mirror>, window: Window, first_limit: Option<f64>, sent: f64| match mirror {
            Some(mirror) => mirror.hear(window, window.limit, passed.at, sent),
            None => *mirror = first_limit.and_then(|limit| Mirror::new(window, limit, passed.at, sent, now)),
        };
        if let Some(window) = quota.tokens {
            // An older Azure tells what is left and not of how much: the most that was left will do. Of a little that is
            // left nothing follows.
            let most = Some(window.remaining).filter(|left| *left >= MANY_REQUESTS * cost.taken.max(1.0));
            hear(&mut self.tokens, window, window.limit.or(most), passed.sent.tokens);
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
