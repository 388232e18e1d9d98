//! An address as events may tell it.

use url::Url;

/// An address without what it may hold of a secret: user, password, query and fragment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Address {
    /// Empty if it is no address.
    pub(crate) url: String,
    pub(crate) host: String,
    /// That of the scheme if none is named; 0 if the scheme has none.
    pub(crate) port: u16,
}

impl Address {
    pub(crate) fn of(url: &str) -> Self {
        let Ok(mut url) = Url::parse(url) else { return Self::default() };
        let Some(host) = url.host_str().map(ToOwned::to_owned) else { return Self::default() };
        let port = url.port_or_known_default().unwrap_or_default();
        // Both fail only for addresses without a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        url.set_fragment(None);
        Self { url: url.into(), host, port }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_not_told() {
        let check = |url: &str, told: &str, host: &str, port| {
            assert_eq!(Address::of(url), Address { url: told.to_owned(), host: host.to_owned(), port }, "{url}");
        };
        check("https://api.test/v1/x?key=secret#secret", "https://api.test/v1/x", "api.test", 443);
        check("http://ann:secret@api.test:8080", "http://api.test:8080/", "api.test", 8080);
        check("https:\\\\ann:secret@api.test\\x", "https://api.test/x", "api.test", 443);
        check("http://[::1]:80/", "http://[::1]/", "[::1]", 80);
        check("ann:secret@api.test/x", "", "", 0);
        check("/only/a/path?key=secret", "", "", 0);
        check("data:text/plain,secret", "", "", 0);
    }
}
