//! A connection as the file has it, with its variables looked up.
//!
//! `kinds` reads what each kind of service needs, `identity` and `gateway` what several share, `deployments` what is
//! known of models; `other_forms` makes today's table of an older file's or a prompty's own description.

mod deployments;
mod facts;
mod gateway;
mod identity;
mod kinds;
mod other_forms;

use std::sync::Arc;

use sluicegate_source::Problem;

use crate::address::{self, AddressFault};
use crate::layers::{Table, Tree};
use crate::reader::Reader;
use crate::{Connection, ConnectionKind, Limits, Project, Retry, Timeouts, Variables};

pub(crate) use identity::{Way, way_of};
pub(crate) use other_forms::{from_aoai_config, from_prompty};

/// Keys that a variable `<CONNECTION>_<KEY>` may give where no file does, as prompt flow allows.
const FILLED_FROM_VARIABLES: &[&str] = &["api_key", "api_base", "base_url", "endpoint", "api_version", "organization"];
/// Keys that hold a connection's address, by whatever name; a variable gives none where a file gives one.
const ADDRESS_KEYS: &[&str] = &["api_base", "base_url", "endpoint", "azure_endpoint"];

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

    fn push(&mut self, problem: Problem) {
        self.0.push(problem);
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
    let kind = kinds::read(name, &reader, project, variables, &mut problems);
    let over_the_network = !matches!(kind, Some(ConnectionKind::Simulated { .. } | ConnectionKind::Other { .. }));
    let (mut gateway, mut deployments) = Default::default();
    if over_the_network {
        gateway = gateway::read(&reader, project, variables, &mut problems);
        deployments = deployments::read(&reader, variables, &mut problems);
    }
    let facts = kind.as_ref().map(|kind| facts::read(name, kind, &reader, variables, &mut problems));
    match kind.zip(facts) {
        Some((kind, facts)) if problems.0.is_empty() => {
            Ok(Connection { limits, timeouts, retry, gateway, deployments, facts, ..Connection::new(name, kind) })
        }
        _ => Err(problems.0),
    }
}

fn fill_from_variables(name: &str, table: &mut Table, variables: &Variables) {
    let has_address = ADDRESS_KEYS.iter().any(|key| table.contains_key(*key));
    for key in FILLED_FROM_VARIABLES.iter().filter(|key| !(has_address && ADDRESS_KEYS.contains(key))) {
        let variable = variable_name(name, key);
        if let Some(found) = variables.get_non_empty(&variable).filter(|_| !table.contains_key(*key)) {
            table.insert(Arc::from(*key), Tree::leaf(found.value.into(), found.origin));
        }
    }
}

/// The variable that may give a key of a connection: `<CONNECTION>_<KEY>`.
pub(crate) fn variable_name(connection: &str, key: &str) -> String {
    format!("{connection}_{key}").to_ascii_uppercase().replace([' ', '-'], "_")
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

/// A key that is needed and was not given.
fn missing<T>(reader: &Reader<'_>, key: &str, or: &str, problems: &mut Collected) -> Option<T> {
    // Told already: it is written, and empty, or its variable is unset.
    if !problems.0.iter().any(|problem| problem.message.starts_with(&format!("`{}`", reader.key(key)))) {
        let problem = reader.problem(key, "config::missing_key", format!("`{}` is missing", reader.key(key)));
        let owner = reader.key("");
        let article = if key.starts_with(['a', 'e']) { "an" } else { "a" };
        problems.push(problem.help(format!("give `{}` {article} `{key}`{or}", owner.trim_end_matches('.'))));
    }
    None
}

fn check_address(reader: &Reader<'_>, key: &str, address: &str, problems: &mut Collected) {
    let Err(fault) = address::check(address) else { return };
    problems.push(match fault {
        // No snippet: it would show what nobody should read.
        AddressFault::User => hidden(reader, key, "config::bad_address", &fault.to_string())
            .help("put the secret into `api_key`, and take it out here"),
        AddressFault::Query => hidden(reader, key, "config::bad_address", &fault.to_string())
            .help("put what it says into `query`, a secret key into `api_key`, and take it out here"),
        _ => reader.problem(key, "config::bad_address", format!("`{}` {fault}", reader.key(key))),
    });
}

/// A problem with a value that nobody should read: its place is named, and not shown.
fn hidden(reader: &Reader<'_>, key: &str, code: &'static str, fault: &str) -> Problem {
    Problem::error(code, format!("`{}`{} {fault}", reader.key(key), reader.origin(key)))
}
