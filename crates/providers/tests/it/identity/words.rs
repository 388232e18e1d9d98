//! What is said when there is no token.

use super::*;

#[tokio::test]
async fn what_entra_says_in_plain_words() {
    async fn check(code: i64, expected: &str) {
        let site = Site::start(3600);
        site.authority.queue(refusal(code, "Words."));
        let entra = Entra { sources: vec![TokenSource::ClientSecret], ..site.application() };
        let said = site.error(entra).await;
        let authority = site.authority.url();
        let expected = expected.replace("CLIENT", CLIENT).replace("TENANT", TENANT).replace("AUTHORITY", &authority);
        let expected = expected
            .replace(&format!("AZURE_{CLIENT}"), "AZURE_CLIENT")
            .replace(&format!("AZURE_{TENANT}"), "AZURE_TENANT");
        assert_eq!(said, format!("client_secret: {expected}"));
        assert_eq!(site.authority.count(), 1, "a refusal is not tried again");
    }
    check(
        700_016,
        "tenant TENANT has no application CLIENT: check AZURE_CLIENT_ID (the application's client ID, not its object ID) \
         and AZURE_TENANT_ID (AADSTS700016: Words)",
    )
    .await;
    check(
        90_002,
        "there is no tenant TENANT at AUTHORITY: check AZURE_TENANT_ID, and `cloud` if it is a government's or China's (AADSTS90002: Words)",
    )
    .await;
    check(7_000_222, "the secret of application CLIENT has expired: make a new one and put it into AZURE_CLIENT_SECRET (AADSTS7000222: Words)")
        .await;
    check(7_000_112, "application CLIENT is disabled: enable it in tenant TENANT (AADSTS7000112: Words)").await;
    check(
        500_011,
        "the scope `https://cognitiveservices.azure.com/.default` is nothing that tenant TENANT gives tokens for: check \
         `scope` (it ends with `/.default`) and `cloud` (AADSTS500011: Words)",
    )
    .await;
    check(53_003, "a conditional access policy of the tenant forbids it: ask its administrators (AADSTS53003: Words)")
        .await;
    check(1_234, "Entra refused (401): AADSTS1234: Words").await;
}

#[tokio::test]
async fn a_federated_credential_that_does_not_fit_is_named_as_it_should_be() {
    let assertion = jwt(&json!({
        "iss": "https://token.actions.githubusercontent.com",
        "sub": "repo:org/app:pull_request",
        "aud": "api://AzureADTokenExchange",
    }));
    for code in [70_021, 700_211, 700_213] {
        let (site, github) = (Site::start(3600), github(&assertion));
        site.authority.queue(refusal(code, "No matching federated identity record found."));
        let said = site.error(Entra { sources: vec![TokenSource::GitHub], ..workflow(&site, &github) }).await;
        let expected = format!(
            "github: application {CLIENT} has no federated credential for this token: add one with issuer \
             `https://token.actions.githubusercontent.com`, subject `repo:org/app:pull_request` and audience \
             `api://AzureADTokenExchange`, each exactly so (AADSTS{code}: No matching federated identity record found)"
        );
        assert_eq!(said, expected);
    }
}

#[tokio::test]
async fn a_workload_without_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let site = Site::start(3600);
    let entra =
        Entra { sources: vec![TokenSource::Workload], federated_token_file: Some(file.clone()), ..site.application() };
    let start = format!("workload: the token file {} (AZURE_FEDERATED_TOKEN_FILE) ", file.display());
    let said = site.error(entra.clone()).await;
    assert!(said.starts_with(&format!("{start}cannot be read: ")), "{said}");
    std::fs::write(&file, " \n").unwrap();
    assert_eq!(site.error(entra.clone()).await, format!("{start}is empty"));
    std::fs::write(&file, "two words").unwrap();
    assert_eq!(site.error(entra.clone()).await, format!("{start}holds no token"));
    std::fs::write(&file, "x".repeat(1 << 17)).unwrap();
    assert_eq!(site.error(entra).await, format!("{start}holds no token"));
    assert_eq!(site.given(), 0);
}

#[tokio::test]
async fn an_authority_to_which_no_secret_may_go() {
    async fn check(change: impl FnOnce(&mut Entra), expected: &str) {
        let site = Site::start(3600);
        let mut entra = Entra { sources: vec![TokenSource::ClientSecret], ..site.application() };
        change(&mut entra);
        let said = site.error(entra).await;
        assert_eq!(said, format!("client_secret: {expected}"));
        assert_eq!(site.authority.count(), 0);
    }
    let clear = "`authority` (AZURE_AUTHORITY_HOST) must begin with https://, since a secret goes there";
    check(|entra| entra.authority = "http://login.example".to_owned(), clear).await;
    check(|entra| entra.authority = "ftp://login.example".to_owned(), clear).await;
    let user = "`authority` (AZURE_AUTHORITY_HOST) must not hold a user or password";
    check(|entra| entra.authority = "https://me:pass@login.example".to_owned(), user).await;
    let tenant = "the tenant is neither an ID nor a domain: see `tenant_id` (AZURE_TENANT_ID)";
    check(|entra| entra.tenant_id = Some("../x".to_owned()), tenant).await;
}

#[tokio::test]
async fn a_token_endpoint_that_fails_for_a_moment_is_asked_again() {
    let busy = |status| Answer::json(status, &json!({ "error": "temporarily_unavailable" }));
    for answer in
        [busy(429).header("retry-after-ms", "5"), busy(503), Answer::Reset, Answer::Whole(500, Vec::new(), "".into())]
    {
        let site = Site::start(3600);
        site.authority.queue(answer);
        let (outcome, _) = site.call(site.application()).await;
        check_succeeded(&outcome);
        assert_eq!(site.authority.count(), 2);
    }
}

#[tokio::test]
async fn a_token_endpoint_that_keeps_failing_is_given_up() {
    async fn check(answer: Answer, count: usize, expected: &str) {
        let site = Site::start(3600);
        site.authority.on(move |_| Some(answer.clone()));
        let entra = Entra { sources: vec![TokenSource::ClientSecret], ..site.application() };
        let connected = site.connected(entra);
        assert_eq!(message(&once(&connected).await), format!("client_secret: {expected}"));
        assert_eq!(site.authority.count(), count);
        // A later call may find it well again.
        pass(seconds(6)).await;
        site.authority.on(|_| Some(Answer::json(200, &json!({ "access_token": "late-token" }))));
        check_succeeded(&once(&connected).await);
    }
    let soon = |answer: Answer| answer.header("retry-after-ms", "1");
    let busy = json!({ "error": "server_error", "error_description": "AADSTS90033: A transient error." });
    // Four times for each of the connection's three attempts.
    check(soon(Answer::json(503, &busy)), 12, "Entra refused (503): AADSTS90033: A transient error").await;
    // Nobody waits as long as that.
    check(
        Answer::json(429, &busy).header("retry-after", "600"),
        1,
        "Entra refused (429): AADSTS90033: A transient error",
    )
    .await;
    let page = Answer::Whole(502, Vec::new(), "<html><title>Bad Gateway</title></html>".into());
    check(soon(page), 12, "an answer that is none of Entra's (502): a web page, `Bad Gateway`").await;
}

#[tokio::test]
async fn what_is_no_answer_of_a_token_endpoint() {
    async fn check(answer: Answer, expected: &str) {
        let site = Site::start(3600);
        site.authority.queue(answer);
        let said = site.error(Entra { sources: vec![TokenSource::ClientSecret], ..site.application() }).await;
        let expected = expected.replace("AUTHORITY", &site.authority.url());
        assert_eq!((said, site.authority.count()), (format!("client_secret: {expected}"), 1));
    }
    // A redirect would carry the secret to whoever the answer names.
    check(
        Answer::Whole(307, vec![("location".to_owned(), "/elsewhere".to_owned())], "".into()),
        "an answer that is none of Entra's (307): it said no more",
    )
    .await;
    check(Answer::json(200, &json!({ "token": 1 })), "an answer without a token (200): {\"token\":1}").await;
    check(
        Answer::Whole(200, Vec::new(), "<html><title>Sign in to the network</title></html>".into()),
        "an answer without a token (200): a web page, `Sign in to the network`",
    )
    .await;
    check(
        Answer::Whole(200, Vec::new(), vec![b' '; (1 << 20) + 1].into()),
        "the answer of AUTHORITY is larger than 1 MiB",
    )
    .await;
}

#[tokio::test]
async fn a_token_that_cannot_be_shown() {
    let site = Site::start(3600);
    site.authority.queue(Answer::json(200, &json!({ "access_token": "to\nken" })));
    let said = site.error(site.application()).await;
    let expected = format!(
        "client secret of application {CLIENT} in tenant {TENANT} gave what is no token: it holds control characters"
    );
    assert_eq!(said, expected);
}

#[tokio::test]
async fn github_without_a_token_for_the_workflow() {
    let site = Site::start(3600);
    let github = Endpoint::start();
    github.on(|_| Some(Answer::json(403, &json!({ "message": "Resource not accessible by integration" }))));
    let said = site.error(Entra { sources: vec![TokenSource::GitHub], ..workflow(&site, &github) }).await;
    let expected = "github: GitHub gave no token for this workflow (403): \
                    {\"message\":\"Resource not accessible by integration\"}";
    assert_eq!(said, expected);
}

#[tokio::test]
async fn no_secret_is_in_any_error() {
    // Whoever is asked answers with all that it heard, as itself and as a form spells it, in every field that is quoted.
    fn echo(status: u16, shape: fn(&str) -> Value) -> impl FnMut(&Heard) -> Option<Answer> + Send + 'static {
        move |heard: &Heard| {
            let headers: Vec<String> = heard.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            let fields: Vec<String> =
                if heard.body.is_empty() { Vec::new() } else { vec![format!("{:?}", form(heard))] };
            let body = String::from_utf8_lossy(&heard.body);
            // The secrets first, lest an excerpt ends before them.
            let said = format!("{} {body} {} {}", fields.join(" "), headers.join(" "), heard.path);
            Some(Answer::json(status, &shape(&said)).header("retry-after-ms", "1"))
        }
    }
    let shapes: [fn(&str) -> Value; 4] = [
        |said| json!({ "error": "invalid_client", "error_description": said }),
        |said| json!({ "error": said }),
        |said| json!({ "message": said }),
        |said| json!([said]),
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "workload-assertion-0123").unwrap();
    let secrets = [
        CLIENT_SECRET,
        "cl%2Fient%2Bsecret~0123",
        GITHUB_TOKEN,
        IDENTITY_HEADER,
        "workload-assertion-0123",
        "given-token-0123",
    ];
    let mut said = Vec::new();
    for shape in shapes {
        for status in [200, 400, 401, 503] {
            let site = Site::start(3600);
            site.authority.on(echo(status, shape));
            let all = Entra {
                federated_token_file: Some(file.clone()),
                github_url: Some(site.authority.url()),
                github_token: Some(Secret::new(GITHUB_TOKEN)),
                identity_endpoint: Some(site.authority.url()),
                identity_header: Some(Secret::new(IDENTITY_HEADER)),
                ..site.application()
            };
            for source in
                [TokenSource::Workload, TokenSource::GitHub, TokenSource::ClientSecret, TokenSource::ManagedIdentity]
            {
                let (outcome, _) = site.call(Entra { sources: vec![source], ..all.clone() }).await;
                said.push(format!("{} {:?} {:?}", outcome.error(), outcome.error(), outcome.told));
            }
        }
        let site = Site::start(3600);
        site.model.on(echo(401, shape));
        let given = Entra { token: Some(Secret::new("given-token-0123")), ..site.entra() };
        let (outcome, told) = site.call(given).await;
        said.push(format!("{} {:?} {:?} {told:?}", outcome.error(), outcome.error(), outcome.told));
    }
    assert_eq!(said.len(), 4 * (4 * 4 + 1));
    for said in &said {
        for secret in secrets {
            assert!(!said.contains(secret), "{secret} in: {said}");
        }
    }
    assert!(said.iter().any(|said| said.contains("***")), "the test's own endpoint echoes");
    assert!(!format!("{:?}", Site::start(1).application()).contains(CLIENT_SECRET));
}
