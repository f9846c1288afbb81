//! What a process of this machine uses, read from `/proc`.

use crate::clock::MonoTime;
use serde::Serialize;
use std::fs;
use std::io;
use std::path::PathBuf;

/// Clock ticks of `/proc/PID/stat`: 100 a second on every Linux.
const TICK_NANOS: u64 = 10_000_000;

/// What the process used in one interval and held at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Time in its own code, in percent of one core.
    pub user_percent: f64,
    /// Time in the kernel, in percent of one core.
    pub system_percent: f64,
    /// Resident memory.
    pub rss_bytes: u64,
    /// Open descriptors; 0 if they cannot be seen.
    pub descriptors: u64,
}

/// Watches one process.
#[derive(Debug)]
pub(super) struct ProcessWatch {
    directory: PathBuf,
    last: (MonoTime, Times),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    user_ticks: u64,
    system_ticks: u64,
}

impl ProcessWatch {
    /// Begins to watch the process `pid`.
    ///
    /// # Errors
    /// There is no such process.
    pub(super) fn new(pid: u32, now: MonoTime) -> io::Result<Self> {
        let directory = PathBuf::from(format!("/proc/{pid}"));
        let stat = fs::read_to_string(directory.join("stat"));
        let stat =
            stat.map_err(|error| io::Error::new(error.kind(), format!("process {pid}: {error}")))?;
        let times = parse_stat(&stat).ok_or_else(|| io::Error::other("an odd /proc/PID/stat"))?;
        Ok(Self { directory, last: (now, times) })
    }

    /// What it has used since the last call; `None` once it has ended.
    pub(super) fn sample(&mut self, now: MonoTime) -> Option<Usage> {
        let times = parse_stat(&fs::read_to_string(self.directory.join("stat")).ok()?)?;
        let status = fs::read_to_string(self.directory.join("status")).ok()?;
        let descriptors = fs::read_dir(self.directory.join("fd")).map_or(0, Iterator::count);
        let (then, before) = std::mem::replace(&mut self.last, (now, times));
        #[allow(clippy::cast_precision_loss, reason = "seconds")]
        let percent = |ticks: u64| {
            (ticks * TICK_NANOS) as f64 * 100.0 / ((now - then).as_nanos() as f64).max(1.0)
        };
        Some(Usage {
            user_percent: percent(times.user_ticks.saturating_sub(before.user_ticks)),
            system_percent: percent(times.system_ticks.saturating_sub(before.system_ticks)),
            rss_bytes: parse_rss(&status).unwrap_or(0),
            descriptors: descriptors as u64,
        })
    }
}

/// CPU time of a process's first thread since it began, in nanoseconds; `None` if there is none.
#[must_use]
pub fn thread_cpu_nanos(pid: u32) -> Option<u64> {
    let times = parse_stat(&fs::read_to_string(format!("/proc/{pid}/task/{pid}/stat")).ok()?)?;
    Some((times.user_ticks + times.system_ticks) * TICK_NANOS)
}

/// The 14th and 15th field; the second is a name in parentheses that may hold anything.
fn parse_stat(stat: &str) -> Option<Times> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let mut next = || fields.next()?.parse().ok();
    Some(Times { user_ticks: next()?, system_ticks: next()? })
}

fn parse_rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_from_the_end_of_the_name() {
        let stat = "7 (a ) (b) S 1 7 7 0 -1 4194304 120 0 0 0 31 42 0 0 20 0 3 0 99 1 2";
        assert_eq!(parse_stat(stat), Some(Times { user_ticks: 31, system_ticks: 42 }));
        assert_eq!(parse_rss("Name:\tx\nVmRSS:\t    1024 kB\n"), Some(1 << 20));
    }

    #[test]
    fn this_process_uses_memory_and_time() {
        let mut watch = ProcessWatch::new(std::process::id(), MonoTime(0)).unwrap();
        let mut sum = 0_u64;
        for number in 0..40_000_000_u64 {
            sum = std::hint::black_box(sum ^ number);
        }
        let usage = watch.sample(MonoTime(1_000_000_000)).unwrap();
        assert!(usage.rss_bytes > 1 << 20 && usage.descriptors > 2, "{usage:?} {sum}");
        assert!(usage.user_percent > 0.0, "{usage:?}");
        assert!(ProcessWatch::new(u32::MAX, MonoTime(0)).is_err());
    }
}
