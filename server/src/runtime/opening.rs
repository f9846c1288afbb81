//! How far the opening of a title has come, told to the operator while it lasts.

use crate::clock::MonoTime;
use std::time::Duration;

/// From one line of the log to the next.
const INTERVAL: Duration = Duration::from_secs(3);

/// How far a file has been gone through, and when that was told last.
#[derive(Debug)]
pub(super) struct Progress {
    file_bytes: u64,
    /// When it was told last, and where in the file that was.
    told: (MonoTime, u64),
}

/// What to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SoFar {
    /// Of the file, how much lies behind.
    pub(super) percent: u64,
    /// What went by a second since the last line, whether it was read or passed over.
    pub(super) bytes_per_second: u64,
}

impl Progress {
    /// Of a file of so many bytes that begins to be opened at `now`.
    pub(super) const fn new(now: MonoTime, file_bytes: u64) -> Self {
        Self { file_bytes, told: (now, 0) }
    }

    /// The file has been read up to `offset`; yields what to tell if it is time.
    pub(super) fn reach(&mut self, now: MonoTime, offset: u64) -> Option<SoFar> {
        let (told_at, told_offset) = self.told;
        if now - told_at < INTERVAL {
            return None;
        }
        self.told = (now, offset);
        let millis = u64::try_from((now - told_at).as_millis()).unwrap_or(u64::MAX).max(1);
        // Some formats are gone through from the beginning once more.
        let bytes = offset.saturating_sub(told_offset);
        let percent = u128::from(offset) * 100 / u128::from(self.file_bytes.max(1));
        Some(SoFar {
            percent: u64::try_from(percent).unwrap_or(100).min(100),
            bytes_per_second: bytes.saturating_mul(1000) / millis,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_opening_is_told_every_few_seconds() {
        let at = |millis: u64| MonoTime(millis * 1_000_000);
        let mut progress = Progress::new(at(0), 10_000_000);
        let so_far = |percent, bytes_per_second| Some(SoFar { percent, bytes_per_second });
        for (millis, offset, expected) in [
            (10, 1_000_000, None),
            (2999, 2_000_000, None),
            (3000, 3_000_000, so_far(30, 1_000_000)),
            (5000, 4_000_000, None),
            (7000, 7_000_000, so_far(70, 1_000_000)),
            (10_000, 1_000_000, so_far(10, 0)), // from the beginning once more
            (14_000, 10_000_000, so_far(100, 2_250_000)),
            (18_000, 99_000_000, so_far(100, 22_250_000)), // it grows
        ] {
            assert_eq!(progress.reach(at(millis), offset), expected, "{millis} ms");
        }
        assert_eq!(Progress::new(at(0), 0).reach(at(4000), 0), so_far(0, 0));
    }
}
