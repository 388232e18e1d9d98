//! HTTP clients, built when first needed and shared by all that need the same.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use reqwest::{Client, ClientBuilder, NoProxy, Proxy, Url, redirect};
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

/// The proxy on the way to a host, for messages.
#[derive(Clone, Debug)]
pub(crate) struct OnTheWay {
    /// Scheme, host and port, without user or password.
    pub(crate) shown: String,
    /// The variable that names it.
    pub(crate) variable: String,
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

    /// A client for what no proxy can lead to, such as this machine's own identity at a link-local address.
    pub(crate) fn direct(&self, tls: bool, connect_timeout: Duration) -> Result<Client, String> {
        self.of(Kind { tls, connect_timeout, ca_file: None, client_certificate: None, way: Way::Direct })
    }

    /// The client for an address of a connection, or of those who give out its tokens.
    ///
    /// # Errors
    /// In words that follow a connection's name: a file of certificates or a key that cannot be used, named with the
    /// setting that names it; a proxy on the way that is of no use.
    pub(crate) fn get_for(&self, url: &Url, connect_timeout: Duration, gateway: &Gateway) -> Result<Client, String> {
        self.check_proxy_to(url)?;
        self.of(Kind {
            tls: url.scheme() == "https",
            connect_timeout,
            ca_file: gateway.ca_file.clone(),
            client_certificate: gateway.client_certificate.clone(),
            way: Way::AsSet,
        })
    }

    /// The client for `http` nodes: by the proxy, which resolves names itself, or straight to where the policy allows.
    pub(crate) fn get_for_fetch(&self, url: &Url, connect_timeout: Duration, by_proxy: bool) -> Result<Client, String> {
        let way = if by_proxy { Way::ByProxy } else { Way::Guarded };
        if by_proxy {
            self.check_proxy_to(url)?;
        }
        let tls = url.scheme() == "https";
        self.of(Kind { tls, connect_timeout, ca_file: None, client_certificate: None, way })
    }

    /// The proxy on the way to a host, if there is one.
    pub(crate) fn proxy_to(&self, scheme: &str, host: &str) -> Option<OnTheWay> {
        let shown = self.options.proxies.on_the_way_to(scheme, host)?;
        Some(OnTheWay { shown, variable: self.options.proxies.variable(scheme).to_owned() })
    }

    /// A proxy that is of no use spoils nothing but what would go by it.
    fn check_proxy_to(&self, url: &Url) -> Result<(), String> {
        let on_the_way = self.proxy_to(url.scheme(), &host(url));
        let mut proxies = self.options.proxies.each().filter(|(scheme, _)| *scheme == url.scheme());
        match (on_the_way, proxies.next()) {
            (Some(_), Some((scheme, address))) => self.proxy(scheme, address).map(|_| ()),
            _ => Ok(()),
        }
    }

    fn proxy(&self, scheme: &str, address: &str) -> Result<Proxy, String> {
        // Without the address in the words: it may hold a password.
        let (address, variable) = (address.trim(), self.options.proxies.variable(scheme));
        let kind = address.split_once("://").map(|(kind, _)| kind.to_ascii_lowercase());
        if let Some(kind) = kind.filter(|kind| !matches!(kind.as_str(), "http" | "https")) {
            return Err(format!("the proxy of {variable} is one of kind `{kind}`; only http:// and https:// work"));
        }
        let proxy = if scheme == "http" { Proxy::http(address) } else { Proxy::https(address) };
        proxy.map_err(|_| format!("the proxy's address in {variable} is not a URL"))
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
            Way::AsSet => self.with_proxies(builder, true),
            Way::Direct => builder,
            Way::Guarded => builder.dns_resolver(Arc::new(Guard::new(self.policy.clone()))),
            Way::ByProxy => self.with_proxies(builder, false),
        };
        builder.build().map_err(|error| format!("no HTTP client: {}", crate::network_error::root_cause(&error)))
    }

    fn with_proxies(&self, mut builder: ClientBuilder, with_exceptions: bool) -> ClientBuilder {
        let exceptions = with_exceptions.then(|| self.options.proxies.exceptions());
        // The matcher below knows `*` for names, not for addresses.
        if exceptions.as_deref().is_some_and(|exceptions| exceptions.split(',').any(|except| except == "*")) {
            return builder;
        }
        for (scheme, address) in self.options.proxies.each() {
            // Whoever would go by one that is of no use was told before.
            if let Ok(proxy) = self.proxy(scheme, address) {
                builder = builder.proxy(proxy.no_proxy(exceptions.as_deref().and_then(NoProxy::from_string)));
            }
        }
        builder
    }
}

/// The host of an address: a name without a dot at its end, or an IP address without brackets.
pub(crate) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host.strip_suffix('.').unwrap_or(host).to_owned()
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
