//! Against the real distribution registry.

use std::time::Duration;

use kube_autorollout_registry::{
    AuthMethod, Certificate, Credential, CredentialChain, DigestSource, ErrorKind, Reference,
    RegistryClient,
};
use kube_autorollout_testbed::{
    image::{Image, ImageIndex, Pusher, digest_of},
    programs::Programs,
    registry::{ALICE, Access, BOB, Registry, User},
};

use crate::script::{build, credentials, host, pass, resolve, resolve_with};

fn ca_certificate(registry: &Registry) -> Certificate {
    Certificate::from_pem(registry.ca_certificate()).expect("a certificate")
}

async fn start(access: Access) -> Registry {
    let programs = Programs::find(&|_| {}).expect("found or built");
    Registry::start(&programs, access).await.expect("it starts")
}

fn client(registry: &Registry) -> RegistryClient {
    let host = host(registry.host());
    build(RegistryClient::builder().host(match registry.access() {
        Access::Plain => host.plain_http(true),
        Access::Htpasswd | Access::Token => host.certificate(ca_certificate(registry)),
    }))
}

fn image(registry: &Registry, name: &str) -> Reference {
    format!("{}/{name}", registry.host())
        .parse()
        .expect("a reference")
}

fn login(user: User) -> CredentialChain {
    credentials(&[Credential::password(user.name, user.password)])
}

#[tokio::test]
async fn a_plain_registry_reports_the_digest_of_a_pushed_image() {
    let registry = start(Access::Plain).await;
    let pusher = Pusher::new(registry.host()).expect("plain");
    let client = client(&registry);
    let images: [(&str, &(dyn kube_autorollout_testbed::image::Content + Sync)); 2] = [
        ("web", &Image::new("single")),
        (
            "multi/arch",
            &ImageIndex::of([Image::new("a"), Image::new("b").platform("linux", "arm64")]),
        ),
    ];
    for (name, content) in images {
        let digest = pusher.push(content, name, "1").await.expect("pushed");
        let reference = image(&registry, &format!("{name}:1"));
        let mark = registry.log().mark().expect("readable");
        let resolved = resolve(&client, &reference).await.expect("resolved");
        assert_eq!(
            (&resolved.digest, resolved.source),
            (&digest, DigestSource::Head)
        );
        assert_eq!(resolved.size, Some(content.root().body.len() as u64));
        let requests = registry.log().requests_since(mark).expect("readable");
        assert_eq!(requests.len(), 1, "{requests:?}");
        let manifest = client
            .manifest(&reference, &digest, &CredentialChain::anonymous())
            .await
            .expect("read");
        assert_eq!(digest_of(&manifest.body), digest);
        assert_eq!(manifest.media_type, resolved.media_type);
    }
    let error = resolve(&client, &image(&registry, "web:none"))
        .await
        .expect_err("no such tag");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = resolve(&client, &image(&registry, "nothing:1"))
        .await
        .expect_err("no such repository");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_htpasswd_registry_accepts_the_password() {
    let registry = start(Access::Htpasswd).await;
    let pusher = Pusher::new(registry.access_as(ALICE)).expect("a certificate");
    let digest = pusher
        .push(&Image::new("v1"), "web", "1")
        .await
        .expect("pushed");
    let client = client(&registry);
    let reference = image(&registry, "web:1");
    let resolved = resolve_with(&client, &reference, &login(BOB))
        .await
        .expect("resolved");
    assert_eq!(
        (resolved.digest, resolved.auth_method),
        (digest, AuthMethod::Basic)
    );
    let error = resolve(&client, &reference).await.expect_err("nobody");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let wrong = credentials(&[Credential::password(ALICE.name, BOB.password)]);
    let error = resolve_with(&client, &reference, &wrong)
        .await
        .expect_err("a wrong password");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let error = resolve_with(&client, &reference, &wrong)
        .await
        .expect_err("a wrong password");
    assert_eq!(error.kind(), ErrorKind::CredentialQuarantined);
    let untrusting = build(RegistryClient::builder());
    let error = resolve_with(&untrusting, &reference, &login(BOB))
        .await
        .expect_err("another authority");
    assert_eq!(error.kind(), ErrorKind::Tls);
}

#[tokio::test]
async fn a_token_is_fetched_once_per_lifetime() {
    let registry = start(Access::Token).await;
    let issuer = registry.issuer().expect("one for tokens");
    let pusher = Pusher::new(registry.access_as(ALICE)).expect("a certificate");
    let digest = pusher
        .push(&Image::new("v1"), "web", "1")
        .await
        .expect("pushed");
    issuer.set_lifetime(Duration::from_secs(60));
    let client = client(&registry);
    let reference = image(&registry, "web:1");
    let before = issuer.requests().len();
    for (passed, tokens) in [(0, 1), (20, 1), (20, 1), (20, 2), (20, 2)] {
        pass(passed).await;
        let resolved = resolve_with(&client, &reference, &login(ALICE))
            .await
            .expect("resolved");
        assert_eq!(
            (&resolved.digest, resolved.auth_method),
            (&digest, AuthMethod::Bearer)
        );
        assert_eq!(issuer.requests().len() - before, tokens, "{passed} s later");
    }
}

#[tokio::test]
async fn a_denied_repository_is_refused_after_a_token_was_issued() {
    let registry = start(Access::Token).await;
    let issuer = registry.issuer().expect("one for tokens");
    let pusher = Pusher::new(registry.access_as(ALICE)).expect("a certificate");
    for name in ["web", "secret", "public/web"] {
        pusher
            .push(&Image::new(name), name, "1")
            .await
            .expect("pushed");
    }
    issuer.forbid("secret");
    let client = client(&registry);
    let kind = async |name: &str, credentials: &CredentialChain| {
        let result = resolve_with(&client, &image(&registry, name), credentials).await;
        result.err().map(|error| error.kind())
    };
    assert_eq!(
        kind("public/web:1", &CredentialChain::anonymous()).await,
        None
    );
    assert_eq!(
        kind("web:1", &CredentialChain::anonymous()).await,
        Some(ErrorKind::Unauthorized)
    );
    assert_eq!(
        kind("secret:1", &login(ALICE)).await,
        Some(ErrorKind::Unauthorized)
    );
    assert_eq!(
        kind("secret:1", &login(ALICE)).await,
        Some(ErrorKind::CredentialQuarantined)
    );
    assert_eq!(
        kind("web:1", &login(ALICE)).await,
        None,
        "the others are not disturbed"
    );
    assert!(client.quarantined().is_empty());
    let wrong = credentials(&[Credential::password(ALICE.name, "wrong")]);
    assert_eq!(kind("web:1", &wrong).await, Some(ErrorKind::Unauthorized));
    assert_eq!(client.quarantined().len(), 1);
}

#[tokio::test]
async fn an_authority_for_all_hosts_is_trusted_and_a_missing_one_is_reported() {
    let registry = start(Access::Htpasswd).await;
    let pusher = Pusher::new(registry.access_as(ALICE)).expect("a certificate");
    let digest = pusher
        .push(&Image::new("v1"), "web", "1")
        .await
        .expect("pushed");
    let reference = image(&registry, "web:1");
    let trusting = build(RegistryClient::builder().certificate(ca_certificate(&registry)));
    let resolved = resolve_with(&trusting, &reference, &login(ALICE))
        .await
        .expect("resolved");
    assert_eq!(resolved.digest, digest);
    let untrusting = build(RegistryClient::builder());
    let error = resolve_with(&untrusting, &reference, &login(ALICE))
        .await
        .expect_err("another authority");
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(error.to_string().contains("TLS"), "{error}");
    let mut causes =
        std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    assert!(causes.any(|cause| cause.to_string().contains("UnknownIssuer")));
}
