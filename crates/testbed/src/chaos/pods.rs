//! The pods of a run, and whether they are of the newest templates.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod as PodObject;
use kube::{Api, ResourceExt as _, api::ListParams, core::DynamicObject};
use serde_json::Value;

use super::{error::Error, history::Pod, retry::persistently, world::World};
use crate::workload::Kind;

/// Where a workload has the annotations of its pods.
const TEMPLATE: &str = "/spec/template/metadata/annotations";

/// The annotation of pods that the controller sets on their template, to another instant in each rollout.
const INSTANT: &str = "kube-autorollout/restartedAt";

impl World<'_> {
    /// All pods that are not being deleted.
    pub(super) async fn pods(&self) -> Result<Vec<Pod>, Error> {
        let mut found = Vec::new();
        for namespace in &self.namespaces {
            let newest = newest(&namespace.client(), namespace.name()).await?;
            let pods = namespace.api::<PodObject>();
            let list = persistently(async || pods.list(&ListParams::default()).await).await?;
            let left = list.items.into_iter();
            for pod in left.filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
                let workload = pod.labels().get("app").cloned().unwrap_or_default();
                let instant = pod.annotations().get(INSTANT).cloned();
                found.push(Pod {
                    namespace: namespace.name().to_owned(),
                    newest: newest.get(&workload) == Some(&instant),
                    workload,
                });
            }
        }
        Ok(found)
    }
}

/// The instant in the template of each workload, by names.
async fn newest(
    client: &kube::Client,
    namespace: &str,
) -> Result<BTreeMap<String, Option<String>>, Error> {
    let mut newest = BTreeMap::new();
    for kind in [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet] {
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), namespace, &kind.resource());
        let list = persistently(async || api.list(&ListParams::default()).await).await?;
        newest.extend(list.items.into_iter().map(|workload| {
            let annotations = workload.data.pointer(TEMPLATE);
            let instant = annotations.and_then(|annotations| annotations.get(INSTANT));
            let instant = instant.and_then(Value::as_str).map(str::to_owned);
            (workload.name_any(), instant)
        }));
    }
    Ok(newest)
}
