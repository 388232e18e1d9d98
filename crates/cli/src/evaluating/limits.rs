//! What all batches of an evaluation may take together: money, tokens, time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sluicegate_evaluate::spec::BudgetSpec;
use sluicegate_events::Spent;
use sluicegate_executor::Budget;

/// What all batches of an evaluation may take together, and what those before have taken.
///
/// Money and tokens are those of the whole evaluation, whatever processes it took; time is that of this process.
#[derive(Clone)]
pub(crate) struct Limits {
    pub(crate) usd: Option<f64>,
    tokens: Option<u64>,
    time: Option<Duration>,
    began: Instant,
    taken: Taken,
    /// What was taken when this round began.
    before_round: Taken,
}

#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    usd: f64,
    tokens: u64,
    time: Duration,
}

impl Limits {
    /// `usd` of the command line comes before that of the evaluation file.
    pub(crate) fn new(spec: &BudgetSpec, usd: Option<f64>) -> Self {
        Self {
            usd: usd.or(spec.usd),
            tokens: spec.tokens,
            time: spec.time,
            began: Instant::now(),
            taken: Taken::default(),
            before_round: Taken::default(),
        }
    }

    /// How an evaluation goes on that has taken all it may.
    pub(crate) fn to_go_on(&self, evaluation: &str) -> String {
        let more = match (self.usd, self.tokens) {
            (_, Some(_)) => ", with a greater `budget` in evaluation.yaml",
            (Some(_), None) => " --budget USD",
            // Each process has its own time.
            (None, None) => "",
        };
        format!("go on with: sluicegate evaluate --resume {evaluation}{more}")
    }

    /// The judges of the round before have had their share: what is left is divided anew.
    pub(crate) fn begin_round(&mut self) {
        self.before_round = Taken { time: self.began.elapsed(), ..self.taken };
    }

    /// A batch is over.
    pub(crate) fn take(&mut self, spent: &Spent) {
        self.taken.usd += spent.cost.unwrap_or_default();
        self.taken.tokens = self.taken.tokens.saturating_add(tokens(spent));
    }

    /// What a batch may take that has `before` behind it and leaves the share `reserve` of what the round has to others.
    pub(crate) fn budget(&self, before: &Spent, reserve: f64, assume_tokens: Option<u64>) -> Option<Arc<Budget>> {
        if self.usd.is_none() && self.tokens.is_none() {
            return None;
        }
        let most = self.usd.map(|most| most - (most - self.before_round.usd).max(0.0) * reserve);
        let spent = self.taken.usd + before.cost.unwrap_or_default();
        let budget = Budget::new(most.unwrap_or(f64::INFINITY), spent, assume_tokens);
        Some(Arc::new(match self.tokens {
            Some(most) => {
                let kept_back = most.saturating_sub(self.before_round.tokens) as f64 * reserve;
                let used = self.taken.tokens.saturating_add(tokens(before));
                budget.with_tokens(most.saturating_sub(kept_back as u64), used)
            }
            None => budget,
        }))
    }

    /// How long a batch may take; `None` for as long as it wants.
    pub(crate) fn time_left(&self, reserve: f64) -> Option<Duration> {
        let all = self.time?;
        let kept_back = all.saturating_sub(self.before_round.time).mul_f64(reserve);
        Some(all.saturating_sub(kept_back).saturating_sub(self.began.elapsed()))
    }
}

fn tokens(spent: &Spent) -> u64 {
    let of = |tokens: Option<u64>| tokens.unwrap_or_default();
    of(spent.usage.input_tokens).saturating_add(of(spent.usage.output_tokens))
}
