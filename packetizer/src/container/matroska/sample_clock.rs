//! Times of sound: counted in samples, and set by the file's timestamps where those leave the
//! count.

use crate::time::ClockRate;

/// A clock that ticks nanoseconds, as Matroska's timestamps are counted here.
pub(super) const NANOS: ClockRate = ClockRate::new(1_000_000_000).expect("not zero");

/// Places units one behind the other. Timestamps are rounded, to milliseconds mostly, and sloppy:
/// they count when they are about a unit away from where it would lie.
#[derive(Debug)]
pub(super) struct SampleClock {
    rate: ClockRate,
    zero_nanos: i64,
    /// Samples of a tick of the file's timestamps.
    tick_samples: i64,
    /// Where the unit before lies, and where it ends.
    previous: Option<(i64, i64)>,
}

/// Ticks of the file's timestamps that are as near as nothing.
const NEAR_TICKS: i64 = 3;
/// Longest gap, in seconds; a unit that lies further behind the one before is damaged.
const GAP_SECONDS_MAX: i64 = 6 * 3600;

impl SampleClock {
    /// A clock of this rate that is 0 at `zero_nanos` on the axis of timestamps, which have ticks
    /// of `scale_nanos`.
    pub(super) fn new(rate: ClockRate, scale_nanos: u64, zero_nanos: i64) -> Self {
        let scale_nanos = i64::try_from(scale_nanos).unwrap_or(i64::MAX);
        let tick_samples = NANOS.convert_nearest(scale_nanos, rate).max(1);
        Self { rate, zero_nanos, tick_samples, previous: None }
    }

    /// The time of the next unit, which has a timestamp of `nanos` and lasts `samples`; never
    /// before the unit before.
    pub(super) fn place(&mut self, nanos: i64, samples: u32) -> i64 {
        let stamped = NANOS.convert_nearest(nanos.saturating_sub(self.zero_nanos), self.rate);
        let time = match self.previous {
            None => stamped,
            Some((start, end)) => {
                let gap_max = GAP_SECONDS_MAX * i64::from(self.rate.ticks_per_second());
                // A unit that is missing leaves a gap of its length, up to the rounding.
                let near = i64::from(samples).saturating_sub(self.tick_samples.saturating_mul(2));
                let near = near.max(self.tick_samples.saturating_mul(NEAR_TICKS));
                let is_near = stamped.abs_diff(end) < near.unsigned_abs();
                let is_possible = stamped >= start && stamped.saturating_sub(end) <= gap_max;
                if is_near || !is_possible { end } else { stamped }
            }
        };
        self.previous = Some((time, time.saturating_add(samples.into())));
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(rate: u32, units: &[(i64, u32)]) -> Vec<i64> {
        let mut clock = SampleClock::new(ClockRate::new(rate).unwrap(), 1_000_000, 5_000_000);
        units.iter().map(|(millis, samples)| clock.place(millis * 1_000_000, *samples)).collect()
    }

    #[test]
    fn units_lie_one_behind_the_other_unless_one_is_missing() {
        for (rate, units, expected) in [
            // 21.33 ms each, rounded.
            (
                48_000,
                &[(5, 1024), (26, 1024), (48, 1024), (69, 1024)][..],
                &[0, 1024, 2048, 3072][..],
            ),
            // Late and early by less than a unit.
            (48_000, &[(5, 1024), (40, 1024), (40, 1024)], &[0, 1024, 2048]),
            // One is missing.
            (48_000, &[(5, 1024), (26, 1024), (69, 1024)], &[0, 1024, 3072]),
            // One is there twice.
            (48_000, &[(5, 1024), (26, 1024), (27, 1024)], &[0, 1024, 1056]),
            // Time runs back, or is damaged.
            (8000, &[(105, 160), (5, 160), (25, 160)], &[800, 960, 1120]),
            (8000, &[(5, 160), (i64::MAX / 1_000_000, 160), (45, 160)], &[0, 160, 320]),
            // Short units: rounding is as long as they are.
            (44_100, &[(5, 128), (9, 128), (11, 128), (20, 128)], &[0, 128, 256, 662]),
            // A rate at which times are out of range.
            (
                u32::MAX,
                &[(5, 9), (i64::MIN / 1_000_000, 9), (i64::MAX / 1_000_000, 9)],
                &[0, 9, 18],
            ),
            // Lengths that are not known.
            (48_000, &[(5, 0), (25, 0), (45, 0)], &[0, 960, 1920]),
        ] {
            assert_eq!(places(rate, units), expected, "{units:?}");
        }
    }
}
