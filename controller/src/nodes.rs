//! The platforms of nodes, where they may be read.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client};
use kube_autorollout_core::platform::Platform;
use tokio::time;
use tracing::{debug, info};

/// After which a node counts as unknown for now.
const GET_TIMEOUT: Duration = Duration::from_secs(10);

/// More nodes than any cluster has: nodes come and go, and names of old ones need not be kept for ever.
const KEPT: usize = 20_000;

/// Answers which platform a node has.
///
/// A node's operating system and architecture never change, so each node is read once.
pub(crate) struct Nodes {
    api: Api<Node>,
    platforms: Mutex<HashMap<String, Platform>>,
    refused: AtomicBool,
}

impl Nodes {
    /// Knows no node yet.
    pub(crate) fn new(client: Client) -> Self {
        Self {
            api: Api::all(client),
            platforms: Mutex::default(),
            refused: AtomicBool::new(false),
        }
    }

    /// The node's platform; nothing where it cannot be read, which makes every platform of an index count.
    pub(crate) async fn platform(&self, node: &str) -> Option<Platform> {
        if let Some(known) = self.lock().get(node) {
            return Some(known.clone());
        }
        if self.refused.load(Ordering::Relaxed) {
            return None;
        }
        let node_info = match time::timeout(GET_TIMEOUT, self.api.get(node)).await {
            Ok(Ok(found)) => found.status?.node_info?,
            Ok(Err(kube::Error::Api(status))) if status.is_forbidden() => {
                if !self.refused.swap(true, Ordering::Relaxed) {
                    info!(
                        verb = "get",
                        resource = "nodes",
                        "nodes may not be read: without `platforms` in the configuration a change of any platform of an image counts"
                    );
                }
                return None;
            }
            Ok(Err(error)) => {
                debug!(node, %error, "cannot read the node's platform");
                return None;
            }
            Err(_) => return None,
        };
        let platform = Platform::new(&node_info.operating_system, &node_info.architecture);
        let mut platforms = self.lock();
        if platforms.len() >= KEPT {
            platforms.clear();
        }
        platforms.insert(node.to_owned(), platform.clone());
        Some(platform)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Platform>> {
        self.platforms
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
