//! minijinja, set up to behave as Python's jinja2 does for prompt flow.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Rest;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value as Item};

use super::context;
use super::guards;
use super::methods;
use super::print::{self, Style};
use super::{arithmetic, filters};

/// The name that a template has in its environment.
pub(super) const NAME: &str = "template";

static PYTHON: LazyLock<Environment<'static>> = LazyLock::new(|| environment(Style::Python, true));
static PLAIN: LazyLock<Environment<'static>> = LazyLock::new(|| environment(Style::Plain, false));
static MUSTACHE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut env = environment(Style::Plain, false);
    // Unlike Jinja, mustache keeps the last line break.
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        env.set_syntax(syntax);
    }
    context::add_to(&mut env);
    env
});

/// The environment for a style of printing; cheap to clone.
pub(super) fn base(style: Style) -> &'static Environment<'static> {
    match style {
        Style::Python => &PYTHON,
        Style::Plain => &PLAIN,
    }
}

/// The environment of translated mustache templates.
pub(super) fn mustache() -> &'static Environment<'static> {
    &MUSTACHE
}

/// Where a rendered text goes: no further than [`guards::TEXT`].
#[derive(Default)]
pub(super) struct Text(Vec<u8>);

impl Text {
    /// For a text of about so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(super) fn into_string(self) -> String {
        String::from_utf8(self.0).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

impl io::Write for &mut Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > guards::TEXT {
            return Err(io::Error::other(format!(
                "{}the text is longer than {} MiB",
                guards::LIMIT,
                guards::TEXT >> 20
            )));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a template; a panic of the engine fails this render, not the run that it is part of.
pub(super) fn unwinding<T>(run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    // No panic is known to be reachable: those of minijinja's slices and of its constant folding are avoided by
    // `rewrite`, and property tests look for more. But one line's data must never end a batch of others, and a panic's
    // report on stderr is then wanted. Nothing of a render outlives it, so nothing half done can be seen.
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::InvalidOperation, "the template engine failed on this input")))
}

/// What an expression gave, until the render that computed it ends.
pub(super) struct Outcome(pub(super) Item);

fn environment(style: Style, trim_blocks: bool) -> Environment<'static> {
    let mut env = Environment::new();
    // Prompt flow trims line breaks behind blocks and keeps the last one; version 2 of prompty does neither.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(trim_blocks).keep_trailing_newline(trim_blocks).build() {
        env.set_syntax(syntax);
    }
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_undefined_behavior(UndefinedBehavior::Lenient);
    // For the places of errors: minijinja keeps the spans of failing instructions only so.
    env.set_debug(true);
    env.set_fuel(Some(guards::FUEL));
    env.set_recursion_limit(guards::RECURSION);
    env.set_formatter(move |out: &mut Output<'_>, state: &mut State<'_, '_>, item: &Item| {
        if let Some(text) = item.as_str() {
            guards::spend(state, text.len())?;
            return Ok(out.write_str(text)?);
        }
        let text = print::str(item, style);
        guards::spend(state, text.len())?;
        Ok(out.write_str(&text)?)
    });
    env.set_unknown_method_callback(methods::call);
    minijinja_contrib::add_to_environment(&mut env);
    filters::add_to(&mut env, style);
    arithmetic::add_to(&mut env, style);
    env.remove_global("debug");
    env.add_function("__spend", guards::spend_literal);
    // jinja2's takes the items themselves, minijinja's a list of them.
    env.add_function("cycler", |items: Rest<Item>| minijinja_contrib::globals::cycler(items.0));
    env.add_function("lipsum", |_: Rest<Item>, _: minijinja::value::Kwargs| -> Result<Item, Error> {
        Err(filters::type_error("`lipsum` is not available: a template gives the same text for the same inputs"))
    });
    env.add_filter("__outcome", |state: &mut State<'_, '_>, item: Item| {
        let _ = state.get_or_insert_extension_with(|| Outcome(item));
        Item::UNDEFINED
    });
    env.add_test("boolean", |item: Item| item.kind() == minijinja::value::ValueKind::Bool);
    env
}
