//! What surrounds every attempt: the gate before it, adaptation in it, the total timeout over it, the pause and the next
//! one after it.
//!
//! The total timeout begins when a call gets its first permit. Before that only the caller's deadline counts.

use std::borrow::Cow;
use std::time::Duration;

use sluicegate_config::{Connection, Retry};
use sluicegate_model::{
    About, BoxFuture, CallContext, CallNotice, ChatModel, ChatReply, ChatRequest, EmbeddingModel, EmbeddingReply,
    EmbeddingRequest, ModelError, Phase,
};
use tokio::time::{Instant, sleep, timeout_at};

use crate::adapt::Adapt;
use crate::ask::{Answer, Ask};
use crate::gate::Gate;
use crate::transport::{Attempt, Transport};

/// A transport with limits, adaptation, total timeout and retries.
pub(crate) struct Layered<T> {
    transport: T,
    about: About,
    gate: Gate,
    adapt: Adapt,
    retry: Retry,
    total: Duration,
    jitter: fn() -> f64,
}

impl<T: Transport> Layered<T> {
    pub(crate) fn new(transport: T, about: About, connection: &Connection) -> Self {
        Self {
            transport,
            about,
            gate: Gate::new(&connection.limits),
            adapt: Adapt::new(connection),
            retry: connection.retry.clone(),
            total: connection.timeouts.total,
            jitter,
        }
    }

    async fn call(&self, ask: &Ask<'_>, context: &CallContext) -> Result<Answer, ModelError> {
        let called = Instant::now();
        // Until the first permit only the caller's patience counts: how many others stand in the queue says nothing
        // about the endpoint.
        let (mut since, mut deadline) =
            (called, context.deadline.map_or_else(|| later(called, A_YEAR), Instant::from_std));
        for number in 1.. {
            let entered = timeout_at(deadline, self.gate.enter(ask, context, deadline, self.total)).await;
            let late = |since, deadline: Instant| ModelError::TimedOut {
                phase: Phase::Total,
                after: deadline.saturating_duration_since(since),
            };
            let ticket = entered.map_err(|_| late(since, later(Instant::now(), self.total).min(deadline)))??;
            // How long the record of it takes is not the endpoint's fault: the call's own time begins when it is sent.
            let attempt = Attempt::start(number, context).await;
            let sent_at = Instant::now();
            let own = later(sent_at, self.total);
            if number == 1 && own < deadline {
                (since, deadline) = (sent_at, own);
            }
            let too_late = || late(since, deadline);
            let sent = timeout_at(deadline, self.adapt.send(&self.transport, ask, &attempt)).await;
            ticket.sent_again(attempt.sent_again());
            let quota = attempt.quota();
            let error = match sent.unwrap_or_else(|_| Err(too_late())) {
                Ok(answer) => {
                    ticket.succeeded(&answer, quota.as_ref());
                    return Ok(answer);
                }
                Err(error) if attempt.passed_on() && error.is_transient() => {
                    ModelError::StreamBroken { message: error.to_string(), passed_on: true }
                }
                Err(error) => error,
            };
            // Gives the permit back before the pause.
            ticket.failed(&error, quota.as_ref());
            let retry_in = self.retry_in(number, &error).filter(|pause| later(Instant::now(), *pause) < deadline);
            context.notices.notice(CallNotice::AttemptFailed { attempt: number, error: error.clone(), retry_in });
            match retry_in {
                Some(pause) => sleep(pause).await,
                None => return Err(error),
            }
        }
        // Nobody counts so many attempts.
        Err(ModelError::TimedOut { phase: Phase::Total, after: called.elapsed() })
    }

    /// How long to pause before the next attempt; `None` if there shall be none.
    fn retry_in(&self, failed: u32, error: &ModelError) -> Option<Duration> {
        if !error.is_transient() || failed >= self.retry.max_attempts {
            return None;
        }
        let share = (self.jitter)();
        Some(match error.retry_after() {
            // A little later than asked, so that those who were told the same do not come back as one.
            Some(asked) => asked.saturating_add((asked / 10).min(Duration::from_secs(1)).mul_f64(share)),
            None => {
                let doubled = self.retry.initial.saturating_mul(2_u32.saturating_pow(failed - 1));
                doubled.min(self.retry.max).min(A_YEAR).mul_f64(0.5 + share / 2.0)
            }
        })
    }
}

impl<T: Transport> ChatModel for Layered<T> {
    fn chat<'a>(
        &'a self,
        request: &'a ChatRequest,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        Box::pin(async move {
            match self.call(&Ask::Chat(Cow::Borrowed(request)), context).await? {
                Answer::Chat(reply) => Ok(*reply),
                Answer::Embedding(_) => Err(of_another_kind()),
            }
        })
    }

    fn about(&self) -> &About {
        &self.about
    }
}

impl<T: Transport> EmbeddingModel for Layered<T> {
    fn embed<'a>(
        &'a self,
        request: &'a EmbeddingRequest,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<EmbeddingReply, ModelError>> {
        Box::pin(async move {
            match self.call(&Ask::Embedding(Cow::Borrowed(request)), context).await? {
                Answer::Embedding(reply) => Ok(reply),
                Answer::Chat(_) => Err(of_another_kind()),
            }
        })
    }

    fn about(&self) -> &About {
        &self.about
    }
}

fn of_another_kind() -> ModelError {
    ModelError::Malformed { message: "it answers another question".to_owned() }
}

/// For pauses and timeouts beyond what a clock can count.
const A_YEAR: Duration = Duration::from_secs(31_536_000);

/// A moment from now; a year is as good as anything later.
fn later(from: Instant, wait: Duration) -> Instant {
    from + wait.min(A_YEAR)
}

/// A random share from 0 to 1; one half if the system has no randomness to give.
fn jitter() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod quota_tests;
#[cfg(test)]
mod tests;
