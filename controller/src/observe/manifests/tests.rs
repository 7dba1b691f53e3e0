use std::{net::SocketAddr, time::Duration};

use kube_autorollout_core::{image_id::ImageId, platform::Platforms};
use kube_autorollout_registry::HostOptions;
use kube_autorollout_testbed::image::digest_of;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::{JoinSet, yield_now},
    time::{sleep, timeout},
};

use super::*;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A registry with some indexes, which sends a response for each permit.
struct Registry {
    address: SocketAddr,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

struct Shared {
    bodies: Vec<Vec<u8>>,
    in_flight: AtomicUsize,
    max_in_flight: AtomicUsize,
    requests: AtomicUsize,
    permits: Semaphore,
}

impl Registry {
    async fn start(bodies: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            bodies,
            in_flight: AtomicUsize::new(0),
            max_in_flight: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            permits: Semaphore::new(0),
        });
        let mut server = JoinSet::new();
        let state = Arc::clone(&shared);
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(respond(stream, Arc::clone(&state)));
            }
        });
        Self {
            address,
            shared,
            _server: server,
        }
    }

    fn digests(&self) -> Vec<Digest> {
        let bodies = self.shared.bodies.iter();
        bodies.map(|body| digest_of(body)).collect()
    }
}

async fn respond(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut request = Vec::new();
    while matches!(stream.read_buf(&mut request).await, Ok(read) if read > 0) {
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        let head = String::from_utf8(std::mem::take(&mut request)).expect("text");
        shared.requests.fetch_add(1, Ordering::SeqCst);
        let in_flight = shared.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        shared.max_in_flight.fetch_max(in_flight, Ordering::SeqCst);
        shared
            .permits
            .acquire()
            .await
            .expect("never closed")
            .forget();
        shared.in_flight.fetch_sub(1, Ordering::SeqCst);
        let mut bodies = shared.bodies.iter();
        let body = bodies.find(|body| head.contains(digest_of(body).as_ref()));
        let body = body.expect("one of ours");
        let response = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/vnd.oci.image.index.v1+json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let response = [response.as_bytes(), body].concat();
        if stream.write_all(&response).await.is_err() {
            return;
        }
    }
}

/// Distinct indexes of this size in bytes.
fn indexes(number: usize, bytes: usize) -> Vec<Vec<u8>> {
    let indexes = (0..number).map(|number| {
        let mut index = format!(r#"{{"schemaVersion":2,"manifests":[],"x":{number}"#).into_bytes();
        index.resize(bytes - 1, b' ');
        index.push(b'}');
        index
    });
    indexes.collect()
}

fn client() -> RegistryClient {
    let plain = HostOptions::new("*".parse().expect("a pattern")).plain_http(true);
    let builder = RegistryClient::builder().host(plain);
    builder.build().expect("good settings")
}

async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let waited = timeout(Duration::from_secs(30), wait).await;
    waited.expect("it comes true");
}

#[tokio::test]
async fn the_manifests_of_an_index_of_indexes_are_requested_a_few_at_once() {
    let registry = Registry::start(indexes(20, 100)).await;
    let (client, credentials) = (client(), CredentialChain::anonymous());
    let reference = format!("{}/web:1", registry.address);
    let reference = reference.parse().expect("a reference");
    let mut manifests = Manifests::new(&client, &reference, &credentials);
    let digests = registry.digests();
    let shared = &registry.shared;
    // The first request opens the connection for the others.
    shared.permits.add_permits(1);
    let hold = async {
        until(|| shared.requests.load(Ordering::SeqCst) > AT_ONCE).await;
        for _ in 0..1000 {
            yield_now().await;
        }
        shared.permits.add_permits(100);
    };
    let tag = digests[0].clone();
    tokio::join!(manifests.fetch(digests, &tag), hold);
    assert_eq!(shared.max_in_flight.load(Ordering::SeqCst), AT_ONCE);
    assert_eq!(manifests.lookups.len(), 20);
    assert_eq!(manifests.failure(), None);
}

#[tokio::test]
async fn manifests_that_exceed_the_total_size_are_not_fetched() {
    let registry = Registry::start(indexes(20, 1024 * 1024)).await;
    let (client, credentials) = (client(), CredentialChain::anonymous());
    let reference = format!("{}/web:1", registry.address);
    let reference = reference.parse().expect("a reference");
    let mut manifests = Manifests::new(&client, &reference, &credentials);
    registry.shared.permits.add_permits(100);
    let digests = registry.digests();
    let tag = digests[0].clone();
    manifests.fetch(digests, &tag).await;
    let requests = registry.shared.requests.load(Ordering::SeqCst);
    let max = MAX_BYTES / (1024 * 1024) + AT_ONCE;
    assert!(requests <= max, "{requests}");
    let failure = manifests.failure().expect("too large");
    assert_eq!(failure.reason, Reason::ManifestTooLarge);
}

/// A registry whose replicas lag behind has it a moment later, and the next tick may be a day away.
#[tokio::test]
async fn a_manifest_that_the_index_of_the_tag_lists_and_that_is_missing_is_a_transient_failure() {
    let (client, credentials) = (client(), CredentialChain::anonymous());
    let reference = "registry.example/web:1".parse().expect("a reference");
    let [tag, listed, running] =
        ["tag", "listed", "running"].map(|name| digest_of(name.as_bytes()));
    let body =
        format!(r#"{{"manifests":[{{"mediaType":"{INDEX}","digest":"{listed}","size":2}}]}}"#);
    let index = Manifest::parse(INDEX, body.as_bytes()).expect("an index");
    let mut manifests = Manifests::new(&client, &reference, &credentials);
    manifests.lookups = HashMap::from([
        (tag.clone(), ManifestLookup::Manifest(Arc::new(index))),
        (listed, ManifestLookup::Unavailable),
    ]);
    let comparison = Comparison {
        reference: &reference,
        tag: &tag,
        running: &ImageId::Bare(running),
        pulled: None,
        platforms: &Platforms::Every,
    };
    let verdict = manifests.compare(comparison).await;
    assert_eq!(verdict, Verdict::Unknown(Reason::TagNotFound));
    let failure = manifests.failure().expect("a failure");
    assert!(
        failure.transient && failure.detail.contains("not found"),
        "{failure:?}"
    );
}
