//! How often clouds are asked for credentials, and the states of workloads during their outages.

use std::time::Duration;

use kube_autorollout_testbed::{
    cloud::Step,
    workload::{self, eventually},
};
use tokio::time::{Instant, sleep_until};

use super::scene::Scene;
use crate::harness::SOON;

/// Workloads that share a token.
const WORKLOADS: usize = 100;

/// The lifetime of a token.
const LIFE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_hundred_workloads_cost_one_fetch_for_each_life_of_a_token_and_outlive_an_outage() {
    let scene = Scene::new("cloud-outage").await;
    let world = &scene.world;
    world.push(&world.version(1), "app").await;
    let image = world.image("app");
    for number in 0..WORKLOADS {
        let name = format!("web-{number}");
        let web = workload::Deployment::named(&name).container("app", &image);
        world.create(web.labelled()).await;
    }
    scene.clouds.set_life(LIFE);
    let controller = scene.controller(&scene.irsa()).await;
    fetched(&scene, 1).await;
    let begun = Instant::now();
    controller.until_all("UpToDate", WORKLOADS).await;
    // The second one is fetched shortly before the end of the first, and none in between.
    sleep_until(begun + Duration::from_secs(50)).await;
    assert_eq!(scene.clouds.count(Step::EcrToken), 1);
    fetched(&scene, 2).await;
    assert!(begun.elapsed() < LIFE + Duration::from_secs(5));
    controller.until_all("UpToDate", WORKLOADS).await;

    scene.clouds.go_away(true);
    let unknown = |metrics: &crate::metrics::Metrics| metrics.states().contains_key("Unknown");
    let gone = eventually(2 * LIFE, "the end of the token", async || {
        let metrics = controller.metrics().await;
        unknown(&metrics)
            .then_some(())
            .ok_or_else(|| metrics.summary())
    });
    gone.await.unwrap_or_else(|error| panic!("{error}"));
    controller.until_all("Unknown", WORKLOADS).await;
    sleep_until(Instant::now() + super::MEANWHILE).await;
    let log = controller.log();
    let warned: Vec<_> = log.lines().filter(|line| line.contains(" WARN ")).collect();
    assert_eq!(warned.len(), 1, "{warned:#?}");
    assert!(warned[0].contains("CloudIdentity"), "{warned:?}");

    world.push(&world.version(2), "app").await;
    scene.clouds.go_away(false);
    let back = Instant::now();
    let moved = eventually(2 * SOON, "the first rollout", async || {
        let patches = world.patches();
        (patches > 0)
            .then_some(())
            .ok_or_else(|| patches.to_string())
    });
    moved.await.unwrap_or_else(|error| panic!("{error}"));
    // The longest backoff is 40 seconds.
    assert!(back.elapsed() < LIFE + LIFE / 2, "{:?}", back.elapsed());
    world.until_running(&world.marker(2), WORKLOADS).await;
    controller.until_all("UpToDate", WORKLOADS).await;
    assert_eq!(world.patches(), WORKLOADS, "each once");
    scene.assert_discreet(&controller).await;
}

/// Waits until this many tokens were fetched.
async fn fetched(scene: &Scene, count: usize) {
    let fetched = eventually(SOON, "a token", async || {
        let fetched = scene.clouds.count(Step::EcrToken);
        (fetched == count)
            .then_some(())
            .ok_or_else(|| fetched.to_string())
    });
    fetched.await.unwrap_or_else(|error| panic!("{error}"));
}
