//! Servers that are asked in the place of a registry.

use kube_autorollout_registry::{Client, ErrorKind, HostOptions, Options, Reference};

use crate::script::{
    Server, alice, credentials, index, manifest, resolve, resolve_with, status, token,
};

/// Options that send what is for Docker Hub somewhere else.
fn options(endpoint: &str, change: impl FnOnce(&mut HostOptions)) -> Options {
    let mut docker_hub = HostOptions {
        endpoint: Some(endpoint.parse().expect("an endpoint")),
        ..HostOptions::new("docker.io".parse().expect("a pattern"))
    };
    change(&mut docker_hub);
    let others = HostOptions::new("*".parse().expect("a pattern"));
    Options {
        hosts: vec![docker_hub, others],
        ..Options::default()
    }
}

fn web() -> Reference {
    "docker.io/library/web:main".parse().expect("a reference")
}

#[tokio::test]
async fn tags_and_manifests_are_asked_for_below_the_path_of_the_endpoint() {
    let mirror = Server::start(|_| index("{}")).await;
    let endpoint = format!("http://{}/docker-hub", mirror.host());
    let client = Client::new(options(&endpoint, |_| ())).expect("good options");
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
async fn tokens_are_for_the_repository_of_the_endpoint_under_the_options_of_the_entry() {
    let mirror = Server::start_tls(|asked| match (asked.is_token(), asked.authorization()) {
        (true, Some(authorization)) if authorization.starts_with("Basic ") => token("t"),
        (false, Some("Bearer t")) => index("{}"),
        _ => {
            let realm = format!(r#"Bearer realm="https://{}/token",service="s""#, asked.host);
            status(401).with("www-authenticate", &realm)
        }
    })
    .await;
    let endpoint = format!("https://{}/hub", mirror.host());
    // The entry that matches the endpoint's own host would not trust it.
    let options = options(&endpoint, |entry| {
        entry.ca_certificates = vec![mirror.ca_certificate()];
    });
    let client = Client::new(options).expect("good options");
    resolve_with(&client, &web(), &credentials(&[alice()]))
        .await
        .expect("resolved");
    assert_eq!(
        mirror.lines()[1],
        "GET /token?service=s&scope=repository%3Ahub%2Flibrary%2Fweb%3Apull"
    );
}

#[tokio::test]
async fn there_is_no_way_back_to_the_registry() {
    let mirror = Server::start(|_| status(404)).await;
    let registry = Server::start(|_| index("{}")).await;
    let client = Client::new(Options {
        hosts: vec![HostOptions {
            endpoint: Some(
                format!("http://{}", mirror.host())
                    .parse()
                    .expect("an endpoint"),
            ),
            plain_http: true,
            ..HostOptions::new(registry.host().parse().expect("a pattern"))
        }],
        ..Options::default()
    })
    .expect("good options");
    let error = resolve(&client, &registry.image("web:1"))
        .await
        .expect_err("the mirror does not have it");
    assert_eq!(error.kind(), ErrorKind::TagNotFound);
    assert_eq!(error.host(), mirror.host());
    let namespace = format!("?ns={}", registry.host().replace(':', "%3A"));
    let mut asked = mirror.lines().into_iter();
    assert!(asked.all(|line| line.ends_with(&format!("/v2/web/manifests/1{namespace}"))));
    assert!(registry.log().is_empty());
}
