//! The output of the demo: numbered steps with their durations; on a terminal the running step counts its seconds.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

/// How often a log file hears of a step that is still running.
const STILL: u64 = 30;

/// How many characters of the progress of a step are shown, so that it fits on the line.
const WIDTH: usize = 32;

/// Goes back to the start of the line and clears it.
const CLEAR: &str = "\r\x1b[K";

/// A report of a running step, from any thread.
pub(super) enum Note {
    /// A line to keep.
    Detail(String),
    /// Its progress, shown while the step runs.
    Now(String),
}

/// Where a running step reports it.
pub(super) type Notes = mpsc::UnboundedSender<Note>;

/// Standard output, with control characters only if it is a terminal.
pub(super) struct Terminal {
    interactive: bool,
    start: Instant,
    step: usize,
}

impl Drop for Terminal {
    /// Clears the line of the running step, so that an error starts on a line of its own.
    fn drop(&mut self) {
        if self.interactive {
            write(CLEAR);
        }
    }
}

impl Terminal {
    pub(super) fn new() -> Self {
        Self {
            interactive: io::stdout().is_terminal(),
            start: Instant::now(),
            step: 0,
        }
    }

    /// The time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Runs one step of the story and shows its number, its title, its details and how long it took.
    pub(super) async fn step<T, E>(
        &mut self,
        title: &str,
        work: impl AsyncFnOnce(Notes) -> Result<T, E>,
    ) -> Result<T, E> {
        self.step += 1;
        let title = format!("{:>3}. {title}", self.step);
        let start = Instant::now();
        let (sender, mut notes) = mpsc::unbounded_channel();
        let work = work(sender);
        tokio::pin!(work);
        let mut now = String::new();
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let result = loop {
            tokio::select! {
                biased; // what the step reported is shown before its end
                Some(note) = notes.recv() => match note {
                    Note::Detail(text) => {
                        self.clear();
                        detail(text);
                    }
                    Note::Now(text) => now = text,
                },
                result = &mut work => break result,
                _ = second.tick() => self.tick(&title, start.elapsed().as_secs(), &now),
            }
        };
        self.clear();
        if result.is_ok() {
            line(&format!("{title} ({:.1} s)", start.elapsed().as_secs_f64()));
        }
        result
    }

    fn tick(&self, title: &str, seconds: u64, now: &str) {
        let now: String = now.chars().take(WIDTH).collect();
        if self.interactive {
            write(&format!("{CLEAR}{title} … {seconds} s  {now}"));
        } else if seconds > 0 && seconds.is_multiple_of(STILL) {
            line(&format!("{title} … {seconds} s  {now}"));
        }
    }

    fn clear(&self) {
        if self.interactive {
            write(CLEAR);
        }
    }
}

/// Writes a line as it is.
pub(super) fn line(text: &str) {
    write(&format!("{text}\n"));
}

/// Writes a line that belongs to the step above.
pub(super) fn detail(text: impl Display) {
    let text = text.to_string().replace('\n', "\n     ");
    line(&format!("     {text}"));
}

/// Writes to standard output; errors are ignored, as the exit code still counts.
fn write(text: &str) {
    let mut output = io::stdout().lock();
    drop(output.write_all(text.as_bytes()));
    drop(output.flush());
}
