//! Connections that are described elsewhere: in an older file's `aoai_config`, in a prompty. They become a table of
//! today, which is read like any other.

use sluicegate_value::{Map, Value};

use super::identity::{self, Way};
use crate::aliases::{CONNECTION_TYPES, connection_type};
use crate::layers::{Table, Tree};
use crate::variables::{
    ACTIONS_ID_TOKEN_REQUEST_URL, AZURE_CLIENT_SECRET, AZURE_FEDERATED_TOKEN_FILE, AZURE_OPENAI_AD_TOKEN,
    AZURE_OPENAI_API_KEY, IDENTITY_ENDPOINT,
};
use crate::{Origin, Variables};

/// Variables of which any one says that there is an identity to use.
const SIGNS_OF_AN_IDENTITY: &[&str] = &[
    AZURE_OPENAI_AD_TOKEN,
    AZURE_FEDERATED_TOKEN_FILE,
    ACTIONS_ID_TOKEN_REQUEST_URL,
    AZURE_CLIENT_SECRET,
    IDENTITY_ENDPOINT,
];

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
pub(crate) fn from_prompty(provider: Option<&str>, configuration: &Map, variables: &Variables) -> Table {
    let described = Described(configuration);
    let mut table = Table::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            table.insert(key.into(), Tree::leaf(value, Origin::Default));
        }
    };
    let of_variable = |name: &str| Some(Value::from(format!("${{{name}}}")));
    let kind = described.service(provider);
    // Version 2 says by `kind` that nothing is shown, and then no variable stands in.
    let anonymous = described.word("kind") == Some("anonymous");
    let key = described.given(&["api_key", "apiKey"]).filter(|_| !anonymous);
    put("type", Some(kind.as_str().into()));
    match kind.as_str() {
        "azure_open_ai" | "serverless" => {
            let address = described.given(&["azure_endpoint", "endpoint", "api_base", "base_url"]);
            let address_key = if kind == "serverless" { "endpoint" } else { "api_base" };
            put(address_key, address.or_else(|| of_variable("AZURE_OPENAI_ENDPOINT").filter(|_| kind != "serverless")));
            put("api_version", described.given(&["api_version", "apiVersion"]));
            let auth = described.given(&["auth", "auth_mode"]);
            let names_entra = auth.as_ref().and_then(Value::as_str).and_then(identity::way_of) == Some(Way::Entra);
            let unasked = || auth.is_none() && key.is_none() && described.without_key(variables);
            let by_identity = names_entra || (!anonymous && unasked());
            if !by_identity && !anonymous {
                put("api_key", key.or_else(|| of_variable(AZURE_OPENAI_API_KEY)));
            }
            let way = if anonymous { Some("none") } else { by_identity.then_some("entra") };
            put("auth", auth.or_else(|| way.map(Into::into)));
        }
        "anthropic" => {
            put("base_url", described.given(&["base_url", "endpoint"]));
            put("api_key", key.or_else(|| of_variable("ANTHROPIC_API_KEY").filter(|_| !anonymous)));
        }
        "open_ai" => {
            let of_variable_if_set = |name: &str| variables.get_non_empty(name).and_then(|_| of_variable(name));
            let base_url = described.given(&["base_url", "endpoint"]);
            put("base_url", base_url.or_else(|| of_variable_if_set("OPENAI_BASE_URL")));
            put("api_key", key.or_else(|| of_variable("OPENAI_API_KEY").filter(|_| !anonymous)));
            put("organization", described.given(&["organization"]));
        }
        _ => {}
    }
    // Only words that choose among a provider's APIs: `chat` and the like say what is asked, as everywhere.
    let api = described.word("api").or_else(|| described.word("apiType"));
    let apis: &[&str] = match kind.as_str() {
        "azure_open_ai" => &["responses", "v1"],
        "open_ai" => &["responses"],
        _ => &[],
    };
    put("api", api.filter(|api| apis.contains(api)).map(Value::from));
    table
}

/// How the hosts end at which Azure's models are served.
const AZURE_HOSTS: [&str; 11] = [
    ".openai.azure.com",
    ".openai.azure.us",
    ".openai.azure.cn",
    ".cognitiveservices.azure.com",
    ".cognitiveservices.azure.us",
    ".cognitiveservices.azure.cn",
    ".services.ai.azure.com",
    ".services.ai.azure.us",
    ".models.ai.azure.com",
    ".inference.ml.azure.com",
    ".inference.ai.azure.com",
];

/// A prompty's own words.
struct Described<'a>(&'a Map);

impl Described<'_> {
    /// The first of several keys that says something.
    fn given(&self, names: &[&str]) -> Option<Value> {
        let said = |value: &&Value| !value.is_null() && value.as_str() != Some("");
        names.iter().find_map(|name| self.0.get(name).filter(said)).cloned()
    }

    fn word(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// The kind of service, as the `type` of a connection; a name that is none stays, and is told as unknown.
    fn service(&self, provider: Option<&str>) -> String {
        let written = self.word("type").or(provider).unwrap_or_default();
        let service = connection_type(written);
        if service == "foundry" || self.word("kind") == Some("foundry") || self.given(&["azure_endpoint"]).is_some() {
            return "azure_open_ai".to_owned();
        }
        match service.as_str() {
            "" => "open_ai".to_owned(),
            known if CONNECTION_TYPES.contains(&known) => service,
            other if other.contains("azure") => "azure_open_ai".to_owned(),
            _ => service,
        }
    }

    /// Whether an Azure service is asked by identity where no key is given, as the original does: if the description
    /// says so, or if no key is to be had and an identity is.
    fn without_key(&self, variables: &Variables) -> bool {
        let is_set = |name: &str| variables.get_non_empty(name).is_some();
        let has_az = || {
            let folders = identity::folders_of_commands(variables);
            folders.iter().any(|folder| folder.join("az").is_file() || folder.join("az.cmd").is_file())
        };
        let is_foundry = self.word("kind") == Some("foundry");
        let has_identity = || SIGNS_OF_AN_IDENTITY.iter().any(|name| is_set(name)) || has_az();
        self.leads_to_azure(variables) && (is_foundry || (!is_set(AZURE_OPENAI_API_KEY) && has_identity()))
    }

    /// Whether the address is one of the service's own. An identity that nobody asked for is shown nowhere else.
    fn leads_to_azure(&self, variables: &Variables) -> bool {
        let of_variable = || Some(variables.get_non_empty("AZURE_OPENAI_ENDPOINT")?.value.to_owned());
        let written = self.given(&["azure_endpoint", "endpoint", "api_base", "base_url"]);
        let address = written.and_then(|address| address.as_str().map(str::to_owned)).or_else(of_variable);
        let Some(address) = address else { return false };
        let Some(rest) = address.trim().strip_prefix("https://") else { return false };
        let host = rest.split(['/', ':', '?', '#']).next().unwrap_or(rest).to_ascii_lowercase();
        AZURE_HOSTS.iter().any(|end| host.ends_with(end))
    }
}
