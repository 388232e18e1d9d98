//! Nodes that run another flow: `flow`, `map` and `loop`.

use std::collections::HashSet;
use std::sync::Arc;

use sluicegate_source::{Problem, Span, suggest};
use sluicegate_value::Value;

use super::kinds::Inputs;
use super::operand::{Reader, Scope};
use super::session::{Asked, Session};
use crate::file::{NodeFile, Written, missing_key, quoted};
use crate::plan::{LoopNode, MapNode, NodeId, NodeKind, Operand, Plan};

impl Session<'_> {
    pub(super) fn map(
        &mut self,
        scope: &mut Scope,
        id: NodeId,
        name: &Written,
        written: &NodeFile<'_>,
        inputs: &Inputs,
    ) -> Option<NodeKind> {
        let owner = format!("`map` node `{}`", name.text);
        let over = match written.over {
            Some(over) => {
                let reader = Reader { node: id, name: &name.text, what: "`over`" };
                let operand = self.operand(scope, &reader, over);
                if let Some(Operand::Literal(value)) = &operand
                    && !matches!(value, Value::List(_))
                {
                    let message = format!("`over` of node `{}` must be a reference or a list", name.text);
                    self.report(scope.problem("flow::wrong_type", over.span, message));
                }
                operand
            }
            None => {
                self.report(missing_key(&scope.file, name.at, &owner, "over", "name the list: `over: ${node.output}`"));
                None
            }
        };
        let plan = self.plan_of(scope, name, written);
        let Some(item) = &written.item else {
            let help = match &plan {
                Some(plan) => format!(
                    "name the flow's input that gets the item: {}",
                    quoted(plan.inputs.keys().map(|key| &**key))
                ),
                None => "name the flow's input that gets the item".to_owned(),
            };
            self.report(missing_key(&scope.file, name.at, &owner, "as", &help));
            return None;
        };
        let plan = plan?;
        if !plan.inputs.contains_key(&item.text) && !plan.flex.as_ref().is_some_and(|flex| flex.open) {
            self.report(unknown_inner_input(scope, item.at, &item.text, &plan));
        }
        if inputs.contains_key(&item.text) {
            let message = format!("input `{}` of node `{}` is given twice: it gets the item", item.text, name.text);
            self.report(scope.problem("flow::duplicate_input", item.at, message).help("remove it from `inputs`"));
        }
        self.check_inner_inputs(scope, name, written, &plan, Some(&item.text));
        Some(NodeKind::Map(MapNode { plan, over: over?, item: item.text.clone(), concurrency: written.concurrency }))
    }

    pub(super) fn repeat(&mut self, scope: &mut Scope, name: &Written, written: &NodeFile<'_>) -> Option<NodeKind> {
        let owner = format!("`loop` node `{}`", name.text);
        if !written.has_max_iterations {
            let help = "say how many rounds it may take at most";
            self.report(missing_key(&scope.file, name.at, &owner, "max_iterations", help));
        }
        let plan = self.plan_of(scope, name, written);
        let Some(text) = &written.until else {
            let help = "say when it stops: an expression over the outputs of the flow";
            self.report(missing_key(&scope.file, name.at, &owner, "until", help));
            return None;
        };
        let until = self.parse_expression(&scope.file, text);
        let plan = plan?;
        self.check_inner_inputs(scope, name, written, &plan, None);
        let until = until?;
        for (variable, at) in until.variables() {
            let known = || plan.outputs.keys().map(|key| &**key).chain(["inputs", "iteration"]);
            if !known().any(|name| name == &**variable) {
                let message =
                    format!("`until` of node `{}` reads `{variable}`, which the flow does not give", name.text);
                let problem = scope.problem("flow::unsupplied_variable", *at, message);
                self.report(match suggest::nearest(variable, known()) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem.help(format!("it can read: {}", quoted(known()))),
                });
            }
        }
        Some(NodeKind::Loop(LoopNode { plan, until, max_iterations: written.max_iterations? }))
    }

    /// The flow behind a `flow`, `map` or `loop` node.
    pub(super) fn plan_of(&mut self, scope: &mut Scope, name: &Written, written: &NodeFile<'_>) -> Option<Arc<Plan>> {
        self.source_type(scope, name, written)?;
        let (path, at) = self.source_path(scope, name, written)?;
        let file = scope.file.clone();
        let plan = self.inner_flow(&path, Asked { file: &file, at })?;
        scope.folder.note(&format!("{path} (flow)"), &plan.hash);
        Some(plan)
    }

    /// What an inner flow needs and gets: nothing may be missing, nothing may be more.
    pub(super) fn check_inner_inputs(
        &mut self,
        scope: &Scope,
        name: &Written,
        written: &NodeFile<'_>,
        plan: &Plan,
        item: Option<&str>,
    ) {
        let given: HashSet<&str> = written.inputs.iter().map(|entry| &*entry.key).chain(item).collect();
        for input in plan.inputs.keys().filter(|input| !given.contains(&***input)) {
            let in_python = plan.flex.as_ref().is_some_and(|flex| !flex.signed);
            if plan.default_of(input).is_none() && !in_python {
                self.report(missing_input(scope, name, input, &plan.folder));
            }
        }
        let open = plan.flex.as_ref().is_some_and(|flex| flex.open);
        for entry in written.inputs.iter().filter(|entry| !open && !plan.inputs.contains_key(&entry.key)) {
            self.report(unknown_inner_input(scope, entry.key_span, &entry.key, plan));
        }
    }
}

pub(super) fn missing_input(scope: &Scope, name: &Written, input: &str, of: &str) -> Problem {
    let message = format!("node `{}` does not give input `{input}`, which `{of}` needs", name.text);
    scope.problem("flow::missing_input", name.at, message).help(format!("add `{input}: ${{…}}` to its inputs"))
}

fn unknown_inner_input(scope: &Scope, at: Span, input: &str, plan: &Plan) -> Problem {
    let message = format!("flow `{}` has no input `{input}`", plan.name);
    let problem = scope.problem("flow::unknown_inner_input", at, message);
    let known = || plan.inputs.keys().map(|key| &**key);
    match suggest::nearest(input, known()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None if plan.inputs.is_empty() => problem.help("it has none"),
        None => problem.help(format!("inputs: {}", quoted(known()))),
    }
}
