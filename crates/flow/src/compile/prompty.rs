//! A `.prompty` file as a flow of one node.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use petgraph::graph::DiGraph;
use sluicegate_model::ConnectionName;
use sluicegate_source::{Problem, Span};
use sluicegate_value::{Value, hash};

use super::includes::Folder;
use super::session::{Asked, Session};
use crate::files::{FileError, Files, file_name, join, parent};
use crate::image::with_images_by_path;
use crate::plan::{
    ChatMarkers, InputSpec, InputType, MessageFormat, Need, NeedKind, Node, NodeId, NodeKind, NodeName, OnFiltered,
    Operand, OutputSpec, Place, Plan, Step,
};
use crate::prompty::{PromptyFile, Version};

/// The output of a prompty that declares none.
const OUTPUT: &str = "output";

impl Session<'_> {
    pub(super) fn prompty_flow(&mut self, path: &str, asked: Option<Asked<'_>>) -> Option<Plan> {
        let file = self.flow_source(path, asked)?;
        let prompty = self.prompty(&file)?;
        let mut folder = Folder::new(parent(path));
        self.note_prompty(&mut folder, &file);

        let mut inputs = IndexMap::new();
        let mut operands: IndexMap<Arc<str>, Operand> = IndexMap::new();
        for input in &prompty.inputs {
            let default = input.default.clone().or_else(|| (!input.required).then_some(Value::Null));
            let at = Place { file: file.clone(), span: input.span };
            let secret = input.kind.as_deref() == Some("secret");
            let description = input.description.clone();
            let spec = InputSpec { kind: InputType::Untouched, default, secret, description, at };
            inputs.insert(input.name.clone(), spec);
            operands.insert(input.name.clone(), Operand::Input(input.name.clone()));
        }
        let stem = file_name(path).strip_suffix(".prompty").unwrap_or(path);
        let at = Place { file: file.clone(), span: Span::default() };
        let node = Node {
            name: stem.into(),
            kind: NodeKind::Prompty(prompty.clone()),
            inputs: operands,
            activate: None,
            aggregation: false,
            retry: None,
            timeout: None,
            cache: None,
            on_filtered: OnFiltered::AsOriginal,
            role_headers: true,
            at: at.clone(),
        };
        let mut graph = DiGraph::new();
        graph.add_node(NodeId(0));
        let outputs = outputs(&prompty, &at);
        Some(Plan {
            name: prompty.name.clone(),
            folder: parent(path).into(),
            chat: chat(&prompty, &outputs),
            inputs,
            outputs,
            nodes: vec![node],
            graph,
            environment_variables: IndexMap::new(),
            message_format: MessageFormat::Basic,
            needs: needs(&prompty, Some(&stem.into())),
            sample: prompty.sample.clone(),
            includes: Vec::new(),
            requirements: None,
            flex: None,
            hash: folder.hash().into(),
        })
    }
}

/// Loads the images that a prompty of version 1 gives by path in its own defaults and sample, from its folder and below. What
/// is read is noted in `beside`, for the hash.
pub(super) fn load_images(
    prompty: &mut PromptyFile,
    files: &dyn Files,
    beside: &mut Vec<(String, Arc<str>)>,
) -> Vec<Problem> {
    if prompty.version != Version::V1 {
        return Vec::new();
    }
    let folder = parent(prompty.file.name()).to_owned();
    let noted = RefCell::new(beside);
    let read = |path: &str| {
        let located =
            join(&folder, path).filter(|located| folder.is_empty() || located.starts_with(&format!("{folder}/")));
        let located = located.ok_or_else(|| FileError::Outside(path.to_owned()))?;
        let bytes = files.read(&located)?;
        noted.borrow_mut().push((located, hash::sha256(&bytes).into()));
        Ok(bytes)
    };
    let mut problems = Vec::new();
    let file = prompty.file.clone();
    let mut load = |value: &mut Value, what: &str, span: Span| match with_images_by_path(value, &read) {
        Ok(loaded) => *value = loaded,
        Err(error) => problems.push(
            Problem::error("flow::bad_image", format!("{what} should be an image: {error}"))
                .in_file(&file)
                .at(span, "")
                .help("an image is given by a path from the prompty's folder, and lies in it or below"),
        ),
    };
    for input in &mut prompty.inputs {
        if let Some(default) = &mut input.default {
            load(default, &format!("the default of input `{}`", input.name), input.span);
        }
    }
    if let Some(sample) = prompty.sample.take() {
        let mut whole = Value::from(sample);
        load(&mut whole, "something in `sample`", Span::default());
        prompty.sample = whole.as_map().cloned();
    }
    problems
}

/// What a prompty needs of the outside.
pub(super) fn needs(prompty: &PromptyFile, node: Option<&Arc<str>>) -> Vec<Need> {
    let node = node.cloned().map(NodeName);
    let need = |what, span| Need { what, node: node.clone(), at: Place { file: prompty.file.clone(), span } };
    let variables = prompty
        .variables
        .iter()
        .filter(|variable| variable.default.is_none())
        .map(|variable| need(NeedKind::Variable(variable.name.clone()), variable.span));
    let connection = prompty
        .model
        .connection
        .iter()
        .map(|connection| need(NeedKind::Connection(ConnectionName(connection.clone())), Span::default()));
    variables.chain(connection).collect()
}

/// The outputs of a prompty: the declared ones when its answer is a map (or there is only one), else `output`.
fn outputs(prompty: &PromptyFile, at: &Place) -> IndexMap<Arc<str>, OutputSpec> {
    let output = |property: &str, steps: Vec<Step>| {
        let from = Operand::Output { node: NodeId(0), property: steps.into(), written: property.into() };
        OutputSpec { from, evaluation_only: false, at: at.clone() }
    };
    match &prompty.outputs[..] {
        declared if !declared.is_empty() && answers_with_map(prompty) => declared
            .iter()
            .map(|declared| {
                let step = Step::Key(declared.name.clone());
                let place = Place { file: at.file.clone(), span: declared.span };
                (declared.name.clone(), OutputSpec { at: place, ..output(&declared.name, vec![step]) })
            })
            .collect(),
        [one] => IndexMap::from([(one.name.clone(), output("", Vec::new()))]),
        _ => IndexMap::from([(OUTPUT.into(), output("", Vec::new()))]),
    }
}

/// Whether the answer is JSON with the declared keys.
fn answers_with_map(prompty: &PromptyFile) -> bool {
    let format = prompty.model.parameters.get("response_format").and_then(|format| format.get("type"));
    matches!(format.and_then(Value::as_str), Some("json_object" | "json_schema")) || prompty.version == Version::V2
}

fn chat(prompty: &PromptyFile, outputs: &IndexMap<Arc<str>, OutputSpec>) -> Option<ChatMarkers> {
    let by_name: HashMap<&str, _> = prompty.inputs.iter().map(|input| (&*input.name, input)).collect();
    let history = prompty.inputs.iter().find(|input| input.is_chat_history).or(by_name.get("chat_history").copied())?;
    let mut said = prompty.inputs.iter().filter(|input| input.is_chat_input);
    let (input, None) = (said.next()?, said.next()) else { return None };
    let (output, _) = outputs.first()?;
    Some(ChatMarkers { input: input.name.clone(), history: history.name.clone(), output: output.clone() })
}
