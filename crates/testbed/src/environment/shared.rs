//! The testbed that all tests of a binary share, and testbeds of single tests.

use std::{future::pending, ops::Deref, sync::OnceLock, thread};

use tokio::{runtime::Runtime, sync::watch};

use super::testbed::{Error, Testbed};
use crate::{
    control_plane::NodeGrace,
    programs::{self, Programs},
    sources::with_sources,
};

/// A testbed that a test shares with the others, or has for itself.
pub enum Bed {
    /// The testbed of [`shared`].
    Shared(&'static Testbed),
    /// The test's own, for faults that would disturb the others.
    Own(Box<Testbed>),
}

impl Deref for Bed {
    type Target = Testbed;

    fn deref(&self) -> &Testbed {
        match self {
            Self::Shared(testbed) => testbed,
            Self::Own(testbed) => testbed,
        }
    }
}

/// Starts a testbed for the caller alone, on the current runtime.
///
/// # Panics
///
/// When it cannot be started.
pub async fn alone() -> Testbed {
    alone_with(NodeGrace::default()).await
}

/// The same, with another patience with silent nodes.
///
/// # Panics
///
/// When it cannot be started.
#[expect(
    clippy::panic,
    reason = "for tests, which cannot go on without a testbed"
)]
pub async fn alone_with(grace: NodeGrace) -> Testbed {
    let started = async { Testbed::start(Programs::find(&print)?, grace).await };
    match started.await {
        Ok(testbed) => testbed,
        Err(error) => panic!("{}", with_sources(&error)),
    }
}

/// The testbed of this process, started by the first caller on a thread of its own, so that it outlives the runtimes of
/// tests. It ends with the process, however that ends.
///
/// # Panics
///
/// When it cannot be started.
#[expect(
    clippy::panic,
    reason = "for tests, which cannot go on without a testbed"
)]
pub async fn shared() -> &'static Testbed {
    static ATTEMPT: OnceLock<watch::Receiver<bool>> = OnceLock::new();
    static TESTBED: OnceLock<Result<Testbed, Error>> = OnceLock::new();
    let mut done = ATTEMPT.get_or_init(|| in_background(&TESTBED)).clone();
    // An error means that the thread has ended, and left its error
    drop(done.wait_for(|done| *done).await);
    match TESTBED.get() {
        Some(Ok(testbed)) => testbed,
        Some(Err(error)) => panic!("{}", with_sources(error)),
        None => panic!("the testbed's thread ended"),
    }
}

/// Starts a testbed into `place` on a new thread, which lives on; sends true when the attempt is over.
fn in_background(place: &'static OnceLock<Result<Testbed, Error>>) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    thread::spawn(move || {
        let runtime = Runtime::new();
        let testbed = Programs::find(&print).map_err(Error::from);
        match (runtime, testbed) {
            (Ok(runtime), Ok(programs)) => runtime.block_on(async {
                let testbed = Testbed::start(programs, NodeGrace::default()).await;
                let testbed = place.get_or_init(|| testbed);
                if let Ok(testbed) = testbed {
                    testbed.keep_logs_on_panic();
                }
                sender.send_replace(true);
                pending::<()>().await;
            }),
            (Err(error), _) => drop(place.set(Err(error.into()))),
            (_, Err(error)) => drop(place.set(Err(error))),
        }
    });
    receiver
}

#[expect(
    clippy::print_stderr,
    reason = "a test's only way to say what it waits for, for minutes"
)]
fn print(progress: &programs::Progress) {
    eprintln!("{progress}");
}
