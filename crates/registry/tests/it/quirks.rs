//! Challenges of various registries.

use kube_autorollout_registry::ErrorKind;

use crate::{
    authentication::{ALICE, challenge},
    script::{
        Answer, ReceivedRequest, Server, alice, client, credentials, index, resolve_with, status,
        token,
    },
};

fn basic(request: &ReceivedRequest) -> Answer {
    match request.authorization() {
        Some(ALICE) => index("{}"),
        _ => status(401).with("www-authenticate", r#"Basic realm="x""#),
    }
}

/// Two lines, the first without service and scope, the second bare.
fn gitea(request: &ReceivedRequest) -> Answer {
    match (request.is_token(), request.authorization()) {
        (true, Some(ALICE)) if request.target.ends_with("?scope=repository%3Aweb%3Apull") => {
            status(200).body(r#"{"token":"gitea"}"#)
        }
        (false, Some("Bearer gitea")) => index("{}"),
        _ => challenge(request, "").with("www-authenticate", "Basic"),
    }
}

/// An empty scope, an unquoted realm.
fn zot(request: &ReceivedRequest) -> Answer {
    match (request.is_token(), request.authorization()) {
        (true, Some(ALICE)) if request.target.contains("scope=repository%3Aweb%3Apull") => {
            token("zot")
        }
        (false, Some("Bearer zot")) => index("{}"),
        _ => {
            let realm = format!("http://{}/token", request.host);
            let line = format!(r#"bearer realm={realm},service=zot,scope="""#);
            status(401).with("www-authenticate", &line)
        }
    }
}

/// A realm that the client refuses, and Basic.
fn mixed(request: &ReceivedRequest) -> Answer {
    let line = r#"Bearer realm="http://10.0.0.1/token", Basic realm="x""#;
    match request.authorization() {
        Some(ALICE) => index("{}"),
        _ => status(401).with("www-authenticate", line),
    }
}

/// Negotiate first, and a query in the realm.
fn query(request: &ReceivedRequest) -> Answer {
    match (request.is_token(), request.authorization()) {
        (true, Some(ALICE)) if request.target.starts_with("/token?a=b&service=s+s&") => {
            token("query")
        }
        (false, Some("Bearer query")) => index("{}"),
        _ => {
            let realm = format!("http://{}/token?a=b", request.host);
            let line = format!(r#"Bearer realm="{realm}",service="s s""#);
            status(401)
                .with("www-authenticate", "Negotiate")
                .with("www-authenticate", &line)
        }
    }
}

/// Responds to an invalid token with Basic, and accepts a token for the tag `2` only.
fn harbor(request: &ReceivedRequest) -> Answer {
    match (request.is_token(), request.authorization()) {
        (true, _) => token("good"),
        (false, None) => challenge(
            request,
            r#",service="harbor-registry",scope="repository:web:pull""#,
        ),
        (false, Some("Bearer good")) if request.target.ends_with("/2") => index("{}"),
        (false, Some(_)) => status(401).with("www-authenticate", r#"Basic realm="harbor""#),
    }
}

#[tokio::test]
async fn challenges_of_various_registries_are_answered() {
    type Script = fn(&ReceivedRequest) -> Answer;
    let scripts: [(&str, Script); 5] = [
        ("basic", basic),
        ("gitea", gitea),
        ("zot", zot),
        ("mixed", mixed),
        ("query", query),
    ];
    for (name, script) in scripts {
        let server = Server::start(script).await;
        let client = client();
        for _ in 0..2 {
            let result =
                resolve_with(&client, &server.image("web:1"), &credentials(&[alice()])).await;
            result.expect(name);
        }
        let last = server.log().pop().expect("a request");
        assert!(
            last.authorization().is_some(),
            "{name}: the second check asks for no challenge"
        );
    }
}

/// A realm for each repository, whose tokens work for it only.
fn path_method(request: &ReceivedRequest) -> Answer {
    let group = |path: &str| path.split('/').nth(2).unwrap_or_default().to_owned();
    if request.is_token() {
        let realm = request.target.split('?').next().unwrap_or_default();
        return token(&group(realm));
    }
    let own = group(&request.target);
    if request.authorization() == Some(&format!("Bearer {own}")) {
        return index("{}");
    }
    let host = &request.host;
    let line = format!(r#"Bearer realm="http://{host}/token/{own}",service="s""#);
    status(401).with("www-authenticate", &line)
}

#[tokio::test]
async fn a_realm_for_each_repository_is_remembered() {
    let server = Server::start(path_method).await;
    let client = client();
    let check = async || {
        let before = server.log().len();
        for image in ["one:1", "two:1", "three:1"] {
            let result =
                resolve_with(&client, &server.image(image), &credentials(&[alice()])).await;
            result.expect(image);
        }
        server.log().len() - before
    };
    assert!(check().await > 3);
    assert_eq!(check().await, 3, "one HEAD each");
}

#[tokio::test]
async fn a_basic_challenge_of_harbor_leads_back_to_its_realm() {
    let server = Server::start(harbor).await;
    let client = client();
    let alice = credentials(&[alice()]);
    resolve_with(&client, &server.image("web:2"), &alice)
        .await
        .expect("resolved");
    let error = resolve_with(&client, &server.image("web:1"), &alice)
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let to_registry =
        server.count(|request| !request.is_token() && request.authorization() == Some(ALICE));
    assert_eq!(to_registry, 0, "the password goes to the token server only");
    assert_eq!(
        server.count(ReceivedRequest::is_token),
        2,
        "one more token was tried"
    );
}
