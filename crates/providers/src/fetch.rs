//! HTTP calls of a flow's own, within the policy that the settings set.
//!
//! A flow's author names addresses, data may fill them in, and whoever runs the flow sits in a network with doors of
//! its own: hence [`Policy`]. It is asked about the host of each address, redirects included, and about each IP address
//! that a name leads to, at the moment of connecting ([`Guard`]): a name that leads elsewhere a second later gains
//! nothing. By way of a proxy it is the proxy that resolves names: names that are private by their form are refused, and so
//! are those that lead to a private address by our own resolver, if it knows them; the proxy's may know better.
//!
//! Nothing is tried twice: that is the node's `retry`.

mod address;
mod policy;
mod request;
mod resolver;

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::LOCATION;
use reqwest::{Method, Response, StatusCode, Url};
use sluicegate_config::Timeouts;
use sluicegate_model::{BoxFuture, CallContext, Fetch, FetchReply, FetchRequest, ModelError, Phase};
use tokio::time::timeout_at;

use crate::client::{Clients, OnTheWay, host};
use crate::network_error::{Between, Caller, NetworkError};
use request::Outgoing;

pub(crate) use policy::{Policy, Refused};
pub(crate) use resolver::Guard;

/// Makes HTTP calls.
pub(crate) struct Fetcher {
    clients: Arc<Clients>,
}

impl Fetcher {
    pub(crate) fn new(clients: Arc<Clients>) -> Self {
        Self { clients }
    }

    async fn follow(&self, request: &FetchRequest, context: &CallContext) -> Result<FetchReply, ModelError> {
        let settings = &self.clients.options.http;
        let redirects = request.redirects.map_or(settings.redirects, |redirects| redirects.min(settings.redirects));
        let max_size = request.max_size.map_or(settings.max_size, |size| size.min(settings.max_size));
        let mut outgoing = Outgoing::read(request, context)?;
        for followed in 0.. {
            let response = self.send(&outgoing).await?;
            // Who follows none wants to see where they lead.
            let target = if redirects == 0 { None } else { target(&response) };
            let Some(target) = target else { return self.reply(response, &outgoing, max_size).await };
            if followed == redirects {
                return Err(ModelError::Malformed {
                    message: format!("{} redirects once more after {redirects} redirects", shown(&outgoing.url)),
                });
            }
            outgoing = outgoing.redirected(response.status(), &target)?;
        }
        unreachable!("a loop without an end")
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<Response, ModelError> {
        let url = &outgoing.url;
        let host = host(url);
        let proxy = self.clients.proxy_to(url.scheme(), &host);
        let policy = &self.clients.policy;
        let mut checked = policy.check_host(&host, proxy.is_some());
        if checked.is_ok() && proxy.is_some() {
            checked = Guard::new(policy.clone()).check_for_proxy(&host).await;
        }
        checked.map_err(|refused| forbidden(url, refused.to_string()))?;
        let connect = Timeouts::default().connect;
        let client = self.clients.get_for_fetch(url, connect, proxy.is_some());
        let client = client.map_err(|message| unreachable_at(url, message))?;
        let mut builder = client.request(outgoing.method.clone(), url.clone()).headers(outgoing.headers.clone());
        if let Some(body) = &outgoing.body {
            builder = builder.body(body.to_vec());
        }
        let response = builder.send().await.map_err(|error| self.network(&error, url, connect))?;
        if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED && proxy.is_some() {
            let origin = url.origin().ascii_serialization();
            let message = between(&origin, proxy.as_ref()).proxy_wants_password();
            return Err(unreachable_at(url, message));
        }
        Ok(response)
    }

    async fn reply(
        &self,
        mut response: Response,
        outgoing: &Outgoing,
        max_size: u64,
    ) -> Result<FetchReply, ModelError> {
        let url = &outgoing.url;
        let too_large = || ModelError::Malformed {
            message: format!(
                "the answer of {} is larger than {}; more is allowed by `max_size`, of the node and under `http:` in the \
                 config",
                shown(url),
                size(max_size)
            ),
        };
        // What is compressed declares no length any more; an answer to HEAD declares one that does not come.
        if outgoing.method != Method::HEAD && response.content_length().is_some_and(|length| length > max_size) {
            return Err(too_large());
        }
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().into(), String::from_utf8_lossy(value.as_bytes()).into()));
        let headers = headers.collect();
        let mut body = Vec::new();
        let connect = Timeouts::default().connect;
        while let Some(bytes) = response.chunk().await.map_err(|error| self.network(&error, url, connect))? {
            if body.len() as u64 + bytes.len() as u64 > max_size {
                return Err(too_large());
            }
            body.extend_from_slice(&bytes);
        }
        Ok(FetchReply { status, url: url.as_str().into(), headers, body })
    }

    fn network(&self, error: &reqwest::Error, url: &Url, connect: Duration) -> ModelError {
        let origin = url.origin().ascii_serialization();
        let proxy = self.clients.proxy_to(url.scheme(), &host(url));
        match between(&origin, proxy.as_ref()).explain(error) {
            NetworkError::ConnectTimedOut => ModelError::TimedOut { phase: Phase::Connect, after: connect },
            NetworkError::Undecodable(message) => ModelError::Malformed { message },
            NetworkError::Forbidden(message) => forbidden(url, message),
            NetworkError::Wrong(message) | NetworkError::Unreachable(message) => unreachable_at(url, message),
        }
    }
}

impl Fetch for Fetcher {
    fn fetch<'a>(
        &'a self,
        request: &'a FetchRequest,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<FetchReply, ModelError>> {
        Box::pin(async move {
            let now = Instant::now();
            let settings = self.clients.options.http.timeout;
            let limit = request.timeout.map_or(settings, |asked| asked.min(settings));
            let left = context.deadline.map(|deadline| deadline.saturating_duration_since(now));
            let limit = left.map_or(limit, |left| left.min(limit));
            // A limit beyond what the clock can count is none.
            let Some(deadline) = now.checked_add(limit) else { return self.follow(request, context).await };
            let followed = timeout_at(deadline.into(), self.follow(request, context)).await;
            followed.unwrap_or(Err(ModelError::TimedOut { phase: Phase::Total, after: limit }))
        })
    }
}

/// Where an answer redirects to.
fn target(response: &Response) -> Option<String> {
    let redirects = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let target = response.headers().get(LOCATION).filter(|_| redirects)?;
    Some(String::from_utf8_lossy(target.as_bytes()).into_owned())
}

fn between<'a>(origin: &'a str, proxy: Option<&'a OnTheWay>) -> Between<'a> {
    Between { origin, proxy, client_certificate: None, caller: Caller::HttpNode }
}

/// An address as messages show it: its query may hold a key.
fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

fn forbidden(url: &Url, message: String) -> ModelError {
    ModelError::Forbidden { url: shown(url), message }
}

fn unreachable_at(url: &Url, message: String) -> ModelError {
    ModelError::Unreachable { endpoint: url.origin().ascii_serialization(), message }
}

fn size(bytes: u64) -> String {
    match bytes {
        _ if bytes > 0 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes > 0 && bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        1 => "1 byte".to_owned(),
        _ => format!("{bytes} bytes"),
    }
}
