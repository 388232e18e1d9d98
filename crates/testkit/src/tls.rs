//! Certificates of an authority of one's own, and what a server needs to speak TLS with them.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;

/// An authority that nobody knows, such as a company's own.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, both PEM.
#[derive(Clone, Debug)]
pub struct Certified {
    /// The certificate.
    pub certificate: String,
    /// Its private key (PKCS#8).
    pub key: String,
}

/// What a server shows, and what it wants to be shown.
#[derive(Clone)]
pub struct Server(pub(crate) Arc<rustls::ServerConfig>);

impl Authority {
    /// A new authority of this name.
    ///
    /// # Panics
    /// If no key can be made.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { issuer: made(CertifiedIssuer::self_signed(authority(name), key())) }
    }

    /// An authority of this name that this one vouches for.
    ///
    /// # Panics
    /// If no key can be made.
    #[must_use]
    pub fn intermediate(&self, name: &str) -> Self {
        Self { issuer: made(CertifiedIssuer::signed_by(authority(name), key(), &self.issuer)) }
    }

    /// Its own certificate, PEM: what a client must trust.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server's certificate for these names and addresses.
    ///
    /// # Panics
    /// If a name is none.
    #[must_use]
    pub fn certify(&self, names: &[&str]) -> Certified {
        self.sign(names, ExtendedKeyUsagePurpose::ServerAuth, (1975, 4096))
    }

    /// A server's certificate for these names and addresses that was good from 2001 to 2002.
    ///
    /// # Panics
    /// If a name is none.
    #[must_use]
    pub fn certify_long_ago(&self, names: &[&str]) -> Certified {
        self.sign(names, ExtendedKeyUsagePurpose::ServerAuth, (2001, 2002))
    }

    /// A client's certificate.
    ///
    /// # Panics
    /// If no key can be made.
    #[must_use]
    pub fn certify_client(&self, name: &str) -> Certified {
        self.sign(&[name], ExtendedKeyUsagePurpose::ClientAuth, (1975, 4096))
    }

    fn sign(&self, names: &[&str], purpose: ExtendedKeyUsagePurpose, (from, to): (i32, i32)) -> Certified {
        let mut params = leaf(names);
        params.extended_key_usages = vec![purpose];
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let key = key();
        Certified { certificate: made(params.signed_by(&key, &self.issuer)).pem(), key: key.serialize_pem() }
    }
}

impl Certified {
    /// A certificate that nobody vouches for but itself.
    ///
    /// # Panics
    /// If a name is none.
    #[must_use]
    pub fn by_itself(names: &[&str]) -> Self {
        let key = key();
        Self { certificate: made(leaf(names).self_signed(&key)).pem(), key: key.serialize_pem() }
    }

    /// The same, followed by the certificate of the authority in between.
    #[must_use]
    pub fn followed_by(self, between: &Authority) -> Self {
        Self { certificate: self.certificate + &between.pem(), ..self }
    }
}

impl Server {
    /// A server that shows this certificate.
    ///
    /// # Panics
    /// If the certificate and the key do not fit.
    #[must_use]
    pub fn new(shown: &Certified) -> Self {
        Self::with(shown, WebPkiClientVerifier::no_client_auth())
    }

    /// A server that shows this certificate and talks only to clients that this authority vouches for.
    ///
    /// # Panics
    /// If the certificate and the key do not fit.
    #[must_use]
    pub fn for_clients_of(shown: &Certified, authority: &Authority) -> Self {
        let mut roots = RootCertStore::empty();
        made(roots.add(authority.issuer.der().clone()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Self::with(shown, made(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()))
    }

    fn with(shown: &Certified, clients: Arc<dyn rustls::server::danger::ClientCertVerifier>) -> Self {
        let certificates: Result<Vec<_>, _> =
            rustls::pki_types::CertificateDer::pem_slice_iter(shown.certificate.as_bytes()).collect();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = made(rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions())
            .with_client_cert_verifier(clients)
            .with_single_cert(made(certificates), made(PrivateKeyDer::from_pem_slice(shown.key.as_bytes())));
        let mut config = made(config);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self(Arc::new(config))
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = named(Vec::new(), name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params
}

fn leaf(names: &[&str]) -> CertificateParams {
    let mut params =
        named(names.iter().map(|name| (*name).to_owned()).collect(), names.first().copied().unwrap_or("nobody"));
    params.is_ca = IsCa::ExplicitNoCa;
    params
}

fn named(names: Vec<String>, common_name: &str) -> CertificateParams {
    let mut params = made(CertificateParams::new(names));
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn key() -> KeyPair {
    made(KeyPair::generate())
}

#[expect(clippy::expect_used, reason = "a test's foundation: without it there is no test")]
fn made<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    result.expect("keys and certificates can be made")
}
