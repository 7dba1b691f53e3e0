//! Clients and credentials for the scripted server, and calls within the time limit of a test.

use std::time::Duration;

use kube_autorollout_registry::{
    ClientBuilder, Credential, CredentialChain, HostOptions, Manifest, Reference, RegistryClient,
    Resolved,
};
use kube_autorollout_testbed::image::digest_of;
use tokio::time::timeout;

use super::Server;

/// The time limit of a test.
const DEADLINE: Duration = Duration::from_secs(30);

/// Options for the hosts that match a pattern.
pub(crate) fn host(pattern: &str) -> HostOptions {
    HostOptions::new(pattern.parse().expect("a pattern"))
}

/// For servers on loopback without TLS.
pub(crate) fn options() -> ClientBuilder {
    RegistryClient::builder().host(host("127.0.0.1:*").plain_http(true))
}

/// For a server on loopback with TLS.
pub(crate) fn tls_options(server: &Server) -> ClientBuilder {
    RegistryClient::builder().certificate(server.ca_certificate())
}

pub(crate) fn build(builder: ClientBuilder) -> RegistryClient {
    builder.build().expect("good settings")
}

pub(crate) fn client() -> RegistryClient {
    build(options())
}

pub(crate) fn credentials(list: &[Credential]) -> CredentialChain {
    list.iter().cloned().collect()
}

pub(crate) fn alice() -> Credential {
    Credential::password("alice", "alice-secret")
}

pub(crate) fn bob() -> Credential {
    Credential::password("bob", "bob-secret")
}

/// Waits for a condition, within the time limit of a test.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(DEADLINE, wait).await.expect("it comes true");
}

/// Advances the paused clock.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

/// Resolves without credentials.
pub(crate) async fn resolve(
    client: &RegistryClient,
    reference: &Reference,
) -> Result<Resolved, kube_autorollout_registry::Error> {
    resolve_with(client, reference, &CredentialChain::anonymous()).await
}

/// Resolves, within the time limit of a test.
pub(crate) async fn resolve_with(
    client: &RegistryClient,
    reference: &Reference,
    credentials: &CredentialChain,
) -> Result<Resolved, kube_autorollout_registry::Error> {
    timeout(DEADLINE, client.resolve(reference, credentials))
        .await
        .expect("an answer in time")
}

/// Fetches the manifest with this body.
pub(crate) async fn manifest(
    client: &RegistryClient,
    reference: &Reference,
    body: &str,
) -> Result<Manifest, kube_autorollout_registry::Error> {
    let digest = digest_of(body.as_bytes());
    timeout(
        DEADLINE,
        client.manifest(reference, &digest, &CredentialChain::anonymous()),
    )
    .await
    .expect("an answer in time")
}
