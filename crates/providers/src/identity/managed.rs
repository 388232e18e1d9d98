//! The machine's own identity, from a service on the machine or beside it: never by way of a proxy.
//!
//! * `IDENTITY_ENDPOINT` with `IDENTITY_HEADER`: App Service, Functions, Container Apps.
//! * `IDENTITY_ENDPOINT` alone: Azure Arc, which first names a file that only the machine's own can read.
//! * else the instance metadata service (IMDS) of a virtual machine or a cluster's node, which may not be there.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use reqwest::{Method, Url};
use sluicegate_config::Secret;

use super::exchange::{Question, Reply};
use super::sources::{Sources, Trouble, present, text};
use super::token::{self, Got};

/// The largest key file of Azure Arc.
const MAX_KEY: u64 = 4096;

/// The folder in which Azure Arc leaves its keys; no other file is read whatever a challenge says.
pub(super) fn arc_folder() -> PathBuf {
    PathBuf::from(if cfg!(windows) {
        r"C:\ProgramData\AzureConnectedMachineAgent\Tokens"
    } else {
        "/var/opt/azcmagent/tokens"
    })
}

impl Sources {
    /// A token for the machine.
    pub(super) async fn managed_identity(&self) -> Result<Got, Trouble> {
        match (text(self.entra.identity_endpoint.as_ref()), present(self.entra.identity_header.as_ref())) {
            (Some(endpoint), Some(header)) => self.app_service(endpoint, header).await,
            (Some(endpoint), None) => self.arc(endpoint).await,
            (None, _) => self.imds().await,
        }
    }

    async fn app_service(&self, endpoint: &str, header: &Secret) -> Result<Got, Trouble> {
        let header = header.expose().trim();
        let mut question = self.question(parsed(endpoint)?, "2019-08-01", self.client());
        question.headers.push(("x-identity-header", header.to_owned()));
        question.secrets.push(header);
        let reply = self.answer(&question).await?;
        self.got(&reply, "managed identity").ok_or_else(|| self.no_token(&question, &reply))
    }

    async fn arc(&self, endpoint: &str) -> Result<Got, Trouble> {
        if self.client().is_some() {
            return Err(Trouble::failed(
                "Azure Arc knows only the machine's own identity: take `client_id` (AZURE_CLIENT_ID) away",
            ));
        }
        let url = parsed(endpoint)?;
        let question = self.question(url.clone(), "2020-06-01", None);
        let reply = self.answer(&question).await?;
        if reply.status != 401 {
            return Err(self.no_token(&question, &reply));
        }
        let challenge = reply.headers.get("www-authenticate").and_then(|value| value.to_str().ok());
        let key = key_file(challenge.unwrap_or_default(), &self.arc_folder)?;
        let mut question = self.question(url, "2020-06-01", None);
        question.headers.push(("authorization", format!("Basic {}", key.expose())));
        question.secrets.push(key.expose());
        let reply = self.answer(&question).await?;
        self.got(&reply, "managed identity (Azure Arc)").ok_or_else(|| self.no_token(&question, &reply))
    }

    /// The metadata service is found, not set: whatever goes wrong with it, the next source is tried.
    async fn imds(&self) -> Result<Got, Trouble> {
        let base = self.entra.imds.trim().trim_end_matches('/');
        let question =
            self.question(parsed(&format!("{base}/metadata/identity/oauth2/token"))?, "2018-02-01", self.client());
        let reply = match self.exchange.ask(&question).await {
            Ok(reply) => reply,
            Err(silence) => {
                let message =
                    format!("IDENTITY_ENDPOINT is not set, and no metadata service is here ({})", silence.message);
                return Err(Trouble::Absent(message));
            }
        };
        self.got(&reply, "managed identity (virtual machine)").ok_or_else(|| {
            let message = self.no_token(&question, &reply).into_message();
            Trouble::Absent(message)
        })
    }

    fn client(&self) -> Option<&str> {
        text(self.entra.client_id.as_ref())
    }

    /// The question that all of them understand.
    fn question(&self, mut url: Url, version: &str, client: Option<&str>) -> Question<'_> {
        let scope = self.entra.scope.trim();
        let resource = scope.strip_suffix("/.default").unwrap_or(scope);
        url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", resource);
        if let Some(client) = client {
            url.query_pairs_mut().append_pair("client_id", client);
        }
        let headers = vec![("metadata", "true".to_owned())];
        Question { method: Method::GET, url, headers, form: None, secrets: Vec::new(), local: true }
    }

    async fn answer(&self, question: &Question<'_>) -> Result<Reply, Trouble> {
        let answer = self.exchange.ask(question).await;
        answer.map_err(Trouble::from)
    }

    fn got(&self, reply: &Reply, kind: &str) -> Option<Got> {
        let body = reply.json().filter(|_| reply.status == 200)?;
        let token = body.get("access_token")?.as_str().filter(|token| !token.is_empty())?;
        let told = token::claims(token);
        let client = self.client().or_else(|| body.get("client_id")?.as_str());
        let client = client.or_else(|| token::claim(told.as_ref(), &["appid", "azp", "oid"]));
        Some(Got {
            secret: Secret::new(token),
            since: reply.since,
            lifetime: Some(token::lifetime(&body, reply.date(), token)),
            renewable: true,
            who: client.map_or_else(|| kind.to_owned(), |client| format!("{kind} {client}")),
            dated: None,
        })
    }

    /// What an answer without a token means.
    fn no_token(&self, question: &Question<'_>, reply: &Reply) -> Trouble {
        let body = reply.json();
        let word = |key: &str| body.as_ref().and_then(|body| body.get(key)).and_then(|word| word.as_str());
        let said = word("error_description").or_else(|| word("message")).or_else(|| word("error"));
        let said = said.map_or_else(|| question.quoted(reply), |said| super::refusal::shortened(&question.hide(said)));
        let hint = match (reply.status, self.client()) {
            (400, Some(client)) => format!(
                "; the machine has no identity {client}: assign it, or take `client_id` (AZURE_CLIENT_ID) away for the \
                 machine's own"
            ),
            (400, None) => {
                "; the machine has no identity of its own: switch it on, or name an assigned one by AZURE_CLIENT_ID"
                    .to_owned()
            }
            _ => String::new(),
        };
        let origin = question.url.origin().ascii_serialization();
        let message = format!("{origin} gave no token ({}): {said}{hint}", reply.status);
        Trouble::Failed { message, transient: reply.is_transient() }
    }
}

fn parsed(address: &str) -> Result<Url, Trouble> {
    let url = Url::parse(address).map_err(|error| {
        Trouble::failed(format!("the identity endpoint (IDENTITY_ENDPOINT) is not an address: {error}"))
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Trouble::failed("the identity endpoint (IDENTITY_ENDPOINT) must begin with http:// or https://"));
    }
    Ok(url)
}

/// Reads the key that a challenge names: `Basic realm=/var/opt/azcmagent/tokens/NAME.key`. Whoever answers at the
/// endpoint must not be able to read other files by us.
fn key_file(challenge: &str, folder: &Path) -> Result<Secret, Trouble> {
    let failed = |why: &str| Trouble::failed(format!("Azure Arc's challenge {why}"));
    let realm = challenge.trim().strip_prefix("Basic realm=").map(|realm| realm.trim().trim_matches('"'));
    let path = Path::new(realm.filter(|realm| !realm.is_empty()).ok_or_else(|| failed("names no key file"))?);
    let folder =
        folder.canonicalize().map_err(|_| failed(&format!("needs {}, which is not here", folder.display())))?;
    let unreadable = |error: std::io::Error| {
        failed(&format!(
            "names a key file that cannot be read ({error}): whoever runs this must be in the group `himds` (on Windows \
             `Hybrid agent extension applications`)"
        ))
    };
    // Before anything else is asked of the file system.
    if path.extension().is_none_or(|extension| extension != "key") {
        return Err(failed("names a file that is no key file"));
    }
    let path = path.canonicalize().map_err(unreadable)?;
    if path.parent() != Some(folder.as_path()) {
        return Err(failed(&format!("names a file outside of {}", folder.display())));
    }
    let mut key = String::new();
    let file = std::fs::File::open(&path).map_err(unreadable)?;
    file.take(MAX_KEY + 1).read_to_string(&mut key).map_err(unreadable)?;
    if key.len() as u64 > MAX_KEY {
        return Err(failed("names a key file of more than 4096 bytes"));
    }
    Ok(Secret::new(key.trim()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sluicegate_config::{Entra, TokenSource};
    use sluicegate_testkit::endpoint::{Answer, Endpoint};

    use super::*;
    use crate::client::{Clients, Options};

    /// A machine of Azure Arc whose agent listens there and leaves its keys in that folder.
    fn machine(agent: &Endpoint, folder: &Path) -> Sources {
        let entra = Entra {
            scope: "https://cognitiveservices.azure.com/.default".to_owned(),
            authority: String::new(),
            sources: vec![TokenSource::ManagedIdentity],
            tenant_id: None,
            client_id: None,
            client_secret: None,
            token: None,
            federated_token_file: None,
            github_url: None,
            github_token: None,
            identity_endpoint: Some(format!("{}/metadata/identity/oauth2/token", agent.url())),
            identity_header: None,
            imds: String::new(),
            path: Vec::new(),
        };
        let clients = std::sync::Arc::new(Clients::new(Options::default()));
        Sources { arc_folder: folder.to_owned(), ..Sources::new(entra, clients) }
    }

    /// An agent that challenges with this file, and gives a token to whoever shows what stands in it.
    fn agent(challenge: String) -> Endpoint {
        let agent = Endpoint::start();
        agent.on(move |heard| {
            if heard.header("authorization") == Some("Basic the-key") {
                return Some(Answer::json(200, &json!({ "access_token": "arc-token", "expires_in": 86_400 })));
            }
            Some(Answer::json(401, &json!({})).header("www-authenticate", &format!("Basic realm={challenge}")))
        });
        agent
    }

    async fn check_fails(machine: &Sources, expected: &str) {
        let said = machine.managed_identity().await.err().map(Trouble::into_message).unwrap();
        assert!(said.contains(expected), "{said}");
    }

    #[tokio::test]
    async fn arc_gives_a_token_to_whoever_can_read_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("1.key");
        std::fs::write(&file, "the-key").unwrap();
        let agent = agent(file.display().to_string());
        let got = machine(&agent, folder.path()).managed_identity().await.ok().unwrap();
        assert_eq!((got.secret.expose(), got.who.as_str()), ("arc-token", "managed identity (Azure Arc)"));
        let asked = agent.requests();
        let path = "/metadata/identity/oauth2/token?api-version=2020-06-01\
                    &resource=https%3A%2F%2Fcognitiveservices.azure.com";
        assert_eq!(asked.iter().map(|heard| heard.path.as_str()).collect::<Vec<_>>(), [path, path]);
        assert!(asked.iter().all(|heard| heard.header("metadata") == Some("true")));
    }

    #[tokio::test]
    async fn arc_cannot_make_us_read_other_files() {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().join("tokens");
        std::fs::create_dir(&folder).unwrap();
        for name in ["outside.key", "tokens/large.key", "tokens/plain.txt"] {
            std::fs::write(outside.path().join(name), "x".repeat(5000)).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(outside.path().join("outside.key"), folder.join("link.key")).unwrap();
        let outside_of = "names a file outside of ";
        let cases = [
            (outside.path().join("outside.key"), outside_of),
            (folder.join("../outside.key"), outside_of),
            (folder.join("plain.txt"), "names a file that is no key file"),
            (folder.join("large.key"), "names a key file of more than 4096 bytes"),
            (folder.join("gone.key"), "names a key file that cannot be read"),
            #[cfg(unix)]
            (folder.join("link.key"), outside_of),
        ];
        for (file, expected) in cases {
            let agent = agent(file.display().to_string());
            check_fails(&machine(&agent, &folder), expected).await;
            assert_eq!(agent.count(), 1, "nothing is sent after {}", file.display());
        }
        let agent = agent(String::new());
        check_fails(&machine(&agent, &folder), "names no key file").await;
        check_fails(&machine(&agent, &outside.path().join("none")), "names no key file").await;
    }

    #[tokio::test]
    async fn arc_has_no_identities_to_choose_from() {
        let (agent, folder) = (agent(String::new()), tempfile::tempdir().unwrap());
        let mut machine = machine(&agent, folder.path());
        machine.entra.client_id = Some("other".to_owned());
        check_fails(&machine, "knows only the machine's own identity").await;
        assert_eq!(agent.count(), 0);
    }
}
