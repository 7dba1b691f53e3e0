//! A workload is edited between our read of it and our patch: the edit stays, and we decide again.

use std::{fmt::Debug, time::Duration};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use kube::{
    Api, Resource, ResourceExt as _,
    api::{Patch, PatchParams},
    core::NamespaceResourceScope,
};
use kube_autorollout_testbed::workload;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    harness::World,
    kinds,
    way::{behind, behind_gateway, way},
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

    let before = world.pod_lists();
    world.push(&world.version(2), "app").await;
    world.until_pod_list(before).await;
    edit::<K>(&world).await;

    controller
        .until_logged(&["INFO", "/web", "the workload was changed concurrently"])
        .await;
    world.until_running(&world.marker(2), pods).await;
    let metrics = controller.until_completed(1).await;
    assert_eq!(metrics.rollouts("conflict"), 1);
    assert_eq!(metrics.rollouts("triggered"), 1);
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

/// Something changes the workload ten times a second, but nothing that we would read, as the controller of a large DaemonSet
/// does with its status; reading the pods takes longer than that.
#[tokio::test]
async fn a_workload_that_is_changed_all_the_time_is_rolled_out_all_the_same() {
    const CHANGE: Duration = Duration::from_millis(100);
    let (world, gateway, controller) = behind_gateway("busy").await;
    gateway.delay("pods", 5 * CHANGE);
    let api = world.namespace.api::<Deployment>();
    let changing = async {
        for number in 0.. {
            let change = json!({ "metadata": { "labels": { EDITED: number.to_string() } } });
            let (parameters, change) = (PatchParams::default(), Patch::Merge(change));
            let changed = api.patch("web", &parameters, &change).await;
            changed.expect("changed");
            sleep(CHANGE).await;
        }
    };
    tokio::select! {
        () = changing => unreachable!("it goes on for ever"),
        () = async {
            world.push(&world.version(2), "app").await;
            world.until_running(&world.marker(2), 1).await;
        } => {}
    }
    let metrics = controller.until_completed(1).await;
    assert_eq!(metrics.rollouts("triggered"), 1);
    assert!(metrics.rollouts("conflict") < 10);
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn a_conflict_with_what_no_watch_shows_is_not_tried_again_every_second() {
    let (world, gateway, controller) = behind_gateway("unseen").await;
    gateway.deliver_watches(false);
    edit::<Deployment>(&world).await;
    world.push(&world.version(2), "app").await;
    controller
        .until_logged(&["INFO", "/web", "the workload was changed concurrently"])
        .await;
    let patches = || {
        let requests = world.requests();
        let patches = requests.iter().filter(|request| request.verb == "patch");
        patches.count()
    };
    let until = Instant::now() + Duration::from_secs(15);
    while Instant::now() < until {
        assert_eq!(patches(), 1, "the next would be refused, too");
        sleep(Duration::from_millis(200)).await;
    }
    gateway.deliver_watches(true);
    world.until_running(&world.marker(2), 1).await;
    assert_eq!(world.patches(), 1);
    assert_eq!(patches(), 2);
}
