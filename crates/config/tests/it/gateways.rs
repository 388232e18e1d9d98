//! What stands between us and a service.

use std::path::PathBuf;

use sluicegate_config::{AuthHeader, Gateway, MASK, Project, Secret, Settings, Variables};

use crate::{Folder, check_refused, check_told_of_file, connection, messages};

fn gateway(keys: &str, variables: &[(&str, &str)]) -> Gateway {
    let found = connection(&format!("{{type: open_ai, api_key: k, {keys}}}"), variables);
    found.unwrap_or_else(|told| panic!("{told}")).gateway
}

fn pairs(found: &[(String, Secret)]) -> Vec<(&str, &str)> {
    found.iter().map(|(name, value)| (name.as_str(), value.expose())).collect()
}

#[test]
fn headers_and_query_come_in_order_with_their_variables() {
    let found = gateway(
        "headers: {x-team: a, X-Key: '${TEAM_KEY}', number: 5, gone: null}, query: {zone: eu west, code: '${CODE}'}",
        &[("TEAM_KEY", "k-123\n"), ("CODE", "ä&b")],
    );
    assert_eq!(pairs(&found.headers), [("x-team", "a"), ("X-Key", "k-123"), ("number", "5")]);
    assert_eq!(pairs(&found.query), [("zone", "eu west"), ("code", "ä&b")]);
    assert!(!format!("{found:?}").contains("k-123"), "{found:?}");
}

#[test]
fn a_key_may_travel_in_a_header_of_another_name() {
    let header = |written: &str| gateway(&format!("auth_header: '{written}'"), &[]).auth_header.unwrap();
    let expected = |name: &str, prefix: &str| AuthHeader { name: name.to_owned(), prefix: prefix.to_owned() };
    assert_eq!(header("Ocp-Apim-Subscription-Key"), expected("Ocp-Apim-Subscription-Key", ""));
    assert_eq!(header("Authorization: Bearer"), expected("Authorization", "Bearer "));
    assert_eq!(header(" X-Auth :  Key v2 "), expected("X-Auth", "Key v2 "));
}

#[test]
fn a_path_prefix_begins_with_a_slash_and_does_not_end_with_one() {
    assert_eq!(gateway("path_prefix: team-a/openai/", &[]).path_prefix.as_deref(), Some("/team-a/openai"));
    assert_eq!(gateway("path_prefix: /", &[]).path_prefix, None);
}

#[test]
fn what_no_header_can_hold_is_told_without_being_shown() {
    let told = connection(
        "{type: open_ai, api_key: k, headers: {'a b': hunter-1, Content-Length: hunter-2, x: '${BREAK}', y: ' ', z: {a: b}}, auth_header: 'no name', path_prefix: '/a?b'}",
        &[("BREAK", "hunter\n3")],
    );
    insta::assert_snapshot!(told.unwrap_err(), @r#"
    `connections.c.headers.a b` (config/config.yaml:2) has a name that no header can have
      help: a header's name has letters, digits and `-`, and no blanks
    `connections.c.headers.Content-Length` (config/config.yaml:2) is a header that the HTTP client writes itself
      help: take it out
    `connections.c.headers.x` (config/config.yaml:2) holds a character that no header can hold
      help: a header's value is one line of ASCII; anything else has to be encoded, as base64 or by `%`
    config/config.yaml:2:105: `connections.c.headers.y` is empty
      help: give it a value, or leave `y` out
    config/config.yaml:2:117: `connections.c.headers.z` takes text, not a map
    config/config.yaml:2:135: `connections.c.auth_header` is no header that can carry a key
      help: write its name, as in `Ocp-Apim-Subscription-Key`, or its name and what stands before the key, as in `"Authorization: Bearer"`
    config/config.yaml:2:159: `connections.c.path_prefix` is no path
      help: write what stands before the service's own path, such as `/openai-gateway/team-a`
    "#);
    check_told_of_file(
        "{type: open_ai, api_key: k, headers: [a, b]}",
        "config/config.yaml:2:43: `headers` takes a map, not a list\n",
    );
}

#[test]
fn certificates_are_files_of_the_project() {
    let config = "connections:\n  one: {type: open_ai, api_key: k, client_certificate: certs/both.pem, ca_file: ./certs/ca.pem}\n  two: {type: open_ai, api_key: k, client_certificate: {certificate: certs/ca.pem, key: '${KEY_FILE}'}}\n  three: {type: open_ai, api_key: k, client_certificate: {certificate: certs/ca.pem}}";
    let folder = Folder::new(&[("config/config.yaml", config), ("certs/both.pem", "-"), ("certs/ca.pem", "-")]);
    let variables = Variables::new([("KEY_FILE", folder.path().join("certs/both.pem").to_str().unwrap())]);
    let environment = folder.settings(&variables, None).without_flow().unwrap();
    let file = |name: &str| folder.path().join("certs").join(name);
    let certificate = |name: &str| {
        let found = environment.connection(name).unwrap().gateway.client_certificate.unwrap();
        (found.certificate, found.key)
    };
    assert_eq!(environment.connection("one").unwrap().gateway.ca_file, Some(file("ca.pem")));
    assert_eq!(certificate("one"), (file("both.pem"), file("both.pem")));
    assert_eq!(certificate("two"), (file("ca.pem"), file("both.pem")));
    assert_eq!(certificate("three"), (file("ca.pem"), file("ca.pem")));
}

#[test]
fn a_certificate_that_is_not_there_is_told_when_the_connection_is_asked_for() {
    let help = "\n  help: relative paths count from the project's folder, the one with `config/`\n";
    check_refused(
        "{type: open_ai, api_key: k, client_certificate: {key: k.pem}, ca_file: certs/ca.pem}",
        &format!(
            "config/config.yaml:2:60: `connections.c.client_certificate.key` leads to `k.pem`, which is no file{help}\
             `connections.c.client_certificate.certificate` is missing\n  help: give `connections.c.client_certificate` a `certificate`\n\
             config/config.yaml:2:77: `connections.c.ca_file` leads to `certs/ca.pem`, which is no file{help}"
        ),
    );
    let folder = Folder::with_config("connections: {c: {type: open_ai, ca_file: nope.pem}}");
    assert!(Settings::load(&Project::find(folder.path()), &Variables::default(), None, Vec::new()).is_ok());
}

#[test]
fn every_kind_that_goes_over_the_network_has_a_gateway() {
    for kind in [
        "{type: azure_open_ai, api_base: 'https://x', api_key: k",
        "{type: open_ai, api_key: k",
        "{type: serverless, endpoint: 'https://x', api_key: k",
        "{type: anthropic, api_key: k",
    ] {
        let keys = "headers: {a: b}, query: {c: d}, auth_header: E, path_prefix: f, deployments: {g: {reasoning: true}}, adapt: off";
        let found = connection(&format!("{kind}, {keys}}}"), &[]).unwrap_or_else(|told| panic!("{told}"));
        assert_eq!(pairs(&found.gateway.headers), [("a", "b")]);
        assert_eq!(pairs(&found.gateway.query), [("c", "d")]);
        assert_eq!(found.gateway.path_prefix.as_deref(), Some("/f"));
        assert!(found.deployments.never_adapt && found.deployments.of("g").is_some());
    }
}

#[test]
fn headers_and_query_are_secrets() {
    let config = "connections:\n  c: {type: open_ai, api_key: k, ca_file: none.pem, headers: {x-team: '${TEAM}', x-auth: 'Basic written-pair'}, query: {sig: '${SIG}', zone: eu}}\nflow_configs: {f: {flow_path: x, connections: {d: {headers: {y: of-section}}}}}";
    let folder = Folder::with_config(config);
    let environment = folder.environment("f", None, &[("TEAM", "team-secret"), ("SIG", "sig-secret")]);
    // Although the connection cannot be used: its file is not there.
    assert!(environment.connection("c").is_err());
    let redacted = environment.redactor([]).redact("team-secret sig-secret written-pair of-section eu").unwrap();
    assert_eq!(redacted, format!("{MASK} {MASK} {MASK} {MASK} eu"));
    let shown: String = environment
        .entries()
        .iter()
        .filter(|entry| entry.key.contains("headers") || entry.key.contains("query"))
        .map(|entry| format!("{} = {}  ({})\n", entry.key, entry.shown, entry.origin))
        .collect();
    insta::assert_snapshot!(shown, @"
    f.connections.d.headers.y = [secret]  (config/config.yaml:3)
    connections.c.headers.x-team = [secret]  (config/config.yaml:2, from `TEAM` of the process)
    connections.c.headers.x-auth = [secret]  (config/config.yaml:2)
    connections.c.query.sig = [secret]  (config/config.yaml:2, from `SIG` of the process)
    connections.c.query.zone = [secret]  (config/config.yaml:2)
    connections.d.headers.y = [secret]  (config/config.yaml:3)
    ");
}

#[test]
fn further_certificates_come_by_variables() {
    let folder = Folder::with_config("flow_configs: {f: {flow_path: x}}");
    let files = |variables: &[(&str, &str)]| folder.environment("f", None, variables).certificate_files();
    assert_eq!(files(&[("SSL_CERT_FILE", ""), ("CURL_CA_BUNDLE", "/c.pem")]), Vec::<PathBuf>::new());
    let both = files(&[("REQUESTS_CA_BUNDLE", "/b.pem"), ("SSL_CERT_FILE", "/a.pem")]);
    assert_eq!(both, ["/a.pem", "/b.pem"].map(PathBuf::from));
    let same = files(&[("REQUESTS_CA_BUNDLE", "/a.pem"), ("SSL_CERT_FILE", "/a.pem")]);
    assert_eq!(same, ["/a.pem"].map(PathBuf::from));
}

#[test]
fn a_key_written_into_a_header_is_warned_about() {
    let folder = Folder::with_config(
        "connections: {c: {type: open_ai, headers: {x-api-key: abcdefghijklmnop}, auth_header: x}}",
    );
    let told = messages(folder.settings(&Variables::default(), None).warnings());
    assert_eq!(
        told,
        "config/config.yaml:1 holds the value of `x-api-key` itself\n  help: put the value into a variable or `.env`, and write `${NAME}` here\n"
    );
}
