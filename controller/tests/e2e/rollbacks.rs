//! Rollouts that `kubectl rollout undo` undoes, and tags that move back and forth.

use kube::ResourceExt as _;
use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_testbed::{
    programs::{Program, Programs},
    workload::{self, eventually},
};
use serde_json::json;
use tokio::{process::Command, task::spawn_blocking};

use crate::{
    clock::Clock,
    harness::{Controller, SOON, World},
    kinds::{self, KINDS},
    pinning::{self, PINNING, of_kind, rolls_out},
    reported::until_reported,
};

/// Undoes the last rollout of a workload with `kubectl`.
async fn undo(world: &World, kind: &str, name: &str) {
    let kubectl = spawn_blocking(|| Programs::tool(Program::Kubectl, &|_| ())).await;
    let mut undo = Command::new(kubectl.expect("it ran").expect("Go builds it"));
    undo.arg("--kubeconfig")
        .arg(world.testbed.control_plane().kubeconfig());
    undo.args([
        "--namespace",
        world.namespace.name(),
        "rollout",
        "undo",
        &format!("{kind}/{name}"),
    ]);
    let output = undo.output().await.expect("kubectl");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn stays_undone(world: &World, controller: &Controller, pods: usize) {
    world.until_running(&world.marker(2), pods).await;
    let (state, reason) = (State::Held, Reason::RolledBack);
    until_reported(world, controller, "web", state, reason).await;
    let before = world.patches();
    controller.checks("web", 5).await;
    controller.until_all("Held", 1).await;
    assert_eq!(world.patches(), before, "five checks");
    world.until_running(&world.marker(2), pods).await;
}

#[tokio::test]
async fn an_undone_rollout_stays_undone_until_the_next_push() {
    for kind in KINDS {
        let (world, controller, pods) = of_kind(&format!("undo-{kind}"), kind, "").await;
        rolls_out(&world, &controller, 3, pods).await;
        undo(&world, kind, "web").await;
        stays_undone(&world, &controller, pods).await;
        assert_eq!(controller.stop().await, Some(0));
        controller.start().await;
        stays_undone(&world, &controller, pods).await;
        assert_eq!(world.patches(), 2);
        rolls_out(&world, &controller, 4, pods).await;
        assert_eq!(world.patches(), 3, "{kind}");
        assert_eq!(world.events("web", "NotPinned").await, [""; 0]);
        assert_eq!(world.events("web", "NotConverging").await, [""; 0]);
    }
}

/// What a process remembers of its rollouts says nothing after an hour.
#[tokio::test]
async fn undone_rollouts_stay_undone_for_an_hour_of_checks_over_changes_of_leader_and_a_restart() {
    let Some(clock) = Clock::new() else { return };
    let world = pinning::world("undo-hour").await;
    world.push(&world.version(1), "app").await;
    let mut pods = 0;
    for kind in KINDS {
        let like = workload::Deployment::named(kind).container("app", &world.image("app"));
        pods += kinds::create(&world, kind, like).await;
    }
    world.until_running(&world.marker(1), pods).await;
    let configuration = format!("{PINNING}\nleaderElection: {{ enabled: true }}");
    let first = clock.controller(&world, &configuration).await;
    first.until_all("UpToDate", 3).await;
    let second = clock.controller(&world, &configuration).await;
    for version in [2, 3] {
        world.push(&world.version(version), "app").await;
        world.until_running(&world.marker(version), pods).await;
        first.until_all("UpToDate", 3).await;
    }
    for kind in KINDS {
        undo(&world, kind, kind).await;
    }
    let twenty_checks = async |controller: &Controller, minutes: i64| {
        world.until_running(&world.marker(2), pods).await;
        for kind in KINDS {
            let (state, reason) = (State::Held, Reason::RolledBack);
            until_reported(&world, controller, kind, state, reason).await;
            until_complete(&world, kind).await;
        }
        let mut before = None;
        for minute in minutes..minutes + 20 {
            clock.set(60 * minute);
            controller.checks("deployments", 1).await;
            before.get_or_insert_with(|| requests(&world));
        }
        controller.until_all("Held", 3).await;
        let after = Some(requests(&world));
        assert_eq!(after, before, "the history has been read");
    };
    twenty_checks(&first, 1).await;
    assert_eq!(first.stop().await, Some(0));
    twenty_checks(&second, 21).await;
    first.start().await;
    assert_eq!(second.stop().await, Some(0));
    twenty_checks(&first, 41).await;
    world.until_running(&world.marker(2), pods).await;
    assert_eq!(KINDS.map(|kind| world.patches_of(kind)), [2, 2, 2]);
}

/// Waits until the status of a workload of this kind, whose name is that of the kind, says that its rollout is complete: no
/// more is to be learnt from it.
async fn until_complete(world: &World, kind: &str) {
    let api = kinds::api(world, kind);
    let complete = eventually(SOON, "complete", async || {
        let object = api.get(kind).await.map_err(|error| error.to_string())?;
        workload::is_rolled_out_as(kinds::of(kind), &object)
            .then_some(())
            .ok_or_else(|| object.data["status"].to_string())
    });
    complete.await.unwrap_or_else(|error| panic!("{error}"));
}

/// The controllers' requests to the API server, except for the Lease.
fn requests(world: &World) -> usize {
    let requests = world.requests().into_iter();
    let others = requests.filter(|request| request.resource != "leases");
    others.count()
}

#[tokio::test]
async fn an_undone_rollout_comes_back_when_its_owner_says_so_and_a_restart_does_not() {
    const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";
    for kind in KINDS {
        let (world, controller, pods) = of_kind(&format!("undo-hold-{kind}"), kind, "").await;
        rolls_out(&world, &controller, 3, pods).await;
        undo(&world, kind, "web").await;
        stays_undone(&world, &controller, pods).await;
        let annotated = json!({ "annotations": { RESTARTED_AT: "2100-01-01T00:00:00Z" } });
        let restart = json!({ "spec": { "template": { "metadata": annotated } } });
        kinds::patch(&world, kind, "web", &restart).await;
        let restarted = eventually(SOON, "restarted pods", async || {
            let all = pinning::pods(&world).await;
            let are_new = all
                .iter()
                .all(|pod| pod.annotations().contains_key(RESTARTED_AT));
            (are_new && all.len() == pods)
                .then_some(())
                .ok_or_else(|| format!("{} pods", all.len()))
        });
        restarted.await.unwrap_or_else(|error| panic!("{error}"));
        stays_undone(&world, &controller, pods).await;
        kinds::hold(&world, kind, "web", Some("false")).await;
        world.until_running(&world.marker(3), pods).await;
        controller.until_all("UpToDate", 1).await;
        assert_eq!(world.patches(), 3, "{kind}");
    }
}

#[tokio::test]
async fn a_tag_that_moves_to_and_fro_is_rolled_out_each_time() {
    for kind in KINDS {
        let (world, controller, pods) = of_kind(&format!("fro-{kind}"), kind, "").await;
        for version in [3, 2, 3, 2] {
            rolls_out(&world, &controller, version, pods).await;
        }
        controller.checks("web", 3).await;
        assert_eq!(world.patches(), 5, "{kind}");
    }
}

/// Without pins the pods of an older template pull what the tag names: there is nothing to hold.
#[tokio::test]
async fn without_pins_an_undone_rollout_runs_what_the_tag_names() {
    let (world, controller, pods) = kinds::with("undo-unpinned", "deployments").await;
    for version in [2, 3] {
        rolls_out(&world, &controller, version, pods).await;
    }
    undo(&world, "deployments", "web").await;
    let deployed = eventually(SOON, "the old template", async || {
        let web = world.deployment("web").await;
        let template = json!(web.spec)["template"].to_string();
        let digest = world.version(2).digest().to_string();
        template.contains(&digest).then_some(()).ok_or(template)
    });
    deployed.await.unwrap_or_else(|error| panic!("{error}"));
    world.rolled_out("web").await;
    world.until_running(&world.marker(3), pods).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 3).await;
    assert_eq!(world.patches(), 2);
}
