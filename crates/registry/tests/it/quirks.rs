//! Registries of all kinds, each asked in its own way.

use kube_autorollout_registry::ErrorKind;

use crate::{
    authentication::{ALICE, challenge},
    script::{
        Answer, Asked, Server, alice, client, credentials, index, resolve_with, status, token,
    },
};

fn basic(asked: &Asked) -> Answer {
    match asked.authorization() {
        Some(ALICE) => index("{}"),
        _ => status(401).with("www-authenticate", r#"Basic realm="x""#),
    }
}

/// Two lines, the first without service and scope, the second bare.
fn gitea(asked: &Asked) -> Answer {
    match (asked.is_token(), asked.authorization()) {
        (true, Some(ALICE)) if asked.target.ends_with("?scope=repository%3Aweb%3Apull") => {
            status(200).body(r#"{"token":"gitea"}"#)
        }
        (false, Some("Bearer gitea")) => index("{}"),
        _ => challenge(asked, "").with("www-authenticate", "Basic"),
    }
}

/// An empty scope, an unquoted realm.
fn zot(asked: &Asked) -> Answer {
    match (asked.is_token(), asked.authorization()) {
        (true, Some(ALICE)) if asked.target.contains("scope=repository%3Aweb%3Apull") => {
            token("zot")
        }
        (false, Some("Bearer zot")) => index("{}"),
        _ => {
            let realm = format!("http://{}/token", asked.host);
            let line = format!(r#"bearer realm={realm},service=zot,scope="""#);
            status(401).with("www-authenticate", &line)
        }
    }
}

/// A realm that the client will not go to, and Basic beside it.
fn mixed(asked: &Asked) -> Answer {
    let line = r#"Bearer realm="http://10.0.0.1/token", Basic realm="x""#;
    match asked.authorization() {
        Some(ALICE) => index("{}"),
        _ => status(401).with("www-authenticate", line),
    }
}

/// Negotiate first, and a query in the realm.
fn query(asked: &Asked) -> Answer {
    match (asked.is_token(), asked.authorization()) {
        (true, Some(ALICE)) if asked.target.starts_with("/token?a=b&service=s+s&") => {
            token("query")
        }
        (false, Some("Bearer query")) => index("{}"),
        _ => {
            let realm = format!("http://{}/token?a=b", asked.host);
            let line = format!(r#"Bearer realm="{realm}",service="s s""#);
            status(401)
                .with("www-authenticate", "Negotiate")
                .with("www-authenticate", &line)
        }
    }
}

/// Answers a bad token with Basic, and takes a token for the tag `2` only.
fn harbor(asked: &Asked) -> Answer {
    match (asked.is_token(), asked.authorization()) {
        (true, _) => token("good"),
        (false, None) => challenge(
            asked,
            r#",service="harbor-registry",scope="repository:web:pull""#,
        ),
        (false, Some("Bearer good")) if asked.target.ends_with("/2") => index("{}"),
        (false, Some(_)) => status(401).with("www-authenticate", r#"Basic realm="harbor""#),
    }
}

#[tokio::test]
async fn registries_of_all_kinds_get_what_they_want() {
    type Script = fn(&Asked) -> Answer;
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

/// A realm for each repository, which takes no token of another.
fn path_method(asked: &Asked) -> Answer {
    let group = |path: &str| path.split('/').nth(2).unwrap_or_default().to_owned();
    if asked.is_token() {
        let realm = asked.target.split('?').next().unwrap_or_default();
        return token(&group(realm));
    }
    let own = group(&asked.target);
    if asked.authorization() == Some(&format!("Bearer {own}")) {
        return index("{}");
    }
    let host = &asked.host;
    let line = format!(r#"Bearer realm="http://{host}/token/{own}",service="s""#);
    status(401).with("www-authenticate", &line)
}

#[tokio::test]
async fn a_realm_for_each_repository_costs_no_more_once_it_is_known() {
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
async fn harbors_basic_after_a_bad_token_leads_back_to_its_realm() {
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
        server.count(|asked| !asked.is_token() && asked.authorization() == Some(ALICE));
    assert_eq!(to_registry, 0, "the password goes to the token server only");
    assert_eq!(server.count(Asked::is_token), 2, "one more token was tried");
}
