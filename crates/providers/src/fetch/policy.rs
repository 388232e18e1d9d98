//! Which hosts `http` nodes may call, by name and by address.

use std::fmt;
use std::net::IpAddr;

use sluicegate_config::HttpPolicy;

use super::address::{canonical, not_public};

/// The hosts that the settings allow, read.
pub(crate) struct Policy {
    allowed: Option<Hosts>,
    private: Hosts,
}

/// Why a host may not be called, and what would allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused(String);

struct Hosts(Vec<Pattern>);

enum Pattern {
    Every,
    Name(String),
    /// What ends with this: `.example.com`.
    Below(String),
    Network(IpAddr, u8),
}

impl Policy {
    pub(crate) fn new(settings: &HttpPolicy) -> Self {
        Self {
            allowed: settings.allow_hosts.as_deref().map(Hosts::read),
            private: Hosts::read(&settings.allow_private),
        }
    }

    /// Whether a host as it is written, a name or an address, may be called; what a name leads to is another question,
    /// which a proxy does not let us ask.
    pub(crate) fn check_host(&self, host: &str, by_proxy: bool) -> Result<(), Refused> {
        let literal = host.parse::<IpAddr>().ok().map(canonical);
        let covers = |hosts: &Hosts| hosts.name(host) || literal.is_some_and(|address| hosts.address(address));
        if self.allowed.as_ref().is_some_and(|allowed| !covers(allowed)) {
            return Err(Refused(format!("`{host}` is not among `http.allow_hosts` in the config")));
        }
        match literal {
            Some(address) => self.check_address(host, address),
            None if by_proxy && !covers(&self.private) && is_private_name(host) => Err(Refused(format!(
                "`{host}` is a private name; whoever runs the flow allows it by adding it to `http.allow_private` in \
                 the config"
            ))),
            None => Ok(()),
        }
    }

    /// Whether a host may be called wherever it leads.
    pub(super) fn may_be_private(&self, host: &str) -> bool {
        self.private.name(host)
    }

    /// Whether an address may be connected to, on behalf of this host.
    pub(super) fn check_address(&self, host: &str, address: IpAddr) -> Result<(), Refused> {
        let address = canonical(address);
        let Some(what) = not_public(address) else { return Ok(()) };
        if self.private.name(host) || self.private.address(address) {
            return Ok(());
        }
        let leads = match host.parse::<IpAddr>() {
            Ok(_) => format!("`{host}` is {what}"),
            Err(_) => format!("`{host}` leads to {address}, {what}"),
        };
        Err(Refused(format!(
            "{leads}; whoever runs the flow allows it by adding `{host}` to `http.allow_private` in the config"
        )))
    }
}

impl Hosts {
    fn read(texts: &[String]) -> Self {
        Self(texts.iter().map(|text| Pattern::read(text)).collect())
    }

    fn name(&self, host: &str) -> bool {
        self.0.iter().any(|pattern| match pattern {
            Pattern::Every => true,
            Pattern::Name(name) => name.eq_ignore_ascii_case(host),
            Pattern::Below(end) => host.to_ascii_lowercase().strip_suffix(&**end).is_some_and(|rest| !rest.is_empty()),
            Pattern::Network(..) => false,
        })
    }

    fn address(&self, address: IpAddr) -> bool {
        self.0.iter().any(|pattern| match pattern {
            Pattern::Every => true,
            Pattern::Network(network, bits) => is_in(address, *network, *bits),
            Pattern::Name(_) | Pattern::Below(_) => false,
        })
    }
}

impl Pattern {
    fn read(text: &str) -> Self {
        let text = text.trim();
        if text == "*" {
            return Self::Every;
        }
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        if let Ok(address) = address.trim_matches(['[', ']']).parse::<IpAddr>() {
            // An address without `/` is a network of its own; so is one with a `/` that makes no sense.
            return Self::Network(address, bits.and_then(|bits| bits.parse().ok()).unwrap_or(u8::MAX));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        match name.strip_prefix('*') {
            Some(end) => Self::Below(end.to_owned()),
            None => Self::Name(name),
        }
    }
}

fn is_in(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (address.to_bits() ^ network.to_bits()).leading_zeros() >= u32::from(bits).min(32)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            (address.to_bits() ^ network.to_bits()).leading_zeros() >= u32::from(bits).min(128)
        }
        _ => false,
    }
}

/// Names that nobody gives out in public (RFC 6761, 6762, 8375, and `.internal`), among them the clouds' metadata.
fn is_private_name(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    !host.contains('.')
        || [".internal", ".local", ".localhost", ".localdomain", ".lan", ".intranet", ".home.arpa"]
            .iter()
            .any(|end| host.ends_with(end))
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allow_hosts: Option<&[&str]>, allow_private: &[&str]) -> Policy {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Policy::new(&HttpPolicy {
            allow_hosts: allow_hosts.map(owned),
            allow_private: owned(allow_private),
            ..HttpPolicy::default()
        })
    }

    /// Whether a host may be called that leads to an address.
    fn may(policy: &Policy, host: &str, address: &str) -> bool {
        policy.check_host(host, false).is_ok() && policy.check_address(host, address.parse().unwrap()).is_ok()
    }

    #[test]
    fn hosts_are_names_domains_addresses_and_networks() {
        let only = policy(Some(&["api.test", "*.corp.test", "8.8.0.0/16", "[2606:4700::]/32", "1.1.1.1"]), &[]);
        for host in ["api.test", "API.test", "a.corp.test", "a.b.corp.test", "8.8.4.4", "2606:4700::1", "1.1.1.1"] {
            assert!(only.check_host(host, false).is_ok(), "{host}");
        }
        for host in ["x.api.test", "corp.test", "acorp.test", "8.9.0.1", "2606:4701::1", "1.1.1.2", "other.test"] {
            assert!(only.check_host(host, false).is_err(), "{host}");
        }
    }

    #[test]
    fn private_addresses_are_allowed_by_name_address_or_network() {
        assert!(may(&policy(None, &[]), "a.test", "8.8.8.8"));
        let table: &[(&[&str], &str, &str, bool)] = &[
            (&[], "a.test", "10.0.0.1", false),
            (&["a.test"], "a.test", "10.0.0.1", true),
            (&["b.test"], "a.test", "10.0.0.1", false),
            (&["*.test"], "a.test", "10.0.0.1", true),
            (&["10.0.0.0/8"], "a.test", "10.0.0.1", true),
            (&["10.0.0.0/8"], "a.test", "192.168.0.1", false),
            (&["10.0.0.1"], "10.0.0.1", "10.0.0.1", true),
            (&["10.0.0.1"], "10.0.0.2", "10.0.0.2", false),
            (&["10.0.0.0/8"], "::ffff:10.0.0.1", "::ffff:10.0.0.1", true),
            (&["::1"], "localhost", "::1", true),
            (&["::1"], "localhost", "127.0.0.1", false),
            (&["localhost"], "localhost", "127.0.0.1", true),
            (&["*"], "169.254.169.254", "169.254.169.254", true),
        ];
        for (private, host, address, expected) in table {
            assert_eq!(may(&policy(None, private), host, address), *expected, "{private:?} {host} {address}");
        }
        assert!(!may(&policy(Some(&["10.0.0.1"]), &[]), "10.0.0.1", "10.0.0.1"), "a listed host may still be private");
    }

    #[test]
    fn by_a_proxy_names_that_are_private_by_their_form_are_refused() {
        let open = policy(None, &["wiki"]);
        for host in ["intranet", "metadata.google.internal", "printer.local", "a.localhost", "10.0.0.1", "::1"] {
            assert!(open.check_host(host, true).is_err(), "{host}");
        }
        for host in ["wiki", "api.test", "8.8.8.8"] {
            assert!(open.check_host(host, true).is_ok(), "{host}");
        }
        assert!(open.check_host("intranet", false).is_ok(), "what it leads to is asked later");
    }

    #[test]
    fn a_refusal_says_what_would_allow_it() {
        let refused = policy(None, &[]).check_address("a.test", "10.0.0.1".parse().unwrap()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "`a.test` leads to 10.0.0.1, a private address; whoever runs the flow allows it by adding `a.test` to \
             `http.allow_private` in the config"
        );
    }
}
