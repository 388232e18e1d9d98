//! A flow file as its author wrote it: references are still text, and may be wrong.
//!
//! [`FlowFile::read`] holds the tree against the table of known keys, reports what does not fit, and picks out the
//! rest; what had a wrong shape is absent here, so that nothing is reported twice.

mod check;
mod flex;
pub(crate) mod keys;

use std::sync::Arc;
use std::time::Duration;

use sluicegate_source::yaml::{Document, Entry, Node};
use sluicegate_source::{Problem, Span};
use sluicegate_value::{Value, size};

use crate::plan::OnFiltered;

pub(crate) use check::{missing_key, quoted};
pub(crate) use flex::FlexFile;

/// A flow file, as written.
pub(crate) struct FlowFile<'y> {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) inputs: Vec<InputFile<'y>>,
    pub(crate) outputs: Vec<OutputFile<'y>>,
    pub(crate) nodes: Vec<NodeFile<'y>>,
    pub(crate) variants: Vec<VariantsFile<'y>>,
    pub(crate) environment: Option<&'y Node>,
    pub(crate) environment_variables: &'y [Entry],
    pub(crate) includes: Vec<Written>,
    pub(crate) openai_vision: bool,
}

/// A text and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) text: Arc<str>,
    pub(crate) at: Span,
}

/// An input, as written.
pub(crate) struct InputFile<'y> {
    pub(crate) name: Written,
    pub(crate) kind: Option<Written>,
    /// Whether a type is given at all, be it a wrong one.
    pub(crate) has_type: bool,
    pub(crate) default: Option<&'y Node>,
    pub(crate) description: Option<Arc<str>>,
    pub(crate) is_chat_input: bool,
    pub(crate) is_chat_history: bool,
}

/// An output, as written.
pub(crate) struct OutputFile<'y> {
    pub(crate) name: Written,
    pub(crate) reference: Option<&'y Node>,
    pub(crate) evaluation_only: bool,
    pub(crate) is_chat_output: bool,
}

/// A node, as written.
#[derive(Clone)]
pub(crate) struct NodeFile<'y> {
    pub(crate) name: Option<Written>,
    /// The whole entry.
    pub(crate) at: Span,
    /// Everything that is written in it.
    pub(crate) keys: &'y [Entry],
    pub(crate) kind: Option<Written>,
    pub(crate) has_kind: bool,
    pub(crate) source: Option<SourceSection>,
    pub(crate) inputs: &'y [Entry],
    pub(crate) activate: Option<&'y Node>,
    pub(crate) aggregation: bool,
    pub(crate) use_variants: bool,
    pub(crate) legacy_tool: Option<Span>,
    pub(crate) connection: Option<Written>,
    pub(crate) completion: bool,
    pub(crate) responses: bool,
    pub(crate) developer_role: bool,
    pub(crate) http: HttpSection<'y>,
    pub(crate) expression: Option<Written>,
    pub(crate) over: Option<&'y Node>,
    pub(crate) item: Option<Written>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) until: Option<Written>,
    pub(crate) max_iterations: Option<u32>,
    pub(crate) has_max_iterations: bool,
    pub(crate) retry: Option<RetrySection>,
    pub(crate) timeout: Option<Duration>,
    /// And where it stands.
    pub(crate) cache: Option<(bool, Span)>,
    pub(crate) on_filtered: OnFiltered,
    pub(crate) role_headers: bool,
}

/// A node's source, as written.
#[derive(Clone)]
pub(crate) struct SourceSection {
    pub(crate) at: Span,
    pub(crate) kind: Option<Written>,
    pub(crate) path: Option<Written>,
    pub(crate) tool: Option<Written>,
}

/// What the keys of an `http` node say, as written.
#[derive(Clone)]
pub(crate) struct HttpSection<'y> {
    pub(crate) method: Option<Written>,
    pub(crate) url: Option<Written>,
    pub(crate) query: &'y [Entry],
    pub(crate) headers: &'y [Entry],
    pub(crate) json: Option<&'y Entry>,
    pub(crate) body: Option<Written>,
    /// Where the key of `body` stands, and what it has is there.
    pub(crate) body_at: Option<Span>,
    pub(crate) any_status: bool,
    pub(crate) redirects: Option<u32>,
    pub(crate) max_size: Option<u64>,
}

/// A node's retry policy, as written.
#[derive(Clone)]
pub(crate) struct RetrySection {
    pub(crate) max_attempts: Option<u32>,
    pub(crate) initial: Option<Duration>,
    pub(crate) max: Option<Duration>,
}

/// The variants of a node, as written.
pub(crate) struct VariantsFile<'y> {
    pub(crate) node: Written,
    pub(crate) default: Option<Written>,
    /// Each variant's id, and its node if it has one.
    pub(crate) variants: Vec<(Written, Option<&'y Node>)>,
}

impl<'y> FlowFile<'y> {
    /// Reads a tree; what does not fit becomes a problem.
    pub(crate) fn read(document: &'y Document, problems: &mut Vec<Problem>) -> Self {
        let root = &document.root;
        check::check_section(&document.file, root, &keys::FLOW, problems);
        Self {
            name: name(root, "name").map(|name| name.text),
            inputs: entries(root, "inputs").iter().map(InputFile::read).collect(),
            outputs: entries(root, "outputs").iter().map(OutputFile::read).collect(),
            nodes: items(root, "nodes").iter().filter(|node| node.as_map().is_some()).map(NodeFile::read).collect(),
            variants: entries(root, "node_variants").iter().map(VariantsFile::read).collect(),
            environment_variables: entries(root, "environment_variables"),
            environment: present(root, "environment"),
            includes: texts(root, "additional_includes"),
            openai_vision: root.get("message_format").and_then(Node::as_str) == Some("openai-vision"),
        }
    }
}

impl<'y> InputFile<'y> {
    fn read(entry: &'y Entry) -> Self {
        let node = &entry.value;
        Self {
            name: Written { text: entry.key.clone(), at: entry.key_span },
            kind: text(node, "type"),
            has_type: present(node, "type").is_some() || node.as_map().is_none() && !is_nothing(node),
            default: present(node, "default"),
            description: text(node, "description").map(|written| written.text),
            is_chat_input: boolean(node, "is_chat_input") == Some(true),
            is_chat_history: boolean(node, "is_chat_history") == Some(true),
        }
    }
}

impl<'y> OutputFile<'y> {
    fn read(entry: &'y Entry) -> Self {
        let node = &entry.value;
        Self {
            name: Written { text: entry.key.clone(), at: entry.key_span },
            reference: present(node, "reference"),
            evaluation_only: boolean(node, "evaluation_only") == Some(true),
            is_chat_output: boolean(node, "is_chat_output") == Some(true),
        }
    }
}

impl<'y> NodeFile<'y> {
    pub(crate) fn read(node: &'y Node) -> Self {
        Self {
            name: name(node, "name"),
            at: node.span,
            keys: node.as_map().unwrap_or_default(),
            kind: text(node, "type").filter(|kind| keys::KINDS.words.contains(&&*kind.text)),
            has_kind: present(node, "type").is_some(),
            source: present(node, "source").filter(|source| source.as_map().is_some()).map(|source| SourceSection {
                at: node.entry("source").map_or(source.span, |entry| entry.key_span),
                kind: text(source, "type"),
                path: text(source, "path"),
                tool: text(source, "tool"),
            }),
            inputs: entries(node, "inputs"),
            activate: present(node, "activate").filter(|activate| activate.as_map().is_some()),
            aggregation: boolean(node, "aggregation") == Some(true) || boolean(node, "reduce") == Some(true),
            use_variants: boolean(node, "use_variants") == Some(true),
            legacy_tool: node.entry("tool").map(|entry| entry.key_span),
            connection: name(node, "connection").filter(|connection| !connection.text.is_empty()),
            completion: text(node, "api").is_some_and(|api| &*api.text == "completion"),
            responses: text(node, "api").is_some_and(|api| &*api.text == "responses"),
            developer_role: boolean(node, "developer_role") == Some(true),
            http: HttpSection::read(node),
            expression: source_text(node, "expression"),
            over: present(node, "over"),
            item: name(node, "as"),
            concurrency: whole(node, "concurrency"),
            until: source_text(node, "until"),
            max_iterations: whole(node, "max_iterations"),
            has_max_iterations: present(node, "max_iterations").is_some(),
            retry: present(node, "retry").filter(|retry| retry.as_map().is_some()).map(|retry| RetrySection {
                max_attempts: whole(retry, "max_attempts"),
                initial: present(retry, "initial").and_then(check::duration),
                max: present(retry, "max").and_then(check::duration),
            }),
            timeout: present(node, "timeout").and_then(check::duration),
            cache: boolean(node, "cache").zip(node.entry("cache").map(|entry| entry.key_span)),
            on_filtered: match text(node, "on_filtered").as_ref().map(|word| &*word.text) {
                Some("fail") => OnFiltered::Fail,
                Some("report") => OnFiltered::Report,
                _ => OnFiltered::AsOriginal,
            },
            role_headers: boolean(node, "role_headers") != Some(false),
        }
    }
}

impl<'y> HttpSection<'y> {
    fn read(node: &'y Node) -> Self {
        Self {
            method: text(node, "method"),
            url: source_text(node, "url"),
            query: entries(node, "query"),
            headers: entries(node, "headers"),
            json: node.entry("json").filter(|entry| !is_nothing(&entry.value)),
            body: source_text(node, "body"),
            body_at: node.entry("body").filter(|entry| !is_nothing(&entry.value)).map(|entry| entry.key_span),
            any_status: text(node, "expect").is_some_and(|expect| &*expect.text == "any"),
            redirects: present(node, "redirects").and_then(Node::as_scalar).and_then(whole_number),
            max_size: present(node, "max_size").and_then(size_of),
        }
    }
}

impl NodeFile<'_> {
    /// The node without anything to check: its name stays known, so that one mistake is one problem.
    pub(crate) fn unusable(&self) -> Self {
        Self { kind: None, has_kind: true, inputs: &[], activate: None, ..self.clone() }
    }
}

impl<'y> VariantsFile<'y> {
    fn read(entry: &'y Entry) -> Self {
        Self {
            node: Written { text: entry.key.clone(), at: entry.key_span },
            default: name(&entry.value, "default_variant_id"),
            variants: entries(&entry.value, "variants")
                .iter()
                .map(|variant| {
                    let id = Written { text: variant.key.clone(), at: variant.key_span };
                    (id, present(&variant.value, "node").filter(|node| node.as_map().is_some()))
                })
                .collect(),
        }
    }
}

fn is_nothing(node: &Node) -> bool {
    node.as_scalar().is_some_and(Value::is_null)
}

/// The value under `key`, unless it is `null`.
fn present<'y>(node: &'y Node, key: &str) -> Option<&'y Node> {
    node.get(key).filter(|value| !is_nothing(value))
}

fn entries<'y>(node: &'y Node, key: &str) -> &'y [Entry] {
    node.get(key).and_then(Node::as_map).unwrap_or_default()
}

fn items<'y>(node: &'y Node, key: &str) -> &'y [Node] {
    node.get(key).and_then(Node::as_list).unwrap_or_default()
}

fn texts(node: &Node, key: &str) -> Vec<Written> {
    items(node, key).iter().filter_map(|item| Some(Written { text: item.as_str()?.into(), at: item.span })).collect()
}

fn text(node: &Node, key: &str) -> Option<Written> {
    let value = node.get(key)?;
    Some(Written { text: value.as_str()?.into(), at: value.span })
}

/// Text that is read as source: its place is where it is written, even behind an alias.
fn source_text(node: &Node, key: &str) -> Option<Written> {
    let value = node.get(key)?;
    Some(Written { text: value.as_str()?.into(), at: value.written() })
}

/// Text, or a number as text.
fn name(node: &Node, key: &str) -> Option<Written> {
    let value = present(node, key)?;
    match value.as_scalar()? {
        Value::Bool(_) => None,
        scalar => Some(Written { text: sluicegate_value::python::str(scalar).into(), at: value.span }),
    }
}

fn boolean(node: &Node, key: &str) -> Option<bool> {
    node.get(key)?.as_scalar()?.as_bool()
}

fn whole<T: TryFrom<i64>>(node: &Node, key: &str) -> Option<T> {
    let number = node.get(key)?.as_scalar()?.as_int().filter(|number| *number >= 1)?;
    T::try_from(number).ok()
}

fn whole_number(value: &Value) -> Option<u32> {
    value.as_int().and_then(|number| u32::try_from(number).ok())
}

/// A size of one byte or more.
fn size_of(node: &Node) -> Option<u64> {
    size::from_value(node.as_scalar()?).filter(|bytes| *bytes > 0)
}
