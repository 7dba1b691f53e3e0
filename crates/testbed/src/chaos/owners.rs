//! What owners do with their workloads, and others with their pods.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    error::Error,
    history::{Span, Wish},
    plan::Edit,
    retry::persistently,
    workloads::Role,
    world::World,
};
use crate::{clock::now, workload::ENABLED_LABEL};

impl World<'_> {
    /// Edits a workload as its owner does, and records it.
    pub(super) async fn edit(&self, workload: usize, edit: Edit) -> Result<(), Error> {
        let Some(role) = self.roles.get(workload) else {
            return Ok(());
        };
        let patch = match edit {
            Edit::Select(selected) => {
                let value = selected.then_some("true");
                json!({ "metadata": { "labels": { ENABLED_LABEL: value } } })
            }
            Edit::Hold(held) => {
                let value = held.then_some("true");
                json!({ "metadata": { "annotations": { "kube-autorollout/hold": value } } })
            }
            Edit::Pause(paused) => json!({ "spec": { "paused": paused } }),
            Edit::Scale(replicas) => json!({ "spec": { "replicas": replicas } }),
        };
        let begun = now();
        self.patch(role, &patch).await?;
        let span = Span::since(begun);
        if let Some(subject) = self.notes.content().subjects.get_mut(workload) {
            let wish = subject.last_wish();
            let changed = match edit {
                Edit::Select(selected) => Wish { selected, ..wish },
                Edit::Hold(held) => Wish { held, ..wish },
                Edit::Pause(paused) => Wish { paused, ..wish },
                Edit::Scale(replicas) => {
                    subject.pods = replicas;
                    return Ok(());
                }
            };
            subject.changes.push((span, changed));
        }
        Ok(())
    }

    async fn patch(&self, role: &Role, patch: &Value) -> Result<(), Error> {
        let api = self.api(role)?;
        let name = role.name();
        persistently(async || {
            let parameters = PatchParams::default();
            api.patch(&name, &parameters, &Patch::Merge(patch)).await
        })
        .await?;
        Ok(())
    }

    /// Deletes a pod of a workload, if there is one.
    pub(super) async fn delete_pod(&self, workload: usize) -> Result<(), Error> {
        let Some(role) = self.roles.get(workload) else {
            return Ok(());
        };
        let pods = self.namespace(role)?.api::<Pod>();
        let of_workload = ListParams::default().labels(&format!("app={}", role.name()));
        let list = persistently(async || pods.list(&of_workload).await).await?;
        if let Some(pod) = list.items.first() {
            let name = pod.name_any();
            persistently(async || {
                match pods.delete(&name, &DeleteParams::default()).await {
                    // Somebody else was faster
                    Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
                    deleted => deleted.map(drop),
                }
            })
            .await?;
        }
        Ok(())
    }
}
