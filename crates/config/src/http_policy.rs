//! What `http` nodes may do: set by whoever runs a flow, not by who wrote it.

use std::time::Duration;

use sluicegate_source::Problem;
use sluicegate_value::Value;

use crate::Variables;
use crate::layers::{Table, Tree};
use crate::reader::Reader;

/// What `http` nodes may do (`http:` at the top of the config, or in a flow's section).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpPolicy {
    /// Hosts that may be called: names, `*.domain`, addresses, networks; `None`: all that are not private.
    pub allow_hosts: Option<Vec<String>>,
    /// Private, loopback and link-local hosts that may be called, by name, address or network; `*` is every one of
    /// them; none unless set. A name that leads to such an address is refused like the address.
    pub allow_private: Vec<String>,
    /// The most redirects that are followed; 5 unless set. Headers do not go along to another host.
    pub redirects: u32,
    /// The most bytes of an answer, decompressed; 10 MiB unless set.
    pub max_size: u64,
    /// How long to wait for a whole answer; 60 s unless set.
    pub timeout: Duration,
}

impl Default for HttpPolicy {
    fn default() -> Self {
        Self {
            allow_hosts: None,
            allow_private: Vec::new(),
            redirects: 5,
            max_size: 10 << 20,
            timeout: Duration::from_secs(60),
        }
    }
}

pub(crate) fn read(root: &Tree, variables: &Variables) -> Result<HttpPolicy, Problem> {
    let defaults = HttpPolicy::default();
    let empty = Table::new();
    let table = Reader::new(root.as_table().unwrap_or(&empty), "", variables).table("http")?.unwrap_or(&empty);
    let reader = Reader::new(table, "http", variables);
    Ok(HttpPolicy {
        allow_hosts: hosts(&reader, "allow_hosts")?,
        allow_private: private_hosts(&reader)?.unwrap_or(defaults.allow_private),
        redirects: reader.whole_number("redirects", 0, "a whole number of at least 0")?.unwrap_or(defaults.redirects),
        max_size: reader.size("max_size")?.unwrap_or(defaults.max_size),
        timeout: reader.wait("timeout")?.unwrap_or(defaults.timeout),
    })
}

/// `true` is every private host; `false` is none.
fn private_hosts(reader: &Reader<'_>) -> Result<Option<Vec<String>>, Problem> {
    let setting = reader.setting("allow_private")?;
    // `true` of a file, and `true` of a variable.
    let is_flag = setting.is_some_and(|setting| match &setting.value {
        Value::Bool(_) => true,
        Value::Str(text) => ["true", "false"].contains(&text.trim()),
        _ => false,
    });
    if is_flag {
        let all = reader.text("allow_private")?.is_some_and(|text| text.trim() == "true");
        return Ok(Some(if all { vec!["*".to_owned()] } else { Vec::new() }));
    }
    hosts(reader, "allow_private")
}

/// Names, addresses and networks; what is a whole address is a problem, since a path or port would be ignored.
fn hosts(reader: &Reader<'_>, key: &str) -> Result<Option<Vec<String>>, Problem> {
    let Some(hosts) = reader.texts(key)? else { return Ok(None) };
    match hosts.iter().find(|host| !is_host(host)) {
        None => Ok(Some(hosts)),
        Some(wrong) => {
            let message = format!("`{}` holds `{wrong}`, which is no host", reader.key(key));
            Err(reader.problem(key, "config::bad_host", message).help(
                "write `api.example.com`, `*.example.com`, `10.1.2.3` or `10.0.0.0/8`, without scheme, port or path",
            ))
        }
    }
}

fn is_host(text: &str) -> bool {
    let (host, bits) = text.split_once('/').map_or((text, None), |(host, bits)| (host, Some(bits)));
    let bare = host.strip_prefix('[').and_then(|open| open.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<std::net::IpAddr>() {
        let most = if address.is_ipv4() { 32 } else { 128 };
        return bits.is_none_or(|bits| bits.parse::<u8>().is_ok_and(|bits| bits <= most));
    }
    let name = host.strip_prefix("*.").unwrap_or(host);
    let is_name = |name: &str| {
        !name.is_empty()
            && name.chars().all(|letter| letter.is_alphanumeric() || "-._".contains(letter))
            && !name.starts_with('.')
    };
    bits.is_none() && (host == "*" || is_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_an_address_or_a_network() {
        for fine in
            ["api.example.com", "*.example.com", "*", "localhost", "10.1.2.3", "10.0.0.0/8", "::1", "[fd00::]/8"]
        {
            assert!(is_host(fine), "{fine}");
        }
        for wrong in ["https://x", "x:80", "x/path", "10.0.0.0/33", "a b", "", "*.", "*x", "::1/129", "x?y"] {
            assert!(!is_host(wrong), "{wrong}");
        }
    }
}
