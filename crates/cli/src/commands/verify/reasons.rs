//! Why something differs, as far as that can be told.

use std::path::Path;

use sluicegate_flow::plan::{NodeKind, Plan};
use sluicegate_value::{Map, Value};

use super::compare::{Found, What};
use super::difference::Difference;
use super::recorded::RecordedCall;
use super::snapshot::Changes;

/// Words that open a message (spec: promptflow.md §2.4).
const ROLES: [&str; 5] = ["system", "user", "assistant", "function", "tool"];

/// What is known beside the two values that differ.
pub(crate) struct Reasons<'a> {
    pub(crate) changes: &'a Changes,
    pub(crate) plan: &'a Plan,
    /// The flow's own file, if it is a single prompty.
    pub(crate) prompty: Option<&'a Path>,
    /// Who says which deployment is asked, where that is not the flow.
    pub(crate) deployment_by: Option<String>,
}

impl Reasons<'_> {
    /// Why a request differs.
    pub(crate) fn of_request(
        &self,
        node: Option<&str>,
        found: &Difference,
        recorded: Option<&RecordedCall>,
        ours: &Map,
    ) -> Option<String> {
        let Some(recorded) = recorded else {
            let told = match node {
                Some(node) => format!("no further call of node `{node}` is recorded"),
                None => "no further call is recorded".to_owned(),
            };
            return Some(self.of_change(node).map_or(told.clone(), |change| format!("{told}; {change}")));
        };
        if found.path == "model"
            && let Some(by) = &self.deployment_by
        {
            return Some(by.clone());
        }
        if found.path.starts_with("messages") && opened_by_data(&recorded.request, ours) {
            return Some(
                "text from data opened a message of its own then; here it stays text (docs/compatibility.md)"
                    .to_owned(),
            );
        }
        if let Some(change) = self.of_change(node) {
            return Some(change);
        }
        if found.path == "model" {
            return Some("the run may have been given another deployment by `--connections`".to_owned());
        }
        differ_by_blanks(found.recorded.as_ref(), found.ours.as_ref())
            .then(|| "only blanks and line breaks differ".to_owned())
    }

    /// Why a node or the flow ended otherwise, or gave something else.
    pub(crate) fn of_end(&self, found: &Found, ran_otherwise: bool) -> Option<String> {
        if let Some(change) = self.of_change(found.node.as_deref()) {
            return Some(change);
        }
        if found.node.is_none()
            && let Some(change) = self.changes.of_node("")
        {
            return Some(change);
        }
        if let Some(node) = found.node.as_deref().filter(|node| self.plan.find(node).is_none()) {
            return Some(format!("the flow has no node `{node}` now"));
        }
        if differ_by_blanks(found.recorded.as_ref(), found.ours.as_ref()) {
            return Some("only blanks and line breaks differ".to_owned());
        }
        let is_python = found
            .node
            .as_deref()
            .and_then(|node| self.plan.find(node))
            .is_some_and(|id| matches!(self.plan.node(id).kind, NodeKind::Python(_)));
        if is_python && found.what == What::Output {
            return Some(
                "its Python code gives something else now: look for time, chance, files and services".to_owned(),
            );
        }
        (ran_otherwise && found.what == What::Status).then(|| "what was asked differs, see there".to_owned())
    }

    fn of_change(&self, node: Option<&str>) -> Option<String> {
        if let Some(name) = self.prompty.and_then(Path::file_name) {
            return self.changes.of_file(&name.to_string_lossy());
        }
        match node {
            Some(node) => self.changes.of_node(node.split('/').next().unwrap_or(node)),
            None => self.changes.files().first().map(|file| format!("since that run: `{file}` changed")),
        }
    }
}

/// Whether the original cut a conversation where we do not: at a line of data that looks like a role header.
fn opened_by_data(recorded: &Map, ours: &Map) -> bool {
    let messages = |map: &Map| map.get("messages").and_then(Value::as_list).unwrap_or_default().to_vec();
    let (then, now) = (messages(recorded), messages(ours));
    then.len() > now.len()
        && now.iter().filter_map(|message| message.get("content")?.as_str()).any(|content| {
            content.lines().any(|line| {
                let word = line.trim().trim_start_matches('#').trim();
                word.strip_suffix(':').is_some_and(|word| ROLES.contains(&word.trim().to_ascii_lowercase().as_str()))
            })
        })
}

fn differ_by_blanks(recorded: Option<&Value>, ours: Option<&Value>) -> bool {
    let bare = |text: &str| text.split_whitespace().collect::<String>();
    match (recorded.and_then(Value::as_str), ours.and_then(Value::as_str)) {
        (Some(recorded), Some(ours)) => recorded != ours && bare(recorded) == bare(ours),
        _ => false,
    }
}
