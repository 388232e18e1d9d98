//! How many attempts at once and per minute: permits, the pauses that an endpoint asks for, and rates.
//!
//! ```text
//!  calls of one model ─► lane: one at a time ─► pause? ─► crowd? ─► quota? ─┐
//!                          ▲                                                ├─► limit: one at a time ─► permit ─► attempt
//!  calls of another ────► lane …                                            ┘                                       │
//!                          └── settles usage, remembers pauses, quotas and refusals ◄───────────────────────────────┘
//! ```
//!
//! A quota is a deployment's, so each model has a lane of its own; permits and the limits of the settings are the
//! connection's, and its lanes take turns at them. What an endpoint lets through is learned: from its `x-ratelimit`
//! headers, if it sends them; else from its refusals.

mod bucket;
mod counting;
mod crowd;
mod lane;
mod limit;
mod mirror;
mod quota;
mod rates;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluicegate_config::Limits;
use sluicegate_model::{CallContext, CallNotice, ModelError};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, sleep_until};

use crate::ask::{Answer, Ask};
use lane::{Hold, Lane, Passed};
use limit::Limit;
pub(crate) use quota::Quota;
use rates::Cost;

/// Lets attempts of one connection through.
pub(crate) struct Gate {
    permits: Semaphore,
    lanes: Mutex<HashMap<Arc<str>, Arc<Lane>>>,
    /// What the settings say; `None`: nothing.
    limit: Option<Limit>,
}

/// An attempt that was let through. Dropping it gives the permit back.
pub(crate) struct Ticket<'g> {
    gate: &'g Gate,
    lane: Arc<Lane>,
    passed: Passed,
    cost: Cost,
    // After the lane's share is free again, so that who is next in the lane finds it.
    _permit: Option<SemaphorePermit<'g>>,
}

/// How long to wait at most before looking at limits and quotas again: an answer that comes meanwhile may give back what
/// it did not use, or tell that there is room.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            permits: Semaphore::new(limits.max_in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            lanes: Mutex::default(),
            limit: Limit::new(limits, Instant::now()),
        }
    }

    /// Waits until an attempt may be sent.
    ///
    /// Fails at once if a pause or the rate would let it through only after the deadline, or a pause asks for more than
    /// `patience`; fails after as much of it if the endpoint's quota lets nothing through. For a permit and its turn it
    /// waits until the deadline.
    pub(crate) async fn enter(
        &self,
        ask: &Ask<'_>,
        context: &CallContext,
        deadline: Instant,
        patience: Duration,
    ) -> Result<Ticket<'_>, ModelError> {
        let lane = lock(&self.lanes).entry(ask.model().clone()).or_insert_with(Lane::new).clone();
        let ticket = |permit, cost, passed| Ticket { gate: self, lane: lane.clone(), passed, cost, _permit: permit };
        if let Ok(permit) = self.permits.try_acquire()
            && let Some((cost, passed)) = self.pass_at_once(&lane, ask)
        {
            return Ok(ticket(Some(permit), cost, passed));
        }
        context.notices.notice(CallNotice::Queued);
        let _waiting = lane.waiting();
        let _turn = lane.turn().await;
        let mut held_by_quota = None;
        loop {
            // First what is the lane's own: whoever has the connection's turn keeps other lanes waiting.
            match lane.hold(ask) {
                None => {}
                Some(Hold::Pause(until)) => {
                    let wait = until.saturating_duration_since(Instant::now());
                    if until >= deadline || wait >= patience {
                        return Err(too_long(wait, "the endpoint asked for a pause"));
                    }
                    sleep_until(until).await;
                    continue;
                }
                Some(Hold::Crowd) => {
                    lane.share_freed().await;
                    continue;
                }
                Some(Hold::Quota(wait)) => {
                    let since: Instant = *held_by_quota.get_or_insert_with(Instant::now);
                    if since.elapsed() >= patience {
                        return Err(too_long(wait, "the endpoint's quota is used up"));
                    }
                    sleep(wait.min(LOOK_AGAIN)).await;
                    continue;
                }
            }
            let _connection_s_turn = match &self.limit {
                Some(limit) => Some(limit.turn().await),
                None => None,
            };
            while let Some(wait) = self.over_the_limit(&lane, ask) {
                if Instant::now().checked_add(wait).is_none_or(|until| until >= deadline) {
                    return Err(too_long(wait, "the connection's own limit per minute is used up"));
                }
                sleep(wait.min(LOOK_AGAIN)).await;
            }
            let permit = self.permits.acquire().await.ok();
            // Somebody who held a permit may have been told to pause meanwhile.
            if let Some((cost, passed)) = self.pass(&lane, ask) {
                return Ok(ticket(permit, cost, passed));
            }
        }
    }

    /// Lets an attempt through for which nobody and nothing has to be waited for.
    fn pass_at_once(&self, lane: &Arc<Lane>, ask: &Ask<'_>) -> Option<(Cost, Passed)> {
        if lane.is_waited_for() || self.limit.as_ref().is_some_and(Limit::is_waited_for) {
            return None;
        }
        self.pass(lane, ask)
    }

    fn pass(&self, lane: &Arc<Lane>, ask: &Ask<'_>) -> Option<(Cost, Passed)> {
        let mut rates = self.limit.as_ref().map(Limit::rates);
        lane.pass(ask, rates.as_deref_mut())
    }

    /// How long the settings' limit holds the next attempt of a lane up, if it does.
    fn over_the_limit(&self, lane: &Lane, ask: &Ask<'_>) -> Option<Duration> {
        let mut rates = self.limit.as_ref()?.rates();
        let wait = rates.wait(Instant::now(), lane.cost(ask));
        (!wait.is_zero()).then_some(wait)
    }
}

impl Ticket<'_> {
    /// Settles what the attempt really used.
    pub(crate) fn succeeded(&self, answer: &Answer, quota: Option<&Quota>) {
        let (usage, text) = match answer {
            Answer::Chat(reply) => (&reply.usage, reply.text.as_deref()),
            Answer::Embedding(reply) => (&reply.usage, None),
        };
        let mut rates = self.gate.limit.as_ref().map(Limit::rates);
        self.lane.succeeded(&self.passed, &self.cost, usage, text, quota, rates.as_deref_mut());
    }

    /// Remembers a pause that the endpoint asked for, and gives back the tokens of the reply that never came.
    pub(crate) fn failed(self, error: &ModelError, quota: Option<&Quota>) {
        let mut rates = self.gate.limit.as_ref().map(Limit::rates);
        self.lane.failed(&self.passed, &self.cost, error, quota, rates.as_deref_mut());
    }

    /// Counts requests that were sent beyond the first, with the same ticket.
    pub(crate) fn sent_again(&self, times: u32) {
        if let (Some(limit), 1..) = (&self.gate.limit, times) {
            limit.rates().take_requests(f64::from(times));
        }
    }
}

fn too_long(wait: Duration, why: &str) -> ModelError {
    ModelError::RateLimited {
        retry_after: Some(wait),
        temporary: true,
        message: format!("{why}, for longer than this call may take"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
