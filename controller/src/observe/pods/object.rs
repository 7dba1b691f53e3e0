//! A pod as the API server sends it, as far as it is read.

use std::sync::Arc;

use jiff::Timestamp;
use kube_autorollout_core::{decide::Waiting, pins::Pins};
use serde::Deserialize;

use super::{Container, ContainerSpec, Pod, interner::PodInterner, snapshot::ListedPod};
use crate::workload::{OwnerReference, RevisionLabel, controlled_by};

#[derive(Debug, Deserialize)]
pub(super) struct PodObject {
    metadata: Metadata,
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    creation_timestamp: Option<Timestamp>,
    deletion_timestamp: Option<Timestamp>,
    #[serde(default)]
    labels: RevisionLabel,
    #[serde(default)]
    annotations: Annotations,
    #[serde(default)]
    owner_references: Vec<OwnerReference>,
}

/// The one annotation that is read: a pod has that of the template that it was made from.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Annotations {
    #[serde(rename = "kube-autorollout/pins")]
    pins: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    node_name: Option<String>,
    #[serde(default)]
    containers: Vec<SpecContainer>,
    #[serde(default)]
    init_containers: Vec<SpecContainer>,
    #[serde(default)]
    image_pull_secrets: Vec<LocalReference>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpecContainer {
    name: Box<str>,
    #[serde(default)]
    image: Box<str>,
    #[serde(default)]
    image_pull_policy: String,
}

#[derive(Debug, Deserialize)]
struct LocalReference {
    #[serde(default)]
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    conditions: Vec<Condition>,
    container_statuses: Vec<ContainerStatus>,
    init_container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    #[serde(default, rename = "lastTransitionTime")]
    changed: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
struct ContainerStatus {
    name: String,
    #[serde(default, rename = "imageID")]
    image_id: String,
    #[serde(default)]
    state: State,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    waiting: Option<WaitingState>,
    running: Option<RunningState>,
}

#[derive(Debug, Deserialize)]
struct WaitingState {
    #[serde(default)]
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunningState {
    started_at: Option<Timestamp>,
}

impl PodObject {
    /// The UID of the object that controls the pod, unless the pod is terminating or finished: evicted and finished pods keep
    /// their owner, but no longer show what runs.
    pub(super) fn owner(&self) -> Option<&str> {
        let is_over = self.metadata.deletion_timestamp.is_some()
            || matches!(self.status.phase.as_str(), "Succeeded" | "Failed");
        controlled_by(&self.metadata.owner_references).filter(|_| !is_over)
    }

    /// The part that is stored.
    pub(super) fn reduce(self, interner: &mut PodInterner) -> ListedPod {
        let mut conditions = self.status.conditions.iter();
        let ready =
            conditions.find(|condition| condition.type_ == "Ready" && condition.status == "True");
        let became_ready = ready.and_then(|condition| condition.changed);
        let ready = ready.is_some();
        let Self {
            metadata,
            spec,
            status,
        } = self;
        let pull_secrets = spec.image_pull_secrets.into_iter();
        let pull_secrets = pull_secrets.map(|reference| reference.name);
        let containers = spec.containers.into_iter().chain(spec.init_containers);
        let pins = metadata.annotations.pins.as_deref();
        let pins = pins.and_then(Pins::parse).unwrap_or_default();
        let pod = Pod {
            name: metadata.name.into(),
            node: spec.node_name.as_deref().map(|node| interner.text(node)),
            ready,
            pull_secrets: interner.secrets(pull_secrets.filter(|name| !name.is_empty()).collect()),
            containers: containers
                .map(|container| status.container(container, &pins, interner))
                .collect(),
        };
        let revision = metadata.labels.hash.as_deref();
        ListedPod {
            progressed: became_ready.max(metadata.creation_timestamp),
            revision: revision.map(|revision| interner.text(revision)),
            created: metadata.creation_timestamp,
            pod: Arc::new(pod),
        }
    }
}

impl Status {
    /// Joins a container's specification with its status, by name.
    fn container(&self, spec: SpecContainer, pins: &Pins, interner: &mut PodInterner) -> Container {
        let mut statuses = self
            .container_statuses
            .iter()
            .chain(&self.init_container_statuses);
        let status = statuses.find(|status| status.name == *spec.name);
        let waiting = status.and_then(|status| status.state.waiting.as_ref());
        let running = status.and_then(|status| status.state.running.as_ref());
        let pinned = pins.matches(&spec.name, &spec.image);
        let image_id = status.map_or("", |status| &status.image_id);
        // An image that was pulled by digest is the one that was named, even if the node reports another digest of it.
        let runs_pin = pinned && !image_id.is_empty();
        Container {
            image_id: interner.text(if runs_pin { &spec.image } else { image_id }),
            spec: interner.spec(ContainerSpec::new(
                spec.name,
                spec.image,
                spec.image_pull_policy == "Always",
                pinned,
            )),
            waiting: waiting.and_then(|waiting| Waiting::parse(&waiting.reason)),
            started: running.and_then(|running| running.started_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(change: impl FnOnce(&mut Value)) -> PodObject {
        let mut pod = json!({
            "metadata": {
                "name": "web-1",
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "ownerReferences": [{ "uid": "other" }, { "uid": "replicas", "controller": true }],
            },
            "spec": {
                "nodeName": "node-1",
                "containers": [{ "name": "app", "image": "a.io/app:main", "imagePullPolicy": "Always" }],
                "initContainers": [{ "name": "setup", "image": "a.io/setup", "imagePullPolicy": "IfNotPresent" }],
                "imagePullSecrets": [{ "name": "login" }, {}],
            },
            "status": {
                "phase": "Running",
                "conditions": [{ "type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:02Z" }],
                "containerStatuses": [
                    { "name": "app", "imageID": "a.io/app@sha256:0", "state": { "running": { "startedAt": "2026-01-01T00:00:01Z" } } },
                ],
            },
        });
        change(&mut pod);
        serde_json::from_value(pod).expect("a pod")
    }

    #[test]
    fn a_running_pod_is_read() {
        let view = pod(|_| {});
        assert_eq!(view.owner(), Some("replicas"));
        let listed = view.reduce(&mut PodInterner::default());
        assert_eq!(listed.progressed, "2026-01-01T00:00:02Z".parse().ok());
        let reduced = listed.pod;
        let secrets = &*reduced.pull_secrets;
        assert_eq!(secrets, ["login"], "an empty name is left out");
        assert!(reduced.ready);
        assert_eq!(reduced.node.as_deref(), Some("node-1"));
        let [app, setup] = &reduced.containers[..] else {
            panic!("two containers: {reduced:?}");
        };
        let specified = |container: &Container| {
            let spec = &container.spec;
            (
                spec.name.to_string(),
                spec.image.to_string(),
                spec.pulls_always,
            )
        };
        assert_eq!(
            specified(app),
            ("app".to_owned(), "a.io/app:main".to_owned(), true)
        );
        assert_eq!(&*app.image_id, "a.io/app@sha256:0");
        assert!(app.waiting.is_none() && app.started.is_some());
        assert_eq!(
            specified(setup),
            ("setup".to_owned(), "a.io/setup".to_owned(), false)
        );
        assert_eq!(&*setup.image_id, "", "it has no status yet");
    }

    #[test]
    fn a_pinned_container_follows_its_tag_and_runs_what_it_is_pinned_to() {
        let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
        let named = format!("a.io/app:main@{}", digest("a"));
        let of = |pin: &str, image: &str, id: &str| {
            let view = pod(|pod| {
                pod["metadata"]["annotations"] = json!({
                    "kube-autorollout/pins": json!({ "app": pin }).to_string(), "other": 1,
                });
                pod["spec"]["containers"][0]["image"] = json!(image);
                pod["status"]["containerStatuses"][0]["imageID"] = json!(id);
            });
            view.reduce(&mut PodInterner::default()).pod.containers[0].clone()
        };
        let alias = format!("b.io/other@{}", digest("b"));
        let app = of(&named, &named, &alias);
        assert!(app.spec.pinned && app.spec.followed() == "a.io/app:main");
        assert_eq!(&*app.image_id, named, "whatever the node reports");
        assert_eq!(&*of(&named, &named, "").image_id, "", "not started");
        let mirrored = named.replace("a.io", "mirror:5000/a.io");
        let app = of(&named, &mirrored, &alias);
        assert_eq!(app.spec.followed(), "mirror:5000/a.io/app:main");
        for image in [
            "a.io/app:main".to_owned(),
            named.replace("main", "next"),
            named.replace('a', "c"),
        ] {
            let app = of(&named, &image, &alias);
            assert!(!app.spec.pinned, "{image}");
            assert_eq!((app.spec.followed(), &*app.image_id), (&*image, &*alias));
        }
    }

    #[test]
    fn a_terminating_or_finished_pod_has_no_owner() {
        let terminating =
            pod(|pod| pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:01:00Z"));
        let evicted = pod(|pod| pod["status"]["phase"] = json!("Failed"));
        let finished = pod(|pod| pod["status"]["phase"] = json!("Succeeded"));
        let stray = pod(|pod| pod["metadata"]["ownerReferences"] = json!([{ "uid": "other" }]));
        for view in [terminating, evicted, finished, stray] {
            assert_eq!(view.owner(), None, "{view:?}");
        }
    }

    #[test]
    fn only_reasons_that_do_not_resolve_by_themselves_count_as_waiting() {
        for (reason, expected) in [
            ("ImagePullBackOff", Some(Waiting::ImagePullBackOff)),
            ("CrashLoopBackOff", Some(Waiting::CrashLoopBackOff)),
            ("ContainerCreating", None),
        ] {
            let state = json!({ "waiting": { "reason": reason } });
            let view = pod(|pod| pod["status"]["containerStatuses"][0]["state"] = state);
            let reduced = view.reduce(&mut PodInterner::default()).pod;
            assert_eq!(reduced.containers[0].waiting, expected, "{reason}");
            assert_eq!(reduced.containers[0].started, None);
        }
    }
}
