//! Settings as the types that their readers want.

use std::str::FromStr;
use std::time::Duration;

use sluicegate_source::Problem;
use sluicegate_source::yaml;
use sluicegate_value::{Value, duration, python, size};

use crate::layers::{Leaf, Table, Tree};
use crate::{Secret, Setting, Variables, interpolate};

/// Keys of one table, read with their variables looked up.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    table: &'a Table,
    /// The dotted key of the table, for problems.
    path: &'a str,
    variables: &'a Variables,
}

/// What a key holds that is missing, `null` or an empty text: nothing.
type Maybe<T> = Result<Option<T>, Problem>;

impl<'a> Reader<'a> {
    pub(crate) fn new(table: &'a Table, path: &'a str, variables: &'a Variables) -> Self {
        Self { table, path, variables }
    }

    pub(crate) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// A scalar or list with its variables looked up.
    pub(crate) fn setting(&self, key: &str) -> Maybe<Setting> {
        match self.table.get(key) {
            None => Ok(None),
            Some(tree) => {
                resolve_tree(tree, &self.key(key), self.variables).map(|setting| Some(setting).filter(present))
            }
        }
    }

    /// A text that must not be empty where its key is written: what is empty would mean a default that nobody asked for.
    pub(crate) fn written_text(&self, key: &str) -> Maybe<String> {
        match self.text(key)? {
            Some(text) if !text.trim().is_empty() => Ok(Some(text)),
            _ => match self.table.get(key) {
                Some(tree) => Err(self.empty(key, &resolve_tree(tree, &self.key(key), self.variables)?)),
                None => Ok(None),
            },
        }
    }

    /// A secret; `null` is none, an empty one is a problem.
    pub(crate) fn written_secret(&self, key: &str) -> Maybe<Secret> {
        match self.table.get(key) {
            Some(Tree::Leaf(leaf)) if leaf.value.is_null() => Ok(None),
            _ => match self.written_text(key)? {
                Some(text) if is_placeholder(&text) => {
                    let message = format!("`{}` holds a placeholder and no secret", self.key(key));
                    let problem = self.problem(key, "config::placeholder", message);
                    Err(problem.help("put the secret into a variable or `.env`, and write `${NAME}` here"))
                }
                text => Ok(text.map(Secret::new)),
            },
        }
    }

    fn empty(&self, key: &str, setting: &Setting) -> Problem {
        let problem = Problem::error("config::missing_key", format!("`{}` is empty", self.key(key)));
        let problem = setting.origin.mark(problem, "");
        match setting.variables.first() {
            Some((_, origin)) => problem.help(format!("the value comes from {origin}: set it, or leave `{key}` out")),
            None => problem.help(format!("give it a value, or leave `{key}` out")),
        }
    }

    /// A duration longer than nothing.
    pub(crate) fn wait(&self, key: &str) -> Maybe<Duration> {
        match self.duration(key)? {
            Some(Duration::ZERO) => {
                let message = format!("`{}` takes a duration longer than 0", self.key(key));
                Err(self.problem(key, "config::wrong_type", message))
            }
            other => Ok(other),
        }
    }

    fn scalar(&self, key: &str, wanted: &str) -> Maybe<Setting> {
        let Some(setting) = self.setting(key)? else { return Ok(None) };
        match setting.value {
            Value::List(_) | Value::Map(_) => Err(self.mismatch(key, &setting, wanted)),
            _ => Ok(Some(setting)),
        }
    }

    /// A text; a number or boolean as it prints.
    pub(crate) fn text(&self, key: &str) -> Maybe<String> {
        Ok(self.scalar(key, "text")?.map(|setting| match &setting.value {
            Value::Str(text) => text.to_string(),
            Value::Bool(flag) => flag.to_string(),
            other => python::str(other),
        }))
    }

    /// A whole number of at least `min`; a text only if it is what a single variable holds.
    pub(crate) fn whole_number<T: FromStr + PartialOrd>(&self, key: &str, min: T, wanted: &str) -> Maybe<T> {
        let Some(setting) = self.scalar(key, wanted)? else { return Ok(None) };
        let text = match typed(&setting) {
            Value::Int(number) => number.to_string(),
            _ => String::new(),
        };
        match text.parse().ok().filter(|number| *number >= min) {
            Some(number) => Ok(Some(number)),
            None => Err(self.mismatch(key, &setting, wanted)),
        }
    }

    /// A number of at least 0.
    pub(crate) fn amount(&self, key: &str) -> Maybe<f64> {
        let wanted = "a number of at least 0";
        let Some(setting) = self.scalar(key, wanted)? else { return Ok(None) };
        match typed(&setting) {
            Value::Int(number) if number >= 0 => Ok(Some(number as f64)),
            Value::Float(number) if number >= 0.0 && number.is_finite() => Ok(Some(number)),
            _ => Err(self.mismatch(key, &setting, wanted)),
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Maybe<bool> {
        let wanted = "`true` or `false`";
        let Some(setting) = self.scalar(key, wanted)? else { return Ok(None) };
        match typed(&setting) {
            Value::Bool(flag) => Ok(Some(flag)),
            _ => Err(self.mismatch(key, &setting, wanted)),
        }
    }

    /// `500ms`, `10s`, `1m 30s`, or seconds as a number: see [`duration`].
    pub(crate) fn duration(&self, key: &str) -> Maybe<Duration> {
        let wanted = "a duration such as `500ms`, `10s` or `2m`";
        let Some(setting) = self.scalar(key, wanted)? else { return Ok(None) };
        match duration::from_value(&typed(&setting)) {
            Ok(duration) => Ok(Some(duration)),
            Err(_) => Err(self.mismatch(key, &setting, wanted)),
        }
    }

    /// A list of texts; a single one stands for a list of one. An empty list is a list.
    pub(crate) fn texts(&self, key: &str) -> Maybe<Vec<String>> {
        let wanted = "a list of texts";
        let Some(setting) = self.setting(key)? else { return Ok(None) };
        let one = |value: &Value| match value {
            Value::Str(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            _ => None,
        };
        let texts = match &setting.value {
            Value::List(list) => list.iter().map(one).collect(),
            single => one(single).map(|text| vec![text]),
        };
        texts.map(Some).ok_or_else(|| self.mismatch(key, &setting, wanted))
    }

    /// `on`, `off`, `true` or `false`.
    pub(crate) fn switch(&self, key: &str) -> Maybe<bool> {
        let wanted = "`on` or `off`";
        let Some(setting) = self.scalar(key, wanted)? else { return Ok(None) };
        match typed(&setting) {
            Value::Bool(flag) => Ok(Some(flag)),
            Value::Str(text) if text.eq_ignore_ascii_case("on") => Ok(Some(true)),
            Value::Str(text) if text.eq_ignore_ascii_case("off") => Ok(Some(false)),
            _ => Err(self.mismatch(key, &setting, wanted)),
        }
    }

    /// `512KiB`, `10MB`, or bytes as a number, of at least 1: see [`size`].
    pub(crate) fn size(&self, key: &str) -> Maybe<u64> {
        let wanted = "a size such as `512KiB` or `10MB`, or a number of bytes";
        let Some(setting) = self.scalar(key, wanted)? else { return Ok(None) };
        match size::from_value(&typed(&setting)).filter(|bytes| *bytes > 0) {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(self.mismatch(key, &setting, wanted)),
        }
    }

    /// Whether a key is written with anything but `null`.
    pub(crate) fn has(&self, key: &str) -> bool {
        match self.table.get(key) {
            None => false,
            Some(Tree::Leaf(leaf)) => !leaf.value.is_null(),
            Some(Tree::Table(_)) => true,
        }
    }

    /// Whether a key is written as a map.
    pub(crate) fn is_table(&self, key: &str) -> bool {
        matches!(self.table.get(key), Some(Tree::Table(_)))
    }

    /// The keys of the table, in order, but for those that are `null`.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'a str> {
        let reader = *self;
        self.table.keys().map(|key| &**key).filter(move |key| reader.has(key))
    }

    /// Who set a key, in brackets; nothing if that has no name.
    pub(crate) fn origin(&self, key: &str) -> String {
        match self.table.get(key).and_then(Tree::first_leaf).map(|leaf| &leaf.origin) {
            None | Some(crate::Origin::Default) => String::new(),
            Some(origin) => format!(" ({origin})"),
        }
    }

    /// The table below a key.
    pub(crate) fn table(&self, key: &str) -> Maybe<&'a Table> {
        match self.table.get(key) {
            None => Ok(None),
            Some(Tree::Table(table)) => Ok(Some(table)),
            Some(Tree::Leaf(leaf)) if leaf.value.is_null() => Ok(None),
            Some(Tree::Leaf(leaf)) => {
                let problem = Problem::error("config::wrong_type", format!("`{}` takes a map", self.key(key)));
                Err(leaf.origin.mark(problem, ""))
            }
        }
    }

    /// A problem at the place of a key.
    pub(crate) fn problem(&self, key: &str, code: &'static str, message: String) -> Problem {
        let leaf = self.table.get(key).and_then(Tree::first_leaf);
        let problem = Problem::error(code, message);
        leaf.map_or_else(|| problem.clone(), |leaf| leaf.origin.mark(problem.clone(), ""))
    }

    /// "takes a number, not `abc`": the value is only repeated if a file shows it anyway.
    fn mismatch(&self, key: &str, setting: &Setting, wanted: &str) -> Problem {
        let given = match &setting.value {
            _ if setting.secret => String::new(),
            Value::List(_) => ", not a list".to_owned(),
            Value::Map(_) => ", not a map".to_owned(),
            _ if setting.variables.is_empty() => format!(", not `{}`", setting.shown()),
            _ => String::new(),
        };
        let problem = Problem::error("config::wrong_type", format!("`{}` takes {wanted}{given}", self.key(key)));
        let problem = setting.origin.mark(problem, "");
        match (&setting.variables.first(), &setting.origin) {
            (Some((_, origin)), _) => problem.help(format!("the value comes from {origin}")),
            (None, crate::Origin::File { .. } | crate::Origin::Default) => problem,
            (None, origin) => problem.help(format!("the value comes from {origin}")),
        }
    }
}

/// What stands in files for a secret that somebody has yet to give: `<user-input>`, `<your-key>`, `to_replace_with_…`, and
/// the stars by which prompt flow shows one.
pub(crate) fn is_placeholder(text: &str) -> bool {
    let text = text.trim();
    let in_brackets = text.len() > 2 && text.starts_with('<') && text.ends_with('>') && !text[1..].contains('<');
    let is_stars = text.len() >= 3 && text.bytes().all(|byte| byte == b'*');
    in_brackets || is_stars || text.to_ascii_lowercase().starts_with("to_replace_with")
}

/// A tree with all its variables looked up, as one setting.
pub(crate) fn resolve_tree(tree: &Tree, key: &str, variables: &Variables) -> Result<Setting, Problem> {
    match tree {
        Tree::Leaf(leaf) => interpolate::resolve(leaf, key, variables),
        Tree::Table(table) => {
            let mut resolved = Vec::with_capacity(table.len());
            for (name, tree) in table {
                resolved.push((name.clone(), resolve_tree(tree, &format!("{key}.{name}"), variables)?));
            }
            let origin = tree.first_leaf().map_or(crate::Origin::Default, |Leaf { origin, .. }| origin.clone());
            Ok(Setting {
                origin,
                variables: resolved.iter().flat_map(|(_, setting)| setting.variables.iter().cloned()).collect(),
                secret: resolved.iter().any(|(_, setting)| setting.secret),
                whole: false,
                value: resolved
                    .into_iter()
                    .map(|(name, setting)| (name, setting.value))
                    .collect::<sluicegate_value::Map>()
                    .into(),
            })
        }
    }
}

fn present(setting: &Setting) -> bool {
    !setting.value.is_null() && setting.value.as_str() != Some("")
}

/// What a single variable holds is text, and means what a file would mean by the same text.
fn typed(setting: &Setting) -> Value {
    match &setting.value {
        Value::Str(text) if setting.whole => yaml::plain_scalar(text.trim()),
        other => other.clone(),
    }
}
