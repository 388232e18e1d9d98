//! Templates: the Jinja that prompt flow's authors write, on minijinja, with Python's habits.
//!
//! Three things stand between an author's template and minijinja:
//!
//! * **Role safety.** A role header counts only where the template itself has one. `rewrite` marks those places
//!   before the template is compiled, `marks` reads the marks back; data can hold none.
//! * **Python's behaviour.** What prints, prints as in Python ([`print`]); methods and filters that jinja2 has and
//!   minijinja lacks are ours (`methods`, `filters`); errors speak Python's words (`failure`).
//! * **A budget.** Fuel counts steps, `guards` count bytes, so that a template can fail but not hang or fill memory.
//!
//! ```text
//! source ─scan─► text and tags ─rewrite─► marked and guarded source ─minijinja─► text ─take─► Rendered { text, headers }
//! ```
//!
//! A mustache template of prompty version 2 is translated into such a source first (`mustache`), and runs the same way.
//!
//! There is no loader: `include`, `import` and `extends` are problems. A [`Template`] is parsed once and shared by
//! threads.

mod arguments;
mod arithmetic;
mod check;
mod context;
mod engine;
mod error;
mod expression;
mod failure;
mod filters;
mod format;
mod from_json;
mod guards;
mod inputs;
pub(crate) mod leaf;
mod marks;
mod methods;
mod mustache;
mod numbers;
mod operators;
mod print;
mod rewrite;
mod scan;
mod tags;
mod tojson;

use std::fmt;
use std::sync::Arc;

use minijinja::{Environment, Value as Item};
use sluicegate_source::{Problem, SourceFile, Span};
use sluicegate_value::{Blob, Value};

pub use error::RenderError;
pub use expression::Expression;

use engine::Text;
use failure::Origin;
use print::Style;
use rewrite::{Options, Rewritten};
use scan::{Piece, SyntaxError, Token};

/// Whose habits a template follows (spec: promptflow.md §2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// An `llm` node: a list among the inputs prints one `str()` per line, at any depth; image markdown stays as it is.
    Llm,
    /// A `prompt` node: Python's printing throughout.
    Prompt,
    /// A prompty of version 1, or a vision tool: image markdown is expanded.
    PromptyV1,
    /// A prompty of version 2: lower-case booleans, empty null, whole floats without a point, no trimmed blocks.
    PromptyV2,
    /// The same, its template written in mustache.
    Mustache,
}

/// A random number for one render. Only the placeholders of thread inputs (prompty version 2) use it; role headers
/// are safe without, since data can hold no mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub u128);

/// Whether an input's text may hold role headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Never: the text came from outside.
    Data,
    /// Yes: it is the text of a `python` node; texts within lists and maps too.
    Author,
    /// Yes, those that end at these byte offsets: it is the text of a `prompt` node, see [`Rendered::headers`].
    Headers(Arc<[u32]>),
}

/// An input of a render.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The variable.
    pub name: Arc<str>,
    /// Its value.
    pub value: Value,
    /// Whether its text may hold role headers.
    pub trust: Trust,
}

/// A template, parsed and checked.
pub struct Template {
    file: Arc<SourceFile>,
    span: Span,
    /// Its source, where that does not stand in the file as it is: quotes and escapes are taken off, or variables of
    /// the environment are put in.
    text: Option<Arc<str>>,
    /// Whether places within the span mean something.
    has_places: bool,
    mode: Mode,
    env: Environment<'static>,
    rewritten: Rewritten,
    variables: Vec<(Arc<str>, Span)>,
    image_variables: Vec<(Arc<str>, Span)>,
}

/// A template's text, filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// The text.
    pub text: Arc<str>,
    /// Byte offsets in the text, ascending, each just after the colon of a role header (or of a field such as `name:`)
    /// that the template or trusted text wrote. What looks like a header and is not listed is data.
    pub headers: Arc<[u32]>,
    /// The images among the inputs: a line that prints as one of them becomes it.
    pub images: Vec<Arc<Blob>>,
}

impl Binding {
    /// An input from outside.
    pub fn data(name: impl Into<Arc<str>>, value: impl Into<Value>) -> Self {
        Self { name: name.into(), value: value.into(), trust: Trust::Data }
    }
}

impl Mode {
    fn style(self) -> Style {
        if self.is_v2() { Style::Plain } else { Style::Python }
    }

    fn options(self) -> Options {
        let is_v2 = self.is_v2();
        Options { trim_blocks: !is_v2, expand_images: self == Self::PromptyV1, open_end: is_v2 }
    }

    fn is_v2(self) -> bool {
        matches!(self, Self::PromptyV2 | Self::Mustache)
    }
}

impl Template {
    /// Parses the part of `file` that is a template.
    ///
    /// # Errors
    /// What Python's jinja2 would refuse, with its place, and what has no meaning here (`include`, `import`,
    /// `extends`).
    pub fn parse(file: &Arc<SourceFile>, span: Span, mode: Mode) -> Result<Self, Problem> {
        Self::parse_source(file, span, None, true, mode)
    }

    /// Parses `text`, or what stands at `span`. With `has_places` the text is as long as what stands there, and a place
    /// in it is one in the file.
    fn parse_source(
        file: &Arc<SourceFile>,
        span: Span,
        text: Option<Arc<str>>,
        has_places: bool,
        mode: Mode,
    ) -> Result<Self, Problem> {
        let source = text.as_deref().unwrap_or_else(|| file.slice(span));
        let in_file = |range: std::ops::Range<usize>| match has_places {
            true => Span::new(span.start as usize + range.start, span.start as usize + range.end),
            false => span,
        };
        let problem = |error: SyntaxError| {
            Problem::error("flow::template", format!("template: {}", error.message))
                .in_file(file)
                .at(in_file(error.at), "")
        };
        if mode == Mode::Mustache {
            let translated = mustache::translate(source).map_err(problem)?;
            let (mut rewritten, _) = rewrite::template(&translated.text, mode.options()).map_err(|error| {
                let at = translated.places.origin(error.at.start)..translated.places.origin(error.at.end);
                problem(SyntaxError { at, ..error })
            })?;
            rewritten.translated = Some(translated.places);
            let env = compiled(engine::mustache(), &rewritten).map_err(problem)?;
            let variables = translated.variables.into_iter().map(|(name, range)| (name, in_file(range))).collect();
            return Ok(Self {
                file: file.clone(),
                span,
                text,
                has_places,
                mode,
                env,
                rewritten,
                variables,
                image_variables: Vec::new(),
            });
        }
        let (rewritten, pieces) = rewrite::template(source, mode.options()).map_err(problem)?;
        let base = engine::base(mode.style());
        check::tags(source, &pieces, base).map_err(problem)?;
        let tokens: Vec<&[Token]> = pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Print(tag) | Piece::Block(tag) => Some(&*tag.tokens),
                Piece::Text(_) => None,
            })
            .collect();
        let images = rewritten.images.iter().map(|range| (Arc::from(&source[range.clone()]), in_file(range.clone())));
        let image_variables = images.collect();
        let env = compiled(base, &rewritten).map_err(problem)?;
        let undeclared = env.get_template(engine::NAME).map(|template| template.undeclared_variables(false));
        let variables = check::variables(source, &undeclared.unwrap_or_default(), &tokens);
        let variables = variables.into_iter().map(|(name, range)| (name, in_file(range))).collect();
        Ok(Self { file: file.clone(), span, text, has_places, mode, env, rewritten, variables, image_variables })
    }

    /// Parses a whole file.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn parse_file(file: &Arc<SourceFile>, mode: Mode) -> Result<Self, Problem> {
        Self::parse(file, Span::new(0, file.text().len()), mode)
    }

    /// The variables that a caller may give, each with the place where it is first read.
    #[must_use]
    pub fn variables(&self) -> &[(Arc<str>, Span)] {
        &self.variables
    }

    /// The variables that stand in image markdown, `![image]({{x}})`: they are inputs of type image.
    #[must_use]
    pub fn image_variables(&self) -> &[(Arc<str>, Span)] {
        &self.image_variables
    }

    /// Whether a line of its own is, or may become, a role header: `user:`, `{{ role }}:`.
    #[must_use]
    pub fn has_role_header(&self) -> bool {
        marks::is_marked(&self.rewritten.text)
    }

    /// Whose habits it follows.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The file that it stands in.
    #[must_use]
    pub fn file(&self) -> &Arc<SourceFile> {
        &self.file
    }

    /// Its source text.
    #[must_use]
    pub fn source(&self) -> &str {
        self.text.as_deref().unwrap_or_else(|| self.file.slice(self.span))
    }

    /// Fills it in. A variable without a binding is undefined: it prints as nothing, and reading an attribute of it
    /// fails.
    ///
    /// # Errors
    /// What fails in Python, in Python's words, with its place; and what goes beyond the budget.
    pub fn render(&self, inputs: &[Binding], nonce: Nonce) -> Result<Rendered, RenderError> {
        let (rewritten, has_places) = (&self.rewritten, self.has_places);
        let origin = Origin { file: &self.file, span: self.span, rewritten, has_places };
        let mut images = Vec::new();
        let variables = inputs.iter().map(|binding| {
            collect_images(&binding.value, &mut images);
            (binding.name.clone(), self.item(binding, nonce))
        });
        let mut root = Item::from_object(inputs::Variables(variables.collect()));
        if self.mode == Mode::Mustache {
            // Any name may be an input's there, those of the translation's own variables too.
            root = Item::from_object(inputs::Variables(vec![(context::ROOT.into(), root)]));
        }
        let mut text = Text::with_capacity(2 * self.rewritten.text.len());
        let template = self.env.get_template(engine::NAME).map_err(|error| origin.error(&error))?;
        let rendered = engine::unwinding(|| template.render_captured_to(root, &mut text).map(|_| ()));
        rendered.map_err(|error| origin.error(&error))?;
        let (text, headers) = marks::take(text.into_string());
        Ok(Rendered { text: text.into(), headers: headers.into(), images })
    }

    fn item(&self, binding: &Binding, nonce: Nonce) -> Item {
        let origin = inputs::Origin { author: binding.trust == Trust::Author, lines: self.mode == Mode::Llm };
        if self.mode.is_v2() && binding.value.get("_kind").and_then(Value::as_str) == Some("thread") {
            return Item::from(thread_placeholder(&binding.name, nonce));
        }
        if let (Trust::Headers(headers), Value::Str(text)) = (&binding.trust, &binding.value) {
            // The offsets are of the text as it is; what looks like a mark in it goes first, byte for byte.
            let clean = marks::clean(text);
            return marks::mark_at(&clean, headers).map_or_else(|| Item::from(clean), Item::from);
        }
        inputs::item(&binding.value, origin)
    }
}

/// Whether an author's text has a line that is a role header.
#[must_use]
pub fn has_role_header(text: &str) -> bool {
    marks::mark_headers(text).is_some()
}

/// What stands in a rendered prompty of version 2 where the turns of a thread input belong. An input is a thread if
/// its value is a map with `_kind: thread`.
#[must_use]
pub fn thread_placeholder(name: &str, nonce: Nonce) -> String {
    format!("__PROMPTY_THREAD_{:08x}_{name}__", nonce.0 as u32)
}

/// An environment with a rewritten source in it, compiled.
fn compiled(base: &Environment<'static>, rewritten: &Rewritten) -> Result<Environment<'static>, SyntaxError> {
    let mut env = base.clone();
    // Nothing of the source is computed here: what minijinja would fold is a filter by now.
    env.add_template_owned(engine::NAME, rewritten.text.clone()).map_err(|error| syntax_error(&error, rewritten))?;
    Ok(env)
}

/// What minijinja says of a rewritten source, in the words and places of the author's.
fn syntax_error(error: &minijinja::Error, rewritten: &Rewritten) -> SyntaxError {
    let range = error.range().filter(|range| rewritten.text.get(range.clone()).is_some()).unwrap_or_else(|| {
        let lines = error.line().unwrap_or(1).saturating_sub(1);
        let start = rewritten.text.split_inclusive('\n').take(lines).map(str::len).sum::<usize>();
        start..start
    });
    let at = rewritten.origin(range.start)..rewritten.origin(range.end).max(rewritten.origin(range.start));
    SyntaxError { message: error.detail().unwrap_or("this is no template").to_owned(), at }
}

fn collect_images(value: &Value, images: &mut Vec<Arc<Blob>>) {
    match value {
        Value::Blob(blob) => images.push(blob.clone()),
        Value::List(items) => items.iter().for_each(|item| collect_images(item, images)),
        Value::Map(map) => map.values().for_each(|item| collect_images(item, images)),
        _ => {}
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.file.position(self.span.start);
        out.debug_struct("Template")
            .field("file", &self.file.name())
            .field("line", &place.line)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
