//! The platforms of nodes, where the controller may read nodes.

use std::{
    sync::{Arc, Once},
    time::Duration,
};

use k8s_openapi::api::core::v1;
use kube::{
    Client, Resource as _,
    api::{GetParams, Request},
};
use kube_autorollout_core::platform::Platform;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::{self, Instant};
use tracing::{debug, info, warn};

use crate::lookup::{Fetches, SingleFlight, Waiter};

/// The deadline of a request.
const GET_TIMEOUT: Duration = Duration::from_secs(10);

/// When a node that could not be read, or does not exist, is requested again.
const PAUSE: Duration = Duration::from_secs(5);

/// When nodes are requested again after the API server has forbidden it, or where one does not report its platform.
const FORBIDDEN_FOR: Duration = Duration::from_secs(10 * 60);

/// How long the pods of a node that does not exist count as deleted. Kubernetes deletes them within a minute; where it does
/// not, this API server does not show all of its nodes. Their workloads are rechecked then.
pub(crate) const GONE_FOR: Duration = Duration::from_secs(10 * 60);

/// How long an unused node is cached.
const UNUSED: Duration = Duration::from_secs(60 * 60);

/// A node, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// It has this platform.
    Of(Platform),
    /// It does not report its platform, or may not be read: every platform counts.
    OfAny,
    /// It does not exist, and its pods will be deleted.
    Gone,
    /// It could not be read.
    Unread,
}

/// The platforms of all nodes.
///
/// A node's operating system and architecture never change, so each node is read once. A new machine of another architecture
/// under the name of an old one is not noticed before the next start.
pub(crate) struct Nodes {
    reader: Arc<Reader>,
    cache: Arc<SingleFlight<Arc<str>, CachedNode>>,
}

struct Reader {
    client: Client,
    /// When the API server last forbade to read a node.
    forbidden: Mutex<Option<Instant>>,
    log_forbidden: Once,
}

/// The result of the last request for a node.
#[derive(Debug, Clone)]
struct CachedNode {
    node: Node,
    fetched: Instant,
    /// When the node was first found not to exist.
    missing: Option<Instant>,
    /// A failure to read it has been logged.
    logged: bool,
}

/// A node as the API server sends it, as far as it is read.
#[derive(Debug, Deserialize)]
struct NodeObject {
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    node_info: NodeInfo,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NodeInfo {
    operating_system: String,
    architecture: String,
}

impl Nodes {
    /// An empty cache.
    pub(crate) fn new(client: Client, fetches: &Fetches) -> Self {
        let reader = Reader {
            client,
            forbidden: Mutex::default(),
            log_forbidden: Once::new(),
        };
        Self {
            reader: Arc::new(reader),
            cache: SingleFlight::new(fetches.clone()),
        }
    }

    /// The node, if it is fresh enough. Otherwise it is fetched, and the waiter is woken afterwards.
    pub(crate) fn lookup(&self, name: &Arc<str>, waiter: &Waiter) -> Option<Node> {
        let is_forbidden = self.reader.is_forbidden();
        let cached = self
            .cache
            .lookup(name, waiter, CachedNode::is_fresh, |before| {
                let (reader, name) = (Arc::clone(&self.reader), Arc::clone(name));
                async move {
                    if is_forbidden {
                        return CachedNode::new(Node::OfAny);
                    }
                    reader.read(&name, before).await
                }
            });
        cached.map(|cached| cached.node)
    }

    /// Evicts unused nodes.
    pub(crate) fn tidy(&self) {
        self.cache.retain(|_, unused| unused < UNUSED);
    }
}

impl Reader {
    async fn read(&self, name: &str, before: Option<CachedNode>) -> CachedNode {
        let fetch = async {
            let request = Request::new(v1::Node::url_path(&(), None));
            let request = request.get(name, &GetParams::default());
            let request = request.map_err(kube::Error::BuildRequest)?;
            self.client.request::<NodeObject>(request).await
        };
        match time::timeout(GET_TIMEOUT, fetch).await {
            Ok(Ok(object)) => {
                *self.forbidden.lock() = None;
                CachedNode::new(object.node())
            }
            Ok(Err(kube::Error::Api(status))) if status.is_forbidden() => {
                self.note_forbidden();
                CachedNode::new(Node::OfAny)
            }
            Ok(Err(kube::Error::Api(status))) if status.is_not_found() => {
                CachedNode::missing(name, before.as_ref())
            }
            Ok(Err(error)) => CachedNode::unread(name, before.as_ref(), &error),
            Err(error) => CachedNode::unread(name, before.as_ref(), &error),
        }
    }

    fn is_forbidden(&self) -> bool {
        let forbidden = *self.forbidden.lock();
        forbidden.is_some_and(|at| at.elapsed() < FORBIDDEN_FOR)
    }

    fn note_forbidden(&self) {
        *self.forbidden.lock() = Some(Instant::now());
        self.log_forbidden.call_once(|| {
            info!(
                verb = "get",
                resource = "nodes",
                "nodes may not be read: without `platforms` in the configuration, a change for any platform of an image counts"
            );
        });
    }
}

impl CachedNode {
    fn new(node: Node) -> Self {
        Self {
            node,
            fetched: Instant::now(),
            missing: None,
            logged: false,
        }
    }

    fn is_fresh(&self) -> bool {
        let lifetime = match self.node {
            Node::Of(_) => return true,
            Node::OfAny => FORBIDDEN_FOR,
            Node::Gone | Node::Unread => PAUSE,
        };
        self.fetched.elapsed() < lifetime
    }

    fn missing(name: &str, before: Option<&Self>) -> Self {
        let since = before.and_then(|before| before.missing);
        let since = since.unwrap_or_else(Instant::now);
        let node = if since.elapsed() < GONE_FOR {
            Node::Gone
        } else {
            debug!(
                node = name,
                "the node does not exist, but its pods do: every platform of their images counts"
            );
            Node::OfAny
        };
        Self {
            missing: Some(since),
            logged: before.is_some_and(|before| before.logged),
            ..Self::new(node)
        }
    }

    fn unread(name: &str, before: Option<&Self>, error: &dyn std::error::Error) -> Self {
        if !before.is_some_and(|before| before.logged) {
            warn!(
                node = name,
                %error,
                "cannot get the node: its platform is unknown, so its pods cannot be compared with an index"
            );
        }
        Self {
            missing: before.and_then(|before| before.missing),
            logged: true,
            ..Self::new(Node::Unread)
        }
    }
}

impl NodeObject {
    fn node(self) -> Node {
        let NodeInfo {
            operating_system,
            architecture,
        } = self.status.node_info;
        if operating_system.is_empty() || architecture.is_empty() {
            return Node::OfAny;
        }
        Node::Of(Platform::new(&operating_system, &architecture))
    }
}

#[cfg(test)]
mod tests;
