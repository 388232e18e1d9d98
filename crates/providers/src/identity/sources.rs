//! The sources of a token, and what comes of it when one has none.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sluicegate_config::{Entra, Secret, TokenSource};
use tokio::time::Instant;

use super::exchange::{Exchange, Silence};
use super::token::{self, Got};
use super::{az, managed};
use crate::client::Clients;

/// The sources that may be asked.
pub(super) struct Sources {
    pub(super) entra: Entra,
    pub(super) exchange: Exchange,
    /// How long `az` may take.
    pub(super) az_limit: Duration,
    /// The folder in which Azure Arc leaves its keys.
    pub(super) arc_folder: PathBuf,
}

/// Why a source gave no token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A setting that it needs is not there: the next one is tried.
    NotConfigured(String),
    /// It is not on this machine, or has nobody to be: the next one is tried.
    Absent(String),
    /// It is there and failed: no other is tried.
    Failed {
        message: String,
        /// Whether asking again may help.
        transient: bool,
    },
}

impl Trouble {
    /// A failure that asking again does not change.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), transient: false }
    }

    /// Without the setting of this name (and variable) there is nothing to try.
    pub(super) fn lacks(setting: &str) -> Self {
        Self::NotConfigured(format!("{setting} is not set"))
    }

    pub(super) fn into_message(self) -> String {
        match self {
            Self::NotConfigured(message) | Self::Absent(message) | Self::Failed { message, .. } => message,
        }
    }
}

impl From<Silence> for Trouble {
    fn from(silence: Silence) -> Self {
        Self::Failed { message: silence.message, transient: silence.transient }
    }
}

/// Beyond this a clock cannot be that wrong: the token is over.
const A_DAY: Duration = Duration::from_secs(86_400);

impl Sources {
    pub(super) fn new(entra: Entra, clients: Arc<Clients>) -> Self {
        Self { entra, exchange: Exchange::new(clients), az_limit: az::LIMIT, arc_folder: managed::arc_folder() }
    }

    /// The first token: of the first source that has one.
    pub(super) async fn first(&self) -> Result<(TokenSource, Got), Trouble> {
        let mut passed = Vec::new();
        for source in &self.entra.sources {
            match self.of(*source).await {
                Ok(got) => return Ok((*source, got)),
                Err(Trouble::Failed { message, transient }) => {
                    let message = format!("{}: {message}{}", source.word(), before(&passed));
                    return Err(Trouble::Failed { message, transient });
                }
                Err(trouble) => passed.push((source.word(), trouble.into_message())),
            }
        }
        let tried: Vec<String> = passed.into_iter().map(|(source, why)| format!("{source}: {why}")).collect();
        let message = if tried.is_empty() { "no source of a token is named".to_owned() } else { tried.join("; ") };
        Err(Trouble::failed(message))
    }

    /// A later token, of the source that gave the first.
    pub(super) async fn again(&self, source: TokenSource) -> Result<Got, Trouble> {
        self.of(source).await.map_err(|trouble| {
            let transient = matches!(trouble, Trouble::Failed { transient: true, .. });
            let message = format!("{}, which gave a token before: {}", source.word(), trouble.into_message());
            Trouble::Failed { message, transient }
        })
    }

    async fn of(&self, source: TokenSource) -> Result<Got, Trouble> {
        match source {
            TokenSource::Token => self.given(),
            TokenSource::Workload => self.workload().await,
            TokenSource::GitHub => self.github().await,
            TokenSource::ClientSecret => self.client_secret().await,
            TokenSource::ManagedIdentity => self.managed_identity().await,
            TokenSource::Az => self.az().await,
        }
    }

    /// The token that somebody else got.
    fn given(&self) -> Result<Got, Trouble> {
        let token = present(self.entra.token.as_ref()).ok_or_else(|| Trouble::lacks("AZURE_OPENAI_AD_TOKEN"))?;
        // Some paste the header's whole value.
        let text = token.expose().trim();
        let text = text.strip_prefix("Bearer ").unwrap_or(text).trim();
        let dated = token::end_of(text);
        if let Some(end) = dated
            && SystemTime::now().duration_since(end).is_ok_and(|since| since > A_DAY)
        {
            return Err(Trouble::failed(format!(
                "the token of AZURE_OPENAI_AD_TOKEN expired at {} and cannot be renewed: put a new one there, or unset \
                 it and use a source that renews itself",
                token::moment(end)
            )));
        }
        Ok(Got {
            secret: Secret::new(text),
            since: Instant::now(),
            lifetime: None,
            renewable: false,
            who: "the token of AZURE_OPENAI_AD_TOKEN".to_owned(),
            dated,
        })
    }
}

/// A text that is there and not blank.
pub(super) fn text(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// A secret that is there and not blank.
pub(super) fn present(secret: Option<&Secret>) -> Option<&Secret> {
    secret.filter(|secret| !secret.expose().trim().is_empty())
}

/// Which sources were passed over before one failed.
fn before(passed: &[(&str, String)]) -> String {
    if passed.is_empty() {
        return String::new();
    }
    let each: Vec<String> = passed.iter().map(|(source, why)| format!("{source}: {why}")).collect();
    format!("; passed over before it: {}", each.join("; "))
}
