//! The clients of hosts: registries that references name, and for each of them the hosts that it names itself.

use std::{collections::HashMap, num::NonZeroUsize, sync::Arc, time::Duration};

use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{call::HostConfigId, host_client::HostClient};
use crate::{cache::bounded, origin::Origin};

/// How long an unused registry is kept: no backoff lasts longer, and its state costs one request to restore.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// How often unused registries are evicted.
const SWEEP: Duration = Duration::from_secs(10 * 60);

/// Token servers and redirect targets that are kept for one registry: a hostile one can name any number.
const MAX_NAMED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);

/// A host and the options that apply to it.
type Key = (Origin, HostConfigId);

/// The clients of all hosts.
pub(crate) struct Hosts(Mutex<State>);

struct State {
    registries: HashMap<Key, Registry>,
    swept: Instant,
}

struct Registry {
    host: Arc<HostClient>,
    last_used: Instant,
}

/// The hosts that one host names. They are dropped with it, and evict none that others name.
#[derive(Clone)]
struct Named(Arc<Mutex<LruCache<Key, Arc<HostClient>>>>);

impl Hosts {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State {
            registries: HashMap::new(),
            swept: Instant::now(),
        }))
    }

    /// The client of a registry that a reference names.
    pub(crate) fn registry(&self, key: Key, new: impl FnOnce() -> HostClient) -> Arc<HostClient> {
        let now = Instant::now();
        let mut state = self.0.lock();
        if now.duration_since(state.swept) >= SWEEP {
            state.sweep(now);
        }
        let registry = state.registries.entry(key).or_insert_with(|| Registry {
            host: Arc::new(new()),
            last_used: now,
        });
        registry.last_used = now;
        Arc::clone(&registry.host)
    }

    /// The client of a host that another one names: a registry if references name it, too.
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
            is_used || now.duration_since(registry.last_used) < IDLE
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
        certificate::Certificate,
        http::{body::BodyBudget, host_client::Shared, proxy::Proxy, transport::Transport},
        observer::NoopObserver,
    };

    fn key(host: &str) -> Key {
        let uri = format!("https://{host}/").parse().expect("an address");
        (Origin::of(&uri).expect("an origin"), None)
    }

    /// Creates clients of hosts that get no requests.
    fn maker() -> impl Fn(&str) -> HostClient {
        let second = Duration::from_secs(1);
        let tls = Certificate::client_config([].iter()).expect("the public roots");
        let transport = Transport::new(tls, Proxy::default(), second);
        let agent = http::HeaderValue::from_static("test");
        let shared = Arc::new(Shared {
            user_agent: agent,
            observer: Arc::new(NoopObserver),
            request_timeout: second,
            bodies: BodyBudget::new(),
        });
        move |host| HostClient::new(key(host).0, transport.clone(), 1, Arc::clone(&shared))
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_that_a_registry_names_evict_its_own_only() {
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
    async fn an_unused_registry_is_evicted_with_the_hosts_that_it_names() {
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
