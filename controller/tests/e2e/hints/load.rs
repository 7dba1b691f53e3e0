//! More hints than anybody needs.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use kube_autorollout_testbed::workload::{self, eventually};
use serde_json::json;
use tokio::time::{Instant, interval};

use super::{Hooks, SECRET, with_web};
use crate::harness::{SOON, World};

/// For so long.
const LASTING: Duration = Duration::from_secs(10);

/// So many at a time, ten times a second.
const AT_ONCE: u32 = 100;

/// How much more memory may be used while they come, in bytes.
const MEMORY: f64 = 8.0 * 1024.0 * 1024.0;

/// Requests for a tag.
fn asked(world: &World, tag: &str) -> usize {
    let log = world.testbed.registry().log();
    let path = format!("{}/manifests/{tag}", world.namespace.name());
    let asked = log.of_controllers(&path);
    asked.expect("the access log").len()
}

#[tokio::test]
async fn a_thousand_hints_a_second_cost_one_request_an_image_and_second() {
    let (world, hooks, controller) = with_web("flood").await;
    // One that is checked by a schedule of its own meanwhile.
    world.push(&world.version(1), "beside").await;
    let beside = workload::Deployment::named("beside").container("app", &world.image("beside"));
    let often = beside.annotation("kube-autorollout/interval", "1s");
    world.create(often.labelled()).await;
    controller.until_all("UpToDate", 2).await;
    let before = controller.metrics().await.resident();
    let [of_app, of_beside] = ["app", "beside"].map(|tag| asked(&world, tag));
    let begun = Instant::now();
    let mut ticks = interval(Duration::from_millis(100));
    while begun.elapsed() < LASTING {
        ticks.tick().await;
        let sent = stream::iter(0..AT_ONCE).map(|number| send(&world, &hooks, number));
        let statuses: Vec<_> = sent.buffer_unordered(50).collect().await;
        let known = [202, 400, 401, 429];
        assert!(
            statuses.iter().all(|status| known.contains(status)),
            "{statuses:?}"
        );
        assert_eq!(controller.get("/livez").await, 200);
    }
    let seconds = begun.elapsed().as_secs() + 1;
    let metrics = controller.metrics().await;
    assert!(
        metrics.resident() - before < MEMORY,
        "{before} {}",
        metrics.resident()
    );
    let requests = asked(&world, "app") - of_app;
    assert!(
        requests > 0 && requests as u64 <= seconds + 1,
        "{requests} in {seconds} s"
    );
    let ticks = asked(&world, "beside") - of_beside;
    assert!(
        ticks as u64 >= seconds / 2,
        "{ticks} checks of another in {seconds} s"
    );
    let log = controller.log();
    let refused = ["unauthenticated hint", "malformed hint"];
    let lines = log
        .lines()
        .filter(|line| refused.iter().any(|part| line.contains(part)));
    assert_eq!(lines.count(), 1, "once a minute");
    world.push(&world.version(2), "app").await;
    let accepted = eventually(SOON, "a hint is accepted again", async || {
        let status = hooks.hint(&world.image("app")).await;
        (status == 202)
            .then_some(())
            .ok_or_else(|| status.to_string())
    });
    accepted.await.unwrap_or_else(|error| panic!("{error}"));
    world.until_event("web", "RolloutCompleted").await;
}

/// One that is right, two that are not, and one that cannot be read.
async fn send(world: &World, hooks: &Hooks, number: u32) -> u16 {
    let image = json!({ "image": world.image("app") }).to_string();
    let right = format!("Bearer {SECRET}");
    let (authorization, body) = match number % 4 {
        0 => (&*right, &*image),
        1 => (&*right, "{"),
        2 => ("Bearer wrong", &*image),
        _ => ("", &*image),
    };
    hooks.post("/hooks/ci", authorization, body).await.0
}
