//! The programs of the testbed, and the progress and errors of finding them.

use std::{fmt, io, path::PathBuf, process::ExitStatus, time::Duration};

/// A program of the testbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// The store behind the API server.
    Etcd,
    /// The API server.
    KubeApiserver,
    /// The controllers that make pods of workloads.
    KubeControllerManager,
    /// The scheduler that binds pods to nodes.
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
    /// The programs of the control plane and the registry. All others are tools that only some tests need: they are not
    /// searched for, but always the pinned ones.
    pub(super) const SERVERS: [Self; 5] = [
        Self::Etcd,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::KubeScheduler,
        Self::Registry,
    ];

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

    pub(super) fn package(self) -> &'static str {
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

/// Why a program could not be found or built.
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
