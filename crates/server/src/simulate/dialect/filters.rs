//! What content filters found, as Azure annotates it.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use sluicegate_model::{Filter, FilterFinding, FilterState};

/// Categories that every annotation of a request tells of; those with a severity first.
const OF_PROMPTS: &[(&str, bool)] =
    &[("hate", true), ("jailbreak", false), ("self_harm", true), ("sexual", true), ("violence", true)];

/// The same for replies.
const OF_REPLIES: &[(&str, bool)] = &[
    ("hate", true),
    ("protected_material_code", false),
    ("protected_material_text", false),
    ("self_harm", true),
    ("sexual", true),
    ("violence", true),
];

/// What filters found in a request, or in a reply.
#[derive(Clone, Copy)]
pub(in crate::simulate) struct Findings<'a> {
    filter: Option<&'a Filter>,
    in_reply: bool,
}

/// `prompt_filter_results` has one of these for each prompt.
#[derive(Clone, Copy, Serialize)]
pub(super) struct PromptFindings<'a> {
    prompt_index: u32,
    content_filter_results: Findings<'a>,
}

#[derive(Serialize)]
struct Finding<'a> {
    filtered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detected: Option<bool>,
}

#[derive(Serialize)]
struct Failed {
    code: &'static str,
    message: &'static str,
}

/// What filters found in a request.
pub(in crate::simulate) fn prompt(filter: Option<&Filter>) -> Findings<'_> {
    Findings { filter, in_reply: false }
}

/// What filters found in a reply.
pub(super) fn reply(filter: Option<&Filter>) -> Findings<'_> {
    Findings { filter, in_reply: true }
}

/// What filters found in the only prompt.
pub(super) fn prompts(filter: Option<&Filter>) -> [PromptFindings<'_>; 1] {
    [PromptFindings { prompt_index: 0, content_filter_results: prompt(filter) }]
}

impl Serialize for Findings<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.filter.is_some_and(|filter| filter.state == FilterState::Unchecked) {
            let error = Failed { code: "content_filter_error", message: "The contents are not filtered" };
            map.serialize_entry("error", &error)?;
            return map.end();
        }
        let found: &[FilterFinding] = self.filter.map_or(&[], |filter| &filter.findings);
        let mut found: Vec<&FilterFinding> = found.iter().filter(|finding| finding.in_reply == self.in_reply).collect();
        for (category, has_severity) in if self.in_reply { OF_REPLIES } else { OF_PROMPTS } {
            let at = found.iter().position(|finding| &*finding.category == *category);
            let told = match at.map(|at| found.remove(at)) {
                Some(finding) => Finding::of(finding, *has_severity),
                None => Finding {
                    filtered: false,
                    severity: has_severity.then_some("safe"),
                    detected: (!has_severity).then_some(false),
                },
            };
            map.serialize_entry(category, &told)?;
        }
        for finding in found {
            map.serialize_entry(&*finding.category, &Finding::of(finding, false))?;
        }
        map.end()
    }
}

impl<'a> Finding<'a> {
    /// A finding without a severity has one nevertheless where the category always has: the one that stops.
    fn of(finding: &'a FilterFinding, has_severity: bool) -> Self {
        let severity = finding.severity.as_deref().or(has_severity.then_some("medium"));
        Self { filtered: finding.stopped, severity, detected: severity.is_none().then_some(true) }
    }
}
