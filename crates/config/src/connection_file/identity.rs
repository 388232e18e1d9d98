//! By what a service knows who asks: a key, or an identity of Microsoft Entra with everything that a token may need.

use std::path::PathBuf;

use sluicegate_source::suggest::nearest;

use super::kinds::unknown_word;
use super::{Collected, missing};
use crate::layers::Table;
use crate::reader::Reader;
use crate::variables::{
    ACTIONS_ID_TOKEN_REQUEST_TOKEN, ACTIONS_ID_TOKEN_REQUEST_URL, AZURE_AUTHORITY_HOST, AZURE_CLIENT_ID,
    AZURE_CLIENT_SECRET, AZURE_FEDERATED_TOKEN_FILE, AZURE_OPENAI_AD_TOKEN, AZURE_POD_IDENTITY_AUTHORITY_HOST,
    AZURE_TENANT_ID, IDENTITY_ENDPOINT, IDENTITY_HEADER, PATH,
};
use crate::{Auth, Entra, Secret, TokenSource, Variables, address};

/// The instance metadata service has the same address in every cloud.
const IMDS: &str = "http://169.254.169.254";
/// Endpoints of the older kind take tokens of Azure Machine Learning.
const MACHINE_LEARNING: (&str, &[&str]) =
    ("https://ml.azure.com/.default", &[".models.ai.azure.com", ".inference.ml.azure.com"]);

/// One of Microsoft's clouds, each with its own identities.
struct Cloud {
    name: &'static str,
    authority: &'static str,
    scope: &'static str,
    /// How the hosts of its services end.
    hosts: &'static str,
}

const CLOUDS: [Cloud; 3] = [
    Cloud {
        name: "public",
        authority: "https://login.microsoftonline.com",
        scope: "https://cognitiveservices.azure.com/.default",
        hosts: ".azure.com",
    },
    Cloud {
        name: "usgov",
        authority: "https://login.microsoftonline.us",
        scope: "https://cognitiveservices.azure.us/.default",
        hosts: ".azure.us",
    },
    Cloud {
        name: "china",
        authority: "https://login.chinacloudapi.cn",
        scope: "https://cognitiveservices.azure.cn/.default",
        hosts: ".azure.cn",
    },
];

/// Other names of the sources, as other tools have them.
const SOURCE_ALIASES: &[(&str, TokenSource)] = &[
    ("workload_identity", TokenSource::Workload),
    ("github_oidc", TokenSource::GitHub),
    ("azure_cli", TokenSource::Az),
];

/// Reads `auth` (or `auth_mode`) and what it needs; `None` if a problem was told.
pub(super) fn read(
    reader: &Reader<'_>,
    address: &str,
    variables: &Variables,
    problems: &mut Collected,
) -> Option<Auth> {
    match way(reader, variables, problems)? {
        Way::Entra => return entra(reader, address, variables, problems).map(|entra| Auth::Entra(Box::new(entra))),
        Way::Nothing => return Some(Auth::Nothing),
        Way::Key => {}
    }
    let told = problems.0.len();
    match problems.maybe(reader.written_secret("api_key")) {
        Some(key) => Some(Auth::Key(key)),
        None if problems.0.len() == told => missing(reader, "api_key", ", or `auth: entra`", problems),
        None => None,
    }
}

/// A way to show who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Key,
    Entra,
    Nothing,
}

/// The way that a word means; `None`: it is no such word.
pub(crate) fn way_of(word: &str) -> Option<Way> {
    match word.trim().to_ascii_lowercase().replace('-', "_").as_str() {
        "key" | "api_key" => Some(Way::Key),
        "entra" | "meid_token" | "aad" => Some(Way::Entra),
        "none" | "anonymous" => Some(Way::Nothing),
        _ => None,
    }
}

/// The folders in which commands lie.
pub(super) fn folders_of_commands(variables: &Variables) -> Vec<PathBuf> {
    let path = variables.get_non_empty(PATH);
    path.map(|path| std::env::split_paths(path.value).filter(|folder| folder.is_absolute()).collect())
        .unwrap_or_default()
}

fn way(reader: &Reader<'_>, variables: &Variables, problems: &mut Collected) -> Option<Way> {
    let path = reader.key("auth");
    let word_of = |reader: &Reader<'_>, key: &str, problems: &mut Collected| match problems.maybe(reader.text(key)) {
        None => Some(None),
        Some(word) => match way_of(&word) {
            Some(way) => Some(Some(way)),
            None => {
                let help = "use `key`, `entra` or `none`";
                unknown_word(reader, key, &word, &["key", "entra", "none"], "is no way to sign in", help, problems);
                None
            }
        },
    };
    if reader.is_table("auth") {
        let table = problems.maybe(reader.table("auth"))?;
        let inner = Reader::new(table, &path, variables);
        let way = word_of(&inner, "type", problems)?.unwrap_or(Way::Entra);
        if way != Way::Entra
            && let Some(other) = inner.keys().find(|key| *key != "type")
        {
            let message = format!("`{}` is about Entra, and `{}` is not", inner.key(other), inner.key("type"));
            let problem = inner.problem(other, "config::wrong_value", message);
            problems.push(problem.help("write `type: entra`, or leave it out"));
        }
        return Some(way);
    }
    let auth = word_of(reader, "auth", problems)?;
    let mode = if auth.is_none() { word_of(reader, "auth_mode", problems)? } else { None };
    Some(auth.or(mode).unwrap_or(Way::Key))
}

fn entra(reader: &Reader<'_>, address: &str, variables: &Variables, problems: &mut Collected) -> Option<Entra> {
    let told = problems.0.len();
    let (path, empty) = (reader.key("auth"), Table::new());
    let table = if reader.is_table("auth") { problems.maybe(reader.table("auth")) } else { None };
    let inner = Reader::new(table.unwrap_or(&empty), &path, variables);
    let variable = |name: &str| {
        let found = variables.get_non_empty(name)?.value.trim();
        (!found.is_empty()).then(|| found.to_owned())
    };

    let cloud = cloud(&inner, problems);
    let host = address::host(address);
    let of_address = || CLOUDS.iter().find(|cloud| host.ends_with(cloud.hosts));
    let of_variable = variable(AZURE_AUTHORITY_HOST).map(|host| with_scheme(&host, "https"));
    let authority = authority(&inner, problems)
        .or_else(|| cloud.map(|cloud| cloud.authority.to_owned()))
        .or_else(|| of_variable.clone())
        .or_else(|| of_address().map(|cloud| cloud.authority.to_owned()))
        .unwrap_or_else(|| CLOUDS[0].authority.to_owned());
    // The address says better than the authority what a token is for: a gateway's says nothing.
    let scope = scope(&inner, problems).unwrap_or_else(|| {
        let (machine_learning, hosts) = MACHINE_LEARNING;
        let of_variable =
            || CLOUDS.iter().find(|cloud| of_variable.as_deref().is_some_and(|host| host == cloud.authority));
        match cloud {
            None if hosts.iter().any(|ending| host.ends_with(ending)) => machine_learning,
            None => of_address().or_else(of_variable).unwrap_or(&CLOUDS[0]).scope,
            Some(cloud) => cloud.scope,
        }
        .to_owned()
    });
    let sources = sources(&inner, problems);
    let secret = |key: &str, name: &str, problems: &mut Collected| {
        problems.maybe(inner.written_secret(key)).or_else(|| variable(name).map(Secret::new))
    };
    let entra = Entra {
        scope,
        authority,
        sources,
        tenant_id: problems.maybe(inner.written_text("tenant_id")).or_else(|| variable(AZURE_TENANT_ID)),
        client_id: problems.maybe(inner.written_text("client_id")).or_else(|| variable(AZURE_CLIENT_ID)),
        client_secret: secret("client_secret", AZURE_CLIENT_SECRET, problems),
        token: secret("token", AZURE_OPENAI_AD_TOKEN, problems),
        federated_token_file: variable(AZURE_FEDERATED_TOKEN_FILE).map(PathBuf::from),
        github_url: variable(ACTIONS_ID_TOKEN_REQUEST_URL),
        github_token: variable(ACTIONS_ID_TOKEN_REQUEST_TOKEN).map(Secret::new),
        identity_endpoint: variable(IDENTITY_ENDPOINT),
        identity_header: variable(IDENTITY_HEADER).map(Secret::new),
        imds: variable(AZURE_POD_IDENTITY_AUTHORITY_HOST)
            .map_or_else(|| IMDS.to_owned(), |host| with_scheme(&host, "http")),
        path: folders_of_commands(variables),
    };
    (problems.0.len() == told).then_some(entra)
}

fn cloud(reader: &Reader<'_>, problems: &mut Collected) -> Option<&'static Cloud> {
    let word = problems.maybe(reader.text("cloud"))?;
    let lower = word.trim().to_ascii_lowercase();
    let found = CLOUDS.iter().find(|cloud| cloud.name == lower);
    if found.is_none() {
        let names = CLOUDS.map(|cloud| cloud.name);
        let help = "use `public`, `usgov` or `china`; for any other give `authority` and `scope`";
        unknown_word(reader, "cloud", &word, &names, "is no cloud of Microsoft's", help, problems);
    }
    found
}

fn authority(reader: &Reader<'_>, problems: &mut Collected) -> Option<String> {
    let address = with_scheme(&problems.maybe(reader.written_text("authority"))?, "https");
    super::check_address(reader, "authority", &address, problems);
    Some(address)
}

fn scope(reader: &Reader<'_>, problems: &mut Collected) -> Option<String> {
    let scope = problems.maybe(reader.written_text("scope"))?;
    let scope = scope.trim();
    // The older resource form is told apart by its ending, and would be refused with a message that names neither.
    if !scope.ends_with("/.default") {
        let message = format!("`{}` is `{scope}`, which does not end in `/.default`", reader.key("scope"));
        let whole = format!("write `{}/.default`", scope.trim_end_matches('/'));
        problems.push(reader.problem("scope", "config::wrong_value", message).help(whole));
    }
    Some(scope.to_owned())
}

fn sources(reader: &Reader<'_>, problems: &mut Collected) -> Vec<TokenSource> {
    let Some(words) = problems.maybe(reader.texts("sources")) else { return TokenSource::ALL.to_vec() };
    let mut sources = Vec::new();
    let known = || TokenSource::ALL.into_iter().map(TokenSource::word);
    let listed = || known().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    for word in &words {
        let lower = word.to_ascii_lowercase().replace('-', "_");
        let alias = SOURCE_ALIASES.iter().find(|(alias, _)| *alias == lower).map(|(_, source)| *source);
        match TokenSource::ALL.into_iter().find(|source| source.word() == lower).or(alias) {
            Some(source) if sources.contains(&source) => {}
            Some(source) => sources.push(source),
            None => {
                let message = format!("`{}` names `{word}`, which is no source of a token", reader.key("sources"));
                let help = match nearest(word, known()) {
                    Some(near) => format!("did you mean `{near}`? there are: {}", listed()),
                    None => format!("there are: {}", listed()),
                };
                problems.push(reader.problem("sources", "config::wrong_value", message).help(help));
            }
        }
    }
    if words.is_empty() {
        let message = format!("`{}` is empty", reader.key("sources"));
        let problem = reader.problem("sources", "config::wrong_value", message);
        problems.push(problem.help(format!("leave it out, or name some of {}", listed())));
    }
    sources
}

/// Microsoft's own tools take an authority with or without its scheme.
fn with_scheme(host: &str, scheme: &str) -> String {
    let host = host.trim().trim_end_matches('/');
    if host.contains("://") { host.to_owned() } else { format!("{scheme}://{host}") }
}
