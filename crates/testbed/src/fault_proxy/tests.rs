//! What arrives through a fault proxy.

use http::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT, WWW_AUTHENTICATE},
};
use http_body_util::BodyExt as _;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use super::{relay::DIGEST, *};
use crate::image::digest_of;

const MANIFEST: &str = r#"{"schemaVersion": 2}"#;

/// The status, body, media type and digest header of a response.
type Seen = (u16, String, Option<String>, Option<String>);

/// A registry with one manifest.
struct Registry;

impl Handler for Registry {
    async fn respond(&self, request: Request<Incoming>) -> Outcome {
        let body = match *request.method() {
            Method::GET => MANIFEST,
            _ => "",
        };
        let response = Response::builder()
            .header(CONTENT_TYPE, "application/vnd.oci.image.manifest.v1+json")
            .header(DIGEST, digest_of(MANIFEST.as_bytes()).to_string())
            .body(Full::from(body));
        Ok(response.expect("a response"))
    }
}

/// A proxy in front of a registry.
async fn behind() -> (FaultProxy, Server) {
    let registry = Server::http(Arc::new(Registry)).await.expect("a port");
    let proxy = FaultProxy::start(registry.host()).await.expect("a proxy");
    (proxy, registry)
}

/// The response to a request; nothing when there is none.
async fn send(method: Method, url: &str, token: &str) -> Option<Response<Bytes>> {
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header(USER_AGENT, "test/1")
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .body(Full::default())
        .expect("a request");
    let (head, body) = client.request(request).await.ok()?.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    Some(Response::from_parts(head, body))
}

fn manifest(proxy: &FaultProxy, repository: &str, reference: &str) -> String {
    let host = proxy.host();
    format!("http://{host}/v2/{repository}/manifests/{reference}")
}

/// The response to a question about the tag `a/b:v1`; nothing when there is none.
async fn ask(proxy: &FaultProxy, method: Method) -> Option<Seen> {
    let answer = send(method, &manifest(proxy, "a/b", "v1"), "").await?;
    let (head, body) = answer.into_parts();
    let text = |name| {
        let value = head.headers.get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    Some((
        head.status.as_u16(),
        String::from_utf8_lossy(&body).into_owned(),
        text(CONTENT_TYPE),
        text(DIGEST),
    ))
}

#[tokio::test]
async fn an_honest_answer_is_passed_on_and_noted() {
    let (proxy, _registry) = behind().await;
    let (status, body, _, digest) = ask(&proxy, Method::GET).await.expect("an answer");
    assert_eq!((status, body.as_str()), (200, MANIFEST));
    let answers = proxy.tag_responses();
    let [answer] = answers.as_slice() else {
        panic!("{answers:?}");
    };
    assert_eq!(Some(&answer.digest), digest.as_ref());
    let names = [&*answer.repository, &*answer.tag, &*answer.user_agent];
    assert_eq!(names, ["a/b", "v1", "test/1"]);
}

#[tokio::test]
async fn no_lie_can_be_verified_and_only_true_digests_are_noted() {
    let (proxy, _registry) = behind().await;
    let honest = digest_of(MANIFEST.as_bytes()).to_string();
    for forgery in [
        Forgery::Digest,
        Forgery::Content,
        Forgery::Truncated,
        Forgery::MediaType,
        Forgery::Page,
    ] {
        proxy.set(Mode::Forges(forgery));
        let (_, body, media_type, digest) = ask(&proxy, Method::GET).await.expect("an answer");
        let holds = digest.as_ref() == Some(&digest_of(body.as_bytes()).to_string());
        let manifest = media_type.is_some_and(|text| text.contains("manifest"));
        assert!(!(holds && manifest), "{forgery:?}");
        let (_, _, media_type, digest) = ask(&proxy, Method::HEAD).await.expect("an answer");
        let other = digest.is_none_or(|digest| digest != honest)
            || media_type.is_none_or(|text| !text.contains("manifest"));
        assert_eq!(
            other,
            !matches!(forgery, Forgery::Content | Forgery::Truncated),
            "{forgery:?}"
        );
    }
    // Of three forgeries, by both methods
    assert_eq!(proxy.tag_responses().len(), 6);
    assert!(
        proxy
            .tag_responses()
            .iter()
            .all(|answer| answer.digest == honest)
    );
}

#[tokio::test]
async fn who_is_refused_gets_the_status_and_who_is_kept_waiting_gets_nothing() {
    let (proxy, _registry) = behind().await;
    proxy.set(Mode::Refuses(StatusCode::TOO_MANY_REQUESTS));
    let (status, ..) = ask(&proxy, Method::HEAD).await.expect("an answer");
    assert_eq!(status, 429);
    proxy.set(Mode::Silent);
    let (answer, ()) = tokio::join!(ask(&proxy, Method::HEAD), async {
        while proxy.state.mode.receiver_count() == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        proxy.set(Mode::Healthy);
    });
    assert_eq!(answer, None);
    assert!(ask(&proxy, Method::HEAD).await.is_some());
    assert_eq!(proxy.tag_responses().len(), 1);
}

#[tokio::test]
async fn one_manifest_is_refused_by_its_digest_and_told_by_its_tag() {
    let (proxy, _registry) = behind().await;
    let digest = digest_of(MANIFEST.as_bytes()).to_string();
    let by_digest = async || {
        let url = manifest(&proxy, "a/b", &digest);
        send(Method::GET, &url, "").await.expect("an answer")
    };
    assert_eq!(by_digest().await.status(), 200);
    assert!(!by_digest().await.headers().contains_key("x-jfrog-version"));
    proxy.send_artifactory_headers();
    for refuse in [
        (|proxy: &FaultProxy, digest: &str| proxy.block(digest)) as fn(&FaultProxy, &str),
        |proxy, _| proxy.set(Mode::RefusesDigests),
    ] {
        refuse(&proxy, &digest);
        let refused = by_digest().await;
        assert_eq!(refused.status(), 403);
        assert!(refused.headers().contains_key("x-jfrog-version"));
        let body = String::from_utf8_lossy(refused.body()).into_owned();
        assert!(
            body.contains("blocking policy configured in Xray"),
            "{body}"
        );
        let (status, ..) = ask(&proxy, Method::HEAD).await.expect("an answer");
        assert_eq!(status, 200, "by its tag");
        proxy.unblock(&digest);
        proxy.set(Mode::Healthy);
        assert_eq!(by_digest().await.status(), 200);
    }
}

#[tokio::test]
async fn one_repository_is_denied_and_no_other_of_a_similar_name() {
    let (proxy, _registry) = behind().await;
    proxy.deny("a/b");
    let status = async |repository| {
        let url = manifest(&proxy, repository, "v1");
        let answer = send(Method::HEAD, &url, "").await.expect("an answer");
        (answer.status().as_u16(), answer.body().len())
    };
    assert_eq!(status("a/b").await, (403, 0), "HEAD has no body");
    assert_eq!(status("a/bc").await.0, 200);
    assert_eq!(status("a").await.0, 200);
    proxy.permit("a/b");
    assert_eq!(status("a/b").await.0, 200);
}

#[tokio::test]
async fn a_realm_that_has_moved_is_named_by_challenges_and_gone_from_where_it_was() {
    let (proxy, _registry) = behind().await;
    proxy
        .require_tokens(Duration::from_secs(60))
        .await
        .expect("a port");
    let url = manifest(&proxy, "a/b", "v1");
    let realm = async || {
        let answer = send(Method::HEAD, &url, "none").await.expect("an answer");
        assert_eq!(answer.status(), 401);
        let challenge = answer.headers()[WWW_AUTHENTICATE].to_str().expect("text");
        let realm = challenge.split('"').nth(1).expect("a realm");
        realm.to_owned()
    };
    let token = async |realm: &str| {
        let answer = send(Method::GET, realm, "").await?;
        let answer: serde_json::Value = serde_json::from_slice(answer.body()).expect("JSON");
        Some(answer["token"].as_str().expect("a token").to_owned())
    };
    let before = realm().await;
    let first = token(&before).await.expect("a token");
    proxy.move_realm().await.expect("a port");
    let after = realm().await;
    assert_ne!(before, after);
    assert_eq!(token(&before).await, None, "nobody is there");
    let second = token(&after).await.expect("a token");
    for token in [first, second] {
        let answer = send(Method::HEAD, &url, &token).await.expect("an answer");
        assert_eq!(answer.status(), 200);
    }
}
