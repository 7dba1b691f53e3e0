//! The CPU usage of the other processes of the machine.

use std::{collections::BTreeMap, fs, time::Duration};

use kube_autorollout_testbed::{Testbed, process::own_cpu_time};

/// Ticks in which Linux counts CPU time (`man 5 proc_stat`).
const TICK: Duration = Duration::from_millis(10);

/// Places of `idle` and `iowait` among the times of all CPUs.
const IDLE: [usize; 2] = [3, 4];

/// `guest` and `guest_nice`, which come after these, are counted within others.
const TIMES: usize = 8;

/// CPU times since the machine or the processes began, or differences of such.
#[derive(Debug, Clone, Default)]
pub(crate) struct Others {
    /// By the names of the processes; the nodes are tasks of this process.
    pub(crate) each: BTreeMap<&'static str, Duration>,
    /// All that runs on the machine.
    pub(crate) machine: Duration,
}

impl Others {
    /// As it is now.
    pub(crate) fn now(testbed: &Testbed) -> Self {
        let servers = testbed.control_plane().cpu_times().into_iter();
        let registry = ("registry", testbed.registry().cpu_time());
        let own = ("nodes and testbed", own_cpu_time());
        Self {
            each: servers.chain([registry, own]).collect(),
            machine: machine().unwrap_or_default(),
        }
    }

    /// The usage since `before`; that of a process that was restarted counts from zero.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let each = self.each.iter().map(|(name, time)| {
            let before = before.each.get(name).copied().unwrap_or_default();
            (*name, time.checked_sub(before).unwrap_or(*time))
        });
        Self {
            each: each.collect(),
            machine: self.machine.saturating_sub(before.machine),
        }
    }
}

/// The time for which CPUs were busy since the machine started.
fn machine() -> Option<Duration> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    busy(text.lines().next()?)
}

fn busy(line: &str) -> Option<Duration> {
    let times = line.strip_prefix("cpu ")?.split_whitespace().take(TIMES);
    let busy = times
        .enumerate()
        .filter(|(place, _)| !IDLE.contains(place))
        .map(|(_, ticks)| ticks.parse::<u32>());
    let ticks: u32 = busy.sum::<Result<_, _>>().ok()?;
    Some(TICK * ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_times_and_guests_are_left_out() {
        let line = "cpu  100 20 30 9000 500 1 2 3 77 0";
        assert_eq!(busy(line), Some(Duration::from_millis(1560)));
        assert_eq!(busy("intr 1"), None);
    }
}
