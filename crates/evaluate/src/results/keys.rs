//! By which keys results are called.

/// Whose keys the results have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResultKeys {
    /// azure-ai-evaluation's: `groundedness`, `groundedness_result`, `groundedness_reason`.
    #[default]
    Azure,
    /// promptflow-evals': `gpt_groundedness`.
    Promptflow,
}

impl ResultKeys {
    pub(crate) const WORDS: [(&'static str, Self); 2] = [("azure", Self::Azure), ("promptflow", Self::Promptflow)];

    /// As it is written in an evaluation file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Azure => "azure",
            Self::Promptflow => "promptflow",
        }
    }
}
