//! What was seen second by second.

use super::gauges::{Gauges, Snapshot};
use super::process::{ProcessWatch, Usage};
use crate::clock::MonoTime;
use crate::histogram::Micros;
use serde::Serialize;
use std::io;
use std::time::Duration;

/// A shorter interval is what is left over at the end, and no sample.
const INTERVAL_MIN: Duration = Duration::from_millis(500);

/// One second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// When it ended, in seconds since the start.
    pub seconds: f64,
    /// Viewers playing at its end.
    pub playing: u64,
    /// Packets that came a second.
    pub packets_per_second: f64,
    /// Packets that turned out to be lost.
    pub lost: u64,
    /// How late 99 of 100 packets were at most, in milliseconds.
    pub late_p99_ms: f64,
    /// How late the latest packet was, in milliseconds.
    pub late_max_ms: f64,
    /// What the watched process used.
    pub server: Option<Usage>,
}

/// Takes the samples.
#[derive(Debug)]
pub(super) struct Timeline {
    watch: Option<ProcessWatch>,
    samples: Vec<Sample>,
    late: Micros,
    last: Snapshot,
    lost_told: u64,
    last_at: MonoTime,
}

impl Timeline {
    pub(super) fn new(pid: Option<u32>, now: MonoTime) -> io::Result<Self> {
        Ok(Self {
            watch: pid.map(|pid| ProcessWatch::new(pid, now)).transpose()?,
            samples: Vec::new(),
            late: Micros::default(),
            last: Snapshot::default(),
            lost_told: 0,
            last_at: now,
        })
    }

    /// A thread told how late its packets were.
    pub(super) fn take_late(&mut self, late: &Micros) {
        self.late.add(late);
    }

    /// The second is over.
    #[allow(clippy::cast_precision_loss, reason = "counts of a second")]
    pub(super) fn sample(&mut self, now: MonoTime, gauges: &Gauges) -> (Snapshot, Micros) {
        let late = std::mem::take(&mut self.late);
        let seconds = (now - MonoTime(0)).as_secs();
        let snapshot = gauges.snapshot(seconds, &late);
        let interval = now - self.last_at;
        if interval < INTERVAL_MIN {
            return (snapshot, late);
        }
        self.samples.push(Sample {
            seconds: (now - MonoTime(0)).as_secs_f64(),
            playing: snapshot.playing,
            packets_per_second: snapshot.packets.saturating_sub(self.last.packets) as f64
                / interval.as_secs_f64(),
            lost: snapshot.lost.saturating_sub(self.lost_told),
            late_p99_ms: late.at(0.99) as f64 / 1000.0,
            late_max_ms: late.max() as f64 / 1000.0,
            server: self.watch.as_mut().and_then(|watch| watch.sample(now)),
        });
        // What was thought lost and came after all makes up for what is lost next.
        self.lost_told = self.lost_told.max(snapshot.lost);
        self.last = snapshot;
        self.last_at = now;
        (snapshot, late)
    }

    /// All samples.
    pub(super) fn end(self) -> Vec<Sample> {
        self.samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn what_came_after_all_makes_up_for_later_loss() {
        let gauges = Gauges::default();
        let mut timeline = Timeline::new(None, MonoTime(0)).unwrap();
        for (second, change) in [(1, 5), (2, -3), (3, 4)] {
            gauges.lost.fetch_add(change, Ordering::Relaxed);
            timeline.sample(MonoTime(second * 1_000_000_000), &gauges);
        }
        let lost: Vec<_> = timeline.end().iter().map(|sample| sample.lost).collect();
        assert_eq!(lost, [5, 0, 1]);
    }
}
