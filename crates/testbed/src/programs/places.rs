//! Where programs may be: the only place of this crate that reads the environment.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The folders that are searched, from the environment.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// `$KUBEBUILDER_ASSETS`: what `setup-envtest use -p path` prints.
    pub(crate) assets: Option<PathBuf>,
    /// The folders of `$PATH`.
    pub(crate) path: Vec<PathBuf>,
    /// Our own folder for what was built, and for locks.
    pub(crate) cache: PathBuf,
    /// `$TESTBED_REQUIRE` is `all`: no test may be skipped for lack of a program.
    pub(crate) require_all: bool,
}

impl Places {
    /// Reads `KUBEBUILDER_ASSETS`, `PATH`, `XDG_CACHE_HOME`, `HOME` and `TESTBED_REQUIRE`.
    pub(crate) fn from_environment() -> Self {
        let cache = variable("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")))
            .unwrap_or_else(env::temp_dir);
        Self {
            assets: variable("KUBEBUILDER_ASSETS").map(PathBuf::from),
            path: variable("PATH")
                .map(|path| env::split_paths(&path).collect())
                .unwrap_or_default(),
            cache: cache.join("kube-autorollout-testbed"),
            require_all: variable("TESTBED_REQUIRE").is_some_and(|value| value == "all"),
        }
    }

    /// Each folder in which to search for a program before it is built, in order.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.assets.iter().chain(&self.path).map(PathBuf::as_path)
    }
}

/// A variable that is set and not empty.
#[expect(
    clippy::disallowed_methods,
    reason = "the testbed searches for programs where the user's environment says"
)]
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
