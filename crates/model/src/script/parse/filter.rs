//! From a document to what a content filter did.

use std::sync::Arc;

use sluicegate_value::Value;

use super::reader::Reader;
use crate::{Filter, FilterFinding, FilterState};

const FILTER_KEYS: &[&str] = &["input", "output", "unchecked", "note", "message"];
const SEVERITIES: &[&str] = &["low", "medium", "high"];

impl Reader {
    pub(super) fn filter(&mut self, value: &Value) -> Option<Filter> {
        let map = self.map(value, "`filter`", FILTER_KEYS)?;
        let message = self.under(map, "message", Self::text);
        let mut filters = Vec::new();
        for (key, state) in
            [("input", FilterState::Input), ("output", FilterState::Output), ("note", FilterState::Noted)]
        {
            let findings = self.under(map, key, |reader, value| reader.findings(value, key, state));
            filters.extend(findings.map(|findings| Filter { state, findings, message: message.clone() }));
        }
        if self.under(map, "unchecked", Self::yes).unwrap_or_default() {
            filters.push(Filter { state: FilterState::Unchecked, findings: Vec::new(), message });
        }
        match (filters.pop(), filters.is_empty()) {
            (Some(filter), true) => Some(filter),
            (None, _) if ["input", "output", "note"].iter().any(|key| map.contains_key(key)) => None,
            _ => self.reject("needs exactly one of `input`, `output`, `note` and `unchecked: true`"),
        }
    }

    fn findings(&mut self, value: &Value, what: &str, state: FilterState) -> Option<Vec<FilterFinding>> {
        let Some(map) = value.as_map().filter(|map| !map.is_empty()) else {
            return self.reject(&format!("`{what}` must be a map such as `{{ hate: high, jailbreak: true }}`"));
        };
        let mut findings = Vec::new();
        for (category, _) in map {
            let severity: Option<Option<Arc<str>>> = self.under(map, category, |reader, value| match value {
                Value::Bool(true) => Some(None),
                Value::Str(severity) if SEVERITIES.contains(&&**severity) => Some(Some(severity.clone())),
                _ => reader.reject("must be `low`, `medium`, `high`, or `true` where it has no severity"),
            });
            findings.extend(severity.map(|severity| FilterFinding {
                category: category.clone(),
                severity,
                // Protected material is looked for in replies alone.
                in_reply: state == FilterState::Output || category.starts_with("protected_material"),
                stopped: state != FilterState::Noted,
            }));
        }
        Some(findings)
    }
}
