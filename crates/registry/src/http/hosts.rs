//! The hosts that are remembered: registries that references name, and beside each of them those that it has named itself.

use std::{collections::HashMap, num::NonZeroUsize, sync::Arc, time::Duration};

use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{host_client::HostClient, host_config::HostConfigId};
use crate::{cache::bounded, origin::Origin};

/// For how long a registry is remembered that nobody asks: no back-off lasts longer, and what it has to be asked again is
/// one request.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// How often such registries are searched for.
const SWEEP: Duration = Duration::from_secs(10 * 60);

/// Hosts that one registry has named as its token servers or by redirects, and that are remembered: a hostile one can name
/// any number.
const MAX_NAMED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);

/// A host under certain options.
type Key = (Origin, HostConfigId);

/// All registries.
pub(crate) struct Hosts(Mutex<State>);

struct State {
    registries: HashMap<Key, Registry>,
    swept: Instant,
}

struct Registry {
    host: Arc<HostClient>,
    used: Instant,
}

/// The hosts that one host has named. They end with it, and displace none that others have named.
#[derive(Clone)]
struct Named(Arc<Mutex<LruCache<Key, Arc<HostClient>>>>);

impl Hosts {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State {
            registries: HashMap::new(),
            swept: Instant::now(),
        }))
    }

    /// A registry that a reference names.
    pub(crate) fn registry(&self, key: Key, new: impl FnOnce() -> HostClient) -> Arc<HostClient> {
        let now = Instant::now();
        let mut state = self.0.lock();
        if now.duration_since(state.swept) >= SWEEP {
            state.sweep(now);
        }
        let registry = state.registries.entry(key).or_insert_with(|| Registry {
            host: Arc::new(new()),
            used: now,
        });
        registry.used = now;
        Arc::clone(&registry.host)
    }

    /// A host that another one has named: the registry that it is, or else one of that other's own.
    pub(crate) fn named(
        &self,
        by: &HostClient,
        key: Key,
        new: impl FnOnce() -> HostClient,
    ) -> Arc<HostClient> {
        if let Some(registry) = self.0.lock().registries.get(&key) {
            return Arc::clone(&registry.host);
        }
        let Named(named) = by.extension();
        let mut named = named.lock();
        Arc::clone(named.get_or_insert(key, || Arc::new(new())))
    }
}

impl State {
    fn sweep(&mut self, now: Instant) {
        self.swept = now;
        self.registries.retain(|_, registry| {
            let is_used = Arc::strong_count(&registry.host) > 1;
            is_used || now.duration_since(registry.used) < IDLE
        });
    }
}

impl Default for Named {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(bounded(MAX_NAMED))))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        http::{host_client::Shared, proxy::Proxy, tls, transport::Transport},
        observer::NoopObserver,
    };

    fn key(host: &str) -> Key {
        let uri = format!("https://{host}/").parse().expect("an address");
        (Origin::of(&uri).expect("an origin"), None)
    }

    /// Makes hosts that are never asked.
    fn maker() -> impl Fn(&str) -> HostClient {
        let second = Duration::from_secs(1);
        let tls = tls::configuration([].iter()).expect("the public roots");
        let transport = Transport::new(tls, Proxy::default(), second);
        let agent = http::HeaderValue::from_static("test");
        let shared = Arc::new(Shared::new(agent, Arc::new(NoopObserver), second));
        move |host| HostClient::new(key(host).0, transport.clone(), 1, Arc::clone(&shared))
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_that_a_registry_names_displace_its_own_only() {
        let (hosts, make) = (Hosts::new(), maker());
        let registry = |host: &str| hosts.registry(key(host), || make(host));
        let (good, bad) = (registry("good.example"), registry("bad.example"));
        let named = |by: &HostClient, host: &str| hosts.named(by, key(host), || make(host));
        let auth = named(&good, "auth.example");
        for number in 0..5000 {
            named(&bad, &format!("host{number}.example"));
        }
        assert!(Arc::ptr_eq(&auth, &named(&good, "auth.example")));
        assert!(Arc::ptr_eq(&good, &registry("good.example")));
        assert!(!Arc::ptr_eq(&auth, &named(&bad, "auth.example")));
        assert!(
            Arc::ptr_eq(&good, &named(&bad, "good.example")),
            "a registry"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_that_nobody_asks_is_forgotten_with_all_that_it_has_named() {
        let (hosts, make) = (Hosts::new(), maker());
        let registry = |host: &str| hosts.registry(key(host), || make(host));
        let named = {
            let idle = registry("idle.example");
            let named = hosts.named(&idle, key("auth.example"), || make("auth.example"));
            Arc::downgrade(&named)
        };
        let in_use = registry("slow.example");
        for _ in 0..7 {
            tokio::time::advance(SWEEP).await;
            registry("busy.example");
        }
        let mut left: Vec<_> = hosts.0.lock().registries.keys().cloned().collect();
        left.sort_by_key(|(origin, _)| origin.to_string());
        assert_eq!(left, [key("busy.example"), key("slow.example")]);
        assert!(named.upgrade().is_none());
        drop(in_use);
    }
}
