//! Endpoints that replace a registry.

use kube_autorollout_registry::{ErrorKind, HostOptions, Reference, RegistryClient};

use crate::script::{
    Server, alice, build, credentials, host, index, manifest, resolve, resolve_with, status, token,
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
