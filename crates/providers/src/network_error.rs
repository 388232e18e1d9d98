//! What went wrong between us and an answer, in words that say what to change.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, InvalidMessage};

use crate::client::OnTheWay;
use crate::fetch::Refused;
use crate::tls::Distrusted;

/// What a failure of the network means.
#[derive(Debug)]
pub(crate) enum NetworkError {
    /// No connection in time.
    ConnectTimedOut,
    /// Trying again is of no use; the words say what to change.
    Wrong(String),
    /// The answer's compression is broken.
    Undecodable(String),
    /// The name leads to an address that the policy forbids.
    Forbidden(String),
    /// Anything else: nobody there, a connection that broke.
    Unreachable(String),
}

/// Between whom it went wrong.
pub(crate) struct Between<'a> {
    /// Scheme, host and port of the server.
    pub(crate) origin: &'a str,
    /// The proxy on the way, if any.
    pub(crate) proxy: Option<&'a OnTheWay>,
    /// Where our own certificate lies, if we show one.
    pub(crate) client_certificate: Option<&'a Path>,
    /// Who calls, which decides what can be changed.
    pub(crate) caller: Caller,
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A connection, by all of its settings.
    Connection,
    /// A connection's identity, which wants a token: by `ca_file` alone.
    Identity,
    /// An `http` node, by no such settings.
    HttpNode,
}

impl Between<'_> {
    /// What a failure means.
    pub(crate) fn explain(&self, error: &reqwest::Error) -> NetworkError {
        let cause = root_cause(error);
        if error.is_timeout() && error.is_connect() {
            return NetworkError::ConnectTimedOut;
        }
        if error.is_builder() {
            return NetworkError::Wrong(format!("no such request can be sent: {cause}"));
        }
        if let Some(refused) = find::<Refused>(error) {
            return NetworkError::Forbidden(refused.to_string());
        }
        if let Some(words) = self.tunnel(error, &cause) {
            return words;
        }
        if let Some(error) = find::<rustls::Error>(error) {
            return self.tls(error);
        }
        let kind = find::<io::Error>(error).map(io::Error::kind);
        if error.is_decode() && matches!(kind, Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)) {
            return NetworkError::Undecodable(format!("it cannot be decompressed: {cause}"));
        }
        if self.origin.starts_with("https:") && cause == "tls handshake eof" {
            return NetworkError::Unreachable(format!(
                "{}it hung up during the TLS handshake; if it speaks plain HTTP, write `http://`",
                self.by_way_of()
            ));
        }
        // What a TLS server says to plain HTTP is no HTTP.
        if self.origin.starts_with("http:") && find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
            return NetworkError::Wrong(format!(
                "what answers at {} speaks no HTTP ({cause}); if it speaks TLS, write `https://`",
                self.origin
            ));
        }
        NetworkError::Unreachable(format!("{}{cause}", self.by_way_of()))
    }

    /// The proxy wants to know who we are (407).
    pub(crate) fn proxy_wants_password(&self) -> String {
        let (shown, variable) =
            self.proxy.map_or(("on the way", "HTTPS_PROXY"), |proxy| (&proxy.shown, &proxy.variable));
        format!(
            "the proxy {shown} refused to pass the request on without a user and password, or with those that it got (407); \
             write them into {variable} as `http://USER:PASSWORD@HOST:PORT`"
        )
    }

    /// What went wrong between us and the proxy, or by the proxy's own will.
    fn tunnel(&self, error: &reqwest::Error, cause: &str) -> Option<NetworkError> {
        let proxy = &self.proxy?.shown;
        // The error has no type that can be named outside of its crate.
        let tunnel = chain(error)
            .map(ToString::to_string)
            .find_map(|words| words.strip_prefix("tunnel error: ").map(str::to_owned));
        Some(match tunnel.as_deref() {
            Some("proxy authorization required") => NetworkError::Wrong(self.proxy_wants_password()),
            Some("failed to create underlying connection") => {
                NetworkError::Unreachable(format!("its proxy {proxy} cannot be reached: {cause}"))
            }
            Some("unsuccessful") => NetworkError::Unreachable(format!(
                "the proxy {proxy} refused to connect us to it; ask whoever runs the proxy, or name the host in NO_PROXY"
            )),
            Some(words) => NetworkError::Unreachable(format!("the proxy {proxy} does not tunnel: {words}")),
            None if self.origin.starts_with("http:") && error.is_connect() => {
                NetworkError::Unreachable(format!("its proxy {proxy} cannot be reached: {cause}"))
            }
            None => return None,
        })
    }

    fn tls(&self, error: &rustls::Error) -> NetworkError {
        match error {
            rustls::Error::InvalidCertificate(error) => NetworkError::Wrong(self.certificate(error)),
            rustls::Error::AlertReceived(alert) => self.alert(*alert),
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => NetworkError::Wrong(format!(
                "what answers at {} does not speak TLS; if it speaks plain HTTP, write `http://`",
                self.origin
            )),
            error => NetworkError::Unreachable(format!("{}{error}", self.by_way_of())),
        }
    }

    /// Why the server's certificate does not do, and what does.
    fn certificate(&self, error: &CertificateError) -> String {
        let (origin, by) = (self.origin, self.by_way_of());
        let name_it = match self.caller {
            Caller::Connection | Caller::Identity => "name it with `ca_file:` or SSL_CERT_FILE",
            Caller::HttpNode => "name it with SSL_CERT_FILE",
        };
        let clock = "or this machine's clock is wrong";
        match error {
            CertificateError::Other(other) => match other.0.downcast_ref::<Distrusted>() {
                Some(distrusted @ (Distrusted::UnknownIssuer(_) | Distrusted::Namesake(_))) => format!(
                    "{by}the certificate of {origin} is not trusted: {distrusted}; put the issuer's certificate (PEM) \
                     into a file and {name_it}"
                ),
                Some(distrusted @ Distrusted::SelfSigned(_)) => format!(
                    "{by}the certificate of {origin} is not trusted: {distrusted}; put it (PEM) into a file and {name_it}"
                ),
                None => format!("{by}the certificate of {origin} is not trusted: {other}"),
            },
            CertificateError::Expired => {
                format!("{by}the certificate of {origin} has expired; it must be renewed there, {clock}")
            }
            CertificateError::ExpiredContext { not_after, .. } => {
                let date = date(*not_after);
                format!("{by}the certificate of {origin} expired on {date}; it must be renewed there, {clock}")
            }
            CertificateError::NotValidYet => {
                format!("{by}the certificate of {origin} is not valid yet; it is too new, {clock}")
            }
            CertificateError::NotValidYetContext { not_before, .. } => {
                let date = date(*not_before);
                format!("{by}the certificate of {origin} is not valid before {date}; it is too new, {clock}")
            }
            CertificateError::NotValidForName => {
                format!("{by}the certificate of {origin} is for another name; use the name that it is for")
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names = presented_names(presented);
                format!(
                    "{by}the certificate of {origin} is not for this name but for {names}; use a name that it is for"
                )
            }
            error => format!("{by}the certificate of {origin} is not trusted: {error}"),
        }
    }

    /// What a server's refusal of the handshake means.
    fn alert(&self, alert: AlertDescription) -> NetworkError {
        use AlertDescription as Alert;
        let (origin, by) = (self.origin, self.by_way_of());
        let show_one = match self.caller {
            Caller::Connection => "name one, and its key, with `client_certificate:`",
            Caller::Identity => "which is shown to the connection's own address alone",
            Caller::HttpNode => "which `http` nodes do not have",
        };
        NetworkError::Wrong(match (alert, self.client_certificate) {
            (Alert::CertificateRequired | Alert::NoCertificate | Alert::BadCertificate, None) => {
                format!("{by}{origin} wants a client's certificate; {show_one}")
            }
            (Alert::HandshakeFailure, None) => format!(
                "{by}{origin} refused the TLS handshake: it wants a client's certificate ({show_one}), or has no cipher \
                 in common with us"
            ),
            (
                Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::DecryptError
                | Alert::CertificateRequired
                | Alert::HandshakeFailure,
                Some(shown),
            ) => format!(
                "{by}{origin} refused our client's certificate, {} ({alert:?}); ask for one by an issuer that it trusts",
                shown.display()
            ),
            (Alert::ProtocolVersion, _) => {
                format!("{by}{origin} speaks no TLS 1.2 or 1.3, and older ones are not safe")
            }
            (Alert::UnrecognisedName, _) => format!("{by}{origin} does not know this host name"),
            _ => return NetworkError::Unreachable(format!("{by}it broke off the TLS handshake: {alert:?}")),
        })
    }

    fn by_way_of(&self) -> String {
        self.proxy.map_or_else(String::new, |proxy| format!("by way of the proxy {}: ", proxy.shown))
    }
}

/// The words of the innermost cause: the outer ones say "error sending request" and repeat the address.
pub(crate) fn root_cause(error: &reqwest::Error) -> String {
    chain(error).last().map_or_else(|| "no cause given".to_owned(), ToString::to_string)
}

fn find<T: StdError + 'static>(error: &reqwest::Error) -> Option<&T> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// An error's causes, from the first to the innermost.
fn chain<'e>(error: &'e reqwest::Error) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(error.source(), |error: &&'e (dyn StdError + 'static)| {
        let error = *error;
        // An `io::Error` hides what it wraps from `source`.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|wrapped| wrapped as &(dyn StdError + 'static)).or_else(|| error.source())
    })
}

fn date(time: UnixTime) -> String {
    let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs()));
    // `Thu, 01 Jan 2026 00:00:00 GMT`: the day matters.
    date.get(5..16).unwrap_or(&date).to_owned()
}

/// The first names of a certificate, of which there may be hundreds; they come as `DnsName("a.test")`.
fn presented_names(presented: &[String]) -> String {
    let mut text = String::new();
    for (position, name) in presented.iter().take(5).enumerate() {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
        let inner: String = inner.trim_matches('"').chars().filter(|letter| !letter.is_control()).collect();
        let _ = write!(text, "{}`{inner}`", if position == 0 { "" } else { ", " });
    }
    match presented.len() {
        0 => "none".to_owned(),
        1..=5 => text,
        more => format!("{text} and {} more", more - 5),
    }
}
