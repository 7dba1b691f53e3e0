//! A testbed for all tests of a binary, and testbeds of one's own.

use std::{future::pending, sync::OnceLock, thread};

use tokio::{runtime::Runtime, sync::watch};

use super::testbed::{Error, Testbed};
use crate::{
    control_plane::NodeGrace,
    programs::{self, Programs},
    sources::with_sources,
};

/// A testbed of the caller's own, on the current runtime, for faults that would disturb everybody else.
///
/// # Panics
///
/// When it cannot be started: a test cannot go on without.
pub async fn alone() -> Testbed {
    alone_with(NodeGrace::default()).await
}

/// The same, with another patience with silent nodes.
///
/// # Panics
///
/// When it cannot be started: a test cannot go on without.
#[expect(
    clippy::panic,
    reason = "for tests, of which none can go on without its testbed"
)]
pub async fn alone_with(grace: NodeGrace) -> Testbed {
    let started = async { Testbed::start_with(Programs::find(&print)?, grace).await };
    match started.await {
        Ok(testbed) => testbed,
        Err(error) => panic!("{}", with_sources(&error)),
    }
}

/// The testbed of this process, started by the first caller on a thread of its own, so that the runtimes of tests may
/// come and go. It ends with the process, however that ends.
///
/// # Panics
///
/// When it cannot be started: a test cannot go on without.
#[expect(
    clippy::panic,
    reason = "for tests, of which none can go on without its testbed"
)]
pub async fn shared() -> &'static Testbed {
    static ATTEMPT: OnceLock<watch::Receiver<bool>> = OnceLock::new();
    static TESTBED: OnceLock<Result<Testbed, Error>> = OnceLock::new();
    let mut done = ATTEMPT.get_or_init(|| in_background(&TESTBED)).clone();
    // An error means that the thread is gone; what it left says why
    drop(done.wait_for(|done| *done).await);
    match TESTBED.get() {
        Some(Ok(testbed)) => testbed,
        Some(Err(error)) => panic!("{}", with_sources(error)),
        None => panic!("the testbed's thread ended"),
    }
}

/// Starts a testbed into `place` on a new thread, which lives on; the receiver turns true when that is over.
fn in_background(place: &'static OnceLock<Result<Testbed, Error>>) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    thread::spawn(move || {
        let runtime = Runtime::new();
        let testbed = Programs::find(&print).map_err(Error::from);
        match (runtime, testbed) {
            (Ok(runtime), Ok(programs)) => runtime.block_on(async {
                let testbed = Testbed::start(programs).await;
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
