//! Variables of the process and of `.env`, and the list of those that have a meaning here.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use sluicegate_source::Problem;

use crate::{Origin, dot_env};

/// Which config environment applies, unless a flag says so.
pub const SLUICEGATE_ENVIRONMENT: &str = "SLUICEGATE_ENVIRONMENT";
/// How many model calls may be in flight at once.
pub const SLUICEGATE_MAX_IN_FLIGHT: &str = "SLUICEGATE_MAX_IN_FLIGHT";
/// `full` or `process`: what a finished step survives.
pub const SLUICEGATE_DURABILITY: &str = "SLUICEGATE_DURABILITY";
/// `false`: prompts and answers stay out of traces.
pub const SLUICEGATE_CAPTURE_CONTENT: &str = "SLUICEGATE_CAPTURE_CONTENT";
/// The Python that runs the tools of flows.
pub const SLUICEGATE_PYTHON: &str = "SLUICEGATE_PYTHON";
/// The active virtual environment, whose Python runs the tools of flows.
pub const VIRTUAL_ENV: &str = "VIRTUAL_ENV";
/// The OpenTelemetry collector's address; `/v1/traces` is added.
pub const OTEL_EXPORTER_OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// The address to which traces go, taken as it is.
pub const OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
/// Headers for the collector: `name=value,name=value`.
pub const OTEL_EXPORTER_OTLP_HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
/// The same for traces alone; comes before it.
pub const OTEL_EXPORTER_OTLP_TRACES_HEADERS: &str = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";
/// What traces say of this program: `name=value,name=value`, `service.name` among them.
pub const OTEL_RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
/// The name under which traces are filed.
pub const OTEL_SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
/// Which runs are traced: `always_on`, `always_off`, `traceidratio`, or `parentbased_` before one of these.
pub const OTEL_TRACES_SAMPLER: &str = "OTEL_TRACES_SAMPLER";
/// The sampler's argument: the ratio, from 0 to 1.
pub const OTEL_TRACES_SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
/// `true`: no traces at all.
pub const OTEL_SDK_DISABLED: &str = "OTEL_SDK_DISABLED";
/// The trace that a run continues, as W3C Trace Context writes it.
pub const TRACEPARENT: &str = "TRACEPARENT";
/// The proxy for `http:` addresses.
pub const HTTP_PROXY: &str = "HTTP_PROXY";
/// The proxy for `https:` addresses.
pub const HTTPS_PROXY: &str = "HTTPS_PROXY";
/// The proxy for both.
pub const ALL_PROXY: &str = "ALL_PROXY";
/// Hosts that are reached without a proxy, separated by commas.
pub const NO_PROXY: &str = "NO_PROXY";
/// A file of certificates that are trusted besides the system's.
pub const SSL_CERT_FILE: &str = "SSL_CERT_FILE";
/// Another file of certificates that are trusted besides the system's, as Python's clients have it.
pub const REQUESTS_CA_BUNDLE: &str = "REQUESTS_CA_BUNDLE";
/// The key of a prompty of Azure OpenAI that names none.
pub const AZURE_OPENAI_API_KEY: &str = "AZURE_OPENAI_API_KEY";
/// A token of Entra that somebody else got.
pub const AZURE_OPENAI_AD_TOKEN: &str = "AZURE_OPENAI_AD_TOKEN";
/// The tenant of an identity.
pub const AZURE_TENANT_ID: &str = "AZURE_TENANT_ID";
/// The application, or the managed identity.
pub const AZURE_CLIENT_ID: &str = "AZURE_CLIENT_ID";
/// The application's secret.
pub const AZURE_CLIENT_SECRET: &str = "AZURE_CLIENT_SECRET";
/// The file of a workload's own token.
pub const AZURE_FEDERATED_TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
/// Where tokens are given out.
pub const AZURE_AUTHORITY_HOST: &str = "AZURE_AUTHORITY_HOST";
/// The instance metadata service, if not at its usual address.
pub const AZURE_POD_IDENTITY_AUTHORITY_HOST: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
/// GitHub's address for a workflow's token.
pub const ACTIONS_ID_TOKEN_REQUEST_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
/// What is shown at that address.
pub const ACTIONS_ID_TOKEN_REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
/// The identity endpoint of App Service, Functions, Container Apps.
pub const IDENTITY_ENDPOINT: &str = "IDENTITY_ENDPOINT";
/// What is shown at that endpoint.
pub const IDENTITY_HEADER: &str = "IDENTITY_HEADER";
/// The folders in which commands are looked for; every system has it, so it is not in the table.
pub const PATH: &str = "PATH";
/// What connections have in place of variables that are not set, where nobody is going to be asked: an address that is
/// nobody's, and as good a key as any.
pub const STAND_IN: &str = "https://replayed.invalid";
/// Anything: no colours.
pub const NO_COLOR: &str = "NO_COLOR";

/// A variable that has a meaning here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub name: &'static str,
    /// What it is for, in a line.
    pub about: &'static str,
    /// The setting that it sets, as a dotted key; `None` if it is no setting.
    pub setting: Option<&'static str>,
    /// What `.env.sample` gives it; `None`: the line is commented out there.
    pub sample: Option<&'static str>,
}

const fn known(name: &'static str, about: &'static str) -> Known {
    Known { name, about, setting: None, sample: None }
}

const fn sets(name: &'static str, setting: &'static str, about: &'static str) -> Known {
    Known { name, about, setting: Some(setting), sample: None }
}

/// A variable that only the shipped `config/config.yaml` reads.
const fn sample(name: &'static str, value: &'static str, about: &'static str) -> Known {
    Known { name, about, setting: None, sample: Some(value) }
}

/// Every variable that has a meaning here, or in the `config/config.yaml` that ships.
pub const KNOWN: &[Known] = &[
    sample("OPENAI_API_KEY", "", "the key of connection `openai`"),
    sample("OPENAI_DEPLOYMENT", "gpt-4o-mini", "the model of connection `openai`"),
    sample("AOAI_BASE_ENDPOINT", "https://NAME.openai.azure.com", "the address of connection `aoai` (Azure OpenAI)"),
    sample("AOAI_API_KEY", "", "the key of connection `aoai`"),
    sample("AOAI_API_VERSION", "2024-06-01", "the API version of connection `aoai`"),
    sample("AOAI_DEPLOYMENT", "gpt-4o-mini", "the deployment in environment `pr`"),
    sample("OLLAMA_MODEL", "llama3.2", "the model of connection `ollama`"),
    sample("PANEL_SMALL_DEPLOYMENT", "gpt-4o-mini", "the small deployment of flow `model_panel` in environment `pr`"),
    sample("PANEL_MEDIUM_DEPLOYMENT", "gpt-4o", "the medium one"),
    sample("PANEL_LARGE_DEPLOYMENT", "gpt-4.1", "the large one"),
    sample("PANEL_JUDGE_DEPLOYMENT", "gpt-4o", "the one that picks among their answers"),
    known("AZURE_OPENAI_ENDPOINT", "the address of a prompty of type azure_openai that names none"),
    known(AZURE_OPENAI_API_KEY, "the key of a prompty of type azure_openai that names none"),
    known("OPENAI_BASE_URL", "the address of a prompty of type openai that names none"),
    known("ANTHROPIC_API_KEY", "the key of a prompty of type anthropic that names none"),
    // Those of `auth: entra`, in the order in which its sources are tried.
    known(AZURE_OPENAI_AD_TOKEN, "for `auth: entra`: a token that somebody else got; it cannot be renewed"),
    known(AZURE_TENANT_ID, "for `auth: entra`: the tenant"),
    known(AZURE_CLIENT_ID, "for `auth: entra`: the application, or the managed identity"),
    known(AZURE_FEDERATED_TOKEN_FILE, "for `auth: entra`: the file of a workload's own token; a cluster sets it"),
    known(ACTIONS_ID_TOKEN_REQUEST_URL, "for `auth: entra`: where a GitHub workflow gets its token; GitHub sets it"),
    known(ACTIONS_ID_TOKEN_REQUEST_TOKEN, "for `auth: entra`: what is shown there; GitHub sets it"),
    known(AZURE_CLIENT_SECRET, "for `auth: entra`: the application's secret"),
    known(IDENTITY_ENDPOINT, "for `auth: entra`: where a managed identity gets its token; App Service sets it"),
    known(IDENTITY_HEADER, "for `auth: entra`: what is shown there; App Service sets it"),
    known(AZURE_POD_IDENTITY_AUTHORITY_HOST, "for `auth: entra`: the instance metadata service, if not as usual"),
    known(AZURE_AUTHORITY_HOST, "for `auth: entra`: where tokens are given out, such as login.microsoftonline.us"),
    known(SLUICEGATE_ENVIRONMENT, "which config environment applies, unless --environment_name says so"),
    sets(SLUICEGATE_MAX_IN_FLIGHT, "max_in_flight", "how many model calls may be in flight at once"),
    sets(SLUICEGATE_DURABILITY, "store.durability", "`full` or `process`: what a finished step survives"),
    sets(SLUICEGATE_CAPTURE_CONTENT, "telemetry.capture_content", "`false` keeps prompts and answers out of traces"),
    sets(SLUICEGATE_PYTHON, "python.interpreter", "the Python that runs the tools of flows: a program, or a folder"),
    known(VIRTUAL_ENV, "the active virtual environment, whose Python runs them otherwise; its activation sets it"),
    sets(
        OTEL_EXPORTER_OTLP_ENDPOINT,
        "telemetry.endpoint",
        "the OpenTelemetry collector, such as http://localhost:4318",
    ),
    sets(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, "telemetry.traces_endpoint", "the address for traces, taken as it is"),
    sets(OTEL_EXPORTER_OTLP_HEADERS, "telemetry.headers", "headers for the collector: name=value,name=value"),
    sets(OTEL_SERVICE_NAME, "telemetry.service_name", "the name under which traces are filed"),
    sets(
        OTEL_TRACES_SAMPLER,
        "telemetry.sampler",
        "which runs are traced: always_on, always_off, traceidratio, parentbased_*",
    ),
    sets(OTEL_TRACES_SAMPLER_ARG, "telemetry.sampler_argument", "the sampler's ratio, from 0 to 1"),
    sets(OTEL_SDK_DISABLED, "telemetry.disabled", "`true`: no traces at all"),
    known("OTEL_TRACES_EXPORTER", "`otlp` or `none`"),
    known(OTEL_RESOURCE_ATTRIBUTES, "what traces say of this program: name=value,name=value"),
    known("OTEL_EXPORTER_OTLP_TIMEOUT", "for one request to the collector, in milliseconds"),
    known("OTEL_EXPORTER_OTLP_PROTOCOL", "only http/protobuf is spoken"),
    // After OTEL_EXPORTER_OTLP_HEADERS: the later one wins.
    sets(OTEL_EXPORTER_OTLP_TRACES_HEADERS, "telemetry.headers", "the same as OTEL_EXPORTER_OTLP_HEADERS, for traces"),
    known("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "the same as OTEL_EXPORTER_OTLP_TIMEOUT, for traces"),
    known("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "the same as OTEL_EXPORTER_OTLP_PROTOCOL, for traces"),
    known("OTEL_BSP_EXPORT_TIMEOUT", "for what is left when a run is over, in milliseconds"),
    known("OTEL_BSP_SCHEDULE_DELAY", "how long a span waits for others, in milliseconds"),
    known("OTEL_BSP_MAX_QUEUE_SIZE", "the most spans that wait"),
    known("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "the most spans of one request"),
    known("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "the most bytes of an attribute that holds content"),
    known("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "the same, for spans"),
    known("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "`false` keeps prompts and answers out of traces"),
    known(TRACEPARENT, "the W3C trace that a run continues"),
    known(HTTP_PROXY, "the proxy for http: addresses"),
    known(HTTPS_PROXY, "the proxy for https: addresses"),
    known(ALL_PROXY, "the proxy for both"),
    known(NO_PROXY, "hosts that are reached without a proxy, separated by commas"),
    known(SSL_CERT_FILE, "a file of certificates that are trusted besides the system's"),
    known(REQUESTS_CA_BUNDLE, "another such file, as Python's clients have it"),
    known(NO_COLOR, "anything: no colours"),
];

/// Variables whose values are secrets wherever they are set, whether a file names them or not.
pub(crate) const ALWAYS_SECRET: &[&str] =
    &[AZURE_OPENAI_AD_TOKEN, AZURE_CLIENT_SECRET, ACTIONS_ID_TOKEN_REQUEST_TOKEN, IDENTITY_HEADER];

/// The text of `.env.sample`.
#[must_use]
pub fn sample_file() -> String {
    let mut text = String::from(
        "# Copy this file to .env and fill in what you use. Variables of the process come before those of .env.\n\
         # Put a value that has blanks, # or $ in it in single quotes.\n",
    );
    for variable in KNOWN {
        text += &match variable.sample {
            Some(value) => format!("\n# {}\n{}={value}\n", variable.about, variable.name),
            None => format!("\n# {}\n#{}=\n", variable.about, variable.name),
        };
    }
    text
}

/// Whether a variable or key with this name holds a secret, by its looks: `…_KEY`, `…_TOKEN`, `…SECRET…`,
/// `…PASSWORD…`, `…CONNECTION_STRING`.
#[must_use]
pub fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace(['-', '.'], "_");
    let within = ["SECRET", "PASSWORD", "PASSWD", "CONNECTION_STRING", "CREDENTIAL", "PRIVATE_KEY"];
    let at_end = ["KEY", "TOKEN", "PASSPHRASE", "AUTHORIZATION"];
    within.iter().any(|word| name.contains(word))
        || at_end.iter().any(|word| {
            let before = name.strip_suffix(word);
            before.is_some_and(|before| before.is_empty() || before.ends_with('_') || before.ends_with("API"))
        })
}

/// The variables of the process and of `.env`. Prints names only.
#[derive(Clone, Default)]
pub struct Variables {
    process: Arc<BTreeMap<String, String>>,
    dot_env: Arc<BTreeMap<String, String>>,
    dot_env_name: Arc<str>,
    without_keys: bool,
}

/// A variable's value, and who set it.
#[derive(Clone)]
pub struct Variable<'a> {
    /// The value, which may be empty.
    pub value: &'a str,
    /// Who set it.
    pub origin: Origin,
}

impl Variables {
    /// The variables of the process.
    pub fn new<N: Into<String>, V: Into<String>>(process: impl IntoIterator<Item = (N, V)>) -> Self {
        let process = process.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { process: Arc::new(process), ..Self::default() }
    }

    /// Adds the variables of a `.env` file by its text; those of the process come first.
    ///
    /// # Errors
    /// Lines that are no `NAME=value`, by number.
    pub fn with_dot_env(mut self, name: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let process = |name: &str| self.process.get(name).map(String::as_str);
        self.dot_env = Arc::new(dot_env::read(name, text, &process)?);
        self.dot_env_name = name.into();
        Ok(self)
    }

    /// Adds the nearest `.env` at or above `folder`, if there is one.
    ///
    /// # Errors
    /// A file that cannot be read, or lines of it that are no `NAME=value`.
    pub fn with_nearest_dot_env(self, folder: &Path) -> Result<Self, Vec<Problem>> {
        let Some(file) = folder.ancestors().map(|folder| folder.join(".env")).find(|file| file.is_file()) else {
            return Ok(self);
        };
        let name = if file.parent() == Some(folder) { ".env".to_owned() } else { file.display().to_string() };
        let text = std::fs::read_to_string(&file)
            .map_err(|error| vec![Problem::error("config::unreadable", format!("`{name}` cannot be read: {error}"))])?;
        self.with_dot_env(&name, &text)
    }

    /// Lets connections have [`STAND_IN`] where a variable is not set: nobody is going to be asked.
    #[must_use]
    pub fn without_keys(self) -> Self {
        Self { without_keys: true, ..self }
    }

    /// What stands in for a variable that is not set, in the setting with this dotted key.
    pub(crate) fn stand_in(&self, key: &str) -> Option<&'static str> {
        (self.without_keys && key.starts_with("connections.")).then_some(STAND_IN)
    }

    /// A variable: the process's, else that of `.env`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Variable<'_>> {
        let of_process = || {
            let value = self.process.get(name)?;
            Some(Variable { value, origin: Origin::Process { name: name.into() } })
        };
        let of_dot_env = || {
            let value = self.dot_env.get(name)?;
            Some(Variable { value, origin: Origin::DotEnv { name: name.into(), file: self.dot_env_name.clone() } })
        };
        of_process().or_else(of_dot_env)
    }

    /// A variable that is set and not empty.
    #[must_use]
    pub fn get_non_empty(&self, name: &str) -> Option<Variable<'_>> {
        self.get(name).filter(|variable| !variable.value.is_empty())
    }

    /// The variables of `.env`, by name.
    pub(crate) fn dot_env_names(&self) -> impl Iterator<Item = &str> {
        self.dot_env.keys().map(String::as_str)
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Variables")
            .field("process", &self.process.len())
            .field("dot_env", &self.dot_env.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl fmt::Debug for Variable<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Variable({})", self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_comes_before_the_file() {
        let variables =
            Variables::new([("A", "process"), ("E", "")]).with_dot_env(".env", "A=file\nB=file\nE=file").unwrap();
        let told = |name: &str| variables.get(name).map(|found| format!("{} {}", found.value, found.origin));
        assert_eq!(told("A").unwrap(), "process `A` of the process");
        assert_eq!(told("B").unwrap(), "file `B` in .env");
        assert_eq!(told("E").unwrap(), " `E` of the process");
        assert_eq!(told("C"), None);
    }

    #[test]
    fn the_nearest_file_counts() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(folder.path().join(".env"), "X=outer").unwrap();
        let read = |from: &Path| {
            let variables = Variables::default().with_nearest_dot_env(from).unwrap();
            variables.get("X").map(|variable| variable.value.to_owned())
        };
        assert_eq!(read(&inner).as_deref(), Some("outer"));
        std::fs::write(folder.path().join("a/.env"), "X=nearer").unwrap();
        assert_eq!(read(&inner).as_deref(), Some("nearer"));
    }

    #[test]
    fn names_tell_what_is_secret() {
        for name in [
            "OPENAI_API_KEY",
            "api_key",
            "apikey",
            "GITHUB_TOKEN",
            "token",
            "db_password",
            "CLIENT_SECRET_ID",
            "x-api-key",
            "AZURE_CONNECTION_STRING",
        ] {
            assert!(looks_secret(name), "{name}");
        }
        for name in
            ["PROMPT_TOKEN_LIMIT", "MAX_TOKENS", "tokens_per_minute", "monkey", "KEYBOARD", "AOAI_BASE_ENDPOINT"]
        {
            assert!(!looks_secret(name), "{name}");
        }
    }

    #[test]
    fn nothing_is_printed_but_names() {
        let variables = Variables::new([("A", "one-secret")]).with_dot_env(".env", "B=two-secret").unwrap();
        let printed = format!("{variables:?} {:?}", variables.get("A"));
        assert!(!printed.contains("secret"), "{printed}");
    }
}
