//! The credential provider of a cloud identity.

use std::sync::Arc;

use kube_autorollout_registry::{CredentialProvider, Fingerprint, IssueFuture, IssueRequest};

use crate::{cloud::Cloud, request::Key, store::Store};

/// The provider of one credential.
#[derive(Debug)]
pub(crate) struct CloudIdentity {
    store: Arc<Store>,
    cloud: Cloud,
    key: Key,
    fingerprint: Fingerprint,
}

impl CloudIdentity {
    pub(crate) fn new(store: Arc<Store>, cloud: Cloud, key: Key) -> Self {
        let parts = ["cloud identity", cloud.as_str(), &format!("{key:?}")];
        Self {
            store,
            cloud,
            fingerprint: Fingerprint::of_parts(parts),
            key,
        }
    }
}

impl CredentialProvider for CloudIdentity {
    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn issue<'a>(&'a self, request: IssueRequest<'a>) -> IssueFuture<'a> {
        let (store, key) = (Arc::clone(&self.store), self.key.clone());
        let fetch = move || {
            let (store, key) = (Arc::clone(&store), key.clone());
            async move { store.fetch(&key).await }
        };
        let entry = self.store.entry(&self.key);
        let observer = Arc::clone(&self.store.observer);
        Box::pin(entry.get((self.cloud, observer), request.refused, fetch))
    }

    fn refusal_advice(&self) -> Option<&'static str> {
        Some(match self.cloud {
            Cloud::Aws => {
                "allow ecr:BatchGetImage and ecr:GetDownloadUrlForLayer on this repository to this role, in its own policy and, for a registry of another account, in that of the repository"
            }
            Cloud::Gcp => "grant roles/artifactregistry.reader on this repository to this account",
            Cloud::Azure => {
                "assign AcrPull (or Container Registry Repository Reader, on registries with ABAC) on this registry to this client"
            }
        })
    }

    fn may_be_sent_to(&self, host: &str) -> bool {
        self.cloud.has_host(host)
    }
}
