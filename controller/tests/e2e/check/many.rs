//! Many images of one host, far away.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use kube_autorollout_testbed::image::{Content as _, digest_of};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};

use super::{Given, errors, index};

const IMAGES: usize = 100;

/// Ends a test that would wait for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// As many as may be in flight at once.
const PERMITS: usize = 16;

/// How many requests a registry has received, and how many responses it has sent.
#[derive(Clone, Copy, Default)]
struct Seen {
    heads: usize,
    gets: usize,
    answered_heads: usize,
    answered: usize,
}

impl Seen {
    fn in_flight(self) -> usize {
        self.heads + self.gets - self.answered
    }

    /// Everything is on its way that can be: each image is asked for by `HEAD`, and after its answer by `GET`.
    fn is_all(self) -> bool {
        let to_come = (IMAGES - self.heads) + (self.answered_heads - self.gets);
        // One finds out how to ask; then as many as may be ask together.
        let permits = if self.answered == 0 { 1 } else { PERMITS };
        self.in_flight() == permits.min(self.in_flight() + to_come)
    }
}

/// A registry that responds on demand, as if it were far away.
struct Far {
    address: SocketAddr,
    seen: watch::Receiver<Seen>,
    go: Arc<Semaphore>,
    /// Ends with this.
    _server: JoinSet<()>,
}

impl Far {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (notes, seen) = watch::channel(Seen::default());
        let (notes, go) = (Arc::new(notes), Arc::new(Semaphore::new(0)));
        let hold = Arc::clone(&go);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer(stream, Arc::clone(&notes), Arc::clone(&hold)));
            }
        });
        Self {
            address,
            seen,
            go,
            _server: server,
        }
    }

    /// Answers requests that are on their way together. Returns how often a request and its answer have travelled.
    async fn answer(&self) -> usize {
        let mut round_trips = 0;
        let mut answered = 0;
        while answered < 2 * IMAGES {
            // Also ends a wait for more than may be on their way
            let seen = self.until(Seen::is_all).await;
            answered += seen.in_flight();
            self.go.add_permits(seen.in_flight());
            self.until(|seen| seen.answered == answered).await;
            round_trips += 1;
        }
        round_trips
    }

    async fn until(&self, condition: impl Fn(Seen) -> bool) -> Seen {
        let mut seen = self.seen.clone();
        let met = timeout(PATIENCE, seen.wait_for(|seen| condition(*seen))).await;
        *met.expect("in time").expect("alive")
    }
}

/// Serves the same index under every name, request by request.
async fn answer(mut stream: TcpStream, notes: Arc<watch::Sender<Seen>>, hold: Arc<Semaphore>) {
    let index = index("check-many");
    let root = index.root();
    let mut request = Vec::new();
    while matches!(stream.read_buf(&mut request).await, Ok(read) if read > 0) {
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        let head = usize::from(request.starts_with(b"HEAD"));
        notes.send_modify(|seen| {
            seen.heads += head;
            seen.gets += 1 - head;
        });
        hold.acquire().await.expect("never closed").forget();
        notes.send_modify(|seen| {
            seen.answered_heads += head;
            seen.answered += 1;
        });
        let (length, media_type, digest) =
            (root.body.len(), root.media_type, digest_of(&root.body));
        let lines = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\ncontent-type: {media_type}\r\ndocker-content-digest: {digest}\r\n\r\n"
        );
        let body: &[u8] = if head == 1 { &[] } else { &root.body };
        if stream
            .write_all(&[lines.as_bytes(), body].concat())
            .await
            .is_err()
        {
            break;
        }
        request.clear();
    }
}

#[tokio::test]
async fn a_hundred_images_for_several_platforms_take_less_than_twenty_round_trips() {
    let far = Far::start().await;
    let given = Given::new("registries: [{ hostnamePattern: '*', plainHttp: true }]");
    let names = (0..IMAGES).map(|number| format!("{}/app{number}:1", far.address));
    let images: Vec<String> = names.collect();
    let arguments: Vec<&str> = images.iter().map(String::as_str).collect();
    let ((code, list), round_trips) = tokio::join!(given.check_json(&arguments), far.answer());
    assert_eq!((code, list.len()), (Some(0), IMAGES));
    for object in list {
        assert_eq!(object["platforms"][1], "linux/arm64", "{object}");
    }
    // One more is that of TCP.
    assert!(1 + round_trips < 20, "{round_trips}");
}

/// A registry that fails at once, and counts requests.
async fn failing() -> (SocketAddr, Arc<AtomicUsize>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, mut server) = (Arc::clone(&asked), JoinSet::new());
    server.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            connections.spawn(async move {
                let mut request = Vec::new();
                while matches!(stream.read_buf(&mut request).await, Ok(read) if read > 0) {
                    if !request.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    request.clear();
                    count.fetch_add(1, Ordering::SeqCst);
                    let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
                    if stream.write_all(answer).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    (address, asked, server)
}

#[tokio::test]
async fn two_hundred_images_of_a_registry_that_fails_cost_it_a_few_requests() {
    let (address, asked, _server) = failing().await;
    let given = Given::new("registries: [{ hostnamePattern: '*', plainHttp: true }]");
    let login = json!({ "username": "robot", "password": "secret" });
    let login = json!({ "auths": { address.to_string(): login } }).to_string();
    let login = given.file("docker.json", login.as_bytes());
    let login = login.display().to_string();
    let names = (0..2 * IMAGES).map(|number| format!("{address}/app{number}:1"));
    let images: Vec<String> = names.collect();
    let mut arguments = vec!["--docker-config", login.as_str()];
    arguments.extend(images.iter().map(String::as_str));
    let checked = timeout(PATIENCE, given.check_json(&arguments)).await;
    let (code, list) = checked.expect("in time");
    assert_eq!((code, list.len()), (Some(1), 2 * IMAGES));
    assert!(errors(&list, "kind").iter().all(|kind| *kind == "Server"));
    let asked = asked.load(Ordering::SeqCst);
    // As many as may be in flight, and four that take their places until the fifth has failed.
    assert!(asked <= PERMITS + 4, "{asked}");
}

#[tokio::test]
async fn an_image_that_is_given_twice_is_asked_for_once() {
    let (address, asked, _server) = failing().await;
    let given = Given::new("registries: [{ hostnamePattern: '*', plainHttp: true }]");
    let image = format!("{address}/app");
    let latest = format!("{image}:latest");
    let arguments = [image.as_str(), latest.as_str(), image.as_str()];
    let (_, list) = given.check_json(&arguments).await;
    assert_eq!(errors(&list, "kind"), ["Server"; 3]);
    for (object, image) in list.iter().zip(arguments) {
        assert_eq!(object["image"], image);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 4, "with its retries");
}
