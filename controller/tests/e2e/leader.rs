//! Of several replicas one acts, and another follows it.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube_autorollout_testbed::{
    controller, forwarder::Forwarder, image::Behaviour, workload, workload::eventually,
};
use tokio::time::Instant;

use crate::{
    harness::{Controller, SOON, World},
    limits::Rollouts,
    metrics::Metrics,
    way::{at, behind, gateway, way},
};

const ELECTED: &str = "leaderElection: { enabled: true }";

/// How long a Lease keeps others from leading.
const LEASE: Duration = Duration::from_secs(15);

fn leads(metrics: &Metrics) -> bool {
    metrics.value("leader", &[]) == Some(1.0)
}

/// Two replicas, of which the first leads, and the Deployment `web` on version 1, which is up to date.
async fn two(hint: &str) -> (World, Controller, Controller) {
    let (world, first) = World::with_web(hint, ELECTED).await;
    let second = world.controller(ELECTED).await;
    (world, first, second)
}

#[tokio::test]
async fn of_two_replicas_one_acts_and_the_other_is_ready_and_quiet() {
    let (world, first, second) = two("two").await;
    world.push(&world.version(2), "app").await;
    world.until_running(&world.marker(2), 1).await;
    first.until_all("UpToDate", 1).await;
    first.checks("web", 3).await;
    for replica in [&first, &second] {
        assert_eq!(replica.get("/readyz").await, 200);
    }
    let metrics = [first.metrics().await, second.metrics().await];
    assert_eq!([leads(&metrics[0]), leads(&metrics[1])], [true, false]);
    let [_, waiting] = metrics;
    assert_eq!(waiting.states(), [].into());
    for series in [
        "workloads",
        "workload_outdated",
        "workload_last_check_timestamp_seconds",
        "registry_requests_total",
        "rollouts_total",
    ] {
        let sum = waiting.sum(series, &[]);
        assert!(sum.abs() < f64::EPSILON, "{series}: {sum}");
    }
    assert_eq!(world.patches(), 1);
    let (namespace, mut verbs) = (world.namespace.name(), Vec::new());
    for request in world.requests() {
        if request.resource == "leases" {
            assert_eq!(request.namespace, namespace);
            verbs.push(request.verb);
        }
    }
    verbs.sort();
    verbs.dedup();
    assert_eq!(verbs, ["create", "get", "update"]);
}

#[tokio::test]
async fn a_killed_leader_is_followed_when_its_lease_ends() {
    let (world, first, second) = two("killed").await;
    first.kill();
    let killed = Instant::now();
    world.push(&world.version(2), "app").await;
    second.until("leading", leads).await;
    let took = killed.elapsed();
    assert!(took < LEASE + Duration::from_secs(2), "{took:?}");
    world.until_running(&world.marker(2), 1).await;
    second.until_all("UpToDate", 1).await;
    assert_eq!(world.patches(), 1);

    first.start().await;
    let metrics = first.metrics().await;
    assert!(!leads(&metrics), "the other leads by now");
}

#[tokio::test]
async fn a_rollout_of_a_killed_leader_is_followed_to_its_end_by_the_next() {
    let (world, first, second) = two("killed-rollout").await;
    let slow = world.version(2).download(3 * LEASE);
    world.push(&slow, "app").await;
    first.until_all("RollingOut", 1).await;
    first.kill();
    second.until("leading", leads).await;
    let metrics = second.until_all("RollingOut", 1).await;
    let outdated = metrics.value("workload_outdated", &[("name", "web")]);
    assert_eq!(outdated, Some(1.0), "it is taken for our own rollout");

    second.until_all("UpToDate", 1).await;
    world.until_running(&world.marker(2), 1).await;
    let note = world.until_event("web", "RolloutCompleted").await;
    second.checks("web", 3).await;
    let metrics = second.metrics().await;
    let counted = ["triggered", "completed"].map(|outcome| metrics.rollouts(outcome));
    assert_eq!(counted, [0, 1]);
    let took = metrics.sum("rollout_duration_seconds_sum", &[]);
    assert!(took >= LEASE.as_secs_f64(), "since the patch: {took}");
    assert_eq!(world.events("web", "RolloutCompleted").await, [note]);
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn a_leader_that_is_asked_to_stop_is_followed_at_once_and_its_rollout_with_it() {
    let (world, first, second) = two("stopped").await;
    let stuck = world.version(2).behaviour(Behaviour::NeverReady);
    world.push(&stuck, "app").await;
    first.until_all("RollingOut", 1).await;
    assert_eq!(first.stop().await, Some(0));
    let stopped = Instant::now();
    second.until("leading", leads).await;
    let took = stopped.elapsed();
    assert!(
        took < LEASE / 2,
        "the Lease was not released, but ended: {took:?}"
    );
    let metrics = second.until_all("RollingOut", 1).await;
    let outdated = metrics.value("workload_outdated", &[("name", "web")]);
    assert_eq!(outdated, Some(1.0), "it is taken for our own rollout");
    second.checks("web", 2).await;
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn what_the_leader_before_began_counts_for_the_next_before_any_watch_event() {
    let world = World::new("budget-leader").await;
    world.push(&world.version(1), "app").await;
    for name in ["a", "b"] {
        world.deploy(name, "app").await;
    }
    let configuration = format!("rollouts: {{ maxConcurrent: 1 }}\n{ELECTED}");
    let first = world.controller(&configuration).await;
    first.until_all("UpToDate", 2).await;
    let gateway = gateway(&world).await;
    let second = at(&world, gateway.url(), "/readyz", &configuration).await;
    gateway.deliver_watches(false);
    let slow = world.version(2).download(Duration::from_secs(30));
    world.push(&slow, "app").await;
    let (rollouts, ()) = tokio::join!(Rollouts::watched(&world, 2), async {
        first.until_logged(&["rolled out: "]).await;
        assert_eq!(first.stop().await, Some(0));
        second.until("leading", leads).await;
        second.until_logged(&["WaitingForBudget"]).await;
        gateway.deliver_watches(true);
    });
    assert_eq!(rollouts.most_in_flight, 1);
    second.until_all("UpToDate", 2).await;
    assert_eq!(world.patches(), 2);
}

#[tokio::test]
async fn a_leader_that_is_cut_off_ceases_before_another_begins() {
    let world = World::new("cut").await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let way = way(&world, Duration::ZERO).await;
    let first = behind(&world, &way, ELECTED).await;
    first.until_all("UpToDate", 1).await;
    let second = world.controller(ELECTED).await;

    way.cut();
    world.push(&world.version(2), "app").await;
    let followed = eventually(SOON, "another leader", async || {
        // In this order: who leads now has led when the other was asked.
        let second = leads(&second.metrics().await);
        let first = leads(&first.metrics().await);
        assert!(!(first && second), "two lead at once");
        if second { Ok(()) } else { Err(String::new()) }
    });
    followed.await.unwrap_or_else(|error| panic!("{error}"));
    world.until_running(&world.marker(2), 1).await;
    second.until_all("UpToDate", 1).await;

    way.restore();
    first.until_logged(&["can be read and written again"]).await;
    let metrics = first.metrics().await;
    assert!(!leads(&metrics));
    assert_eq!(metrics.states(), [].into());
    assert!(leads(&second.metrics().await));
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn a_leader_that_stood_still_does_not_act_on_what_it_knew() {
    let (world, first, second) = two("still").await;
    let process = first.0.server();
    process.pause().await.expect("it stands still");
    world.push(&world.version(2), "app").await;
    second.until("leading", leads).await;
    world.until_running(&world.marker(2), 1).await;
    second.until_all("UpToDate", 1).await;
    process.resume().await.expect("it goes on");
    first.until_logged(&["lost leadership"]).await;
    let metrics = first.metrics().await;
    assert!(!leads(&metrics));
    assert_eq!(metrics.states(), [].into());
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn without_the_right_to_the_lease_nobody_leads_and_the_log_says_what_to_add() {
    let rights = controller::rights(&["leases"]);
    let world = World::with_rights("no-lease", rights).await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let controller = world.controller_as_it_is(ELECTED).await;
    let line = controller.until_logged(&["WARN", "Lease"]).await;
    let rule = "add the verbs get, create and update on leases of coordination.k8s.io";
    assert!(line.contains(rule), "{line}");
    assert!(!leads(&controller.metrics().await));
    assert!(
        !controller.log().contains("listed"),
        "only a leader watches"
    );
    let answer = controller.get("/readyz").await;
    assert_eq!(answer, 503, "it could not follow another leader");

    let rule = controller::rule(
        "coordination.k8s.io",
        "leases",
        &["get", "create", "update"],
    );
    world.permit(rule).await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(controller.get("/readyz").await, 200);
    assert_eq!(controller.log().matches("cannot hold the Lease").count(), 1);
}

#[tokio::test]
async fn a_patch_that_is_under_way_is_waited_for_and_told_before_the_lease_is_released() {
    let world = World::new("drain").await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let gateway = gateway(&world).await;
    let controller = at(&world, gateway.url(), "/readyz", ELECTED).await;
    controller.until_all("UpToDate", 1).await;
    gateway.answer_patches(false);
    world.push(&world.version(2), "app").await;
    let patched = eventually(SOON, "a patch", async || match world.patches() {
        0 => Err("none yet".to_owned()),
        _ => Ok(()),
    });
    patched.await.unwrap_or_else(|error| panic!("{error}"));
    let (code, ()) = tokio::join!(controller.stop(), async {
        controller.until_logged(&["INFO", "stopping"]).await;
        controller.until_answering("/readyz", 503).await;
        assert!(leads(&controller.metrics().await), "until it has drained");
        gateway.answer_patches(true);
    });
    assert_eq!(code, Some(0));
    let log = controller.log();
    let order = ["stopping", "rolled out: ", "released the Lease", "stopped"];
    let places = order.map(|part| log.find(part));
    assert!(
        places.is_sorted() && places[0].is_some(),
        "{places:?}\n{log}"
    );
    assert_eq!(world.events("web", "RolloutTriggered").await.len(), 1);
    assert_eq!(world.patches(), 1);
    assert_eq!(holder(&world).await, None);
}

/// Who holds the Lease, if anybody does.
async fn holder(world: &World) -> Option<String> {
    let lease = world.namespace.api::<Lease>().get("kube-autorollout").await;
    let spec = lease.expect("a Lease").spec.expect("its spec");
    spec.holder_identity.filter(|holder| !holder.is_empty())
}

#[tokio::test]
async fn what_waits_for_a_registry_does_not_keep_a_leader_from_stopping_at_once() {
    let world = World::new("stop-registry").await;
    world.push(&world.version(1), "app").await;
    let registry = world.testbed.registry().host().parse();
    let registry = Forwarder::start(registry.expect("an address"), Duration::ZERO).await;
    let registry = registry.expect("a way");
    let image = format!("{}/{}:app", registry.host(), world.namespace.name());
    let web = workload::Deployment::named("web").container("app", &image);
    world.create(web.labelled()).await;
    world.rolled_out("web").await;
    let controller = world.controller(ELECTED).await;
    controller.until_all("UpToDate", 1).await;
    registry.cut();
    registry.expect();
    let asked = eventually(SOON, "a request", async || {
        registry.first().map(drop).ok_or_else(String::new)
    });
    asked.await.unwrap_or_else(|error| panic!("{error}"));
    let asked = Instant::now();
    assert_eq!(controller.stop().await, Some(0), "{}", controller.log());
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(holder(&world).await, None);
}

#[tokio::test]
async fn events_that_cannot_be_written_do_not_keep_the_lease() {
    const MANY: usize = 12; // three times what is written at once
    let world = World::new("stop-events").await;
    world.push(&world.version(1), "app").await;
    for number in 0..MANY {
        world.deploy(&format!("web-{number}"), "app").await;
    }
    let gateway = gateway(&world).await;
    let controller = at(&world, gateway.url(), "/readyz", ELECTED).await;
    controller.until_all("UpToDate", MANY).await;
    gateway.delay("events", Duration::from_secs(60));
    world.push(&world.version(2), "app").await;
    let triggered = |metrics: &Metrics| metrics.rollouts("triggered") > 11;
    controller.until("rollouts", triggered).await;
    let asked = Instant::now();
    let (code, took) = tokio::join!(controller.stop(), async {
        let released = eventually(SOON, "a Lease that is released", async || {
            holder(&world).await.map_or(Ok(()), Err)
        });
        released.await.unwrap_or_else(|error| panic!("{error}"));
        asked.elapsed()
    });
    assert_eq!(code, Some(0), "{}", controller.log());
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(world.patches(), MANY);
}
