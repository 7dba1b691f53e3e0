//! `kube-autorollout check` with the identity of a cloud.

use std::process::Output;

use kube_autorollout_testbed::cloud::{Failure, Step};
use tokio::process::Command;

use super::scene::{Identity, Scene};

async fn check(scene: &Scene, identity: &Identity, more: &[&str]) -> (Option<i32>, String) {
    let file = scene.write("check.yaml", &scene.configuration(identity));
    let output = Command::new(env!("CARGO_BIN_EXE_kube-autorollout"))
        .args(["check", "--config"])
        .arg(file)
        .args(more)
        .arg(scene.world.image("app"))
        .env_clear()
        .envs(scene.environment(identity))
        .output();
    let Output {
        status,
        stdout,
        stderr,
    } = output.await.expect("the program runs");
    let all = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    for text in &all {
        assert!(!text.contains("planted"), "{text}");
    }
    (status.code(), all.concat())
}

#[tokio::test]
async fn it_names_the_identity_that_was_used() {
    let scene = Scene::new("cloud-check").await;
    let world = &scene.world;
    world.push(&world.version(1), "app").await;
    for identity in scene.identities() {
        let (code, text) = check(&scene, &identity, &[]).await;
        let line = format!("  identity        {}\n", identity.whose);
        assert!(code == Some(0) && text.contains(&line), "{line}{text}");
        let (code, text) = check(&scene, &identity, &["--output", "json"]).await;
        let line = format!("\"identity\": \"{}\"", identity.whose);
        assert!(code == Some(0) && text.contains(&line), "{line}{text}");
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn it_says_which_step_failed_and_what_fixes_it() {
    let scene = Scene::new("cloud-check-fails").await;
    let [irsa, .., azure, gke, wif] = &scene.identities()[..] else {
        panic!("they are more");
    };
    let table = [
        (
            irsa,
            Step::AssumeRoleWithWebIdentity,
            "AccessDenied",
            "AssumeRoleWithWebIdentity of",
            "trust policy",
        ),
        (
            irsa,
            Step::EcrToken,
            "AccessDeniedException",
            "GetAuthorizationToken at",
            "allow ecr:GetAuthorizationToken",
        ),
        (
            azure,
            Step::Entra,
            "AADSTS700213",
            "Entra ID at",
            "federated identity credential",
        ),
        (
            azure,
            Step::AcrExchange,
            "UNAUTHORIZED",
            "token exchange at acme.azurecr.io",
            "AcrPull",
        ),
        (
            gke,
            Step::Metadata,
            "404",
            "token of the metadata server",
            "roles/artifactregistry.reader",
        ),
        (
            wif,
            Step::GoogleSts,
            "invalid_grant",
            "token exchange at sts.googleapis.com",
            "audience",
        ),
        (
            wif,
            Step::Impersonation,
            "PERMISSION_DENIED",
            "impersonation of",
            "workloadIdentityUser",
        ),
    ];
    for (identity, step, code, said, advised) in table {
        scene.clouds.fail(
            step,
            Some(Failure::Code(if code == "404" { 404 } else { 403 }, code)),
        );
        let (exit, text) = check(&scene, identity, &[]).await;
        scene.clouds.fail(step, None);
        assert_eq!(exit, Some(1), "{text}");
        for part in ["CloudIdentity", said, code, advised] {
            assert!(text.contains(part), "{step:?}: {part}: {text}");
        }
    }
}

#[tokio::test]
async fn a_variable_that_cannot_be_used_ends_the_start_with_two() {
    let scene = Scene::new("cloud-variable").await;
    for (name, value) in [
        ("AWS_ENDPOINT_URL", "planted"),
        ("AWS_CA_BUNDLE", "/no/such/file"),
    ] {
        let mut identity = scene.irsa();
        identity.variables.push((name, value.to_owned()));
        let (code, text) = check(&scene, &identity, &[]).await;
        assert!(code == Some(2) && text.contains(name), "{text}");
    }
}
