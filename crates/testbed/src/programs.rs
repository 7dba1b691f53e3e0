//! Finding, or building, the programs that the testbed runs.
//!
//! Each program is looked for in `$KUBEBUILDER_ASSETS`, then in `$PATH`, then in the cache folder
//! (`$XDG_CACHE_HOME` or `~/.cache`, below it `kube-autorollout-testbed`), where it is built once from a pinned Go module
//! of this crate if it is not there. Tools that only some tests need ([`Programs::tool`]) are always the pinned ones.

mod build;
mod module;
mod places;
mod version;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

pub(crate) use places::Places;

/// A program of the testbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The store behind the API server.
    Etcd,
    /// The API server.
    KubeApiserver,
    /// The controllers that make pods of workloads.
    KubeControllerManager,
    /// The scheduler that gives pods to nodes.
    KubeScheduler,
    /// The CNCF distribution registry.
    Registry,
    /// Helm 3, a tool.
    Helm3,
    /// Helm 4, a tool.
    Helm4,
    /// kubeconform, which compares objects with schemas, a tool.
    Kubeconform,
    /// actionlint, which reads workflows of GitHub Actions, a tool.
    Actionlint,
    /// kubectl, a tool.
    Kubectl,
    /// crane, the command of go-containerregistry, a tool.
    Crane,
}

impl Program {
    /// The name of its file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Registry => "registry",
            Self::Helm3 | Self::Helm4 => "helm",
            Self::Kubeconform => "kubeconform",
            Self::Actionlint => "actionlint",
            Self::Kubectl => "kubectl",
            Self::Crane => "crane",
        }
    }

    /// Whether only some tests need it: it is not looked for, but always the pinned one.
    fn is_tool(self) -> bool {
        match self {
            Self::Helm3
            | Self::Helm4
            | Self::Kubeconform
            | Self::Actionlint
            | Self::Kubectl
            | Self::Crane => true,
            Self::Etcd
            | Self::KubeApiserver
            | Self::KubeControllerManager
            | Self::KubeScheduler
            | Self::Registry => false,
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::KubeApiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::KubeControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::KubeScheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Self::Registry => "github.com/distribution/distribution/v3/cmd/registry",
            Self::Helm3 => "helm.sh/helm/v3/cmd/helm",
            Self::Helm4 => "helm.sh/helm/v4/cmd/helm",
            Self::Kubeconform => "github.com/yannh/kubeconform/cmd/kubeconform",
            Self::Actionlint => "github.com/rhysd/actionlint/cmd/actionlint",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Self::Crane => "github.com/google/go-containerregistry/cmd/crane",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What happens while programs are found; its `Display` is a line for the user.
#[derive(Debug, Clone)]
pub enum Progress {
    /// A file of the right name will not do.
    Refused {
        /// Which program.
        program: Program,
        /// The file.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Another process builds the same program.
    Waiting {
        /// Which program.
        program: Program,
    },
    /// The program is being built: minutes with a cold Go cache.
    Building {
        /// Which program.
        program: Program,
    },
    /// The program was built.
    Built {
        /// Which program.
        program: Program,
        /// How long it took.
        took: Duration,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused {
                program,
                file,
                reason,
            } => write!(
                formatter,
                "{program}: {} is not used: {reason}",
                file.display()
            ),
            Self::Waiting { program } => {
                write!(formatter, "{program}: another process is building it")
            }
            Self::Building { program } => {
                let version = program.module().version();
                write!(
                    formatter,
                    "{program} {version}: building it from source, once (minutes at the first time)"
                )
            }
            Self::Built { program, took } => {
                write!(formatter, "{program}: built in {:.0} s", took.as_secs_f64())
            }
        }
    }
}

/// Why a program could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither the program nor Go is there.
    #[error(
        "{program} was not found, and Go, to build it, neither\n\
         - either install Go {go} or newer (https://go.dev/dl) and try again: the testbed builds what it needs, once\n\
         - or put etcd, kube-apiserver, kube-controller-manager, kube-scheduler and registry (distribution 3) into a \
         folder that is in PATH or named by KUBEBUILDER_ASSETS"
    )]
    NoWay {
        /// The first program that was missed.
        program: Program,
        /// The oldest Go that will do.
        go: &'static str,
    },
    /// A tool can only be built, and Go is not there.
    #[error(
        "{program} {version} is built from source, whatever else is installed, and Go is not there: install Go {go} or newer \
         (https://go.dev/dl) and try again"
    )]
    NoGo {
        /// The tool.
        program: Program,
        /// Which version of it.
        version: &'static str,
        /// The oldest Go that will do.
        go: &'static str,
    },
    /// Go could not build the program.
    #[error("could not build {program} ({status}); the build ended with:\n{tail}")]
    Build {
        /// Which program.
        program: Program,
        /// How Go ended.
        status: ExitStatus,
        /// The end of what Go wrote.
        tail: String,
    },
    /// The cache folder could not be used.
    #[error("could not build into {}", folder.display())]
    Cache {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The files of all programs, each found or built.
#[derive(Debug, Clone)]
pub struct Programs {
    etcd: PathBuf,
    kube_apiserver: PathBuf,
    kube_controller_manager: PathBuf,
    kube_scheduler: PathBuf,
    registry: PathBuf,
    cache: PathBuf,
}

impl Programs {
    /// Finds every program, and builds those that are nowhere. This blocks, for minutes at the first time: asynchronous
    /// code calls it on a thread of its own.
    ///
    /// # Errors
    ///
    /// When a program is nowhere and cannot be built.
    pub fn find(progress: &dyn Fn(&Progress)) -> Result<Self, Error> {
        let places = Places::from_environment();
        let find = |program| find(program, &places, progress);
        Ok(Self {
            etcd: find(Program::Etcd)?,
            kube_apiserver: find(Program::KubeApiserver)?,
            kube_controller_manager: find(Program::KubeControllerManager)?,
            kube_scheduler: find(Program::KubeScheduler)?,
            registry: find(Program::Registry)?,
            cache: places.cache,
        })
    }

    /// The file of a tool, built from its pinned module if that was not done before: what only some tests need is no
    /// part of [`Self::find`]. This blocks like that.
    ///
    /// # Errors
    ///
    /// When it cannot be built.
    pub fn tool(tool: Program, progress: &dyn Fn(&Progress)) -> Result<PathBuf, Error> {
        build::cached(tool, &Places::from_environment().cache, progress)
    }

    /// The file of a program; of a tool, which is not among those that were found, only the name.
    pub fn file(&self, program: Program) -> &Path {
        match program {
            Program::Etcd => &self.etcd,
            Program::KubeApiserver => &self.kube_apiserver,
            Program::KubeControllerManager => &self.kube_controller_manager,
            Program::KubeScheduler => &self.kube_scheduler,
            Program::Registry => &self.registry,
            Program::Helm3
            | Program::Helm4
            | Program::Kubeconform
            | Program::Actionlint
            | Program::Kubectl
            | Program::Crane => Path::new(program.name()),
        }
    }

    /// Where the locks of reserved ports are.
    pub(crate) fn ports(&self) -> PathBuf {
        self.cache.join("ports")
    }
}

fn find(program: Program, places: &Places, progress: &dyn Fn(&Progress)) -> Result<PathBuf, Error> {
    for folder in places.folders() {
        let file = folder.join(program.name());
        if !file.is_file() {
            continue;
        }
        match version::check(program, &file) {
            Ok(()) => return Ok(file),
            Err(reason) => progress(&Progress::Refused {
                program,
                file,
                reason,
            }),
        }
    }
    build::cached(program, &places.cache, progress)
}

#[cfg(test)]
mod tests;
