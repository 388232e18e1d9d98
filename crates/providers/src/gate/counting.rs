//! How an endpoint counts: what an attempt likely costs there, as its answers and refusals tell.

use sluicegate_model::Usage;

use super::rates::{Cost, estimate};
use crate::ask::Ask;

/// What is known of how an endpoint counts tokens.
pub(super) struct Counting {
    /// Mean tokens of a reply lately, reasoning included.
    mean_output: f64,
    replies: u32,
    /// By what estimates of requests are to be multiplied, as their answers tell.
    input_factor: f64,
    /// How much of what a reply might have the endpoint counts, from 0 (what it really has) to 1 (its maximum).
    by_maximum: f64,
    /// By how much the next refusal raises that; `None`: there was none yet.
    doubt: Option<f64>,
    /// By how much each answer lowers it again.
    fading: f64,
}

/// The least by which a refusal raises how much of a maximum counts.
const LEAST_DOUBT: f64 = 0.02;

/// By how much the first one does: most endpoints that refuse count maxima, so that answers have to show otherwise.
const FIRST_DOUBT: f64 = 1.0;

/// By how much an answer lowers it: at most, when it was raised only once; at least, when refusals have come again and
/// again as it fell. That is a refusal in some hundred answers, if maxima count indeed.
const FADING: [f64; 2] = [0.000_5, 0.000_05];

/// More tokens than any request or reply has: a count beyond is a mistake of the endpoint's.
const MOST_TOKENS: f64 = 2_000_000.0;

impl Counting {
    /// Nothing is known: replies are believed to be short, and to count as what they are.
    pub(super) fn new() -> Self {
        Self { mean_output: 200.0, replies: 0, input_factor: 1.0, by_maximum: 0.0, doubt: None, fading: FADING[0] }
    }

    /// What an attempt likely costs.
    pub(super) fn cost(&self, ask: &Ask<'_>) -> Cost {
        let cost = Cost::of(ask);
        let output = if cost.has_reply {
            let likely = cost.maximum.map_or(self.mean_output, |maximum| maximum.min(self.mean_output));
            self.output(likely, cost.maximum)
        } else {
            0.0
        };
        Cost { taken: self.input(&cost) + output, ..cost }
    }

    /// What an attempt's request alone likely costs.
    pub(super) fn input(&self, cost: &Cost) -> f64 {
        cost.input * self.input_factor
    }

    /// Whether all of a maximum counts, or there is none.
    pub(super) fn counts_all(&self, cost: &Cost) -> bool {
        self.by_maximum >= 1.0 || cost.maximum.is_none()
    }

    /// Learns from an answer; gives what the attempt has cost.
    pub(super) fn answered(&mut self, cost: &Cost, usage: &Usage, text: Option<&str>) -> f64 {
        let believed = |tokens: u64| (tokens as f64).min(MOST_TOKENS);
        let spoken = text.map(|text| estimate(text.len()));
        let output = usage.output_tokens.map(believed).or(spoken);
        if let (Some(output), true) = (output, cost.has_reply) {
            // Each of the first counts as much as any other; later ones are forgotten slowly.
            self.replies = self.replies.saturating_add(1);
            let weight = (1.0 / f64::from(self.replies)).max(0.02);
            self.mean_output += (output - self.mean_output) * weight;
        }
        let input = usage.input_tokens.map_or(self.input(cost), believed);
        if cost.input > 0.0 && usage.input_tokens.is_some() {
            self.input_factor = self.input_factor * 0.95 + 0.05 * (input / cost.input).clamp(0.25, 4.0);
        }
        let counted = input + self.output(output.unwrap_or_default(), cost.maximum);
        if self.by_maximum > 0.0 {
            self.by_maximum -= self.fading;
            if self.by_maximum <= 0.0 {
                // All of it was forgotten and nothing refused: the refusal had another reason.
                self.by_maximum = 0.0;
                self.doubt = self.doubt.map(|doubt| (doubt / 4.0).max(LEAST_DOUBT));
                self.fading = FADING[0];
            }
        }
        counted
    }

    /// Learns from a refusal of what should have passed; `is_told`: by what headers said is left.
    pub(super) fn refused(&mut self, is_told: bool) {
        let doubt = match self.doubt {
            // By what headers tell the pace is corrected anyway.
            None if is_told => LEAST_DOUBT,
            None => FIRST_DOUBT,
            Some(doubt) if self.by_maximum > 0.0 => {
                self.fading = (self.fading / 4.0).max(FADING[1]);
                (doubt * 2.0).min(1.0)
            }
            Some(doubt) => doubt,
        };
        self.doubt = Some(doubt);
        self.by_maximum = (self.by_maximum + doubt).min(1.0);
    }

    /// What the endpoint counts for a reply of so many tokens.
    fn output(&self, tokens: f64, maximum: Option<f64>) -> f64 {
        tokens + self.by_maximum * (maximum.unwrap_or(tokens) - tokens).max(0.0)
    }
}
