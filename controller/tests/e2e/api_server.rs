//! The API server is away, or has forgotten what was: nothing is lost, nothing is done twice.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::DeleteParams;
use kube_autorollout_testbed::{
    forwarder::Forwarder,
    gateway::Gateway,
    workload::{self, eventually},
};
use tokio::time::{Instant, interval};

use crate::{
    harness::{Controller, SOON, World},
    way::{behind, behind_gateway, way},
};

/// From the first good answer to the patch that waited for it, on a busy machine.
const SECONDS: SignedDuration = SignedDuration::from_secs(10);

#[tokio::test]
async fn a_watch_that_has_expired_begins_anew_and_misses_nothing() {
    let world = World::alone("expired").await;
    world.push(&world.version(1), "app").await;
    for name in ["web", "leaves"] {
        world.deploy(name, "app").await;
    }
    let way = way(&world, Duration::ZERO).await;
    let controller = behind(&world, &way, "").await;
    controller.until_all("UpToDate", 2).await;

    way.cut();
    world.deploy("comes", "app").await;
    let deployments = world.namespace.api::<Deployment>();
    let deleted = deployments.delete("leaves", &DeleteParams::default()).await;
    deleted.expect("deleted");
    expire(&world, &way, &controller).await;
    let metrics = controller.until_all("UpToDate", 2).await;
    assert!(metrics.sum("watch_errors_total", &[("kind", "Deployment")]) >= 1.0);
    assert_eq!(
        metrics.value("workload_outdated", &[("name", "leaves")]),
        None
    );
    assert_eq!(world.patches(), 0);

    world.push(&world.version(2), "app").await;
    world.until_running(&world.marker(2), 2).await;
    controller.until_all("UpToDate", 2).await;
    controller.checks("comes", 2).await;
    assert_eq!(world.patches(), 2, "one for each Deployment");
}

/// The new list has a second page: the store has the objects of the first one only after that.
#[tokio::test]
async fn a_new_list_of_several_pages_misses_nothing() {
    const WORKLOADS: usize = 110;
    let world = World::alone("pages").await;
    let idle = async |name: &str| {
        let idle = workload::Deployment::named(name).container("app", &world.image("app"));
        world.create(idle.replicas(0).labelled()).await;
    };
    for number in 0..WORKLOADS {
        idle(&format!("web-{number}")).await;
    }
    let way = way(&world, Duration::ZERO).await;
    let controller = behind(&world, &way, "").await;
    controller.until_all("Skipped", WORKLOADS).await;
    way.cut();
    idle("comes").await;
    expire(&world, &way, &controller).await;
    controller.until_all("Skipped", WORKLOADS + 1).await;
}

/// Nothing can report to the controller what happened while its watch was cut: etcd has forgotten it, and a new API server has
/// not seen it.
async fn expire(world: &World, way: &Forwarder, controller: &Controller) {
    let control_plane = world.testbed.control_plane();
    control_plane.compact().await.expect("compacted");
    control_plane.stop_api_server();
    control_plane.start_api_server().await.expect("started");
    way.sever();
    way.restore();
    until_each_logged(controller, &["WARN", "too old resource version"]).await;
    until_each_logged(controller, &["INFO", "watching again"]).await;
}

#[tokio::test]
async fn an_api_server_that_is_away_for_a_minute_costs_nothing_and_a_push_meanwhile_is_rolled_out_once()
 {
    const TICKS: Duration = Duration::from_secs(60); // of one second each
    let world = World::alone("away").await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 1).await;
    let process = controller.0.server().id();

    let control_plane = world.testbed.control_plane();
    control_plane.stop_api_server();
    let stopped = Instant::now();
    world.push(&world.version(2), "app").await;
    let mut polls = interval(Duration::from_millis(250));
    while stopped.elapsed() < TICKS {
        polls.tick().await;
        for path in ["/livez", "/readyz"] {
            assert_eq!(controller.get(path).await, 200, "{path}");
        }
    }
    let metrics = controller.until_all("Unknown", 1).await;
    assert_eq!(metrics.rollouts("triggered"), 0);
    let warned = ["WARN", "/web", "ApiServer"];
    controller.until_logged(&warned).await;
    let back = now();
    control_plane.start_api_server().await.expect("started");

    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 2).await;
    assert_eq!(world.patches(), 1);
    assert!(waited(&world, back) < SECONDS, "{}", waited(&world, back));
    assert_eq!(controller.0.server().id(), process, "it has not ended");
    let log = controller.log();
    let troubles = |line: &&str| line.contains("WARN") || line.contains("ERROR");
    let troubles = log.lines().filter(troubles).count();
    assert!(troubles < 20, "an outage is no flood:\n{log}");
}

#[tokio::test]
async fn what_waited_for_the_api_server_is_rolled_out_as_soon_as_a_watch_is_answered_again() {
    let (world, gateway, controller) = long_away("back").await;
    until_each_logged(&controller, &["WARN", "cannot watch"]).await;
    let back = now();
    gateway.go_away(false);
    world.until_running(&world.marker(2), 1).await;
    assert!(waited(&world, back) < SECONDS, "{}", waited(&world, back));
    assert_eq!(world.patches(), 1);
    // Each watch has gone on where it was, so nothing but the answer shows that it did.
    until_each_logged(&controller, &["INFO", "watching again"]).await;
}

/// An API server that starts answers before it has read its roles.
#[tokio::test]
async fn an_api_server_that_forbids_everything_is_not_back_yet() {
    let (world, gateway, controller) = long_away("starts").await;
    gateway.forbid(true);
    gateway.go_away(false);
    until_each_logged(&controller, &["WARN", "cannot watch", "forbids everything"]).await;
    let back = now();
    gateway.forbid(false);
    world.until_running(&world.marker(2), 1).await;
    assert!(waited(&world, back) < SECONDS, "{}", waited(&world, back));
    assert_eq!(world.patches(), 1);
}

/// Waits for a line of the log with these parts for each kind.
async fn until_each_logged(controller: &Controller, parts: &[&str]) {
    for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
        let kind = format!("kind=\"{kind}\"");
        let parts = [parts, &[&kind]].concat();
        controller.until_logged(&parts).await;
    }
}

/// An API server that has been away for so long that the next attempt is more than twenty seconds away. An image was pushed
/// meanwhile.
async fn long_away(name: &str) -> (World, Gateway, Controller) {
    let (world, gateway, controller) = behind_gateway(name).await;
    gateway.go_away(true);
    world.push(&world.version(2), "app").await;
    let failed = [("kind", "Deployment"), ("outcome", "error")];
    let attempts = eventually(2 * SOON, "six attempts", async || {
        let failed = controller
            .metrics()
            .await
            .sum("reconciliations_total", &failed);
        (failed >= 6.0)
            .then_some(())
            .ok_or_else(|| failed.to_string())
    });
    attempts.await.unwrap_or_else(|error| panic!("{error}"));
    (world, gateway, controller)
}

#[tokio::test]
async fn requests_that_get_no_answer_are_given_up_and_begun_anew() {
    let (world, gateway, controller) = behind_gateway("hang").await;
    // The watches that were answered end, and are begun again.
    gateway.go_away(true);
    until_each_logged(&controller, &["WARN", "cannot watch"]).await;
    gateway.hang(true);
    gateway.go_away(false);
    until_each_logged(&controller, &["WARN", "did not respond within 30 s"]).await;
    assert_eq!(controller.get("/readyz").await, 200);
    gateway.hang(false);
    world.push(&world.version(2), "app").await;
    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn a_page_that_asks_to_come_back_in_an_hour_is_not_waited_for_so_long() {
    let (world, gateway, controller) = behind_gateway("maintenance").await;
    gateway.ask_to_wait(3600);
    gateway.go_away(true);
    controller.until_logged(&["WARN", "cannot watch"]).await;
    gateway.go_away(false);
    world.push(&world.version(2), "app").await;
    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(world.patches(), 1);
}

/// From the first good answer since then, to whatever request, to the patch.
fn waited(world: &World, since: Timestamp) -> SignedDuration {
    let requests = world.requests();
    let answered = requests
        .iter()
        .filter(|request| request.at >= since && request.code == 200);
    let first = answered.clone().map(|request| request.at).min();
    let mut patched = answered.filter(|request| request.verb == "patch");
    let patched = patched.next().expect("a patch").at;
    patched.duration_since(first.expect("an answer"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "compared with the time stamps of the audit log"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
