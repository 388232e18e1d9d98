//! Where a token does not go, and whom it is asked of.

use std::path::Path;

use sluicegate_config::Gateway;
use sluicegate_model::ChatRequest;
use sluicegate_testkit::tls::{Authority, Server};

use super::*;

#[tokio::test]
async fn a_token_does_not_travel_where_others_can_read_it() {
    let site = Site::start(3600);
    let refused = |kind: ConnectionKind| {
        let connected = connect(vec![connection(kind)], Options::default());
        connected.chat(&name()).err().map(|error| (error.code(), error.to_string()))
    };
    let auth = || Auth::Entra(Box::new(site.application()));
    let azure = |api_base: &str| ConnectionKind::AzureOpenAi {
        api_base: api_base.to_owned(),
        auth: auth(),
        api: AzureApi::V1,
        responses: false,
    };
    let serverless = ConnectionKind::Serverless {
        endpoint: "http://far.test/models".to_owned(),
        auth: auth(),
        api_version: String::new(),
        extra_parameters: ExtraParameters::Unsaid,
    };
    for kind in [azure("http://far.test"), serverless] {
        let expected = "connection `c`: its identity's token must not be sent to http://far.test, where everybody on the \
                        way can read it; write `https://`, or give it a key in place of `auth: entra`";
        assert_eq!(refused(kind), Some(("misconfigured", expected.to_owned())));
    }
    for fine in ["https://far.test", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"] {
        assert_eq!(refused(azure(fine)), None, "{fine}");
    }
    assert_eq!(site.given(), 0);
}

#[tokio::test]
async fn a_reply_that_repeats_the_token_is_heard_without_it() {
    async fn check(entra: impl Fn(&Site) -> Entra, token: &str) {
        for stream in [false, true] {
            let site = Site::start(3600);
            site.model.on(move |heard| {
                let shown = format!("you sent {}.", heard.header("authorization")?);
                Some(if stream { Answer::stream(&[&shown]) } else { Answer::text(&shown) })
            });
            let connected = site.connected(entra(&site));
            let model = connected.chat(&name()).unwrap();
            let outcome = call(&*model, &ChatRequest { stream, ..request() }).await;
            assert_eq!(site.shown(), [format!("Bearer {token}")]);
            let reply = outcome.result.unwrap();
            assert_eq!(reply.text.as_deref(), Some("you sent Bearer ***."));
            assert!(!format!("{reply:?} {:?}", outcome.told).contains(token));
        }
    }
    check(Site::application, "token-1").await;
    let pasted = |site: &Site| Entra { token: Some(Secret::new("Bearer pasted-0123")), ..site.entra() };
    check(pasted, "pasted-0123").await;
}

#[tokio::test]
async fn the_authorities_of_a_connection_count_where_tokens_are_given_out() {
    let root = Authority::new("Corp Root");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("root.pem");
    std::fs::write(&file, root.pem()).unwrap();
    let other = folder.path().join("other.pem");
    std::fs::write(&other, Authority::new("Other Root").pem()).unwrap();
    let site = Site::start(3600);
    let authority = Endpoint::start_tls(&Server::new(&root.certify(&["127.0.0.1"])));
    authority.on(|_| Some(Answer::json(200, &json!({ "access_token": "by-tls", "expires_in": 3600 }))));
    let by = async |ca_file: &Path| {
        let entra = Entra { authority: authority.url(), ..site.application() };
        let gateway = Gateway { ca_file: Some(ca_file.to_owned()), ..Gateway::default() };
        let connection = Connection { gateway, ..site.connection(entra) };
        once(&connect(vec![connection], Options::default())).await
    };
    check_succeeded(&by(&file).await);
    assert_eq!(site.shown(), ["Bearer by-tls"]);
    let said = message(&by(&other).await);
    let expected = "its issuer `CN=Corp Root` is unknown; put the issuer's certificate (PEM) into a file and name it with \
                    `ca_file:` or SSL_CERT_FILE";
    assert!(said.contains(expected), "{said}");
}

#[tokio::test]
async fn a_client_s_certificate_is_for_the_connection_s_own_address() {
    let root = Authority::new("Corp Root");
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let client = root.certify_client("us");
    let ca_file = Some(write("root.pem", &root.pem()));
    let both = write("client.pem", &(client.key + &client.certificate));
    let shown = sluicegate_config::ClientCertificate { certificate: both.clone(), key: both };
    let authority = Endpoint::start_tls(&Server::for_clients_of(&root.certify(&["127.0.0.1"]), &root));
    let site = Site::start(3600);
    let entra = Entra { authority: authority.url(), ..site.application() };
    let gateway = Gateway { ca_file, client_certificate: Some(shown), ..Gateway::default() };
    let connection = Connection { gateway, ..site.connection(entra) };
    let said = message(&once(&connect(vec![connection], Options::default())).await);
    assert!(
        said.contains("wants a client's certificate; which is shown to the connection's own address alone"),
        "{said}"
    );
    assert_eq!(authority.count(), 0);
}

#[tokio::test]
async fn whose_token_was_refused_is_known() {
    let site = Site::start(3600);
    site.model.on(|_| Some(Answer::error(403, "403", "Forbidden")));
    let connected = site.connected(site.application());
    assert_eq!(connected.identity(&name()), None);
    let _ = message(&once(&connected).await);
    let told = connected.identity(&name()).unwrap();
    assert!(
        told.starts_with(&format!("client secret of application {CLIENT} in tenant {TENANT}, valid until")),
        "{told}"
    );
}

#[tokio::test]
async fn what_an_endpoint_says_of_itself_is_asked_by_the_same_token() {
    let site = Site::start(3600);
    let kind = ConnectionKind::Serverless {
        endpoint: site.model.url(),
        auth: Auth::Entra(Box::new(site.application())),
        api_version: String::new(),
        extra_parameters: ExtraParameters::Unsaid,
    };
    let connected = connect(vec![connection(kind)], Options::default());
    check_succeeded(&once(&connected).await);
    connected.describe(&name()).await.unwrap();
    assert_eq!(site.shown(), ["Bearer token-1", "Bearer token-1"]);
    assert_eq!(site.given(), 1);
}
