//! Endpoints that replace a registry.

use http::Method;
use kube_autorollout_registry::{DigestSource, ErrorKind, HostOptions, Reference, RegistryClient};

use crate::{
    authentication::ALICE,
    script::{
        Answer, ReceivedRequest, Server, alice, bob, build, credentials, host, index,
        index_without_digest, manifest, resolve, resolve_with, status, token,
    },
};

/// A client with an endpoint that replaces Docker Hub.
fn through(endpoint: &str, change: impl FnOnce(HostOptions) -> HostOptions) -> RegistryClient {
    let endpoint = endpoint.parse().expect("an endpoint");
    let docker_hub = change(host("docker.io").endpoint(endpoint));
    build(RegistryClient::builder().host(docker_hub).host(host("*")))
}

fn web() -> Reference {
    "docker.io/library/web:main".parse().expect("a reference")
}

#[tokio::test]
async fn tags_and_manifests_are_requested_below_the_path_of_the_endpoint() {
    let mirror = Server::start(|_| index("{}")).await;
    let endpoint = format!("http://{}/docker-hub", mirror.host());
    let client = through(&endpoint, |entry| entry);
    resolve(&client, &web()).await.expect("resolved");
    let read = manifest(&client, &web(), "{}").await.expect("a manifest");
    let place = "/v2/docker-hub/library/web/manifests";
    assert_eq!(
        mirror.lines(),
        [
            format!("HEAD {place}/main?ns=docker.io"),
            format!("GET {place}/{}?ns=docker.io", read.digest),
        ]
    );
}

#[tokio::test]
async fn tokens_are_for_the_repository_at_the_endpoint() {
    let mirror = Server::start_tls(
        |request| match (request.is_token(), request.authorization()) {
            (true, Some(authorization)) if authorization.starts_with("Basic ") => token("t"),
            (false, Some("Bearer t")) => index("{}"),
            _ => {
                let realm = format!(
                    r#"Bearer realm="https://{}/token",service="s""#,
                    request.host
                );
                status(401).with("www-authenticate", &realm)
            }
        },
    )
    .await;
    let endpoint = format!("https://{}/hub", mirror.host());
    // The entry that matches the endpoint's own host would not trust it.
    let client = through(&endpoint, |entry| {
        entry.certificate(mirror.ca_certificate())
    });
    resolve_with(&client, &web(), &credentials(&[alice()]))
        .await
        .expect("resolved");
    assert_eq!(
        mirror.lines()[1],
        "GET /token?service=s&scope=repository%3Ahub%2Flibrary%2Fweb%3Apull"
    );
}

#[tokio::test]
async fn an_endpoint_has_no_fallback_to_the_registry() {
    let mirror = Server::start(|_| status(404)).await;
    let registry = Server::start(|_| index("{}")).await;
    let endpoint = format!("http://{}", mirror.host());
    let by_mirror = host(&registry.host()).endpoint(endpoint.parse().expect("an endpoint"));
    let client = build(RegistryClient::builder().host(by_mirror.plain_http(true)));
    let error = resolve(&client, &registry.image("web:1"))
        .await
        .expect_err("the mirror does not have it");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.host(), mirror.host());
    let namespace = format!("?ns={}", registry.host().replace(':', "%3A"));
    let mut requests = mirror.lines().into_iter();
    assert!(requests.all(|line| line.ends_with(&format!("/v2/web/manifests/1{namespace}"))));
    assert!(registry.log().is_empty());
}

fn image(registry: &str) -> Reference {
    format!("{registry}/acme/web:1")
        .parse()
        .expect("a reference")
}

/// A client with one endpoint for all registries.
fn through_one(mirror: &Server) -> RegistryClient {
    let endpoint = format!("http://{}", mirror.host());
    let all = host("*").endpoint(endpoint.parse().expect("an endpoint"));
    build(RegistryClient::builder().host(all))
}

#[tokio::test]
async fn a_denied_repository_does_not_affect_that_of_another_registry_at_the_endpoint() {
    let mirror = Server::start(|request| match request.authorization() {
        None => status(401).with("www-authenticate", "Basic"),
        Some(_) if request.target.starts_with("/v2/docker-hub/") => index("{}"),
        Some(_) => status(403),
    })
    .await;
    let endpoint = |path: &str| {
        let endpoint = format!("http://{}/{path}", mirror.host());
        endpoint.parse().expect("an endpoint")
    };
    let docker_hub = host("docker.io").endpoint(endpoint("docker-hub"));
    let ghcr = host("ghcr.io").endpoint(endpoint("ghcr-proxy"));
    let client = build(RegistryClient::builder().host(docker_hub).host(ghcr));
    let robot = credentials(&[alice()]);
    let denied = async || {
        let error = resolve_with(&client, &image("ghcr.io"), &robot).await;
        error.expect_err("denied").kind()
    };
    assert_eq!(denied().await, ErrorKind::Denied);
    resolve_with(&client, &image("docker.io"), &robot)
        .await
        .expect("the other registry");
    assert_eq!(denied().await, ErrorKind::CredentialQuarantined);
    assert!(client.quarantined().is_empty(), "the robot is accepted");
}

/// Whether a mirror of all registries is asked for one of them.
fn is_for(request: &ReceivedRequest, registry: &str) -> bool {
    request.target.ends_with(&format!("?ns={registry}"))
}

#[tokio::test]
async fn the_accepted_credential_is_known_for_each_registry_at_one_endpoint() {
    // Alice for ghcr.io, bob for all others.
    let mirror = Server::start(|request| match request.authorization() {
        None => status(401).with("www-authenticate", "Basic"),
        Some(sent) if (sent == ALICE) == is_for(request, "ghcr.io") => index("{}"),
        Some(_) => status(404),
    })
    .await;
    let client = through_one(&mirror);
    let both = credentials(&[alice(), bob()]);
    for registry in ["quay.io", "ghcr.io"] {
        resolve_with(&client, &image(registry), &both)
            .await
            .expect(registry);
    }
    let before = mirror.log().len();
    for registry in ["quay.io", "ghcr.io", "quay.io"] {
        resolve_with(&client, &image(registry), &both)
            .await
            .expect(registry);
    }
    assert_eq!(mirror.log().len() - before, 3, "{:?}", mirror.lines());
}

#[tokio::test]
async fn an_access_at_one_registry_proves_nothing_for_another_at_the_endpoint() {
    let mirror = Server::start(|request| match request.authorization() {
        None => status(401).with("www-authenticate", "Basic"),
        Some(_) if is_for(request, "quay.io") => index("{}"),
        Some(_) => status(403),
    })
    .await;
    let client = through_one(&mirror);
    let robot = credentials(&[alice()]);
    resolve_with(&client, &image("quay.io"), &robot)
        .await
        .expect("granted");
    let digest = kube_autorollout_testbed::image::digest_of(b"{}");
    let error = client.manifest(&image("ghcr.io"), &digest, &robot).await;
    let error = error.expect_err("the whole repository is denied");
    assert!(!error.is_manifest_denied(), "{error}");
}

/// Has another image for each registry, and supports HEAD for `quay.io` only.
fn converting(request: &ReceivedRequest) -> Answer {
    let body = request.target.rsplit('=').next().expect("a registry");
    let is_head = request.method == Method::HEAD;
    if is_for(request, "quay.io") {
        index(body)
    } else if is_head {
        status(405)
    } else {
        index_without_digest(body)
    }
}

#[tokio::test]
async fn the_support_of_head_is_known_for_each_registry_at_one_endpoint() {
    let mirror = Server::start(converting).await;
    let client = through_one(&mirror);
    for _ in 0..3 {
        for (registry, source) in [
            ("ghcr.io", DigestSource::Get),
            ("gcr.io", DigestSource::Get),
            ("quay.io", DigestSource::Head),
        ] {
            let resolved = resolve(&client, &image(registry)).await.expect(registry);
            assert_eq!(resolved.source, source, "{registry}");
        }
    }
    let etag = |registry: &str| {
        let log = mirror.log();
        let last = log.iter().rfind(|request| is_for(request, registry));
        last.and_then(|request| request.header("if-none-match").map(str::to_owned))
    };
    for registry in ["ghcr.io", "gcr.io"] {
        let digest = kube_autorollout_testbed::image::digest_of(registry.as_bytes());
        assert_eq!(etag(registry), Some(format!("\"{digest}\"")), "its own");
    }
}
