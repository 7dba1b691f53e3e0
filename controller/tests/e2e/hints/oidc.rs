//! Tokens of CI jobs.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use kube_autorollout_testbed::{clock::now, workload::eventually};
use parking_lot::Mutex;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};

use super::Hooks;
use crate::harness::{SOON, World};

/// An issuer of tokens on loopback.
struct Issuer {
    url: String,
    /// What its key set has; it answers with 500 where there is none.
    keys: Arc<Mutex<Option<Value>>>,
    /// How many requests it received.
    asked: Arc<Mutex<usize>>,
    _server: JoinSet<()>,
}

struct Key {
    pair: EcdsaKeyPair,
    id: &'static str,
}

impl Key {
    fn new(id: &'static str) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random);
        Self {
            pair: pair.expect("a key"),
            id,
        }
    }

    fn public(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id,
                "x": BASE64.encode(x), "y": BASE64.encode(y) })
    }

    fn token(&self, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "kid": self.id });
        let part = |part: &Value| BASE64.encode(part.to_string());
        let content = format!("{}.{}", part(&header), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), content.as_bytes());
        let signature = BASE64.encode(signature.expect("signed").as_ref());
        format!("{content}.{signature}")
    }
}

impl Issuer {
    async fn start(key: &Key) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let keys = Arc::new(Mutex::new(Some(json!([key.public()]))));
        let asked = Arc::new(Mutex::new(0));
        let (kept, counted, own) = (Arc::clone(&keys), Arc::clone(&asked), url.clone());
        let mut server = JoinSet::new();
        server.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.unwrap_or_default();
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                *counted.lock() += 1;
                let keys = kept.lock().clone();
                let (status, body) = match keys {
                    None => ("500 Internal Server Error", json!({})),
                    Some(_) if request.starts_with("GET /.well-known/") => {
                        ("200 OK", json!({ "issuer": own, "jwks_uri": format!("{own}/keys") }))
                    }
                    Some(keys) => ("200 OK", json!({ "keys": keys })),
                };
                let body = body.to_string();
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: \
                     close\r\n\r\n{body}",
                    body.len(),
                );
                drop(stream.write_all(answer.as_bytes()).await);
            }
        });
        Self {
            url,
            keys,
            asked,
            _server: server,
        }
    }

    fn claims(&self, change: &Value) -> Value {
        let instant = now().as_second();
        let mut claims = json!({
            "iss": self.url, "aud": "kube-autorollout", "sub": "repo:team/web", "repository_owner": "team",
            "iat": instant, "nbf": instant, "exp": instant + 300,
        });
        for (name, value) in change.as_object().cloned().unwrap_or_default() {
            claims[name] = value;
        }
        claims
    }
}

#[tokio::test]
async fn tokens_of_ci_jobs_are_accepted_by_their_issuer_key_and_claims() {
    let world = World::new("oidc").await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let (key, other) = (Key::new("first"), Key::new("first"));
    let issuer = Issuer::start(&key).await;
    let hooks = Hooks::of(&world);
    let receivers = json!([{ "name": "ci", "type": "generic", "oidc": {
        "issuer": issuer.url, "claims": { "repository_owner": "team" },
    }}]);
    let port = hooks.0.port();
    let configuration =
        format!("interval: 24h\nhints: {{ port: {port}, receivers: {receivers} }}\n");
    let controller = world.controller_as_it_is(&configuration).await;
    controller.until_all("UpToDate", 1).await;
    let image = json!({ "image": world.image("app") }).to_string();
    let send = async |token: &str| {
        let authorization = format!("Bearer {token}");
        hooks.post("/hooks/ci", &authorization, &image).await.0
    };

    // Nothing is fetched for a token of another issuer.
    let strange = key.token(&issuer.claims(&json!({ "iss": "https://other.example.org" })));
    assert_eq!(send(&strange).await, 401);
    assert_eq!(*issuer.asked.lock(), 0);

    world.push(&world.version(2), "app").await;
    assert_eq!(send(&key.token(&issuer.claims(&json!({})))).await, 202);
    world.until_running(&world.marker(2), 1).await;
    assert_eq!(world.patches(), 1);

    let instant = now().as_second();
    for (why, change) in [
        ("audience", json!({ "aud": "somebody-else" })),
        ("claim", json!({ "repository_owner": "stranger" })),
        ("expired", json!({ "exp": instant - 120 })),
        ("not yet valid", json!({ "nbf": instant + 120 })),
    ] {
        assert_eq!(
            send(&key.token(&issuer.claims(&change))).await,
            401,
            "{why}"
        );
    }
    assert_eq!(
        send(&other.token(&issuer.claims(&json!({})))).await,
        401,
        "another key"
    );
    let unsigned = BASE64.encode(json!({ "alg": "none" }).to_string());
    let claims = BASE64.encode(issuer.claims(&json!({})).to_string());
    assert_eq!(
        send(&format!("{unsigned}.{claims}.")).await,
        401,
        "no signature"
    );
    assert_eq!(*issuer.asked.lock(), 2, "both documents once");
    assert_eq!(world.patches(), 1);
    let log = controller.log();
    let refused = log
        .lines()
        .filter(|line| line.contains("unauthenticated hint"));
    assert_eq!(refused.count(), 1, "once a minute: {log}");
}

#[tokio::test]
async fn while_the_issuer_is_away_senders_are_asked_to_come_back() {
    let world = World::new("issuer").await;
    let key = Key::new("only");
    let issuer = Issuer::start(&key).await;
    *issuer.keys.lock() = None;
    let hooks = Hooks::of(&world);
    let receivers = json!([{ "name": "ci", "type": "generic", "oidc": {
        "issuer": issuer.url, "claims": { "repository_owner": "team" },
    }}]);
    let port = hooks.0.port();
    let configuration = format!("hints: {{ port: {port}, receivers: {receivers} }}\n");
    let _controller = world.controller(&configuration).await;
    let body = json!({ "image": world.image("app") }).to_string();
    let authorization = format!("Bearer {}", key.token(&issuer.claims(&json!({}))));
    let (status, answer) = hooks.post("/hooks/ci", &authorization, &body).await;
    assert_eq!(status, 503, "{answer}");
    assert!(answer.to_lowercase().contains("retry-after: "), "{answer}");
    *issuer.keys.lock() = Some(json!([key.public()]));
    let accepted = async || {
        let (status, _) = hooks.post("/hooks/ci", &authorization, &body).await;
        (status == 202)
            .then_some(())
            .ok_or_else(|| status.to_string())
    };
    let accepted = eventually(SOON, "it is accepted", accepted);
    accepted.await.unwrap_or_else(|error| panic!("{error}"));
}
