//! Which addresses are reached by way of another machine.

use std::fmt;
use std::net::IpAddr;

use crate::Variables;
use crate::variables::{ALL_PROXY, HTTP_PROXY, HTTPS_PROXY, NO_PROXY};

/// What never goes by a proxy: addresses of this machine.
const THIS_MACHINE: &str = "localhost,127.0.0.0/8,::1";

/// The proxies of whoever sends requests: to models, to a collector. Prints without their addresses, which may hold
/// passwords.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// The proxy for `http://` addresses.
    pub http: Option<String>,
    /// The proxy for `https://` addresses.
    pub https: Option<String>,
    /// Hosts, domains and networks that are reached without one, separated by commas; those of this machine always are.
    pub except: Option<String>,
    /// The variable that `http` was read from, such as `all_proxy`; for messages.
    pub http_variable: Option<String>,
    /// The variable that `https` was read from.
    pub https_variable: Option<String>,
}

impl Proxies {
    /// The proxies that variables name. Lower-case names come first, as everybody has it from curl.
    #[must_use]
    pub fn from_variables(variables: &Variables) -> Self {
        let variable = |name: &str| {
            [name.to_lowercase(), name.to_owned()]
                .into_iter()
                .find_map(|name| Some((variables.get_non_empty(&name)?.value.to_owned(), name)))
        };
        let (http, http_variable) = variable(HTTP_PROXY).or_else(|| variable(ALL_PROXY)).unzip();
        let (https, https_variable) = variable(HTTPS_PROXY).or_else(|| variable(ALL_PROXY)).unzip();
        Self { http, https, except: variable(NO_PROXY).map(|(except, _)| except), http_variable, https_variable }
    }

    /// The variable that names the proxy for addresses of a scheme, as it was set; the usual one if none was.
    #[must_use]
    pub fn variable(&self, scheme: &str) -> &str {
        match scheme {
            "https" => self.https_variable.as_deref().unwrap_or(HTTPS_PROXY),
            _ => self.http_variable.as_deref().unwrap_or(HTTP_PROXY),
        }
    }

    /// What is reached without a proxy, this machine included, separated by commas: `*`, domains (`.corp.test`, and
    /// `*.corp.test` is the same), addresses and networks without brackets.
    #[must_use]
    pub fn exceptions(&self) -> String {
        let excepts = self.except.as_deref().unwrap_or_default().split(',').map(str::trim);
        let plain = excepts.filter(|except| !except.is_empty()).map(|except| {
            let except = except.strip_prefix("*.").map_or(except, |_| &except[1..]);
            except.replace(['[', ']'], "")
        });
        std::iter::once(THIS_MACHINE.to_owned()).chain(plain).collect::<Vec<_>>().join(",")
    }

    /// The proxy by which an address of this scheme and host is reached, for messages: scheme, host and port, without
    /// user or password.
    #[must_use]
    pub fn on_the_way_to(&self, scheme: &str, host: &str) -> Option<String> {
        let (_, proxy) = self.each().find(|(of, _)| *of == scheme)?;
        if self.exceptions().split(',').any(|except| covers(except.trim(), host)) {
            return None;
        }
        let (scheme, rest) = proxy.trim().split_once("://").unwrap_or(("http", proxy.trim()));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let authority = authority.rsplit_once('@').map_or(authority, |(_, behind)| behind);
        Some(format!("{scheme}://{authority}"))
    }

    /// The proxies that there are, each with the scheme (`http`, `https`) of the addresses that it is for.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let present = |address: &&str| !address.trim().is_empty();
        [("http", &self.http), ("https", &self.https)]
            .into_iter()
            .filter_map(move |(scheme, address)| Some((scheme, address.as_deref().filter(present)?)))
    }
}

/// Whether an exception (`*`, a domain, an address, a network) is about a host.
fn covers(except: &str, host: &str) -> bool {
    if except == "*" {
        return true;
    }
    if let Ok(host) = host.parse::<IpAddr>() {
        let (network, bits) = match except.split_once('/') {
            Some((network, bits)) => (network, bits.parse().ok()),
            None => (except, Some(128)),
        };
        return match (network.trim_matches(['[', ']']).parse(), host, bits) {
            (Ok(IpAddr::V4(network)), IpAddr::V4(host), Some(bits)) => {
                let differing: u32 = network.to_bits() ^ host.to_bits();
                differing.leading_zeros() >= bits.min(32)
            }
            (Ok(IpAddr::V6(network)), IpAddr::V6(host), Some(bits)) => {
                (network.to_bits() ^ host.to_bits()).leading_zeros() >= bits.min(128)
            }
            _ => false,
        };
    }
    let (domain, host) = (except.trim_start_matches('.').to_ascii_lowercase(), host.to_ascii_lowercase());
    let before = host.strip_suffix(&domain);
    !domain.is_empty() && before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

impl fmt::Debug for Proxies {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schemes: Vec<&str> = self.each().map(|(scheme, _)| scheme).collect();
        out.debug_struct("Proxies").field("for", &schemes).field("except", &self.except).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::from_variables(&Variables::new(variables.iter().copied()))
    }

    #[test]
    fn lower_case_comes_first_and_one_may_stand_for_all() {
        let found = proxies(&[("HTTP_PROXY", "http://a"), ("http_proxy", "http://b"), ("ALL_PROXY", "http://c")]);
        assert_eq!(found.each().collect::<Vec<_>>(), [("http", "http://b"), ("https", "http://c")]);
        assert_eq!((found.variable("http"), found.variable("https")), ("http_proxy", "ALL_PROXY"));
        assert_eq!(proxies(&[("HTTP_PROXY", " ")]).each().count(), 0);
        let unnamed = Proxies { https: Some("http://a".to_owned()), ..Proxies::default() };
        assert_eq!(unnamed.variable("https"), "HTTPS_PROXY");
    }

    #[test]
    fn this_machine_is_never_reached_by_proxy() {
        assert_eq!(proxies(&[]).exceptions(), "localhost,127.0.0.0/8,::1");
        assert_eq!(proxies(&[("NO_PROXY", "a.test")]).exceptions(), "localhost,127.0.0.0/8,::1,a.test");
    }

    #[test]
    fn exceptions_are_written_in_several_ways() {
        let found = proxies(&[("HTTP_PROXY", "http://p"), ("NO_PROXY", " *.corp.test ,[fd00::]/8,, .a.test,*")]);
        assert_eq!(found.exceptions(), "localhost,127.0.0.0/8,::1,.corp.test,fd00::/8,.a.test,*");
        let found = proxies(&[("HTTP_PROXY", "http://p"), ("NO_PROXY", "*.corp.test,[fd00::]/8")]);
        for (host, direct) in [("x.corp.test", true), ("fd00::1", true), ("xcorp.test", false), ("fe00::1", false)] {
            assert_eq!(found.on_the_way_to("http", host).is_none(), direct, "{host}");
        }
    }

    #[test]
    fn the_proxy_on_the_way_is_named_without_its_password() {
        let found =
            proxies(&[("HTTP_PROXY", "http://u:p@w@proxy:3128/x"), ("NO_PROXY", ".own.test, 10.1.0.0/16,[::2]")]);
        let check = |host: &str, expected: Option<&str>| {
            assert_eq!(found.on_the_way_to("http", host).as_deref(), expected, "{host}");
        };
        check("far.test", Some("http://proxy:3128"));
        check("notown.test", Some("http://proxy:3128"));
        check("10.2.0.1", Some("http://proxy:3128"));
        for near in ["a.OWN.test", "own.test", "10.1.2.3", "127.0.0.7", "localhost", "::1", "::2"] {
            check(near, None);
        }
        assert_eq!(found.on_the_way_to("https", "far.test"), None);
    }

    #[test]
    fn a_proxy_s_password_is_not_printed() {
        let printed = format!("{:?}", proxies(&[("HTTPS_PROXY", "http://u:hunter2@h")]));
        assert_eq!(printed, r#"Proxies { for: ["https"], except: None }"#);
    }
}
