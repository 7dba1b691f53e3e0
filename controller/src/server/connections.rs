//! The connections of a listener.

use std::{collections::VecDeque, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
    time::sleep,
};
use tracing::warn;

/// Converses on each connection of the listener until the future is dropped.
pub(crate) async fn accept<F>(
    listener: TcpListener,
    mut open: Connections,
    converse: impl Fn(TcpStream) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => open.add(converse(stream)),
                Err(error) => {
                    // Out of file descriptors, most likely: waiting lets some be closed.
                    warn!(%error, "cannot accept a connection");
                    open.close_oldest();
                    sleep(Duration::from_secs(1)).await;
                }
            },
            Some(_) = open.tasks.join_next() => {}
        }
    }
}

/// The connections that are open. A client is never refused for others: of too many the oldest is closed, which has had the
/// most time to ask, and a request takes milliseconds.
pub(crate) struct Connections {
    most: usize,
    tasks: JoinSet<()>,
    /// The oldest first.
    open: VecDeque<AbortHandle>,
}

impl Connections {
    /// None yet, and never more than so many.
    pub(crate) fn at_most(most: usize) -> Self {
        Self {
            most,
            tasks: JoinSet::new(),
            open: VecDeque::new(),
        }
    }

    fn add(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        self.open.retain(|connection| !connection.is_finished());
        if self.open.len() >= self.most {
            self.close_oldest();
        }
        self.open.push_back(self.tasks.spawn(connection));
    }

    fn close_oldest(&mut self) {
        if let Some(oldest) = self.open.pop_front() {
            oldest.abort();
        }
    }
}
