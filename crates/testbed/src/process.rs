//! Server processes whose end is certain, and the folders, ports and logs that belong to them.

mod folder;
mod guard;
mod lines;
mod port;
pub(crate) mod usage;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

pub use folder::Folder;
pub(crate) use guard::{Guarded, Signal};
pub(crate) use lines::Lines;
pub use lines::{LogError, Mark};
pub use port::Port;
pub use usage::own_cpu_time;

/// How often a condition of a process is checked while waiting for it.
const POLL: Duration = Duration::from_millis(20);

/// How long a server may take from its start to being ready: a cold disk and a busy machine included.
const READY_WITHIN: Duration = Duration::from_secs(3 * 60);

/// How long a server may take to end after SIGTERM before it is killed.
const END_WITHIN: Duration = Duration::from_secs(15);

/// How many lines of a server's log an error shows.
const TAIL: usize = 15;

/// What went wrong with a server process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program could not be started, or its log file could not be made.
    #[error("could not start {name}")]
    Spawn {
        /// The server's name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The process ended instead of becoming ready.
    #[error("{name} ended ({status}) before it was ready; its log {log} ends with:\n{tail}", log = log.display())]
    Ended {
        /// The server's name.
        name: String,
        /// Its exit status.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// The process runs and is not ready.
    #[error("{name} was not ready after {} s; its log {log} ends with:\n{tail}", READY_WITHIN.as_secs(), log = log.display())]
    NotReady {
        /// The server's name.
        name: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// A signal could not be sent or the process not be waited for.
    #[error("could not {action} {name}")]
    Control {
        /// The server's name.
        name: String,
        /// What was tried.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// A program, its arguments and its place.
#[derive(Debug)]
pub struct Launch {
    /// What the server is called in messages and log files.
    pub name: &'static str,
    /// The program's file.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables set on top of our own environment.
    pub environment: Vec<(&'static str, String)>,
    /// Its working directory, where its logs are written too: `<name>.log` (standard error) and `<name>.out`.
    pub folder: PathBuf,
}

type Ready = Box<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// A server process that can be stopped, started again with the same arguments, paused and killed, and that is killed
/// when the value is dropped or this process ends, be it by SIGKILL.
pub struct Server {
    launch: Launch,
    ready: Ready,
    process: Mutex<Option<Guarded>>,
}

impl Server {
    /// A server that is not running yet; `ready` returns whether it serves.
    pub fn new(
        launch: Launch,
        ready: impl Fn() -> BoxFuture<'static, bool> + Send + Sync + 'static,
    ) -> Self {
        Self {
            launch,
            ready: Box::new(ready),
            process: Mutex::new(None),
        }
    }

    /// Starts the process and waits until it is ready. A process that still runs is killed first.
    ///
    /// # Errors
    ///
    /// When the program cannot be started, ends, or is not ready within three minutes: with the end of its log.
    pub async fn start(&self) -> Result<(), Error> {
        self.kill();
        self.spawn().map_err(|source| Error::Spawn {
            name: self.launch.name.to_owned(),
            source,
        })?;
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let ready = (self.ready)().await;
            if let Some(status) = self.try_wait()? {
                return Err(Error::Ended {
                    name: self.launch.name.to_owned(),
                    status,
                    log: self.log(),
                    tail: self.tail(),
                });
            }
            if ready {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::NotReady {
                    name: self.launch.name.to_owned(),
                    log: self.log(),
                    tail: self.tail(),
                });
            }
            sleep(POLL).await;
        }
    }

    /// Asks the process to end by SIGTERM and waits; kills it if it does not within 15 seconds. Says how it ended,
    /// `None` if it did not run or was killed.
    ///
    /// # Errors
    ///
    /// When the process cannot be signalled or waited for.
    pub async fn stop(&self) -> Result<Option<ExitStatus>, Error> {
        self.signal(Signal::Terminate)?;
        let deadline = Instant::now() + END_WITHIN;
        while self.id().is_some() && Instant::now() < deadline {
            if let Some(status) = self.try_wait()? {
                self.kill();
                return Ok(Some(status));
            }
            sleep(POLL).await;
        }
        self.kill();
        Ok(None)
    }

    /// Kills the process and its children by SIGKILL and waits for its end. Does nothing if it does not run.
    pub fn kill(&self) {
        drop(self.process.lock().take());
    }

    /// Stops the process from running (SIGSTOP) without ending it; connections to it stay open and hang.
    ///
    /// # Errors
    ///
    /// When the process cannot be signalled.
    pub async fn pause(&self) -> Result<(), Error> {
        self.signal(Signal::Stop)?;
        self.wait_for_pause(true).await;
        Ok(())
    }

    /// Lets a paused process run on.
    ///
    /// # Errors
    ///
    /// When the process cannot be signalled.
    pub async fn resume(&self) -> Result<(), Error> {
        self.signal(Signal::Continue)?;
        self.wait_for_pause(false).await;
        Ok(())
    }

    /// The process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.lock().as_ref().map(Guarded::id)
    }

    /// The time for which the process has used a CPU since it started, while it runs.
    pub fn cpu_time(&self) -> Option<Duration> {
        usage::cpu_time(self.id()?)
    }

    /// How the process ended, if it was started and ended by itself.
    ///
    /// # Errors
    ///
    /// When the process cannot be waited for.
    pub fn try_wait(&self) -> Result<Option<ExitStatus>, Error> {
        let mut process = self.process.lock();
        let status = process.as_mut().map(Guarded::try_wait).transpose();
        status
            .map(Option::flatten)
            .map_err(self.control("wait for"))
    }

    /// The file with its standard error.
    pub fn log(&self) -> PathBuf {
        self.file("log")
    }

    /// The file with its standard output.
    pub fn output(&self) -> PathBuf {
        self.file("out")
    }

    /// The last lines of its standard error or, if there is nothing, of its standard output.
    pub fn tail(&self) -> String {
        let error = tail(&self.log());
        if error.is_empty() {
            tail(&self.output())
        } else {
            error
        }
    }

    fn file(&self, extension: &str) -> PathBuf {
        let name = format!("{}.{extension}", self.launch.name);
        self.launch.folder.join(name)
    }

    fn spawn(&self) -> io::Result<()> {
        let append = |path: PathBuf| File::options().create(true).append(true).open(path);
        let mut command = Command::new(&self.launch.program);
        command
            .args(&self.launch.arguments)
            .envs(self.launch.environment.iter().cloned())
            .current_dir(&self.launch.folder);
        let (output, log) = (append(self.output())?, append(self.log())?);
        let process = Guarded::spawn(&command, output.into(), log.into())?;
        *self.process.lock() = Some(process);
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<(), Error> {
        let mut process = self.process.lock();
        let sent = process
            .as_mut()
            .map_or(Ok(()), |child| child.signal(signal));
        sent.map_err(self.control("send a signal to"))
    }

    /// Waits until the process is stopped, or is not; a process that has ended is neither.
    async fn wait_for_pause(&self, paused: bool) {
        while let Some(id) = self.id()
            && is_stopped(id).is_some_and(|stopped| stopped != paused)
        {
            sleep(POLL).await;
        }
    }

    fn control(&self, action: &'static str) -> impl FnOnce(io::Error) -> Error {
        let name = self.launch.name.to_owned();
        move |source| Error::Control {
            name,
            action,
            source,
        }
    }
}

/// Whether the process is stopped by a signal (`man 5 proc_pid_stat`: state `T`); `None` when there is no such process.
fn is_stopped(id: u32) -> Option<bool> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, state) = stat.rsplit_once(") ")?; // a program's name may hold blanks and parentheses
    Some(state.starts_with('T'))
}

/// The last lines of a log, without what a broken log would hide.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(TAIL);
    lines.get(start..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests;
