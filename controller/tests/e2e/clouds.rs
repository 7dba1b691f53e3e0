//! Registries of clouds, read with nothing but the identity of the controller's pod.

mod check;
mod outages;
mod scene;

use std::time::Duration;

use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_testbed::{
    cloud::{ECR, EVIL, Failure, Mistreatment, Step, Via},
    workload,
};
use serde_json::json;

use self::scene::Scene;
use crate::metrics::Metrics;
#[tokio::test]
async fn each_identity_of_each_cloud_reads_its_registry_and_is_shown_nowhere() {
    let scene = Scene::new("clouds").await;
    let world = &scene.world;
    world.push(&world.version(0), "app").await;
    world.deploy("web", "app").await;
    for (version, identity) in (1..).zip(scene.identities()) {
        let controller = scene.controller(&identity).await;
        controller.until_all("UpToDate", 1).await;
        world.push(&world.version(version), "app").await;
        world.until_running(&world.marker(version), 1).await;
        controller.until_all("UpToDate", 1).await;
        scene.assert_discreet(&controller).await;
        let cloud = identity.whose.split(':').next().expect("a cloud");
        let refreshed = [("provider", cloud), ("outcome", "succeeded")];
        let metrics = controller.metrics().await;
        let fetched = metrics.sum("credential_refresh_total", &refreshed);
        assert!((fetched - 1.0).abs() < 0.1, "{}: {fetched}", identity.whose);
    }
    let asked = scene.clouds.asked();
    let metadata = [Step::Metadata, Step::PodIdentity].map(Some);
    let mut local = asked.iter().filter(|asked| metadata.contains(&asked.step));
    assert!(
        local.all(|asked| asked.via == Via::Local),
        "never through the proxy"
    );
    assert!(
        asked.iter().all(|asked| asked.via != Via::Forward),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_missing_permission_is_reported_with_what_fixes_it_and_is_no_quarantine() {
    let scene = Scene::new("cloud-denied").await;
    let world = &scene.world;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let denied = Failure::Code(400, "AccessDeniedException");
    scene.clouds.fail(Step::EcrToken, Some(denied));
    let controller = scene.controller(&scene.irsa()).await;
    let note = world.until_event("web", "RegistryCheckFailed").await;
    for part in [
        "CloudIdentity",
        "aws: GetAuthorizationToken at api.ecr.eu-central-1.amazonaws.com: AccessDeniedException",
        "allow ecr:GetAuthorizationToken on *",
    ] {
        assert!(note.contains(part), "{part}: {note}");
    }
    let (state, reason) = (State::Unknown, Reason::CloudIdentity);
    let decided = [
        "decided",
        &format!("state={state} "),
        &format!("reason=\"{reason}\""),
    ];
    controller.until_logged(&decided).await;
    controller.until_all(state.as_str(), 1).await;
    // The cloud's failure is one for all workloads, so the line names none.
    let line = controller.until_logged(&["WARN", reason.as_str()]).await;
    assert!(!line.contains("web"), "{line}");
    let metrics = controller.metrics().await;
    assert!(metrics.sum("credentials_quarantined", &[]) < 0.1);
    let failed = [("provider", "aws"), ("outcome", "failed")];
    assert!(metrics.sum("credential_refresh_total", &failed) > 0.9);
    let registry = scene.clouds.asked();
    assert!(
        registry.iter().all(|asked| asked.host != ECR),
        "nor anonymously"
    );

    scene.clouds.fail(Step::EcrToken, None);
    controller.until_all("UpToDate", 1).await;
    controller
        .until_logged(&["INFO", "the cloud issues tokens again"])
        .await;
    assert_eq!(world.patches(), 0);
    scene.assert_discreet(&controller).await;
}

#[tokio::test]
async fn a_role_that_may_not_read_a_repository_is_reported_with_the_missing_permission() {
    let scene = Scene::new("cloud-forbidden").await;
    let world = &scene.world;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    scene.clouds.mistreat(Some(Mistreatment::Forbid));
    let permissions = [
        ("aws", "ecr:BatchGetImage"),
        ("azure", "AcrPull"),
        ("gcp", "roles/artifactregistry.reader"),
    ];
    for identity in scene.identities() {
        let controller = scene.controller(&identity).await;
        let permission = permissions
            .iter()
            .find(|(cloud, _)| identity.whose.starts_with(cloud));
        let (_, permission) = permission.expect("a cloud");
        let asked_as = format!("asked as {}", identity.whose);
        controller
            .until_logged(&["WARN", "Denied", &asked_as, permission])
            .await;
        let head = [("operation", "head"), ("result", "Denied")];
        let often = |metrics: &Metrics| metrics.sum("registry_requests_total", &head) >= 4.0;
        controller.until("several refusals", often).await;
        let metrics = controller.metrics().await;
        assert!(metrics.sum("credentials_quarantined", &[]) < 0.1);
        let refreshed = metrics.sum("credential_refresh_total", &[]);
        assert!(
            (refreshed - 2.0).abs() < 0.1,
            "{}: {refreshed}",
            identity.whose
        );
        scene.assert_discreet(&controller).await;
    }
}

#[tokio::test]
async fn a_token_that_is_revoked_is_fetched_anew_before_any_verdict() {
    let scene = Scene::new("cloud-revoked").await;
    let world = &scene.world;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    for identity in scene.identities() {
        let controller = scene.controller(&identity).await;
        controller.until_all("UpToDate", 1).await;
        scene.clouds.revoke();
        controller.checks("web", 3).await;
        let log = controller.log();
        for refusal in [
            "Unauthorized",
            "Denied",
            "CredentialQuarantined",
            "CloudIdentity",
        ] {
            let mut warned = log.lines().filter(|line| line.contains("WARN"));
            assert!(
                warned.all(|line| !line.contains(refusal)),
                "{}",
                identity.whose
            );
        }
        let cloud = identity.whose.split(':').next().expect("a cloud");
        let labels = [("provider", cloud), ("outcome", "succeeded")];
        let fetched = controller
            .metrics()
            .await
            .sum("credential_refresh_total", &labels);
        assert!((fetched - 2.0).abs() < 0.1, "{}: {fetched}", identity.whose);
        scene.assert_discreet(&controller).await;
    }
}

#[tokio::test]
async fn no_token_goes_to_a_host_that_only_looks_like_a_clouds() {
    let scene = Scene::new("cloud-evil").await;
    let world = &scene.world;
    let image = format!("{EVIL}/web:1");
    let web = workload::Deployment::named("web").container("app", &image);
    world.create(web.labelled()).await;
    for pattern in ["*", "*.amazonaws.com*"] {
        let secret = json!({ "type": "CloudIdentity" });
        let entry = json!({ "hostnamePattern": pattern, "secret": secret });
        let configuration = scene.configuration_of(&entry);
        let controller = scene.controller_with(&configuration, &scene.irsa()).await;
        controller
            .until_logged(&[
                "WARN",
                "no cloud's token is sent to",
                EVIL,
                "it is no registry",
            ])
            .await;
        controller.until_logged(&["WARN", "TagNotFound"]).await;
        scene.assert_discreet(&controller).await;
    }
    let asked = scene.clouds.asked();
    assert!(asked.iter().any(|asked| asked.host == EVIL), "it is asked");
    assert!(
        asked.iter().all(|asked| asked.step.is_none()),
        "and no cloud is"
    );
}

#[tokio::test]
async fn no_token_follows_a_redirect_or_a_realm_of_a_registry() {
    let scene = Scene::new("cloud-mistreatment").await;
    let world = &scene.world;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    for identity in scene.identities() {
        for mistreatment in [Mistreatment::Redirect, Mistreatment::Realm] {
            let before = scene.clouds.asked().len();
            scene.clouds.mistreat(Some(mistreatment));
            let controller = scene.controller(&identity).await;
            controller.until_logged(&["WARN", "container app"]).await;
            scene.assert_discreet(&controller).await;
            let asked = scene.clouds.asked().split_off(before);
            let went = asked.iter().any(|asked| asked.host == EVIL);
            assert_eq!(
                went,
                mistreatment == Mistreatment::Redirect,
                "{}: {asked:?}",
                identity.whose
            );
        }
    }
}

/// For how long something is seen not to happen.
const MEANWHILE: Duration = Duration::from_secs(10);
