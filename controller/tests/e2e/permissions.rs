//! What is missing in the role is reported, and costs no more than it must.

use crate::harness::{Controller, World};
use kube_autorollout_testbed::{
    controller,
    image::{Image, Pusher},
    registry::{ALICE, Access},
    workload,
};

#[tokio::test]
async fn without_any_readable_kind_it_is_alive_and_not_ready_and_says_what_to_add() {
    let world = World::with_rights("no-role", Vec::new()).await;
    let controller = world.controller_as_it_is("").await;
    let forbidden = ["WARN", "cannot watch", "forbidden"];
    for missing in ["deployments", "statefulsets", "daemonsets"] {
        let missing = format!("verb list on {missing}");
        controller
            .until_logged(&[&forbidden[..], &[missing.as_str()]].concat())
            .await;
    }
    assert_eq!(controller.get("/livez").await, 200);
    assert_eq!(controller.get("/health/live").await, 200);
    assert_eq!(controller.get("/health/ready").await, 503);
    assert!(
        controller
            .metrics()
            .await
            .sum("watch_errors_total", &[("kind", "Deployment")])
            >= 1.0
    );
}

/// The Deployment `web`, and a controller that finds it up to date and may not patch it.
pub(crate) async fn without_patches(hint: &str, configuration: &str) -> (World, Controller) {
    let mut rights = controller::rights(&["deployments"]);
    rights.push(controller::rule("apps", "deployments", &["list", "watch"]));
    let world = World::with_rights(hint, rights).await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let controller = world.controller(configuration).await;
    controller.until_all("UpToDate", 1).await;
    (world, controller)
}

#[tokio::test]
async fn a_refused_patch_is_reported_and_tried_again() {
    let (world, controller) = without_patches("no-patch", "").await;
    world.push(&world.version(2), "app").await;
    let note = world.until_event("web", "RolloutFailed").await;
    assert!(
        note.contains("refused the patch") && note.contains("forbidden"),
        "{note}"
    );
    controller
        .until_logged(&["WARN", "/web", "ApiServer: "])
        .await;
    let metrics = controller.until_all("Unknown", 1).await;
    assert!(metrics.rollouts("failed") >= 1);
    assert_eq!(metrics.rollouts("triggered"), 0);

    world
        .permit(controller::rule("apps", "deployments", &["patch"]))
        .await;
    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;
}

#[tokio::test]
async fn the_pods_own_pull_secrets_are_presented() {
    let world = World::new("pull-secret").await;
    let registry = world
        .testbed
        .start_registry(Access::Htpasswd)
        .await
        .expect("a registry");
    let pusher = Pusher::new(registry.access_as(ALICE)).expect("a pusher");
    let image = |version: &str| Image::new(format!("{}-{version}", world.namespace.name()));
    pusher
        .push(&image("1"), "app", "latest")
        .await
        .expect("pushed");
    world.secret("login", &registry.docker_config(ALICE)).await;
    let reference = format!("{}/app:latest", registry.host());
    let web = workload::Deployment::named("web")
        .container("app", &reference)
        .pull_secret("login");
    world.create(web.labelled()).await;
    world.rolled_out("web").await;

    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.crt");
    std::fs::write(&ca, registry.ca_certificate()).expect("a file");
    let trusted = format!(
        "registries: [{{ hostnamePattern: '*' }}]
tls: {{ caCertificatePaths: ['{}'] }}",
        ca.display()
    );
    let controller = world.controller(&trusted).await;
    controller.until_all("UpToDate", 1).await;
    pusher
        .push(&image("2"), "app", "latest")
        .await
        .expect("pushed");
    controller.until_completed(1).await;
    assert!(
        !controller.log().contains(ALICE.password),
        "no secret in the log"
    );
}

#[tokio::test]
async fn json_logs_are_json() {
    let (_world, controller) = World::with_web("json", "logFormat: json").await;
    let log = controller.log();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    assert!(
        lines.iter().any(|line| line["message"] == "started"),
        "{log}"
    );
    assert!(
        lines
            .iter()
            .all(|line| line["level"].is_string() && line["timestamp"].is_string()),
        "{log}"
    );
}
