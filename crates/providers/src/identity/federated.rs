//! Tokens of other issuers that Entra trusts: a cluster's for its workload, GitHub's for a workflow.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use reqwest::{Method, Url};
use sluicegate_config::Secret;

use super::entra::{Proof, is_safe};
use super::exchange::Question;
use super::sources::{Sources, Trouble, present, text};
use super::token::Got;
use super::token::{claim, claims};

/// The largest token of a file.
const MAX_FILE: u64 = 64 << 10;

impl Sources {
    /// A cluster's token for its workload, from a file that the cluster writes anew from time to time.
    pub(super) async fn workload(&self) -> Result<Got, Trouble> {
        let file = self.entra.federated_token_file.clone().filter(|file| !file.as_os_str().is_empty());
        let file = file.ok_or_else(|| Trouble::lacks("AZURE_FEDERATED_TOKEN_FILE"))?;
        let application = self.application()?;
        let assertion = read(file).await?;
        let who = format!("workload identity of application {} in tenant {}", application.client, application.tenant);
        self.prove(&application, &Proof::Assertion(&assertion), who).await
    }

    /// GitHub's token for a workflow, asked for anew each time: it lives for five minutes.
    pub(super) async fn github(&self) -> Result<Got, Trouble> {
        let url = text(self.entra.github_url.as_ref()).ok_or_else(|| {
            Trouble::NotConfigured(
                "ACTIONS_ID_TOKEN_REQUEST_URL is not set (in a workflow: `permissions: id-token: write`)".to_owned(),
            )
        })?;
        let shown = present(self.entra.github_token.as_ref())
            .ok_or_else(|| Trouble::lacks("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))?;
        let application = self.application()?;
        let mut url =
            Url::parse(url).map_err(|error| Trouble::failed(format!("ACTIONS_ID_TOKEN_REQUEST_URL: {error}")))?;
        if !is_safe(&url) {
            return Err(Trouble::failed(
                "ACTIONS_ID_TOKEN_REQUEST_URL must begin with https://, since a token goes there",
            ));
        }
        url.query_pairs_mut().append_pair("audience", audience(&self.entra.authority));
        let question = Question {
            method: Method::GET,
            url,
            headers: vec![
                ("authorization", format!("bearer {}", shown.expose().trim())),
                ("accept", "application/json; api-version=2.0".to_owned()),
            ],
            form: None,
            secrets: vec![shown.expose().trim()],
            local: false,
        };
        let reply = self.exchange.ask(&question).await;
        let reply = reply.map_err(Trouble::from)?;
        let body = reply.json().filter(|_| reply.status == 200);
        let assertion = body.as_ref().and_then(|body| body.get("value")?.as_str()).filter(|value| !value.is_empty());
        let Some(assertion) = assertion.map(Secret::new) else {
            return Err(Trouble::Failed {
                message: format!(
                    "GitHub gave no token for this workflow ({}): {}",
                    reply.status,
                    question.quoted(&reply)
                ),
                transient: reply.is_transient(),
            });
        };
        let told = claims(assertion.expose());
        let workflow = claim(told.as_ref(), &["sub"]).map_or_else(String::new, |subject| format!(" `{subject}`"));
        let who =
            format!("GitHub workflow{workflow} as application {} in tenant {}", application.client, application.tenant);
        self.prove(&application, &Proof::Assertion(&assertion), who).await
    }
}

/// For whom GitHub's token is: each cloud's Entra has a name of its own.
fn audience(authority: &str) -> &'static str {
    let host = authority.trim().trim_end_matches('/');
    if host.ends_with(".us") {
        "api://AzureADTokenExchangeUSGov"
    } else if host.ends_with(".cn") {
        "api://AzureADTokenExchangeChina"
    } else {
        "api://AzureADTokenExchange"
    }
}

async fn read(file: PathBuf) -> Result<Secret, Trouble> {
    let named = file.display().to_string();
    let failed = |why: String| Trouble::failed(format!("the token file {named} (AZURE_FEDERATED_TOKEN_FILE) {why}"));
    let content = tokio::task::spawn_blocking(move || limited(&file)).await;
    let content = content.map_err(|error| failed(format!("cannot be read: {error}")))?;
    let content = content.map_err(|error| failed(format!("cannot be read: {error}")))?;
    let content = content.trim();
    if content.is_empty() {
        return Err(failed("is empty".to_owned()));
    }
    if content.len() as u64 >= MAX_FILE || content.contains(char::is_whitespace) {
        return Err(failed("holds no token".to_owned()));
    }
    Ok(Secret::new(content))
}

fn limited(file: &Path) -> std::io::Result<String> {
    let mut content = String::new();
    std::fs::File::open(file)?.take(MAX_FILE).read_to_string(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::audience;

    #[test]
    fn each_cloud_has_its_own_audience() {
        assert_eq!(audience("https://login.microsoftonline.com"), "api://AzureADTokenExchange");
        assert_eq!(audience("https://login.microsoftonline.us/"), "api://AzureADTokenExchangeUSGov");
        assert_eq!(audience("https://login.chinacloudapi.cn"), "api://AzureADTokenExchangeChina");
    }
}
