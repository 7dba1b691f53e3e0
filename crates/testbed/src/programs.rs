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

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

pub(crate) use places::Places;
pub use program::{Error, Program, Progress};

/// The files of all programs, each found or built.
#[derive(Debug, Clone)]
pub struct Programs {
    servers: BTreeMap<Program, PathBuf>,
    cache: PathBuf,
}

impl Programs {
    /// Finds every server program, and builds those that are not found. This blocks, the first time for minutes:
    /// asynchronous code calls it on a thread of its own.
    ///
    /// # Errors
    ///
    /// When a program is not found and cannot be built.
    pub fn find(progress: &dyn Fn(&Progress)) -> Result<Self, Error> {
        let places = Places::from_environment();
        let servers = Program::SERVERS.into_iter();
        let servers = servers.map(|program| Ok((program, find(program, &places, progress)?)));
        Ok(Self {
            servers: servers.collect::<Result<_, Error>>()?,
            cache: places.cache,
        })
    }

    /// The file of a tool, built from its pinned module unless it is cached. This blocks like [`Self::find`].
    ///
    /// # Errors
    ///
    /// When it cannot be built.
    pub fn tool(tool: Program, progress: &dyn Fn(&Progress)) -> Result<PathBuf, Error> {
        build::cached(tool, &Places::from_environment().cache, progress)
    }

    /// The file of a program; for a tool, only its name.
    pub fn file(&self, program: Program) -> &Path {
        let file = self.servers.get(&program);
        file.map_or_else(|| Path::new(program.name()), PathBuf::as_path)
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
