//! An issuer on loopback that responds when a test permits it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use kube_autorollout_hints::{
    ReceiverSettings, Sender,
    oidc::{DEFAULT_AUDIENCE, OidcSettings},
};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
    task::JoinSet,
    time::timeout,
};

use super::*;
use crate::{config, hints::receivers::Receivers, registry::options};

/// Well before a request gives up to wait for the keys.
const SOON: Duration = Duration::from_secs(5);

struct Issuer {
    url: String,
    key: EcdsaKeyPair,
    state: Arc<State>,
    _server: JoinSet<()>,
}

struct State {
    /// One for each response.
    permits: Semaphore,
    requests: AtomicUsize,
    requested: Notify,
    /// A client closed the connection before its response.
    abandoned: Notify,
}

impl Issuer {
    async fn start() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).expect("a key");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(State {
            permits: Semaphore::new(0),
            requests: AtomicUsize::new(0),
            requested: Notify::new(),
            abandoned: Notify::new(),
        });
        let point = key.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let keys = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "only",
                                      "x": BASE64.encode(x), "y": BASE64.encode(y) }] });
        let discovery = json!({ "issuer": url, "jwks_uri": format!("{url}/keys") });
        let documents = Arc::new([discovery, keys].map(|document| document.to_string()));
        let mut server = JoinSet::new();
        let shared = Arc::clone(&state);
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(respond(stream, Arc::clone(&shared), Arc::clone(&documents)));
            }
        });
        Self {
            url,
            key,
            state,
            _server: server,
        }
    }

    fn settings(&self) -> OidcSettings {
        OidcSettings {
            issuer: self.url.clone(),
            audience: DEFAULT_AUDIENCE.to_owned(),
            claims: BTreeMap::from([("repository_owner".to_owned(), "team".to_owned())]),
        }
    }

    /// A token that is accepted.
    fn token(&self) -> String {
        let expiry = clock::now().as_second() + 300;
        let header = json!({ "alg": "ES256", "kid": "only" });
        let claims = json!({ "iss": self.url, "aud": DEFAULT_AUDIENCE, "exp": expiry, "repository_owner": "team" });
        let [header, claims] = [header, claims].map(|part| BASE64.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = BASE64.encode(signature.expect("a signature").as_ref());
        format!("{signed}.{signature}")
    }
}

/// Responds to the request of a connection, unless it is closed before.
async fn respond(mut stream: TcpStream, state: Arc<State>, documents: Arc<[String; 2]>) {
    let mut request = vec![0; 4096];
    let length = stream.read(&mut request).await.unwrap_or_default();
    let is_discovery = request[..length].starts_with(b"GET /.well-known/");
    state.requests.fetch_add(1, Ordering::Relaxed);
    state.requested.notify_one();
    tokio::select! {
        permit = state.permits.acquire() => permit.expect("it is open").forget(),
        _ = stream.read(&mut request) => return state.abandoned.notify_one(),
    }
    let document = &documents[usize::from(!is_discovery)];
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        document.len()
    );
    let response = head + document;
    drop(stream.write_all(response.as_bytes()).await);
}

/// The only receiver, which accepts tokens of the issuer.
fn receivers(issuer: &Issuer) -> Receivers {
    let mut settings = ReceiverSettings::new("ci", Sender::Generic);
    settings.oidc = Some(issuer.settings());
    Receivers::new(kube_autorollout_hints::receivers(vec![settings]).expect("no mistakes"))
}

fn issuers() -> Issuers {
    let environment = BTreeMap::new();
    let config = config::load(None, &environment).expect("defaults").config;
    Issuers::new(options::external_client(&config, &environment).expect("a client"))
}

/// Aborts a request that has the keys fetched.
async fn abort(issuer: &Issuer, issuers: &Issuers, hook: &Arc<ReceiverState>) {
    let token = issuer.token();
    tokio::select! {
        _ = issuers.verify(hook, &token) => panic!("the issuer has not responded"),
        () = issuer.state.requested.notified() => {}
    }
}

#[tokio::test]
async fn a_request_that_is_aborted_does_not_delay_others_that_need_the_keys() {
    let issuer = Issuer::start().await;
    let (receivers, issuers) = (receivers(&issuer), issuers());
    let hook = receivers.get("ci").expect("a receiver");
    let token = issuer.token();
    abort(&issuer, &issuers, hook).await;
    issuer.state.permits.add_permits(2);
    let verdict = timeout(SOON, issuers.verify(hook, &token)).await;
    let verdict = verdict.expect("no wait for a fetch that nobody completes");
    assert!(matches!(verdict, TokenVerdict::Accepted));
    assert_eq!(issuer.state.requests.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_fetch_of_keys_ends_with_the_listener() {
    let issuer = Issuer::start().await;
    let (receivers, issuers) = (receivers(&issuer), issuers());
    let hook = receivers.get("ci").expect("a receiver");
    abort(&issuer, &issuers, hook).await;
    drop(issuers);
    let abandoned = timeout(SOON, issuer.state.abandoned.notified()).await;
    abandoned.expect("the connection is closed");
}
