//! Blobs by digest: verified, bounded, and without consequences for credentials.

use kube_autorollout_registry::{CredentialChain, Error, ErrorKind, RegistryClient};
use kube_autorollout_testbed::image::digest_of;

use crate::script::{Server, alice, client, credentials, index, resolve_with, status, token};

const CONFIG: &str = r#"{"config":{"Labels":{"org.opencontainers.image.version":"1.4.3"}}}"#;

/// Fetches the blob with this content.
async fn blob(
    client: &RegistryClient,
    server: &Server,
    most: usize,
    credentials: &CredentialChain,
) -> Result<Vec<u8>, Error> {
    let digest = digest_of(CONFIG.as_bytes());
    let image = server.image("web:1");
    let blob = client.blob(&image, &digest, most, credentials);
    blob.await.map(|body| body.to_vec())
}

async fn kind(server: &Server, most: usize) -> Option<ErrorKind> {
    let (client, anonymous) = (client(), CredentialChain::anonymous());
    let read = blob(&client, server, most, &anonymous).await;
    read.err().map(|error| error.kind())
}

#[tokio::test]
async fn a_blob_is_read_from_its_storage_without_the_token() {
    let storage = Server::start(|_| status(200).body(CONFIG)).await;
    let location = format!("http://{}/storage?signature=1", storage.host());
    let server = Server::start(move |request| match request.authorization() {
        _ if request.is_token() => token("for-web"),
        Some("Bearer for-web") => status(307).with("location", &location),
        _ => status(401).with(
            "www-authenticate",
            &format!(
                "Bearer realm=\"http://{}/token\",service=\"script\"",
                request.host
            ),
        ),
    })
    .await;
    let anonymous = CredentialChain::anonymous();
    let read = blob(&client(), &server, CONFIG.len(), &anonymous).await;
    assert_eq!(read.expect("read"), CONFIG.as_bytes());
    let target = format!("GET /v2/web/blobs/{}", digest_of(CONFIG.as_bytes()));
    assert!(server.lines().contains(&target), "{:?}", server.lines());
    assert_eq!(storage.log().len(), 1);
    assert_eq!(storage.log()[0].authorization(), None);
}

#[tokio::test]
async fn content_that_does_not_match_the_digest_is_an_error() {
    let server = Server::start(|_| status(200).body(CONFIG)).await;
    assert_eq!(kind(&server, CONFIG.len()).await, None);
    let smaller = kind(&server, CONFIG.len() - 1).await;
    assert_eq!(smaller, Some(ErrorKind::ManifestTooLarge));
    let server = Server::start(|_| status(200).endless()).await;
    let endless = kind(&server, 64 * 1024).await;
    assert_eq!(endless, Some(ErrorKind::ManifestTooLarge));
    let server = Server::start(|_| status(200).body("{}")).await;
    assert_eq!(kind(&server, 1024).await, Some(ErrorKind::DigestMismatch));
    let server = Server::start(|_| status(404)).await;
    assert_eq!(kind(&server, 1024).await, Some(ErrorKind::NotFound));
}

#[tokio::test]
async fn a_refusal_of_the_storage_quarantines_no_credential() {
    let server = Server::start(|request| match request.authorization() {
        None => status(401).with("www-authenticate", "Basic"),
        Some(_) if request.target.contains("/blobs/") => status(403),
        Some(_) => index("{}"),
    })
    .await;
    let (client, alice) = (client(), credentials(&[alice()]));
    let image = server.image("web:1");
    resolve_with(&client, &image, &alice)
        .await
        .expect("resolved");
    for _ in 0..2 {
        let error = blob(&client, &server, 1024, &alice).await;
        assert!(error.expect_err("refused").is_manifest_denied());
    }
    resolve_with(&client, &image, &alice)
        .await
        .expect("resolved again");
    assert!(client.quarantined().is_empty());
}
