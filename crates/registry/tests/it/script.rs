//! A scripted server, which logs requests.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::{
    body::Incoming,
    rt::{Read, Write},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use kube_autorollout_registry::{Certificate, Reference};
use kube_autorollout_testbed::certificates::{Authority, Identity};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use self::answer::Content;
pub(crate) use self::{
    answer::{Answer, DIGEST, OCI_INDEX, index, index_without_digest, status, token},
    clients::{
        alice, bob, build, client, credentials, host, manifest, options, pass, resolve,
        resolve_with, tls_options, until,
    },
};

// The paths are the same whichever test binary has this module.
#[path = "script/answer.rs"]
mod answer;
#[path = "script/clients.rs"]
mod clients;

/// A request that the server received.
#[derive(Debug, Clone)]
pub(crate) struct ReceivedRequest {
    pub(crate) method: Method,
    /// The host that the client used.
    pub(crate) host: String,
    /// The path and the query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl ReceivedRequest {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }

    pub(crate) fn is_token(&self) -> bool {
        self.target.starts_with("/token")
    }
}

type Script = dyn Fn(&ReceivedRequest) -> Answer + Send + Sync;

struct State {
    script: Box<Script>,
    log: Mutex<Vec<ReceivedRequest>>,
    connections: AtomicUsize,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

/// A running server, stopped on drop.
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<State>,
    authority: Option<String>,
    _task: JoinSet<()>,
}

impl Server {
    /// Serves HTTP.
    pub(crate) async fn start(
        script: impl Fn(&ReceivedRequest) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::run(script, None).await
    }

    /// Serves HTTP at the loopback address of IPv6.
    pub(crate) async fn start_ipv6(
        script: impl Fn(&ReceivedRequest) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await;
        Self::serve(listener.expect("IPv6"), script, None)
    }

    /// Serves HTTPS, with HTTP/2 if the client supports it.
    pub(crate) async fn start_tls(
        script: impl Fn(&ReceivedRequest) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let authority = Authority::new("scripted").expect("an authority");
        let identity = authority.issue().expect("an identity");
        let mut server = Self::run(script, Some(acceptor(&identity))).await;
        server.authority = Some(authority.certificate().to_owned());
        server
    }

    /// Serves HTTPS with a self-signed certificate.
    pub(crate) async fn start_own_authority(
        script: impl Fn(&ReceivedRequest) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let identity = Identity::own_authority().expect("an identity");
        let mut server = Self::run(script, Some(acceptor(&identity))).await;
        server.authority = Some(identity.certificate);
        server
    }

    async fn run(
        script: impl Fn(&ReceivedRequest) -> Answer + Send + Sync + 'static,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        Self::serve(listener.expect("a port"), script, tls)
    }

    fn serve(
        listener: TcpListener,
        script: impl Fn(&ReceivedRequest) -> Answer + Send + Sync + 'static,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State {
            script: Box::new(script),
            log: Mutex::default(),
            connections: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        });
        let mut task = JoinSet::new();
        task.spawn(accept(listener, tls, Arc::clone(&state)));
        Self {
            address,
            state,
            authority: None,
            _task: task,
        }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// A reference to an image here.
    pub(crate) fn image(&self, image: &str) -> Reference {
        format!("{}/{image}", self.host())
            .parse()
            .expect("a reference")
    }

    /// The certificate of the authority that signed the server's.
    pub(crate) fn ca_certificate(&self) -> Certificate {
        let authority = self.authority.as_ref().expect("a server with TLS");
        Certificate::from_pem(authority.as_bytes()).expect("a certificate")
    }

    /// All requests so far.
    pub(crate) fn log(&self) -> Vec<ReceivedRequest> {
        self.state
            .log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// All requests so far, as `METHOD target`.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.log()
            .iter()
            .map(|request| format!("{} {}", request.method, request.target))
            .collect()
    }

    pub(crate) fn count(&self, filter: impl Fn(&ReceivedRequest) -> bool) -> usize {
        self.log().iter().filter(|request| filter(request)).count()
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// The most requests that were in flight at once.
    pub(crate) fn most_in_flight(&self) -> usize {
        self.state.most_in_flight.load(Ordering::SeqCst)
    }
}

fn acceptor(identity: &Identity) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
    let mut settings = rustls::ServerConfig::builder_with_provider(
        rustls::crypto::ring::default_provider().into(),
    )
    .with_safe_default_protocol_versions()
    .expect("known versions")
    .with_no_client_auth()
    .with_single_cert(
        vec![certificate.expect("a certificate")],
        key.expect("a key"),
    )
    .expect("a pair");
    settings.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(settings).into()
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        state.connections.fetch_add(1, Ordering::SeqCst);
        connections.spawn(connection(stream, tls.clone(), Arc::clone(&state)));
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, state: Arc<State>) {
    let Some(tls) = tls else {
        return serve(TokioIo::new(stream), false, state).await;
    };
    // A client that does not trust us goes away.
    if let Ok(stream) = tls.accept(stream).await {
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        serve(TokioIo::new(stream), is_http2, state).await;
    }
}

async fn serve(
    stream: impl Read + Write + Unpin + Send + 'static,
    is_http2: bool,
    state: Arc<State>,
) {
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(state.answer(request).await) }
    });
    // A client that goes away in the middle is part of some tests.
    let _ = if is_http2 {
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .serve_connection(stream, service)
            .await
    } else {
        http1::Builder::new()
            .serve_connection(stream, service)
            .await
    };
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Response<Content> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.expect("a whole request").to_bytes();
        let host = match head.uri.authority() {
            Some(authority) => authority.to_string(), // HTTP/2
            None => String::from_utf8_lossy(head.headers["host"].as_bytes()).into_owned(),
        };
        let received = ReceivedRequest {
            method: head.method,
            host,
            target: head.uri.path_and_query().expect("a path").to_string(),
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        let answer = (self.script)(&received);
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(received);
        let in_flight = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_flight.fetch_max(in_flight, Ordering::SeqCst);
        if let Some(hold) = answer.hold {
            hold.acquire().await.expect("never closed").forget();
        }
        if matches!(answer.content, Content::Never) {
            std::future::pending::<()>().await;
        }
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        let mut response = Response::new(answer.content);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        response
    }
}

/// A server that writes these bytes to each connection after a request, with pauses if there is one.
pub(crate) async fn raw(
    bytes: &'static [u8],
    pause: Option<Duration>,
) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                // What comes before the request would be an error of its own.
                let mut request = [0; 4096];
                if stream.read(&mut request).await.is_err() {
                    return;
                }
                for byte in bytes.chunks(if pause.is_some() { 1 } else { bytes.len() }) {
                    if stream.write_all(byte).await.is_err() {
                        return; // the client has had enough
                    }
                    if let Some(pause) = pause {
                        tokio::time::sleep(pause).await;
                    }
                }
                std::future::pending::<()>().await;
            });
        }
    });
    (address, task)
}
