//! Building a program from its pinned Go module, once per machine.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use super::{Error, Program, Progress};
use crate::process::{Guarded, tail};

/// Builds `program` into the cache folder, unless it is there from an earlier build.
///
/// A lock file keeps concurrent test processes from building it twice: the later ones wait.
pub(super) fn cached(
    program: Program,
    cache: &Path,
    progress: &dyn Fn(&Progress),
) -> Result<PathBuf, Error> {
    let folder = cache.join(folder_name(program));
    let file = folder.join(program.name());
    if file.exists() {
        return Ok(file);
    }
    let fail = |source| Error::Cache {
        folder: folder.clone(),
        source,
    };
    fs::create_dir_all(&folder).map_err(fail)?;
    let lock = File::create(folder.join("lock")).map_err(fail)?;
    if lock.try_lock().is_err() {
        progress(&Progress::Waiting { program });
        lock.lock().map_err(fail)?;
    }
    if file.exists() {
        return Ok(file);
    }
    if !go_is_there() {
        return Err(without_go(program));
    }
    progress(&Progress::Building { program });
    let start = Instant::now();
    let unfinished = folder.join("unfinished");
    go_build(program, &unfinished, &folder.join("build.log"))?;
    fs::rename(&unfinished, &file).map_err(fail)?;
    let took = start.elapsed();
    progress(&Progress::Built { program, took });
    Ok(file)
}

/// The error without Go.
pub(super) fn without_go(program: Program) -> Error {
    let module = program.module();
    let (version, go) = (module.version(), module.go_version());
    if Program::SERVERS.contains(&program) {
        return Error::NoWay { program, go };
    }
    Error::NoGo {
        program,
        version,
        go,
    }
}

/// `<program>-<version>-<hash of go.mod and go.sum>`: another pin is another program.
fn folder_name(program: Program) -> String {
    let module = program.module();
    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    hash.update(module.go_mod.as_bytes());
    hash.update(module.go_sum.as_bytes());
    let hash = hash.finish();
    let head = hash.as_ref().first_chunk().copied().unwrap_or_default();
    let hash = u64::from_be_bytes(head);
    format!("{}-{}-{hash:016x}", program.name(), module.version())
}

fn go_build(program: Program, output: &Path, log: &Path) -> Result<(), Error> {
    let module = program.module();
    let flags = format!("-s -w {}", module.version_flag());
    let mut command = Command::new("go");
    command
        .args(["build", "-mod=readonly", "-trimpath", "-ldflags", &flags])
        .arg("-o")
        .arg(output)
        .arg(program.package())
        .env("CGO_ENABLED", "0") // no C compiler is asked for
        .env("GOWORK", "off")
        .current_dir(module.folder());
    let run = || -> io::Result<_> {
        let file = File::create(log)?;
        Guarded::spawn(&command, Stdio::null(), file.into())?.wait()
    };
    let status = run().map_err(|source| Error::Cache {
        folder: log.to_owned(),
        source,
    })?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Build {
        program,
        status,
        tail: tail(log),
    })
}

/// Whether `go` can be run at all.
fn go_is_there() -> bool {
    Command::new("go")
        .arg("version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
