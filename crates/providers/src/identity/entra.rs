//! Entra's own token endpoint: an application proves who it is, by its secret or by a token of somebody whom it trusts.

use reqwest::{Method, Url};
use sluicegate_config::Secret;

use super::exchange::{Question, form};
use super::refusal;
use super::sources::{Sources, Trouble, present, text};
use super::token::{self, Got};

/// By what an application proves who it is.
pub(super) enum Proof<'a> {
    /// Its secret.
    Secret(&'a Secret),
    /// A token of another issuer, for which a federated credential is registered.
    Assertion(&'a Secret),
}

/// Which application asks, and where.
pub(super) struct Application<'a> {
    pub(super) tenant: &'a str,
    pub(super) client: &'a str,
}

impl Sources {
    /// A token for an application by its secret.
    pub(super) async fn client_secret(&self) -> Result<Got, Trouble> {
        let secret = present(self.entra.client_secret.as_ref())
            .ok_or_else(|| Trouble::lacks("`client_secret` (AZURE_CLIENT_SECRET)"))?;
        let application = self.application()?;
        let who = format!("client secret of application {} in tenant {}", application.client, application.tenant);
        let secret = Secret::new(secret.expose().trim());
        self.prove(&application, &Proof::Secret(&secret), who).await
    }

    /// The application that all exchanges with Entra need.
    pub(super) fn application(&self) -> Result<Application<'_>, Trouble> {
        let tenant =
            text(self.entra.tenant_id.as_ref()).ok_or_else(|| Trouble::lacks("`tenant_id` (AZURE_TENANT_ID)"))?;
        let client =
            text(self.entra.client_id.as_ref()).ok_or_else(|| Trouble::lacks("`client_id` (AZURE_CLIENT_ID)"))?;
        Ok(Application { tenant, client })
    }

    /// Exchanges a proof for a token.
    pub(super) async fn prove(
        &self,
        application: &Application<'_>,
        proof: &Proof<'_>,
        who: String,
    ) -> Result<Got, Trouble> {
        let url = self.token_url(application.tenant)?;
        let mut fields = vec![
            ("client_id", application.client),
            ("scope", self.entra.scope.as_str()),
            ("grant_type", "client_credentials"),
        ];
        let secret = match proof {
            Proof::Secret(secret) => {
                fields.push(("client_secret", secret.expose()));
                secret.expose()
            }
            Proof::Assertion(assertion) => {
                fields.push(("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
                fields.push(("client_assertion", assertion.expose()));
                assertion.expose()
            }
        };
        let question = Question {
            method: Method::POST,
            url,
            headers: vec![("accept", "application/json".to_owned())],
            form: Some(form(&fields)),
            secrets: vec![secret],
            local: false,
        };
        let reply = self.exchange.ask(&question).await;
        let reply = reply.map_err(Trouble::from)?;
        if let (200, Some(body)) = (reply.status, reply.json())
            && let Some(token) = body.get("access_token").and_then(|token| token.as_str()).filter(|t| !t.is_empty())
        {
            let lifetime = token::lifetime(&body, reply.date(), token);
            let secret = Secret::new(token);
            return Ok(Got { secret, since: reply.since, lifetime: Some(lifetime), renewable: true, who, dated: None });
        }
        let asked = refusal::Asked { application, authority: &self.entra.authority, scope: &self.entra.scope, proof };
        Err(refusal::of_entra(&question, &reply, &asked))
    }

    /// Where a tenant's tokens are given out.
    fn token_url(&self, tenant: &str) -> Result<Url, Trouble> {
        if !tenant.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)) {
            return Err(Trouble::failed("the tenant is neither an ID nor a domain: see `tenant_id` (AZURE_TENANT_ID)"));
        }
        let authority = self.entra.authority.trim().trim_end_matches('/');
        // AZURE_AUTHORITY_HOST is often given without a scheme.
        let authority = if authority.contains("://") { authority.to_owned() } else { format!("https://{authority}") };
        let wrong = |why: &str| Trouble::failed(format!("`authority` (AZURE_AUTHORITY_HOST) {why}"));
        let url = Url::parse(&format!("{authority}/{tenant}/oauth2/v2.0/token"))
            .map_err(|error| wrong(&format!("is not an address: {error}")))?;
        if !is_safe(&url) {
            return Err(wrong("must begin with https://, since a secret goes there"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("must not hold a user or password"));
        }
        Ok(url)
    }
}

/// Whether a secret may be sent there: only by TLS, or to this machine.
pub(super) fn is_safe(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_this_machine =
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    url.scheme() == "https" || (url.scheme() == "http" && is_this_machine)
}
