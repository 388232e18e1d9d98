//! How many attempts at once and per minute: permits, the pauses that an endpoint asks for, and rates.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluicegate_config::Limits;
use sluicegate_model::{CallContext, CallNotice, ChatReply, ChatRequest, Message, ModelError, Prompt};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, sleep_until};

/// Lets attempts of one connection through.
pub(crate) struct Gate {
    permits: Semaphore,
    /// Until when the endpoint wants to hear nothing, by model: quotas are a deployment's, not an account's.
    pauses: Mutex<HashMap<Arc<str>, Instant>>,
    rates: Option<Mutex<Rates>>,
}

/// An attempt that was let through. Dropping it gives the permit back.
pub(crate) struct Ticket<'g> {
    gate: &'g Gate,
    _permit: Option<SemaphorePermit<'g>>,
    model: Arc<str>,
    tokens: Tokens,
}

#[derive(Clone, Copy, Default)]
struct Tokens {
    input: f64,
    output: f64,
}

struct Rates {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    /// Mean tokens of a reply lately, for requests that set no maximum.
    mean_output: f64,
}

/// Fills at a rate; who takes more than it holds leaves a debt, for which the next ones wait.
struct Bucket {
    level: f64,
    capacity: f64,
    per_second: f64,
    at: Instant,
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Self {
        let now = Instant::now();
        let bucket = |per_minute: u32| Bucket::new(per_minute, now);
        let requests = limits.requests_per_minute.map(bucket);
        let tokens = limits.tokens_per_minute.map(bucket);
        let limited = requests.is_some() || tokens.is_some();
        let rates = limited.then(|| Mutex::new(Rates { requests, tokens, mean_output: 200.0 }));
        Self {
            permits: Semaphore::new(limits.max_in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            pauses: Mutex::default(),
            rates,
        }
    }

    /// Waits until an attempt may be sent.
    ///
    /// Fails at once if a pause or the rate would let it through only after the deadline, or a pause asks for more than
    /// `patience`. For a permit and its turn it waits until the deadline.
    pub(crate) async fn enter(
        &self,
        request: &ChatRequest,
        context: &CallContext,
        deadline: Instant,
        patience: Duration,
    ) -> Result<Ticket<'_>, ModelError> {
        let mut queued = false;
        let mut queue = || {
            if !std::mem::replace(&mut queued, true) {
                context.notices.notice(CallNotice::Queued);
            }
        };
        let permit = loop {
            if let Some(until) = self.pause(&request.model) {
                let wait = until.saturating_duration_since(Instant::now());
                if until >= deadline || wait >= patience {
                    return Err(too_long(wait, "the endpoint asked for a pause"));
                }
                queue();
                sleep_until(until).await;
                continue;
            }
            let permit = match self.permits.try_acquire() {
                Ok(permit) => Some(permit),
                Err(_) => {
                    queue();
                    self.permits.acquire().await.ok()
                }
            };
            // Somebody who held a permit may have been told to pause meanwhile.
            if self.pause(&request.model).is_none() {
                break permit;
            }
        };
        let mut ticket =
            Ticket { gate: self, _permit: permit, model: request.model.clone(), tokens: Tokens::default() };
        if let Some(rates) = &self.rates {
            let (tokens, wait) = lock(rates).reserve(request);
            ticket.tokens = tokens;
            if Instant::now().checked_add(wait).is_none_or(|until| until >= deadline) {
                ticket.give_back(tokens.input + tokens.output, 1.0);
                return Err(too_long(wait, "the connection's own limit per minute is used up"));
            }
            if !wait.is_zero() {
                queue();
                let mut reservation = Reservation { ticket: &ticket, kept: false };
                sleep(wait).await;
                reservation.kept = true;
            }
        }
        Ok(ticket)
    }

    fn pause(&self, model: &str) -> Option<Instant> {
        lock(&self.pauses).get(model).copied().filter(|until| *until > Instant::now())
    }
}

impl Ticket<'_> {
    /// Settles what the attempt really used.
    pub(crate) fn succeeded(&self, reply: &ChatReply) {
        let Some(rates) = &self.gate.rates else { return };
        let spoken = || reply.text.as_ref().map_or(0.0, |text| estimate(text.len()));
        let output = reply.usage.output_tokens.map_or_else(spoken, |tokens| tokens as f64);
        let input = reply.usage.input_tokens.map_or(self.tokens.input, |tokens| tokens as f64);
        let mut rates = lock(rates);
        rates.mean_output = rates.mean_output * 0.9 + output * 0.1;
        rates.give_back_tokens(self.tokens.input + self.tokens.output - input - output);
    }

    /// Remembers a pause that the endpoint asked for, and gives back the tokens of the reply that never came.
    pub(crate) fn failed(self, error: &ModelError) {
        if let ModelError::RateLimited { retry_after: Some(pause), temporary: true, .. } = error
            && let Some(until) = Instant::now().checked_add(*pause)
        {
            let mut pauses = lock(&self.gate.pauses);
            let known = pauses.entry(self.model.clone()).or_insert(until);
            *known = until.max(*known);
        }
        self.give_back(self.tokens.output, 0.0);
    }

    fn give_back(&self, tokens: f64, requests: f64) {
        if let Some(rates) = &self.gate.rates {
            let mut rates = lock(rates);
            rates.give_back_tokens(tokens);
            if let Some(bucket) = &mut rates.requests {
                bucket.give_back(requests);
            }
        }
    }
}

/// Gives back what was reserved when the call is dropped while it waits for its turn.
struct Reservation<'t, 'g> {
    ticket: &'t Ticket<'g>,
    kept: bool,
}

impl Drop for Reservation<'_, '_> {
    fn drop(&mut self) {
        if !self.kept {
            self.ticket.give_back(self.ticket.tokens.input + self.ticket.tokens.output, 1.0);
        }
    }
}

impl Rates {
    /// Takes one request and its likely tokens; answers how long to wait before using them.
    fn reserve(&mut self, request: &ChatRequest) -> (Tokens, Duration) {
        let now = Instant::now();
        let by_requests = self.requests.as_mut().map_or(Duration::ZERO, |bucket| bucket.reserve(now, 1.0));
        let Some(bucket) = &mut self.tokens else { return (Tokens::default(), by_requests) };
        let maximum = ["max_completion_tokens", "max_tokens"]
            .iter()
            .find_map(|name| request.parameters.get(name)?.as_number())
            .filter(|maximum| maximum.is_finite() && *maximum >= 0.0);
        let tokens = Tokens { input: input_estimate(request), output: maximum.unwrap_or(self.mean_output) };
        (tokens, bucket.reserve(now, tokens.input + tokens.output).max(by_requests))
    }

    fn give_back_tokens(&mut self, tokens: f64) {
        if let Some(bucket) = &mut self.tokens {
            bucket.give_back(tokens);
        }
    }
}

impl Bucket {
    /// Holds one second's worth, so that no minute sees noticeably more than the limit; and one request at least.
    fn new(per_minute: u32, now: Instant) -> Self {
        let per_second = f64::from(per_minute.max(1)) / 60.0;
        let capacity = per_second.max(1.0);
        Self { level: capacity, capacity, per_second, at: now }
    }

    fn reserve(&mut self, now: Instant, cost: f64) -> Duration {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.per_second).min(self.capacity);
        self.at = now;
        let missing = cost.min(self.capacity) - self.level;
        self.level -= cost;
        Duration::try_from_secs_f64((missing / self.per_second).max(0.0)).unwrap_or(Duration::MAX / 4)
    }

    /// Returns what was not used; a negative amount takes what was used beyond the reservation.
    fn give_back(&mut self, amount: f64) {
        self.level = (self.level + amount).min(self.capacity);
    }
}

fn too_long(wait: Duration, why: &str) -> ModelError {
    ModelError::RateLimited {
        retry_after: Some(wait),
        temporary: true,
        message: format!("{why}, for longer than this call may take"),
    }
}

fn input_estimate(request: &ChatRequest) -> f64 {
    match &request.prompt {
        Prompt::Text(text) => estimate(text.len()),
        Prompt::Messages(messages) => {
            let text = |message: &Message| message.content.as_ref().map_or(0, |content| content.plain_text().len());
            messages.iter().map(|message| 4.0 + estimate(text(message))).sum()
        }
    }
}

/// Tokens of so many bytes of text, roughly.
fn estimate(bytes: usize) -> f64 {
    (bytes as f64 / 4.0).ceil()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
