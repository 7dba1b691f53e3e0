//! Thousands of Deployments in minutes: the controllers make one, and it is written again and again under other names,
//! with its ReplicaSet and its pod, past the API server. The nodes run those pods as any others; the controllers, away
//! meanwhile, find everything as they would have made it.

use std::time::Duration;

use k8s_openapi::api::{apps::v1::ReplicaSet, core::v1::Pod};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, Patch, PatchParams, TypeMeta},
    core::{ApiResource, DynamicObject},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Many, ManyError, UP_WITHIN, api, name};
use crate::{
    Namespace, Testbed,
    workload::{Kind, each_thousand, eventually},
};

/// Between two lists of all pods.
const PAUSE: Duration = Duration::from_secs(1);

/// How many are written before the nodes have caught up.
const ROUND: usize = 200;

/// Between two polls of what the nodes run.
const POLL: Duration = Duration::from_millis(100);

/// How many digits the last part of a UID has.
const LAST_PART: usize = 12;

impl Many {
    /// As [`Many::deploy`], with copies in the place of all Deployments but the first.
    ///
    /// # Errors
    ///
    /// [`ManyError`] when they cannot be made, or their pods do not start.
    pub async fn deploy_copies(
        &self,
        testbed: &Testbed,
        namespace: &Namespace,
        host: &str,
    ) -> Result<(), ManyError> {
        let is_deployment = |number: &usize| self.kind(*number) == Kind::Deployment;
        let mut deployments = (0..self.workloads).filter(is_deployment);
        let Some(first) = deployments.next() else {
            return self.deploy(namespace, host).await;
        };
        let copied: Vec<usize> = deployments.collect();
        let made = (0..self.workloads).filter(|number| *number == first || !is_deployment(number));
        self.create(namespace, host, made).await?;
        let made = self.workloads - copied.len();
        self.up(namespace, made).await?;
        let model = self.model(namespace, host, first).await?;
        let nodes = testbed.nodes().names();
        let plane = testbed.control_plane();
        plane.stop_controller_manager();
        for (round, numbers) in copied.chunks(ROUND).enumerate() {
            self.each(numbers.iter().copied(), async |number| {
                let node = nodes.iter().cycle().nth(number % nodes.len().max(1));
                let image = self.image(number, host);
                let objects = model.copy(number, &image, node.map_or("", String::as_str))?;
                Ok(plane.store(&objects).await?)
            })
            .await?;
            // Nodes that are behind would show each pod as it waits for its image, too, at the price of another request
            self.run(testbed, namespace, round * ROUND).await?;
        }
        self.all_run(namespace).await?;
        plane.start_controller_manager().await?;
        // When this is rolled out, the controllers have seen all the others, too.
        let annotations = json!({"testbed": "is the model of the others"});
        let changed = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
        let (api, parameters) = (api(namespace, Kind::Deployment), PatchParams::default());
        api.patch(&name(first), &parameters, &Patch::Merge(changed))
            .await?;
        self.up(namespace, self.workloads).await
    }

    /// Waits until this many containers run on the nodes.
    async fn run(
        &self,
        testbed: &Testbed,
        namespace: &Namespace,
        containers: usize,
    ) -> Result<(), ManyError> {
        eventually(UP_WITHIN, "the nodes run what there is", async || {
            let running = testbed.nodes().running(namespace.name()).len();
            if running >= containers {
                return Ok(());
            }
            sleep(POLL).await;
            Err(format!("{running} of {containers} containers do"))
        })
        .await?;
        Ok(())
    }

    async fn model(
        &self,
        namespace: &Namespace,
        host: &str,
        number: usize,
    ) -> Result<Model, ManyError> {
        let name = name(number);
        let kinds = [
            Kind::Deployment.resource(),
            ApiResource::erase::<ReplicaSet>(&()),
            ApiResource::erase::<Pod>(&()),
        ];
        let all = [
            ListParams::default().fields(&format!("metadata.name={name}")),
            ListParams::default().labels(&format!("app={name}")),
            ListParams::default().labels(&format!("app={name}")),
        ];
        let mut objects = Vec::new();
        for (kind, parameters) in kinds.into_iter().zip(all) {
            let api: Api<DynamicObject> =
                Api::namespaced_with(namespace.client(), namespace.name(), &kind);
            let found = api.list(&parameters).await?.items.pop();
            let found = found.ok_or(ManyError::NoModel)?;
            objects.push((kind.plural.clone(), stored(found, &kind)));
        }
        Ok(Model {
            image: self.image(number, host),
            name,
            objects,
        })
    }

    /// Waits until no pod is on its way.
    async fn all_run(&self, namespace: &Namespace) -> Result<(), ManyError> {
        let pods = namespace.api::<Pod>();
        let others = ListParams::default()
            .fields("status.phase!=Running")
            .limit(1);
        let deadline = each_thousand(UP_WITHIN, self.workloads);
        eventually(deadline, "every pod runs", async || {
            let list = pods.list(&others).await;
            let list = list.map_err(|error| error.to_string())?;
            match list.items.first().and_then(|pod| pod.metadata.name.clone()) {
                None => Ok(()),
                Some(name) => {
                    sleep(PAUSE).await;
                    Err(format!("{name} does not"))
                }
            }
        })
        .await?;
        Ok(())
    }
}

/// A Deployment, its ReplicaSet and its pod, by the plural names of their kinds.
struct Model {
    name: String,
    image: String,
    objects: Vec<(String, DynamicObject)>,
}

impl Model {
    /// Copies of the objects for another Deployment, with their keys in etcd.
    fn copy(
        &self,
        number: usize,
        image: &str,
        node: &str,
    ) -> Result<Vec<(String, Value)>, serde_json::Error> {
        let quoted = |text: &str| format!("\"{text}\"");
        let mut copies = Vec::new();
        for (plural, object) in &self.objects {
            let mut text = serde_json::to_string(object)?;
            text = text.replace(&quoted(&self.image), &quoted(image));
            text = text.replace(&self.name, &name(number));
            for (_, other) in &self.objects {
                let uid = other.metadata.uid.as_deref().unwrap_or_default();
                text = text.replace(uid, &renumbered(uid, number));
            }
            let mut copy: DynamicObject = serde_json::from_str(&text)?;
            if let Some(of_model) = copy.data.pointer_mut("/spec/nodeName") {
                *of_model = node.into();
            }
            let namespace = copy.namespace().unwrap_or_default();
            let key = format!("{plural}/{namespace}/{}", copy.name_any());
            copies.push((key, serde_json::to_value(copy)?));
        }
        Ok(copies)
    }
}

/// An object as it is stored; a pod as the scheduler leaves it, with a status that is still to be written by its node.
fn stored(mut object: DynamicObject, kind: &ApiResource) -> DynamicObject {
    object.types = Some(TypeMeta {
        api_version: kind.api_version.clone(),
        kind: kind.kind.clone(),
    });
    object.metadata.resource_version = None;
    if kind.kind == "Pod" {
        let fields = object.managed_fields_mut();
        fields.retain(|one| one.subresource.as_deref() != Some("status"));
        let class = object.data.pointer("/status/qosClass").cloned();
        if let Some(status) = object.data.get_mut("status") {
            *status = json!({"phase": "Pending", "qosClass": class});
        }
    }
    object
}

/// A UID of its own for each number.
fn renumbered(uid: &str, number: usize) -> String {
    let kept = uid.len().saturating_sub(LAST_PART);
    format!(
        "{}{number:0LAST_PART$x}",
        uid.get(..kept).unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &ApiResource, object: Value) -> (String, DynamicObject) {
        let object = serde_json::from_value(object).expect("an object");
        (kind.plural.clone(), stored(object, kind))
    }

    #[test]
    fn a_copy_has_names_and_an_owner_and_an_image_of_its_own() {
        let uid = "9d7e6a3c-0000-4000-8000-00000000000a";
        let owner = "7c7e6a3c-0000-4000-8000-00000000000b";
        let pod = json!({
            "metadata": {
                "namespace": "n", "name": "web-0-5d8-x", "uid": uid, "resourceVersion": "7",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-0-5d8", "uid": owner}],
                "managedFields": [{"manager": "kubelet", "subresource": "status"}, {"manager": "m"}],
            },
            "spec": {"nodeName": "node-1", "containers": [{"image": "h/n:0"}]},
            "status": {"phase": "Running", "qosClass": "BestEffort", "podIP": "10.0.0.1"},
        });
        let replica_set =
            json!({"metadata": {"namespace": "n", "name": "web-0-5d8", "uid": owner}});
        let model = Model {
            name: "web-0".to_owned(),
            image: "h/n:0".to_owned(),
            objects: vec![
                object(&ApiResource::erase::<ReplicaSet>(&()), replica_set),
                object(&ApiResource::erase::<Pod>(&()), pod),
            ],
        };
        let copies = model.copy(31, "h/n:1", "node-2").expect("JSON");
        let [(_, replica_set), (key, pod)] = &copies[..] else {
            panic!("two copies: {copies:?}");
        };
        assert_eq!(key, "pods/n/web-31-5d8-x");
        assert_eq!(
            (&pod["apiVersion"], &pod["kind"]),
            (&json!("v1"), &json!("Pod"))
        );
        let metadata = &pod["metadata"];
        assert_eq!(metadata["name"], "web-31-5d8-x");
        assert_eq!(metadata["uid"], "9d7e6a3c-0000-4000-8000-00000000001f");
        assert_eq!(metadata["managedFields"], json!([{"manager": "m"}]));
        assert_eq!(metadata["resourceVersion"], Value::Null);
        let owner = &metadata["ownerReferences"][0];
        assert_eq!(owner["uid"], replica_set["metadata"]["uid"]);
        assert_eq!(owner["name"], "web-31-5d8");
        assert_eq!(pod["spec"]["containers"][0]["image"], "h/n:1");
        assert_eq!(pod["spec"]["nodeName"], "node-2");
        assert_eq!(
            pod["status"],
            json!({"phase": "Pending", "qosClass": "BestEffort"})
        );
    }
}
