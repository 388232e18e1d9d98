//! What a node does, by its kind, and whether it has what that takes.

use std::sync::Arc;

use indexmap::IndexMap;
use sluicegate_source::{Problem, SourceFile, Span, suggest};
use sluicegate_value::Value;

use super::inner::missing_input;
use super::literal::{embedding_parameter_type, parameter_type};
use super::operand::Scope;
use super::session::Session;
use crate::file::{NodeFile, Written, missing_key, quoted};
use crate::plan::{EmbeddingNode, LlmNode, NodeId, NodeKind, Operand};
use crate::prompty::PromptyFile;
use crate::reference;
use crate::request::{
    Api, EMBEDDING_PARAMETERS, api_parameters, embedding_request, is_api_parameter, is_later_parameter,
};
use crate::template::{Expression, Mode, Template, has_role_header};

/// A node's inputs.
pub(super) type Inputs = IndexMap<Arc<str>, Operand>;

/// Keys that only some kinds of nodes take.
const OF_KINDS: [(&str, &[&str]); 20] = [
    ("source", &["llm", "prompt", "python", "custom_llm", "prompty", "flow", "map", "loop", "csharp"]),
    ("connection", &["llm", "custom_llm", "python", "embedding"]),
    ("api", &["llm", "custom_llm"]),
    ("developer_role", &["llm"]),
    ("on_filtered", &["llm", "prompty"]),
    ("method", &["http"]),
    ("url", &["http"]),
    ("query", &["http"]),
    ("headers", &["http"]),
    ("json", &["http"]),
    ("body", &["http"]),
    ("expect", &["http"]),
    ("redirects", &["http"]),
    ("max_size", &["http"]),
    ("expression", &["expression"]),
    ("over", &["map"]),
    ("as", &["map"]),
    ("concurrency", &["map"]),
    ("until", &["loop"]),
    ("max_iterations", &["loop"]),
];

impl Session<'_> {
    /// What a node does. `None` when a problem was reported.
    pub(super) fn kind(
        &mut self,
        scope: &mut Scope,
        id: NodeId,
        name: &Written,
        written: &NodeFile<'_>,
        inputs: &mut Inputs,
    ) -> Option<NodeKind> {
        let kind = self.kind_word(scope, name, written)?;
        self.keys_of_other_kinds(scope, name, written, kind);
        match kind {
            "llm" => self.llm(scope, name, written, inputs),
            "prompt" => self.prompt(scope, name, written, inputs),
            "python" => self.python(scope, name, written),
            "custom_llm" => self.custom_llm(scope, name, written),
            "prompty" => self.prompty_node(scope, name, written, inputs),
            "expression" => self.expression(scope, name, written, inputs),
            "flow" => {
                let plan = self.plan_of(scope, name, written)?;
                self.check_inner_inputs(scope, name, written, &plan, None);
                Some(NodeKind::Flow(plan))
            }
            "map" => self.map(scope, id, name, written, inputs),
            "loop" => self.repeat(scope, name, written),
            "http" => self.http(scope, name, written, inputs),
            "embedding" => self.embedding(scope, name, written, inputs),
            other => {
                let message = format!("nodes of kind `{other}` do not run yet (node `{}`)", name.text);
                let at = written.kind.as_ref().map_or(name.at, |kind| kind.at);
                self.report(scope.problem("flow::kind_not_supported", at, message));
                None
            }
        }
    }

    /// Keys that mean nothing to a node of this kind.
    fn keys_of_other_kinds(&mut self, scope: &Scope, name: &Written, written: &NodeFile<'_>, kind: &str) {
        for entry in written.keys {
            let Some((_, kinds)) = OF_KINDS.iter().find(|(key, _)| *key == &*entry.key) else { continue };
            let is_nothing = entry.value.as_scalar().is_some_and(Value::is_null);
            if !kinds.contains(&kind) && !is_nothing {
                let message = format!("`{}` has no effect on `{kind}` node `{}`", entry.key, name.text);
                let problem = scope.warning("flow::unused_key", entry.key_span, message);
                self.report(problem.help(format!("it is for nodes of kind {}", quoted(kinds.iter().copied()))));
            }
        }
    }

    fn llm(
        &mut self,
        scope: &mut Scope,
        name: &Written,
        written: &NodeFile<'_>,
        inputs: &mut Inputs,
    ) -> Option<NodeKind> {
        let template = self.template_of(scope, name, written, Mode::Llm);
        let api = match (written.completion, written.responses) {
            (true, _) => Api::Completion,
            (false, true) => Api::Responses,
            (false, false) => Api::Chat,
        };
        let supplied: Vec<Arc<str>> = inputs.keys().cloned().collect();
        // Names that became parameters after the original was written mean what they meant there.
        let stays_variable = |name: &str| {
            let variables = template.iter().flat_map(|template| template.variables());
            is_later_parameter(api, name) && variables.into_iter().any(|(variable, _)| **variable == *name)
        };
        let is_parameter = |name: &str| is_api_parameter(api, name) && !stays_variable(name);
        let kind_of = |name: &str| parameter_type(api, name).filter(|_| is_parameter(name));
        self.coerce_parameters(scope, name, written, kind_of, inputs);
        let template = template.as_ref()?;
        for entry in written.inputs.iter().filter(|entry| stays_variable(&entry.key)) {
            let key = &entry.key;
            let message =
                format!("`{key}` of node `{}` is a variable of its template, and not sent to the API", name.text);
            let problem = scope.warning("flow::shadowed_parameter", entry.key_span, message);
            self.report(problem.help(format!("to send it, write `parameters: {{{key}: …}}` among the node's inputs")));
        }
        let mut sound = true;
        for (variable, at) in template.variables() {
            if is_parameter(variable) {
                let message = format!(
                    "a template variable of `llm` node `{}` is named like API parameter `{variable}`",
                    name.text
                );
                self.report(
                    Problem::error("flow::reserved_variable", message)
                        .in_file(template.file())
                        .at(*at, "")
                        .help("rename it"),
                );
                sound = false;
            } else if !supplied.contains(variable) {
                let others = supplied.iter().filter(|key| !is_parameter(key));
                self.unsupplied(name, template, variable, *at, others);
            }
        }
        let variables = template.variables().iter().map(|(variable, _)| &**variable);
        let known: Vec<&str> = api_parameters(api).map(|parameter| -> &str { parameter }).chain(variables).collect();
        let otherwise = "its template does not read it, and the API has no such parameter";
        self.unused_inputs(scope, name, written, &known, otherwise);
        let could_bring = |(variable, _): &(Arc<str>, Span)| {
            inputs.get(variable).is_some_and(|operand| brings_role_header(scope, operand))
        };
        let is_chat = api != Api::Completion;
        if is_chat && !template.has_role_header() && !template.variables().iter().any(could_bring) {
            let help = "write `system:` or `user:` on a line of its own; for the completion API, give the node \
                `api: completion`";
            self.report(no_role_header(template.file()).help(help));
            sound = false;
        }
        self.load_images(scope, name, written, template, inputs);
        let connection = written.connection.as_ref().map(|connection| (&*connection.text).into());
        let node = LlmNode {
            template: template.clone(),
            completion: written.completion,
            connection,
            responses: written.responses,
            developer_role: written.developer_role,
        };
        sound.then_some(NodeKind::Llm(node))
    }

    fn embedding(
        &mut self,
        scope: &mut Scope,
        name: &Written,
        written: &NodeFile<'_>,
        inputs: &mut Inputs,
    ) -> Option<NodeKind> {
        self.coerce_parameters(scope, name, written, embedding_parameter_type, inputs);
        let otherwise = "what else the API takes stands under `parameters:`";
        self.unused_inputs(scope, name, written, &EMBEDDING_PARAMETERS, otherwise);
        let Some(input) = inputs.get("input") else {
            let owner = format!("`embedding` node `{}`", name.text);
            let help = "give it a text or a list of texts: `input: ${…}` among its inputs";
            self.report(missing_key(&scope.file, name.at, &owner, "input", help));
            return None;
        };
        if let Operand::Literal(value) = input
            && let Err(error) = embedding_request("", &[("input".into(), value.clone())])
        {
            let at =
                written.inputs.iter().find(|entry| &*entry.key == "input").map_or(name.at, |entry| entry.value.span);
            let message = format!("node `{}` has nothing to turn into vectors: {}", name.text, error.message);
            self.report(scope.problem("flow::bad_literal", at, message));
            return None;
        }
        let connection = written.connection.as_ref().map(|connection| (&*connection.text).into());
        Some(NodeKind::Embedding(EmbeddingNode { connection }))
    }

    /// What nothing takes: most often a slip.
    fn unused_inputs(
        &mut self,
        scope: &Scope,
        name: &Written,
        written: &NodeFile<'_>,
        known: &[&str],
        otherwise: &str,
    ) {
        for entry in written.inputs.iter().filter(|entry| !known.contains(&&*entry.key)) {
            let message = format!("input `{}` of node `{}` is used by nothing", entry.key, name.text);
            let problem = scope.warning("flow::unused_input", entry.key_span, message);
            self.report(match suggest::nearest(&entry.key, known.iter().copied()) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(otherwise),
            });
        }
    }

    fn prompt(
        &mut self,
        scope: &mut Scope,
        name: &Written,
        written: &NodeFile<'_>,
        inputs: &mut Inputs,
    ) -> Option<NodeKind> {
        let template = self.template_of(scope, name, written, Mode::Prompt)?;
        for (variable, at) in template.variables() {
            if &**variable == "template" {
                let message = format!("a variable of `prompt` node `{}` cannot be named `template`", name.text);
                self.report(
                    Problem::error("flow::reserved_variable", message)
                        .in_file(template.file())
                        .at(*at, "")
                        .help("rename it"),
                );
            } else if !inputs.contains_key(variable) {
                self.unsupplied(name, &template, variable, *at, inputs.keys());
            }
        }
        self.load_images(scope, name, written, &template, inputs);
        Some(NodeKind::Prompt(template))
    }

    fn unsupplied<'k>(
        &mut self,
        name: &Written,
        template: &Template,
        variable: &str,
        at: Span,
        supplied: impl Iterator<Item = &'k Arc<str>>,
    ) {
        let message = format!("node `{}` gives no `{variable}`: it prints as nothing", name.text);
        let problem = Problem::warning("flow::unsupplied_variable", message).in_file(template.file()).at(at, "");
        let supplied: Vec<&str> = supplied.map(|key| &**key).collect();
        self.report(match suggest::nearest(variable, supplied.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None if supplied.is_empty() => problem.help("the node has no inputs for its template"),
            None => problem.help(format!("it gives: {}", quoted(supplied))),
        });
    }

    fn prompty_node(
        &mut self,
        scope: &mut Scope,
        name: &Written,
        written: &NodeFile<'_>,
        inputs: &Inputs,
    ) -> Option<NodeKind> {
        let file = self.source_file(scope, name, written, "code")?;
        if !file.name().ends_with(".prompty") {
            let at = written.source.as_ref().map_or(name.at, |source| source.at);
            let message = format!("node `{}` wants a `.prompty` file, not `{}`", name.text, file.name());
            self.report(scope.problem("flow::wrong_source", at, message));
            return None;
        }
        let prompty = self.prompty(&file)?;
        self.note_prompty(&mut scope.folder, &file);
        let needs = super::prompty::needs(&prompty, Some(&name.text));
        scope.needs.extend(needs);
        self.check_prompty_inputs(scope, name, written, inputs, &prompty);
        Some(NodeKind::Prompty(prompty))
    }

    fn check_prompty_inputs(
        &mut self,
        scope: &Scope,
        name: &Written,
        written: &NodeFile<'_>,
        inputs: &Inputs,
        prompty: &PromptyFile,
    ) {
        for input in prompty.inputs.iter().filter(|input| input.required && !inputs.contains_key(&input.name)) {
            let has_sample = inputs.is_empty() && prompty.sample.is_some();
            if !has_sample {
                self.report(missing_input(scope, name, &input.name, prompty.file.name()));
            }
        }
        for entry in written.inputs {
            let takes = |known: &str| *known == *entry.key;
            let known = prompty.inputs.iter().map(|input| &*input.name);
            let variables = prompty.template.variables().iter().map(|(variable, _)| &**variable);
            if !known.clone().chain(variables.clone()).any(takes) {
                let message = format!("prompty `{}` has no input `{}`; it is ignored", prompty.file.name(), entry.key);
                let problem = scope.warning("flow::unknown_inner_input", entry.key_span, message);
                self.report(match suggest::nearest(&entry.key, known.chain(variables)) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem,
                });
            }
        }
    }

    fn expression(
        &mut self,
        scope: &mut Scope,
        name: &Written,
        written: &NodeFile<'_>,
        inputs: &Inputs,
    ) -> Option<NodeKind> {
        let Some(text) = &written.expression else {
            let owner = format!("`expression` node `{}`", name.text);
            let help = "write what it computes: `expression: \"items | length\"`";
            self.report(missing_key(&scope.file, name.at, &owner, "expression", help));
            return None;
        };
        let expression = self.parse_expression(&scope.file, text)?;
        let mut sound = true;
        for (variable, at) in expression.variables().iter().filter(|(variable, _)| !inputs.contains_key(variable)) {
            let message =
                format!("the expression of node `{}` reads `{variable}`, which the node does not take", name.text);
            let problem = scope.problem("flow::unsupplied_variable", *at, message);
            self.report(match suggest::nearest(variable, inputs.keys().map(|key| &**key)) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(format!("add it to the node's inputs: `{variable}: ${{…}}`")),
            });
            sound = false;
        }
        sound.then(|| NodeKind::Expression(expression))
    }

    pub(super) fn parse_expression(&mut self, file: &Arc<SourceFile>, text: &Written) -> Option<Arc<Expression>> {
        match Expression::parse(file, text.at, &text.text) {
            Ok(expression) => Some(Arc::new(expression)),
            Err(problem) => {
                self.report(problem);
                None
            }
        }
    }
}

/// What a chat's template without a role header is.
pub(super) fn no_role_header(file: &Arc<SourceFile>) -> Problem {
    Problem::error("flow::no_role_header", "the template has no `system:` / `user:` line")
        .in_file(file)
        .at(Span::default(), "")
}

/// Whether what a variable holds may open a message: text of `prompt` and `python` nodes, and the author's own.
fn brings_role_header(scope: &Scope, operand: &Operand) -> bool {
    match operand {
        Operand::Literal(value) => {
            value.as_str().is_some_and(|text| reference::variable(text).is_some()) || holds_role_header(value)
        }
        Operand::Input(_) => false,
        Operand::Output { node, .. } => scope.authors.get(node.index()) == Some(&true),
    }
}

fn holds_role_header(value: &Value) -> bool {
    match value {
        Value::Str(text) => has_role_header(text),
        Value::List(items) => items.iter().any(holds_role_header),
        Value::Map(map) => map.values().any(holds_role_header),
        _ => false,
    }
}
