//! Connections through a proxy.

use std::{
    error::Error as _,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use kube_autorollout_registry::{
    ClientBuilder, Error, ErrorKind, Proxy, Reference, RegistryClient,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::script::{
    Server, alice, build, credentials, host, index, resolve, resolve_with, tls_options,
};

/// A host that only the proxy can resolve, to loopback.
const HOST: &str = "registry.test";

/// A proxy that tunnels and forwards to ports on loopback, or refuses, and logs requests.
struct Proxying {
    address: SocketAddr,
    log: Log,
    _task: JoinSet<()>,
}

type Log = Arc<Mutex<Vec<String>>>;

impl Proxying {
    async fn start(refusal: Option<&'static str>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let log = Log::default();
        let mut task = JoinSet::new();
        task.spawn({
            let log = Arc::clone(&log);
            async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    connections.spawn(connection(stream, refusal, Arc::clone(&log)));
                }
            }
        });
        Self {
            address,
            log,
            _task: task,
        }
    }

    /// For both schemes, with a login.
    fn options(&self, no: &str) -> Proxy {
        let address = format!("http://user:p%40ss@{}", self.address);
        Proxy::from_env_values(&address, &address, no).expect("an address")
    }

    /// The head of each request so far.
    fn log(&self) -> Vec<String> {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn connection(mut stream: TcpStream, refusal: Option<&'static str>, log: Log) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // A client may leave its connection open for later.
        let Ok(byte) = stream.read_u8().await else {
            return;
        };
        head.push(byte);
    }
    let head = String::from_utf8(head).expect("text");
    let target = head.split(' ').nth(1).expect("an address").to_owned();
    let port = target.trim_start_matches("http://").split('/').next();
    let port = port
        .and_then(|host| host.rsplit(':').next())
        .expect("a port")
        .to_owned();
    let is_tunnel = head.starts_with("CONNECT ");
    log.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(head.clone());
    if let Some(refusal) = refusal {
        let answer = format!("HTTP/1.1 {refusal}\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.expect("a client");
        return;
    }
    let port = port.parse().expect("a port");
    let mut far = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .expect("somebody there");
    if is_tunnel {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
            .await
            .expect("a client");
    } else {
        far.write_all(head.as_bytes()).await.expect("a server");
    }
    // Either side may end it as it likes.
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut far).await;
}

/// An image of a server under the name that only the proxy can resolve.
fn image(server: &Server) -> Reference {
    let (_, port) = server
        .host()
        .rsplit_once(':')
        .map(|(host, port)| (host.to_owned(), port.to_owned()))
        .expect("a port");
    format!("{HOST}:{port}/web:1").parse().expect("a reference")
}

/// For a server without TLS under any name.
fn plain(proxy: Proxy) -> ClientBuilder {
    let all = host("*").plain_http(true);
    RegistryClient::builder().host(all).proxy(proxy)
}

const LOGIN: &str = "proxy-authorization: basic dxnlcjpwqhnz\r\n";

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let proxy = Proxying::start(None).await;
    let server = Server::start_tls(|_| index("{}")).await;
    let options = tls_options(&server).proxy(proxy.options(""));
    let client = build(options);
    resolve(&client, &image(&server)).await.expect("resolved");
    let [request] = &proxy.log()[..] else {
        panic!("{:?}", proxy.log());
    };
    let host = image(&server).registry().to_owned();
    assert!(
        request.starts_with(&format!("CONNECT {host} HTTP/1.1\r\n")),
        "{request}"
    );
    assert!(request.to_lowercase().contains(LOGIN), "{request}");
    assert_eq!(server.log()[0].header("proxy-authorization"), None);
}

#[tokio::test]
async fn plain_http_is_forwarded_by_the_proxy() {
    let proxy = Proxying::start(None).await;
    let server = Server::start(|_| index("{}")).await;
    let client = build(plain(proxy.options("")));
    resolve(&client, &image(&server)).await.expect("resolved");
    let [request] = &proxy.log()[..] else {
        panic!("{:?}", proxy.log());
    };
    let host = image(&server).registry().to_owned();
    let line = format!("HEAD http://{host}/v2/web/manifests/1 HTTP/1.1\r\n");
    assert!(request.starts_with(&line), "{request}");
    assert!(request.to_lowercase().contains(LOGIN), "{request}");
    assert!(
        request
            .to_lowercase()
            .contains(&format!("host: {host}\r\n")),
        "{request}"
    );
}

#[tokio::test]
async fn hosts_in_no_proxy_are_reached_directly() {
    let proxy = Proxying::start(None).await;
    let server = Server::start(|_| index("{}")).await;
    let image = image(&server);
    for (no, exempt) in [
        ("", false),
        ("example.com,10.0.0.0/8", false),
        ("registry.test:1", false),
        (image.registry(), true),
        ("*.test", true),
        ("*", true),
    ] {
        let before = proxy.log().len();
        let client = build(plain(proxy.options(no)));
        let result = resolve(&client, &image).await;
        // Without the proxy nobody knows the name.
        assert_eq!(result.is_err(), exempt, "{no}: {result:?}");
        assert_eq!(proxy.log().len() == before, exempt, "{no}");
    }
}

#[tokio::test]
async fn loopback_is_reached_directly_and_an_unreachable_proxy_is_reported() {
    let server = Server::start(|_| index("{}")).await;
    let dead = Proxy::from_env_values("", "http://user:planted@127.0.0.1:1", "");
    let client = build(plain(dead.expect("an address")));
    resolve(&client, &server.image("web:1"))
        .await
        .expect("without the proxy");
    let error = resolve(&client, &image(&server))
        .await
        .expect_err("through it");
    assert_eq!(error.kind(), ErrorKind::Transport);
    let chain = chain(&error);
    assert!(
        chain.contains("the proxy 127.0.0.1:1 cannot be reached"),
        "{chain}"
    );
    assert!(!chain.contains("planted"), "{chain}");
}

/// The messages of an error and its sources.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_refusal_of_the_proxy_is_not_one_of_the_registry() {
    let secure = Server::start_tls(|_| index("{}")).await;
    let unencrypted = Server::start(|_| index("{}")).await;
    let refusals = [
        "407 Proxy AuthMethod Required\r\nproxy-authenticate: Basic realm=x",
        "403 Forbidden\r\nx-squid-error: ERR_ACCESS_DENIED 0",
        "403 Forbidden\r\nproxy-status: gateway; error=http_request_denied",
        "503 Service Unavailable\r\nx-squid-error: ERR_DNS_FAIL 0",
    ];
    for refusal in refusals {
        let proxy = Proxying::start(Some(refusal)).await;
        let options = tls_options(&secure).proxy(proxy.options(""));
        for (server, options) in [(&secure, options), (&unencrypted, plain(proxy.options("")))] {
            let before = proxy.log().len();
            let client = build(options);
            let alice = credentials(&[alice()]);
            let error = resolve_with(&client, &image(server), &alice)
                .await
                .expect_err(refusal);
            assert_eq!(error.kind(), ErrorKind::Transport, "{refusal}");
            let chain = chain(&error);
            let named = format!("the proxy {} refuses", proxy.address);
            assert!(chain.contains(&named) && !chain.contains("p@ss"), "{chain}");
            assert!(error.is_proxy(), "{chain}");
            assert_eq!(client.quarantined().len(), 0, "{refusal}");
            assert_eq!(proxy.log().len() - before, 1, "a login is not tried again");
        }
    }
    assert_eq!((secure.log().len(), unencrypted.log().len()), (0, 0));
}

#[test]
fn an_invalid_proxy_is_an_error() {
    let proxy = Proxy::from_env_values("socks5://proxy:1080", "", "");
    assert_eq!(proxy.expect_err("another protocol").scheme, "https");
}
