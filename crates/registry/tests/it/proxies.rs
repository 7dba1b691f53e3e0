//! The way through a proxy.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use kube_autorollout_registry::{Client, ErrorKind, Options, OptionsError, Proxy};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::script::{Server, client, index, options, resolve, tls_options};

/// A proxy that connects to wherever it is asked to, and logs what it was asked.
struct Tunnel {
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

impl Tunnel {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut task = JoinSet::new();
        task.spawn({
            let log = Arc::clone(&log);
            async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    connections.spawn(tunnel(stream, Arc::clone(&log)));
                }
            }
        });
        Self {
            address,
            log,
            _task: task,
        }
    }

    fn host(&self) -> String {
        self.address.to_string()
    }

    /// The head of each request so far.
    fn log(&self) -> Vec<String> {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn tunnel(mut stream: TcpStream, log: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a whole head"));
    }
    let head = String::from_utf8(head).expect("text");
    let to = head.split(' ').nth(1).expect("an address").to_owned();
    log.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(head);
    let mut far = TcpStream::connect(to).await.expect("somebody there");
    stream
        .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
        .await
        .expect("a listener");
    // Either side may end it as it likes.
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut far).await;
}

#[tokio::test]
async fn registries_are_reached_through_the_proxy_of_their_scheme() {
    let tunnel = Tunnel::start().await;
    let secure = Server::start_tls(|_| index("{}")).await;
    let plain = Server::start(|_| index("{}")).await;
    let address = format!("http://user:p%40ss@{}", tunnel.host());
    let https = Options {
        proxy: Proxy {
            https: address.clone(),
            ..Proxy::default()
        },
        ..tls_options(&secure)
    };
    let http = Options {
        proxy: Proxy {
            http: address,
            ..Proxy::default()
        },
        ..options()
    };
    for (server, options) in [(&secure, https), (&plain, http)] {
        let client = Client::new(options).expect("good options");
        resolve(&client, &server.image("web:1"))
            .await
            .expect("resolved");
        let asked = tunnel.log().pop().expect("a tunnel");
        assert!(
            asked.starts_with(&format!("CONNECT {} HTTP/1.1\r\n", server.host())),
            "{asked}"
        );
        assert!(
            asked.contains("Proxy-Authorization: Basic dXNlcjpwQHNz\r\n"),
            "{asked}"
        );
    }
    assert_eq!(tunnel.log().len(), 2);
}

#[tokio::test]
async fn hosts_without_proxy_are_reached_directly() {
    let server = Server::start(|_| index("{}")).await;
    let dead = || Proxy {
        http: "http://127.0.0.1:1".to_owned(),
        ..Proxy::default()
    };
    for (no, reached) in [
        ("", false),
        ("example.com,127.0.0.0/8", true),
        ("127.0.0.1", true),
        ("*", true),
    ] {
        let options = Options {
            proxy: Proxy {
                no: no.to_owned(),
                ..dead()
            },
            ..options()
        };
        let client = Client::new(options).expect("good options");
        match resolve(&client, &server.image("web:1")).await {
            Ok(_) => assert!(reached, "{no}"),
            Err(error) => {
                assert!(!reached, "{no}: {error}");
                assert_eq!(error.kind(), ErrorKind::Transport, "{no}");
            }
        }
    }
    resolve(&client(), &server.image("web:1"))
        .await
        .expect("without proxies");
}

#[test]
fn a_proxy_that_cannot_be_used_stops_the_start() {
    let options = Options {
        proxy: Proxy {
            https: "socks5://proxy:1080".to_owned(),
            ..Proxy::default()
        },
        ..Options::default()
    };
    let error = Client::new(options).expect_err("another protocol");
    assert!(
        matches!(error, OptionsError::Proxy { variable: "https" }),
        "{error}"
    );
}
