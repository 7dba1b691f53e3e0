//! A child process that cannot outlive us.

use std::{
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
};

/// Runs its arguments as a command, next to a watcher that passes on the signals named on standard input and kills the
/// whole process group when that pipe ends: by our order, or because this process is gone, however it went.
///
/// The watcher is in the group, so the group's number cannot be given to anything else before the watcher has used it.
const SCRIPT: &str = r#"
exec 3<&0 </dev/null
( while read -r signal <&3; do kill -s "$signal" $$; done; kill -s KILL -- -$$ ) &
exec "$@" 3<&-
"#;

/// A signal that a test may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ask to end.
    Terminate,
    /// Stop running, until continued.
    Stop,
    /// Run on.
    Continue,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "TERM",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

/// A child in a process group of its own that is killed, with its children, on drop and when this process ends.
#[derive(Debug)]
pub(crate) struct Guarded {
    child: Child,
    /// The watcher's pipe: closing it kills the group.
    orders: Option<ChildStdin>,
}

impl Guarded {
    /// Starts `command`; its standard input is empty, its output goes where `command` sends it.
    pub(crate) fn spawn(command: &Command, stdout: Stdio, stderr: Stdio) -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", SCRIPT, "guard"]);
        shell.arg(command.get_program()).args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let mut child = shell
            .process_group(0) // out of reach of the terminal's Ctrl-C: its end is ours to choose
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()?;
        let orders = child.stdin.take();
        Ok(Self { child, orders })
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends `signal` to the child, not to its own children.
    pub(crate) fn signal(&mut self, signal: Signal) -> io::Result<()> {
        match &mut self.orders {
            Some(orders) => writeln!(orders, "{}", signal.name()),
            None => Ok(()),
        }
    }

    /// How the child ended, if it did.
    pub(crate) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits until the child ends by itself.
    pub(crate) fn wait(&mut self) -> io::Result<ExitStatus> {
        // `Child::wait` would close a pipe that it still held; ours stays open
        self.child.wait()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.orders.take());
        // SIGKILL is on its way: the wait is short, and an error means that the child is gone already
        drop(self.child.wait());
    }
}
