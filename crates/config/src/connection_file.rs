//! A connection as the file has it, with its variables looked up.

use std::sync::Arc;

use sluicegate_source::Problem;
use sluicegate_value::{Map, Value};

use crate::address::{self, AddressFault};
use crate::aliases::{CONNECTION_TYPES, connection_type};
use crate::layers::{Table, Tree};
use crate::reader::Reader;
use crate::{Connection, ConnectionKind, Limits, Origin, Project, Retry, Secret, Timeouts, Variables};

/// The API version that prompt flow takes if a connection names none.
const DEFAULT_API_VERSION: &str = "2024-02-01";
const OPEN_AI: &str = "https://api.openai.com/v1";
/// Keys that a variable `<CONNECTION>_<KEY>` may give where no file does, as prompt flow allows.
const FILLED_FROM_VARIABLES: &[&str] = &["api_key", "api_base", "base_url", "api_version", "organization"];

/// Collects problems and goes on with a stand-in.
struct Collected(Vec<Problem>);

impl Collected {
    fn or<T>(&mut self, result: Result<Option<T>, Problem>, default: T) -> T {
        self.maybe(result).unwrap_or(default)
    }

    fn maybe<T>(&mut self, result: Result<Option<T>, Problem>) -> Option<T> {
        result.unwrap_or_else(|problem| {
            self.0.push(problem);
            None
        })
    }
}

/// Reads one connection; every problem with it is told.
pub(crate) fn read(
    name: &str,
    table: &Table,
    max_in_flight: usize,
    project: &Project,
    variables: &Variables,
) -> Result<Connection, Vec<Problem>> {
    let path = format!("connections.{name}");
    let mut table = table.clone();
    fill_from_variables(name, &mut table, variables);
    let reader = Reader::new(&table, &path, variables);
    let mut problems = Collected(Vec::new());

    let defaults = Limits { max_in_flight, ..Limits::default() };
    let per_minute = "a whole number of at least 1";
    let limits = Limits {
        max_in_flight: problems.or(reader.whole_number("max_in_flight", 1, per_minute), defaults.max_in_flight),
        requests_per_minute: problems.maybe(reader.whole_number("requests_per_minute", 1, per_minute)),
        tokens_per_minute: problems.maybe(reader.whole_number("tokens_per_minute", 1, per_minute)),
    };
    let timeouts = timeouts(&reader, variables, &mut problems);
    let retry = retry(&reader, variables, &mut problems);
    let kind = kind(name, &reader, project, &mut problems);
    match kind {
        Some(kind) if problems.0.is_empty() => Ok(Connection { name: name.into(), kind, limits, timeouts, retry }),
        _ => Err(problems.0),
    }
}

/// The connection that an older file's `aoai_config` describes, as a section of today.
pub(crate) fn from_aoai_config(aoai: &Table, section: &Tree) -> Table {
    let mut table = Table::new();
    let mut take = |old: &str, new: &str| {
        let tree = section.get(old).or_else(|| aoai.get(old));
        if let Some(tree) = tree {
            table.insert(new.into(), tree.clone());
        }
    };
    take("aoai_api_base", "api_base");
    take("aoai_api_key", "api_key");
    take("aoai_api_version", "api_version");
    take("aoai_api_type", "api_type");
    table
}

/// The connection that a prompty describes in itself (version 1's `configuration`, version 2's `connection`), its
/// variables looked up already. What it leaves out comes from the variables that prompt flow reads then.
pub(crate) fn from_prompty(provider: Option<&str>, configuration: &Map) -> Table {
    let mut table = Table::new();
    let given = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| configuration.get(name))
            .filter(|value| !value.is_null() && value.as_str() != Some(""))
    };
    let kind = given(&["type"]).and_then(Value::as_str).or(provider).unwrap_or_default();
    let is_azure = kind.contains("azure") || kind == "foundry" || given(&["azure_endpoint"]).is_some();
    let mut put = |key: &str, names: &[&str], variable: Option<&str>| {
        let value = given(names).cloned().or_else(|| variable.map(|name| Value::from(format!("${{{name}}}"))));
        if let Some(value) = value {
            table.insert(key.into(), Tree::leaf(value, Origin::Default));
        }
    };
    if is_azure {
        put("api_base", &["azure_endpoint", "endpoint", "api_base"], Some("AZURE_OPENAI_ENDPOINT"));
        put("api_key", &["api_key", "apiKey"], Some("AZURE_OPENAI_API_KEY"));
        put("api_version", &["api_version", "apiVersion"], None);
        table.insert("type".into(), Tree::leaf(Value::from("azure_open_ai"), Origin::Default));
    } else {
        put("base_url", &["base_url", "endpoint"], None);
        put("api_key", &["api_key", "apiKey"], Some("OPENAI_API_KEY"));
        put("organization", &["organization"], None);
        table.insert("type".into(), Tree::leaf(Value::from("open_ai"), Origin::Default));
    }
    table
}

fn fill_from_variables(name: &str, table: &mut Table, variables: &Variables) {
    for key in FILLED_FROM_VARIABLES {
        let variable = format!("{name}_{key}").to_ascii_uppercase().replace([' ', '-'], "_");
        if let Some(found) = variables.get_non_empty(&variable).filter(|_| !table.contains_key(*key)) {
            table.insert(Arc::from(*key), Tree::leaf(found.value.into(), found.origin));
        }
    }
}

fn timeouts(reader: &Reader<'_>, variables: &Variables, problems: &mut Collected) -> Timeouts {
    let defaults = Timeouts::default();
    let Some(table) = problems.maybe(reader.table("timeout")) else { return defaults };
    let path = reader.key("timeout");
    let reader = Reader::new(table, &path, variables);
    Timeouts {
        connect: problems.or(reader.wait("connect"), defaults.connect),
        first_byte: problems.or(reader.wait("first_byte"), defaults.first_byte),
        total: problems.or(reader.wait("total"), defaults.total),
    }
}

fn retry(reader: &Reader<'_>, variables: &Variables, problems: &mut Collected) -> Retry {
    let defaults = Retry::default();
    let Some(table) = problems.maybe(reader.table("retry")) else { return defaults };
    let path = reader.key("retry");
    let reader = Reader::new(table, &path, variables);
    Retry {
        max_attempts: problems
            .or(reader.whole_number("max_attempts", 1, "a whole number of at least 1"), defaults.max_attempts),
        initial: problems.or(reader.duration("initial"), defaults.initial),
        max: problems.or(reader.duration("max"), defaults.max),
    }
}

fn kind(name: &str, reader: &Reader<'_>, project: &Project, problems: &mut Collected) -> Option<ConnectionKind> {
    let type_name = match problems.maybe(reader.written_text("type")) {
        Some(written) => connection_type(&written),
        None => guessed_type(reader, problems)?,
    };
    match type_name.as_str() {
        "azure_open_ai" => azure(reader, problems),
        "open_ai" => {
            let base_url = ["base_url", "api_base"].into_iter().find_map(|key| {
                let address = problems.maybe(reader.written_text(key))?;
                check_address(reader, key, &address, problems);
                Some(address)
            });
            let organization = problems.maybe(reader.text("organization"));
            let api_key = problems.maybe(reader.written_secret("api_key"));
            let base_url = base_url.unwrap_or_else(|| OPEN_AI.to_owned());
            if api_key.is_none() && base_url.starts_with(OPEN_AI) {
                missing::<()>(reader, "api_key", problems);
            }
            Some(ConnectionKind::OpenAi { base_url, api_key, organization })
        }
        "simulated" => match problems.maybe(reader.written_text("script")) {
            Some(script) => Some(ConnectionKind::Simulated { script: project.resolve(&script) }),
            None => missing(reader, "script", problems),
        },
        other if CONNECTION_TYPES.contains(&other) => Some(ConnectionKind::Other { type_name }),
        other => {
            let message = format!("connection `{name}` has an unknown type `{other}`");
            problems.0.push(reader.problem("type", "config::unknown_connection_type", message));
            None
        }
    }
}

/// Older files name no type where other keys give it away.
fn guessed_type(reader: &Reader<'_>, problems: &mut Collected) -> Option<String> {
    let has = |key: &str| reader.setting(key).is_ok_and(|setting| setting.is_some());
    let azure = has("api_type") || has("api_base") || has("api_version");
    let guess = if azure {
        "azure_open_ai"
    } else if has("base_url") {
        "open_ai"
    } else if has("script") {
        "simulated"
    } else {
        return missing(reader, "type", problems);
    };
    Some(guess.to_owned())
}

fn azure(reader: &Reader<'_>, problems: &mut Collected) -> Option<ConnectionKind> {
    let v1 = match problems.maybe(reader.text("api")).as_deref() {
        None | Some("api_version" | "deployments") => false,
        Some("v1") => true,
        Some("responses") => {
            let message =
                format!("`{}` is `responses`, an API that this version does not speak yet", reader.key("api"));
            problems.0.push(
                reader
                    .problem("api", "config::unsupported_api", message)
                    .help("use `api: v1`, which speaks chat completions"),
            );
            return None;
        }
        Some(other) => {
            let message = format!("`{}` is `{other}`, which is no API of Azure OpenAI", reader.key("api"));
            problems.0.push(
                reader
                    .problem("api", "config::unsupported_api", message)
                    .help("use `api: v1`, or leave it out and give `api_version`"),
            );
            return None;
        }
    };
    let api_version =
        problems.maybe(reader.written_text("api_version")).or_else(|| Some(DEFAULT_API_VERSION.to_owned()));
    let key_problems = problems.0.len();
    let api_key: Option<Secret> = problems.maybe(reader.written_secret("api_key"));
    let by_identity = problems.maybe(reader.text("auth_mode")).is_some_and(|mode| mode != "key");
    if api_key.is_none() && !by_identity && problems.0.len() == key_problems {
        missing::<()>(reader, "api_key", problems);
    }
    let base_problems = problems.0.len();
    let api_base = problems.maybe(reader.written_text("api_base"));
    let Some(api_base) = api_base else {
        return if problems.0.len() == base_problems { missing(reader, "api_base", problems) } else { None };
    };
    check_address(reader, "api_base", &api_base, problems);
    Some(ConnectionKind::AzureOpenAi { api_base, api_key, api_version: api_version.filter(|_| !v1), v1 })
}

/// A key that is needed and was not given.
fn missing<T>(reader: &Reader<'_>, key: &str, problems: &mut Collected) -> Option<T> {
    // Told already: it is written, and empty, or its variable is unset.
    if !problems.0.iter().any(|problem| problem.message.starts_with(&format!("`{}`", reader.key(key)))) {
        let problem = reader.problem(key, "config::missing_key", format!("`{}` is missing", reader.key(key)));
        let owner = reader.key("");
        problems.0.push(problem.help(format!("give `{}` a `{key}`", owner.trim_end_matches('.'))));
    }
    None
}

fn check_address(reader: &Reader<'_>, key: &str, address: &str, problems: &mut Collected) {
    let Err(fault) = address::check(address) else { return };
    let message = format!("`{}` {fault}", reader.key(key));
    problems.0.push(match fault {
        // No snippet: it would show what nobody should read.
        AddressFault::User | AddressFault::Query => {
            let message = format!("`{}`{} {fault}", reader.key(key), reader.origin(key));
            Problem::error("config::bad_address", message).help("put the secret into `api_key`, and take it out here")
        }
        _ => reader.problem(key, "config::bad_address", message),
    });
}
