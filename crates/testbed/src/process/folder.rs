//! The folder of one testbed: files, logs, data.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

/// Removes the folder `$1` when standard input ends, unless it holds a file `keep`. Servers may still be dying and
/// writing then, hence the attempts.
const SCRIPT: &str = r#"
cat >/dev/null
[ -e "$1/keep" ] && exit
for attempt in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" && exit; sleep 0.2; done
"#;

/// A temporary folder that is removed on drop and when this process ends, however it ends, unless a panic or
/// [`Folder::keep`] says that somebody will want to read the logs.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// A shell that waits for the end of the pipe that we hold.
    remover: Child,
}

impl Folder {
    /// Makes a new, empty folder among the system's temporary files.
    ///
    /// # Errors
    ///
    /// When the folder or the process that will remove it cannot be made.
    pub fn new() -> io::Result<Self> {
        let path = tempfile::Builder::new()
            .prefix("kube-autorollout-testbed-")
            .tempdir()?
            .keep();
        let remover = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "remover"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { path, remover })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the folder if this is an error, so that the logs can be read.
    pub(crate) fn keep_on_error<T, E>(&self, result: Result<T, E>) -> Result<T, E> {
        result.inspect_err(|_| self.keep())
    }

    /// Leaves the folder on the disk for good.
    pub fn keep(&self) {
        // When even this fails there is nothing worth keeping
        drop(fs::write(self.path.join("keep"), ""));
    }

    /// Keeps the folder if any thread of this process panics, as a failed test does, and says on standard error where
    /// it is. For folders that live in a `static` and are never dropped.
    pub(crate) fn keep_on_panic(&self) {
        let path = self.path.clone();
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            previous(panic);
            if fs::write(path.join("keep"), "").is_ok() {
                say_where(&path);
            }
        }));
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if thread::panicking() {
            self.keep();
            say_where(&self.path);
        }
        drop(self.remover.stdin.take());
        drop(self.remover.wait());
    }
}

#[expect(
    clippy::print_stderr,
    reason = "a panicking test has no other way to say it"
)]
fn say_where(path: &Path) {
    eprintln!("logs of the testbed are kept in {}", path.display());
}
