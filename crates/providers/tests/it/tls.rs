//! TLS: whom we trust, how we show who we are, and what is said when that fails.

use std::path::PathBuf;

use sluicegate_config::{ClientCertificate, Gateway};
use sluicegate_model::{ChatModel, ModelError, Models as _};
use sluicegate_providers::{Options, connect};
use sluicegate_testkit::endpoint::Endpoint;
use sluicegate_testkit::tls::{Authority, Certified, Server};
use tempfile::TempDir;

use crate::{call, connection, open_ai, request};

const HERE: [&str; 2] = ["localhost", "127.0.0.1"];

/// Files that live as long as a test.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn identity(&self, certified: &Certified) -> ClientCertificate {
        ClientCertificate {
            certificate: self.write("client.pem", &certified.certificate),
            key: self.write("client.key", &certified.key),
        }
    }
}

fn model(url: &str, gateway: Gateway, ca_files: Vec<PathBuf>) -> std::sync::Arc<dyn ChatModel> {
    let mut connection = connection(open_ai(url));
    connection.retry.max_attempts = 1;
    connection.gateway = gateway;
    connect(vec![connection], Options { ca_files, ..Options::default() }).chat(&"c".into()).unwrap()
}

/// What a call came to: "fine", or its error with the endpoint's address written as `[origin]`.
async fn outcome(url: &str, gateway: Gateway, ca_files: Vec<PathBuf>) -> String {
    match call(&*model(url, gateway, ca_files), &request()).await.result {
        Ok(_) => "fine".to_owned(),
        Err(error) => error.to_string().replace(url, "[origin]"),
    }
}

fn trusting(ca_file: PathBuf) -> Gateway {
    Gateway { ca_file: Some(ca_file), ..Gateway::default() }
}

#[tokio::test]
async fn an_authority_of_one_s_own_is_trusted_by_setting_and_by_variable() {
    let (root, other) = (Authority::new("Corp Root"), Authority::new("Other Root"));
    let endpoint = Endpoint::start_tls(&Server::new(&root.certify(&HERE)));
    let files = Files::new();
    let bundle = files.write("bundle.pem", &format!("# our roots\n{}\n{}", other.pem(), root.pem()));
    for url in [endpoint.url(), endpoint.url_at("localhost")] {
        assert_eq!(outcome(&url, trusting(bundle.clone()), Vec::new()).await, "fine");
        assert_eq!(outcome(&url, Gateway::default(), vec![bundle.clone()]).await, "fine");
    }
    assert_eq!(endpoint.count(), 4);
}

/// Where a process of its own finds what it needs, in its folder.
const CALLED: &str = "called.txt";

#[test]
fn variables_of_the_process_say_nothing_of_whom_we_trust() {
    let root = Authority::new("Corp Root");
    let endpoint = Endpoint::start_tls(&Server::new(&root.certify(&HERE)));
    let files = Files::new();
    let bundle = files.write("root.pem", &root.pem());
    files.write("other.pem", &Authority::new("Other Root").pem());
    files.write(CALLED, &endpoint.url());
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tls::a_process_with_variables", "--ignored", "--nocapture"])
        .current_dir(files.0.path())
        .env("SSL_CERT_FILE", &bundle)
        .env("SSL_CERT_DIR", files.0.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&child.stderr));
    assert_eq!((endpoint.connections(), endpoint.count()), (1, 0));
}

#[tokio::test]
#[ignore = "the test above runs it in a process and folder of its own"]
async fn a_process_with_variables() {
    let Ok(url) = std::fs::read_to_string(CALLED) else { return };
    // What the variables name counts where it is handed in; this is something else.
    let said = outcome(&url, Gateway::default(), vec!["other.pem".into()]).await;
    assert!(said.contains("its issuer `CN=Corp Root` is unknown"), "{said}");
}

#[tokio::test]
async fn an_unknown_issuer_is_named_with_what_to_do() {
    let root = Authority::new("Corp Root");
    let between = root.intermediate("Corp Web");
    let files = Files::new();
    let other = files.write("other.pem", &Authority::new("Other Root").pem());
    let missing = |shown: &Certified| {
        let endpoint = Endpoint::start_tls(&Server::new(shown));
        let other = other.clone();
        async move {
            let words = outcome(&endpoint.url(), Gateway::default(), vec![other]).await;
            assert_eq!(endpoint.count(), 0);
            words
        }
    };
    let expected = |issuer: &str| {
        format!(
            "connection `c`: the certificate of [origin] is not trusted: its issuer `CN={issuer}` is unknown; put the \
             issuer's certificate (PEM) into a file and name it with `ca_file:` or SSL_CERT_FILE"
        )
    };
    assert_eq!(missing(&root.certify(&HERE)).await, expected("Corp Root"));
    assert_eq!(missing(&between.certify(&HERE)).await, expected("Corp Web"));
    assert_eq!(missing(&between.certify(&HERE).followed_by(&between)).await, expected("Corp Root"));
    assert_eq!(
        missing(&Authority::new("Other Root").certify(&HERE)).await,
        "connection `c`: the certificate of [origin] is not trusted: it is not by the issuer `CN=Other Root` that is \
         known, which has another key; put the issuer's certificate (PEM) into a file and name it with `ca_file:` or \
         SSL_CERT_FILE"
    );
    assert_eq!(
        missing(&Certified::by_itself(&HERE)).await,
        "connection `c`: the certificate of [origin] is not trusted: nobody but itself (`CN=localhost`) vouches for it; \
         put it (PEM) into a file and name it with `ca_file:` or SSL_CERT_FILE"
    );
}

#[tokio::test]
async fn a_certificate_that_vouches_for_itself_can_be_trusted() {
    let shown = Certified::by_itself(&HERE);
    let endpoint = Endpoint::start_tls(&Server::new(&shown));
    let files = Files::new();
    let trusted = files.write("self.pem", &shown.certificate);
    assert_eq!(outcome(&endpoint.url(), trusting(trusted), Vec::new()).await, "fine");
}

#[tokio::test]
async fn old_certificates_and_those_for_other_names_are_told_apart() {
    let root = Authority::new("Corp Root");
    let files = Files::new();
    let trusted = files.write("root.pem", &root.pem());
    let endpoint = Endpoint::start_tls(&Server::new(&root.certify_long_ago(&HERE)));
    assert_eq!(
        outcome(&endpoint.url(), trusting(trusted.clone()), Vec::new()).await,
        "connection `c`: the certificate of [origin] expired on 01 Jan 2002; it must be renewed there, or this machine's \
         clock is wrong"
    );
    let endpoint = Endpoint::start_tls(&Server::new(&root.certify(&["api.corp.test", "*.corp.test", "10.0.0.1"])));
    assert_eq!(
        outcome(&endpoint.url(), trusting(trusted), Vec::new()).await,
        "connection `c`: the certificate of [origin] is not for this name but for `api.corp.test`, `*.corp.test`, \
         `10.0.0.1`; use a name that it is for"
    );
}

#[tokio::test]
async fn a_client_shows_its_certificate_where_one_is_wanted() {
    let (root, other) = (Authority::new("Corp Root"), Authority::new("Other Root"));
    let endpoint = Endpoint::start_tls(&Server::for_clients_of(&root.certify(&HERE), &root));
    let files = Files::new();
    let trusted = files.write("root.pem", &root.pem());
    let showing = |shown: Option<ClientCertificate>| Gateway { client_certificate: shown, ..trusting(trusted.clone()) };

    let ours = files.identity(&root.certify_client("us"));
    assert_eq!(outcome(&endpoint.url(), showing(Some(ours)), Vec::new()).await, "fine");
    assert_eq!(endpoint.count(), 1);

    let both = root.certify_client("us");
    let both = files.write("both.pem", &(both.key + &both.certificate));
    let both = ClientCertificate { certificate: both.clone(), key: both };
    assert_eq!(outcome(&endpoint.url(), showing(Some(both)), Vec::new()).await, "fine");

    assert_eq!(
        outcome(&endpoint.url(), showing(None), Vec::new()).await,
        "connection `c`: [origin] wants a client's certificate; name one, and its key, with `client_certificate:`"
    );
    let theirs = files.identity(&other.certify_client("them"));
    let shown = theirs.certificate.display().to_string();
    let refused = outcome(&endpoint.url(), showing(Some(theirs)), Vec::new()).await;
    assert!(refused.contains(&format!("[origin] refused our client's certificate, {shown}")), "{refused}");
    assert_eq!(endpoint.count(), 2);
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let root = Authority::new("Corp Root");
    let files = Files::new();
    let url = "https://127.0.0.1:1";
    let check = |gateway: Gateway, ca_files: Vec<PathBuf>, expected: String| async move {
        let error = call(&*model(url, gateway, ca_files), &request()).await.result.unwrap_err();
        assert!(matches!(error, ModelError::Misconfigured { .. }), "{error:?}");
        assert_eq!(error.to_string(), format!("connection `c`: {expected}"));
    };
    let folder = files.0.path().to_owned();
    for (file, why) in [
        (folder.join("nowhere.pem"), "does not exist"),
        (folder.clone(), "is a folder, not a file"),
        (files.write("empty.pem", " \n"), "is empty"),
        (files.write("text.pem", "hello"), "holds no certificate (`-----BEGIN CERTIFICATE-----`)"),
        (files.write("key.pem", &root.certify(&HERE).key), "holds no certificate (`-----BEGIN CERTIFICATE-----`)"),
        (
            files.write("junk.pem", "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n"),
            "holds no certificate that can be trusted",
        ),
    ] {
        let shown = file.display().to_string();
        check(trusting(file.clone()), Vec::new(), format!("the file that `ca_file` names, {shown}, {why}")).await;
        let named = "the file that SSL_CERT_FILE or REQUESTS_CA_BUNDLE names";
        check(Gateway::default(), vec![file], format!("{named}, {shown}, {why}")).await;
    }

    let trusted = files.write("root.pem", &root.pem());
    let (one, two) = (root.certify_client("one"), root.certify_client("two"));
    let certificate = files.write("one.pem", &one.certificate);
    let mut keys = Vec::new();
    for (name, content, why) in [
        ("two.key", &*two.key, None),
        ("no.key", "hello", Some("is not PEM (`-----BEGIN PRIVATE KEY-----`)")),
        ("certificate.key", &*one.certificate, Some("holds no private key (`-----BEGIN PRIVATE KEY-----`)")),
        (
            "locked.key",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\naGVsbG8=\n-----END ENCRYPTED PRIVATE KEY-----\n",
            Some("is protected by a password; write the key without one (`openssl pkey -in FILE -out KEY`)"),
        ),
    ] {
        keys.push((files.write(name, content), why));
    }
    for (key, why) in keys {
        let expected = match why {
            Some(why) => format!("the key of its `client_certificate`, {}, {why}", key.display()),
            None => format!(
                "its `client_certificate` does not work: the key in {} is not that of the first certificate in {}",
                key.display(),
                certificate.display()
            ),
        };
        let shown = ClientCertificate { certificate: certificate.clone(), key };
        let gateway = Gateway { client_certificate: Some(shown), ..trusting(trusted.clone()) };
        check(gateway, Vec::new(), expected).await;
    }
}

#[tokio::test]
async fn speaking_tls_to_who_does_not_and_the_reverse_is_told() {
    let root = Authority::new("Corp Root");
    let files = Files::new();
    let trusted = files.write("root.pem", &root.pem());
    let plain = Endpoint::start();
    let said = outcome(&plain.url().replace("http:", "https:"), trusting(trusted.clone()), Vec::new()).await;
    assert_eq!(
        said,
        "connection `c`: what answers at [origin] does not speak TLS; if it speaks plain HTTP, write `http://`"
    );
    let tls = Endpoint::start_tls(&Server::new(&root.certify(&HERE)));
    let said = outcome(&tls.url().replace("https:", "http:"), trusting(trusted), Vec::new()).await;
    assert!(said.starts_with("connection `c`: what answers at [origin] speaks no HTTP ("), "{said}");
    assert!(said.ends_with("); if it speaks TLS, write `https://`"), "{said}");
}
