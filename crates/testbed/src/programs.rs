//! Finding, or building, the programs that the testbed runs.
//!
//! Each program is searched for in `$KUBEBUILDER_ASSETS`, then in `$PATH`, then in the cache folder
//! (`$XDG_CACHE_HOME` or `~/.cache`, below it `kube-autorollout-testbed`), where it is built once from a pinned Go module
//! of this crate if it is not there. Tools that only some tests need ([`Programs::tool`]) are always the pinned ones.

mod build;
mod module;
mod places;
mod program;
mod version;

use std::path::{Path, PathBuf};

pub(crate) use places::Places;
pub use program::{Error, Program, Progress};

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
