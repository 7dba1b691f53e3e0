//! A pull-through mirror of a registry, which nodes pull from and which may be behind
//! ([`Nodes::pull_through`](crate::node::Nodes::pull_through)).

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use http::{Request, header::HeaderName};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::task::JoinSet;

use crate::{
    image::RegistryAccess,
    locked::locked,
    relay::{self, Answer, Relay, Upstream},
};

const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// A mirror; it ends when it is dropped.
pub struct Mirror {
    host: String,
    state: Arc<State>,
    _tasks: JoinSet<()>, // dropping it stops them
}

struct State {
    upstream: Upstream,
    tags: Mutex<Tags>,
}

/// What is known of tags.
#[derive(Default)]
struct Tags {
    lags: bool,
    /// By the paths of their manifests: the digests that were given out last.
    given: HashMap<String, String>,
}

impl Mirror {
    /// Listens on a free port of loopback; each tag is looked up in the registry at first.
    ///
    /// # Errors
    ///
    /// When no port is to be had.
    pub async fn start(registry: SocketAddr) -> io::Result<Self> {
        let state = Arc::new(State {
            upstream: Upstream::new(registry),
            tags: Mutex::default(),
        });
        let (host, tasks) = relay::listen(Arc::clone(&state)).await?;
        Ok(Self {
            host,
            state,
            _tasks: tasks,
        })
    }

    /// The way here.
    pub fn access(&self) -> RegistryAccess {
        RegistryAccess::new(&self.host)
    }

    /// From now on each tag has the digest that was given out for it last, as from a cache that has not expired. One
    /// that nobody has asked for is looked up once.
    pub fn lag(&self) {
        locked(&self.state.tags).lags = true;
    }

    /// From now on each tag is looked up in the registry.
    pub fn catch_up(&self) {
        locked(&self.state.tags).lags = false;
    }
}

impl State {
    /// Where the manifest of a tag is asked for, if it is not to be looked up.
    fn behind(&self, path: &str) -> Option<String> {
        let (repository, _) = relay::manifest(path)?;
        let tags = locked(&self.tags);
        let digest = tags.given.get(path).filter(|_| tags.lags)?;
        Some(format!("/v2/{repository}/manifests/{digest}"))
    }
}

impl Relay for State {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let target = self
            .behind(&path)
            .unwrap_or_else(|| relay::target(&head).to_owned());
        let response = self.upstream.answer(head, body, &target).await?;
        let digest = response.headers().get(DIGEST);
        let digest = digest.and_then(|digest| digest.to_str().ok());
        let is_tag = relay::manifest(&path).is_some_and(|(_, tag)| !relay::is_digest(tag));
        if let Some(digest) = digest.filter(|_| is_tag && response.status().is_success()) {
            locked(&self.tags).given.insert(path, digest.to_owned());
        }
        Ok(response.map(Full::new))
    }
}
