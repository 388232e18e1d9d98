//! Which requests an entry or a fault is for.

use std::sync::Arc;

use regex::{Captures, Regex};
use sluicegate_value::Value;

use super::Asked;

/// Conditions on a request; all must hold.
#[derive(Clone, Debug, Default)]
pub(super) struct When {
    pub(super) user: Option<Regex>,
    pub(super) system: Option<Regex>,
    pub(super) tool: Option<Regex>,
    pub(super) model: Option<Regex>,
    pub(super) api: Option<Regex>,
    pub(super) parameter: Option<Parameter>,
}

/// A condition on a parameter.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub(super) path: Arc<str>,
    pub(super) value: Option<Value>,
    pub(super) not: Option<Value>,
}

impl When {
    /// Whether it holds.
    pub(super) fn holds(&self, asked: &Asked<'_>) -> bool {
        self.holds_but_user(asked) && fits(self.user.as_ref(), &asked.user)
    }

    /// Whether it holds, and what `user` captured.
    pub(super) fn captures<'h>(&self, asked: &'h Asked<'_>) -> Option<Option<Captures<'h>>> {
        if !self.holds_but_user(asked) {
            return None;
        }
        match &self.user {
            None => Some(None),
            Some(regex) => regex.captures(&asked.user).map(Some),
        }
    }

    fn holds_but_user(&self, asked: &Asked<'_>) -> bool {
        fits(self.model.as_ref(), asked.model)
            && fits(self.api.as_ref(), asked.api.word())
            && fits(self.system.as_ref(), &asked.system)
            && self.tool.as_ref().is_none_or(|regex| asked.tool.as_ref().is_some_and(|said| regex.is_match(said)))
            && self.parameter.as_ref().is_none_or(|parameter| parameter.holds(asked))
    }
}

impl Parameter {
    fn holds(&self, asked: &Asked<'_>) -> bool {
        // Python's equality: an author who writes `1` means `1.0` too.
        asked.parameter(&self.path).is_some_and(|value| {
            self.value.as_ref().is_none_or(|wanted| wanted.python_eq(value))
                && self.not.as_ref().is_none_or(|unwanted| !unwanted.python_eq(value))
        })
    }
}

fn fits(regex: Option<&Regex>, text: &str) -> bool {
    regex.is_none_or(|regex| regex.is_match(text))
}
