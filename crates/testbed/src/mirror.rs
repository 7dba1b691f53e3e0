//! A pull-through mirror of a registry, from which nodes pull and whose cache may be stale
//! ([`Nodes::pull_through`](crate::node::Nodes::pull_through)).

use std::{collections::HashMap, io, sync::Arc};

use http::Request;
use http_body_util::Full;
use hyper::body::Incoming;
use parking_lot::Mutex;

use crate::{
    image::RegistryAccess,
    relay::{self, Upstream},
    server::{self, Handler, Outcome, Server},
};

/// A mirror, until it is dropped.
pub struct Mirror {
    server: Server,
    state: Arc<State>,
}

struct State {
    upstream: Upstream,
    tags: Mutex<Tags>,
}

#[derive(Default)]
struct Tags {
    /// Whether cached digests are served.
    lags: bool,
    /// The digest that was served last for each tag, by the path of its manifest.
    cache: HashMap<String, String>,
}

impl Mirror {
    /// Listens on a free port of loopback; each tag is looked up in the registry at first.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub async fn start(registry: &str) -> io::Result<Self> {
        let state = Arc::new(State {
            upstream: Upstream::new(registry),
            tags: Mutex::default(),
        });
        let server = Server::http(Arc::clone(&state)).await?;
        Ok(Self { server, state })
    }

    /// How to reach it.
    pub fn access(&self) -> RegistryAccess {
        RegistryAccess::new(self.server.host())
    }

    /// From now on each tag has the digest that was served for it last, as from a cache that has not expired. A tag that
    /// is not in the cache is looked up once.
    pub fn lag(&self) {
        self.state.tags.lock().lags = true;
    }

    /// From now on each tag is looked up in the registry.
    pub fn catch_up(&self) {
        self.state.tags.lock().lags = false;
    }
}

impl State {
    /// The path of the cached manifest of a tag, if the cache is to be used.
    fn cached(&self, path: &str) -> Option<String> {
        let (repository, _) = relay::manifest(path)?;
        let tags = self.tags.lock();
        let digest = tags.cache.get(path).filter(|_| tags.lags)?;
        Some(format!("/v2/{repository}/manifests/{digest}"))
    }
}

impl Handler for State {
    async fn respond(&self, request: Request<Incoming>) -> Outcome {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let target = self
            .cached(&path)
            .unwrap_or_else(|| relay::target(&head).to_owned());
        let response = self.upstream.send(head, body, &target).await?;
        let digest = server::header(response.headers(), relay::DIGEST);
        let is_tag = relay::manifest(&path).is_some_and(|(_, tag)| !relay::is_digest(tag));
        if is_tag && response.status().is_success() && !digest.is_empty() {
            self.tags.lock().cache.insert(path, digest.to_owned());
        }
        Ok(response.map(Full::new))
    }
}
