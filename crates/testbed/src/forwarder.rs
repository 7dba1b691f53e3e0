//! A TCP forwarder to a server on this machine, with the latency of a network, whose connections can be cut or severed.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split},
    net::TcpStream,
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

use crate::{clock::now, server::Server};

/// How many chunks may be in flight in one direction of one connection: far more than any response of a registry has.
const IN_FLIGHT: usize = 256;

/// How many bytes are read at once.
const CHUNK: usize = 16 * 1024;

/// Forwards connections to a server with the latency of a network, until it is dropped.
#[derive(Debug)]
pub struct Forwarder {
    server: Server,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    target: SocketAddr,
    round_trip: Mutex<Duration>,
    open: watch::Sender<bool>,
    /// Notified when open connections are to be closed.
    severed: watch::Sender<()>,
    /// When a client sent something first.
    first: Mutex<Option<Timestamp>>,
}

impl Forwarder {
    /// Listens on a free port of loopback and forwards everything to `target`, with half of `round_trip` as latency in each
    /// direction. The handshake of a connection costs another round trip, as that of TCP does.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub async fn start(target: SocketAddr, round_trip: Duration) -> io::Result<Self> {
        let state = Arc::new(State {
            target,
            round_trip: Mutex::new(round_trip),
            open: watch::Sender::new(true),
            severed: watch::Sender::new(()),
            first: Mutex::default(),
        });
        let connections = Arc::clone(&state);
        let server = Server::accept(move |client| {
            let state = Arc::clone(&connections);
            let mut severed = state.severed.subscribe();
            async move {
                tokio::select! {
                    biased; // what is severed stays lost, even if `restore` follows at once
                    _ = severed.changed() => {}
                    () = state.forward(client) => {}
                }
            }
        })
        .await?;
        Ok(Self { server, state })
    }

    /// `127.0.0.1:<port>`, as it stands in image references.
    pub fn host(&self) -> &str {
        self.server.host()
    }

    /// Sets the duration of a round trip for new connections.
    pub fn set_round_trip(&self, round_trip: Duration) {
        *self.state.round_trip.lock() = round_trip;
    }

    /// Resets [`Forwarder::first`].
    pub fn expect(&self) {
        *self.state.first.lock() = None;
    }

    /// When a client sent something first since [`Forwarder::expect`].
    pub fn first(&self) -> Option<Timestamp> {
        *self.state.first.lock()
    }

    /// Stops delivery in both directions; connections stay open and hang.
    pub fn cut(&self) {
        self.state.open.send_replace(false);
    }

    /// Closes all open connections; what is in flight is lost.
    pub fn sever(&self) {
        self.state.severed.send_replace(());
    }

    /// Reverts [`Forwarder::cut`]: what was sent meanwhile is delivered.
    pub fn restore(&self) {
        self.state.open.send_replace(true);
    }
}

impl State {
    async fn forward(&self, client: TcpStream) {
        let round_trip = *self.round_trip.lock();
        sleep(round_trip).await;
        let Ok(server) = TcpStream::connect(self.target).await else {
            return;
        };
        let (from_client, to_client) = split(client);
        let (from_server, to_server) = split(server);
        let delay = round_trip / 2;
        let note = || {
            self.first.lock().get_or_insert_with(now);
        };
        let open = || self.open.subscribe();
        tokio::join!(
            carry(from_client, to_server, delay, open(), note),
            carry(from_server, to_client, delay, open(), || ()),
        );
    }
}

/// Copies one direction, until its sender ends it or its receiver is gone.
async fn carry(
    mut from: ReadHalf<TcpStream>,
    mut to: WriteHalf<TcpStream>,
    delay: Duration,
    mut open: watch::Receiver<bool>,
    note: impl Fn(),
) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(IN_FLIGHT);
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::{net::TcpListener, task::JoinSet, time::timeout};

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
