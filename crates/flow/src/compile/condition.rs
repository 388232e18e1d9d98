//! When a node runs: `activate` (spec: promptflow.md §1.10), and its form with an expression, which is ours.

use std::sync::Arc;

use indexmap::IndexMap;
use sluicegate_source::yaml::Node as Tree;
use sluicegate_value::Value;

use super::operand::{Reader, Scope};
use super::session::Session;
use crate::plan::{Activate, NodeId, Operand};
use crate::template::Expression;

impl Session<'_> {
    pub(super) fn activate(
        &mut self,
        scope: &mut Scope,
        node: NodeId,
        name: &Arc<str>,
        written: &Tree,
    ) -> Option<Activate> {
        let (when, is, condition) = (written.entry("when"), written.entry("is"), written.entry("if"));
        match (when, is, condition) {
            (Some(when), Some(is), None) => {
                let reader = Reader { node, name, what: "`when`" };
                let operand = self.operand(scope, &reader, &when.value)?;
                if let Some(target) = operand.node() {
                    self.check_condition_of_aggregation(scope, &reader, target, when.value.span);
                }
                self.warn_of_embedded(scope, &format!("`is` of node `{name}`"), &is.value);
                Some(Activate::Equals { when: operand, is: is.value.to_value() })
            }
            (None, None, Some(condition)) if !condition.value.as_scalar().is_some_and(Value::is_null) => {
                let text = condition.value.as_str()?;
                let expression = match Expression::parse(&scope.file, condition.value.written(), text) {
                    Ok(expression) => Arc::new(expression),
                    Err(problem) => {
                        self.report(problem);
                        return None;
                    }
                };
                let operands = self.condition_operands(scope, node, name, &expression)?;
                Some(Activate::If { expression, operands })
            }
            _ => {
                let problem = scope.problem(
                    "flow::bad_activate",
                    written.span,
                    format!("the condition of node `{name}` is not complete"),
                );
                self.report(problem.help("write both `when:` and `is:`, or `if:` alone"));
                None
            }
        }
    }

    /// What a condition's expression reads: `inputs.x`, `node.output`.
    fn condition_operands(
        &mut self,
        scope: &mut Scope,
        node: NodeId,
        name: &Arc<str>,
        expression: &Expression,
    ) -> Option<IndexMap<Arc<str>, Operand>> {
        let mut operands = IndexMap::new();
        let mut sound = true;
        for (variable, at) in expression.variables() {
            let members = members(expression.source(), variable);
            if &**variable == "inputs" {
                for wrong in members.iter().filter(|member| !is_method(member) && !scope.inputs.contains_key(**member))
                {
                    let message = format!("node `{name}` reads flow input `{wrong}`, which does not exist");
                    self.report(scope.unknown_input("flow::unknown_input", *at, message, wrong));
                    sound = false;
                }
                let all =
                    scope.inputs.keys().map(|input| (format!("inputs.{input}").into(), Operand::Input(input.clone())));
                operands.extend(all);
            } else if let Some(&target) = scope.names.get(variable) {
                for wrong in members.iter().filter(|member| **member != "output") {
                    let message =
                        format!("node `{name}` reads section `{wrong}` of node `{variable}`; a node has only `output`");
                    let problem = scope.problem("flow::unsupported_reference", *at, message);
                    self.report(problem.help(format!("write `{variable}.output`")));
                    sound = false;
                }
                let reader = Reader { node, name, what: "`if`" };
                scope.waits_for(target, node, *at);
                self.check_aggregation(scope, &reader, target, variable, *at);
                self.check_condition_of_aggregation(scope, &reader, target, *at);
                let operand = Operand::Output { node: target, property: Arc::default(), written: "".into() };
                operands.insert(format!("{variable}.output").into(), operand);
            } else {
                let message =
                    format!("the condition of node `{name}` reads `{variable}`, which is neither `inputs` nor a node");
                let problem = scope.unknown_node("flow::unknown_node", *at, message, variable);
                self.report(if scope.inputs.contains_key(variable) {
                    problem.help(format!("write `inputs.{variable}`"))
                } else {
                    problem
                });
                sound = false;
            }
        }
        sound.then_some(operands)
    }

    /// Whether an aggregation node runs is decided once, so it cannot hang on single lines.
    fn check_condition_of_aggregation(
        &mut self,
        scope: &Scope,
        reader: &Reader<'_>,
        target: NodeId,
        at: sluicegate_source::Span,
    ) {
        let aggregates = |id: NodeId| scope.aggregation.get(id.index()).copied().unwrap_or_default();
        if aggregates(reader.node) && !aggregates(target) {
            let message =
                format!("the condition of aggregation node `{}` reads a node that runs for each line", reader.name);
            let problem = scope.problem("flow::invalid_node_reference", at, message);
            self.report(problem.help("it can read flow inputs and other aggregation nodes"));
        }
    }
}

fn is_method(name: &str) -> bool {
    ["get", "items", "keys", "values"].contains(&name)
}

/// The words after `name.` in an expression, quoted texts left out. `name` itself must be a whole word there.
fn members<'a>(expression: &'a str, name: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut quote = None;
    let mut before = ' ';
    for (at, letter) in expression.char_indices() {
        let word = |letter: char| letter.is_alphanumeric() || letter == '_';
        match quote {
            Some(open) if letter == open && before != '\\' => quote = None,
            Some(_) => {}
            None if letter == '"' || letter == '\'' => quote = Some(letter),
            None => {
                let whole = !word(before) && before != '.';
                if whole
                    && let Some(rest) = expression[at..].strip_prefix(name)
                    && let Some(rest) = rest.trim_start().strip_prefix('.')
                {
                    let rest = rest.trim_start();
                    let end = rest.find(|letter| !word(letter)).unwrap_or(rest.len());
                    found.push(&rest[..end]);
                }
            }
        }
        before = letter;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::members;

    #[test]
    fn members_are_words_after_a_dot() {
        assert_eq!(members("inputs.a > 1 and inputs . b_2|length", "inputs"), ["a", "b_2"]);
        assert_eq!(members("'inputs.a' == x.inputs.b and myinputs.c", "inputs"), [""; 0]);
        assert_eq!(members("fetch.output.items", "fetch"), ["output"]);
    }
}
