//! What a node does, by its kind, and whether it has what that takes.

use std::collections::HashSet;
use std::sync::Arc;

use indexmap::IndexMap;
use sluicegate_source::{Problem, SourceFile, Span, suggest};
use sluicegate_value::Value;

use super::operand::{Reader, Scope};
use super::sections::literal;
use super::session::{Asked, Session};
use crate::coerce::{coerce, shortened};
use crate::file::{NodeFile, Written, missing_key, quoted};
use crate::files::FileError;
use crate::image::Images;
use crate::plan::{InputType, LlmNode, LoopNode, MapNode, MessageFormat, NodeId, NodeKind, Operand, Plan, PythonNode};
use crate::prompty::PromptyFile;
use crate::request::{Api, is_api_parameter};
use crate::template::{Expression, Mode, Template};

type Inputs = IndexMap<Arc<str>, Operand>;

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
        match self.kind_word(scope, name, written)? {
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
            other => {
                let message = format!("nodes of kind `{other}` do not run yet (node `{}`)", name.text);
                let at = written.kind.as_ref().map_or(name.at, |kind| kind.at);
                self.report(scope.problem("flow::kind_not_supported", at, message));
                None
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
        let api = if written.completion { Api::Completion } else { Api::Chat };
        let supplied: Vec<Arc<str>> = inputs.keys().cloned().collect();
        self.coerce_parameters(scope, name, written, api, inputs);
        let template = template?;
        let mut sound = true;
        for (variable, at) in template.variables() {
            if is_api_parameter(api, variable) {
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
                let parameter = |key: &&Arc<str>| !is_api_parameter(api, key);
                self.unsupplied(name, &template, variable, *at, supplied.iter().filter(parameter));
            }
        }
        self.load_images(scope, name, written, &template, inputs);
        let connection = written.connection.as_ref().map(|connection| (&*connection.text).into());
        sound.then(|| NodeKind::Llm(LlmNode { template, completion: written.completion, connection }))
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

    /// Literals of API parameters get the type that the tool's signature has; `null` and `""` are as good as absent
    /// (spec: promptflow.md §1.8).
    fn coerce_parameters(
        &mut self,
        scope: &Scope,
        name: &Written,
        written: &NodeFile<'_>,
        api: Api,
        inputs: &mut Inputs,
    ) {
        inputs.retain(|_, operand| match literal(operand) {
            Some(Value::Null) => false,
            Some(Value::Str(text)) => !text.is_empty(),
            _ => true,
        });
        for entry in written.inputs {
            let Some(kind) = parameter_type(api, &entry.key) else { continue };
            let Some(Operand::Literal(value)) = inputs.get_mut(&entry.key) else { continue };
            if value.as_str().is_some_and(|text| crate::reference::variable(text).is_some()) {
                continue;
            }
            match coerce(kind, value, &Images::without_files(MessageFormat::Basic)) {
                Ok(coerced) => *value = coerced,
                Err(_) => {
                    let message = format!(
                        "parameter `{}` of node `{}` is no `{}`: {}",
                        entry.key,
                        name.text,
                        kind.word(),
                        shortened(value)
                    );
                    self.report(scope.problem("flow::bad_literal", entry.value.span, message));
                }
            }
        }
    }

    /// Literals of variables in image markdown are images: they are loaded now (spec: promptflow.md §2.5).
    fn load_images(
        &mut self,
        scope: &mut Scope,
        name: &Written,
        written: &NodeFile<'_>,
        template: &Template,
        inputs: &mut Inputs,
    ) {
        for (variable, _) in template.image_variables() {
            let Some(Operand::Literal(value)) = inputs.get_mut(variable) else { continue };
            if value.as_str().is_some_and(|text| crate::reference::variable(text).is_some()) {
                continue;
            }
            let (files, folder) = (self.files, &scope.folder);
            let read = |path: &str| {
                let located = folder.locate(path).ok_or_else(|| FileError::Outside(path.to_owned()))?;
                files.read(&located)
            };
            match Images::new(MessageFormat::Basic, &read).image(value) {
                Ok(image) => {
                    if let Value::Blob(blob) = &image {
                        scope.folder.note(&format!("{}.inputs.{variable} (image)", name.text), &blob.hash);
                    }
                    *value = image;
                }
                Err(error) => {
                    let entry = written.inputs.iter().find(|entry| entry.key == *variable);
                    let at = entry.map_or(name.at, |entry| entry.value.span);
                    let message = format!("input `{variable}` of node `{}` should be an image: {error}", name.text);
                    self.report(scope.problem("flow::bad_image", at, message));
                }
            }
        }
    }

    fn python(&mut self, scope: &mut Scope, name: &Written, written: &NodeFile<'_>) -> Option<NodeKind> {
        if self.source_type(scope, name, written)? == "package" {
            let tool = self.package_tool(scope, name, written)?;
            return Some(NodeKind::Python(PythonNode {
                file: None,
                tool: Some(tool),
                template: None,
                connection: None,
            }));
        }
        let file = self.source_file(scope, name, written, "code")?;
        Some(NodeKind::Python(PythonNode { file: Some(file), tool: None, template: None, connection: None }))
    }

    fn custom_llm(&mut self, scope: &mut Scope, name: &Written, written: &NodeFile<'_>) -> Option<NodeKind> {
        self.source_type(scope, name, written)?;
        let file = self.source_file(scope, name, written, "package_with_prompt");
        let tool = self.package_tool(scope, name, written);
        let template = self.template(&file?, Mode::PromptyV1);
        let connection = written.connection.as_ref().map(|connection| (&*connection.text).into());
        Some(NodeKind::Python(PythonNode { file: None, tool: Some(tool?), template: Some(template?), connection }))
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

    fn map(
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
        if !plan.inputs.contains_key(&item.text) {
            self.report(unknown_inner_input(scope, item.at, &item.text, &plan));
        }
        if inputs.contains_key(&item.text) {
            let message = format!("input `{}` of node `{}` is given twice: it gets the item", item.text, name.text);
            self.report(scope.problem("flow::duplicate_input", item.at, message).help("remove it from `inputs`"));
        }
        self.check_inner_inputs(scope, name, written, &plan, Some(&item.text));
        Some(NodeKind::Map(MapNode { plan, over: over?, item: item.text.clone(), concurrency: written.concurrency }))
    }

    fn repeat(&mut self, scope: &mut Scope, name: &Written, written: &NodeFile<'_>) -> Option<NodeKind> {
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

    fn parse_expression(&mut self, file: &Arc<SourceFile>, text: &Written) -> Option<Arc<Expression>> {
        match Expression::parse(file, text.at, &text.text) {
            Ok(expression) => Some(Arc::new(expression)),
            Err(problem) => {
                self.report(problem);
                None
            }
        }
    }

    /// The flow behind a `flow`, `map` or `loop` node.
    fn plan_of(&mut self, scope: &mut Scope, name: &Written, written: &NodeFile<'_>) -> Option<Arc<Plan>> {
        self.source_type(scope, name, written)?;
        let (path, at) = self.source_path(scope, name, written)?;
        let file = scope.file.clone();
        let plan = self.inner_flow(&path, Asked { file: &file, at })?;
        scope.folder.note(&format!("{path} (flow)"), &plan.hash);
        Some(plan)
    }

    /// What an inner flow needs and gets: nothing may be missing, nothing may be more.
    fn check_inner_inputs(
        &mut self,
        scope: &Scope,
        name: &Written,
        written: &NodeFile<'_>,
        plan: &Plan,
        item: Option<&str>,
    ) {
        let given: HashSet<&str> = written.inputs.iter().map(|entry| &*entry.key).chain(item).collect();
        for input in plan.inputs.keys().filter(|input| !given.contains(&***input)) {
            if plan.default_of(input).is_none() {
                self.report(missing_input(scope, name, input, &plan.folder));
            }
        }
        for entry in written.inputs.iter().filter(|entry| !plan.inputs.contains_key(&entry.key)) {
            self.report(unknown_inner_input(scope, entry.key_span, &entry.key, plan));
        }
    }

    fn template_of(
        &mut self,
        scope: &mut Scope,
        name: &Written,
        written: &NodeFile<'_>,
        mode: Mode,
    ) -> Option<Arc<Template>> {
        let source = self.source_file(scope, name, written, "code")?;
        self.template(&source, mode)
    }

    /// The file behind a node, if the source has the type that its kind wants.
    fn source_file(
        &mut self,
        scope: &mut Scope,
        name: &Written,
        written: &NodeFile<'_>,
        wanted: &str,
    ) -> Option<Arc<SourceFile>> {
        if self.source_type(scope, name, written)? != wanted {
            return None;
        }
        let (path, at) = self.source_path(scope, name, written)?;
        let file = scope.file.clone();
        let source = self.required_source(&path, Asked { file: &file, at })?;
        scope.folder.note(&path, source.text());
        Some(source)
    }

    /// The type of a node's source, if it goes with the node's kind.
    fn source_type(&mut self, scope: &Scope, name: &Written, written: &NodeFile<'_>) -> Option<&'static str> {
        let kind = written.kind.as_ref().map_or("", |kind| &*kind.text);
        let valid: &[&str] = match kind {
            "python" => &["code", "package"],
            "custom_llm" => &["package_with_prompt"],
            _ => &["code"],
        };
        let Some(source) = &written.source else {
            let owner = format!("`{kind}` node `{}`", name.text);
            let problem =
                missing_key(&scope.file, name.at, &owner, "source", "name its file: `source: {type: code, path: …}`");
            self.report(Problem { code: "flow::missing_source", ..problem });
            return None;
        };
        let given = source.kind.as_ref().map_or("code", |kind| &*kind.text);
        if let Some(found) = valid.iter().find(|valid| **valid == given) {
            return Some(match *found {
                "package" => "package",
                "package_with_prompt" => "package_with_prompt",
                _ => "code",
            });
        }
        if ["code", "package", "package_with_prompt"].contains(&given) {
            let at = source.kind.as_ref().map_or(source.at, |kind| kind.at);
            let message = format!("a `{kind}` node cannot have a source of type `{given}` (node `{}`)", name.text);
            let problem = scope.problem("flow::wrong_source", at, message);
            self.report(problem.help(format!("it takes: {}", quoted(valid.iter().copied()))));
        }
        None
    }

    /// Where a node's file is, and where the flow says so.
    fn source_path(&mut self, scope: &Scope, name: &Written, written: &NodeFile<'_>) -> Option<(String, Span)> {
        let source = written.source.as_ref()?;
        let Some(path) = source.path.as_ref().filter(|path| !path.text.is_empty()) else {
            let owner = format!("the source of node `{}`", name.text);
            self.report(missing_key(&scope.file, source.at, &owner, "path", "name the file, from the flow's folder"));
            return None;
        };
        match scope.folder.locate(&path.text) {
            Some(located) => Some((located, path.at)),
            None => {
                let problem = self.file_problem(&FileError::Outside(path.text.to_string()), &path.text);
                self.report(problem.in_file(&scope.file).at(path.at, ""));
                None
            }
        }
    }

    fn package_tool(&mut self, scope: &Scope, name: &Written, written: &NodeFile<'_>) -> Option<Arc<str>> {
        let source = written.source.as_ref()?;
        let Some(tool) = &source.tool else {
            let owner = format!("the source of node `{}`", name.text);
            self.report(missing_key(
                &scope.file,
                source.at,
                &owner,
                "tool",
                "name it: `tool: package.module.function`",
            ));
            return None;
        };
        Some(tool.text.clone())
    }
}

fn missing_input(scope: &Scope, name: &Written, input: &str, of: &str) -> Problem {
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

/// The types of the parameters of prompt flow's `llm` tools; `None` for what goes through as it is.
pub(crate) fn parameter_type(api: Api, name: &str) -> Option<InputType> {
    let shared = match name {
        "deployment_name" | "model" | "user" => InputType::String,
        "temperature" | "top_p" | "presence_penalty" | "frequency_penalty" => InputType::Double,
        "stream" => InputType::Bool,
        "stop" => InputType::List,
        "max_tokens" | "n" => InputType::Int,
        "logit_bias" => InputType::Object,
        _ => match (api, name) {
            (Api::Chat, "function_call" | "tool_choice" | "response_format") => InputType::Object,
            (Api::Chat, "functions" | "tools") => InputType::List,
            (Api::Chat, "seed") => InputType::Int,
            (Api::Completion, "suffix") => InputType::String,
            (Api::Completion, "logprobs" | "best_of") => InputType::Int,
            (Api::Completion, "echo") => InputType::Bool,
            _ => return None,
        },
    };
    Some(shared)
}
