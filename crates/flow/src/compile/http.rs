//! `http` nodes: what is called, with templates over the node's inputs, and what is wrong with that.

use std::sync::Arc;

use sluicegate_source::yaml::{Data, Node as Tree};
use sluicegate_source::{Problem, Span, suggest};
use sluicegate_value::python;

use super::kinds::Inputs;
use super::operand::Scope;
use super::session::Session;
use crate::file::{NodeFile, Written, missing_key, quoted};
use crate::plan::{HttpBody, HttpNode, HttpVariable, JsonTemplate, NodeKind, Operand};
use crate::reference;
use crate::template::Template;
use crate::template::leaf::{Leaf, LeafKind, TAG, VARIABLE};

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/// Headers that say how long the body is and how it comes: whoever sends it says so.
const FRAMING: [&str; 3] = ["content-length", "transfer-encoding", "connection"];

/// What the texts of one node read.
struct Texts<'a> {
    node: &'a Written,
    inputs: &'a Inputs,
    /// The inputs that some template reads.
    read: Vec<Arc<str>>,
    variables: Vec<HttpVariable>,
}

impl Session<'_> {
    pub(super) fn http(
        &mut self,
        scope: &mut Scope,
        name: &Written,
        written: &NodeFile<'_>,
        inputs: &Inputs,
    ) -> Option<NodeKind> {
        let http = &written.http;
        let errors = self.errors();
        let mut texts = Texts { node: name, inputs, read: Vec::new(), variables: Vec::new() };
        if http.url.is_none() {
            let owner = format!("`http` node `{}`", name.text);
            let help = "say what it calls: `url: \"https://api.example.com/search\"`";
            self.report(missing_key(&scope.file, name.at, &owner, "url", help));
        }
        let url = http.url.as_ref().and_then(|url| self.url(scope, &mut texts, url));
        let mut query = Vec::with_capacity(http.query.len());
        for entry in http.query {
            let what = format!("query `{}`", entry.key);
            if entry.value.as_map().is_some() {
                let message = format!("{what} must be text, a number or a list of them, not a map");
                self.report(scope.problem("flow::wrong_type", entry.value.span, message));
                continue;
            }
            let value = self.json_template(scope, &mut texts, &what, &entry.value);
            query.extend(value.map(|value| (entry.key.clone(), value)));
        }
        let mut headers = Vec::with_capacity(http.headers.len());
        for entry in http.headers {
            let value = self.header(scope, &mut texts, &entry.key, entry.key_span, &entry.value);
            headers.extend(value.map(|value| (entry.key.clone(), value)));
        }
        let body = match (&http.json, &http.body) {
            (Some(json), Some(_)) => {
                let message = format!("node `{}` has both `json` and `body`", name.text);
                let other = http.body_at.unwrap_or(name.at);
                self.report(
                    scope
                        .problem("flow::two_bodies", json.key_span, message)
                        .at(other, "the other one")
                        .help("a call has one body: remove one of them"),
                );
                None
            }
            (Some(json), None) => self.json_template(scope, &mut texts, "`json`", &json.value).map(HttpBody::Json),
            (None, Some(body)) => {
                let (leaf, template) = self.template_leaf(scope, &mut texts, body)?;
                self.reference_in_text(scope, &texts, "`body`", &leaf, body.at);
                Some(HttpBody::Text(template))
            }
            (None, None) => None,
        };
        let method = match &http.method {
            Some(method) => self.method(scope, method),
            None => Some(if body.is_some() || http.body_at.is_some() { "POST" } else { "GET" }),
        };
        self.unread_inputs(scope, &texts, written, errors);
        let node = HttpNode {
            method: method?.into(),
            url: url?,
            query,
            headers,
            body,
            any_status: http.any_status,
            redirects: http.redirects,
            max_size: http.max_size,
            variables: texts.variables,
        };
        (self.errors() == errors).then(|| NodeKind::Http(Arc::new(node)))
    }

    fn method(&mut self, scope: &Scope, written: &Written) -> Option<&'static str> {
        let word = written.text.trim().to_ascii_uppercase();
        let known = METHODS.into_iter().find(|method| *method == word);
        if known.is_none() {
            let message = format!("there is no method `{}`", written.text);
            let problem = scope.problem("flow::unknown_method", written.at, message);
            self.report(match suggest::nearest(&word, METHODS) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(format!("known: {}", quoted(METHODS))),
            });
        }
        known
    }

    fn url(&mut self, scope: &mut Scope, texts: &mut Texts<'_>, url: &Written) -> Option<Arc<Template>> {
        let (leaf, template) = self.template_leaf(scope, texts, url)?;
        if self.reference_in_text(scope, texts, "`url`", &leaf, url.at) {
            return None;
        }
        let Some(host_end) = host_end(&leaf.outline) else {
            let message =
                format!("the address of node `{}` does not begin with `http://` or `https://`", texts.node.text);
            self.report(
                scope
                    .problem("flow::bad_url", url.at, message)
                    .help("write the whole address: `https://api.example.com/search`"),
            );
            return None;
        };
        if leaf.outline.trim().contains(|letter: char| is_forbidden(letter) || letter == '\\') {
            let message = format!("the address of node `{}` holds a line break or a backslash", texts.node.text);
            self.report(scope.problem("flow::bad_url", url.at, message).help("write it in one piece"));
            return None;
        }
        let is_of_host = |at: Span| leaf.start.is_none_or(|start| (at.start as usize) < start + host_end);
        let from_data = template.variables().iter().find(|(variable, at)| {
            let is_data = matches!(texts.inputs.get(variable), Some(Operand::Input(_) | Operand::Output { .. }));
            is_data && is_of_host(*at)
        });
        if let Some((variable, at)) = from_data {
            let message = format!(
                "the host of node `{}`'s address comes from data: whoever gives `{variable}` says who is called, and \
                 who gets its headers and body",
                texts.node.text
            );
            self.report(scope.warning("flow::open_host", *at, message).help(
                "write the host and the `/` after it out, or take them from `${env:NAME}`, or let the settings allow \
                 certain hosts only",
            ));
        }
        Some(template)
    }

    fn header(
        &mut self,
        scope: &mut Scope,
        texts: &mut Texts<'_>,
        key: &Arc<str>,
        key_at: Span,
        value: &Tree,
    ) -> Option<Arc<Template>> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if key.is_empty() || !key.bytes().all(is_name) {
            let message = format!("{key:?} is no name of a header");
            let help = "a name has letters, digits and `-`";
            self.report(scope.problem("flow::bad_header", key_at, message).help(help));
            return None;
        }
        if FRAMING.iter().any(|framing| framing.eq_ignore_ascii_case(key)) {
            let message = format!("header `{key}` is not the author's to set: it follows from the body");
            self.report(scope.problem("flow::bad_header", key_at, message).help("remove it"));
            return None;
        }
        let scalar = value.as_scalar()?;
        let text = match scalar.as_str() {
            Some(text) => text.into(),
            None if scalar.is_null() => return None,
            None => python::str(scalar).into(),
        };
        let written = Written { text, at: value.written() };
        let (leaf, template) = self.template_leaf(scope, texts, &written)?;
        if self.reference_in_text(scope, texts, &format!("header `{key}`"), &leaf, value.span) {
            return None;
        }
        if leaf.outline.trim().contains(is_forbidden) {
            let message = format!("header `{key}` holds a line break");
            let help = "write it on one line; `>-` folds long text";
            self.report(scope.problem("flow::bad_header", value.span, message).help(help));
            return None;
        }
        Some(template)
    }

    /// A value with templates in it; problems are reported, and `None` is one.
    fn json_template(
        &mut self,
        scope: &mut Scope,
        texts: &mut Texts<'_>,
        what: &str,
        value: &Tree,
    ) -> Option<JsonTemplate> {
        match &value.data {
            Data::List(items) => {
                let items = items.iter().map(|item| self.json_template(scope, texts, what, item)).collect::<Vec<_>>();
                items.into_iter().collect::<Option<_>>().map(JsonTemplate::List)
            }
            Data::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|entry| Some((entry.key.clone(), self.json_template(scope, texts, what, &entry.value)?)))
                    .collect::<Vec<_>>();
                entries.into_iter().collect::<Option<_>>().map(JsonTemplate::Map)
            }
            Data::Scalar { value: scalar, .. } => {
                let Some(text) = scalar.as_str() else { return Some(JsonTemplate::Literal(scalar.clone())) };
                let mut leaf = match Leaf::read(&scope.file, value.written(), text) {
                    Ok(leaf) => leaf,
                    Err(problem) => {
                        self.report(problem);
                        return None;
                    }
                };
                if self.reference_in_text(scope, texts, what, &leaf, value.span) {
                    return None;
                }
                let kind = std::mem::replace(&mut leaf.kind, LeafKind::Literal);
                Some(match kind {
                    LeafKind::Literal => JsonTemplate::Literal(scalar.clone()),
                    LeafKind::Template(template) => {
                        self.note(scope, texts, &leaf, template.variables());
                        JsonTemplate::Text(Arc::new(template))
                    }
                    LeafKind::Expression(expression) => {
                        self.note(scope, texts, &leaf, expression.variables());
                        JsonTemplate::Value(Arc::new(expression))
                    }
                })
            }
        }
    }

    fn template_leaf(
        &mut self,
        scope: &mut Scope,
        texts: &mut Texts<'_>,
        written: &Written,
    ) -> Option<(Leaf, Arc<Template>)> {
        match Leaf::template(&scope.file, written.at, &written.text) {
            Ok((leaf, template)) => {
                self.note(scope, texts, &leaf, template.variables());
                Some((leaf, Arc::new(template)))
            }
            Err(problem) => {
                self.report(problem);
                None
            }
        }
    }

    /// Notes what a text reads; a problem for each variable that the node does not take.
    fn note(&mut self, scope: &mut Scope, texts: &mut Texts<'_>, leaf: &Leaf, variables: &[(Arc<str>, Span)]) {
        let node = &texts.node.text;
        for (variable, at) in &leaf.environment {
            scope.needs_variable(variable, Some(node), *at);
            if !texts.variables.iter().any(|known| known.name == *variable) {
                texts.variables.push(HttpVariable { name: variable.clone(), value: None, at: scope.place(*at) });
            }
        }
        for (variable, at) in variables {
            if texts.inputs.contains_key(variable) {
                texts.read.push(variable.clone());
                continue;
            }
            let message = format!("node `{node}` reads `{variable}` here, which it does not take");
            let problem = scope.problem("flow::unsupplied_variable", *at, message);
            self.report(match suggest::nearest(variable, texts.inputs.keys().map(|key| &**key)) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(format!("add it to the node's inputs: `{variable}: ${{…}}`")),
            });
        }
    }

    /// A reference in a text is not replaced: inputs are how a node reads. Says whether there is one.
    fn reference_in_text(&mut self, scope: &Scope, texts: &Texts<'_>, what: &str, leaf: &Leaf, at: Span) -> bool {
        let found = reference::embedded(&leaf.outline, |name| scope.names.contains_key(name));
        let Some(found) = found else { return false };
        let message = format!("{what} of node `{}` holds `{found}`, which is not replaced there", texts.node.text);
        let help = format!("give it to the node as an input, `x: {found}`, and write `{{{{ x }}}}`");
        self.report(scope.problem("flow::literal_reference", at, message).help(help));
        true
    }

    /// Inputs that no text reads: most often a slip. Where a text is wrong, nobody knows what it reads.
    fn unread_inputs(&mut self, scope: &Scope, texts: &Texts<'_>, written: &NodeFile<'_>, errors: usize) {
        if self.errors() != errors {
            return;
        }
        for entry in written.inputs.iter().filter(|entry| !texts.read.contains(&entry.key)) {
            let message = format!("input `{}` of node `{}` is used by nothing", entry.key, texts.node.text);
            let problem: Problem = scope.warning("flow::unused_input", entry.key_span, message);
            self.report(problem.help(format!("no template of the node reads `{{{{ {} }}}}`", entry.key)));
        }
    }
}

fn is_forbidden(letter: char) -> bool {
    letter.is_control() && !matches!(letter, '\t' | TAG | VARIABLE)
}

/// Where the host of an address has certainly ended, in bytes of its outline; `None` if it is no HTTP address.
fn host_end(outline: &str) -> Option<usize> {
    let begin = outline.len() - outline.trim_start().len();
    let text = outline.get(begin..)?;
    let lower = text.get(..8).or(text.get(..7)).unwrap_or(text).to_ascii_lowercase();
    let scheme = ["https://", "http://"].into_iter().find(|scheme| lower.starts_with(scheme)).map(str::len);
    let start = match (scheme, text.chars().next()) {
        (Some(length), _) => length,
        (None, Some(TAG | VARIABLE)) => {
            let end = text.find(|letter| !matches!(letter, TAG | VARIABLE)).unwrap_or(text.len());
            end + if text.get(end..)?.starts_with("://") { 3 } else { 0 }
        }
        _ => return None,
    };
    let host = text.get(start..)?;
    // A tag that writes the first `/` may write more of the host before it.
    Some(begin + start + host.find(['/', '?', '#']).unwrap_or(host.len()))
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check(outline: &str, host_end: Option<&str>) {
        let outline = outline.replace('*', "\0").replace('!', "\u{1}");
        let expected = host_end.map(|host| host.replace('*', "\0").replace('!', "\u{1}"));
        assert_eq!(super::host_end(&outline).and_then(|end| outline.get(..end)), expected.as_deref(), "{outline:?}");
    }

    #[test]
    fn a_host_ends_at_the_first_slash_that_the_author_wrote() {
        check("https://a.b/**?x", Some("https://a.b"));
        check(" HTTP://a.b", Some(" HTTP://a.b"));
        check("https://a.b**/c", Some("https://a.b**"));
        check("https://**.b?q", Some("https://**.b"));
        check("!!!/search/**", Some("!!!"));
        check("!!!**", Some("!!!**"));
        check("!!://**/x", Some("!!://**"));
        check("**", Some("**"));
        for other in ["", "ftp://a.b", "a.b/**", "/x", "ht**", "https:/a"] {
            check(other, None);
        }
    }
}
