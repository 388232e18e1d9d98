//! Connections that prompties describe in themselves.

use sluicegate_config::{Auth, AzureApi, Connection, ConnectionKind};
use sluicegate_source::{SourceFile, yaml};

use crate::{Folder, messages};

/// The connection of a prompty with this provider and this description, as one line of YAML.
fn inline(provider: &str, description: &str, variables: &[(&str, &str)]) -> Result<Connection, String> {
    let described = yaml::read(&SourceFile::new("a.prompty", description)).unwrap().root.to_value();
    let folder = Folder::with_config("flow_configs: {f: {flow_path: x}}");
    let provider = Some(provider).filter(|provider| !provider.is_empty());
    let environment = folder.environment("f", None, variables);
    let found = environment.inline_connection("p", provider, described.as_map().unwrap());
    found.map_err(|problems| messages(&problems))
}

/// What becomes of a description, in a line.
fn told(provider: &str, description: &str, variables: &[(&str, &str)]) -> String {
    let connection = match inline(provider, description, variables) {
        Ok(connection) => connection,
        Err(told) => return told,
    };
    let key = connection.api_key().map_or("no key", |key| key.expose()).to_owned();
    let asked = |responses: bool| if responses { " responses" } else { "" };
    match connection.kind {
        ConnectionKind::AzureOpenAi { api_base, auth, api, responses } => {
            let auth = if matches!(auth, Auth::Entra(_)) { "entra".to_owned() } else { key };
            let api = if let AzureApi::Dated(version) = api { version } else { "v1".to_owned() };
            format!("azure {api_base} {auth} {api}{}", asked(responses))
        }
        ConnectionKind::OpenAi { base_url, responses, .. } => format!("openai {base_url} {key}{}", asked(responses)),
        ConnectionKind::Anthropic { base_url, .. } => format!("anthropic {base_url} {key}"),
        ConnectionKind::Serverless { endpoint, .. } => format!("serverless {endpoint} {key}"),
        other => format!("{other:?}"),
    }
}

const KEYS: [(&str, &str); 3] =
    [("AZURE_OPENAI_API_KEY", "azure-key"), ("OPENAI_API_KEY", "openai-key"), ("ANTHROPIC_API_KEY", "anthropic-key")];

#[test]
fn version_1_describes_azure_or_openai() {
    for (description, expected) in [
        ("{type: azure_openai, azure_endpoint: 'https://x', api_key: own}", "azure https://x own 2024-02-01"),
        (
            "{type: azure_open_ai, azure_endpoint: 'https://x', api_version: '2024-06-01'}",
            "azure https://x azure-key 2024-06-01",
        ),
        ("{azure_endpoint: 'https://x'}", "azure https://x azure-key 2024-02-01"),
        ("{type: openai}", "openai https://api.openai.com/v1 openai-key"),
        ("{type: open_ai, base_url: 'http://localhost:1/v1', api_key: own}", "openai http://localhost:1/v1 own"),
        ("{type: serverless, endpoint: 'https://x', api_key: own}", "serverless https://x own"),
    ] {
        assert_eq!(told("", description, &KEYS), expected, "{description}");
    }
    let variables = [("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "http://h/v1")];
    assert_eq!(told("", "{type: openai}", &variables), "openai http://h/v1 k");
}

#[test]
fn version_2_names_its_provider() {
    for (provider, description, expected) in [
        ("openai", "{kind: key, endpoint: 'https://h/v1', apiKey: own}", "openai https://h/v1 own"),
        ("openai", "{kind: anonymous, endpoint: 'http://h/v1'}", "openai http://h/v1 no key"),
        ("openai", "{kind: key, apiType: responses}", "openai https://api.openai.com/v1 openai-key responses"),
        ("azure", "{kind: key, endpoint: 'https://x', api: v1}", "azure https://x azure-key v1"),
        ("azure", "{kind: key, endpoint: 'https://x', api: responses}", "azure https://x azure-key v1 responses"),
        ("foundry", "{kind: key, endpoint: 'https://x', apiKey: own}", "azure https://x own 2024-02-01"),
        ("anthropic", "{kind: key}", "anthropic https://api.anthropic.com anthropic-key"),
        ("anthropic", "{kind: anonymous, endpoint: 'http://h'}", "anthropic http://h no key"),
    ] {
        assert_eq!(told(provider, description, &KEYS), expected, "{provider} {description}");
    }
    let refused = told("gemini", "{kind: key, apiKey: own}", &KEYS);
    assert_eq!(refused, "connection `p` has an unknown type `gemini`\n");
}

#[test]
fn azure_is_asked_by_identity_where_no_key_is_to_be_had() {
    let described = "{type: azure_openai, azure_endpoint: 'https://x.openai.azure.com'}";
    let by_identity = "azure https://x.openai.azure.com entra 2024-02-01";
    for sign in [
        "AZURE_OPENAI_AD_TOKEN",
        "AZURE_FEDERATED_TOKEN_FILE",
        "ACTIONS_ID_TOKEN_REQUEST_URL",
        "AZURE_CLIENT_SECRET",
        "IDENTITY_ENDPOINT",
    ] {
        assert_eq!(told("", described, &[(sign, "something")]), by_identity, "{sign}");
    }
    // A key comes first, wherever it is given.
    let both = [("AZURE_OPENAI_AD_TOKEN", "t"), KEYS[0]];
    assert_eq!(told("", described, &both), "azure https://x.openai.azure.com azure-key 2024-02-01");
    let own = "{type: azure_openai, azure_endpoint: 'https://x.openai.azure.com', api_key: own}";
    assert_eq!(told("", own, &both), "azure https://x.openai.azure.com own 2024-02-01");
    // What nobody asked for is shown to nobody but the service's own hosts.
    for elsewhere in ["https://openai.azure.com.evil.test", "http://x.openai.azure.com", "https://gateway.corp"] {
        let described = format!("{{type: azure_openai, azure_endpoint: '{elsewhere}'}}");
        let refused = told("", &described, &[("AZURE_OPENAI_AD_TOKEN", "t")]);
        assert!(refused.contains("needs the variable `AZURE_OPENAI_API_KEY`"), "{elsewhere}: {refused}");
    }
    // `kind: anonymous` shows nothing, whoever could be shown.
    let anonymous = "{kind: anonymous, endpoint: 'https://x.openai.azure.com'}";
    assert_eq!(told("azure", anonymous, &both), "azure https://x.openai.azure.com no key 2024-02-01");
    // What asks for an identity by name gets one.
    assert_eq!(told("foundry", "{kind: foundry, endpoint: 'https://x.openai.azure.com'}", &KEYS), by_identity);
    assert_eq!(told("azure", "{endpoint: 'https://x.openai.azure.com', auth_mode: meid_token}", &KEYS), by_identity);
    assert_eq!(
        told("", described, &[]),
        "`connections.p.api_key` needs the variable `AZURE_OPENAI_API_KEY`, which is not set\n  help: set `AZURE_OPENAI_API_KEY` in the process or in `.env`, or give a default: `${AZURE_OPENAI_API_KEY:-…}`\n"
    );
}

#[test]
fn whoever_is_signed_in_at_the_command_line_is_an_identity() {
    let commands = Folder::new(&[("az", "#!/bin/sh\n")]);
    let path = format!("/nowhere:{}", commands.path().display());
    let described = "{type: azure_openai, azure_endpoint: 'https://x.openai.azure.com'}";
    assert_eq!(told("", described, &[("PATH", &path)]), "azure https://x.openai.azure.com entra 2024-02-01");
}
