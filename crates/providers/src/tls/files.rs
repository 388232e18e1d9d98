//! Certificates and keys from PEM files, with words for files that hold something else.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sluicegate_config::ClientCertificate;

use super::Trusted;

/// The authorities of a file. Bundles hold old certificates that no longer count as such: those are left out.
pub(super) fn authorities(trusted: &Trusted<'_>) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |why: String| format!("the file that {} names, {}, {why}", trusted.named_by, trusted.file.display());
    let bytes = read(trusted.file).map_err(wrong)?;
    let mut certificates = certificates(&bytes).map_err(wrong)?;
    certificates.retain(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok());
    if certificates.is_empty() {
        return Err(wrong("holds no certificate that can be trusted".to_owned()));
    }
    Ok(certificates)
}

/// A client's certificates and its key.
pub(super) fn identity(
    files: &ClientCertificate,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let wrong = |what: &str, file: &Path, why: String| {
        format!("the {what} of its `client_certificate`, {}, {why}", file.display())
    };
    let bytes = read(&files.certificate).map_err(|why| wrong("certificate", &files.certificate, why))?;
    let chain = certificates(&bytes).map_err(|why| wrong("certificate", &files.certificate, why))?;
    let bytes = read(&files.key).map_err(|why| wrong("key", &files.key, why))?;
    let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        let text = String::from_utf8_lossy(&bytes);
        let why = if text.contains("ENCRYPTED") {
            "is protected by a password; write the key without one (`openssl pkey -in FILE -out KEY`)"
        } else if text.contains("-----BEGIN") {
            "holds no private key (`-----BEGIN PRIVATE KEY-----`)"
        } else {
            "is not PEM (`-----BEGIN PRIVATE KEY-----`)"
        };
        wrong("key", &files.key, why.to_owned())
    })?;
    Ok((chain, key))
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    if file.is_dir() {
        return Err("is a folder, not a file".to_owned());
    }
    match std::fs::read(file) {
        Ok(bytes) if bytes.trim_ascii().is_empty() => Err("is empty".to_owned()),
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err("does not exist".to_owned()),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) if bytes.first() == Some(&0x30) => {
            Err("is not PEM but DER; `openssl x509 -inform der -in FILE` turns it into PEM".to_owned())
        }
        Ok(_) => Err("holds no certificate (`-----BEGIN CERTIFICATE-----`)".to_owned()),
        Err(error) => Err(format!("is broken PEM: {error}")),
    }
}
