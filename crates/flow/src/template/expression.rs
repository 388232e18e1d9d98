//! A single expression that gives a value.

use std::fmt;
use std::sync::Arc;

use minijinja::{Environment, Value as Item};
use sluicegate_source::{Problem, SourceFile, Span};
use sluicegate_value::Value;

use super::engine::{self, Outcome, Text};
use super::failure::Origin;
use super::inputs::{self, Variables};
use super::print::Style;
use super::rewrite::{self, Rewritten};
use super::scan::{Scanner, SyntaxError};
use super::{RenderError, check};

/// How deep a returned value may nest.
const DEPTH: usize = 128;

/// An expression, as stands between `{{` and `}}`, parsed and checked; it gives a value, not text.
pub struct Expression {
    file: Arc<SourceFile>,
    span: Span,
    text: Arc<str>,
    has_places: bool,
    env: Environment<'static>,
    rewritten: Rewritten,
    variables: Vec<(Arc<str>, Span)>,
}

impl Expression {
    /// Parses `text`, which stands at `span` of `file` (in whatever quotes).
    ///
    /// # Errors
    /// What is no expression, with its place.
    pub fn parse(file: &Arc<SourceFile>, span: Span, text: &str) -> Result<Self, Problem> {
        let written = file.slice(span);
        // Within quotes the text stands a byte later; with escapes in it, only the whole has a place.
        let start = written.find(text).filter(|_| !text.is_empty()).map(|at| span.start as usize + at);
        let in_file = |range: std::ops::Range<usize>| match start {
            Some(start) => Span::new(start + range.start, start + range.end),
            None => span,
        };
        let problem = |error: SyntaxError| {
            Problem::error("flow::expression", format!("expression: {}", error.message))
                .in_file(file)
                .at(in_file(error.at), "")
        };
        let base = engine::base(Style::Python);
        let tokens = Scanner::new(text, true).expression().map_err(problem)?;
        check::names(text, &tokens, base).map_err(problem)?;
        let rewritten = rewrite::expression(text, &tokens);
        let end = text.trim_end().len();
        let env = super::compiled(base, &rewritten).map_err(|error| {
            // What follows the text is ours: nobody shall read of brackets that he did not write.
            let is_at_end = error.at.start >= end && error.message.contains("unexpected `)`");
            problem(if is_at_end {
                SyntaxError { message: "something is missing at its end".to_owned(), at: error.at }
            } else {
                error
            })
        })?;
        let undeclared = env.get_template(engine::NAME).map(|template| template.undeclared_variables(false));
        let variables = check::variables(text, &undeclared.unwrap_or_default(), &[&tokens]);
        let variables = variables.into_iter().map(|(name, range)| (name, in_file(range))).collect();
        let place = start.map_or(span, |start| Span::new(start, start + text.len()));
        Ok(Self {
            file: file.clone(),
            span: place,
            text: text.into(),
            has_places: start.is_some(),
            env,
            rewritten,
            variables,
        })
    }

    /// The variables that it reads, each with its first place.
    #[must_use]
    pub fn variables(&self) -> &[(Arc<str>, Span)] {
        &self.variables
    }

    /// Its source text.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.text
    }

    /// Its value: integers stay integers, maps keep their order, a tuple becomes a list, what is undefined `null`.
    ///
    /// # Errors
    /// What fails in Python, in Python's words; and what goes beyond the budget.
    pub fn eval(&self, inputs: &[(Arc<str>, Value)]) -> Result<Value, RenderError> {
        let origin =
            Origin { file: &self.file, span: self.span, rewritten: &self.rewritten, has_places: self.has_places };
        let variables =
            inputs.iter().map(|(name, value)| (name.clone(), inputs::item(value, inputs::Origin::default())));
        let root = Item::from_object(Variables(variables.collect()));
        let fail = |error: minijinja::Error| origin.error(&error);
        let template = self.env.get_template(engine::NAME).map_err(fail)?;
        let mut text = Text::default();
        let value = engine::unwinding(|| {
            let captured = template.render_captured_to(root, &mut text)?;
            let outcome = captured.state().get_extension::<Outcome>();
            outcome.map_or(Ok(Value::Null), |outcome| inputs::value(&outcome.0, DEPTH))
        });
        value.map_err(fail)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Expression({})", self.text)
    }
}
