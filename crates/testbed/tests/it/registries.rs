//! Registries of each access: which clients they accept, what they store, and what they log.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

use kube_autorollout_testbed::{
    image::{Image, Pusher, RegistryAccess},
    programs::Programs,
    registry::{ALICE, Access, BOB, Registry, Request},
};

async fn start(access: Access) -> Registry {
    let programs = Programs::find(&|_| {}).expect("found or built");
    Registry::start(&programs, access).await.expect("it starts")
}

fn manifests(requests: &[Request]) -> Vec<(&str, &str, u16)> {
    let manifests = requests
        .iter()
        .filter(|request| request.path.contains("/manifests/"));
    manifests
        .map(|request| (&*request.method, &*request.path, request.status))
        .collect()
}

#[tokio::test]
async fn a_plain_registry_logs_each_request_and_keeps_its_content_over_a_restart() {
    let registry = start(Access::Plain).await;
    let pusher = Pusher::new(registry.host()).expect("plain");
    let mark = registry.log().mark().expect("readable");
    let digest = pusher
        .push(&Image::new("v1"), "team/web", "v1")
        .await
        .expect("pushed");
    assert_eq!(digest, Image::new("v1").digest());
    let put = ("PUT", "/v2/team/web/manifests/v1", 201);
    let requests = registry.log().requests_since(mark).expect("readable");
    assert_eq!(manifests(&requests), [put]);

    registry.stop();
    let refused = pusher.push(&Image::new("v2"), "team/web", "v1").await;
    refused.expect_err("nobody listens");
    registry.restart().await.expect("it starts again");
    registry
        .delete_tag("team/web", "v1")
        .expect("it kept the tag");
    registry
        .delete_tag("team/web", "v1")
        .expect_err("the tag is gone");
    let requests = registry.log().requests().expect("readable");
    assert_eq!(manifests(&requests), [put], "the log goes on where it was");
}

#[tokio::test]
async fn a_password_file_lets_in_who_knows_the_password_and_trusts_the_authority() {
    let registry = start(Access::Htpasswd).await;
    let push = async |access: RegistryAccess| {
        let pusher = Pusher::new(access).expect("a certificate");
        pusher.push(&Image::new("v1"), "web", "v1").await
    };
    let way = || RegistryAccess::new(registry.host()).with_ca(registry.ca_certificate());
    push(registry.access_as(ALICE)).await.expect("pushed");
    push(registry.access_as(BOB)).await.expect("pushed");
    push(way()).await.expect_err("no login");
    push(way().with_credentials(ALICE.name, BOB.password))
        .await
        .expect_err("wrong password");
    let other = start(Access::Htpasswd).await;
    let wrong = RegistryAccess::new(registry.host()).with_ca(other.ca_certificate());
    let login = wrong.with_credentials(ALICE.name, ALICE.password);
    push(login).await.expect_err("another authority");
}

#[tokio::test]
async fn tokens_are_verified_by_the_registry_and_counted_by_their_issuer() {
    let registry = start(Access::Token).await;
    let issuer = registry.issuer().expect("one for tokens");
    let push = async |access: RegistryAccess, repository: &str| {
        let pusher = Pusher::new(access).expect("a certificate");
        pusher.push(&Image::new("v1"), repository, "v1").await
    };
    let way = || RegistryAccess::new(registry.host()).with_ca(registry.ca_certificate());
    push(registry.access_as(ALICE), "web")
        .await
        .expect("pushed");
    push(way(), "public/web")
        .await
        .expect_err("anonymous clients only pull");
    push(way().with_credentials(ALICE.name, BOB.password), "web")
        .await
        .expect_err("wrong password");
    issuer.forbid("web");
    push(registry.access_as(ALICE), "web")
        .await
        .expect_err("forbidden");
    push(registry.access_as(ALICE), "other")
        .await
        .expect("pushed");
    issuer.permit("web");
    push(registry.access_as(BOB), "web").await.expect("pushed");
    let requests = issuer.requests();
    let count = |user: Option<&str>, status| {
        let same = requests.iter();
        same.filter(|request| request.user.as_deref() == user && request.status == status)
            .count()
    };
    assert!(count(Some("alice"), 200) >= 3, "{requests:?}");
    assert!(count(Some("alice"), 401) >= 1, "{requests:?}");
    assert!(
        count(Some("bob"), 200) >= 1 && count(None, 200) >= 1,
        "{requests:?}"
    );
}

#[tokio::test]
async fn an_issuer_that_has_moved_is_named_by_its_registry_and_gone_from_where_it_was() {
    let registry = start(Access::Token).await;
    let issuer = registry.issuer().expect("one for tokens");
    let push = async || {
        let pusher = Pusher::new(registry.access_as(ALICE)).expect("a certificate");
        pusher.push(&Image::new("v1"), "web", "v1").await
    };
    push().await.expect("pushed");
    let before = issuer.realm();
    registry.move_issuer().await.expect("it starts again");
    assert_ne!(issuer.realm(), before);
    let address = before
        .trim_start_matches("https://")
        .trim_end_matches("/token");
    let gone = tokio::net::TcpStream::connect(address).await;
    gone.expect_err("nobody listens");
    push()
        .await
        .expect("pushed with a token from the new place");
}
