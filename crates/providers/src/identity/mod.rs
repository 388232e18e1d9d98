//! An identity of Microsoft Entra: a token that is got at first use, renewed in time, and got anew once refused.
//!
//! ```text
//!  show() ─┬─ a token with time left ───────────────────────────► shown
//!          ├─ a token that is due ── whoever comes first renews ► shown (the old one to all others, and if it fails)
//!          └─ none, expired, refused ── one exchange for all ───► shown, or the error, which all who waited share
//! ```
//!
//! **Which source.** Those of `sources` are tried in order. A source that lacks a setting is passed over (*not
//! configured*), and so is one that is found rather than set and is not there, or has nobody to be: the metadata service
//! (IMDS), and `az` (*absent*). A source that is configured and fails ends the search (*failed*): a batch must not go on
//! under another identity because a secret expired. For the same reason the source that gave the first token gives all
//! later ones.
//!
//! **Until when.** A lifetime is counted from the moment of asking, by the monotonic clock and by what the answer says
//! of its length, so that a machine whose clock is wrong works. Where only a date is known (`az`, a token that somebody
//! else got), one that seems to have passed is used all the same: the endpoint knows better. A token is renewed five
//! minutes before its end, or at half of its life if that is shorter than ten minutes.
//!
//! **Refused.** The first 401 of a token marks it, and whoever wants to show it next waits for the one exchange. If its
//! successor is refused as well, renewing does not help, and the endpoint's words become the error.
//!
//! Sources: <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow> (Entra),
//! <https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference> (`IDENTITY_ENDPOINT`),
//! <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token> (IMDS),
//! <https://learn.microsoft.com/azure/azure-arc/servers/managed-identity-authentication> (Arc).

mod az;
mod entra;
mod exchange;
mod federated;
mod managed;
mod refusal;
mod sources;
mod token;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::HeaderValue;
use sluicegate_config::{Entra, Secret, TokenSource};
use sluicegate_model::{ConnectionName, ModelError};
use tokio::time::{Instant, timeout};

use crate::client::Clients;
use sources::{Sources, Trouble};
use token::Got;

/// An identity, and the token that it has at the moment.
pub(crate) struct Identity {
    connection: ConnectionName,
    sources: Sources,
    state: Mutex<State>,
    /// Held by whoever asks a source: one at a time.
    turn: tokio::sync::Mutex<()>,
}

/// A token as it is shown.
pub(crate) struct Held {
    /// Which one, from 1.
    pub(crate) number: u64,
    /// `Bearer …`.
    pub(crate) header: HeaderValue,
    got: Got,
    /// Whether it replaces one that the endpoint refused.
    after_refusal: bool,
}

#[derive(Default)]
struct State {
    held: Option<Arc<Held>>,
    /// The number of the token that the endpoint refused last.
    refused: Option<u64>,
    /// Who gave the first token.
    source: Option<TokenSource>,
    /// How many exchanges came to an end.
    finished: u64,
    /// How the last exchange failed, if it did.
    failure: Option<Failure>,
    /// How many renewals failed in a row, and when the next may be tried.
    renewals_failed: u32,
    not_before: Option<Instant>,
}

#[derive(Clone)]
struct Failure {
    at: Instant,
    error: ModelError,
    /// Whether the next call may ask again at once.
    transient: bool,
}

/// What to do for whoever wants to show a token.
enum Step {
    Use(Arc<Held>),
    Renew(Arc<Held>),
    Need,
}

/// How long a failure that another try would not change is remembered: the lines of a batch shall not ask one by one.
const REMEMBERED: Duration = Duration::from_secs(5);

/// How long a renewal may take while there is a token to go on with.
const RENEWAL: Duration = Duration::from_secs(20);

/// The pause after a renewal that fails, doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause between two renewals that fail.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// For how long the successor of a refused token counts as young: if it is refused as well, renewing does not help.
const YOUNG: Duration = Duration::from_secs(60);

impl Identity {
    /// An identity that asks for nothing yet.
    pub(crate) fn new(connection: &ConnectionName, entra: &Entra, clients: Arc<Clients>) -> Self {
        Self {
            connection: connection.clone(),
            sources: Sources::new(entra.clone(), clients),
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// The same, trusting the authorities of this file with those who give out tokens, too.
    pub(crate) fn trusting(mut self, ca_file: Option<&Path>) -> Self {
        self.sources.exchange.trust(ca_file);
        self
    }

    /// A token with time left, got or renewed first if need be.
    ///
    /// # Errors
    /// [`ModelError::NoIdentity`] with what was tried.
    pub(crate) async fn show(&self) -> Result<Arc<Held>, ModelError> {
        let (step, seen) = {
            let state = self.state();
            (state.step(Instant::now()), state.finished)
        };
        match step {
            Step::Use(held) => Ok(held),
            Step::Renew(held) => Ok(self.renew(held).await),
            Step::Need => {
                let _turn = self.turn.lock().await;
                {
                    let state = self.state();
                    if let Step::Use(held) | Step::Renew(held) = state.step(Instant::now()) {
                        return Ok(held);
                    }
                    // Whoever waited shares the outcome of those before; so does, for a while, who comes later.
                    let is_ours = |failure: &&Failure| {
                        state.finished != seen || (!failure.transient && failure.at.elapsed() < REMEMBERED)
                    };
                    if let Some(failure) = state.failure.as_ref().filter(is_ours) {
                        return Err(failure.error.clone());
                    }
                }
                self.exchange().await
            }
        }
    }

    /// The endpoint answered 401 to a token. Says whether to show a newer one.
    pub(crate) fn refused(&self, number: u64) -> bool {
        let mut state = self.state();
        let Some(held) = &state.held else { return false };
        if held.number != number || state.refused == Some(number) {
            // Another call was told before.
            return true;
        }
        let age = Instant::now().saturating_duration_since(held.got.since);
        let young = held.got.lifetime.map_or(YOUNG, |lifetime| YOUNG.min(lifetime / 2));
        if !held.got.renewable || (held.after_refusal && age < young) {
            return false;
        }
        state.refused = Some(number);
        true
    }

    /// Whose token it is and until when it is valid; `None` before the first one.
    pub(crate) fn told(&self) -> Option<String> {
        let held = self.state().held.clone()?;
        let who = &held.got.who;
        Some(match held.got.ends() {
            Some(end) => format!("{who}, valid until {}", token::moment(end)),
            None => who.clone(),
        })
    }

    /// What an endpoint's refusal (401, 403) means for this identity, and what to do.
    pub(crate) fn explain(&self, error: ModelError) -> ModelError {
        let ModelError::KeyRefused { connection, status, message } = error else { return error };
        let Some(held) = self.state().held.clone() else {
            return ModelError::KeyRefused { connection, status, message };
        };
        let ended = held.got.ends().filter(|end| *end < SystemTime::now());
        let message = refusal::of_endpoint(status, &message, &held.got.who, held.got.renewable, ended);
        ModelError::NoIdentity { connection, message, transient: false }
    }

    /// Renews a token that is still good, unless somebody does so at this moment; the old one if it cannot be renewed.
    async fn renew(&self, held: Arc<Held>) -> Arc<Held> {
        let Ok(_turn) = self.turn.try_lock() else { return held };
        let left = match self.state().step(Instant::now()) {
            // Somebody was faster.
            Step::Use(newer) => return newer,
            Step::Renew(_) => held.time_left(Instant::now()),
            Step::Need => Duration::ZERO,
        };
        if let Ok(Ok(newer)) = timeout(left.min(RENEWAL), self.exchange()).await {
            return newer;
        }
        let mut state = self.state();
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(state.renewals_failed));
        state.renewals_failed = state.renewals_failed.saturating_add(1);
        // A token of seconds has no minute to wait.
        let pause = pause.min(LONGEST_PAUSE).min(held.got.lifetime.unwrap_or(LONGEST_PAUSE) / 10);
        state.not_before = Some(Instant::now() + pause);
        held
    }

    /// Asks the source, or at first the sources, for a token. Only for whoever holds the turn.
    async fn exchange(&self) -> Result<Arc<Held>, ModelError> {
        let source = self.state().source;
        let outcome = match source {
            Some(source) => self.sources.again(source).await.map(|got| (source, got)),
            None => self.sources.first().await,
        };
        let outcome = outcome.and_then(|(source, got)| Ok((source, got.header()?, got)));
        let mut state = self.state();
        state.finished += 1;
        match outcome {
            Ok((source, header, got)) => {
                let after_refusal = state.held.as_ref().is_some_and(|before| state.refused == Some(before.number));
                let held = Arc::new(Held { number: state.finished, header, got, after_refusal });
                state.held = Some(held.clone());
                state.source = Some(source);
                (state.failure, state.renewals_failed, state.not_before) = (None, 0, None);
                Ok(held)
            }
            Err(trouble) => {
                let transient = matches!(trouble, Trouble::Failed { transient: true, .. });
                let (connection, message) = (self.connection.to_string(), trouble.into_message());
                let error = ModelError::NoIdentity { connection, message, transient };
                state.failure = Some(Failure { at: Instant::now(), error: error.clone(), transient });
                Err(error)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn step(&self, now: Instant) -> Step {
        let Some(held) = &self.held else { return Step::Need };
        if self.refused == Some(held.number) {
            return Step::Need;
        }
        if !held.got.renewable {
            return Step::Use(held.clone());
        }
        if held.time_left(now).is_zero() {
            return Step::Need;
        }
        if held.is_due(now) && self.not_before.is_none_or(|not_before| now >= not_before) {
            return Step::Renew(held.clone());
        }
        Step::Use(held.clone())
    }
}

impl Held {
    /// The token itself.
    pub(crate) fn secret(&self) -> &Secret {
        &self.got.secret
    }

    /// For how long it may still be shown; a little less than its life, since a request takes its time.
    fn time_left(&self, now: Instant) -> Duration {
        let Some(lifetime) = self.got.lifetime else { return Duration::MAX };
        let usable = lifetime - (lifetime / 10).min(Duration::from_secs(10));
        usable.saturating_sub(now.saturating_duration_since(self.got.since))
    }

    /// Whether it is time for the next one.
    fn is_due(&self, now: Instant) -> bool {
        let Some(lifetime) = self.got.lifetime else { return false };
        let margin = Duration::from_secs(300).min(lifetime / 2);
        now.saturating_duration_since(self.got.since) >= lifetime - margin
    }
}
