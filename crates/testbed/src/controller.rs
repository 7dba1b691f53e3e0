//! The controller under test, as its users run it: a process with a configuration file and a service account's rights.

mod build;
mod metrics;
mod rights;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use http::StatusCode;

pub use build::{Error as BuildError, build, build_static};
pub use metrics::{Metrics, label};
pub use rights::{SERVICE_ACCOUNT, grant, permit, permit_from, rights, rule, user};

use crate::{
    client,
    process::{self, Folder, Launch, Lines, LogError, Mark, Port, Server, usage},
    programs::Programs,
};

/// Why the controller did not start or did not respond.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder, a file or a port could not be allocated.
    #[error("could not prepare the controller's files")]
    Files(#[from] io::Error),
    /// The process did not start, or could not be stopped.
    #[error("the controller is not there")]
    Server(#[from] process::Error),
    /// It gave no response on its own port.
    #[error("could not get {path} from the controller")]
    Answer {
        /// The path.
        path: &'static str,
    },
    /// The resource usage of the process could not be read.
    #[error("could not read what the controller uses of CPU and memory")]
    Usage,
}

/// A running controller, killed on drop.
pub struct Controller {
    server: Server,
    port: Port,
    // After the server, so that it is removed when that is gone
    folder: Folder,
}

impl Controller {
    /// Starts `program` with a kubeconfig, a configuration in YAML and more environment variables, on a port of its own, and
    /// waits until `path` responds with 200: `/readyz`, or `/livez` where it cannot become ready.
    ///
    /// # Errors
    ///
    /// When it ends or does not respond in time; its log is kept then.
    pub async fn start(
        programs: &Programs,
        program: &Path,
        kubeconfig: &Path,
        configuration: &str,
        path: &'static str,
        variables: &[(&'static str, String)],
    ) -> Result<Self, Error> {
        let folder = Folder::new()?;
        let port = Port::reserve(&programs.ports())?;
        let number = port.number();
        let file = folder.path().join("config.yaml");
        fs::write(&file, configuration)?;
        let mut environment = vec![
            ("KUBECONFIG", kubeconfig.display().to_string()),
            ("CONFIG_FILE", file.display().to_string()),
            ("KUBE_AUTOROLLOUT_WEBSERVER__PORT", number.to_string()),
            ("NO_PROXY", "127.0.0.1".to_owned()),
            ("POD_IP", "127.0.0.1".to_owned()), // as the chart passes it
        ];
        environment.extend_from_slice(variables);
        let launch = Launch {
            name: "kube-autorollout",
            program: program.to_owned(),
            arguments: Vec::new(),
            environment,
            folder: folder.path().to_owned(),
        };
        let server = Server::new(launch, move || {
            Box::pin(async move {
                let answer = get(number, path).await;
                answer.is_ok_and(|(status, _)| status == StatusCode::OK)
            })
        });
        let controller = Self {
            server,
            port,
            folder,
        };
        let started = controller.server.start().await;
        controller.folder.keep_on_error(started)?;
        Ok(controller)
    }

    /// The address of its health and metrics.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }

    /// The file with its log, which it writes to standard output.
    pub fn log(&self) -> PathBuf {
        self.server.output()
    }

    /// The end of its log as it is now.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn log_mark(&self) -> Result<Mark, LogError> {
        Lines::new(self.log()).mark()
    }

    /// How many lines of the level `info` or above it has logged since.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn log_lines_since(&self, mark: Mark) -> Result<usize, LogError> {
        let text = Lines::new(self.log()).since(mark)?;
        let is_for_people = |line: &&str| {
            let level = line.split_whitespace().nth(1);
            level.is_some_and(|level| matches!(level, "INFO" | "WARN" | "ERROR"))
        };
        Ok(text.lines().filter(is_for_people).count())
    }

    /// Leaves its log on the disk for good.
    pub fn keep_log(&self) {
        self.folder.keep();
    }

    /// The process itself: to stop it, kill it, or start it again with the same files and port.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Its response to a GET request: the status code and the body.
    ///
    /// # Errors
    ///
    /// When it does not respond.
    pub async fn get(&self, path: &'static str) -> Result<(u16, String), Error> {
        let (status, body) = get(self.port.number(), path).await?;
        Ok((status.as_u16(), body))
    }

    /// Its metrics as they are now.
    ///
    /// # Errors
    ///
    /// When it does not respond.
    pub async fn metrics(&self) -> Result<Metrics, Error> {
        let (_, body) = get(self.port.number(), "/metrics").await?;
        Ok(Metrics::new(body))
    }

    /// Its resident memory in bytes (`VmRSS`, `man 5 proc_pid_status`).
    ///
    /// # Errors
    ///
    /// When it does not run, or the kernel has no such file.
    pub fn resident_memory(&self) -> Result<u64, Error> {
        usage::memory(self.id()?, "VmRSS:").ok_or(Error::Usage)
    }

    /// The most memory that was resident since it started, or since [`Controller::reset_peak_memory`], in bytes.
    ///
    /// # Errors
    ///
    /// When it does not run, or the kernel has no such file.
    pub fn peak_memory(&self) -> Result<u64, Error> {
        usage::memory(self.id()?, "VmHWM:").ok_or(Error::Usage)
    }

    /// Lets the peak begin anew.
    ///
    /// # Errors
    ///
    /// When it does not run, or the kernel has no such file.
    pub fn reset_peak_memory(&self) -> Result<(), Error> {
        Ok(usage::reset_peak(self.id()?)?)
    }

    /// The time for which it has used a CPU since it started.
    ///
    /// # Errors
    ///
    /// When it does not run, or the kernel has no such file.
    pub fn cpu_time(&self) -> Result<Duration, Error> {
        self.server.cpu_time().ok_or(Error::Usage)
    }

    fn id(&self) -> Result<u32, Error> {
        self.server.id().ok_or(Error::Usage)
    }
}

async fn get(port: u16, path: &'static str) -> Result<(StatusCode, String), Error> {
    let answer = client::get(&format!("http://127.0.0.1:{port}{path}")).await;
    answer.ok_or(Error::Answer { path })
}
