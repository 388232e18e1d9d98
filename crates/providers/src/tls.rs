//! Whom we trust and how we show who we are: certificates from files, and words for those that are not trusted.

mod files;
mod names;
mod roots;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme};
use sluicegate_config::ClientCertificate;

/// A file of certificates that are trusted besides the platform's.
pub(crate) struct Trusted<'a> {
    pub(crate) file: &'a Path,
    /// The setting or variable that names it, for messages.
    pub(crate) named_by: &'static str,
}

/// Why a server's certificate is not trusted, where its names help: nobody is known who vouches for it.
#[derive(Debug)]
pub(crate) enum Distrusted {
    /// This issuer (`CN=Corp Root`) is unknown.
    UnknownIssuer(String),
    /// An issuer of this name is known, with another key: one that was made anew, or a namesake.
    Namesake(String),
    /// Nobody but itself vouches for it.
    SelfSigned(String),
}

/// What TLS with these authorities, and as this client, takes.
///
/// # Errors
/// A file cannot be used; says which, by what it is named, and why.
pub(crate) fn config(trusted: &[Trusted<'_>], client: Option<&ClientCertificate>) -> Result<ClientConfig, String> {
    let provider = match CryptoProvider::get_default() {
        Some(provider) => provider.clone(),
        None => Arc::new(rustls::crypto::ring::default_provider()),
    };
    let mut roots = Vec::new();
    for trusted in trusted {
        roots.extend(files::authorities(trusted)?);
    }
    let identity = client.map(files::identity).transpose()?;
    let verifier = roots::verifier(roots, provider.clone()).map_err(|error| {
        format!(
            "no certificates to trust: {error}; install the system's (often `ca-certificates`) or set SSL_CERT_FILE"
        )
    })?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("no TLS: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Naming(verifier)));
    let mut config = match (identity, client) {
        (Some((chain, key)), Some(files)) => builder.with_client_auth_cert(chain, key).map_err(|error| {
            let (certificate, key) = (files.certificate.display(), files.key.display());
            match error {
                rustls::Error::InconsistentKeys(_) => format!(
                    "its `client_certificate` does not work: the key in {key} is not that of the first certificate in \
                     {certificate}"
                ),
                error => format!("its `client_certificate` does not work ({certificate}, {key}): {error}"),
            }
        })?,
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Verifies as the platform does; where that fails for want of an issuer, the error names it: only here are both the
/// certificate and the failure at hand.
#[derive(Debug)]
struct Naming(Arc<dyn ServerCertVerifier>);

impl ServerCertVerifier for Naming {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        verified.map_err(|error| {
            // Servers send their chain in order: who vouches for the last of it is missing.
            let last = intermediates.last().unwrap_or(end_entity);
            let Some(names) = names::of(last) else { return error };
            let rustls::Error::InvalidCertificate(certificate_error) = &error else { return error };
            let is_namesake = matches!(
                certificate_error,
                CertificateError::BadSignature
                    | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
            );
            // A self-signed certificate that calls itself an authority is another error, but no other trouble.
            let is_nobody = matches!(certificate_error, CertificateError::UnknownIssuer | CertificateError::Other(_));
            let distrusted = if (is_nobody || is_namesake) && names.issuer == names.subject && intermediates.is_empty()
            {
                Distrusted::SelfSigned(names.subject)
            } else if is_namesake {
                Distrusted::Namesake(names.issuer)
            } else if *certificate_error == CertificateError::UnknownIssuer {
                Distrusted::UnknownIssuer(names.issuer)
            } else {
                return error;
            };
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(distrusted))))
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

impl fmt::Display for Distrusted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownIssuer(issuer) => write!(out, "its issuer `{issuer}` is unknown"),
            Self::Namesake(issuer) => {
                write!(out, "it is not by the issuer `{issuer}` that is known, which has another key")
            }
            Self::SelfSigned(subject) => write!(out, "nobody but itself (`{subject}`) vouches for it"),
        }
    }
}

impl std::error::Error for Distrusted {}
