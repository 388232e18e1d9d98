//! The parser's events to a tree, without recursion and within a budget.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use sluicegate_value::Value;

use super::place::Places;
use super::{Data, Entry, Node, scalar, syntax};
use crate::{Problem, SourceFile, Span};

/// Levels of nesting, aliases followed.
const MAX_DEPTH: usize = 100;
/// Nodes that aliases may add to any file; one more for each of its bytes.
const MIN_COPIES: usize = 20_000;
/// A tag is copied for every node that has it; one that is longer is an attack.
const MAX_TAG: usize = 256;
/// After so many problems the reading ends.
const MAX_PROBLEMS: usize = 100;
/// A map with fewer keys is searched from end to end.
const SMALL_MAP: usize = 16;

/// Reads the tree of a file.
pub(super) fn build(file: &Arc<SourceFile>) -> Result<Node, Vec<Problem>> {
    let text = file.text();
    if u32::try_from(text.len()).is_err() {
        return Err(vec![Problem::error("yaml::too_large", "the file is larger than 4 GiB").in_file(file)]);
    }
    let mut builder = Builder {
        file,
        places: Places::new(text),
        open: Vec::new(),
        anchors: HashMap::new(),
        root: None,
        documents: 0,
        last_end: 0,
        copies_left: MIN_COPIES + text.len(),
        problems: Vec::new(),
    };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let taken = match event {
            Ok((event, span)) => {
                let start = builder.places.byte(span.start.index());
                builder.take(event, start, span)
            }
            Err(error) => Err(syntax::explain(file, &builder.places, &error)),
        };
        if let Err(problem) = taken {
            builder.problems.push(problem);
            break;
        }
        if builder.problems.len() >= MAX_PROBLEMS {
            break;
        }
    }
    if builder.problems.is_empty() {
        let nothing =
            Node { span: Span::default(), defined: None, data: Data::Scalar { value: Value::Null, plain: true } };
        return Ok(builder.root.unwrap_or(nothing));
    }
    builder.problems.sort_by_key(|problem| problem.labels.first().map(|label| label.span.start));
    Err(builder.problems)
}

struct Builder<'a> {
    file: &'a Arc<SourceFile>,
    places: Places<'a>,
    /// The collections that have begun and not ended, outermost first.
    open: Vec<Open>,
    anchors: HashMap<usize, Built>,
    root: Option<Node>,
    documents: usize,
    /// Where the last value ended: a block collection ends with its last value.
    last_end: usize,
    copies_left: usize,
    problems: Vec<Problem>,
}

/// A finished value, with what its copies would cost.
#[derive(Clone)]
struct Built {
    node: Node,
    /// Itself and everything below.
    nodes: usize,
    /// Levels, itself included.
    height: usize,
}

/// A collection that has begun.
struct Open {
    start: usize,
    anchor: usize,
    nodes: usize,
    height: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    entries: Vec<Entry>,
    /// Where each key is in `entries`, once there are many.
    index: HashMap<Arc<str>, usize>,
    /// The key whose value comes next.
    key: Option<OpenKey>,
    /// What `<<` named, and before which entry it stood.
    merges: Vec<(usize, Node)>,
}

struct OpenKey {
    key: Arc<str>,
    span: Span,
    role: KeyRole,
}

#[derive(Clone, Copy, PartialEq)]
enum KeyRole {
    Ordinary,
    Merge,
    /// Reported already; its value is read and dropped.
    Refused,
}

type Taken = Result<(), Problem>;

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, start: usize, span: saphyr_parser::Span) -> Taken {
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag, start, span),
            Event::Alias(anchor) => self.alias(anchor, Span::new(start, self.places.byte(span.end.index()))),
            Event::SequenceStart(anchor, tag) => {
                let start = self.list_start(start, span.is_empty(), anchor > 0 || tag.is_some());
                self.begin(start, anchor, tag, "seq", Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let start = if anchor > 0 || tag.is_some() { self.places.skip_properties(start).0 } else { start };
                self.begin(start, anchor, tag, "map", Content::Map(OpenMap::default()))
            }
            Event::SequenceEnd | Event::MappingEnd => {
                // The end of a block collection is told where the next token begins.
                if !span.is_empty() && matches!(self.places.byte_at(start), Some(b']' | b'}')) {
                    self.last_end = start + 1;
                }
                self.end()
            }
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Problem::error("yaml::many_documents", "there is a second document in the file")
                        .in_file(self.file)
                        .at(Span::new(start, self.places.line_end(start)), "it begins here")
                        .help("keep one document in a file: remove the `---`, or what follows it"));
                }
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<Cow<'_, Tag>>,
        start: usize,
        span: saphyr_parser::Span,
    ) -> Taken {
        let (content, properties_end) =
            if anchor > 0 || tag.is_some() { self.places.skip_properties(start) } else { (start, start) };
        let plain = style == ScalarStyle::Plain;
        let (content, end) = match style {
            ScalarStyle::Plain if text.is_empty() && properties_end > start => (properties_end, properties_end),
            ScalarStyle::Plain if text.is_empty() => {
                let after = start + usize::from(self.places.byte_at(start) == Some(b':'));
                (after, after)
            }
            ScalarStyle::Plain => (content, self.places.byte(span.end.index())),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => (content, self.places.quoted_end(content)),
            ScalarStyle::Literal | ScalarStyle::Folded => {
                self.places.block_text(content, self.places.byte(span.end.index()))
            }
        };
        self.last_end = end;
        let span = Span::new(content, end);
        let untagged = tag.is_none();
        let value = self.resolve(text, plain, tag, span)?;
        let node = Node { span, defined: None, data: Data::Scalar { value, plain } };
        let built = Built { node, nodes: 1, height: 1 };
        if self.expects_key() {
            self.remember(anchor, &built)?;
            let merge = plain && untagged && text == "<<";
            let key = if plain && text.is_empty() { "null" } else { text };
            self.key(key.into(), span, merge);
            return Ok(());
        }
        self.give(anchor, built)
    }

    fn resolve(&mut self, text: &str, plain: bool, tag: Option<Cow<'_, Tag>>, span: Span) -> Result<Value, Problem> {
        let Some(tag) = tag else {
            return Ok(if plain { scalar::plain(text) } else { Value::from(text) });
        };
        self.check_tag(&tag, span)?;
        if tag.handle.is_empty() && tag.suffix == "!" {
            return Ok(Value::from(text));
        }
        if let Some(value) = tag.is_yaml_core_schema().then(|| scalar::tagged(&tag.suffix, text)).flatten() {
            return Ok(value);
        }
        let known = tag.is_yaml_core_schema() && matches!(tag.suffix.as_str(), "null" | "bool" | "int" | "float");
        self.problems.push(if known {
            Problem::error("yaml::tag_mismatch", format!("the value does not fit its tag `!!{}`", tag.suffix))
                .in_file(self.file)
                .at(span, "")
                .help("remove the tag, or correct the value")
        } else {
            self.unknown_tag(&tag, span)
        });
        Ok(Value::from(text))
    }

    /// A tag's prefix is copied for every node, so that a long one makes reading quadratic.
    fn check_tag(&self, tag: &Tag, span: Span) -> Taken {
        if tag.handle.len() + tag.suffix.len() <= MAX_TAG {
            return Ok(());
        }
        Err(Problem::error("yaml::too_large", "a tag is too long").in_file(self.file).at(span, "its value"))
    }

    fn unknown_tag(&self, tag: &Tag, span: Span) -> Problem {
        let name = if tag.is_yaml_core_schema() { format!("!!{}", tag.suffix) } else { tag.to_string() };
        Problem::error("yaml::unknown_tag", format!("the tag `{name}` is not understood"))
            .in_file(self.file)
            .at(span, "its value")
            .help("remove the tag, or put text that begins with `!` in quotes")
    }

    /// Where a list begins: the parser tells an unindented list's first item, not its dash.
    fn list_start(&self, start: usize, is_block: bool, has_properties: bool) -> usize {
        if has_properties {
            return self.places.skip_properties(start).0;
        }
        let below_key = matches!(self.open.last(), Some(Open { content: Content::Map(_), .. }));
        let first = self.places.first_of_line(start);
        if is_block && below_key && self.places.byte_at(first) == Some(b'-') { first.min(start) } else { start }
    }

    fn begin(&mut self, start: usize, anchor: usize, tag: Option<Cow<'_, Tag>>, kind: &str, content: Content) -> Taken {
        let place = self.places.character(start);
        if let Some(tag) = tag {
            self.check_tag(&tag, place)?;
            let fits = tag.is_yaml_core_schema() && tag.suffix == kind || tag.handle.is_empty() && tag.suffix == "!";
            if !fits {
                self.problems.push(self.unknown_tag(&tag, place));
            }
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(self.too_deep(place));
        }
        if self.expects_key() {
            self.problems.push(
                Problem::error("yaml::complex_key", "a list or a map is used as a key")
                    .in_file(self.file)
                    .at(place, "")
                    .help("keys are text; put a value that begins with `{` or `[` (such as `{{ … }}`) in quotes"),
            );
        }
        self.open.push(Open { start, anchor, nodes: 1, height: 1, content });
        Ok(())
    }

    fn too_deep(&self, place: Span) -> Problem {
        Problem::error("yaml::too_deep", format!("values are nested more than {MAX_DEPTH} levels deep"))
            .in_file(self.file)
            .at(place, "")
            .help("flatten the file")
    }

    fn end(&mut self) -> Taken {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let data = match open.content {
            Content::List(items) => Data::List(items),
            Content::Map(map) => Data::Map(self.finish_map(map)),
        };
        let node = Node { span: Span::new(open.start, self.last_end.max(open.start)), defined: None, data };
        let built = Built { node, nodes: open.nodes, height: open.height };
        if self.expects_key() {
            if let Some(Open { content: Content::Map(map), .. }) = self.open.last_mut() {
                map.key = Some(OpenKey { key: "".into(), span: built.node.span, role: KeyRole::Refused });
            }
            return Ok(());
        }
        self.give(open.anchor, built)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Taken {
        self.last_end = span.end as usize;
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(Problem::error("yaml::recursive_alias", "an alias stands inside the value that it names")
                .in_file(self.file)
                .at(span, "")
                .help("repeat what is needed instead"));
        };
        if self.open.len() + anchored.height > MAX_DEPTH {
            return Err(self.too_deep(span));
        }
        let nodes = anchored.nodes;
        self.spend(nodes, span)?;
        let Some(mut built) = self.anchors.get(&anchor).cloned() else { return Ok(()) };
        if self.expects_key() {
            match &built.node.data {
                Data::Scalar { value: Value::Str(text), .. } => {
                    let key = text.clone();
                    self.key(key, span, false);
                }
                Data::Scalar { value, .. } => {
                    let key = value.to_json();
                    self.key(key.into(), span, false);
                }
                Data::List(_) | Data::Map(_) => {
                    self.begin(span.start as usize, 0, None, "map", Content::List(Vec::new()))?;
                    return self.end();
                }
            }
            return Ok(());
        }
        built.node.defined = Some(built.node.written());
        built.node.span = span;
        self.give(0, built)
    }

    fn spend(&mut self, nodes: usize, place: Span) -> Taken {
        match self.copies_left.checked_sub(nodes) {
            Some(left) => {
                self.copies_left = left;
                Ok(())
            }
            None => Err(Problem::error("yaml::too_large", "aliases make this file far larger than it looks")
                .in_file(self.file)
                .at(place, "this repeats too much")
                .help("name fewer values by alias, or write smaller ones")),
        }
    }

    fn remember(&mut self, anchor: usize, built: &Built) -> Taken {
        if anchor > 0 {
            self.spend(built.nodes, built.node.span)?;
            self.anchors.insert(anchor, built.clone());
        }
        Ok(())
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map(OpenMap { key: None, .. }), .. }))
    }

    fn key(&mut self, key: Arc<str>, span: Span, merge: bool) {
        let Some(Open { content: Content::Map(map), .. }) = self.open.last_mut() else { return };
        let mut role = if merge { KeyRole::Merge } else { KeyRole::Ordinary };
        if let Some(first) = map.find(&key).filter(|_| !merge) {
            role = KeyRole::Refused;
            self.problems.push(
                Problem::error("yaml::duplicate_key", format!("the key `{key}` is given twice"))
                    .in_file(self.file)
                    .at(span, "again here")
                    .at(first, "first here")
                    .help("keep one of them"),
            );
        }
        map.key = Some(OpenKey { key, span, role });
    }

    /// Hands a value to the collection that it belongs to.
    fn give(&mut self, anchor: usize, built: Built) -> Taken {
        self.remember(anchor, &built)?;
        let Some(open) = self.open.last_mut() else {
            self.root = Some(built.node);
            return Ok(());
        };
        open.nodes += built.nodes;
        open.height = open.height.max(built.height + 1);
        match &mut open.content {
            Content::List(items) => items.push(built.node),
            Content::Map(map) => match map.key.take() {
                Some(OpenKey { role: KeyRole::Merge, .. }) => map.merges.push((map.entries.len(), built.node)),
                Some(OpenKey { key, span, role: KeyRole::Ordinary }) => {
                    map.push(Entry { key, key_span: span, value: built.node });
                }
                Some(OpenKey { role: KeyRole::Refused, .. }) | None => {}
            },
        }
        Ok(())
    }

    /// Puts merged entries where their `<<` stood; what the map says itself wins, then the earlier `<<`.
    fn finish_map(&mut self, mut map: OpenMap) -> Vec<Entry> {
        if map.merges.is_empty() {
            return map.entries;
        }
        let own = std::mem::take(&mut map.entries);
        for (place, entry) in own.iter().enumerate() {
            map.index.insert(entry.key.clone(), place);
        }
        let mut own = own.into_iter();
        let mut finished = Vec::new();
        let mut taken = 0;
        for (place, source) in std::mem::take(&mut map.merges) {
            finished.extend(own.by_ref().take(place - taken));
            taken = place;
            for (alias, entry) in self.merged_entries(source) {
                if map.index.contains_key(&entry.key) {
                    continue;
                }
                map.index.insert(entry.key.clone(), finished.len());
                finished.push(match alias {
                    Some(span) => {
                        let value = Node { defined: Some(entry.value.written()), span, ..entry.value };
                        Entry { value, ..entry }
                    }
                    None => entry,
                });
            }
        }
        finished.extend(own);
        finished
    }

    /// The entries that a `<<` names, each with the alias by which it came.
    fn merged_entries(&mut self, source: Node) -> Vec<(Option<Span>, Entry)> {
        let span = source.span;
        let sources = match source.data {
            Data::List(items) => items,
            _ => vec![source],
        };
        let mut entries = Vec::new();
        for source in sources {
            let alias = source.defined.map(|_| source.span);
            match source.data {
                Data::Map(map) => entries.extend(map.into_iter().map(|entry| (alias, entry))),
                _ => {
                    self.problems.push(
                        Problem::error("yaml::bad_merge", "`<<` takes a map, or a list of maps")
                            .in_file(self.file)
                            .at(span, "")
                            .help("name a map by its anchor, as in `<<: *defaults`"),
                    );
                    break;
                }
            }
        }
        entries
    }
}

impl OpenMap {
    /// Where a key was given before.
    fn find(&self, key: &str) -> Option<Span> {
        if self.entries.len() < SMALL_MAP {
            return self.entries.iter().find(|entry| &*entry.key == key).map(|entry| entry.key_span);
        }
        self.index.get(key).and_then(|place| self.entries.get(*place)).map(|entry| entry.key_span)
    }

    fn push(&mut self, entry: Entry) {
        let place = self.entries.len();
        if place + 1 == SMALL_MAP {
            self.index = self.entries.iter().enumerate().map(|(place, entry)| (entry.key.clone(), place)).collect();
        }
        if place + 1 >= SMALL_MAP {
            self.index.insert(entry.key.clone(), place);
        }
        self.entries.push(entry);
    }
}
