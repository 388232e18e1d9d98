//! The kinds of services, and which API of theirs is spoken.

use sluicegate_config::{AzureApi, ConnectionKind, Deployment, ExtraParameters};

use crate::{check_refused, check_told_of_file, connection};

fn dated(version: &str) -> AzureApi {
    AzureApi::Dated(version.to_owned())
}

/// The base, the API and whether it is `responses` of an Azure connection with these keys.
#[track_caller]
fn check_azure(keys: &str, base: &str, api: AzureApi, asks_responses: bool) {
    let found = connection(&format!("{{type: azure_open_ai, api_key: k, {keys}}}"), &[]);
    let found = match found.unwrap_or_else(|told| panic!("{told}")).kind {
        ConnectionKind::AzureOpenAi { api_base, api, responses, .. } => (api_base, api, responses),
        other => panic!("{other:?}"),
    };
    assert_eq!(found, (base.to_owned(), api, asks_responses), "{keys}");
}

#[test]
fn azure_speaks_a_dated_version_or_v1_or_responses() {
    let x = "https://x.openai.azure.com";
    let keys = |more: &str| format!("api_base: '{x}'{more}");
    check_azure(&keys(""), x, dated("2024-02-01"), false);
    check_azure(&keys(", api_version: 2024-06-01"), x, dated("2024-06-01"), false);
    check_azure(&keys(", api: deployments, api_version: 2024-06-01"), x, dated("2024-06-01"), false);
    check_azure(&keys(", api: v1"), x, AzureApi::V1, false);
    check_azure(&keys(", api: responses"), x, AzureApi::V1, true);
    check_azure(&keys(", api: responses, api_version: 2025-03-01-preview"), x, dated("2025-03-01-preview"), true);
    check_refused(
        "{type: azure_open_ai, api_base: 'https://x', api_key: k, api: reponses}",
        "config/config.yaml:2:68: `connections.c.api` is `reponses`, which is no API of Azure OpenAI\n  help: did you mean `responses`? use `v1`, `responses`, or leave it out and give `api_version`\n",
    );
    check_refused(
        "{type: azure_open_ai, api_base: 'https://x', api_key: k, api_version: v1}",
        "config/config.yaml:2:76: `connections.c.api_version` is `v1`, which is no version but an API\n  help: write `api: v1` in its place\n",
    );
}

#[test]
fn an_azure_address_is_taken_as_people_find_it() {
    let x = "https://x.openai.azure.com";
    check_azure(&format!("azure_endpoint: {x}/"), x, dated("2024-02-01"), false);
    check_azure(&format!("endpoint: {x}/openai/"), x, dated("2024-02-01"), false);
    check_azure(&format!("api_base: {x}/openai/v1/"), x, AzureApi::V1, false);
    check_azure(&format!("api_base: {x}/openai/v1, api_version: 2024-06-01"), x, dated("2024-06-01"), false);
    // As portals show them: the path of an operation, which tells the API.
    check_azure(&format!("api_base: {x}/openai/v1/chat/completions"), x, AzureApi::V1, false);
    check_azure(&format!("api_base: {x}/openai/v1/responses"), x, AzureApi::V1, true);
    let preview = "2025-04-01-preview";
    check_azure(&format!("api_base: '{x}/openai/responses?api-version={preview}'"), x, dated(preview), true);
    check_azure(&format!("api_base: '{x}?api-version=2024-10-21'"), x, dated("2024-10-21"), false);
    check_azure("api_base: 'https://gw.test/team-a'", "https://gw.test/team-a", dated("2024-02-01"), false);
    check_refused(
        "{type: azure_open_ai, api_key: k, api_base: 'https://x.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21'}",
        "`connections.c.api_base` (config/config.yaml:2) is the address of a deployment, not of the service\n  help: write `api_base: https://x.openai.azure.com`, `api_version: 2024-10-21`, and in the flow's section `deployment_name: gpt-4o`\n",
    );
}

#[test]
fn openai_is_asked_for_chat_or_for_responses() {
    let found = |keys: &str| match connection(&format!("{{type: open_ai, api_key: k{keys}}}"), &[]).unwrap().kind {
        ConnectionKind::OpenAi { base_url, responses, .. } => (base_url, responses),
        other => panic!("{other:?}"),
    };
    let of_openai = "https://api.openai.com/v1".to_owned();
    assert_eq!(found(""), (of_openai.clone(), false));
    assert_eq!(found(", api: chat"), (of_openai.clone(), false));
    assert_eq!(found(", api: responses"), (of_openai, true));
    assert_eq!(found(", base_url: 'http://x/v1/chat/completions'"), ("http://x/v1".to_owned(), false));
    check_refused(
        "{type: open_ai, api_key: k, api: v1}",
        "config/config.yaml:2:39: `connections.c.api` is `v1`, which is no API of OpenAI\n  help: use `chat` or `responses`\n",
    );
}

#[test]
fn model_inference_has_an_endpoint_a_version_and_a_word_for_unknown_parameters() {
    let found = |kind: &str, keys: &str| match connection(&format!("{{type: {kind}, api_key: k, {keys}}}"), &[])
        .unwrap()
        .kind
    {
        ConnectionKind::Serverless { endpoint, api_version, extra_parameters, .. } => {
            (endpoint, api_version, extra_parameters)
        }
        other => panic!("{other:?}"),
    };
    let usual = "2024-05-01-preview".to_owned();
    let x = "https://x.services.ai.azure.com/models".to_owned();
    for kind in ["serverless", "azure_ai_inference", "model_inference", "azure-ai-model-inference"] {
        assert_eq!(found(kind, &format!("endpoint: {x}/")), (x.clone(), usual.clone(), ExtraParameters::Unsaid));
    }
    let whole = format!("api_base: '{x}/chat/completions?api-version=2024-08-01', extra_parameters: drop");
    let whole = found("serverless", &whole);
    assert_eq!(whole, (format!("{x}/chat/completions"), "2024-08-01".to_owned(), ExtraParameters::Drop));
    for (word, meaning) in [
        ("error", ExtraParameters::Error),
        ("pass-through", ExtraParameters::PassThrough),
        ("pass_through", ExtraParameters::PassThrough),
    ] {
        assert_eq!(found("serverless", &format!("base_url: {x}, extra_parameters: {word}")).2, meaning);
    }
    check_refused(
        "{type: serverless, extra_parameters: dorp}",
        "`connections.c.endpoint` is missing\n  help: give `connections.c` an `endpoint`\n\
         `connections.c.api_key` is missing\n  help: give `connections.c` an `api_key`, or `auth: entra`\n\
         config/config.yaml:2:43: `connections.c.extra_parameters` is `dorp`, which is nothing that the service does with them\n  help: did you mean `drop`? use `error`, `drop` or `pass-through`\n",
    );
}

#[test]
fn anthropic_needs_a_key_at_its_own_address() {
    let found = |keys: &str| match connection(&format!("{{type: anthropic{keys}}}"), &[]).unwrap().kind {
        ConnectionKind::Anthropic { base_url, api_key, version } => {
            (base_url, api_key.map(|key| key.expose().to_owned()), version)
        }
        other => panic!("{other:?}"),
    };
    let (own, key, usual) = ("https://api.anthropic.com".to_owned(), Some("k".to_owned()), "2023-06-01".to_owned());
    assert_eq!(found(", api_key: k"), (own.clone(), key.clone(), usual));
    assert_eq!(found(", api_key: k, version: 2030-01-01"), (own, key, "2030-01-01".to_owned()));
    assert_eq!(found(", base_url: 'http://localhost:9/v1/messages'").0, "http://localhost:9");
    check_refused(
        "{type: anthropic}",
        "`connections.c.api_key` is missing\n  help: give `connections.c` an `api_key`\n",
    );
}

#[test]
fn what_is_known_of_a_deployment_is_looked_up_by_name_then_by_star() {
    let found = connection(
        "{type: open_ai, api_key: k, adapt: off, deployments: {\
         o-like: {reasoning: true, rename: {max_tokens: max_completion_tokens}, drop: [temperature, '${P}']}, \
         plain: {drop: seed}, nothing: null, '*': {reasoning: '${FLAG}'}}}",
        &[("P", "top_p"), ("FLAG", "true")],
    );
    let deployments = found.unwrap().deployments;
    assert!(deployments.never_adapt);
    assert_eq!(
        deployments.of("o-like"),
        Some(&Deployment {
            reasoning: true,
            rename: vec![("max_tokens".into(), "max_completion_tokens".into())],
            drop: vec!["temperature".into(), "top_p".into()],
        })
    );
    assert_eq!(deployments.of("plain").unwrap().drop, ["seed".into()]);
    for other in ["nothing", "never-heard-of"] {
        assert!(deployments.of(other).unwrap().reasoning, "{other}");
    }
    for (written, never) in [("on", false), ("off", true), ("true", false), ("false", true)] {
        let found = connection(&format!("{{type: open_ai, api_key: k, adapt: {written}}}"), &[]).unwrap();
        assert_eq!(found.deployments.never_adapt, never, "{written}");
        assert!(found.deployments.of("any").is_none());
    }
}

#[test]
fn what_is_wrong_with_a_deployment_is_told_with_its_place() {
    let told = connection(
        "{type: open_ai, api_key: k, adapt: maybe, deployments: {a: {reasoning: perhaps, drop: {x: y}}, b: {rename: {x: ''}}, c: {rename: {x: y}, drop: [x]}}}",
        &[],
    );
    insta::assert_snapshot!(told.unwrap_err(), @"
    config/config.yaml:2:41: `connections.c.adapt` takes `on` or `off`, not `maybe`
    config/config.yaml:2:96: `connections.c.deployments.a.drop` takes a list of texts, not a map
    config/config.yaml:2:77: `connections.c.deployments.a.reasoning` takes `true` or `false`, not `perhaps`
    config/config.yaml:2:117: `connections.c.deployments.b.rename.x` is empty
      help: give it a value, or leave `x` out
    config/config.yaml:2:149: `connections.c.deployments.c.drop` drops `x`, and `rename` sends it by another name
      help: take it out of one of the two
    ");
}

#[test]
fn an_unknown_key_is_told_with_the_one_that_may_be_meant() {
    check_told_of_file(
        "{type: azure_open_ai, header: {a: b}, deployments: {x: {reasning: true}}, auth: {scop: x}, client_certificate: {certificat: x}}",
        "config/config.yaml:2:28: connection `c` has no key `header`\n  help: did you mean `headers`?\n\
         config/config.yaml:2:62: deployment `x` has no key `reasning`\n  help: did you mean `reasoning`?\n\
         config/config.yaml:2:87: `auth` has no key `scop`\n  help: did you mean `scope`?\n\
         config/config.yaml:2:118: `client_certificate` has no key `certificat`\n  help: did you mean `certificate`?\n",
    );
    check_told_of_file(
        "{type: anthropic, organization: x}",
        "config/config.yaml:2:24: connection `c` has no key `organization`\n  help: it takes `base_url`, `api_base`, `endpoint`, `api_key`, `version`, `headers`, `query`, `auth_header`, `path_prefix`, `client_certificate`, `ca_file`, `deployments`, `adapt`, `type`, `name`, `max_in_flight`, `requests_per_minute`, `tokens_per_minute`, `timeout`, `retry`\n",
    );
    check_told_of_file(
        "{type: simulated, script: s, headers: {a: b}}",
        "config/config.yaml:2:35: connection `c` has no key `headers`\n  help: it takes `script`, `type`, `name`, `max_in_flight`, `requests_per_minute`, `tokens_per_minute`, `timeout`, `retry`\n",
    );
    check_told_of_file("{type: model_inference, endpoint: 'https://x'}", "");
}
