//! Identities of Microsoft Entra: where a token comes from, how long it serves, and what is said when there is none.

mod lifetime;
mod order;
mod secrecy;
mod sources;
mod words;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sluicegate_config::{
    Auth, AzureApi, Connection, ConnectionKind, Entra, ExtraParameters, Proxies, Secret, TokenSource,
};
use sluicegate_model::{CallContext, ConnectionName, ModelError, Models};
use sluicegate_providers::{Connected, Options, connect};
use sluicegate_testkit::endpoint::{Answer, Endpoint, Heard};

use crate::{Call, call, connection, request};

const TENANT: &str = "11111111-aaaa-bbbb-cccc-222222222222";
const CLIENT: &str = "33333333-dddd-eeee-ffff-444444444444";
const CLIENT_SECRET: &str = "cl/ient+secret~0123";
const GITHUB_TOKEN: &str = "github-request-token-0123";
const IDENTITY_HEADER: &str = "identity-header-0123";

/// A place that gives out tokens, and a model that wants them.
struct Site {
    authority: Endpoint,
    model: Endpoint,
    /// How many tokens were given out.
    given: Arc<AtomicUsize>,
    /// Tokens that the model refuses.
    refused: Arc<Mutex<BTreeSet<String>>>,
}

impl Site {
    /// Gives out `token-1`, `token-2`, … for so many seconds, on whatever path.
    fn start(expires_in: u64) -> Self {
        let given = Arc::new(AtomicUsize::new(0));
        let count = given.clone();
        let authority = Endpoint::start();
        authority.on(move |_| {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            let token = format!("token-{number}");
            Some(Answer::json(200, &json!({ "access_token": token, "token_type": "Bearer", "expires_in": expires_in })))
        });
        let refused = Arc::<Mutex<BTreeSet<String>>>::default();
        let no_more = refused.clone();
        let model = Endpoint::start();
        model.on(move |heard| {
            let shown = heard.header("authorization")?.strip_prefix("Bearer ")?;
            let is_refused = no_more.lock().unwrap().contains(shown);
            is_refused.then(|| Answer::error(401, "401", &format!("the token {shown} is no good.")))
        });
        Self { authority, model, given, refused }
    }

    fn given(&self) -> usize {
        self.given.load(Ordering::SeqCst)
    }

    fn refuse(&self, token: &str) {
        self.refused.lock().unwrap().insert(token.to_owned());
    }

    /// What the model was shown, call by call.
    fn shown(&self) -> Vec<String> {
        self.model
            .requests()
            .iter()
            .map(|heard| heard.header("authorization").unwrap_or("nothing").to_owned())
            .collect()
    }

    /// Settings in which nothing is set but where tokens are given out; no metadata service answers.
    fn entra(&self) -> Entra {
        Entra {
            scope: "https://cognitiveservices.azure.com/.default".to_owned(),
            authority: self.authority.url(),
            sources: TokenSource::ALL.to_vec(),
            tenant_id: None,
            client_id: None,
            client_secret: None,
            token: None,
            federated_token_file: None,
            github_url: None,
            github_token: None,
            identity_endpoint: None,
            identity_header: None,
            imds: "http://127.0.0.1:1".to_owned(),
            path: Vec::new(),
        }
    }

    /// Settings of an application that has a secret.
    fn application(&self) -> Entra {
        Entra {
            tenant_id: Some(TENANT.to_owned()),
            client_id: Some(CLIENT.to_owned()),
            client_secret: Some(Secret::new(CLIENT_SECRET)),
            ..self.entra()
        }
    }

    fn connected(&self, entra: Entra) -> Connected {
        connect(vec![self.connection(entra)], Options::default())
    }

    fn connection(&self, entra: Entra) -> Connection {
        connection(ConnectionKind::AzureOpenAi {
            api_base: self.model.url(),
            auth: Auth::Entra(Box::new(entra)),
            api: AzureApi::V1,
            responses: false,
        })
    }

    /// One call; and by whom it was made.
    async fn call(&self, entra: Entra) -> (Call, Option<String>) {
        let connected = self.connected(entra);
        let outcome = once(&connected).await;
        (outcome, connected.identity(&name()))
    }

    /// The error of a call that has no identity, without what stands before its message.
    async fn error(&self, entra: Entra) -> String {
        let (outcome, _) = self.call(entra).await;
        assert_eq!(self.model.count(), 0, "no request goes out without a token");
        message(&outcome)
    }
}

fn name() -> ConnectionName {
    "c".into()
}

async fn once(connected: &Connected) -> Call {
    call(&*connected.chat(&name()).unwrap(), &request()).await
}

/// What an error about the identity says.
fn message(outcome: &Call) -> String {
    match outcome.error() {
        ModelError::NoIdentity { connection, message, .. } if connection == "c" => message.clone(),
        other => panic!("another error: {other:?}"),
    }
}

#[track_caller]
fn check_succeeded(outcome: &Call) {
    assert_eq!(outcome.result.as_ref().map(|reply| reply.text.as_deref()), Ok(Some("ok")));
}

/// Lets time pass for those who wait, and for tokens.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A token that can be read.
fn jwt(claims: &Value) -> String {
    format!("e30.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn epoch() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The fields of a form.
fn form(heard: &Heard) -> Vec<(String, String)> {
    let decoded = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((first, behind)) = rest.split_first() {
            rest = behind;
            if *first == b'%' {
                let hex = std::str::from_utf8(&behind[..2]).unwrap();
                bytes.push(u8::from_str_radix(hex, 16).unwrap());
                rest = &behind[2..];
            } else {
                bytes.push(*first);
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    let text = String::from_utf8(heard.body.to_vec()).unwrap();
    text.split('&')
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn field(heard: &Heard, name: &str) -> Option<String> {
    form(heard).into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// GitHub as a workflow sees it.
fn github(assertion: &str) -> Endpoint {
    let github = Endpoint::start();
    let assertion = assertion.to_owned();
    github.on(move |_| Some(Answer::json(200, &json!({ "value": assertion, "count": 1 }))));
    github
}

fn workflow(site: &Site, github: &Endpoint) -> Entra {
    Entra {
        client_secret: None,
        github_url: Some(format!("{}/idtoken?api-version=2.0", github.url())),
        github_token: Some(Secret::new(GITHUB_TOKEN)),
        ..site.application()
    }
}

/// A folder with a command `az` that is this shell script.
#[cfg(unix)]
fn az(script: &str) -> (tempfile::TempDir, PathBuf) {
    use std::io::Write as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("az");
    // Another process writes it: a file that this one has open for writing cannot be run, and its other tests fork.
    let mut shell = std::process::Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod +x \"$0\""])
        .arg(&path)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    shell.stdin.take().unwrap().write_all(format!("#!/bin/sh\n{script}\n").as_bytes()).unwrap();
    assert!(shell.wait().unwrap().success());
    let path = folder.path().to_owned();
    (folder, path)
}

/// What Entra answers when it refuses.
fn refusal(code: i64, says: &str) -> Answer {
    let description =
        format!("AADSTS{code}: {says} Trace ID: 7b4d Correlation ID: 10f1 Timestamp: 2026-09-29 20:27:13Z");
    let body = json!({ "error": "invalid_client", "error_description": description, "error_codes": [code] });
    Answer::json(401, &body)
}
