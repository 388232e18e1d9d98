//! Key or identity: who a service is told that asks.

use std::path::{Path, PathBuf};

use sluicegate_config::{Auth, Connection, ConnectionKind, Entra, MASK, Secret, TokenSource};

use crate::{Folder, check_refused, check_told_of_file, connection};

fn entra_of(connection: Connection) -> Entra {
    match connection.kind {
        ConnectionKind::AzureOpenAi { auth: Auth::Entra(entra), .. }
        | ConnectionKind::Serverless { auth: Auth::Entra(entra), .. } => *entra,
        other => panic!("{other:?}"),
    }
}

fn entra(keys: &str, variables: &[(&str, &str)]) -> Entra {
    let found = connection(&format!("{{type: azure_open_ai, {keys}}}"), variables);
    entra_of(found.unwrap_or_else(|told| panic!("{told}")))
}

const X: &str = "api_base: 'https://x.openai.azure.com'";

#[test]
fn an_identity_needs_no_key_and_no_variable() {
    for word in ["auth: entra", "auth: Entra", "auth_mode: meid_token", "auth: {}", "auth: {type: entra}"] {
        let found = entra(&format!("{X}, {word}"), &[]);
        assert_eq!(found.scope, "https://cognitiveservices.azure.com/.default");
        assert_eq!(found.authority, "https://login.microsoftonline.com");
        assert_eq!(found.sources, TokenSource::ALL);
        assert_eq!(found.imds, "http://169.254.169.254");
        assert!(found.tenant_id.is_none() && found.token.is_none() && found.path.is_empty(), "{found:?}");
    }
}

#[test]
fn a_key_is_used_unless_an_identity_is_asked_for() {
    for word in ["", ", auth: key", ", auth_mode: key", ", auth: {type: key}"] {
        let found = connection(&format!("{{type: azure_open_ai, {X}, api_key: k{word}}}"), &[]).unwrap();
        assert_eq!(found.api_key().unwrap().expose(), "k");
    }
    let found = connection(&format!("{{type: azure_open_ai, {X}, api_key: '${{UNSET}}', auth: entra}}"), &[]);
    assert!(found.unwrap().api_key().is_none());
    check_refused(
        &format!("{{type: azure_open_ai, {X}}}"),
        "`connections.c.api_key` is missing\n  help: give `connections.c` an `api_key`, or `auth: entra`\n",
    );
}

#[test]
fn a_key_beside_an_identity_is_told_to_be_unused() {
    let told = "config/config.yaml:2:68: connection `c` has an `api_key` that is not used: its `auth` is Entra\n  help: take out one of the two; to send both, put the key into `headers`\n";
    for auth in ["auth: entra", "auth_mode: meid_token", "auth: {cloud: china}"] {
        check_told_of_file(&format!("{{type: azure_open_ai, {X}, api_key: '${{K}}', {auth}}}"), told);
    }
    for fine in ["api_key: null, auth: entra", "api_key: '${K}', auth: {type: key}", "api_key: '${K}'"] {
        check_told_of_file(&format!("{{type: azure_open_ai, {X}, {fine}}}"), "");
    }
}

#[test]
fn variables_give_what_each_source_needs_and_the_file_comes_before_them() {
    let variables = [
        ("AZURE_OPENAI_AD_TOKEN", "token-of-variable"),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", " client "),
        ("AZURE_CLIENT_SECRET", "secret-of-variable"),
        ("AZURE_FEDERATED_TOKEN_FILE", "/var/run/token"),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://gh.test/?a=b"),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "github-secret"),
        ("IDENTITY_ENDPOINT", "http://127.0.0.1:41/msi"),
        ("IDENTITY_HEADER", "header-secret"),
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "10.0.0.1/"),
        ("PATH", "/usr/bin:relative:/opt/bin"),
        ("MINE", "secret-of-file"),
    ];
    let text = |secret: &Option<Secret>| secret.as_ref().unwrap().expose().to_owned();
    let found = entra(&format!("{X}, auth: entra"), &variables);
    assert_eq!((found.tenant_id.as_deref(), found.client_id.as_deref()), (Some("tenant"), Some("client")));
    assert_eq!(
        [&found.token, &found.client_secret, &found.github_token, &found.identity_header].map(text),
        ["token-of-variable", "secret-of-variable", "github-secret", "header-secret"]
    );
    assert_eq!(found.federated_token_file.as_deref(), Some(Path::new("/var/run/token")));
    assert_eq!(found.github_url.as_deref(), Some("https://gh.test/?a=b"));
    assert_eq!(found.identity_endpoint.as_deref(), Some("http://127.0.0.1:41/msi"));
    assert_eq!(found.imds, "http://10.0.0.1");
    assert_eq!(found.path, ["/usr/bin", "/opt/bin"].map(PathBuf::from));
    assert!(!format!("{found:?}").contains("secret-of"), "{found:?}");

    let own = "auth: {tenant_id: t, client_id: c, client_secret: '${MINE}', token: '${MINE}'}";
    let found = entra(&format!("{X}, {own}"), &variables);
    assert_eq!((found.tenant_id.as_deref(), found.client_id.as_deref()), (Some("t"), Some("c")));
    assert_eq!([&found.token, &found.client_secret].map(text), ["secret-of-file", "secret-of-file"]);
}

/// Which authority gives a token out, and for what.
#[track_caller]
fn check_cloud(keys: &str, authority_host: &str, authority: &str, scope: &str) {
    let found = entra(keys, &[("AZURE_AUTHORITY_HOST", authority_host)]);
    assert_eq!((found.authority.as_str(), found.scope.as_str()), (authority, scope), "{keys}");
}

#[test]
fn a_cloud_has_its_own_authority_and_scope() {
    let (public, usgov, china) =
        ("https://login.microsoftonline.com", "https://login.microsoftonline.us", "https://login.chinacloudapi.cn");
    let scope = |of: &str| format!("https://cognitiveservices.azure.{of}/.default");
    let (gateway, in_usgov) = ("api_base: 'https://gw.test'", "api_base: 'https://x.openai.azure.us'");
    check_cloud(&format!("{gateway}, auth: {{cloud: public}}"), "", public, &scope("com"));
    check_cloud(&format!("{gateway}, auth: {{cloud: usgov}}"), "", usgov, &scope("us"));
    check_cloud(&format!("{gateway}, auth: {{cloud: China}}"), public, china, &scope("cn"));
    // Neither is written: the variable says it, else the address.
    check_cloud(&format!("{gateway}, auth: entra"), "login.microsoftonline.us/", usgov, &scope("us"));
    check_cloud(&format!("{in_usgov}, auth: entra"), "", usgov, &scope("us"));
    check_cloud("api_base: 'https://x.openai.azure.cn', auth: entra", "", china, &scope("cn"));
    check_cloud(
        &format!("{gateway}, auth: {{authority: 'http://localhost:5/', scope: 'api://mine/.default'}}"),
        usgov,
        "http://localhost:5",
        "api://mine/.default",
    );
}

#[test]
fn older_inference_endpoints_take_tokens_of_machine_learning() {
    let scope = |endpoint: &str, auth: &str| {
        let found = connection(&format!("{{type: serverless, endpoint: 'https://{endpoint}', auth: {auth}}}"), &[]);
        entra_of(found.unwrap()).scope
    };
    assert_eq!(scope("x.services.ai.azure.com/models", "entra"), "https://cognitiveservices.azure.com/.default");
    assert_eq!(scope("x.eastus.models.ai.azure.com", "entra"), "https://ml.azure.com/.default");
    assert_eq!(scope("x.models.ai.azure.com", "{scope: 'https://own/.default'}"), "https://own/.default");
}

#[test]
fn sources_are_tried_in_the_order_of_the_file() {
    let sources = |written: &str| entra(&format!("{X}, auth: {{sources: {written}}}"), &[("S", "az")]).sources;
    assert_eq!(sources("[az, workload]"), [TokenSource::Az, TokenSource::Workload]);
    assert_eq!(sources("['${S}', az, managed-identity]"), [TokenSource::Az, TokenSource::ManagedIdentity]);
    assert_eq!(sources("[workload_identity, azure_cli]"), [TokenSource::Workload, TokenSource::Az]);
    for source in TokenSource::ALL {
        assert_eq!(sources(source.word()), [source]);
    }
}

#[test]
fn what_is_wrong_with_an_identity_is_told_at_once() {
    check_refused(
        &format!(
            "{{type: azure_open_ai, {X}, auth: {{cloud: gov, authority: 'ftp://x', scope: 'https://x', sources: [azz, cli2]}}}}"
        ),
        "config/config.yaml:2:82: `connections.c.auth.cloud` is `gov`, which is no cloud of Microsoft's\n  help: use `public`, `usgov` or `china`; for any other give `authority` and `scope`\n\
         config/config.yaml:2:98: `connections.c.auth.authority` is no address that begins with `https://` or `http://`\n\
         config/config.yaml:2:116: `connections.c.auth.scope` is `https://x`, which does not end in `/.default`\n  help: write `https://x/.default`\n\
         config/config.yaml:2:138: `connections.c.auth.sources` names `azz`, which is no source of a token\n  help: did you mean `az`? there are: `token`, `workload`, `github`, `client_secret`, `managed_identity`, `az`\n\
         config/config.yaml:2:138: `connections.c.auth.sources` names `cli2`, which is no source of a token\n  help: there are: `token`, `workload`, `github`, `client_secret`, `managed_identity`, `az`\n",
    );
    let told = |keys: &str| connection(&format!("{{type: azure_open_ai, {X}, {keys}}}"), &[]).unwrap_err();
    assert!(
        told("auth: entar").ends_with(
            "`connections.c.auth` is `entar`, which is no way to sign in\n  help: did you mean `entra`? use `key`, `entra` or `none`\n"
        ),
        "{}",
        told("auth: entar")
    );
    assert!(
        told("api_key: k, auth: {type: key, cloud: china}").ends_with(
            "`connections.c.auth.cloud` is about Entra, and `connections.c.auth.type` is not\n  help: write `type: entra`, or leave it out\n"
        ),
    );
    let empty = told("auth: {sources: [], tenant_id: ''}");
    assert!(
        empty.contains("`connections.c.auth.sources` is empty\n  help: leave it out, or name some of `token`"),
        "{empty}"
    );
    assert!(empty.contains("`connections.c.auth.tenant_id` is empty\n"), "{empty}");
}

#[test]
fn nothing_of_an_identity_is_shown() {
    let folder = Folder::with_config(&format!(
        "connections:\n  c: {{type: azure_open_ai, {X}, auth: {{client_secret: '${{MINE}}', token: '${{AD}}'}}}}\nflow_configs: {{f: {{flow_path: x}}}}"
    ));
    let environment = folder.environment(
        "f",
        None,
        &[
            ("MINE", "mine-secret"),
            ("AD", "ad-token-1"),
            ("AZURE_CLIENT_SECRET", "variable-1"),
            ("AZURE_OPENAI_AD_TOKEN", "variable-2"),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "variable-3"),
            ("IDENTITY_HEADER", "variable-4"),
        ],
    );
    let text = "mine-secret ad-token-1 variable-1 variable-2 variable-3 variable-4";
    assert_eq!(environment.redactor([]).redact(text).unwrap(), [MASK; 6].join(" "));
    let entries = environment.entries();
    for key in ["connections.c.auth.client_secret", "connections.c.auth.token"] {
        let entry = entries.iter().find(|entry| entry.key == key).unwrap();
        assert_eq!((entry.shown.as_str(), entry.secret), (MASK, true), "{key}");
    }
}
