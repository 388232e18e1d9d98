//! The parts of a flow around its nodes: inputs, outputs, variants, chat markers, environment variables.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use sluicegate_source::suggest;
use sluicegate_source::yaml::Entry;
use sluicegate_value::Value;

use super::VariantChoice;
use super::nodes::bad_name;
use super::operand::Scope;
use super::session::Session;
use crate::coerce::{CoerceError, coerce, shortened};
use crate::file::{FlowFile, InputFile, NodeFile, OutputFile, missing_key, quoted};
use crate::image::Images;
use crate::plan::{ChatMarkers, InputSpec, InputType, MessageFormat, Need, NeedKind, Operand, OutputSpec};
use crate::reference;

impl Session<'_> {
    /// The inputs of a flow, their defaults made into their types.
    pub(super) fn inputs(&mut self, scope: &mut Scope, written: &[InputFile<'_>], format: MessageFormat) {
        for input in written {
            let name = &input.name;
            self.report_all(bad_name(scope, "an input", &name.text, name.at));
            let kind = input.kind.as_ref().and_then(|kind| input_type(&kind.text));
            if !input.has_type {
                let owner = format!("input `{}`", name.text);
                self.report(missing_key(
                    &scope.file,
                    name.at,
                    &owner,
                    "type",
                    "say what it is: `string`, `int`, `double`, `bool`, `list`, `object` or `image`",
                ));
            }
            let kind = kind.unwrap_or(InputType::Untouched);
            let default = input.default.and_then(|default| {
                let value = default.to_value();
                match coerce(kind, &value, &Images::later(format)) {
                    Ok(value) => Some(value),
                    Err(error) => {
                        let problem = scope.problem(
                            "flow::bad_default",
                            default.span,
                            format!(
                                "the default of input `{}` is no `{}`: {}",
                                name.text,
                                kind.word(),
                                shortened(&value)
                            ),
                        );
                        self.report(match error {
                            CoerceError::Json(reason) => problem.help(format!("it is not JSON: {reason}")),
                            CoerceError::Image(reason) => problem.help(reason.to_string()),
                            CoerceError::Type => problem,
                        });
                        None
                    }
                }
            });
            let secret = input.kind.as_ref().is_some_and(|kind| &*kind.text == "secret");
            let description = input.description.clone();
            let spec = InputSpec { kind, default, secret, description, at: scope.place(name.at) };
            scope.inputs.insert(name.text.clone(), spec);
        }
    }

    /// The outputs of a flow. Those of aggregation nodes are left out, as prompt flow does.
    pub(super) fn outputs(&mut self, scope: &mut Scope, written: &FlowFile<'_>) -> IndexMap<Arc<str>, OutputSpec> {
        let mut outputs = IndexMap::new();
        for output in &written.outputs {
            let name = &output.name;
            self.report_all(bad_name(scope, "an output", &name.text, name.at));
            let Some(reference) = output.reference else {
                let owner = format!("output `{}`", name.text);
                let mut problem =
                    missing_key(&scope.file, name.at, &owner, "reference", "name what it gives: `${node.output}`");
                problem.code = "flow::empty_output_reference";
                self.report(problem);
                continue;
            };
            let Some(from) = self.output_operand(scope, &name.text, reference) else { continue };
            if from.node().is_some_and(|node| scope.aggregation.get(node.index()) == Some(&true)) {
                let message = format!(
                    "output `{}` is left out: an aggregation node runs after the lines that outputs belong to",
                    name.text
                );
                self.report(scope.warning("flow::aggregation_output", reference.span, message));
                continue;
            }
            let spec = OutputSpec { from, evaluation_only: output.evaluation_only, at: scope.place(name.at) };
            outputs.insert(name.text.clone(), spec);
        }
        outputs
    }

    /// The nodes of a flow, each replaced by its variant where variants are used (spec: promptflow.md §1.12).
    pub(super) fn nodes_with_variants<'y>(
        &mut self,
        scope: &Scope,
        written: &FlowFile<'y>,
        choice: Option<&VariantChoice>,
    ) -> Vec<NodeFile<'y>> {
        let by_node: HashMap<&str, _> =
            written.variants.iter().map(|variants| (&*variants.node.text, variants)).collect();
        let mut chosen = choice;
        let mut nodes = Vec::with_capacity(written.nodes.len());
        for node in &written.nodes {
            let Some(name) = node.name.clone() else {
                nodes.push(node.clone());
                continue;
            };
            let wanted = choice.filter(|choice| choice.node == name.text);
            if wanted.is_some() {
                chosen = None;
            }
            if !node.use_variants && wanted.is_none() {
                nodes.push(node.clone());
                continue;
            }
            let Some(variants) = by_node.get(&*name.text) else {
                let message = match wanted {
                    Some(choice) => format!("node `{}` has no variants, so none is `{}`", name.text, choice.variant),
                    None => format!("node `{}` uses variants, but `node_variants` has none for it", name.text),
                };
                self.report(scope.problem("flow::unknown_variant", name.at, message));
                nodes.push(node.unusable());
                continue;
            };
            let (id, at) = match (wanted, &variants.default) {
                (Some(choice), _) => (choice.variant.clone(), variants.node.at),
                (None, Some(default)) => (default.text.clone(), default.at),
                (None, None) => {
                    let owner = format!("`node_variants` of node `{}`", name.text);
                    let help = "name the variant that is used when none is chosen";
                    self.report(missing_key(&scope.file, variants.node.at, &owner, "default_variant_id", help));
                    nodes.push(node.unusable());
                    continue;
                }
            };
            match variants.variants.iter().find(|(known, _)| known.text == id) {
                Some((_, Some(tree))) => nodes.push(NodeFile { name: Some(name), ..NodeFile::read(tree) }),
                Some((known, None)) => {
                    let owner = format!("variant `{id}` of node `{}`", name.text);
                    self.report(missing_key(&scope.file, known.at, &owner, "node", "put the whole node there"));
                    nodes.push(node.unusable());
                }
                None => {
                    let known = || variants.variants.iter().map(|(id, _)| &*id.text);
                    let problem = scope.problem(
                        "flow::unknown_variant",
                        at,
                        format!("node `{}` has no variant `{id}`", name.text),
                    );
                    self.report(match suggest::nearest(&id, known()) {
                        Some(near) => problem.help(format!("did you mean `{near}`?")),
                        None => problem.help(format!("variants: {}", quoted(known()))),
                    });
                    nodes.push(node.unusable());
                }
            }
        }
        if let Some(choice) = chosen {
            let message = format!("there is no node `{}` to choose a variant of", choice.node);
            let names = || written.variants.iter().map(|variants| &*variants.node.text);
            let problem = sluicegate_source::Problem::error("flow::unknown_variant", message).in_file(&scope.file);
            self.report(match suggest::nearest(&choice.node, names()) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(format!("nodes with variants: {}", quoted(names()))),
            });
        }
        nodes
    }

    /// What makes a flow a chat (spec: promptflow.md §1.15).
    pub(super) fn chat(
        &mut self,
        scope: &Scope,
        inputs: &[InputFile<'_>],
        outputs: &[OutputFile<'_>],
        is_output: impl Fn(&str) -> bool,
    ) -> Option<ChatMarkers> {
        let flagged = inputs.iter().find(|input| input.is_chat_history);
        let history = flagged.or_else(|| inputs.iter().find(|input| &*input.name.text == "chat_history"))?;
        let inputs: Vec<_> = inputs.iter().filter(|input| input.is_chat_input).collect();
        let answers: Vec<_> = outputs.iter().filter(|output| output.is_chat_output).collect();
        if let ([input], [answer]) = (&inputs[..], &answers[..]) {
            return is_output(&answer.name.text).then(|| ChatMarkers {
                input: input.name.text.clone(),
                history: history.name.text.clone(),
                output: answer.name.text.clone(),
            });
        }
        if flagged.is_some() || !inputs.is_empty() || !answers.is_empty() {
            let message = format!(
                "this is no chat: it has a history, but {} inputs with `is_chat_input` and {} outputs with `is_chat_output`",
                inputs.len(),
                answers.len()
            );
            let problem = scope.warning("flow::chat_markers", history.name.at, message);
            self.report(problem.help("a chat has exactly one of each"));
        }
        None
    }

    /// The variables that the flow sets for its tools, with what they need of the outside (spec: §1.13): nothing where
    /// no tool could read them.
    pub(super) fn environment_variables(
        &mut self,
        scope: &mut Scope,
        written: &[Entry],
        has_readers: bool,
    ) -> IndexMap<Arc<str>, Value> {
        let mut variables = IndexMap::new();
        for entry in written {
            let text = entry.value.as_str().filter(|_| has_readers);
            if let Some(variable) = text.and_then(reference::variable) {
                scope.needs_variable(variable, None, entry.value.span);
            } else if let Some((connection, _)) = text.and_then(reference::of_connection) {
                let what = NeedKind::Connection(connection.into());
                scope.needs.push(Need { what, node: None, at: scope.place(entry.value.span) });
            }
            variables.insert(entry.key.clone(), entry.value.to_value());
        }
        variables
    }
}

/// The type of an input, by its word.
pub(super) fn input_type(word: &str) -> Option<InputType> {
    Some(match word {
        "int" => InputType::Int,
        "double" => InputType::Double,
        "bool" => InputType::Bool,
        "string" => InputType::String,
        "list" => InputType::List,
        "object" => InputType::Object,
        "image" => InputType::Image,
        "secret" | "file_path" | "prompt_template" | "assistant_definition" => InputType::Untouched,
        _ => return None,
    })
}

/// The literal that an operand is.
pub(super) fn literal(operand: &Operand) -> Option<&Value> {
    match operand {
        Operand::Literal(value) => Some(value),
        _ => None,
    }
}
