//! What arrives through a liar.

use super::*;

const MANIFEST: &str = r#"{"schemaVersion": 2}"#;

/// The bytes, media type and digest header of an answer.
type Seen = (u16, String, Option<String>, Option<String>);

/// A registry with one manifest, behind a liar, until it is dropped.
async fn behind() -> (Liar, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut registry = JoinSet::new();
    registry.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let service = service_fn(|request: Request<Incoming>| async move {
                let body = match *request.method() {
                    Method::GET => MANIFEST,
                    _ => "",
                };
                Response::builder()
                    .header(CONTENT_TYPE, "application/vnd.oci.image.manifest.v1+json")
                    .header(DIGEST, digest_of(MANIFEST.as_bytes()).to_string())
                    .body(Full::new(Bytes::from_static(body.as_bytes())))
            });
            connections.spawn(async move {
                let stream = TokioIo::new(stream);
                drop(
                    http1::Builder::new()
                        .serve_connection(stream, service)
                        .await,
                );
            });
        }
    });
    let liar = Liar::start(address).await.expect("a liar");
    (liar, registry)
}

/// The answer to a question about the tag `a/b:v1`; nothing when there is none.
async fn ask(liar: &Liar, method: Method) -> Option<Seen> {
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{}/v2/a/b/manifests/v1", liar.host()))
        .header(USER_AGENT, "test/1")
        .body(Full::default())
        .expect("a request");
    let (head, body) = client.request(request).await.ok()?.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    let text = |name: &str| {
        let value = head.headers.get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    Some((
        head.status.as_u16(),
        String::from_utf8_lossy(&body).into_owned(),
        text("content-type"),
        text(DIGEST),
    ))
}

#[tokio::test]
async fn an_honest_answer_is_passed_on_and_noted() {
    let (liar, _registry) = behind().await;
    let (status, body, _, digest) = ask(&liar, Method::GET).await.expect("an answer");
    assert_eq!((status, body.as_str()), (200, MANIFEST));
    let told = liar.told();
    let [told] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(Some(&told.digest), digest.as_ref());
    let names = [&*told.repository, &*told.tag, &*told.user_agent];
    assert_eq!(names, ["a/b", "v1", "test/1"]);
}

#[tokio::test]
async fn no_lie_can_be_verified_and_only_true_digests_are_noted() {
    let (liar, _registry) = behind().await;
    let honest = digest_of(MANIFEST.as_bytes()).to_string();
    for lie in [
        Lie::Digest,
        Lie::Content,
        Lie::Truncated,
        Lie::MediaType,
        Lie::Page,
    ] {
        liar.set(Mood::Lies(lie));
        let (_, body, media_type, digest) = ask(&liar, Method::GET).await.expect("an answer");
        let holds = digest.as_ref() == Some(&digest_of(body.as_bytes()).to_string());
        let manifest = media_type.is_some_and(|text| text.contains("manifest"));
        assert!(!(holds && manifest), "{lie:?}");
        let (_, _, media_type, digest) = ask(&liar, Method::HEAD).await.expect("an answer");
        let other = digest.is_none_or(|digest| digest != honest)
            || media_type.is_none_or(|text| !text.contains("manifest"));
        assert_eq!(
            other,
            !matches!(lie, Lie::Content | Lie::Truncated),
            "{lie:?}"
        );
    }
    // Of three lies, by both methods
    assert_eq!(liar.told().len(), 6);
    assert!(liar.told().iter().all(|told| told.digest == honest));
}

#[tokio::test]
async fn who_is_refused_gets_the_status_and_who_is_kept_waiting_gets_nothing() {
    let (liar, _registry) = behind().await;
    liar.set(Mood::Refuses(StatusCode::TOO_MANY_REQUESTS));
    let (status, ..) = ask(&liar, Method::HEAD).await.expect("an answer");
    assert_eq!(status, 429);
    liar.set(Mood::Silent);
    let (answer, ()) = tokio::join!(ask(&liar, Method::HEAD), async {
        while liar.state.mood.receiver_count() == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        liar.set(Mood::Honest);
    });
    assert_eq!(answer, None);
    assert!(ask(&liar, Method::HEAD).await.is_some());
    assert_eq!(liar.told().len(), 1);
}
