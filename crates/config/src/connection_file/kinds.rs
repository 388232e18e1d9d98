//! What each kind of service needs.

use sluicegate_source::suggest::nearest;

use super::{Collected, check_address, identity, missing};
use crate::aliases::{CONNECTION_TYPES, connection_type};
use crate::facts::{AZURE_API_VERSION, OPEN_AI};
use crate::reader::Reader;
use crate::{AzureApi, ConnectionKind, ExtraParameters, Project, Variables, address};

const MODEL_INFERENCE_API_VERSION: &str = "2024-05-01-preview";
const ANTHROPIC: &str = "https://api.anthropic.com";
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// What OpenAI's API appends to its base address.
const OPEN_AI_ENDINGS: &[&str] = &["/chat/completions", "/completions", "/responses", "/embeddings", "/models"];
const ANTHROPIC_ENDINGS: &[&str] = &["/v1/messages", "/v1"];

pub(super) fn read(
    name: &str,
    reader: &Reader<'_>,
    project: &Project,
    variables: &Variables,
    problems: &mut Collected,
) -> Option<ConnectionKind> {
    let type_name = match problems.maybe(reader.written_text("type")) {
        Some(written) => connection_type(&written),
        None => guessed_type(reader, problems)?,
    };
    match type_name.as_str() {
        "azure_open_ai" => azure(reader, variables, problems),
        "open_ai" => open_ai(reader, problems),
        "serverless" => serverless(reader, variables, problems),
        "anthropic" => anthropic(reader, problems),
        "simulated" => match problems.maybe(reader.written_text("script")) {
            Some(script) => Some(ConnectionKind::Simulated { script: project.resolve(&script) }),
            None => missing(reader, "script", "", problems),
        },
        other if CONNECTION_TYPES.contains(&other) => Some(ConnectionKind::Other { type_name }),
        other => {
            let message = format!("connection `{name}` has an unknown type `{other}`");
            problems.push(reader.problem("type", "config::unknown_connection_type", message));
            None
        }
    }
}

/// Older files name no type where other keys give it away.
fn guessed_type(reader: &Reader<'_>, problems: &mut Collected) -> Option<String> {
    let has = |key: &str| reader.setting(key).is_ok_and(|setting| setting.is_some());
    let azure = has("api_type") || has("api_base") || has("api_version") || has("azure_endpoint");
    let guess = if azure {
        "azure_open_ai"
    } else if has("base_url") {
        "open_ai"
    } else if has("script") {
        "simulated"
    } else {
        return missing(reader, "type", "", problems);
    };
    Some(guess.to_owned())
}

fn azure(reader: &Reader<'_>, variables: &Variables, problems: &mut Collected) -> Option<ConnectionKind> {
    let api = problems.maybe(reader.text("api"));
    let written_version = problems.maybe(reader.written_text("api_version"));
    let address = one_of(reader, &["api_base", "azure_endpoint", "endpoint"], problems);
    let (key, address) = match address {
        Some((key, address)) => (key, Some(address)),
        None => ("api_base", missing(reader, "api_base", "", problems)),
    };
    let auth = identity::read(reader, address.as_deref().unwrap_or(""), variables, problems);
    if written_version.as_deref() == Some("v1") {
        let message = format!("`{}` is `v1`, which is no version but an API", reader.key("api_version"));
        problems.push(
            reader.problem("api_version", "config::bad_api_version", message).help("write `api: v1` in its place"),
        );
    }
    let address = address.filter(|address| !is_of_a_deployment(reader, key, address, problems))?;
    // A version in the address is as good as one of its own.
    let (base, version_of_address) = address::split_api_version(&address);
    check_address(reader, key, base, problems);
    // A portal's address goes on to an operation, which tells the API as well.
    let shows_responses = base.trim_end_matches('/').ends_with("/responses");
    let base = address::without_ending(base, &["/chat/completions", "/completions", "/responses", "/embeddings"]);
    let api_base = address::without_ending(base, &["/openai/v1", "/openai"]).to_owned();
    let version = written_version.or_else(|| version_of_address.map(str::to_owned));
    let dated = |version: Option<String>| AzureApi::Dated(version.unwrap_or_else(|| AZURE_API_VERSION.to_owned()));
    let (api, responses) = match api.as_deref() {
        None if shows_responses => (version.map_or(AzureApi::V1, AzureApi::Dated), true),
        // The address of v1, and nothing that says otherwise.
        None if version.is_none() && base.trim_end_matches('/').ends_with("/openai/v1") => (AzureApi::V1, false),
        None | Some("api_version" | "deployments" | "chat") => (dated(version), false),
        Some("v1") => (AzureApi::V1, false),
        Some("responses") => (version.map_or(AzureApi::V1, AzureApi::Dated), true),
        Some(other) => {
            let words = ["v1", "responses", "api_version", "deployments"];
            let help = "use `v1`, `responses`, or leave it out and give `api_version`";
            unknown_word(reader, "api", other, &words, "is no API of Azure OpenAI", help, problems);
            return None;
        }
    };
    Some(ConnectionKind::AzureOpenAi { api_base, auth: auth?, api, responses })
}

/// The address that a portal shows for a deployment holds three settings at once; it is taken apart for the author.
fn is_of_a_deployment(reader: &Reader<'_>, key: &str, address: &str, problems: &mut Collected) -> bool {
    let Some((base, rest)) = address.split_once("/openai/deployments/") else { return false };
    let deployment = rest.split(['/', '?', '#']).next().unwrap_or("");
    let version = rest.split_once("api-version=").map(|(_, version)| version.split(['&', '#']).next().unwrap_or(""));
    let version = version.map_or_else(String::new, |version| format!(", `api_version: {version}`"));
    let base = address::shown(base);
    problems.push(
        super::hidden(reader, key, "config::bad_address", "is the address of a deployment, not of the service")
            .help(format!("write `{key}: {base}`{version}, and in the flow's section `deployment_name: {deployment}`")),
    );
    true
}

fn open_ai(reader: &Reader<'_>, problems: &mut Collected) -> Option<ConnectionKind> {
    let base_url = base_url(reader, OPEN_AI, OPEN_AI_ENDINGS, problems);
    let organization = problems.maybe(reader.text("organization"));
    let api_key = problems.maybe(reader.written_secret("api_key"));
    if api_key.is_none() && base_url.starts_with(OPEN_AI) {
        missing::<()>(reader, "api_key", "", problems);
    }
    let responses = match problems.maybe(reader.text("api")).as_deref() {
        None | Some("chat") => false,
        Some("responses") => true,
        Some(other) => {
            let help = "use `chat` or `responses`";
            unknown_word(reader, "api", other, &["chat", "responses"], "is no API of OpenAI", help, problems);
            return None;
        }
    };
    Some(ConnectionKind::OpenAi { base_url, api_key, organization, responses })
}

fn serverless(reader: &Reader<'_>, variables: &Variables, problems: &mut Collected) -> Option<ConnectionKind> {
    let address = one_of(reader, &["endpoint", "api_base", "base_url"], problems);
    let (key, address) = match address {
        Some((key, address)) => (key, Some(address)),
        None => ("endpoint", missing(reader, "endpoint", "", problems)),
    };
    let written_version = problems.maybe(reader.written_text("api_version"));
    let auth = identity::read(reader, address.as_deref().unwrap_or(""), variables, problems);
    let extra_parameters = match problems.maybe(reader.text("extra_parameters")).as_deref() {
        None => ExtraParameters::Unsaid,
        Some("error") => ExtraParameters::Error,
        Some("drop") => ExtraParameters::Drop,
        Some("pass-through" | "pass_through") => ExtraParameters::PassThrough,
        Some(other) => {
            let words = ["error", "drop", "pass-through"];
            let what = "is nothing that the service does with them";
            let help = "use `error`, `drop` or `pass-through`";
            unknown_word(reader, "extra_parameters", other, &words, what, help, problems);
            ExtraParameters::Unsaid
        }
    };
    let address = address?;
    let (base, version_of_address) = address::split_api_version(&address);
    check_address(reader, key, base, problems);
    let api_version = written_version
        .or_else(|| version_of_address.map(str::to_owned))
        .unwrap_or_else(|| MODEL_INFERENCE_API_VERSION.to_owned());
    let endpoint = address::without_ending(base, &[]).to_owned();
    Some(ConnectionKind::Serverless { endpoint, auth: auth?, api_version, extra_parameters })
}

fn anthropic(reader: &Reader<'_>, problems: &mut Collected) -> Option<ConnectionKind> {
    let base_url = base_url(reader, ANTHROPIC, ANTHROPIC_ENDINGS, problems);
    let api_key = problems.maybe(reader.written_secret("api_key"));
    if api_key.is_none() && base_url.starts_with(ANTHROPIC) {
        missing::<()>(reader, "api_key", "", problems);
    }
    let version = problems.maybe(reader.written_text("version")).unwrap_or_else(|| ANTHROPIC_VERSION.to_owned());
    Some(ConnectionKind::Anthropic { base_url, api_key, version })
}

/// `base_url`, or `api_base` as prompt flow has it, without what the service appends; else the provider's own.
fn base_url(reader: &Reader<'_>, default: &str, endings: &[&str], problems: &mut Collected) -> String {
    let Some((key, address)) = one_of(reader, &["base_url", "api_base", "endpoint"], problems) else {
        return default.to_owned();
    };
    check_address(reader, key, &address, problems);
    address::without_ending(&address, endings).to_owned()
}

/// The first of several keys that is written, and its text.
fn one_of(reader: &Reader<'_>, keys: &[&'static str], problems: &mut Collected) -> Option<(&'static str, String)> {
    keys.iter().find_map(|key| Some((*key, problems.maybe(reader.written_text(key))?)))
}

/// A word where only some are known.
pub(super) fn unknown_word(
    reader: &Reader<'_>,
    key: &str,
    word: &str,
    known: &[&str],
    what: &str,
    help: &str,
    problems: &mut Collected,
) {
    let message = format!("`{}` is `{word}`, which {what}", reader.key(key));
    let help = match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? {help}"),
        None => help.to_owned(),
    };
    problems.push(reader.problem(key, "config::wrong_value", message).help(help));
}
