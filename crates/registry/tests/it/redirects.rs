//! Servers that send us elsewhere: no credential goes where it does not belong.

use kube_autorollout_registry::{Client, ErrorKind};

use crate::{
    hostile::bearer,
    script::{
        self, Answer, Server, alice, client, credentials, index, resolve, resolve_with, status,
        token,
    },
};

#[tokio::test]
async fn redirects_are_followed_without_the_credential() {
    let elsewhere = Server::start(|_| index("{}")).await;
    let location = format!("http://{}/mirror/web?signature=1", elsewhere.host());
    for code in [301, 302, 303, 307, 308] {
        let location = location.clone();
        let server = Server::start(move |asked| match asked.authorization() {
            None => status(401).with("www-authenticate", "Basic"),
            Some(_) => status(code).with("location", &location),
        })
        .await;
        resolve_with(&client(), &server.image("web:1"), &credentials(&[alice()]))
            .await
            .expect("resolved");
    }
    assert_eq!(elsewhere.log().len(), 5);
    for asked in elsewhere.log() {
        assert_eq!(
            (asked.method.as_str(), asked.authorization()),
            ("HEAD", None)
        );
        assert_eq!(asked.target, "/mirror/web?signature=1");
    }
}

#[tokio::test]
async fn a_redirect_within_the_origin_keeps_the_credential() {
    let server = Server::start(
        |asked| match (asked.authorization(), asked.target.as_str()) {
            (None, _) => status(401).with("www-authenticate", "Basic"),
            (Some(_), "/moved") => index("{}"),
            (Some(_), _) => status(307).with("location", "/moved"),
        },
    )
    .await;
    resolve_with(&client(), &server.image("web:1"), &credentials(&[alice()]))
        .await
        .expect("resolved");
}

#[tokio::test]
async fn another_registry_behind_a_redirect_is_asked_as_a_stranger() {
    let elsewhere = Server::start(|asked| match (asked.is_token(), asked.authorization()) {
        (true, _) => token("for-everybody"),
        (false, Some("Bearer for-everybody")) => index("{}"),
        _ => bearer(&format!("http://{}/token", asked.host)),
    })
    .await;
    let location = format!("http://{}/v2/mirror/manifests/1", elsewhere.host());
    let server = Server::start(move |asked| match asked.authorization() {
        None => status(401).with("www-authenticate", "Basic"),
        Some(_) => status(307).with("location", &location),
    })
    .await;
    resolve_with(&client(), &server.image("web:1"), &credentials(&[alice()]))
        .await
        .expect("resolved");
    assert_eq!(
        elsewhere.count(|asked| asked
            .authorization()
            .is_some_and(|sent| sent.contains("Basic"))),
        0
    );
}

#[tokio::test]
async fn redirects_that_go_nowhere_good_are_refused() {
    let cases = [
        ("/v2/web/manifests/1", "too many"),
        ("http://169.254.169.254/latest/meta-data", "private network"),
        ("http://localhost:1/", "private network"),
        ("http://user:password@127.0.0.1/", "no plain http"),
        ("ftp://127.0.0.1/", "no plain http"),
        ("http://[", "malformed"),
    ];
    for (location, expected) in cases {
        let server = Server::start(move |_| status(302).with("location", location)).await;
        let error = resolve(&client(), &server.image("web:1"))
            .await
            .expect_err(location);
        assert_eq!(error.kind(), ErrorKind::RedirectRefused, "{location}");
        assert!(error.to_string().contains(expected), "{location}: {error}");
        assert!(server.log().len() <= 6, "{location}");
    }
}

#[tokio::test]
async fn an_encrypted_registry_cannot_send_us_to_plain_http() {
    let spy = Server::start(|_| token("stolen")).await;
    let place = format!("http://{}/token", spy.host());
    let realm = place.clone();
    let answers: [Box<dyn Fn() -> Answer + Send + Sync>; 2] = [
        Box::new(move || status(307).with("location", &place)),
        Box::new(move || bearer(&realm)),
    ];
    for answer in answers {
        let server = Server::start_tls(move |_| answer()).await;
        let client = Client::new(script::tls_options(&server)).expect("good options");
        let error = resolve_with(&client, &server.image("web:1"), &credentials(&[alice()])).await;
        assert_eq!(
            error.expect_err("a downgrade").kind(),
            ErrorKind::RedirectRefused
        );
    }
    assert!(spy.log().is_empty());
}

#[tokio::test]
async fn a_token_server_that_redirects_loses_the_credential() {
    let spy = Server::start(|_| token("stolen")).await;
    let place = format!("http://{}/token", spy.host());
    let server = Server::start(move |asked| {
        if asked.is_token() {
            return status(307).with("location", &place);
        }
        bearer(&format!("http://{}/token", asked.host))
    })
    .await;
    resolve_with(&client(), &server.image("web:1"), &credentials(&[alice()]))
        .await
        .expect_err("no token of alice");
    assert!(
        spy.log()
            .iter()
            .all(|asked| asked.authorization().is_none()),
        "{:?}",
        spy.log()
    );
}

#[tokio::test]
async fn a_token_server_cannot_send_us_into_a_private_network() {
    let server = Server::start(|asked| {
        if asked.is_token() {
            return status(307).with("location", "http://169.254.169.254/latest/meta-data");
        }
        bearer(&format!("http://{}/token", asked.host))
    })
    .await;
    let error = resolve_with(&client(), &server.image("web:1"), &credentials(&[alice()])).await;
    assert_eq!(
        error.expect_err("refused").kind(),
        ErrorKind::RedirectRefused
    );
}
