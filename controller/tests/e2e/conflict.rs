//! Somebody edits a workload between our read of it and our patch: the edit stays, and we decide again.

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
use tokio::time::{Instant, sleep};

use crate::{
    harness::{SOON, World},
    kinds,
    metrics::Metrics,
    way::{at, behind, gateway, way},
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

    let reads = || {
        let requests = world.requests();
        let reads = requests
            .iter()
            .filter(|request| request.verb == "list" && request.resource == "pods");
        reads.count()
    };
    let before = reads();
    world.push(&world.version(2), "app").await;
    let read = eventually(SOON, "a list of the pods", async || {
        (reads() > before).then_some(()).ok_or_else(String::new)
    });
    read.await.unwrap_or_else(|error| panic!("{error}"));
    edit::<K>(&world).await;

    controller
        .until_logged(&["INFO", "/web", "the workload was changed concurrently"])
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

/// Something changes the workload ten times a second, but nothing that we would read, as the controller of a large DaemonSet
/// does with its status; reading the pods takes longer than that.
#[tokio::test]
async fn a_workload_that_is_changed_all_the_time_is_rolled_out_all_the_same() {
    const CHANGE: Duration = Duration::from_millis(100);
    let world = World::new("busy").await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let gateway = gateway(&world).await;
    let controller = at(&world, gateway.url(), "/readyz", "").await;
    controller.until_all("UpToDate", 1).await;
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
    let completed = |metrics: &Metrics| metrics.rollouts("completed") > 0.5;
    let metrics = controller.until("a completed rollout", completed).await;
    assert!((metrics.rollouts("triggered") - 1.0).abs() < f64::EPSILON);
    assert!(metrics.rollouts("conflict") < 10.0);
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn a_conflict_with_what_no_watch_shows_is_not_tried_again_every_second() {
    let world = World::new("unseen").await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let gateway = gateway(&world).await;
    let controller = at(&world, gateway.url(), "/readyz", "").await;
    controller.until_all("UpToDate", 1).await;
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
