//! Which of the sources gives the token.

use super::*;

#[cfg(unix)]
#[tokio::test]
async fn the_first_source_that_is_configured_gives_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "assertion").unwrap();
    let (_folder, path) = az("echo '{\"accessToken\": \"token-of-az\"}'");
    let github = github("assertion");
    let site = Site::start(3600);
    let all = Entra {
        token: Some(Secret::new("token-given")),
        federated_token_file: Some(file),
        identity_endpoint: Some(site.authority.url()),
        identity_header: Some(Secret::new(IDENTITY_HEADER)),
        path: vec![path],
        client_secret: Some(Secret::new(CLIENT_SECRET)),
        ..workflow(&site, &github)
    };
    let winner = async |entra: Entra| {
        let (outcome, told) = site.call(entra).await;
        check_succeeded(&outcome);
        told.unwrap().split([' ', ',']).next().unwrap().to_owned()
    };
    let mut sources = TokenSource::ALL.to_vec();
    for expected in ["the", "workload", "GitHub", "client", "managed", "az"] {
        assert_eq!(winner(Entra { sources: sources.clone(), ..all.clone() }).await, expected);
        sources.remove(0);
    }
    let sources = vec![TokenSource::Az, TokenSource::ClientSecret];
    assert_eq!(winner(Entra { sources, ..all.clone() }).await, "az");
}

#[tokio::test]
async fn no_source_at_all() {
    let site = Site::start(3600);
    let said = site.error(site.entra()).await;
    let (before, behind) = said.split_once("(cannot reach").unwrap();
    assert_eq!(
        before,
        "token: AZURE_OPENAI_AD_TOKEN is not set; workload: AZURE_FEDERATED_TOKEN_FILE is not set; github: \
         ACTIONS_ID_TOKEN_REQUEST_URL is not set (in a workflow: `permissions: id-token: write`); client_secret: \
         `client_secret` (AZURE_CLIENT_SECRET) is not set; managed_identity: IDENTITY_ENDPOINT is not set, and no \
         metadata service is here "
    );
    assert!(behind.ends_with("); az: the command `az` is not in PATH"), "{behind}");
    assert_eq!(site.error(Entra { sources: Vec::new(), ..site.entra() }).await, "no source of a token is named");
}

#[tokio::test]
async fn a_source_that_lacks_a_setting_is_passed_over() {
    async fn check(source: TokenSource, change: impl FnOnce(&mut Entra), expected: &str) {
        let site = Site::start(3600);
        let mut entra = Entra {
            federated_token_file: Some("no/such/file".into()),
            github_url: Some(site.authority.url()),
            github_token: Some(Secret::new(GITHUB_TOKEN)),
            sources: vec![source],
            ..site.application()
        };
        change(&mut entra);
        assert_eq!(site.error(entra).await, expected);
        assert_eq!(site.given(), 0);
    }
    let tenant = "`tenant_id` (AZURE_TENANT_ID) is not set";
    let client = "`client_id` (AZURE_CLIENT_ID) is not set";
    for source in [TokenSource::Workload, TokenSource::GitHub, TokenSource::ClientSecret] {
        check(source, |entra| entra.tenant_id = None, &format!("{}: {tenant}", source.word())).await;
        check(source, |entra| entra.client_id = Some(" ".to_owned()), &format!("{}: {client}", source.word())).await;
    }
    check(
        TokenSource::GitHub,
        |entra| entra.github_token = Some(Secret::new("")),
        "github: ACTIONS_ID_TOKEN_REQUEST_TOKEN is not set",
    )
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_source_that_is_configured_and_fails_is_not_passed_over() {
    let (_folder, path) = az("echo '{\"accessToken\": \"token-of-az\"}'");
    let site = Site::start(3600);
    site.authority.queue(refusal(7_000_215, "Invalid client secret provided."));
    let said = site.error(Entra { path: vec![path], ..site.application() }).await;
    assert_eq!(
        said,
        format!(
            "client_secret: the secret is not one of application {CLIENT}: AZURE_CLIENT_SECRET takes the secret's value, \
             not its ID; make a new one under `Certificates & secrets` if in doubt (AADSTS7000215: Invalid client secret \
             provided); passed over before it: token: AZURE_OPENAI_AD_TOKEN is not set; workload: \
             AZURE_FEDERATED_TOKEN_FILE is not set; github: ACTIONS_ID_TOKEN_REQUEST_URL is not set (in a workflow: \
             `permissions: id-token: write`)"
        )
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_machine_without_an_identity_is_passed_over() {
    let (_folder, path) = az("echo '{\"accessToken\": \"token-of-az\"}'");
    for answer in [
        Answer::json(400, &json!({ "error": "invalid_request", "error_description": "Identity not found" })),
        Answer::Whole(404, Vec::new(), "<html><title>Not here</title></html>".into()),
        Answer::Whole(200, Vec::new(), "ami-id".into()),
    ] {
        let site = Site::start(3600);
        site.authority.queue(answer);
        let entra = Entra { imds: site.authority.url(), path: vec![path.clone()], ..site.entra() };
        let (outcome, told) = site.call(entra).await;
        check_succeeded(&outcome);
        assert!(told.unwrap().starts_with("az"));
        assert_eq!(site.authority.count(), 1);
    }
}
