//! HTTP clients, built when first needed and shared by all connections.

use std::collections::HashMap;
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use reqwest::{Client, NoProxy, Proxy, redirect};
use sluicegate_config::Proxies;

/// What connections share that is nobody's own setting.
#[derive(Clone, Default)]
pub struct Options {
    /// Which addresses are reached by way of another machine.
    pub proxies: Proxies,
    /// Asks for token counts of streamed replies (`stream_options`) where the request does not speak of them itself.
    /// The original never does, hence off unless set.
    pub stream_usage: bool,
}

/// Builds clients at first use: TLS roots cost milliseconds that a local run should not pay.
pub(crate) struct Clients {
    pub(crate) options: Options,
    built: Mutex<HashMap<Kind, Result<Client, String>>>,
}

/// What makes two clients differ.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    tls: bool,
    connect_timeout: Duration,
}

impl Clients {
    pub(crate) fn new(options: Options) -> Self {
        Self { options, built: Mutex::default() }
    }

    /// The client for addresses with or without TLS.
    pub(crate) fn get(&self, tls: bool, connect_timeout: Duration) -> Result<Client, String> {
        let proxied_by_tls = self.options.proxies.each().any(|(_, proxy)| proxy.starts_with("https:"));
        let kind = Kind { tls: tls || proxied_by_tls, connect_timeout };
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        built.entry(kind).or_insert_with(|| self.build(kind)).clone()
    }

    fn build(&self, kind: Kind) -> Result<Client, String> {
        install_crypto();
        let mut builder = Client::builder()
            // A redirect would carry the key to whoever the answer names.
            .redirect(redirect::Policy::none())
            // Nothing from the process environment: what counts comes by `options`.
            .no_proxy()
            .connect_timeout(kind.connect_timeout)
            .user_agent(USER_AGENT);
        if !kind.tls {
            // No roots: the platform's are then not even loaded.
            builder = builder.tls_certs_only([]);
        }
        let exceptions = NoProxy::from_string(&self.options.proxies.exceptions());
        for (scheme, address) in self.options.proxies.each() {
            let proxy = if scheme == "http" { Proxy::http(address) } else { Proxy::https(address) };
            // Without the address in the words: it may hold a password.
            let proxy = proxy.map_err(|_| format!("the {scheme} proxy's address is not a URL"))?;
            builder = builder.proxy(proxy.no_proxy(exceptions.clone()));
        }
        builder.build().map_err(|error| crate::http::root_cause(&error))
    }
}

/// How we call ourselves.
pub(crate) const USER_AGENT: &str = concat!("sluicegate/", env!("CARGO_PKG_VERSION"));

/// Makes ring the process's cryptography, unless somebody chose before us.
fn install_crypto() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
