//! Addresses of services: what is none, and how one is shown.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use crate::redactor::MASK;

/// Why a text is no address that a connection can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressFault {
    #[error("is no address that begins with `https://` or `http://`")]
    Scheme,
    #[error("names no host")]
    NoHost,
    #[error("has a host that is none")]
    BadHost,
    #[error("has a port that is none")]
    BadPort,
    #[error("holds a user or password")]
    User,
    #[error("holds a query (`?…`) or fragment (`#…`)")]
    Query,
}

/// Whether a text is the address of a service: scheme, host, perhaps a port and a path, and nothing more.
pub(crate) fn check(address: &str) -> Result<(), AddressFault> {
    let (scheme, rest) = address.trim().split_once("://").ok_or(AddressFault::Scheme)?;
    if !["http", "https"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return Err(AddressFault::Scheme);
    }
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or(rest);
    if authority.contains('@') {
        return Err(AddressFault::User);
    }
    if rest.contains(['?', '#']) {
        return Err(AddressFault::Query);
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(open) => {
            let (host, after) = open.split_once(']').ok_or(AddressFault::BadHost)?;
            host.parse::<Ipv6Addr>().map_err(|_| AddressFault::BadHost)?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or(AddressFault::BadHost)?) })
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err(AddressFault::NoHost);
    }
    if host.contains(|letter: char| letter.is_whitespace() || letter.is_control() || "<>^`{|}%\"".contains(letter)) {
        return Err(AddressFault::BadHost);
    }
    match port.map(str::parse::<u16>) {
        Some(Err(_)) => Err(AddressFault::BadPort),
        _ => Ok(()),
    }
}

/// An address without what its service appends by itself: a trailing slash, and the first of these endings that it has.
/// People paste an address from where they find it.
pub(crate) fn without_ending<'a>(address: &'a str, endings: &[&str]) -> &'a str {
    let address = address.trim().trim_end_matches('/');
    let ending = endings.iter().find_map(|ending| address.strip_suffix(ending));
    ending.map_or(address, |base| base.trim_end_matches('/'))
}

/// An address whose query is an `api-version` and nothing else, as portals show it: without it, and the version.
pub(crate) fn split_api_version(address: &str) -> (&str, Option<&str>) {
    let split = address.split_once('?').and_then(|(base, query)| Some((base, query.strip_prefix("api-version=")?)));
    match split {
        Some((base, version)) if !version.is_empty() && !version.contains(['&', '#', '?']) => (base, Some(version)),
        _ => (address, None),
    }
}

/// The host of an address, in lower case; empty if there is none.
pub(crate) fn host(address: &str) -> String {
    let rest = address.trim().split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = if authority.starts_with('[') { authority } else { authority.split(':').next().unwrap_or(authority) };
    host.to_ascii_lowercase()
}

/// A text as it may be shown: without the user, password and query of an address.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else { return Cow::Borrowed(text) };
    let is_scheme = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
    if scheme.is_empty() || !scheme.chars().all(is_scheme) {
        return Cow::Borrowed(text);
    }
    let (whole, query) = match rest.split_once(['?', '#']) {
        Some((whole, _)) => (whole, true),
        None => (rest, false),
    };
    let authority = whole.split('/').next().unwrap_or(whole);
    let user = authority.rfind('@').map(|at| at + 1);
    if user.is_none() && !query {
        return Cow::Borrowed(text);
    }
    let whole = whole.get(user.unwrap_or(0)..).unwrap_or("");
    let user = if user.is_some() { format!("{MASK}@") } else { String::new() };
    Cow::Owned(format!("{scheme}://{user}{whole}{}", if query { format!("?{MASK}") } else { String::new() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_what_only_looks_like_one() {
        for fine in ["https://x.openai.azure.com/", "http://localhost:11434/v1", "HTTP://[::1]:8080", "http://10.0.0.1"]
        {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        for (text, fault) in [
            ("x.openai.azure.com", AddressFault::Scheme),
            ("ftp://x", AddressFault::Scheme),
            ("http://", AddressFault::NoHost),
            ("http:///v1", AddressFault::NoHost),
            ("http://:80", AddressFault::NoHost),
            ("http://[::1", AddressFault::BadHost),
            ("http://[x]", AddressFault::BadHost),
            ("http://a b", AddressFault::BadHost),
            ("http://x:port", AddressFault::BadPort),
            ("http://x:70000", AddressFault::BadPort),
            ("http://user:pw@host", AddressFault::User),
            ("http://host/v1?key=1", AddressFault::Query),
            ("http://host?key=1", AddressFault::Query),
            ("http://host/#a", AddressFault::Query),
        ] {
            assert_eq!(check(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn what_a_service_appends_is_taken_off() {
        let endings = ["/chat/completions", "/embeddings"];
        for (address, expected) in [
            ("https://x/v1/", "https://x/v1"),
            ("https://x/v1/chat/completions", "https://x/v1"),
            ("https://x/embeddings//", "https://x"),
            ("https://x/embeddings/v1", "https://x/embeddings/v1"),
        ] {
            assert_eq!(without_ending(address, &endings), expected);
        }
    }

    #[test]
    fn a_version_in_a_query_is_split_off() {
        assert_eq!(split_api_version("https://x/y?api-version=2024"), ("https://x/y", Some("2024")));
        for other in ["https://x", "https://x?sig=1", "https://x?api-version=", "https://x?api-version=1&sig=2"] {
            assert_eq!(split_api_version(other), (other, None));
        }
    }

    #[test]
    fn a_host_is_what_stands_between_user_and_port() {
        for (address, expected) in
            [("https://A.b:80/c", "a.b"), ("http://u@h", "h"), ("http://[::1]:8", "[::1]:8"), ("nothing", "")]
        {
            assert_eq!(host(address), expected);
        }
    }

    #[test]
    fn what_may_be_secret_in_an_address_is_not_shown() {
        for (text, expected) in [
            ("https://x/v1", "https://x/v1"),
            ("https://u:pw@x/v1?sig=abc", "https://[secret]@x/v1?[secret]"),
            ("postgres://u:p@ss@x/db", "postgres://[secret]@x/db"),
            ("is it a://b?", "is it a://b?"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }
}
