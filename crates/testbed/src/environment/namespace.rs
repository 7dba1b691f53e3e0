//! A namespace of one test.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use k8s_openapi::{
    api::core::v1::{Namespace as Object, ResourceQuota, ResourceQuotaSpec},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, PostParams},
};
use tokio::sync::mpsc;

use crate::workload::{TimedOut, wait_until};

/// How long the controller-manager may take to count what a new quota is about.
const COUNTED_WITHIN: Duration = Duration::from_secs(30);

/// The name of a namespace's quota.
const QUOTA: &str = "quota";

/// Why a quota is not in force.
#[derive(Debug, thiserror::Error)]
pub enum QuotaError {
    /// The API server refused it.
    #[error("could not create the quota")]
    Create(#[from] kube::Error),
    /// It was not counted in time.
    #[error("the quota was not counted")]
    Counted(#[from] TimedOut),
}

/// A namespace of one test, deleted some time after it is dropped.
pub struct Namespace {
    name: String,
    client: Client,
    leftovers: mpsc::UnboundedSender<String>,
}

impl Namespace {
    /// Makes a namespace whose name begins with `hint`; the name goes with an error.
    pub(super) async fn create(
        client: Client,
        hint: &str,
        leftovers: mpsc::UnboundedSender<String>,
    ) -> Result<Self, (String, kube::Error)> {
        static COUNT: AtomicUsize = AtomicUsize::new(1);
        let name = format!("{hint}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let object = Object {
            metadata: named(&name),
            ..Object::default()
        };
        let namespaces = Api::<Object>::all(client.clone());
        match namespaces.create(&PostParams::default(), &object).await {
            Ok(_) => Ok(Self {
                name,
                client,
                leftovers,
            }),
            Err(error) => Err((name, error)),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An administrator's client for the runtime on which the namespace was made.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// An API for one kind of object in this namespace, with an administrator's rights.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Limits the use of a resource, such as `pods` or `requests.cpu`, by a `ResourceQuota`, and
    /// waits until that is in force. Pods that are being deleted count until they are gone.
    ///
    /// # Errors
    ///
    /// When the API server refuses the quota, or it is not counted.
    pub async fn limit(&self, resource: &str, amount: u32) -> Result<(), QuotaError> {
        let hard = (resource.to_owned(), Quantity(amount.to_string()));
        let quota = ResourceQuota {
            metadata: named(QUOTA),
            spec: Some(ResourceQuotaSpec {
                hard: Some(BTreeMap::from([hard])),
                ..ResourceQuotaSpec::default()
            }),
            status: None,
        };
        let quotas = self.api::<ResourceQuota>();
        quotas.create(&PostParams::default(), &quota).await?;
        let is_counted = |quota: &ResourceQuota| {
            let status = quota.status.as_ref();
            status.is_some_and(|status| status.used.as_ref().is_some_and(|used| !used.is_empty()))
        };
        wait_until(&quotas, QUOTA, COUNTED_WITHIN, is_counted).await?;
        Ok(())
    }
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // An error means that the testbed is gone, and the namespace with it
        drop(self.leftovers.send(self.name.clone()));
    }
}

/// Deletes namespaces as they are left over; a failure costs nothing but some memory of the API server.
pub(super) async fn delete(client: Client, mut names: mpsc::UnboundedReceiver<String>) {
    let namespaces: Api<Object> = Api::all(client);
    while let Some(name) = names.recv().await {
        if let Err(error) = namespaces.delete(&name, &DeleteParams::default()).await {
            tracing::debug!(name, %error, "a namespace is left behind");
        }
    }
}
