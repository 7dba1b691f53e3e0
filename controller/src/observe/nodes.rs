//! The platforms of nodes, where they may be read.

use std::{sync::Arc, time::Duration};

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

/// After which a node counts as one that could not be read.
const GET_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a node that could not be read, or is not there, is not asked for again.
const PAUSE: Duration = Duration::from_secs(5);

/// How soon nodes are asked for again where they may not be read, or where one does not say what it is.
const REFUSED_FOR: Duration = Duration::from_secs(10 * 60);

/// How long the pods of a node that is not there count as being away. Kubernetes deletes them within a minute; where it
/// does not, this API server does not show us all of its nodes.
const GONE_FOR: Duration = Duration::from_secs(10 * 60);

/// A node that has had no pod to be compared for so long is forgotten.
const UNUSED: Duration = Duration::from_secs(60 * 60);

/// What is known of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// It is of this platform.
    Of(Platform),
    /// It does not say, or may not be read: every platform counts.
    OfAny,
    /// It is gone, and its pods are about to follow.
    Gone,
    /// It could not be read now.
    Unread,
}

/// Answers which platform a node has.
///
/// A node's operating system and architecture never change, so each node is read once, for all who ask. A new machine of
/// another architecture under the name of an old one is not noticed before the next start.
pub(crate) struct Nodes {
    reader: Arc<Reader>,
    known: Arc<SingleFlight<Arc<str>, Entry>>,
}

struct Reader {
    client: Client,
    refused: Mutex<Refused>,
}

/// Whether nodes may be read at all.
#[derive(Default)]
struct Refused {
    since: Option<Instant>,
    /// It was logged, which happens once.
    logged: bool,
}

/// What was learnt of a node.
#[derive(Debug, Clone)]
struct Entry {
    node: Node,
    at: Instant,
    /// Since when the node has not been there.
    missing: Option<Instant>,
    /// That it cannot be read was logged.
    logged: bool,
}

/// The part of a node that is read.
#[derive(Debug, Deserialize)]
struct View {
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
    /// Knows no node yet.
    pub(crate) fn new(client: Client, fetches: &Fetches) -> Self {
        let reader = Reader {
            client,
            refused: Mutex::default(),
        };
        Self {
            reader: Arc::new(reader),
            known: SingleFlight::new(fetches.clone()),
        }
    }

    /// What is known of the node, if that is recent enough; else nothing, and it is read.
    pub(crate) fn lookup(&self, name: &Arc<str>, waiter: &Waiter) -> Option<Node> {
        let is_refused = self.reader.is_refused();
        let is_good = |entry: &Entry| entry.is_recent();
        let entry = self.known.lookup(name, waiter, is_good, |before| {
            let (reader, name) = (Arc::clone(&self.reader), Arc::clone(name));
            async move {
                if is_refused {
                    return Entry::new(Node::OfAny);
                }
                reader.read(&name, before).await
            }
        });
        entry.map(|entry| entry.node)
    }

    /// Drops nodes that no pod has named for a while: they come and go.
    pub(crate) fn tidy(&self) {
        self.known.retain(|_, unused| unused < UNUSED);
    }
}

impl Reader {
    async fn read(&self, name: &str, before: Option<Entry>) -> Entry {
        let asked = match Request::new(v1::Node::url_path(&(), None))
            .get(name, &GetParams::default())
        {
            Ok(request) => time::timeout(GET_TIMEOUT, self.client.request::<View>(request)).await,
            Err(error) => Ok(Err(kube::Error::BuildRequest(error))),
        };
        match asked {
            Ok(Ok(view)) => {
                self.refused.lock().since = None;
                Entry::new(view.node())
            }
            Ok(Err(kube::Error::Api(status))) if status.is_forbidden() => {
                self.refuse();
                Entry::new(Node::OfAny)
            }
            Ok(Err(kube::Error::Api(status))) if status.is_not_found() => {
                Entry::missing(name, before.as_ref())
            }
            Ok(Err(error)) => Entry::unread(name, before.as_ref(), &error),
            Err(error) => Entry::unread(name, before.as_ref(), &error),
        }
    }

    fn is_refused(&self) -> bool {
        let since = self.refused.lock().since;
        since.is_some_and(|since| since.elapsed() < REFUSED_FOR)
    }

    fn refuse(&self) {
        let mut refused = self.refused.lock();
        refused.since = Some(Instant::now());
        if !refused.logged {
            refused.logged = true;
            info!(
                verb = "get",
                resource = "nodes",
                "nodes may not be read: without `platforms` in the configuration a change of any platform of an image counts"
            );
        }
    }
}

impl Entry {
    fn new(node: Node) -> Self {
        Self {
            node,
            at: Instant::now(),
            missing: None,
            logged: false,
        }
    }

    fn is_recent(&self) -> bool {
        let good = match self.node {
            Node::Of(_) => return true,
            Node::OfAny => REFUSED_FOR,
            Node::Gone | Node::Unread => PAUSE,
        };
        self.at.elapsed() < good
    }

    fn missing(name: &str, before: Option<&Self>) -> Self {
        let since = before.and_then(|before| before.missing);
        let since = since.unwrap_or_else(Instant::now);
        let node = if since.elapsed() < GONE_FOR {
            Node::Gone
        } else {
            debug!(
                node = name,
                "the node does not exist, and its pods still do: every platform of their images counts"
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
                "cannot get the node: whether its pods run what an index has for their platform is not known for now"
            );
        }
        Self {
            missing: before.and_then(|before| before.missing),
            logged: true,
            ..Self::new(Node::Unread)
        }
    }
}

impl View {
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
