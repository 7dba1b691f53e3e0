//! Somebody edits a workload between our look at it and our patch: the edit stays, and we decide again.

use std::{fmt::Debug, time::Duration};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use kube::{
    Api, Resource, ResourceExt as _,
    api::{Patch, PatchParams},
    core::NamespaceResourceScope,
};
use kube_autorollout_testbed::workload::{self, eventually};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::{
    harness::{SOON, World},
    kinds,
    metrics::Metrics,
    way::{behind, way},
};

/// A handshake and a request take four of them, all within a patch's time, and an edit is quicker than one.
const ROUND_TRIP: Duration = Duration::from_millis(2500);

const EDITED: &str = "example.com/edited";

/// A kind of workload.
trait Kind:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned
{
}

impl Kind for Deployment {}
impl Kind for StatefulSet {}
impl Kind for DaemonSet {}

/// Edits a workload as its owner would.
async fn edit<K: Kind>(world: &World) {
    let api: Api<K> = world.namespace.api();
    let edit = json!({ "metadata": { "annotations": { EDITED: "yes" } } });
    let edited = api
        .patch("web", &PatchParams::default(), &Patch::Merge(edit))
        .await;
    edited.expect("edited");
}

/// Whether the edit is still there.
async fn is_edited<K: Kind>(world: &World) -> bool {
    let workload = world.namespace.api::<K>().get("web").await.expect("it");
    workload.annotations().contains_key(EDITED)
}

/// The edit comes when the pods have been read for certain, and before the patch has arrived.
async fn an_edit_in_between_stays<K: Kind>(hint: &str, kind: &str) {
    let world = World::new(hint).await;
    world.push(&world.version(1), "app").await;
    let like = workload::Deployment::named("web").container("app", &world.image("app"));
    let pods = kinds::create(&world, kind, like).await;
    world.until_running(&world.marker(1), pods).await;
    let way = way(&world, ROUND_TRIP).await;
    let controller = behind(&world, &way, "").await;
    controller.until_all("UpToDate", 1).await;

    let looks = || {
        let requests = world.requests();
        let looks = requests
            .iter()
            .filter(|request| request.verb == "list" && request.resource == "pods");
        looks.count()
    };
    let before = looks();
    world.push(&world.version(2), "app").await;
    let looked = eventually(SOON, "a look at the pods", async || {
        (looks() > before).then_some(()).ok_or_else(String::new)
    });
    looked.await.unwrap_or_else(|error| panic!("{error}"));
    edit::<K>(&world).await;

    controller
        .until_logged(&["INFO", "/web", "changed by somebody else"])
        .await;
    world.until_running(&world.marker(2), pods).await;
    let completed = |metrics: &Metrics| metrics.rollouts("completed") > 0.5;
    let metrics = controller.until("a completed rollout", completed).await;
    assert!((metrics.rollouts("conflict") - 1.0).abs() < f64::EPSILON);
    assert!((metrics.rollouts("triggered") - 1.0).abs() < f64::EPSILON);
    assert!(is_edited::<K>(&world).await);
    assert_eq!(world.patches(), 1, "the API server took one");
}

#[tokio::test]
async fn an_edit_of_a_deployment_between_look_and_patch_stays() {
    an_edit_in_between_stays::<Deployment>("conflict", "deployments").await;
}

#[tokio::test]
async fn an_edit_of_a_stateful_set_between_look_and_patch_stays() {
    an_edit_in_between_stays::<StatefulSet>("conflict-set", "statefulsets").await;
}

#[tokio::test]
async fn an_edit_of_a_daemon_set_between_look_and_patch_stays() {
    an_edit_in_between_stays::<DaemonSet>("conflict-daemons", "daemonsets").await;
}
