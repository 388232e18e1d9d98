//! What `http` nodes may do.

use std::time::Duration;

use sluicegate_config::HttpPolicy;

use crate::{Folder, message};

/// The policy of a file with this `http:`, and this one in the flow's section.
fn policy(of_file: &str, of_section: &str, variables: &[(&str, &str)]) -> Result<HttpPolicy, String> {
    let folder =
        Folder::with_config(&format!("http: {of_file}\nflow_configs: {{f: {{flow_path: x, http: {of_section}}}}}"));
    folder.environment("f", None, variables).http_policy().map_err(|problem| message(&problem))
}

#[track_caller]
fn check_refused(of_file: &str, expected: &str) {
    assert_eq!(policy(of_file, "{}", &[]).expect_err("a problem"), expected);
}

#[test]
fn nothing_written_is_the_default() {
    assert_eq!(policy("null", "null", &[]), Ok(HttpPolicy::default()));
    assert_eq!(policy("{}", "{}", &[]), Ok(HttpPolicy::default()));
    let unset = Folder::with_config("flow_configs: {f: {flow_path: x}}").environment("f", None, &[]);
    assert_eq!(unset.http_policy().unwrap(), HttpPolicy::default());
}

#[test]
fn a_section_overlays_the_file_key_by_key() {
    let found = policy(
        "{allow_hosts: [api.test, '*.own.test', '${HOST}'], redirects: 0, timeout: 5s}",
        "{allow_private: [localhost, 10.0.0.0/8], max_size: 512KiB, timeout: '${WAIT}'}",
        &[("HOST", "more.test"), ("WAIT", "1.5")],
    );
    let expected = HttpPolicy {
        allow_hosts: Some(["api.test", "*.own.test", "more.test"].map(str::to_owned).into()),
        allow_private: ["localhost", "10.0.0.0/8"].map(str::to_owned).into(),
        redirects: 0,
        max_size: 512 * 1024,
        timeout: Duration::from_millis(1500),
    };
    assert_eq!(found, Ok(expected));
}

#[test]
fn all_private_hosts_or_none_are_allowed_by_one_word() {
    let private = |written: &str, word: &str| {
        policy(&format!("{{allow_private: {written}}}"), "{}", &[("ALL", word)]).unwrap().allow_private
    };
    assert_eq!(private("true", ""), ["*"]);
    assert_eq!(private("'${ALL}'", "true"), ["*"]);
    assert_eq!(private("'${ALL}'", "localhost"), ["localhost"]);
    for none in ["false", "[]", "null"] {
        assert_eq!(private(none, ""), Vec::<String>::new(), "{none}");
    }
    assert_eq!(policy("{allow_hosts: []}", "{}", &[]).unwrap().allow_hosts, Some(Vec::new()));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    check_refused(
        "{allow_hosts: ['https://api.test/v1']}",
        "config/config.yaml:1:21: `http.allow_hosts` holds `https://api.test/v1`, which is no host\n  help: write `api.example.com`, `*.example.com`, `10.1.2.3` or `10.0.0.0/8`, without scheme, port or path\n",
    );
    check_refused(
        "{max_size: 10 apples}",
        "config/config.yaml:1:18: `http.max_size` takes a size such as `512KiB` or `10MB`, or a number of bytes, not `10 apples`\n",
    );
    check_refused(
        "{redirects: -1}",
        "config/config.yaml:1:19: `http.redirects` takes a whole number of at least 0, not `-1`\n",
    );
    check_refused("{timeout: 0}", "config/config.yaml:1:17: `http.timeout` takes a duration longer than 0\n");
    let told = policy("{allow_private: {a: b}}", "{}", &[]).unwrap_err();
    assert!(told.ends_with("`http.allow_private` takes a list of texts, not a map\n"), "{told}");
    let folder = Folder::with_config("http: {alow_hosts: [a]}\nflow_configs: {f: {flow_path: x, http: {redirect: 1}}}");
    let told = folder.problems();
    assert!(told.contains("`http` has no key `alow_hosts`\n  help: did you mean `allow_hosts`?\n"), "{told}");
    assert!(told.contains("`http` has no key `redirect`\n  help: did you mean `redirects`?\n"), "{told}");
}

#[test]
fn a_section_names_a_deployment_for_embeddings() {
    let folder =
        Folder::with_config("flow_configs: {f: {flow_path: x, embedding_deployment_name: '${E}'}, g: {flow_path: x}}");
    let environment = folder.environment("f", None, &[("E", "vectors")]);
    assert_eq!(environment.embedding_deployment_name().unwrap().as_deref(), Some("vectors"));
    assert!(!environment.value_names().contains(&"embedding_deployment_name"));
    assert_eq!(folder.environment("g", None, &[]).embedding_deployment_name().unwrap(), None);
}
