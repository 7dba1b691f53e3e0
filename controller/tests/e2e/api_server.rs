//! The API server is away, or has forgotten what was: nothing is lost, nothing is done twice.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::DeleteParams;
use tokio::time::{Instant, interval};

use crate::{
    harness::World,
    way::{behind, way},
};

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

    // What happens while the controller hears nothing can be told to it by nobody afterwards: etcd has forgotten it, and a
    // new API server has not seen it.
    way.cut();
    world.deploy("comes", "app").await;
    let deployments = world.namespace.api::<Deployment>();
    let deleted = deployments.delete("leaves", &DeleteParams::default()).await;
    deleted.expect("deleted");
    let control_plane = world.testbed.control_plane();
    control_plane.compact().await.expect("compacted");
    control_plane.stop_api_server();
    control_plane.start_api_server().await.expect("started");
    way.sever();
    way.mend();

    for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
        let kind = format!("kind=\"{kind}\"");
        controller
            .until_logged(&["WARN", "too old resource version", &kind])
            .await;
        controller
            .until_logged(&["INFO", "watching again", &kind])
            .await;
    }
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
    let mut looks = interval(Duration::from_millis(250));
    while stopped.elapsed() < TICKS {
        looks.tick().await;
        for path in ["/livez", "/readyz"] {
            assert_eq!(controller.get(path).await, 200, "{path}");
        }
    }
    let metrics = controller.until_all("Unknown", 1).await;
    assert!(metrics.rollouts("triggered") < 1.0);
    let warned = ["WARN", "/web", "ApiServer"];
    controller.until_logged(&warned).await;
    control_plane.start_api_server().await.expect("started");

    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 2).await;
    assert_eq!(world.patches(), 1);
    assert_eq!(controller.0.server().id(), process, "it has not ended");
    let log = controller.log();
    let troubles = |line: &&str| line.contains("WARN") || line.contains("ERROR");
    let troubles = log.lines().filter(troubles).count();
    assert!(troubles < 20, "an outage is no flood:\n{log}");
}
