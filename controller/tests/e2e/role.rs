//! Each single right in the roles of the chart is needed: a controller with all the others loses what stands in the table.

mod chart;

use std::collections::BTreeSet;

use futures::future::LocalBoxFuture;
use kube_autorollout_testbed::{
    image::{Image, Pusher},
    registry::{ALICE, Access},
    workload::{Deployment, eventually},
};
use serde_json::{Value, json};
use tokio::task::{JoinSet, LocalSet};

use crate::{
    harness::{Controller, SOON, World},
    kinds::create,
    no_rollout::other_architecture,
};
use chart::{rendered, rights, world};

/// A group, a resource and a verb.
type Right = [&'static str; 3];

/// The consequence of a missing permission.
#[derive(Debug, Clone, Copy)]
enum Loss {
    /// The workloads of the kind are not known.
    Kind,
    /// Workloads that are labelled later are not noticed.
    News,
    /// Workloads of the kind are not rolled out, and an Event reports that.
    Rollout,
    /// What pods of these workloads run is not known.
    Pods(&'static str),
    /// The pull Secrets of pods are not presented to registries.
    Credentials,
    /// Nobody is reported.
    Events,
    /// Nobody leads.
    Leader,
    /// Who leads does not for long.
    Renewal,
    /// A platform that no node has counts.
    Platforms,
}

const TABLE: [(Right, Loss); 18] = [
    (["apps", "deployments", "list"], Loss::Kind),
    (["apps", "statefulsets", "list"], Loss::Kind),
    (["apps", "daemonsets", "list"], Loss::Kind),
    (["apps", "deployments", "watch"], Loss::News),
    (["apps", "statefulsets", "watch"], Loss::News),
    (["apps", "daemonsets", "watch"], Loss::News),
    (["apps", "deployments", "patch"], Loss::Rollout),
    (["apps", "statefulsets", "patch"], Loss::Rollout),
    (["apps", "daemonsets", "patch"], Loss::Rollout),
    (["apps", "replicasets", "list"], Loss::Pods("deployments")),
    (
        ["apps", "controllerrevisions", "list"],
        Loss::Pods("daemonsets"),
    ),
    (["", "pods", "list"], Loss::Pods("statefulsets")),
    (["", "secrets", "get"], Loss::Credentials),
    (["events.k8s.io", "events", "create"], Loss::Events),
    (["coordination.k8s.io", "leases", "get"], Loss::Leader),
    (["coordination.k8s.io", "leases", "create"], Loss::Leader),
    (["coordination.k8s.io", "leases", "update"], Loss::Renewal),
    (["", "nodes", "get"], Loss::Platforms),
];

/// Rows at once: each waits most of the time.
const AT_ONCE: usize = 6;

#[test]
fn the_table_has_just_the_rights_of_the_chart() {
    let rendered = rendered().iter().flat_map(rights).collect::<BTreeSet<_>>();
    let table = TABLE.map(|(right, _)| right.map(str::to_owned));
    assert_eq!(rendered, BTreeSet::from(table));
}

#[tokio::test]
async fn without_any_one_of_its_rights_the_controller_loses_what_that_is_for() {
    let rendered = rendered();
    let mut failed = Vec::new();
    for rows in TABLE.chunks(AT_ONCE) {
        let local = LocalSet::new();
        let mut running = JoinSet::new();
        let mut names = std::collections::HashMap::new();
        for (right, loss) in rows.iter().copied() {
            let row = row(right, loss, rendered.clone());
            let id = running.spawn_local_on(row, &local).id();
            names.insert(id, format!("{right:?}: {loss:?}"));
        }
        let done = local.run_until(async {
            while let Some(ended) = running.join_next().await {
                if let Err(error) = ended {
                    failed.push(format!("{}: {error}", names[&error.id()]));
                }
            }
        });
        done.await;
    }
    assert_eq!(failed, [""; 0]);
}

/// Runs a controller without the right and waits for the loss.
async fn row(right: Right, loss: Loss, rendered: Vec<Value>) {
    let [_, resource, verb] = right;
    let world = world(&format!("no-{verb}-{resource}"), right, rendered).await;
    let found: LocalBoxFuture<'_, ()> = match loss {
        Loss::Kind => Box::pin(lacks_the_kind(&world, resource)),
        Loss::News => Box::pin(lacks_news(&world, resource)),
        Loss::Rollout => Box::pin(lacks_the_rollout(&world, resource)),
        Loss::Pods(kind) => Box::pin(lacks_the_pods(&world, kind, resource)),
        Loss::Credentials => Box::pin(lacks_credentials(&world)),
        Loss::Events => Box::pin(lacks_events(&world)),
        Loss::Leader => Box::pin(lacks_a_leader(&world)),
        Loss::Renewal => Box::pin(lacks_the_renewal(&world)),
        Loss::Platforms => Box::pin(lacks_platforms(&world)),
    };
    found.await;
}

/// Another kind, whose workloads show that everything else works.
fn witness(kind: &str) -> &'static str {
    if kind == "deployments" {
        "statefulsets"
    } else {
        "deployments"
    }
}

/// The kind in metrics.
fn object_kind(plural: &str) -> &'static str {
    match plural {
        "deployments" => "Deployment",
        "statefulsets" => "StatefulSet",
        _ => "DaemonSet",
    }
}

/// A workload of the kind and one of its witness, each named as its kind, on version 1 of the tag `app`.
async fn with_witness(world: &World, kind: &str) -> Controller {
    world.push(&world.version(1), "app").await;
    let mut pods = 0;
    for kind in [kind, witness(kind)] {
        let like = Deployment::named(kind).container("app", &world.image("app"));
        pods += create(world, kind, like).await;
    }
    world.until_running(&world.marker(1), pods).await;
    world.controller("").await
}

/// The tag moves, and the witness is rolled out.
async fn witness_follows(world: &World, kind: &str) {
    world.push(&world.version(2), "app").await;
    until_patched(world, witness(kind)).await;
}

async fn until_patched(world: &World, kind: &str) {
    let patched = eventually(SOON, "a rollout", async || match world.patches_of(kind) {
        1 => Ok(()),
        other => Err(other.to_string()),
    });
    patched.await.unwrap_or_else(|error| panic!("{error}"));
}

async fn lacks_the_kind(world: &World, kind: &str) {
    let controller = with_witness(world, kind).await;
    let missing = format!("verb list on {kind}");
    controller.until_logged(&["cannot watch", &missing]).await;
    witness_follows(world, kind).await;
    assert!(controller.metrics().await.last_check(kind) < 1.0);
    assert_eq!(world.patches_of(kind), 0);
}

async fn lacks_news(world: &World, kind: &str) {
    let controller = with_witness(world, kind).await;
    let missing = format!("verb watch on {kind}");
    controller.until_logged(&["cannot watch", &missing]).await;
    let late = |kind: &str| format!("late-{kind}");
    for kind in [kind, witness(kind)] {
        let like = Deployment::named(&late(kind)).container("app", &world.image("app"));
        create(world, kind, like).await;
    }
    let seen = late(witness(kind));
    let noticed = |metrics: &crate::metrics::Metrics| metrics.last_check(&seen) > 0.0;
    let metrics = controller.until("the witness noticed", noticed).await;
    assert!(metrics.last_check(&late(kind)) < 1.0);
}

async fn lacks_the_rollout(world: &World, kind: &str) {
    let controller = with_witness(world, kind).await;
    controller.until_all("UpToDate", 2).await;
    witness_follows(world, kind).await;
    let note = world.until_event(kind, "RolloutFailed").await;
    assert!(note.contains("forbidden"), "{note}");
    assert_eq!(world.patches_of(kind), 0);
}

/// The pods of a kind are not known; where those of its witness are, that is rolled out.
async fn lacks_the_pods(world: &World, kind: &str, resource: &str) {
    let controller = with_witness(world, kind).await;
    let unknown = |metrics: &crate::metrics::Metrics| {
        metrics.sum("workloads", &[("state", "Unknown")]) >= 1.0
    };
    controller.until("an unknown workload", unknown).await;
    if resource == "pods" {
        world.push(&world.version(2), "app").await;
    } else {
        witness_follows(world, kind).await;
    }
    let tried = |metrics: &crate::metrics::Metrics| {
        metrics.sum("reconciliations_total", &[("kind", object_kind(kind))])
    };
    let before = tried(&controller.metrics().await);
    let again = |metrics: &crate::metrics::Metrics| tried(metrics) >= before + 2.0;
    controller.until("more tries", again).await;
    controller
        .until_logged(&[&format!("/{kind}"), "ApiServer", resource])
        .await;
    assert_eq!(world.patches_of(kind), 0);
}

async fn lacks_credentials(world: &World) {
    let registry = world.testbed.start_registry(Access::Htpasswd).await;
    let registry = registry.expect("a registry");
    let pusher = Pusher::new(registry.access_as(ALICE)).expect("a pusher");
    let image = Image::new(world.namespace.name());
    pusher.push(&image, "app", "latest").await.expect("pushed");
    world.secret("login", &registry.docker_config(ALICE)).await;
    let reference = format!("{}/app:latest", registry.host());
    let web = Deployment::named("web").container("app", &reference);
    world.create(web.pull_secret("login").labelled()).await;
    world.rolled_out("web").await;
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.crt");
    std::fs::write(&ca, registry.ca_certificate()).expect("a file");
    let trusted = json!({ "caCertificatePaths": [ca] });
    let controller = world
        .controller(&format!("registries: []\ntls: {trusted}"))
        .await;
    controller.until_all("Unknown", 1).await;
    controller
        .until_logged(&["pull Secrets", "are not used"])
        .await;
    controller.until_logged(&["/web", "Unauthorized"]).await;
}

async fn lacks_events(world: &World) {
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 1).await;
    world.push(&world.version(2), "app").await;
    let completed = |metrics: &crate::metrics::Metrics| {
        metrics.rollouts("completed") >= 1 && metrics.sum("events_dropped_total", &[]) >= 2.0
    };
    controller
        .until("a rollout nobody is reported of", completed)
        .await;
    for reason in ["RolloutTriggered", "RolloutCompleted"] {
        assert_eq!(world.events("web", reason).await, [""; 0]);
    }
}

const ELECTED: &str = "leaderElection: { enabled: true }";

async fn lacks_a_leader(world: &World) {
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let controller = world.controller_as_it_is(ELECTED).await;
    let refused = ["cannot hold the Lease", "forbidden"];
    controller.until_logged(&refused).await;
    let metrics = controller.metrics().await;
    assert_eq!(metrics.value("leader", &[]), Some(0.0));
    assert!(metrics.last_check("web") < 1.0, "nobody checks");
    assert!(metrics.sum("registry_requests_total", &[]) < 1.0);
}

async fn lacks_the_renewal(world: &World) {
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let controller = world.controller(ELECTED).await;
    controller.until_all("UpToDate", 1).await;
    controller
        .until_logged(&["cannot hold the Lease", "forbidden"])
        .await;
    controller.until_logged(&["lost leadership"]).await;
    assert_eq!(controller.metrics().await.value("leader", &[]), Some(0.0));
}

async fn lacks_platforms(world: &World) {
    let controller = other_architecture(world, "").await;
    controller.until_logged(&["nodes may not be read"]).await;
    until_patched(world, "deployments").await;
}
