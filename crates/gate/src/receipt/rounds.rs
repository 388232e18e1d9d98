//! How evidence came in: in looks, and with cases that were run again.

use serde::{Deserialize, Serialize};

/// How evidence came in. The default is all at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rounds {
    /// Why there was no further look; `None` if there was one look only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// How many cases there are in all.
    pub cases: u64,
    /// How many of them were not measured: they were not needed any more, or the budget did not allow it.
    pub not_needed: u64,
    /// From what the order of the cases was drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// How many cases fell and were run again before that could count.
    pub confirmed_cases: u64,
    /// How many answers that took.
    pub confirming_answers: u64,
}

/// Why there was no further look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// All cases are in.
    Complete,
    /// Every rule is shown to hold.
    Success,
    /// A rule has failed in a way that no further case can undo.
    Decided,
    /// What blocks now would hardly do otherwise at the end.
    Futility,
    /// Money, tokens or time are spent.
    Budget,
}

impl Rounds {
    /// Whether everything was measured once and looked at once.
    #[must_use]
    pub fn is_one(&self) -> bool {
        self.ended.is_none() && self.confirming_answers == 0
    }

    /// What people should know of it, decided at this look of so many.
    #[must_use]
    pub fn notes(&self, look: Option<[u32; 2]>) -> Vec<String> {
        let mut notes = Vec::new();
        if look.is_none() && self.ended == Some(Ended::Budget) {
            let measured = self.cases.saturating_sub(self.not_needed);
            notes.push(format!("the budget was spent: {measured} of {} cases were measured", self.cases));
        }
        if let (Some([look, of]), Some(ended)) = (look, self.ended) {
            let measured = self.cases.saturating_sub(self.not_needed);
            let why = match ended {
                Ended::Complete => "all cases were in",
                Ended::Success => "every rule was shown to hold",
                Ended::Decided => "a rule was shown not to hold",
                Ended::Futility => "more cases would hardly have changed it",
                Ended::Budget => "the budget was spent",
            };
            let left = match (ended, self.not_needed) {
                (_, 0) => String::new(),
                (Ended::Budget, left) => format!("; {left} were not measured"),
                (_, left) => format!("; {left} were not needed"),
            };
            notes
                .push(format!("decided at look {look} of {of}, after {measured} of {} cases: {why}{left}", self.cases));
        }
        if self.confirming_answers > 0 {
            let plural = |count: u64| if count == 1 { "" } else { "s" };
            let (cases, answers) = (self.confirmed_cases, self.confirming_answers);
            notes.push(format!(
                "{cases} case{} that fell ran again, for {answers} more answer{}: rules on single cases count them, means do not",
                plural(cases),
                plural(answers)
            ));
        }
        notes
    }
}
