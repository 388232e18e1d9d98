//! The limits of the settings, at which the lanes of a connection take turns.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use sluicegate_config::Limits;
use tokio::sync::{Mutex as FairMutex, MutexGuard as FairMutexGuard};
use tokio::time::Instant;

use super::lock;
use super::rates::Rates;

/// Rates that all models of a connection share. Whoever waits for them waits in turn, whatever the model: else those
/// whose requests cost little would take each little that comes, and one that costs much would wait for ever.
pub(super) struct Limit {
    rates: Mutex<Rates>,
    turn: FairMutex<()>,
    waiting: AtomicUsize,
}

/// The turn at a connection's limit. Dropping it lets the next one have it.
pub(super) struct LimitTurn<'l> {
    // First: who comes when the last one has passed needs no turn.
    _waiting: Waiting<'l>,
    _turn: FairMutexGuard<'l, ()>,
}

struct Waiting<'l>(&'l AtomicUsize);

impl Limit {
    /// `None` if nothing is limited.
    pub(super) fn new(limits: &Limits, now: Instant) -> Option<Self> {
        let rates = Rates::new(limits, now)?;
        Some(Self { rates: Mutex::new(rates), turn: FairMutex::new(()), waiting: AtomicUsize::new(0) })
    }

    pub(super) fn rates(&self) -> MutexGuard<'_, Rates> {
        lock(&self.rates)
    }

    pub(super) fn is_waited_for(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Waits for one's turn.
    pub(super) async fn turn(&self) -> LimitTurn<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let waiting = Waiting(&self.waiting);
        LimitTurn { _waiting: waiting, _turn: self.turn.lock().await }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
