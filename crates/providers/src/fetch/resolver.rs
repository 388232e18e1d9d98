//! Names become addresses, and those that the policy forbids are left out: what is checked is what is connected to. Only
//! by way of a proxy it is the proxy's resolver that counts.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use tokio::time::timeout;

use super::policy::{Policy, Refused};

type Found = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// How long a name is looked up that a proxy will look up again.
const PATIENCE: Duration = Duration::from_secs(1);

/// Resolves names within the policy. A client asks it at each connection, and for nothing else.
pub(crate) struct Guard {
    policy: Arc<Policy>,
    lookup: fn(String) -> Found,
}

impl Guard {
    /// By the system's own resolver.
    pub(crate) fn new(policy: Arc<Policy>) -> Self {
        Self { policy, lookup: |host| Box::pin(system(host)) }
    }

    /// Whether a proxy may be asked for a host, as far as we know where it leads. Which of its addresses the proxy takes
    /// nobody knows, so that one that is forbidden is enough. Behind a proxy there is often no resolver, or one that knows
    /// nothing of the world: that it does not know a name is no refusal.
    pub(super) async fn check_for_proxy(&self, host: &str) -> Result<(), Refused> {
        if host.parse::<IpAddr>().is_ok() || self.policy.may_be_private(host) {
            return Ok(());
        }
        match timeout(PATIENCE, (self.lookup)(host.to_owned())).await {
            Ok(Ok(found)) => found.into_iter().try_for_each(|address| self.policy.check_address(host, address)),
            _ => Ok(()),
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.policy.clone();
        let host = name.as_str().to_owned();
        let found = (self.lookup)(host.clone());
        Box::pin(async move { Ok(Box::new(allowed(&policy, &host, found.await?)?.into_iter()) as Addrs) })
    }
}

/// The addresses that may be connected to. One that may not does not spoil the others: many hosts have an address for
/// their own network too.
fn allowed(policy: &Policy, host: &str, found: Vec<IpAddr>) -> Result<Vec<SocketAddr>, Refused> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let mut refused = None;
    let mut allowed = Vec::new();
    for address in found {
        match policy.check_address(host, address) {
            // The port is the address's own, which the client knows.
            Ok(()) => allowed.push(SocketAddr::new(address, 0)),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    match refused {
        Some(refused) if allowed.is_empty() => Err(refused),
        _ => Ok(allowed),
    }
}

async fn system(host: String) -> io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use sluicegate_config::HttpPolicy;

    use super::*;

    fn guard(lookup: fn(String) -> Found) -> Guard {
        Guard { policy: Arc::new(Policy::new(&HttpPolicy::default())), lookup }
    }

    fn found(addresses: &[&str]) -> Found {
        let found = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Box::pin(async move { Ok(found) })
    }

    async fn resolve(guard: &Guard) -> Result<Vec<String>, String> {
        let found = guard.resolve("rebinding.test".parse().unwrap()).await;
        found.map(|found| found.map(|address| address.ip().to_string()).collect()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn private_addresses_are_left_out() {
        let mixed = guard(|_| {
            let found = ["10.0.0.1", "8.8.8.8", "::1"].map(|address| address.parse().unwrap());
            Box::pin(async move { Ok(found.to_vec()) })
        });
        assert_eq!(resolve(&mixed).await.unwrap(), ["8.8.8.8"]);
        let private = guard(|_| Box::pin(async { Ok(vec!["10.0.0.1".parse().unwrap()]) }));
        assert!(resolve(&private).await.unwrap_err().contains("leads to 10.0.0.1, a private address"));
    }

    #[tokio::test]
    async fn a_name_that_changes_its_mind_is_asked_each_time() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let rebinding = guard(|_| {
            let first = ASKED.fetch_add(1, Ordering::SeqCst) == 0;
            let address = if first { "8.8.8.8" } else { "127.0.0.1" }.parse().unwrap();
            Box::pin(async move { Ok(vec![address]) })
        });
        assert_eq!(resolve(&rebinding).await.unwrap(), ["8.8.8.8"]);
        assert!(resolve(&rebinding).await.unwrap_err().contains("this machine"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_is_not_asked_for_what_is_private_as_far_as_we_know() {
        async fn check(lookup: fn(String) -> Found, expected: Option<&str>) {
            let refused = guard(lookup).check_for_proxy("api.test").await.err();
            let refused = refused.map(|refused| refused.to_string());
            assert_eq!(refused.as_deref().and_then(|refused| refused.split(';').next()), expected);
        }
        let private = "`api.test` leads to 10.0.0.1, a private address";
        check(|_| found(&["8.8.8.8"]), None).await;
        check(|_| found(&["10.0.0.1"]), Some(private)).await;
        check(|_| found(&["8.8.8.8", "10.0.0.1"]), Some(private)).await;
        check(|_| Box::pin(async { Err(io::ErrorKind::NotFound.into()) }), None).await;
        check(|_| Box::pin(std::future::pending()), None).await;
        let allowed = HttpPolicy { allow_private: vec!["*.test".to_owned()], ..HttpPolicy::default() };
        let lookup: fn(String) -> Found = |_| found(&["10.0.0.1"]);
        let guard = Guard { policy: Arc::new(Policy::new(&allowed)), lookup };
        assert_eq!(guard.check_for_proxy("api.test").await, Ok(()));
    }

    #[tokio::test]
    async fn a_client_connects_to_nothing_but_what_was_allowed() {
        crate::client::install_crypto();
        let endpoint = sluicegate_testkit::endpoint::Endpoint::start();
        let rebinding = guard(|_| Box::pin(async { Ok(vec!["127.0.0.1".parse().unwrap()]) }));
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).dns_resolver(Arc::new(rebinding));
        let client = client.build().unwrap();
        let error = client.get(format!("http://rebinding.test:{}/", endpoint.port())).send().await.unwrap_err();
        assert!(crate::network_error::root_cause(&error).contains("leads to 127.0.0.1, this machine"));
        assert_eq!(endpoint.connections(), 0);
    }
}
