//! Writes of one pod to the API server.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::json;
use tokio::time::sleep;

use super::registration::FIELD_MANAGER;
use crate::node::{fleet::Fleet, pod::object::forget_reasons};

/// After the pod could not be deleted.
const RETRY: Duration = Duration::from_millis(250);

/// Writes the status of one pod, and removes it in the end.
pub(crate) struct Writer {
    fleet: Arc<Fleet>,
    api: Api<Pod>,
    name: String,
    uid: String,
    written: Option<PodStatus>,
    /// Another client has overwritten the status.
    overwritten: bool,
}

impl Writer {
    pub(crate) fn new(fleet: &Arc<Fleet>, namespace: &str, name: &str, uid: &str) -> Self {
        Self {
            fleet: Arc::clone(fleet),
            api: Api::namespaced(fleet.client.clone(), namespace),
            name: name.to_owned(),
            uid: uid.to_owned(),
            written: None,
            overwritten: false,
        }
    }

    /// The status that was written last.
    pub(crate) const fn written(&self) -> Option<&PodStatus> {
        self.written.as_ref()
    }

    /// Somebody else has written to the status.
    pub(crate) const fn forget(&mut self) {
        self.overwritten = true;
    }

    /// Whether this status has to be written.
    pub(crate) fn is_news(&self, status: &PodStatus) -> bool {
        self.overwritten || self.written.as_ref() != Some(status)
    }

    /// Writes a status; false when that failed.
    pub(crate) async fn write(&mut self, status: PodStatus) -> bool {
        let mut patch = json!({ "metadata": { "uid": self.uid }, "status": &status });
        forget_reasons(&mut patch);
        let parameters = PatchParams::apply(FIELD_MANAGER);
        let patch = Patch::Strategic(patch);
        let request = self.api.patch_status(&self.name, &parameters, &patch);
        if let Err(error) = self.fleet.in_turn(request).await {
            self.report(&error);
            return false;
        }
        self.written = Some(status);
        self.overwritten = false;
        true
    }

    /// Removes the pod.
    pub(crate) async fn delete(&self) {
        let parameters = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions {
                uid: Some(self.uid.clone()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let delete = || self.fleet.in_turn(self.api.delete(&self.name, &parameters));
        while let Err(error) = delete().await {
            if matches!(&error, kube::Error::Api(status) if status.is_not_found() || status.is_conflict())
            {
                return; // gone, or another pod of that name
            }
            self.report(&error);
            sleep(RETRY).await;
        }
    }

    fn report(&self, error: &kube::Error) {
        tracing::debug!(pod = self.name, %error, "write to the API server");
    }
}
