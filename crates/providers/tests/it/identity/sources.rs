//! Where a token comes from.

use super::*;

#[tokio::test]
async fn an_application_shows_its_secret() {
    let site = Site::start(3600);
    let (outcome, told) = site.call(site.application()).await;
    check_succeeded(&outcome);
    let asked = &site.authority.requests()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", &*format!("/{TENANT}/oauth2/v2.0/token")));
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    let expected = [
        ("client_id", CLIENT),
        ("scope", "https://cognitiveservices.azure.com/.default"),
        ("grant_type", "client_credentials"),
        ("client_secret", CLIENT_SECRET),
    ];
    assert_eq!(form(asked), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let heard = &site.model.requests()[0];
    assert_eq!((heard.header("authorization"), heard.header("api-key")), (Some("Bearer token-1"), None));
    let told = told.unwrap();
    let expected = format!("client secret of application {CLIENT} in tenant {TENANT}, valid until 20");
    assert!(told.starts_with(&expected) && told.ends_with(" UTC"), "{told}");
}

#[tokio::test]
async fn model_inference_takes_a_token_instead_of_a_key() {
    let site = Site::start(3600);
    let connected = connect(
        vec![connection(ConnectionKind::Serverless {
            endpoint: site.model.url(),
            auth: Auth::Entra(Box::new(site.application())),
            api_version: "2024-05-01-preview".to_owned(),
            extra_parameters: ExtraParameters::Unsaid,
        })],
        Options::default(),
    );
    check_succeeded(&once(&connected).await);
    let heard = &site.model.requests()[0];
    assert_eq!((heard.header("authorization"), heard.header("api-key")), (Some("Bearer token-1"), None));
}

#[tokio::test]
async fn a_workload_shows_the_token_of_its_file_which_is_read_anew_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "assertion-1\n").unwrap();
    let site = Site::start(3600);
    let entra = Entra { client_secret: None, federated_token_file: Some(file.clone()), ..site.application() };
    let connected = site.connected(entra);
    check_succeeded(&once(&connected).await);
    std::fs::write(&file, "assertion-2\n").unwrap();
    site.refuse("token-1");
    check_succeeded(&once(&connected).await);
    let asked = site.authority.requests();
    let shown: Vec<_> = asked.iter().map(|heard| field(heard, "client_assertion")).collect();
    assert_eq!(shown, [Some("assertion-1".to_owned()), Some("assertion-2".to_owned())]);
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    assert_eq!(field(&asked[0], "client_assertion_type").as_deref(), Some(kind));
    assert_eq!(field(&asked[0], "client_secret"), None);
    let told = connected.identity(&name()).unwrap();
    assert!(told.starts_with(&format!("workload identity of application {CLIENT} in tenant {TENANT}, ")), "{told}");
}

#[tokio::test]
async fn a_workflow_shows_the_token_that_github_gives_it() {
    let assertion = jwt(&json!({ "iss": "https://token.actions.example", "sub": "repo:o/r:ref:refs/heads/main" }));
    let (site, github) = (Site::start(3600), github(&assertion));
    let (outcome, told) = site.call(workflow(&site, &github)).await;
    check_succeeded(&outcome);
    let asked = &github.requests()[0];
    assert_eq!(asked.path, "/idtoken?api-version=2.0&audience=api%3A%2F%2FAzureADTokenExchange");
    assert_eq!(asked.header("authorization"), Some(&*format!("bearer {GITHUB_TOKEN}")));
    assert_eq!(field(&site.authority.requests()[0], "client_assertion"), Some(assertion));
    assert!(told.unwrap().starts_with("GitHub workflow `repo:o/r:ref:refs/heads/main` as application "));
}

#[tokio::test]
async fn an_app_service_gives_the_token_of_its_identity() {
    let site = Site::start(3600);
    let platform = Endpoint::start();
    platform.on(|_| {
        // Only a date, as the platform's clock has it: an hour behind this machine's.
        let end = epoch();
        let date = httpdate::fmt_http_date(UNIX_EPOCH + seconds(epoch() - 3600));
        let body = json!({ "access_token": "platform-token", "expires_on": end.to_string(), "client_id": "its-id" });
        Some(Answer::json(200, &body).header("date", &date))
    });
    let entra = Entra {
        identity_endpoint: Some(format!("{}/msi/token", platform.url())),
        identity_header: Some(Secret::new(IDENTITY_HEADER)),
        ..site.entra()
    };
    let connected = site.connected(entra.clone());
    check_succeeded(&once(&connected).await);
    let asked = &platform.requests()[0];
    let resource = "resource=https%3A%2F%2Fcognitiveservices.azure.com";
    assert_eq!(asked.path, format!("/msi/token?api-version=2019-08-01&{resource}"));
    assert_eq!(asked.header("x-identity-header"), Some(IDENTITY_HEADER));
    assert_eq!(site.shown(), ["Bearer platform-token"]);
    assert!(connected.identity(&name()).unwrap().starts_with("managed identity its-id, valid until"));
    // An hour by the platform's own clock: nobody asks again before that.
    pass(seconds(50 * 60)).await;
    check_succeeded(&once(&connected).await);
    assert_eq!(platform.count(), 1);
    let (outcome, _) = site.call(Entra { client_id: Some(CLIENT.to_owned()), ..entra }).await;
    check_succeeded(&outcome);
    assert_eq!(platform.requests()[1].path, format!("/msi/token?api-version=2019-08-01&{resource}&client_id={CLIENT}"));
}

#[tokio::test]
async fn a_virtual_machine_gives_the_token_of_its_identity() {
    let site = Site::start(3600);
    let entra = Entra { imds: site.authority.url(), client_id: Some(CLIENT.to_owned()), ..site.entra() };
    let (outcome, told) = site.call(entra).await;
    check_succeeded(&outcome);
    let asked = &site.authority.requests()[0];
    let expected = "/metadata/identity/oauth2/token?api-version=2018-02-01\
                    &resource=https%3A%2F%2Fcognitiveservices.azure.com";
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", &*format!("{expected}&client_id={CLIENT}")));
    assert_eq!(asked.header("metadata"), Some("true"));
    assert!(told.unwrap().starts_with(&format!("managed identity (virtual machine) {CLIENT}, ")));
}

#[tokio::test]
async fn the_metadata_service_is_never_asked_by_way_of_a_proxy() {
    let (site, proxy) = (Site::start(3600), Endpoint::start());
    // An address that leads nowhere: a proxy would hear of it.
    let entra = Entra { imds: "http://192.0.2.1".to_owned(), ..site.entra() };
    let proxies = Proxies { http: Some(proxy.url()), ..Proxies::default() };
    let connected = connect(vec![site.connection(entra)], Options { proxies, ..Options::default() });
    let said = message(&once(&connected).await);
    assert!(said.contains("managed_identity: IDENTITY_ENDPOINT is not set, and no metadata service is here"), "{said}");
    assert_eq!(proxy.count(), 0);
}

#[cfg(unix)]
#[tokio::test]
async fn whoever_is_signed_in_at_the_command_line() {
    let site = Site::start(3600);
    let token = jwt(&json!({ "upn": "jane@example.com", "exp": epoch() + 3600 }));
    let (folder, path) = az(&format!(
        "echo \"$@\" > \"$(dirname \"$0\")/asked\"\n\
         echo 'WARNING: a new version is there' >&2\n\
         echo '{{\"accessToken\": \"{token}\", \"expires_on\": {}, \"tenant\": \"{TENANT}\"}}'",
        epoch() + 3600
    ));
    let elsewhere = tempfile::tempdir().unwrap();
    let entra =
        Entra { path: vec![elsewhere.path().to_owned(), path], tenant_id: Some(TENANT.to_owned()), ..site.entra() };
    let (outcome, told) = site.call(entra).await;
    check_succeeded(&outcome);
    assert_eq!(site.shown(), [format!("Bearer {token}")]);
    let asked = std::fs::read_to_string(folder.path().join("asked")).unwrap();
    let scope = "--scope https://cognitiveservices.azure.com/.default";
    assert_eq!(asked.trim(), format!("account get-access-token {scope} --output json --tenant {TENANT}"));
    let told = told.unwrap();
    assert!(told.starts_with(&format!("az, signed in as jane@example.com in tenant {TENANT}, valid until")), "{told}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_command_line_that_nobody_is_signed_in_at() {
    async fn check(script: &str, expected: &str) {
        let (_folder, path) = az(script);
        let site = Site::start(3600);
        let entra = Entra { path: vec![path], sources: vec![TokenSource::Az], ..site.entra() };
        assert_eq!(site.error(entra).await, expected);
    }
    check(
        "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1",
        "az: nobody is signed in: run `az login`",
    )
    .await;
    check(
        "echo 'ERROR: AADSTS700082: The refresh token has expired due to inactivity. Trace ID: 1' >&2; exit 1",
        "az: the sign-in is over or needs a second factor: run `az login` (AADSTS700082: The refresh token has expired \
         due to inactivity)",
    )
    .await;
    check("echo 'Traceback: no module' >&2; exit 1", "az: `az` failed: Traceback: no module").await;
    check("exit 3", "az: `az` failed: it said no more").await;
    check("echo secret-token", "az: what `az` printed is no token; `az upgrade` may help").await;
}

#[tokio::test]
async fn a_token_that_somebody_else_got() {
    let site = Site::start(3600);
    // By this machine's clock it is over since an hour; the clock may be wrong.
    let token = jwt(&json!({ "exp": epoch() - 3600 }));
    let entra = Entra { token: Some(Secret::new(format!("Bearer {token}\n"))), ..site.entra() };
    let (outcome, told) = site.call(entra.clone()).await;
    check_succeeded(&outcome);
    assert_eq!(site.shown(), [format!("Bearer {token}")]);
    assert!(told.unwrap().starts_with("the token of AZURE_OPENAI_AD_TOKEN, valid until "));
    site.refuse(&token);
    let (outcome, _) = site.call(entra).await;
    let said = message(&outcome);
    let start = "the endpoint refused the token of AZURE_OPENAI_AD_TOKEN (401): the token *** is no good; by this \
                 machine's clock it expired at 20";
    assert!(said.starts_with(start), "{said}");
    assert!(said.ends_with("it cannot be renewed: put a new one into AZURE_OPENAI_AD_TOKEN, or unset it and use a source that renews itself"), "{said}");
    assert_eq!(site.model.count(), 2, "it is shown once");
}

#[tokio::test]
async fn a_token_that_is_over_since_days() {
    let site = Site::start(3600);
    let entra = Entra { token: Some(Secret::new(jwt(&json!({ "exp": 1_700_000_000 })))), ..site.entra() };
    assert_eq!(
        site.error(entra).await,
        "token: the token of AZURE_OPENAI_AD_TOKEN expired at 2023-11-14 22:13 UTC and cannot be renewed: put a new one \
         there, or unset it and use a source that renews itself"
    );
}
