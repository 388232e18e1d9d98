//! The authorities that the system trusts, and ours besides them.
//!
//! Where they are files, they are read here, at the places where systems have them: the crate that does so elsewhere
//! takes SSL_CERT_FILE of the process *in place of* them, and that variable names what is trusted *besides* them.

pub(super) use platform::verifier;

/// Systems that keep them in files.
#[cfg(all(unix, not(target_os = "android"), not(target_vendor = "apple")))]
mod platform {
    use std::path::Path;
    use std::sync::Arc;

    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::crypto::CryptoProvider;
    use rustls::pki_types::CertificateDer;
    use rustls::{Error, RootCertStore};

    /// Bundles; the first that is there counts.
    const FILES: &[&str] = &[
        "/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Gentoo, Arch, Alpine, NixOS
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, RHEL from 7
        "/etc/pki/tls/certs/ca-bundle.crt",   // RHEL 6
        "/etc/ssl/ca-bundle.pem",             // SUSE
        "/etc/ssl/cert.pem",                  // Alpine, OpenBSD
        "/usr/local/etc/ssl/cert.pem",        // FreeBSD
        "/usr/local/share/certs/ca-root-nss.crt", // DragonFly
        "/etc/openssl/certs/ca-certificates.crt", // NetBSD
        "/etc/certs/ca-certificates.crt",     // Solaris
    ];

    /// Folders with a certificate in each file; all that are there count.
    const FOLDERS: &[&str] =
        &["/etc/ssl/certs", "/etc/pki/tls/certs", "/usr/local/share/certs", "/etc/openssl/certs", "/etc/certs/CA"];

    /// Trusts these and the system's.
    ///
    /// # Errors
    /// There are none at all.
    pub(in crate::tls) fn verifier(
        ours: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in ours {
            roots.add(certificate)?;
        }
        // Systems have old ones among them, which are no authorities any more: those do not count.
        roots.add_parsable_certificates(of_system(FILES, FOLDERS));
        if roots.is_empty() {
            return Err(Error::General("the system has none".to_owned()));
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        Ok(verifier.map_err(|error| Error::General(error.to_string()))?)
    }

    fn of_system(files: &[impl AsRef<Path>], folders: &[impl AsRef<Path>]) -> Vec<CertificateDer<'static>> {
        let bundle = files.iter().map(AsRef::as_ref).find(|file| file.exists());
        let folders = folders.iter().map(AsRef::as_ref).filter(|folder| folder.exists());
        let places =
            bundle.map(|file| (Some(file), None)).into_iter().chain(folders.map(|folder| (None, Some(folder))));
        let mut found: Vec<_> =
            places.flat_map(|(file, folder)| rustls_native_certs::load_certs_from_paths(file, folder).certs).collect();
        found.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
        found.dedup();
        found
    }

    #[cfg(test)]
    mod tests {
        use sluicegate_testkit::tls::Authority;

        use super::*;

        #[test]
        fn the_first_bundle_and_every_folder_count_once_each() {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            let write = |name: &str, pem: &str| std::fs::write(path(name), pem).unwrap();
            let [one, two, three] = ["One", "Two", "Three"].map(|name| Authority::new(name).pem());
            for inner in ["a", "b"] {
                std::fs::create_dir(path(inner)).unwrap();
            }
            write("second.pem", &format!("{one}{two}"));
            write("third.pem", &Authority::new("Four").pem());
            write("a/one.pem", &one);
            write("a/readme", "no certificate");
            write("b/three.pem", &three);
            let files = ["first.pem", "second.pem", "third.pem"].map(path);
            assert_eq!(of_system(&files, &["a", "b", "c"].map(path)).len(), 3);
            assert_eq!(of_system(&files, &["c"].map(path)).len(), 2);
            assert_eq!(of_system(&["first.pem"].map(path), &["c"].map(path)).len(), 0);
        }
    }
}

/// Systems that have something else.
#[cfg(not(all(unix, not(target_os = "android"), not(target_vendor = "apple"))))]
mod platform {
    use std::sync::Arc;

    use rustls::Error;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::crypto::CryptoProvider;
    use rustls::pki_types::CertificateDer;
    use rustls_platform_verifier::Verifier;

    /// Trusts these and the system's.
    ///
    /// # Errors
    /// There are none at all.
    pub(in crate::tls) fn verifier(
        ours: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        Ok(Arc::new(Verifier::new_with_extra_roots(ours, provider)?))
    }
}
