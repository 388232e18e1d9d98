//! HTTP clients, built when first needed and shared by all that need the same.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use reqwest::{Client, ClientBuilder, NoProxy, Proxy, redirect};
use sluicegate_config::{ClientCertificate, Gateway, HttpPolicy, Proxies};

use crate::fetch::{Guard, Policy};
use crate::tls::{self, Trusted};

/// What connections share that is nobody's own setting.
#[derive(Clone, Default)]
pub struct Options {
    /// Which addresses are reached by way of another machine.
    pub proxies: Proxies,
    /// Asks for token counts of streamed replies (`stream_options`) where the request does not speak of them itself.
    /// The original never does, hence off unless set.
    pub stream_usage: bool,
    /// Files of certificates (PEM) that are trusted besides the system's: those of SSL_CERT_FILE and
    /// REQUESTS_CA_BUNDLE.
    pub ca_files: Vec<PathBuf>,
    /// What `http` nodes may do.
    pub http: HttpPolicy,
}

/// Builds clients at first use: TLS roots cost milliseconds that a local run should not pay.
pub(crate) struct Clients {
    pub(crate) options: Options,
    /// What `options.http` says, read.
    pub(crate) policy: Arc<Policy>,
    built: Mutex<HashMap<Kind, Result<Client, String>>>,
}

/// What makes two clients differ.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    tls: bool,
    connect_timeout: Duration,
    ca_file: Option<PathBuf>,
    client_certificate: Option<ClientCertificate>,
    way: Way,
}

/// How a client gets to its hosts.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    /// By a proxy unless the host is an exception.
    AsSet,
    /// Without a proxy.
    Direct,
    /// Without a proxy, and only to addresses that the policy for `http` nodes allows.
    Guarded,
    /// By a proxy, whatever the host.
    ByProxy,
}

impl Clients {
    pub(crate) fn new(options: Options) -> Self {
        let policy = Arc::new(Policy::new(&options.http));
        Self { options, policy, built: Mutex::default() }
    }

    /// A client for addresses with or without TLS that belong to no connection.
    pub(crate) fn get(&self, tls: bool, connect_timeout: Duration) -> Result<Client, String> {
        self.get_for(tls, connect_timeout, &Gateway::default())
    }

    /// A client for what no proxy can lead to, such as this machine's own identity at a link-local address.
    pub(crate) fn direct(&self, tls: bool, connect_timeout: Duration) -> Result<Client, String> {
        self.of(Kind { tls, connect_timeout, ca_file: None, client_certificate: None, way: Way::Direct })
    }

    /// The client for a connection's addresses.
    ///
    /// # Errors
    /// In words that follow a connection's name: a file of certificates or a key that cannot be used, named with the
    /// setting that names it; a proxy's address that is none.
    pub(crate) fn get_for(&self, tls: bool, connect_timeout: Duration, gateway: &Gateway) -> Result<Client, String> {
        self.of(Kind {
            tls,
            connect_timeout,
            ca_file: gateway.ca_file.clone(),
            client_certificate: gateway.client_certificate.clone(),
            way: Way::AsSet,
        })
    }

    /// The client for `http` nodes: by the proxy, which resolves names itself, or straight to where the policy allows.
    pub(crate) fn get_for_fetch(&self, tls: bool, connect_timeout: Duration, by_proxy: bool) -> Result<Client, String> {
        let way = if by_proxy { Way::ByProxy } else { Way::Guarded };
        self.of(Kind { tls, connect_timeout, ca_file: None, client_certificate: None, way })
    }

    fn of(&self, mut kind: Kind) -> Result<Client, String> {
        let proxied_by_tls = self.options.proxies.each().any(|(_, proxy)| proxy.starts_with("https:"));
        kind.tls |= proxied_by_tls && matches!(kind.way, Way::AsSet | Way::ByProxy);
        if !kind.tls {
            kind = Kind { ca_file: None, client_certificate: None, ..kind };
        }
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = built.get(&kind) {
            return client.clone();
        }
        let client = self.build(&kind);
        built.insert(kind, client.clone());
        client
    }

    fn build(&self, kind: &Kind) -> Result<Client, String> {
        install_crypto();
        let mut builder = Client::builder()
            // A redirect would carry the key to whoever the answer names.
            .redirect(redirect::Policy::none())
            // Nothing from the process environment: what counts comes by `options`.
            .no_proxy()
            .connect_timeout(kind.connect_timeout)
            .user_agent(USER_AGENT);
        builder = if kind.tls {
            let shared = self
                .options
                .ca_files
                .iter()
                .map(|file| Trusted { file, named_by: "SSL_CERT_FILE or REQUESTS_CA_BUNDLE" });
            let own = kind.ca_file.iter().map(|file| Trusted { file, named_by: "`ca_file`" });
            let trusted: Vec<_> = own.chain(shared).collect();
            builder.tls_backend_preconfigured(tls::config(&trusted, kind.client_certificate.as_ref())?)
        } else {
            // No roots: the platform's are then not even loaded.
            builder.tls_certs_only([])
        };
        builder = match kind.way {
            Way::AsSet => self.with_proxies(builder, true)?,
            Way::Direct => builder,
            Way::Guarded => builder.dns_resolver(Arc::new(Guard::new(self.policy.clone()))),
            Way::ByProxy => self.with_proxies(builder, false)?,
        };
        builder.build().map_err(|error| format!("no HTTP client: {}", crate::network_error::root_cause(&error)))
    }

    fn with_proxies(&self, mut builder: ClientBuilder, with_exceptions: bool) -> Result<ClientBuilder, String> {
        let exceptions = with_exceptions.then(|| self.options.proxies.exceptions());
        // The matcher below knows `*` for names, not for addresses.
        if exceptions.as_deref().is_some_and(|exceptions| exceptions.split(',').any(|except| except == "*")) {
            return Ok(builder);
        }
        for (scheme, address) in self.options.proxies.each() {
            let address = address.trim();
            // Without the address in the words: it may hold a password.
            let variable = format!("{}_PROXY", scheme.to_uppercase());
            if let Some((by, _)) = address.split_once("://").filter(|(by, _)| !matches!(*by, "http" | "https")) {
                return Err(format!("the proxy of {variable} is one of kind `{by}`; only http:// and https:// work"));
            }
            let proxy = if scheme == "http" { Proxy::http(address) } else { Proxy::https(address) };
            let proxy = proxy.map_err(|_| format!("the proxy's address in {variable} is not a URL"))?;
            builder = builder.proxy(proxy.no_proxy(exceptions.as_deref().and_then(NoProxy::from_string)));
        }
        Ok(builder)
    }
}

/// How we call ourselves.
pub(crate) const USER_AGENT: &str = concat!("sluicegate/", env!("CARGO_PKG_VERSION"));

/// Makes ring the process's cryptography, unless somebody chose before us.
pub(crate) fn install_crypto() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
