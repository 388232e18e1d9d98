//! What calls may cost in all: reserved before each, settled by what it used.

use std::sync::{Mutex, MutexGuard, PoisonError};

use sluicegate_model::{ChatRequest, EmbeddingRequest, Prices, Prompt, Usage};
use sluicegate_value::{Map, Value};
use tokio::sync::Notify;

/// What calls may cost in all, in US dollars, and in tokens.
///
/// Before a call is sent, what it may cost at most is reserved: its prompt, estimated from its length, and as many tokens
/// of reply as the request allows. A call that does not fit waits for others to be settled; one that does not fit though
/// nothing is in flight reaches the budget: it is never sent, and whoever runs the batch stops it.
#[derive(Debug)]
pub struct Budget {
    /// Infinite where dollars are not limited; then nobody needs to know prices.
    most: f64,
    most_tokens: Option<u64>,
    /// Tokens of a reply that are reserved where the request does not limit them.
    reply_tokens: u64,
    books: Mutex<Books>,
    settled: Notify,
    reached: Notify,
}

#[derive(Debug, Default)]
struct Books {
    spent: f64,
    reserved: f64,
    tokens: u64,
    reserved_tokens: u64,
    in_flight: u32,
    over: Option<BudgetEnd>,
}

/// Why a budget lets nothing more through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BudgetEnd {
    /// The next call might cost more than is left, or use more tokens.
    Reached,
    /// A model has no price, so that nobody knows what it costs.
    Unpriced(String),
}

/// Tokens of a reply that are reserved where neither the request nor the settings limit them.
pub const USUAL_REPLY_TOKENS: u64 = 1024;

/// Bytes of a prompt that are taken for a token: fewer than any tokenizer needs of prose, so that the estimate is high.
const BYTES_IN_A_TOKEN: u64 = 3;

impl Budget {
    /// A budget of `most` dollars, of which `spent` are gone.
    #[must_use]
    pub fn new(most: f64, spent: f64, reply_tokens: Option<u64>) -> Self {
        Self {
            most,
            most_tokens: None,
            reply_tokens: reply_tokens.unwrap_or(USUAL_REPLY_TOKENS),
            books: Mutex::new(Books { spent, ..Books::default() }),
            settled: Notify::new(),
            reached: Notify::new(),
        }
    }

    /// The same, of at most so many tokens, prompts and replies together, of which `used` are gone.
    #[must_use]
    pub fn with_tokens(mut self, most: u64, used: u64) -> Self {
        self.most_tokens = Some(most);
        self.books.get_mut().unwrap_or_else(PoisonError::into_inner).tokens = used;
        self
    }

    /// Completes when nothing more is let through.
    pub async fn is_over(&self) -> BudgetEnd {
        loop {
            let reached = self.reached.notified();
            if let Some(end) = self.books().over.clone() {
                return end;
            }
            reached.await;
        }
    }

    /// Reserves what a call may cost. Never completes once the budget is reached: the call waits to be given up.
    pub(crate) async fn reserve(&self, most: Most) -> Reservation<'_> {
        let Most { usd, tokens } = most;
        let usd = if self.most.is_finite() { usd } else { Ok(0.0) };
        loop {
            let settled = self.settled.notified();
            {
                let mut books = self.books();
                match &usd {
                    Ok(usd) if books.over.is_none() && self.fits(&books, *usd, tokens) => {
                        books.reserved += usd;
                        books.reserved_tokens = books.reserved_tokens.saturating_add(tokens);
                        books.in_flight += 1;
                        return Reservation { budget: self, usd: *usd, tokens, is_settled: false };
                    }
                    Ok(_) if books.in_flight > 0 => {}
                    Ok(_) => self.end(&mut books, BudgetEnd::Reached),
                    Err(model) => self.end(&mut books, BudgetEnd::Unpriced(model.clone())),
                }
            }
            settled.await;
        }
    }

    fn fits(&self, books: &Books, usd: f64, tokens: u64) -> bool {
        let tokens = books.tokens.saturating_add(books.reserved_tokens).saturating_add(tokens);
        books.spent + books.reserved + usd <= self.most && self.most_tokens.is_none_or(|most| tokens <= most)
    }

    fn end(&self, books: &mut Books, end: BudgetEnd) {
        books.over.get_or_insert(end);
        self.reached.notify_waiters();
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a chat call may cost at most.
    pub(crate) fn most_of_chat(&self, request: &ChatRequest, prices: &Prices) -> Most {
        let prompt: u64 = match &request.prompt {
            Prompt::Text(text) => text.len() as u64,
            Prompt::Messages(messages) => messages.iter().map(|message| bytes(&message.to_value()) + 12).sum(),
        };
        let tools = ["tools", "functions", "response_format"].iter().filter_map(|name| request.parameters.get(name));
        let prompt = prompt + tools.map(bytes).sum::<u64>();
        let replies = number(&request.parameters, "n").unwrap_or(1).max(1);
        let reply = ["max_completion_tokens", "max_tokens", "max_output_tokens"]
            .iter()
            .find_map(|name| number(&request.parameters, name))
            .unwrap_or(self.reply_tokens);
        most(&request.model, prices, prompt, reply.saturating_mul(replies))
    }

    /// What an embedding call may cost at most.
    pub(crate) fn most_of_embedding(&self, request: &EmbeddingRequest, prices: &Prices) -> Most {
        most(&request.model, prices, request.input.texts().iter().map(|text| text.len() as u64).sum(), 0)
    }
}

/// What a call may cost at most.
#[derive(Debug)]
pub(crate) struct Most {
    /// US dollars; the model's name if it has no price.
    usd: Result<f64, String>,
    tokens: u64,
}

impl Most {
    /// A call that nobody is paid for.
    pub(crate) const NOTHING: Self = Self { usd: Ok(0.0), tokens: 0 };
}

/// What a call has cost; `None`: nobody knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paid {
    usd: Option<f64>,
    tokens: Option<u64>,
}

impl Paid {
    /// A call that gave nothing.
    pub(crate) const NOTHING: Self = Self { usd: Some(0.0), tokens: Some(0) };

    pub(crate) fn of(usd: Option<f64>, usage: &Usage) -> Self {
        let tokens = match (usage.input_tokens, usage.output_tokens) {
            (None, None) => None,
            (input, output) => Some(input.unwrap_or_default().saturating_add(output.unwrap_or_default())),
        };
        Self { usd, tokens }
    }
}

fn most(model: &str, prices: &Prices, prompt_bytes: u64, reply_tokens: u64) -> Most {
    let prompt_tokens = prompt_bytes.div_ceil(BYTES_IN_A_TOKEN) + 8;
    let usage = Usage { input_tokens: Some(prompt_tokens), output_tokens: Some(reply_tokens), ..Usage::default() };
    let usd = prices.cost(model, None, &usage).ok_or_else(|| model.to_owned());
    Most { usd, tokens: prompt_tokens.saturating_add(reply_tokens) }
}

fn number(parameters: &Map, name: &str) -> Option<u64> {
    match parameters.get(name) {
        Some(Value::Int(number)) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// Bytes of all texts in a value. (Images are priced by their size, which is not known here: they count as texts.)
fn bytes(value: &Value) -> u64 {
    match value {
        Value::Str(text) => text.len() as u64,
        Value::List(items) => items.iter().map(bytes).sum(),
        Value::Map(map) => map.iter().map(|(key, value)| key.len() as u64 + bytes(value)).sum(),
        _ => 4,
    }
}

/// What is kept back for a call in flight.
#[derive(Debug)]
pub(crate) struct Reservation<'b> {
    budget: &'b Budget,
    usd: f64,
    tokens: u64,
    is_settled: bool,
}

impl Reservation<'_> {
    /// The call is over and cost so much; what is unknown counts as reserved.
    pub(crate) fn settle(mut self, paid: Paid) {
        self.give_back(paid.usd.unwrap_or(self.usd), paid.tokens.unwrap_or(self.tokens));
    }

    fn give_back(&mut self, usd: f64, tokens: u64) {
        if std::mem::replace(&mut self.is_settled, true) {
            return;
        }
        let mut books = self.budget.books();
        books.reserved -= self.usd;
        books.spent += usd;
        books.reserved_tokens = books.reserved_tokens.saturating_sub(self.tokens);
        books.tokens = books.tokens.saturating_add(tokens);
        books.in_flight -= 1;
        // It cost more than was reserved for it: nothing else is sent, also of what has its reservation.
        if books.spent > self.budget.most || self.budget.most_tokens.is_some_and(|most| books.tokens > most) {
            self.budget.end(&mut books, BudgetEnd::Reached);
        }
        drop(books);
        self.budget.settled.notify_waiters();
    }
}

/// A call that is given up may be paid for all the same.
impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.give_back(self.usd, self.tokens);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn dollars(usd: f64) -> Most {
        Most { usd: Ok(usd), tokens: 0 }
    }

    #[test]
    fn tokens_are_counted_where_prices_are_not_known() {
        let unpriced = |tokens| Most { usd: Err("new-model".to_owned()), tokens };
        let budget = Budget::new(f64::INFINITY, 0.0, None).with_tokens(100, 30);
        let first = budget.reserve(unpriced(60)).now_or_never().expect("there is room");
        assert!(budget.reserve(unpriced(20)).now_or_never().is_none(), "the first is in flight");
        first.settle(Paid::of(None, &Usage { input_tokens: Some(10), output_tokens: Some(5), ..Usage::default() }));
        let second = budget.reserve(unpriced(55)).now_or_never().expect("the first used fewer than it might");
        second.settle(Paid::of(None, &Usage::default()));
        assert!(budget.reserve(unpriced(1)).now_or_never().is_none(), "what is unknown counts as reserved");
        assert_eq!(budget.is_over().now_or_never(), Some(BudgetEnd::Reached));
    }

    #[test]
    fn a_call_waits_for_others_and_reaches_the_budget_when_alone() {
        let budget = Budget::new(1.0, 0.25, None);
        let first = budget.reserve(dollars(0.5)).now_or_never().expect("there is room");
        assert!(budget.reserve(dollars(0.5)).now_or_never().is_none(), "the first is in flight");
        assert!(budget.is_over().now_or_never().is_none());
        first.settle(Paid { usd: Some(0.1), tokens: Some(0) });
        let second = budget.reserve(dollars(0.5)).now_or_never().expect("the first cost less than it might");
        second.settle(Paid { usd: None, tokens: None });
        assert!(budget.reserve(dollars(0.5)).now_or_never().is_none());
        assert_eq!(budget.is_over().now_or_never(), Some(BudgetEnd::Reached));
        assert!(budget.reserve(dollars(0.01)).now_or_never().is_none(), "nothing more, not even what would fit");
    }

    #[test]
    fn a_call_that_costs_more_than_was_reserved_may_end_it() {
        let budget = Budget::new(1.0, 0.0, None);
        let first = budget.reserve(dollars(0.1)).now_or_never().expect("there is room");
        let _second = budget.reserve(dollars(0.1)).now_or_never().expect("there is room");
        first.settle(Paid { usd: Some(2.0), tokens: Some(0) });
        assert_eq!(budget.is_over().now_or_never(), Some(BudgetEnd::Reached));
    }

    #[test]
    fn what_is_given_up_counts_as_reserved() {
        let budget = Budget::new(1.0, 0.0, None);
        drop(budget.reserve(dollars(0.75)).now_or_never());
        assert!(budget.reserve(dollars(0.5)).now_or_never().is_none());
    }

    #[test]
    fn a_model_without_a_price_ends_it() {
        let budget = Budget::new(1.0, 0.0, None);
        assert!(budget.reserve(Most { usd: Err("new-model".to_owned()), tokens: 0 }).now_or_never().is_none());
        assert_eq!(budget.is_over().now_or_never(), Some(BudgetEnd::Unpriced("new-model".to_owned())));
    }
}
