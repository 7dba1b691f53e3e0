//! Containers that run for real: the program of an image as a child process, in a root folder like the image's, under the
//! pod's numeric user, with the environment and the files that the kubelet would give it.
//!
//! Three things differ from a cluster. Pods share the machine's network, so their ports must be free and different. The
//! address of the Service `kubernetes` does not route here: the API server's own address stands in its place. And
//! mounted Secrets and `ConfigMap`s are read more often than by a kubelet.

mod environment;
mod files;
mod place;
mod probe;
mod root;

use std::{
    collections::HashMap,
    fs::File,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::process::{Folder, Guarded, Signal};
use files::Live;
use probe::Probes;
use root::Program;

pub(super) use place::{Error, Place};

/// How often a process and its probes are polled.
const POLL: Duration = Duration::from_millis(50);

/// How often mounted objects are read again, which takes a kubelet a minute or more.
const FOLLOW: Duration = Duration::from_secs(1);

/// A change of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It ended with this exit code; that of a signal is 128 and its number.
    Ended(i32),
    /// Its readiness is another.
    Ready(bool),
}

/// An image whose containers run for real, and their logs.
pub(super) struct Real {
    program: Program,
    logs: Folder,
    /// The last process of each container, by its log.
    last: Mutex<HashMap<PathBuf, Weak<Mutex<Guarded>>>>,
}

impl Real {
    /// Of a program's file and the API server's address.
    pub(super) fn new(file: &Path, api_server: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            program: Program::new(file, api_server)?,
            logs: Folder::new()?,
            last: Mutex::default(),
        })
    }

    /// The file with all that the processes of a container have written.
    pub(super) fn log(&self, namespace: &str, pod: &str, container: &str) -> PathBuf {
        let name = format!("{namespace}_{pod}_{container}.log");
        self.logs.path().join(name)
    }

    /// Starts a process for a container.
    pub(super) async fn start(&self, place: Place) -> Result<Process, Error> {
        let pod = place.pod.metadata.name.as_deref().unwrap_or_default();
        let log = self.log(place.namespace(), pod, &place.container.name);
        let process = Process::start(&self.program, place, &log).await?;
        self.last
            .lock()
            .insert(log, Arc::downgrade(&process.guarded));
        Ok(process)
    }

    /// Stops a container's process from running, without ending it; whether there was one.
    pub(super) fn freeze(&self, namespace: &str, pod: &str, container: &str) -> bool {
        let log = self.log(namespace, pod, container);
        let last = self.last.lock().get(&log).and_then(Weak::upgrade);
        last.is_some_and(|process| process.lock().signal(Signal::Stop).is_ok())
    }
}

/// A running process of a container, killed on drop.
pub(super) struct Process {
    guarded: Arc<Mutex<Guarded>>,
    probes: Probes,
    ready: bool,
    place: Place,
    volumes: Vec<Live>,
    /// When they were read last.
    followed: Instant,
    /// When it is killed, having been asked to end.
    deadline: Option<Instant>,
    grace: Duration,
    // After the process, so that it is removed when that is gone
    _folder: Folder,
}

impl Process {
    /// Makes the root folder and starts the program in it; its output goes to `log`.
    async fn start(program: &Program, place: Place, log: &Path) -> Result<Self, Error> {
        let environment = environment::of(program, &place).await?;
        let folder = Folder::new()?;
        let root = folder.path().join("root");
        program.copy_to(&root)?;
        let volumes = files::mount(&root, &place).await?;
        let arguments = place.container.args.iter().flatten();
        let arguments = arguments.map(|text| environment::expand(text, &environment));
        let mut command = Command::new("env");
        command.arg("-i"); // a container has nothing of our environment
        command.args(
            environment
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
        command
            .arg("/usr/sbin/chroot") // the PATH of the container would not lead to it
            .arg(format!("--userspec={}", user(&place)))
            .arg("--groups=")
            .arg(&root)
            .arg(root::ENTRY_POINT)
            .args(arguments);
        let output = File::options().create(true).append(true).open(log)?;
        let guarded = Guarded::spawn(&command, output.try_clone()?.into(), output.into())?;
        let spec = place.pod.spec.as_ref();
        let grace = spec.and_then(|spec| spec.termination_grace_period_seconds);
        Ok(Self {
            guarded: Arc::new(Mutex::new(guarded)),
            probes: Probes::of(&place.container)?,
            ready: false,
            place,
            volumes,
            followed: Instant::now(),
            deadline: None,
            grace: Duration::from_secs(grace.unwrap_or(30).try_into().unwrap_or(0)),
            _folder: folder,
        })
    }

    /// Waits for the next change. This is cancel-safe.
    pub(super) async fn change(&mut self) -> Change {
        loop {
            sleep(POLL).await;
            if let Some(code) = self.exit_code() {
                return Change::Ended(code);
            }
            self.follow().await;
            if self.deadline.is_none()
                && let Some(grace) = self.probes.failed(self.grace).await
            {
                self.ask_to_end(grace);
            }
            let ready = self.probes.ready().await;
            if ready != self.ready {
                self.ready = ready;
                return Change::Ready(ready);
            }
        }
    }

    /// Updates mounted files now and then. What cannot be read stays unchanged, as with a kubelet.
    async fn follow(&mut self) {
        if self.followed.elapsed() < FOLLOW {
            return;
        }
        for volume in &mut self.volumes {
            if let Err(error) = volume.follow(&self.place).await {
                tracing::debug!(%error, "a mounted volume does not follow");
            }
        }
        self.followed = Instant::now();
    }

    /// Asks the process to end, and kills it if it has not after the grace period.
    pub(super) async fn stop(mut self, grace: Duration) {
        self.ask_to_end(grace);
        while self.exit_code().is_none() {
            sleep(POLL).await;
        }
    }

    fn ask_to_end(&mut self, grace: Duration) {
        self.deadline = Some(Instant::now() + grace);
        // A process that cannot be signalled is killed at the deadline
        drop(self.guarded.lock().signal(Signal::Terminate));
    }

    /// How the process ended, if it did; past its deadline it is taken for killed, which the drop of `self` does.
    fn exit_code(&mut self) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt as _;
        let status = self.guarded.lock().try_wait();
        if let Ok(Some(status)) = status {
            let of_signal = || status.signal().map_or(255, |signal| 128 + signal);
            return Some(status.code().unwrap_or_else(of_signal));
        }
        let killed = self
            .deadline
            .is_some_and(|deadline| deadline <= Instant::now());
        killed.then_some(137)
    }
}

/// `user:group` as numbers: the container's, else the pod's, else root as in an image that names none.
fn user(place: &Place) -> String {
    let container = place.container.security_context.as_ref();
    let spec = place.pod.spec.as_ref();
    let pod = spec.and_then(|spec| spec.security_context.as_ref());
    let user = container.and_then(|context| context.run_as_user);
    let user = user.or_else(|| pod?.run_as_user).unwrap_or(root::USER);
    let group = container.and_then(|context| context.run_as_group);
    let group = group.or_else(|| pod?.run_as_group).unwrap_or(user);
    format!("{user}:{group}")
}
