//! Judges: prompts of ours, and what their replies mean.
//!
//! A reply is read tolerantly, and a reply without a score is *unscored*: it counts as missing, never as zero.

mod criteria;
mod prompts;
mod reply;
mod scale;
mod weigh;

pub use prompts::{JudgePrompt, built_in, built_in_names};
pub use reply::{Reply, parse_reply};
pub use scale::Wanted;

pub(crate) use criteria::{criteria_text, levels_text, number_text};

/// What a judge is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expects {
    /// A score on the metric's scale.
    Score,
    /// Which of two answers is better, or neither.
    Winner,
    /// The number of the best answer.
    Number,
}
