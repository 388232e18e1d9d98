//! What a content filter did: a result, not an error.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What a content filter did to a request or its reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// What became of the call.
    pub state: FilterState,
    /// What it found, those that stopped something first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<FilterFinding>,
    /// The endpoint's own words, if it had any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Arc<str>>,
}

/// What became of a call under a content filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterState {
    /// The request was stopped: the model never saw it, and there is no reply.
    Input,
    /// The reply was stopped: what there is of it is cut off or gone.
    Output,
    /// The filter itself failed: request and reply went through unchecked.
    Unchecked,
    /// It found something, and let it pass.
    Noted,
}

/// One category that a content filter found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterFinding {
    /// `hate`, `sexual`, `violence`, `self_harm`, `jailbreak`, `indirect_attack`, `protected_material_text`,
    /// `protected_material_code`, `profanity`, or a block list's name.
    pub category: Arc<str>,
    /// `low`, `medium`, `high`; none where a category is found or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Arc<str>>,
    /// Whether it was found in the reply rather than in the request.
    #[serde(default)]
    pub in_reply: bool,
    /// Whether it stopped the call.
    #[serde(default)]
    pub stopped: bool,
}

impl FilterState {
    /// The state in one word: `input`, `output`, `unchecked`, `noted`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::Unchecked => "unchecked",
            Self::Noted => "noted",
        }
    }
}

/// `the request was stopped by a content filter (hate: high, jailbreak)`.
impl fmt::Display for Filter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.state {
            FilterState::Input => "the request was stopped by a content filter",
            FilterState::Output => "the reply was stopped by a content filter",
            FilterState::Unchecked => "the content filter failed, and the reply went through unchecked",
            FilterState::Noted => "a content filter found something and let it pass",
        })?;
        for (position, finding) in self.findings.iter().enumerate() {
            out.write_str(if position == 0 { " (" } else { ", " })?;
            write!(out, "{finding}")?;
        }
        if !self.findings.is_empty() {
            out.write_str(")")?;
        }
        match &self.message {
            Some(message) if !message.trim().is_empty() => write!(out, ": {message}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for FilterFinding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.severity {
            Some(severity) => write!(out, "{}: {severity}", self.category),
            None => out.write_str(&self.category),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_says_what_it_stopped_and_why() {
        let finding = |category: &str, severity: Option<&str>| FilterFinding {
            category: category.into(),
            severity: severity.map(Into::into),
            in_reply: false,
            stopped: true,
        };
        let filter = Filter {
            state: FilterState::Input,
            findings: vec![finding("hate", Some("high")), finding("jailbreak", None)],
            message: Some("change the prompt".into()),
        };
        assert_eq!(
            filter.to_string(),
            "the request was stopped by a content filter (hate: high, jailbreak): change the prompt"
        );
        let unchecked = Filter { state: FilterState::Unchecked, findings: Vec::new(), message: None };
        assert_eq!(unchecked.to_string(), "the content filter failed, and the reply went through unchecked");
    }
}
