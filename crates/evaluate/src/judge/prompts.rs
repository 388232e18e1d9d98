//! The prompts that come with the program: `flows/judges/*.prompty`.

use std::sync::Arc;

/// A judge's prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgePrompt {
    /// Its path from the project's root: where it is, or where a project may put one in its place.
    pub path: Arc<str>,
    /// Its text.
    pub text: Arc<str>,
    /// Whether it is ours: then no such file needs to be in the project.
    pub is_ours: bool,
}

macro_rules! prompts {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../flows/judges/", $name, ".prompty")))),*]
    };
}

static PROMPTS: &[(&str, &str)] = prompts![
    "groundedness",
    "relevance",
    "coherence",
    "fluency",
    "similarity",
    "retrieval",
    "response_completeness",
    "rubric",
    "rubric_weighted",
    "pairwise",
    "select_best",
];

/// The prompt of this name that comes with the program.
#[must_use]
pub fn built_in(name: &str) -> Option<JudgePrompt> {
    PROMPTS.iter().find(|(known, _)| *known == name).map(|(name, text)| JudgePrompt {
        path: format!("flows/judges/{name}.prompty").into(),
        text: Arc::from(*text),
        is_ours: true,
    })
}

/// The names of the prompts that come with the program.
pub fn built_in_names() -> impl Iterator<Item = &'static str> {
    PROMPTS.iter().map(|(name, _)| *name)
}
