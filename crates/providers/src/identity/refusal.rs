//! What a refusal means in plain words, and what to change: by Entra's codes, and by what an endpoint says.
//!
//! Codes: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>

use std::time::SystemTime;

use super::entra::{Application, Proof};
use super::exchange::{Question, Reply};
use super::sources::Trouble;
use super::token::{claim, claims, moment};
use crate::wire::chat::reply::excerpt;

/// Who asked Entra for what.
pub(super) struct Asked<'a> {
    pub(super) application: &'a Application<'a>,
    pub(super) authority: &'a str,
    pub(super) scope: &'a str,
    pub(super) proof: &'a Proof<'a>,
}

/// What Entra's answer without a token means.
pub(super) fn of_entra(question: &Question<'_>, reply: &Reply, asked: &Asked<'_>) -> Trouble {
    let body = reply.json();
    let word = |key: &str| body.as_ref().and_then(|body| body.get(key)).and_then(|word| word.as_str());
    let Some(description) = word("error_description").or_else(|| word("error")) else {
        let what = if reply.status == 200 { "an answer without a token" } else { "an answer that is none of Entra's" };
        let message = format!("{what} ({}): {}", reply.status, question.quoted(reply));
        return Trouble::Failed { message, transient: reply.is_transient() };
    };
    let description = question.hide(description);
    let code = body
        .as_ref()
        .and_then(|body| body.get("error_codes")?.as_list()?.first()?.as_int())
        .or_else(|| code_in(&description));
    let said = shortened(&description);
    let message = match code.and_then(|code| plain(code, asked)) {
        Some(plain) => format!("{plain} ({said})"),
        None => format!("Entra refused ({}): {said}", reply.status),
    };
    Trouble::Failed { message, transient: reply.is_transient() || word("error") == Some("temporarily_unavailable") }
}

/// What a code means and what to do.
fn plain(code: i64, asked: &Asked<'_>) -> Option<String> {
    let Application { tenant, client } = asked.application;
    Some(match code {
        7_000_215 => format!(
            "the secret is not one of application {client}: AZURE_CLIENT_SECRET takes the secret's value, not its ID; \
             make a new one under `Certificates & secrets` if in doubt"
        ),
        7_000_222 => format!(
            "the secret of application {client} has expired: make a new one and put it into AZURE_CLIENT_SECRET"
        ),
        7_000_216 | 7_000_218 => {
            format!("application {client} was asked for without a secret: set AZURE_CLIENT_SECRET")
        }
        7_000_112 => format!("application {client} is disabled: enable it in tenant {tenant}"),
        700_016 => format!(
            "tenant {tenant} has no application {client}: check AZURE_CLIENT_ID (the application's client ID, not its \
             object ID) and AZURE_TENANT_ID"
        ),
        90_002 | 900_023 | 50_059 => format!(
            "there is no tenant {tenant} at {}: check AZURE_TENANT_ID, and `cloud` if it is a government's or China's",
            asked.authority
        ),
        70_021 | 700_211..=700_213 => federated(asked),
        700_024 => {
            "the federated token is not valid at this time: it is written anew before it expires, unless whoever \
                    does so has stopped; or this machine's clock is wrong"
                .to_owned()
        }
        700_027 | 50_027 | 50_013 => {
            "Entra cannot check the federated token: its issuer's keys must be readable for Entra".to_owned()
        }
        500_011 | 70_011 | 1_002_012 | 650_057 => format!(
            "the scope `{}` is nothing that tenant {tenant} gives tokens for: check `scope` (it ends with `/.default`) \
             and `cloud`",
            asked.scope
        ),
        53_003 | 530_034 => "a conditional access policy of the tenant forbids it: ask its administrators".to_owned(),
        50_105 | 501_051 => format!("application {client} has no role for `{}`: assign one", asked.scope),
        _ => return None,
    })
}

/// No federated credential fits: the facts that must stand in it, as the token has them.
fn federated(asked: &Asked<'_>) -> String {
    let client = asked.application.client;
    let told = match asked.proof {
        Proof::Assertion(token) => claims(token.expose()),
        Proof::Secret(_) => None,
    };
    let fact = |name: &str| excerpt(claim(told.as_ref(), &[name]).unwrap_or("(not told)"));
    // `aud` may be a list.
    let audience = told.as_ref().and_then(|claims| {
        let audience = claims.get("aud")?;
        audience.as_str().or_else(|| audience.as_list()?.first()?.as_str())
    });
    format!(
        "application {client} has no federated credential for this token: add one with issuer `{}`, subject `{}` and \
         audience `{}`, each exactly so",
        fact("iss"),
        fact("sub"),
        excerpt(audience.unwrap_or("(not told)")),
    )
}

/// The code in `AADSTS7000215: Invalid client secret provided.`
fn code_in(description: &str) -> Option<i64> {
    let (_, rest) = description.split_once("AADSTS")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

/// Entra's words without the identifiers and times that follow them.
pub(super) fn shortened(description: &str) -> String {
    let end = ["Trace ID:", "Correlation ID:", "Timestamp:"].iter().filter_map(|mark| description.find(mark)).min();
    let said = description.get(..end.unwrap_or(description.len())).unwrap_or(description);
    excerpt(said.trim().trim_end_matches('.'))
}

/// What an endpoint's refusal of a token means.
pub(super) fn of_endpoint(status: u16, message: &str, who: &str, renewable: bool, ended: Option<SystemTime>) -> String {
    // What the endpoint's words alone tell is said there already.
    let is_told = ["`Cognitive Services", "`scope`", "`tenant_id`"].iter().any(|setting| message.contains(setting));
    let hint = if !renewable && status == 401 {
        "; it cannot be renewed: put a new one into AZURE_OPENAI_AD_TOKEN, or unset it and use a source that renews itself"
    } else if is_told {
        ""
    } else if status == 403 {
        "; on the resource it needs a role such as `Cognitive Services OpenAI User`, which takes some minutes to work"
    } else {
        "; check `scope` and `cloud`, and that the address is the resource's own (https://NAME.openai.azure.com): a \
         region's address takes only keys"
    };
    let expired =
        ended.map_or_else(String::new, |end| format!("; by this machine's clock it expired at {}", moment(end)));
    let said = if message.trim().is_empty() { "it said no more" } else { message.trim().trim_end_matches('.') };
    format!("the endpoint refused {who} ({status}): {said}{expired}{hint}")
}
