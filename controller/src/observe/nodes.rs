//! The platforms of nodes, where they may be read.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1;
use kube::{
    Client, Resource as _,
    api::{GetParams, Request},
};
use kube_autorollout_core::platform::Platform;
use serde::Deserialize;
use tokio::time::{self, Instant};
use tracing::{debug, info, warn};

/// After which a node counts as one that could not be read.
const GET_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a node that could not be read, or is not there, is not asked for again.
const PAUSE: Duration = Duration::from_secs(5);

/// How soon nodes are asked for again where they may not be read, or where one does not say what it is.
const REFUSED_FOR: Duration = Duration::from_secs(10 * 60);

/// How long the pods of a node that is not there count as being away. Kubernetes deletes them within a minute; where it
/// does not, this API server does not show us all of its nodes.
const GONE_FOR: Duration = Duration::from_secs(10 * 60);

/// More nodes than any cluster has: nodes come and go, and those of the past need not be kept for ever.
const KEPT: usize = 20_000;

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
    client: Client,
    known: Mutex<HashMap<Arc<str>, Arc<tokio::sync::Mutex<Entry>>>>,
    refused: Mutex<Refused>,
}

/// Whether nodes may be read at all.
#[derive(Default)]
struct Refused {
    since: Option<Instant>,
    /// It was logged, which happens once.
    logged: bool,
}

#[derive(Default)]
struct Entry {
    /// And when it was learnt.
    node: Option<(Node, Instant)>,
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
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            known: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    /// What is known of the node, which is asked for if that is not recent enough. Those who ask for the same node at the
    /// same time share one request.
    pub(crate) async fn get(&self, name: &str) -> Node {
        let entry = self.entry(name);
        let mut entry = entry.lock().await;
        if let Some(node) = entry.recent() {
            return node;
        }
        if self.is_refused() {
            return Node::OfAny;
        }
        let node = self.read(name, &mut entry).await;
        entry.node = Some((node.clone(), Instant::now()));
        node
    }

    async fn read(&self, name: &str, entry: &mut Entry) -> Node {
        let asked = match Request::new(v1::Node::url_path(&(), None))
            .get(name, &GetParams::default())
        {
            Ok(request) => time::timeout(GET_TIMEOUT, self.client.request::<View>(request)).await,
            Err(error) => Ok(Err(kube::Error::BuildRequest(error))),
        };
        match asked {
            Ok(Ok(view)) => {
                self.permitted();
                *entry = Entry::default();
                view.node()
            }
            Ok(Err(kube::Error::Api(status))) if status.is_forbidden() => {
                self.refuse();
                Node::OfAny
            }
            Ok(Err(kube::Error::Api(status))) if status.is_not_found() => entry.is_missing(name),
            Ok(Err(error)) => entry.is_unread(name, &error),
            Err(error) => entry.is_unread(name, &error),
        }
    }

    fn entry(&self, name: &str) -> Arc<tokio::sync::Mutex<Entry>> {
        let mut known = lock(&self.known);
        if let Some(entry) = known.get(name) {
            return Arc::clone(entry);
        }
        if known.len() >= KEPT {
            known.clear();
        }
        Arc::clone(known.entry(name.into()).or_default())
    }

    fn is_refused(&self) -> bool {
        let since = lock(&self.refused).since;
        since.is_some_and(|since| since.elapsed() < REFUSED_FOR)
    }

    fn refuse(&self) {
        let mut refused = lock(&self.refused);
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

    fn permitted(&self) {
        lock(&self.refused).since = None;
    }
}

impl Entry {
    /// What was learnt, as long as that is good.
    fn recent(&self) -> Option<Node> {
        let (node, at) = self.node.as_ref()?;
        let good = match node {
            Node::Of(_) => return Some(node.clone()),
            Node::OfAny => REFUSED_FOR,
            Node::Gone | Node::Unread => PAUSE,
        };
        (at.elapsed() < good).then(|| node.clone())
    }

    fn is_missing(&mut self, name: &str) -> Node {
        let since = *self.missing.get_or_insert_with(Instant::now);
        if since.elapsed() < GONE_FOR {
            return Node::Gone;
        }
        debug!(
            node = name,
            "the node is not there, and its pods still are: every platform of their images counts"
        );
        Node::OfAny
    }

    fn is_unread(&mut self, name: &str, error: &dyn std::error::Error) -> Node {
        if !self.logged {
            self.logged = true;
            warn!(
                node = name,
                %error,
                "cannot get the node: whether its pods run what an index has for their platform is not known for now"
            );
        }
        Node::Unread
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
