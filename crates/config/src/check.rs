//! What is wrong with a settings file by its shape, before any variable is looked up.

use std::time::Duration;

use sluicegate_source::suggest::nearest;
use sluicegate_source::yaml::{Document, Entry, Node};
use sluicegate_source::{Problem, Severity};
use sluicegate_value::{Value, duration};

use crate::aliases::{CONNECTION_TYPES, connection_type};
use crate::connection_file;
use crate::keys::{
    AI_STUDIO_KEYS, AOAI_KEYS, AUTH_KEYS, CLIENT_CERTIFICATE_KEYS, DEPLOYED_KEYS, DEPLOYMENT_KEYS, HTTP_KEYS,
    PASTED_KEYS, PYTHON_KEYS, RETRY_KEYS, SECTION_KEYS, STORE_KEYS, TELEMETRY_KEYS, TIMEOUT_KEYS, TOP_KEYS,
    of_connection,
};
use crate::variables::looks_secret;

/// What is wrong with a file.
pub(crate) struct Found {
    /// What nobody can go on with; warnings are among it.
    pub(crate) problems: Vec<Problem>,
    /// Written numbers and times that do not fit. Whoever asks for one hears of it; who cannot get so far, hears of all.
    pub(crate) values: Vec<Problem>,
}

/// Finds everything that is wrong with a file.
pub(crate) fn check(document: &Document) -> Found {
    let mut checker = Checker { document, problems: Vec::new(), values: Vec::new() };
    checker.file();
    checker.problems.sort_by_key(|problem| problem.labels.first().map(|label| label.span.start));
    Found { problems: checker.problems, values: checker.values }
}

struct Checker<'a> {
    document: &'a Document,
    problems: Vec<Problem>,
    values: Vec<Problem>,
}

impl Checker<'_> {
    fn file(&mut self) {
        let root = &self.document.root;
        if root.as_scalar().is_some_and(Value::is_null) {
            return;
        }
        let Some(entries) = self.map(root, "the file") else { return };
        for entry in entries {
            match &*entry.key {
                "connections" => self.each(entry, Self::connection),
                "flow_configs" => self.each(entry, Self::section),
                "deployment_configs" => self.each(entry, |checker, deployment| {
                    checker.keys(deployment, DEPLOYED_KEYS, Severity::Warning);
                }),
                "prices" => self.each(entry, |checker, price| {
                    checker.keys(price, &["input", "cached_input", "output"], Severity::Error);
                }),
                "telemetry" => self.keys(entry, TELEMETRY_KEYS, Severity::Error),
                "store" => self.keys(entry, STORE_KEYS, Severity::Error),
                "http" => self.keys(entry, HTTP_KEYS, Severity::Error),
                "python" => self.python(entry),
                "aoai_config" => self.keys(entry, AOAI_KEYS, Severity::Warning),
                "aistudio_config" => self.keys(entry, AI_STUDIO_KEYS, Severity::Warning),
                "max_in_flight" => self.count(entry, ""),
                _ => self.key(entry, "the file", TOP_KEYS, Severity::Warning),
            }
        }
    }

    /// The entries of a map; `null` has none, and all else is a problem.
    fn map<'a>(&mut self, node: &'a Node, name: &str) -> Option<&'a [Entry]> {
        if node.as_map().is_none() && !node.as_scalar().is_some_and(Value::is_null) {
            self.problems.push(
                Problem::error("config::wrong_type", format!("{name} takes a map, not {}", node.described()))
                    .in_file(&self.document.file)
                    .at(node.span, ""),
            );
        }
        node.as_map()
    }

    fn each(&mut self, entry: &Entry, check: impl Fn(&mut Self, &Entry)) {
        for entry in self.map(&entry.value, &format!("`{}`", entry.key)).unwrap_or_default() {
            check(self, entry);
        }
    }

    fn keys(&mut self, entry: &Entry, known: &[&str], severity: Severity) {
        self.keys_of(entry, &format!("`{}`", entry.key), known, severity);
    }

    fn keys_of(&mut self, entry: &Entry, name: &str, known: &[&str], severity: Severity) {
        for entry in self.map(&entry.value, name).unwrap_or_default() {
            self.key(entry, name, known, severity);
        }
    }

    fn key(&mut self, entry: &Entry, owner: &str, known: &[&str], severity: Severity) {
        if known.contains(&&*entry.key) {
            return;
        }
        let problem = Problem::error("config::unknown_key", format!("{owner} has no key `{}`", entry.key));
        let help = match nearest(&entry.key, known.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("it takes {}", listed(known)),
        };
        let problem = Problem { severity, ..problem };
        self.problems.push(problem.in_file(&self.document.file).at(entry.key_span, "").help(help));
    }

    fn section(&mut self, entry: &Entry) {
        for entry in self.map(&entry.value, &format!("`{}`", entry.key)).unwrap_or_default() {
            let known = SECTION_KEYS.iter().copied().chain(["standard_flow_path"]);
            let slip = |name: &str| {
                !entry.key.starts_with(name)
                    && strsim::damerau_levenshtein(name, &entry.key) <= 2
                    && entry.key.len() > 4
            };
            if SECTION_KEYS.contains(&&*entry.key) {
                match &*entry.key {
                    "http" => self.keys(entry, HTTP_KEYS, Severity::Error),
                    "python" => self.python(entry),
                    _ => {}
                }
                continue;
            }
            if let Some(name) = known.into_iter().find(|name| &*entry.key != *name && slip(name)) {
                self.problems.push(
                    Problem::warning(
                        "config::unknown_key",
                        format!("`{}` reaches the flow as a value of its own", entry.key),
                    )
                    .in_file(&self.document.file)
                    .at(entry.key_span, "")
                    .help(format!("did you mean `{name}`?")),
                );
            }
        }
    }

    fn connection(&mut self, entry: &Entry) {
        let name = format!("connection `{}`", entry.key);
        let path = format!("connections.{}.", entry.key);
        let Some(entries) = self.map(&entry.value, &name) else { return };
        for entry in entries {
            let is_map = entry.value.as_map().is_some();
            match &*entry.key {
                "timeout" => self.keys(entry, TIMEOUT_KEYS, Severity::Error),
                "retry" => self.keys(entry, RETRY_KEYS, Severity::Error),
                "auth" if is_map => {
                    self.keys(entry, AUTH_KEYS, Severity::Error);
                    self.each(entry, Self::written_secret);
                }
                "client_certificate" if is_map => self.keys(entry, CLIENT_CERTIFICATE_KEYS, Severity::Error),
                "deployments" => self.each(entry, |checker, deployment| {
                    let name = format!("deployment `{}`", deployment.key);
                    checker.keys_of(deployment, &name, DEPLOYMENT_KEYS, Severity::Error);
                }),
                "headers" | "query" | "configs" => self.each(entry, Self::written_secret),
                // Whatever it is called.
                "secrets" => self.each(entry, Self::written_value),
                "max_in_flight" | "requests_per_minute" | "tokens_per_minute" => self.count(entry, &path),
                _ => {}
            }
            for inner in entry.value.as_map().unwrap_or_default() {
                let path = format!("{path}{}.", entry.key);
                match (&*entry.key, &*inner.key) {
                    ("timeout", "connect" | "first_byte" | "total") => self.time(inner, &path, Duration::from_nanos(1)),
                    ("retry", "initial" | "max") => self.time(inner, &path, Duration::ZERO),
                    ("retry", "max_attempts") => self.count(inner, &path),
                    _ => {}
                }
            }
            self.written_secret(entry);
        }
        self.idle_key(&entry.value, &name);
        let Some(type_node) = entry.value.get("type") else { return };
        let Some(written) = type_node.as_str() else { return };
        let type_name = connection_type(written);
        let Some(known) = of_connection(&type_name) else {
            if !CONNECTION_TYPES.contains(&&*type_name) && !written.contains('$') {
                self.unknown_type(&name, type_node, written);
            }
            return;
        };
        for entry in entries.iter().filter(|entry| !PASTED_KEYS.contains(&&*entry.key)) {
            self.key(entry, &name, &known, Severity::Error);
        }
    }

    fn python(&mut self, entry: &Entry) {
        self.keys(entry, PYTHON_KEYS, Severity::Error);
        for inner in entry.value.as_map().unwrap_or_default() {
            match &*inner.key {
                "workers" => self.count(inner, "python."),
                "start_timeout" => self.time(inner, "python.", Duration::from_nanos(1)),
                _ => {}
            }
        }
    }

    /// A key beside an identity is not used: whoever wrote both should know.
    fn idle_key(&mut self, connection: &Node, name: &str) {
        let auth = connection.get("auth").or_else(|| connection.get("auth_mode"));
        let by_identity = auth.is_some_and(|auth| match auth.as_map() {
            Some(_) => auth.get("type").is_none_or(is_entra),
            None => is_entra(auth),
        });
        let key = connection.as_map().unwrap_or_default().iter().find(|entry| &*entry.key == "api_key");
        let Some(key) = key.filter(|key| by_identity && !key.value.as_scalar().is_some_and(Value::is_null)) else {
            return;
        };
        let message = format!("{name} has an `api_key` that is not used: its `auth` is Entra");
        self.problems.push(
            Problem::warning("config::idle_key", message)
                .in_file(&self.document.file)
                .at(key.key_span, "")
                .help("take out one of the two; to send both, put the key into `headers`"),
        );
    }

    /// A written whole number of at least 1; what a variable holds is not known here.
    fn count(&mut self, entry: &Entry, path: &str) {
        let fits = |value: &Value| value.as_int().is_some_and(|number| (1..=i64::from(u32::MAX)).contains(&number));
        self.value(entry, path, "a whole number of at least 1", fits);
    }

    fn time(&mut self, entry: &Entry, path: &str, least: Duration) {
        let fits = |value: &Value| duration::from_value(value).is_ok_and(|time| time >= least);
        let wanted =
            if least.is_zero() { "a duration such as `500ms`, `10s` or `2m`" } else { "a duration longer than 0" };
        self.value(entry, path, wanted, fits);
    }

    fn value(&mut self, entry: &Entry, path: &str, wanted: &str, fits: impl Fn(&Value) -> bool) {
        let value = entry.value.to_value();
        if value.is_null() || value.as_str().is_some_and(|text| text.is_empty() || text.contains('$')) || fits(&value) {
            return;
        }
        let message = format!("`{path}{}` takes {wanted}", entry.key);
        self.values
            .push(Problem::error("config::wrong_type", message).in_file(&self.document.file).at(entry.value.span, ""));
    }

    fn unknown_type(&mut self, name: &str, node: &Node, written: &str) {
        let help = match nearest(written, CONNECTION_TYPES.iter().copied()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("known types: {}", listed(CONNECTION_TYPES)),
        };
        self.problems.push(
            Problem::error("config::unknown_connection_type", format!("{name} has an unknown type `{written}`"))
                .in_file(&self.document.file)
                .at(node.span, "")
                .help(help),
        );
    }

    /// A key in a file that is committed is no secret any more. The problem has no snippet, since that would show it.
    fn written_secret(&mut self, entry: &Entry) {
        if looks_secret(&entry.key) {
            self.written_value(entry);
        }
    }

    fn written_value(&mut self, entry: &Entry) {
        let Some(text) = entry.value.as_str() else { return };
        if text.contains('$') || text.len() < 12 {
            return;
        }
        let file = &self.document.file;
        let line = file.position(entry.key_span.start).line;
        self.problems.push(
            Problem::warning(
                "config::written_secret",
                format!("{}:{line} holds the value of `{}` itself", file.name(), entry.key),
            )
            .help("put the value into a variable or `.env`, and write `${NAME}` here"),
        );
    }
}

fn is_entra(node: &Node) -> bool {
    node.as_str().and_then(connection_file::way_of) == Some(connection_file::Way::Entra)
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
