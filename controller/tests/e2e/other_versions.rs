//! API servers that lack a kind or forbid it, or whose objects have an unknown form: everything else works.
//!
//! A real API server of one version can neither lack a single kind nor send an object of another shape, so a gateway
//! before the real one does.

use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, api::ListParams};
use kube_autorollout_testbed::{
    controller,
    gateway::Gateway,
    workload::{Deployment, StatefulSet},
};
use serde_json::{Value, json};

use crate::{
    harness::{Controller, World},
    kinds::KINDS,
    metrics::Metrics,
    way::{at, gateway},
};

/// A labelled Deployment `web` and StatefulSet `db` on version 1 of the tag `app`, rolled out.
async fn web_and_db(world: &World) {
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let db = Deployment::named("db").container("app", &world.image("app"));
    let db = StatefulSet::like(db.labelled()).build();
    world.create_object(&db).await;
    world.until_running(&world.marker(1), 2).await;
}

/// Other workloads are rolled out beside a kind that cannot be watched, and so is that kind when it `comes`.
async fn disturbs_no_other(
    world: &World,
    controller: &Controller,
    reported: &str,
    comes: impl AsyncFnOnce(),
) {
    controller.until_all("UpToDate", 1).await;
    let line = controller.until_logged(&["WARN", "cannot watch"]).await;
    assert!(line.contains(reported), "{line}");
    world.push(&world.version(2), "app").await;
    controller.until_completed(1).await;
    assert_eq!(world.markers(), [world.marker(1), world.marker(2)]);
    assert_eq!(controller.get("/readyz").await, 200);
    let metrics = controller.metrics().await;
    let errors = |kind| metrics.sum("watch_errors_total", &[("kind", kind)]);
    assert!(errors("StatefulSet") >= 1.0);
    assert!(errors("Deployment") < 1.0);

    comes().await;
    world.until_running(&world.marker(2), 2).await;
    controller.until_all("UpToDate", 2).await;
    assert_eq!(KINDS.map(|kind| world.patches_of(kind)), [1, 1, 0]);
    assert_eq!(controller.log().matches("cannot watch").count(), 1);
}

#[tokio::test]
async fn a_kind_that_the_api_server_lacks_disturbs_no_other_and_is_watched_when_it_comes() {
    let world = World::new("lacking").await;
    web_and_db(&world).await;
    let gateway = gateway(&world).await;
    gateway.lack("statefulsets");
    let controller = at(&world, gateway.url(), "/readyz", "").await;
    let reported = "the API server does not know statefulsets";
    disturbs_no_other(&world, &controller, reported, async || {
        gateway.have("statefulsets");
    })
    .await;
}

#[tokio::test]
async fn a_kind_that_is_forbidden_disturbs_no_other_and_is_watched_when_it_is_permitted() {
    let rights = controller::rights(&["statefulsets"]);
    let world = World::with_rights("forbidden-kind", rights).await;
    web_and_db(&world).await;
    let controller = world.controller("").await;
    let reported = "forbidden: add the verb list on statefulsets to the role of the controller";
    disturbs_no_other(&world, &controller, reported, async || {
        let verbs = ["list", "watch", "patch"];
        world
            .permit(controller::rule("apps", "statefulsets", &verbs))
            .await;
    })
    .await;
}

#[tokio::test]
async fn without_any_kind_it_is_alive_and_not_ready_until_one_comes() {
    let world = World::new("no-kind").await;
    let gateway = gateway(&world).await;
    for kind in KINDS {
        gateway.lack(kind);
    }
    let controller = at(&world, gateway.url(), "/livez", "").await;
    for kind in KINDS {
        let reported = format!("the API server does not know {kind}");
        controller.until_logged(&["WARN", &reported]).await;
    }
    assert_eq!(controller.get("/readyz").await, 503);
    assert_eq!(controller.get("/livez").await, 200);
    gateway.have("daemonsets");
    controller.until_answering("/readyz", 200).await;
    controller
        .until_logged(&["INFO", "watching again", "DaemonSet"])
        .await;
}

/// One workload is up to date, and of one nothing can be said.
fn one_of_each(metrics: &Metrics) -> bool {
    metrics.states() == [("UpToDate".to_owned(), 1), ("Unknown".to_owned(), 1)].into()
}

/// Two Deployments `web` and `odd` on version 1 of the tag `app`.
async fn web_and_odd(hint: &str) -> World {
    let world = World::new(hint).await;
    world.push(&world.version(1), "app").await;
    for name in ["web", "odd"] {
        world.deploy(name, "app").await;
    }
    world
}

/// Version 2 is rolled out for `web` while `odd` cannot be read, and then, from its next change on, for `odd`.
async fn odd_disturbs_no_other(world: &World, controller: &Controller, gateway: &Gateway) {
    controller.until("one of each", one_of_each).await;
    let line = controller.until_logged(&["WARN", "/odd"]).await;
    for part in ["ApiServer", "cannot be read", "\"three\""] {
        assert!(line.contains(part), "{line}");
    }
    world.push(&world.version(2), "app").await;
    controller.until_completed(1).await;
    controller.until("one of each", one_of_each).await;
    assert_eq!(world.markers(), [world.marker(1), world.marker(2)]);

    gateway.leave("deployments", "odd");
    world.patch("odd", touched()).await;
    world.until_running(&world.marker(2), 2).await;
    let metrics = controller.until_all("UpToDate", 2).await;
    assert!(
        metrics.sum("watch_errors_total", &[]) < 1.0,
        "no watch ended"
    );
    let log = controller.log();
    let reported = |line: &&str| line.contains("WARN") && line.contains("/odd");
    assert_eq!(log.lines().filter(reported).count(), 1, "{log}");
}

/// A change that concerns nobody.
fn touched() -> Value {
    json!({ "metadata": { "annotations": { "touched": "yes" } } })
}

#[tokio::test]
async fn an_object_that_cannot_be_read_at_the_start_disturbs_no_other() {
    let world = web_and_odd("unreadable").await;
    let gateway = gateway(&world).await;
    gateway.change("deployments", "odd", "/spec/replicas", json!("three"));
    let controller = at(&world, gateway.url(), "/readyz", "").await;
    odd_disturbs_no_other(&world, &controller, &gateway).await;
}

#[tokio::test]
async fn an_object_that_cannot_be_read_any_more_disturbs_no_other() {
    let world = web_and_odd("unreadable-later").await;
    let gateway = gateway(&world).await;
    let controller = at(&world, gateway.url(), "/readyz", "").await;
    controller.until_all("UpToDate", 2).await;
    gateway.change("deployments", "odd", "/spec/replicas", json!("three"));
    let change = json!({ "metadata": { "annotations": { "changed": "yes" } } });
    world.patch("odd", change).await;
    odd_disturbs_no_other(&world, &controller, &gateway).await;
}

#[tokio::test]
async fn a_pod_that_cannot_be_read_is_the_trouble_of_its_workload_only() {
    let world = World::new("unreadable-pod").await;
    world.push(&world.version(1), "app").await;
    // So many that their pods are read with one list.
    let names = ["a", "b", "c", "d", "e", "f"];
    for name in names {
        world.deploy(name, "app").await;
    }
    let pods = world.namespace.api::<Pod>();
    let pods = pods.list(&ListParams::default()).await.expect("pods");
    let mut names = pods.iter().map(ResourceExt::name_any);
    let pod = names.find(|name| name.starts_with("a-")).expect("a pod");
    let gateway = gateway(&world).await;
    gateway.change("pods", &pod, "/status/phase", json!(7));
    let controller = at(&world, gateway.url(), "/readyz", "").await;
    let all_but_one = [("UpToDate".to_owned(), 5), ("Unknown".to_owned(), 1)].into();
    controller
        .until("all but one", |metrics| metrics.states() == all_but_one)
        .await;
    let own = format!("{}/a", world.namespace.name());
    let reported = [
        "WARN",
        "ApiServer",
        "cannot read one of its pods",
        &pod,
        &own,
    ];
    controller.until_logged(&reported).await;
    world.push(&world.version(2), "app").await;
    controller.until_completed(5).await;
    gateway.leave("pods", &pod);
    controller.until_all("UpToDate", 6).await;
    assert_eq!(world.patches(), 6);
}
