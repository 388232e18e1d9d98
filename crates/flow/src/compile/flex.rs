//! A `flow.flex.yaml` becomes a plan of one Python node (spec: promptflow.md §1.1, §1.2).
//!
//! What the function takes, Python knows: inputs that the file does not declare are let through, and a plan becomes
//! complete by [`crate::signature::Signature`].

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use indexmap::IndexMap;
use sluicegate_model::ConnectionName;
use sluicegate_source::yaml::{Document, Node as Tree};
use sluicegate_source::{Problem, Span};
use sluicegate_value::{Map, Value};

use super::includes::Folder;
use super::operand::Scope;
use super::python::{self, Module};
use super::sections::input_type;
use super::session::Session;
use crate::bind::graph_of;
use crate::coerce::{coerce, shortened};
use crate::file::{FlexFile, InputFile, Written, missing_key};
use crate::files::{FileError, FileKind, file_name, join, parent};
use crate::flex::{FlexFlow, InitSpec, OUTPUT};
use crate::image::Images;
use crate::plan::{
    Entry, InputType, MessageFormat, Need, NeedKind, Node, NodeId, NodeKind, OnFiltered, Operand, OutputSpec, Plan,
    PythonNode, Step,
};
use crate::prompty::file_reference;

impl Session<'_> {
    pub(super) fn flex_flow(&mut self, path: &str, document: &Document) -> Option<Plan> {
        let file = document.file.clone();
        let mut problems = Vec::new();
        let written = FlexFile::read(document, &mut problems);
        self.report_all(problems);

        let folder = self.code_folder(path, &written, document)?;
        let mut scope = Scope {
            file: file.clone(),
            folder: Folder::new(&folder),
            inputs: IndexMap::new(),
            names: HashMap::new(),
            aggregation: Vec::new(),
            authors: Vec::new(),
            edges: Vec::new(),
            needs: Vec::new(),
        };
        scope.folder.note(path, file.text());
        self.include(&mut scope.folder, parent(path), &written.includes, &file);
        let inputs: Vec<InputFile<'_>> = written.inputs.into_iter().map(without_empty_default).collect();
        self.inputs(&mut scope, &inputs, MessageFormat::Basic);
        let (entry, may_aggregate) =
            self.entry(&mut scope, document, written.entry.as_ref(), written.language.as_ref())?;
        let init = self.init(&mut scope, written.init);
        let sample = written.sample.and_then(|sample| self.sample(&mut scope, sample));
        let part = |name: &str| sample.as_ref().and_then(|sample| sample.get(name)).and_then(Value::as_map).cloned();
        let (sample_inputs, sample_init) = (part("inputs"), part("init"));
        needs_of_init(
            &mut scope,
            &init,
            sample_init.as_ref(),
            written.sample.map_or(Span::default(), |tree| tree.span),
        );

        let name = entry.text.rsplit(':').next().unwrap_or(&entry.text);
        let python = Entry { entry: entry.text.clone(), is_aggregate: false };
        let node = Node {
            name: name.into(),
            kind: NodeKind::Python(PythonNode { entry: Some(python), ..PythonNode::default() }),
            inputs: scope.inputs.keys().map(|name| (name.clone(), Operand::Input(name.clone()))).collect(),
            activate: None,
            aggregation: false,
            retry: None,
            timeout: None,
            cache: None,
            on_filtered: OnFiltered::AsOriginal,
            role_headers: true,
            at: scope.place(entry.at),
        };
        let mut outputs = IndexMap::new();
        for output in &written.outputs {
            let spec =
                output_spec(&scope, &output.name.text, vec![Step::Key(output.name.text.clone())], output.name.at);
            outputs.insert(output.name.text.clone(), spec);
        }
        if outputs.is_empty() {
            outputs.insert(OUTPUT.into(), output_spec(&scope, "", Vec::new(), entry.at));
        }
        let chat = self.chat(&scope, &inputs, &written.outputs, |_| true);
        let environment_variables = self.environment_variables(&mut scope, written.environment_variables, true);
        let requirements = self.requirements_of(&mut scope, written.environment);
        let flow_folder = parent(path);
        let flow_name = written.name.unwrap_or_else(|| match file_name(flow_folder) {
            "" => "flow".into(),
            name => name.into(),
        });
        let nodes = vec![node];
        scope.needs.sort_by_key(|need| need.at.span);
        Some(Plan {
            name: flow_name,
            folder: folder.as_str().into(),
            outputs,
            graph: graph_of(&nodes),
            nodes,
            environment_variables,
            message_format: MessageFormat::Basic,
            chat,
            needs: scope.needs,
            sample: sample_inputs,
            includes: scope.folder.includes(),
            requirements,
            flex: Some(FlexFlow {
                entry: entry.text,
                init,
                sample_init,
                init_values: Map::new(),
                signed: false,
                open: true,
                optional: BTreeSet::new(),
                may_aggregate,
            }),
            hash: scope.folder.hash().into(),
            inputs: scope.inputs,
        })
    }

    /// What the flow's file says of a list of Python packages, or what lies beside it.
    pub(super) fn requirements_of(&mut self, scope: &mut Scope, environment: Option<&Tree>) -> Option<Arc<str>> {
        let named = environment.and_then(|environment| environment.get("python_requirements_txt"));
        match self.requirements(&scope.folder, named.and_then(Tree::as_str)) {
            Ok(path) => path.map(Arc::from),
            Err(problem) => {
                let at = named.map_or(Span::default(), |named| named.span);
                self.report(problem.in_file(&scope.file).at(at, ""));
                None
            }
        }
    }

    /// The folder of the Python files: `code:`, else that of the flow's file.
    fn code_folder(&mut self, path: &str, written: &FlexFile<'_>, document: &Document) -> Option<String> {
        let Some(code) = &written.code else { return Some(parent(path).to_owned()) };
        let folder = join(parent(path), &code.text);
        let problem = match folder.as_deref().map(|folder| self.files.kind(folder)) {
            Some(FileKind::Folder) => return folder,
            Some(FileKind::File) => {
                let error = FileError::WrongKind(code.text.to_string(), "a folder");
                self.file_problem(&error, &code.text)
                    .help("name the folder of the Python files; the entry says which of them")
            }
            Some(FileKind::Missing) => self.file_problem(&FileError::Missing(code.text.to_string()), &code.text),
            None => self.file_problem(&FileError::Outside(code.text.to_string()), &code.text),
        };
        self.report(problem.in_file(&document.file).at(code.at, ""));
        None
    }

    /// The entry, if it is one, and whether its module speaks of aggregation. Whether Python finds it there, is not known.
    fn entry(
        &mut self,
        scope: &mut Scope,
        document: &Document,
        entry: Option<&Written>,
        language: Option<&Written>,
    ) -> Option<(Written, bool)> {
        if let Some(language) = language.filter(|language| !language.text.eq_ignore_ascii_case("python")) {
            let message = format!("a flex flow in `{}` does not run: only Python ones do", language.text);
            self.report(scope.problem("flow::kind_not_supported", language.at, message));
            return None;
        }
        let Some(entry) = entry else {
            if document.root.entry("entry").is_none() {
                let help = "name the function or class: `entry: module:name`";
                self.report(missing_key(&scope.file, document.root.span, "the flex flow", "entry", help));
            }
            return None;
        };
        let Some((module, name)) = entry.text.split_once(':').filter(|(module, name)| is_entry(module, name)) else {
            let message = format!("`{}` is no entry", entry.text);
            let help = "write the module and the function or class in it: `module:name`, `package.module:name`";
            self.report(scope.problem("flow::bad_entry", entry.at, message).help(help));
            return None;
        };
        let mut may_aggregate = true;
        match self.module(&scope.folder, module) {
            Module::File(path) => match self.source(&path) {
                Ok(source) => {
                    scope.folder.note(&path, source.text());
                    may_aggregate = python::has_word(source.text(), crate::signature::AGGREGATE);
                    if !python::may_define(source.text(), name) {
                        let message = format!("`{path}` has no `{name}`");
                        self.report(scope.problem("flow::unknown_entry", entry.at, message));
                        return None;
                    }
                }
                Err(error) => {
                    let problem = self.file_problem(&error, &path);
                    self.report(problem.in_file(&scope.file).at(entry.at, ""));
                    return None;
                }
            },
            Module::Missing([file, package]) => {
                let message = format!("module `{module}` is not there: neither `{file}` nor `{package}`");
                self.report(scope.problem("flow::missing_file", entry.at, message));
                return None;
            }
            Module::Elsewhere => {
                let beside = self.files.list(scope.folder.path()).unwrap_or_default();
                let stems = beside.iter().filter_map(|name| name.strip_suffix(".py"));
                let folder = python::shown(scope.folder.path());
                let message = format!("module `{module}` is not in `{folder}`; only Python knows if it is installed");
                let problem = scope.warning("flow::entry_elsewhere", entry.at, message);
                self.report(match sluicegate_source::suggest::nearest(module, stems) {
                    Some(near) => problem.help(format!("did you mean `{near}:{name}`?")),
                    None => problem,
                });
            }
        }
        Some((entry.clone(), may_aggregate))
    }

    fn init(&mut self, scope: &mut Scope, written: Vec<InputFile<'_>>) -> IndexMap<Arc<str>, InitSpec> {
        let mut init = IndexMap::new();
        for entry in written.into_iter().map(without_empty_default) {
            let word = entry.kind.as_ref().map_or("", |kind| &*kind.text);
            let connection = word.ends_with("Connection");
            let kind = input_type(word).unwrap_or(InputType::Untouched);
            if entry.kind.is_some()
                && !connection
                && input_type(word).is_none()
                && !word.ends_with("ModelConfiguration")
            {
                let message =
                    format!("`{word}` of `init` is a type that is not known here; what is given is passed as it is");
                let at = entry.kind.as_ref().map_or(entry.name.at, |kind| kind.at);
                self.report(scope.warning("flow::unknown_type", at, message));
            }
            let default = entry.default.and_then(|default| {
                let value = default.to_value();
                if value.as_str().is_some_and(|text| crate::reference::variable(text).is_some()) {
                    return Some(value);
                }
                let coerced = coerce(kind, &value, &Images::without_files(MessageFormat::Basic)).ok();
                if coerced.is_none() {
                    let message = format!("the default of `{}` is no `{word}`: {}", entry.name.text, shortened(&value));
                    self.report(scope.problem("flow::bad_default", default.span, message));
                }
                coerced
            });
            if let Some(variable) = default.as_ref().and_then(Value::as_str).and_then(crate::reference::variable) {
                scope.needs_variable(variable, None, entry.default.map_or(entry.name.at, |default| default.span));
            }
            let spec = InitSpec { kind, connection, default, required: false, at: Some(scope.place(entry.name.at)) };
            init.insert(entry.name.text.clone(), spec);
        }
        init
    }

    /// `sample:`, with what it reads from files: itself, or what stands under `inputs` and `init`.
    fn sample(&mut self, scope: &mut Scope, tree: &Tree) -> Option<Map> {
        let whole = self.file_or_value(scope, tree, &tree.to_value())?;
        let Value::Map(map) = &whole else {
            let message = "`sample` must be a map with `inputs` and `init`, or `${file:…}`";
            self.report(scope.problem("flow::wrong_type", tree.span, message.to_owned()));
            return None;
        };
        let mut sample = Map::new();
        for (name, value) in map.iter() {
            sample.insert(name.clone(), self.file_or_value(scope, tree, value)?);
        }
        // Older files have the inputs themselves here.
        if !sample.is_empty() && !sample.contains_key("inputs") && !sample.contains_key("init") {
            sample = Map::from([("inputs", sample)]);
        }
        Some(sample)
    }

    fn file_or_value(&mut self, scope: &mut Scope, tree: &Tree, value: &Value) -> Option<Value> {
        let Some(path) = value.as_str().and_then(|text| file_reference(text)) else { return Some(value.clone()) };
        let found = match scope.folder.locate(path) {
            Some(located) => self.source(&located).map_err(|error| error.to_string()).and_then(|source| {
                scope.folder.note(&located, source.text());
                crate::prompty::file_content(path, source.text())
            }),
            None => Err(FileError::Outside(path.to_owned()).to_string()),
        };
        match found {
            Ok(value) => Some(value),
            Err(reason) => {
                let message = format!("cannot read `{path}`: {reason}");
                self.report(scope.problem("flow::file_reference", tree.span, message));
                None
            }
        }
    }
}

/// An empty text is how the original's tools write "no default".
fn without_empty_default(input: InputFile<'_>) -> InputFile<'_> {
    let default = input.default.filter(|default| default.as_str() != Some(""));
    InputFile { default, ..input }
}

fn is_entry(module: &str, name: &str) -> bool {
    let is_name = |part: &str| !part.is_empty() && part.chars().all(|letter| letter == '_' || letter.is_alphanumeric());
    module.split('.').all(is_name) && is_name(name)
}

fn output_spec(scope: &Scope, written: &str, steps: Vec<Step>, at: Span) -> OutputSpec {
    let from = Operand::Output { node: NodeId(0), property: steps.into(), written: written.into() };
    OutputSpec { from, evaluation_only: false, at: scope.place(at) }
}

/// What the class is made with asks for connections: by its declared type, or as part of a model's configuration.
fn needs_of_init(scope: &mut Scope, init: &IndexMap<Arc<str>, InitSpec>, sample: Option<&Map>, at: Span) {
    let mut names: Vec<(Arc<str>, Span)> = Vec::new();
    for (name, spec) in init.iter().filter(|(_, spec)| spec.connection) {
        let default = spec.default.as_ref().and_then(Value::as_str);
        let sampled = sample.and_then(|sample| sample.get(name)).and_then(Value::as_str);
        let place = spec.at.as_ref().map_or(at, |at| at.span);
        names.extend(default.map(|default| (default.into(), place)));
        names.extend(sampled.map(|sampled| (sampled.into(), at)));
    }
    for value in sample.into_iter().flat_map(Map::values) {
        let connection = value.as_map().and_then(|map| map.get("connection")).and_then(Value::as_str);
        names.extend(connection.map(|connection| (connection.into(), at)));
    }
    for (name, at) in names {
        let what = match crate::reference::variable(&name) {
            Some(variable) => NeedKind::Variable(variable.into()),
            None => NeedKind::Connection(ConnectionName(name)),
        };
        scope.needs.push(Need { what, node: None, at: scope.place(at) });
    }
}

/// That a YAML file with both is neither.
pub(super) fn both(document: &Document) -> Option<Problem> {
    let nodes =
        document.root.entry("nodes").filter(|nodes| nodes.value.as_list().is_some_and(|nodes| !nodes.is_empty()))?;
    let problem = Problem::error("flow::entry_and_nodes", "a flow has `nodes`, or it is a flex flow with an `entry`");
    Some(problem.in_file(&document.file).at(nodes.key_span, "").help("take out one of the two"))
}
