//! Many images of one host, far away.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use kube_autorollout_testbed::image::{Content as _, digest_of};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};

use super::{Given, index};

const IMAGES: usize = 100;

/// Ends a test that would wait for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// A registry that answers when it is told to, as if the way were long.
struct Far {
    address: SocketAddr,
    asked: watch::Receiver<usize>,
    go: Arc<Semaphore>,
    /// Ends with this.
    _server: JoinSet<()>,
}

impl Far {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (asking, asked) = watch::channel(0);
        let (asking, go) = (Arc::new(asking), Arc::new(Semaphore::new(0)));
        let hold = Arc::clone(&go);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer(stream, Arc::clone(&asking), Arc::clone(&hold)));
            }
        });
        Self {
            address,
            asked,
            go,
            _server: server,
        }
    }

    /// Answers requests that are on their way together. Returns how often a request and its answer have travelled.
    async fn answer(&self, waves: impl IntoIterator<Item = usize>) -> usize {
        let (mut asked, mut answered, mut round_trips) = (self.asked.clone(), 0, 0);
        for wave in waves {
            answered += wave;
            let all = asked.wait_for(|asked| *asked >= answered);
            let seen = *timeout(PATIENCE, all)
                .await
                .expect("in time")
                .expect("alive");
            assert_eq!(seen, answered, "no more are on their way");
            self.go.add_permits(wave);
            round_trips += 1;
        }
        round_trips
    }
}

/// Tells of the same index under every name, request by request.
async fn answer(mut stream: TcpStream, asking: Arc<watch::Sender<usize>>, hold: Arc<Semaphore>) {
    let index = index("check-many");
    let root = index.root();
    let mut request = Vec::new();
    while matches!(stream.read_buf(&mut request).await, Ok(read) if read > 0) {
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        asking.send_modify(|asked| *asked += 1);
        hold.acquire().await.expect("never closed").forget();
        let (length, media_type, digest) =
            (root.body.len(), root.media_type, digest_of(&root.body));
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\ncontent-type: {media_type}\r\ndocker-content-digest: {digest}\r\n\r\n"
        );
        let body: &[u8] = if request.starts_with(b"HEAD") {
            &[]
        } else {
            &root.body
        };
        if stream
            .write_all(&[head.as_bytes(), body].concat())
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
    // One finds out how to ask; then as many as may be ask together, each for the digest and for its platforms.
    let rest = 2 * IMAGES - 1;
    let waves = [1]
        .into_iter()
        .chain([16; 2 * IMAGES / 16])
        .chain([rest % 16]);
    let ((code, list), round_trips) = tokio::join!(given.check_json(&arguments), far.answer(waves));
    assert_eq!((code, list.len()), (Some(0), IMAGES));
    for object in list {
        assert_eq!(object["platforms"][1], "linux/arm64", "{object}");
    }
    // One more is that of TCP.
    assert!(1 + round_trips < 20, "{round_trips}");
}
