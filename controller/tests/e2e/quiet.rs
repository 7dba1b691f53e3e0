//! What a check costs when nothing has changed.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use kube_autorollout_testbed::{admission::PINS, image::Image, workload, workload::eventually};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    harness::{SOON, World},
    pinning::{PINNING, put_in_force},
};

/// The schedule's tick, in seconds: long enough that the start is over before the measurement begins.
const TICK: usize = 4;

#[tokio::test]
async fn three_quiet_checks_of_fifty_workloads_cost_fifteen_heads_and_no_line_of_the_log() {
    let world = World::new("quiet").await;
    fifty(&world).await;
    let controller = world
        .controller(&format!("interval: {TICK}s\nlogLevel: info"))
        .await;
    controller.until_all("UpToDate", 50).await;

    // From just after a tick's checks to just after those of the third tick later.
    let log = world.testbed.registry().log();
    let ours = || {
        let ours = log.of_controllers(world.namespace.name());
        let mut counts = BTreeMap::new();
        for request in ours.expect("the access log") {
            *counts.entry(request.method).or_insert(0_usize) += 1;
        }
        counts
    };
    let heads = || ours().get("HEAD").copied().unwrap_or(0);
    let settled = heads().next_multiple_of(5) + 5;
    until_heads(&heads, settled).await;
    let before = (ours(), world.requests().len());
    let log_before = controller.log();
    assert!(
        log_before.lines().count() < 10,
        "of the start: {log_before}"
    );
    until_heads(&heads, settled + 15).await;
    let after = (ours(), world.requests().len());
    let expected = BTreeMap::from([("HEAD".to_owned(), settled + 15)]);
    assert_eq!(
        after.0, expected,
        "nothing but HEAD, and one for each tag and tick; before: {:?}",
        before.0
    );
    assert_eq!(
        after.1,
        before.1,
        "{:?}",
        world.requests().split_off(before.1)
    );
    let metrics = controller.metrics().await;
    assert_eq!(
        metrics
            .value(
                "registry_requests_total",
                &[("operation", "head"), ("result", "ok")]
            )
            .map(|sum| sum >= 20.0),
        Some(true)
    );
    assert_eq!(world.patches(), 0);
    assert_eq!(controller.log(), log_before, "not a line of the log");
}

#[tokio::test]
async fn a_start_lists_each_kind_once_in_pages_of_100_workloads() {
    const MANY: usize = 600;
    let world = World::new("many").await;
    let image = world.image("app");
    for number in 0..MANY {
        let web = workload::Deployment::named(&format!("web-{number}")).container("app", &image);
        world.create(web.labelled().replicas(0)).await;
    }
    let controller = world.controller("").await;
    controller.until_all("Skipped", MANY).await;
    let requests = world.requests().into_iter();
    let lists = requests.filter(|request| request.verb == "list");
    let mut kinds: Vec<_> = lists.map(|request| request.resource).collect();
    kinds.sort();
    let pages = ["deployments"; 6];
    assert_eq!(
        kinds,
        [&["daemonsets"][..], &pages, &["statefulsets"]].concat()
    );
}

/// A check asks for each tag, and for the digest that its pods are pinned to and that it does not name any more. So many pods
/// at once would hold up other tests on the same control plane.
#[tokio::test]
async fn a_check_of_500_held_workloads_on_50_tags_costs_one_more_head_for_each_tag() {
    const SECONDS: u64 = 2;
    let world = World::alone("held").await;
    put_in_force(&world).await;
    held(&world).await;
    let controller = world
        .controller(&format!("{PINNING}\ninterval: {SECONDS}s\nlogLevel: info"))
        .await;
    controller.until_all("Held", 10 * TAGS).await;
    controller.checks("web-0", 1).await;

    let log = world.testbed.registry().log();
    let heads = || {
        let ours = log.of_controllers(world.namespace.name());
        let mut counts = BTreeMap::new();
        for request in ours.expect("the access log") {
            if request.method == "HEAD" {
                *counts.entry(request.path).or_insert(0_u64) += 1;
            }
        }
        counts
    };
    let (begun, before, requests) = (Instant::now(), heads(), world.requests().len());
    let three = eventually(SOON, "three HEAD requests for each", async || {
        let mut counts = heads();
        for (path, count) in &mut counts {
            *count -= before.get(path).unwrap_or(&0);
        }
        let each = counts.len() == 2 * TAGS && counts.values().all(|count| *count >= 3);
        let seen = format!("{counts:?}");
        each.then_some(counts).ok_or(seen)
    });
    let counts = three.await.unwrap_or_else(|error| panic!("{error}"));
    // One of the tick before may be late
    let most = begun.elapsed().as_secs() / SECONDS + 2;
    for (path, count) in counts {
        assert!(count <= most, "{path}: {count} of {most}");
    }
    assert_eq!(world.requests().len(), requests, "of the API server");
    assert_eq!(world.patches(), 0);
}

/// The tags of the workloads that are held.
const TAGS: usize = 50;

/// Ten held Deployments of each tag, pinned to the image that it named before.
async fn held(world: &World) {
    let image = |tag: usize, version: u32| Image::new(format!("held-{tag}-{version}"));
    for version in [1, 2] {
        let push = async |tag: usize| world.push(&image(tag, version), &format!("t{tag}")).await;
        let all = stream::iter(0..TAGS).map(push);
        all.buffer_unordered(16).collect::<()>().await;
    }
    let create = async |number: usize| {
        let tag = number % TAGS;
        let named = world.image(&format!("t{tag}"));
        let pins = json!({ "app": format!("{named}@{}", image(tag, 1).digest()) });
        let web = workload::Deployment::named(&format!("web-{number}"))
            .container("app", &named)
            .template_annotation(PINS, &pins.to_string())
            .annotation("kube-autorollout/hold", "true");
        world.create(web.labelled()).await;
    };
    let all = stream::iter(0..10 * TAGS).map(create);
    all.buffer_unordered(16).collect::<()>().await;
    let old = (0..10 * TAGS).map(|number| format!("held-{}-1", number % TAGS));
    world.until_markers(old.collect()).await;
}

/// Fifty Deployments of five tags.
async fn fifty(world: &World) {
    for tag in 0..5 {
        world
            .push(&Image::new(format!("quiet-{tag}")), &format!("t{tag}"))
            .await;
    }
    for number in 0..50 {
        let image = world.image(&format!("t{}", number % 5));
        let web = workload::Deployment::named(&format!("web-{number}")).container("app", &image);
        world.create(web.labelled()).await;
    }
    for number in 0..50 {
        world.rolled_out(&format!("web-{number}")).await;
    }
}

async fn until_heads(heads: &impl Fn() -> usize, expected: usize) {
    let reached = eventually(SOON, "so many HEAD requests", async || {
        let seen = heads();
        if seen >= expected {
            Ok(())
        } else {
            Err(format!("{seen} of {expected}"))
        }
    });
    reached.await.unwrap_or_else(|error| panic!("{error}"));
}
