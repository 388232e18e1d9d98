//! What stands between us and a service: headers, a path, certificates.

use std::path::PathBuf;

use super::{Collected, hidden};
use crate::reader::Reader;
use crate::{AuthHeader, ClientCertificate, Gateway, Project, Secret, Variables};

/// Headers that the HTTP client itself writes: another value would break the request.
const HEADERS_OF_THE_CLIENT: &[&str] =
    &["connection", "content-length", "content-type", "host", "te", "trailer", "transfer-encoding", "upgrade"];

pub(super) fn read(reader: &Reader<'_>, project: &Project, variables: &Variables, problems: &mut Collected) -> Gateway {
    Gateway {
        headers: headers(reader, variables, problems),
        query: query(reader, variables, problems),
        auth_header: auth_header(reader, problems),
        path_prefix: path_prefix(reader, problems),
        client_certificate: client_certificate(reader, project, variables, problems),
        ca_file: file(reader, "ca_file", project, problems),
    }
}

fn headers(reader: &Reader<'_>, variables: &Variables, problems: &mut Collected) -> Vec<(String, Secret)> {
    let Some(table) = problems.maybe(reader.table("headers")) else { return Vec::new() };
    let path = reader.key("headers");
    let inner = Reader::new(table, &path, variables);
    let mut headers = Vec::new();
    for name in inner.keys() {
        let Some(value) = problems.maybe(inner.written_text(name)) else { continue };
        // A value that was read from a file often ends with a line break.
        let value = value.trim();
        let bad = |fault: &str| hidden(&inner, name, "config::bad_header", fault);
        if !is_header_name(name) {
            let problem = bad("has a name that no header can have");
            problems.push(problem.help("a header's name has letters, digits and `-`, and no blanks"));
        } else if HEADERS_OF_THE_CLIENT.contains(&name.to_ascii_lowercase().as_str()) {
            problems.push(bad("is a header that the HTTP client writes itself").help("take it out"));
        } else if !is_header_value(value) {
            problems.push(
                bad("holds a character that no header can hold").help(
                    "a header's value is one line of ASCII; anything else has to be encoded, as base64 or by `%`",
                ),
            );
        } else {
            headers.push((name.to_owned(), Secret::new(value)));
        }
    }
    headers
}

fn query(reader: &Reader<'_>, variables: &Variables, problems: &mut Collected) -> Vec<(String, Secret)> {
    let Some(table) = problems.maybe(reader.table("query")) else { return Vec::new() };
    let path = reader.key("query");
    let inner = Reader::new(table, &path, variables);
    let mut value = |name| problems.maybe(inner.written_text(name));
    inner.keys().filter_map(|name| Some((name.to_owned(), Secret::new(value(name)?)))).collect()
}

/// `NAME`, or `NAME: PREFIX`.
fn auth_header(reader: &Reader<'_>, problems: &mut Collected) -> Option<AuthHeader> {
    let written = problems.maybe(reader.written_text("auth_header"))?;
    let (name, prefix) = written.split_once(':').unwrap_or((&written, ""));
    let (name, prefix) = (name.trim(), prefix.trim());
    let of_client = HEADERS_OF_THE_CLIENT.contains(&name.to_ascii_lowercase().as_str());
    if !is_header_name(name) || of_client || !is_header_value(prefix) {
        let message = format!("`{}` is no header that can carry a key", reader.key("auth_header"));
        problems.push(reader.problem("auth_header", "config::bad_header", message).help(
            "write its name, as in `Ocp-Apim-Subscription-Key`, or its name and what stands before the key, as in \
             `\"Authorization: Bearer\"`",
        ));
        return None;
    }
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix} ") };
    Some(AuthHeader { name: name.to_owned(), prefix })
}

fn path_prefix(reader: &Reader<'_>, problems: &mut Collected) -> Option<String> {
    let written = problems.maybe(reader.written_text("path_prefix"))?;
    let path = written.trim().trim_matches('/');
    let wrong = path.contains("://")
        || path.split('/').any(|part| part == "..")
        || path.contains(|letter: char| !letter.is_ascii_graphic() || "?#\\\"<>^`{|}".contains(letter));
    if wrong {
        let message = format!("`{}` is no path", reader.key("path_prefix"));
        problems.push(
            reader
                .problem("path_prefix", "config::bad_address", message)
                .help("write what stands before the service's own path, such as `/openai-gateway/team-a`"),
        );
    }
    (!path.is_empty()).then(|| format!("/{path}"))
}

/// A path to a file with both, or `{certificate, key}`.
fn client_certificate(
    reader: &Reader<'_>,
    project: &Project,
    variables: &Variables,
    problems: &mut Collected,
) -> Option<ClientCertificate> {
    if !reader.is_table("client_certificate") {
        let both = file(reader, "client_certificate", project, problems)?;
        return Some(ClientCertificate { certificate: both.clone(), key: both });
    }
    let table = problems.maybe(reader.table("client_certificate"))?;
    let path = reader.key("client_certificate");
    let inner = Reader::new(table, &path, variables);
    let key = if inner.has("key") { Some(file(&inner, "key", project, problems)) } else { None };
    let told = problems.0.len();
    let certificate = match file(&inner, "certificate", project, problems) {
        None if problems.0.len() == told => return super::missing(&inner, "certificate", "", problems),
        found => found?,
    };
    // The same file may hold the key.
    let key = key.unwrap_or_else(|| Some(certificate.clone()))?;
    Some(ClientCertificate { certificate, key })
}

/// A file by its path; one that is not there is a problem now, rather than at the first request.
fn file(reader: &Reader<'_>, key: &str, project: &Project, problems: &mut Collected) -> Option<PathBuf> {
    let written = problems.maybe(reader.written_text(key))?;
    let path = project.resolve(written.trim());
    if !path.is_file() {
        let shown = project.display_name(&path);
        let message = format!("`{}` leads to `{shown}`, which is no file", reader.key(key));
        problems.push(
            reader
                .problem(key, "config::no_file", message)
                .help("relative paths count from the project's folder, the one with `config/`"),
        );
        return None;
    }
    Some(path)
}

/// A token of HTTP (RFC 9110, 5.6.2).
fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter))
}

fn is_header_value(value: &str) -> bool {
    value.chars().all(|letter| letter.is_ascii_graphic() || letter == ' ' || letter == '\t')
}
