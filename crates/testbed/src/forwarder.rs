//! A way to a server on this machine that takes as long as one through a network, and that can be cut or broken.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use crate::clock::now;

/// Chunks that are on their way in one direction of one connection: far more than any answer of a registry has.
const ON_THE_WAY: usize = 256;

/// What is read at once.
const CHUNK: usize = 16 * 1024;

/// When a client sent something first.
type First = Arc<Mutex<Option<Timestamp>>>;

/// Passes connections on to a server, with the delay of a network. It ends when it is dropped.
#[derive(Debug)]
pub struct Forwarder {
    host: String,
    first: First,
    trip: watch::Sender<Duration>,
    open: watch::Sender<bool>,
    breaks: watch::Sender<()>,
    _tasks: JoinSet<()>, // dropping it stops them
}

impl Forwarder {
    /// Listens on a free port of loopback and passes everything on to `server`, each direction half of `round_trip` late.
    /// The handshake of a connection costs a round trip of its own, as that of TCP does.
    ///
    /// # Errors
    ///
    /// When no port is to be had.
    pub async fn start(server: SocketAddr, round_trip: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let host = listener.local_addr()?.to_string();
        let (open, breaks) = (watch::Sender::new(true), watch::Sender::new(()));
        let (trip, first) = (watch::Sender::new(round_trip), Arc::default());
        let way = Way {
            server,
            round_trip: trip.subscribe(),
            open: open.subscribe(),
            first: Arc::clone(&first),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, way, breaks.subscribe()));
        Ok(Self {
            host,
            first,
            trip,
            open,
            breaks,
            _tasks: tasks,
        })
    }

    /// `127.0.0.1:<port>`, as it stands in image references.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// How long a round trip takes from now on, on the connections that are made from now on.
    pub fn set_round_trip(&self, round_trip: Duration) {
        self.trip.send_replace(round_trip);
    }

    /// Waits for a client to send something, from now on.
    pub fn expect(&self) {
        *locked(&self.first) = None;
    }

    /// When a client sent something first since [`Forwarder::expect`].
    pub fn first(&self) -> Option<Timestamp> {
        *locked(&self.first)
    }

    /// From now on nothing arrives, in either direction; connections stay open and hang.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Connections that are open now are closed, and what is on its way is lost.
    pub fn sever(&self) {
        self.breaks.send_replace(());
    }

    /// All arrives that was sent meanwhile, and what is sent from now on.
    pub fn restore(&self) {
        self.open.send_replace(true);
    }
}

/// Where connections go, and how.
#[derive(Clone)]
struct Way {
    server: SocketAddr,
    round_trip: watch::Receiver<Duration>,
    open: watch::Receiver<bool>,
    first: First,
}

impl Way {
    /// A client has sent something.
    fn note(&self) {
        locked(&self.first).get_or_insert_with(now);
    }
}

async fn accept(listener: TcpListener, way: Way, breaks: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // One that is gone before it was accepted needs no way
                let Ok((client, _)) = accepted else { continue };
                let carried = connection(client, way.clone());
                let mut breaks = breaks.clone();
                breaks.mark_unchanged();
                connections.spawn(async move {
                    tokio::select! {
                        biased; // what is severed stays lost, though the way is restored in the same moment
                        // An error means that the forwarder is gone
                        _ = breaks.changed() => {}
                        () = carried => {}
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(client: TcpStream, way: Way) {
    let round_trip = *way.round_trip.borrow();
    sleep(round_trip).await;
    let Ok(server) = TcpStream::connect(way.server).await else {
        return;
    };
    let (from_client, to_client) = split(client);
    let (from_server, to_server) = split(server);
    let delay = round_trip / 2;
    tokio::join!(
        carry(from_client, to_server, delay, way.open.clone(), || way
            .note()),
        carry(from_server, to_client, delay, way.open.clone(), || ()),
    );
}

/// One direction, until its sender has said everything or nobody listens.
async fn carry(
    mut from: ReadHalf<TcpStream>,
    mut to: WriteHalf<TcpStream>,
    delay: Duration,
    mut open: watch::Receiver<bool>,
    note: impl Fn(),
) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    let read = async move {
        loop {
            let mut chunk = vec![0; CHUNK];
            let Ok(length @ 1..) = from.read(&mut chunk).await else {
                return;
            };
            note();
            chunk.truncate(length);
            if sender.send((Instant::now() + delay, chunk)).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, chunk)) = receiver.recv().await {
            sleep_until(due).await;
            if open.wait_for(|open| *open).await.is_err() {
                return;
            }
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
        // The other side may be gone already
        drop(to.shutdown().await);
    };
    tokio::join!(read, write);
}

fn locked(first: &First) -> MutexGuard<'_, Option<Timestamp>> {
    first.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// A server, and a way to it.
    async fn way(round_trip: Duration) -> (TcpListener, Forwarder) {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let server = server.expect("a port");
        let address = server.local_addr().expect("an address");
        let forwarder = Forwarder::start(address, round_trip).await;
        (server, forwarder.expect("a way"))
    }

    #[tokio::test]
    async fn what_is_sent_comes_back_after_a_round_trip_and_not_before() {
        let round_trip = Duration::from_millis(40);
        let (server, forwarder) = way(round_trip).await;
        let mut echo = JoinSet::new();
        echo.spawn(async move {
            let (mut stream, _) = server.accept().await.expect("a connection");
            let mut word = [0; 4];
            stream.read_exact(&mut word).await.expect("a word");
            stream.write_all(&word).await.expect("somebody who listens");
        });
        let begun = Instant::now();
        let mut client = TcpStream::connect(forwarder.host())
            .await
            .expect("a connection");
        assert_eq!(forwarder.first(), None, "nothing was sent yet");
        client.write_all(b"ping").await.expect("a way");
        let mut word = [0; 4];
        client.read_exact(&mut word).await.expect("an answer");
        assert_eq!(&word, b"ping");
        assert!(forwarder.first().is_some());
        forwarder.expect();
        assert_eq!(forwarder.first(), None, "nothing was sent since");
        assert!(
            begun.elapsed() >= round_trip * 2,
            "the handshake and the exchange: {:?}",
            begun.elapsed()
        );
    }

    #[tokio::test]
    async fn what_is_sent_while_the_way_is_cut_arrives_when_it_is_restored() {
        let (server, forwarder) = way(Duration::ZERO).await;
        let mut client = TcpStream::connect(forwarder.host())
            .await
            .expect("a connection");
        let (mut stream, _) = server.accept().await.expect("a connection");
        forwarder.cut();
        client.write_all(b"ping").await.expect("a way");
        let mut word = [0; 4];
        let early = timeout(Duration::from_millis(100), stream.read_exact(&mut word)).await;
        assert!(early.is_err(), "{early:?}");
        forwarder.restore();
        stream.read_exact(&mut word).await.expect("a word");
        assert_eq!(&word, b"ping");
    }

    #[tokio::test]
    async fn what_is_on_its_way_when_it_is_severed_is_lost_and_later_connections_are_none_the_worse()
     {
        let (server, forwarder) = way(Duration::ZERO).await;
        forwarder.cut();
        let connect = async || {
            let client = TcpStream::connect(forwarder.host());
            let mut client = client.await.expect("a connection");
            let (stream, _) = server.accept().await.expect("a connection");
            client.write_all(b"ping").await.expect("a way");
            (client, stream)
        };
        let (_first, mut severed) = connect().await;
        forwarder.sever();
        let mut word = Vec::new();
        severed.read_to_end(&mut word).await.expect("its end");
        assert!(word.is_empty(), "{word:?}");
        let (_second, mut stream) = connect().await;
        forwarder.restore();
        let mut word = [0; 4];
        stream.read_exact(&mut word).await.expect("a word");
        assert_eq!(&word, b"ping");
    }

    #[tokio::test]
    async fn what_is_severed_is_lost_though_the_way_is_restored_in_the_same_moment() {
        let (server, forwarder) = way(Duration::ZERO).await;
        for _ in 0..20 {
            forwarder.cut();
            let client = TcpStream::connect(forwarder.host());
            let mut client = client.await.expect("a connection");
            let (mut severed, _) = server.accept().await.expect("a connection");
            client.write_all(b"ping").await.expect("a way");
            let early = timeout(Duration::from_millis(20), severed.read_u8()).await;
            assert!(early.is_err(), "{early:?}");
            forwarder.sever();
            forwarder.restore();
            let mut word = Vec::new();
            severed.read_to_end(&mut word).await.expect("its end");
            assert!(word.is_empty(), "{word:?}");
        }
    }
}
