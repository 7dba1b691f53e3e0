//! The resource usage of a process, from `/proc`.

use std::{fs, io, time::Duration};

/// Ticks of the clock in which Linux counts CPU time, of which a second has a hundred on every architecture we know
/// (`sysconf(_SC_CLK_TCK)`).
const TICK: Duration = Duration::from_millis(10);

/// Places of `utime` and `stime` after the name of the program, which may hold blanks (`man 5 proc_pid_stat`).
const CPU_TIME: [usize; 2] = [11, 12];

/// Writing it to `clear_refs` resets the peak (`man 5 proc_pid_clear_refs`).
const RESET_PEAK: &str = "5";

/// A line of `status` that counts kibibytes, in bytes.
pub(crate) fn memory(process: u32, line: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let value = status.lines().find_map(|found| found.strip_prefix(line))?;
    let kibibytes: u64 = value.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

pub(crate) fn reset_peak(process: u32) -> io::Result<()> {
    fs::write(format!("/proc/{process}/clear_refs"), RESET_PEAK)
}

pub(crate) fn cpu_time(process: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = CPU_TIME.map(|place| fields.get(place)?.parse::<u32>().ok());
    Some(TICK * (ticks[0]? + ticks[1]?))
}

/// The time for which this process has used a CPU since it started.
pub fn own_cpu_time() -> Duration {
    cpu_time(std::process::id()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_process_uses_memory_and_time() {
        let own = std::process::id();
        let resident = memory(own, "VmRSS:").expect("a number");
        let peak = memory(own, "VmHWM:").expect("a number");
        assert!(resident > 0 && peak > 0);
        let begun = cpu_time(own).expect("a number");
        let mut work = 0_u64;
        while cpu_time(own).expect("a number") == begun {
            work = work.wrapping_mul(31).wrapping_add(1);
        }
        assert!(cpu_time(own) > Some(begun), "{work}");
    }
}
