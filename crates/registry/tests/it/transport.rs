//! TLS, HTTP/2 and connections.

use futures::future::join_all;
use kube_autorollout_registry::{Certificate, ErrorKind, Reference, RegistryClient};

use crate::script::{Server, build, client, host, index, resolve, status, tls_options, token};

#[tokio::test]
async fn many_checks_share_one_http2_connection() {
    let server = Server::start_tls(|_| index("{}")).await;
    let client = build(tls_options(&server));
    let images: Vec<_> = (0..50)
        .map(|number| server.image(&format!("app{number}:1")))
        .collect();
    for _ in 0..2 {
        let all = join_all(images.iter().map(|image| resolve(&client, image))).await;
        assert!(all.iter().all(Result::is_ok));
    }
    assert_eq!(server.log().len(), 100);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn sequential_checks_share_one_http1_connection() {
    let server = Server::start(|_| index("{}")).await;
    let client = client();
    for _ in 0..10 {
        resolve(&client, &server.image("web:1"))
            .await
            .expect("resolved");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_authority_is_trusted_for_all_hosts_or_for_one() {
    let server = Server::start_tls(|_| index("{}")).await;
    let own = |pattern: &str| {
        let own = host(pattern).certificate(server.ca_certificate());
        RegistryClient::builder().host(own)
    };
    let cases = [
        ("for all", tls_options(&server), true),
        ("for this host", own(&server.host()), true),
        ("for another host", own("127.0.0.1:1"), false),
        ("not at all", RegistryClient::builder(), false),
    ];
    for (name, options, trusted) in cases {
        let client = build(options);
        let result = resolve(&client, &server.image("web:1")).await;
        match result {
            Ok(_) => assert!(trusted, "{name}"),
            Err(error) => {
                assert!(!trusted, "{name}: {error}");
                assert_eq!(error.kind(), ErrorKind::Tls, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_if_configured() {
    let server = Server::start_own_authority(|_| index("{}")).await;
    let other = Server::start_own_authority(|_| index("{}")).await;
    let client = build(tls_options(&server));
    resolve(&client, &server.image("web:1"))
        .await
        .expect("its certificate is configured");
    let error = resolve(&client, &other.image("web:1"))
        .await
        .expect_err("another one of the same names is not");
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(other.log().is_empty());
}

#[tokio::test]
async fn a_registrys_authority_is_trusted_for_its_token_server() {
    let issuer = Server::start_tls(|_| token("t")).await;
    let realm = format!(r#"Bearer realm="https://{}/token""#, issuer.host());
    let registry = Server::start_tls(move |request| match request.authorization() {
        Some("Bearer t") => index("{}"),
        _ => status(401).with("www-authenticate", &realm),
    })
    .await;
    let both = host(&registry.host())
        .certificate(registry.ca_certificate())
        .certificate(issuer.ca_certificate());
    let client = build(RegistryClient::builder().host(both));
    resolve(&client, &registry.image("web:1"))
        .await
        .expect("resolved");
}

#[tokio::test]
async fn plain_http_is_used_only_if_configured() {
    let server = Server::start(|_| index("{}")).await;
    let client = build(RegistryClient::builder());
    let error = resolve(&client, &server.image("web:1"))
        .await
        .expect_err("no TLS there");
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(server.log().is_empty());
}

#[test]
fn invalid_settings_are_reported() {
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cases: [(&[u8], &str); 4] = [
        (b"", "there is no certificate"),
        (b"text", "there is no certificate"),
        (broken, "the certificates cannot be read"),
        (
            b"-----BEGIN CERTIFICATE-----\n!\n",
            "the certificates cannot be read",
        ),
    ];
    for (pem, expected) in cases {
        let error = Certificate::from_pem(pem).expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
    }
    let agent = RegistryClient::builder().user_agent("two\nlines");
    let error = agent.build().expect_err("a line break");
    assert!(error.to_string().contains("user agent"), "{error}");
}

#[tokio::test]
async fn a_registry_is_reached_at_an_ipv6_address() {
    let server = Server::start_ipv6(|_| index("{}")).await;
    let plain = host(&server.host()).plain_http(true);
    let client = build(RegistryClient::builder().host(plain));
    // oci-spec's own parser does not read it.
    let image = Reference::with_tag(server.host(), "web".to_owned(), "1".to_owned());
    resolve(&client, &image).await.expect("resolved");
    assert_eq!(server.log()[0].host, server.host());
}
