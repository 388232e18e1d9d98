//! Where to listen, as people write it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A host and a port to listen at. It refuses no host: whether one may listen to the world is the caller's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port; 0 lets the system choose one.
    pub port: u16,
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address such as `8080`, `localhost:8080`, `0.0.0.0:8080` or `[::1]:8080`")]
pub struct AddressError(String);

impl Address {
    /// Whether only this machine can reach it. A name other than `localhost` may lead anywhere.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads `PORT` or `:PORT` (at 127.0.0.1), `HOST:PORT`, `[IPV6]:PORT`.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let malformed = || AddressError(text.to_owned());
        let (host, port) = text.trim().rsplit_once(':').unwrap_or(("", text.trim()));
        let port = port.parse().map_err(|_| malformed())?;
        let host = match host.strip_prefix('[') {
            Some(bracketed) => {
                let inner = bracketed.strip_suffix(']').ok_or_else(malformed)?;
                inner.parse::<Ipv6Addr>().map_err(|_| malformed())?;
                inner
            }
            None if host.contains(':') || host.contains(char::is_whitespace) || host.contains('/') => {
                return Err(malformed());
            }
            None if host.is_empty() => "127.0.0.1",
            None => host,
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

/// As `TcpListener::bind` and URLs want it.
impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(out, "[{}]:{}", self.host, self.port),
            false => write!(out, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str, loopback: bool) {
        let address: Address = text.parse().unwrap();
        assert_eq!((address.to_string().as_str(), address.is_loopback()), (expected, loopback));
    }

    #[test]
    fn an_address_is_read_as_people_write_it() {
        check("8080", "127.0.0.1:8080", true);
        check(":0", "127.0.0.1:0", true);
        check("localhost:80", "localhost:80", true);
        check("0.0.0.0:8080", "0.0.0.0:8080", false);
        check("[::1]:8080", "[::1]:8080", true);
        check("example.test:1", "example.test:1", false);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "localhost", "localhost:", "::1:80", "[::1]", "[x]:1", "a b:1", "http://a:1", "1:99999"] {
            assert_eq!(text.parse::<Address>(), Err(AddressError(text.to_owned())), "{text}");
        }
    }
}
