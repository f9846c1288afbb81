//! Whether what viewers play is read in time, for the operator: said once a minute at most.

use super::Shard;
use super::loads::Waits;
use crate::clock::MonoTime;
use crate::mailbox::{Report, Shortage, Strain as StrainReport};
use std::time::Duration;

/// What is said covers so much.
const WINDOW: Duration = Duration::from_secs(10);
/// From a report of a strain to the next, or to that of its end.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);
/// A strain is worth a word when viewers go without one byte in so many.
const MISSED_ONE_IN: u64 = 50;

/// What was known when the window began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Strain {
    began: MonoTime,
    read_bytes: u64,
    missed_bytes: u64,
    waits: Waits,
    /// When it was last reported that it lasts.
    reported: Option<MonoTime>,
}

impl Shard {
    /// Reports that what viewers play cannot be read in time, or can again.
    pub(super) fn watch_strain(&mut self, now: MonoTime) {
        let before = self.strain;
        let elapsed = now - before.began;
        if elapsed < WINDOW {
            return;
        }
        self.forget_unsettled();
        let waits = self.loads.waits();
        let (read, missed) = (self.counters.read_bytes, self.counters.missed_bytes);
        self.strain = Strain {
            began: now,
            read_bytes: read,
            missed_bytes: missed,
            waits,
            reported: before.reported,
        };
        let (read, missed) = (read - before.read_bytes, missed - before.missed_bytes);
        let has_waited = waits != before.waits;
        let is_strained = has_waited && missed > (read + missed) / MISSED_ONE_IN;
        let is_due = match before.reported {
            None => is_strained,
            Some(reported) => now >= reported + REPORT_INTERVAL,
        };
        if !is_due {
            return;
        }
        self.strain.reported = is_strained.then_some(now);
        let a_second = |bytes: u64| bytes.saturating_mul(1000) / millis(elapsed);
        let for_disk = waits.for_disk - before.waits.for_disk;
        let for_memory = waits.for_memory - before.waits.for_memory;
        let shortage = if for_memory > for_disk { Shortage::Memory } else { Shortage::Disk };
        self.reports.push_back(Report::Strain(StrainReport {
            shortage: is_strained.then_some(shortage),
            read_bytes_per_second: a_second(read),
            wanted_bytes_per_second: a_second(read + missed),
        }));
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}
