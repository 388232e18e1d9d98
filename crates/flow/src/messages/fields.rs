//! What stands in a section: fields (`name:`, `content:`, `tool_call_id:`, `tool_calls:`), or just text.

use sluicegate_value::Value;

use super::headings::{Heading, is_python_space, strip};
use super::literal;

/// The text of one message, from its header to the next.
pub(super) struct Section<'t> {
    /// The whole rendered text.
    pub(super) text: &'t str,
    /// Where the section begins.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
    /// All headings of the text, in order: a section looks only at its own.
    pub(super) headings: &'t [Heading<'t>],
}

impl<'t> Section<'t> {
    /// All of it.
    pub(super) fn body(&self) -> &'t str {
        self.slice(self.start, self.end)
    }

    /// The single word under `field:` and the text under the `content:` that follows at once. As in the original,
    /// what stands before the field is dropped; unlike there, a field begins its line.
    pub(super) fn value_and_content(&self, field: &str) -> Option<(&'t str, &'t str)> {
        let mut fields = self.fields().peekable();
        while let Some(heading) = fields.next() {
            if heading.word != field || !heading.has_line_break {
                continue;
            }
            let Some(content) = fields.peek().filter(|next| next.word == "content") else { continue };
            let value = strip(self.slice(heading.end, content.start));
            if !value.is_empty() && !value.contains(is_python_space) {
                return Some((value, self.slice(content.end, self.end)));
            }
        }
        None
    }

    /// The tool calls under `tool_calls:`, if a Python list of dicts stands there. The original looks for the first
    /// `]`, so that a list within the list hides the calls; here the list ends where Python says.
    pub(super) fn tool_calls(&self) -> Option<Value> {
        self.fields().filter(|heading| heading.word == "tool_calls" && heading.has_line_break).find_map(|heading| {
            let written = self.slice(heading.end, self.end).trim_start_matches(is_python_space);
            let calls = literal::list(written)?;
            let items = calls.as_list()?;
            (!items.is_empty() && items.iter().all(|item| item.as_map().is_some())).then_some(calls)
        })
    }

    fn fields(&self) -> impl Iterator<Item = &'t Heading<'t>> {
        let from = self.headings.partition_point(|heading| heading.start < self.start);
        let to = self.headings.partition_point(|heading| heading.end <= self.end);
        self.headings.get(from..to).unwrap_or_default().iter()
    }

    fn slice(&self, start: usize, end: usize) -> &'t str {
        self.text.get(start..end).unwrap_or("")
    }
}
