//! Inputs that go by several names.

use super::Side;

/// What an input is about. Two families of evaluators (`question`/`answer`, `query`/`response`) name the same things
/// differently; a name of either is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// What the target answered.
    Response,
    /// What was asked.
    Query,
    /// What should have been answered.
    GroundTruth,
    /// What the answer should rest on.
    Context,
    /// Turns of a conversation, the answer to be judged being the last.
    Conversation,
    /// Another answer to the same question.
    Other,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Response, Self::Query, Self::GroundTruth, Self::Context, Self::Conversation, Self::Other];

    /// The names that are understood, the first one before the others.
    #[must_use]
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Response => &["response", "answer", "output", "prediction", "completion", "result"],
            Self::Query => &["query", "question", "input"],
            Self::GroundTruth => &[
                "ground_truth",
                "groundtruth",
                "expected",
                "truth",
                "reference",
                "expected_answer",
                "expected_output",
                "label",
            ],
            Self::Context => &["context", "contexts", "documents", "retrieved_documents", "passages"],
            Self::Conversation => &["conversation", "messages"],
            Self::Other => &["other", "other_response", "baseline_response", "reference_response"],
        }
    }

    /// The family of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.names().contains(&name))
    }

    /// Where it is looked for, in order.
    pub(super) fn sides(self) -> &'static [Side] {
        match self {
            // What is to be judged comes from the target; only a file of outputs has it among its columns.
            Self::Response | Self::Context => &[Side::Target, Side::Data],
            Self::Query | Self::Conversation | Self::Other => &[Side::Data, Side::Target],
            // A target that gives its own ground truth would judge itself.
            Self::GroundTruth => &[Side::Data],
        }
    }
}
