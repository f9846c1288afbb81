//! Time stamps of 33 bits that run over, and jump where recordings were joined, made one line.

/// Ticks a second.
const RATE: i64 = 90_000;
/// Where stamps begin anew (ISO 13818-1 §2.4.2.2).
const WRAP: i64 = 1 << 33;
/// A stream whose decode times go on later than this after what was before has jumped.
const GAP_MAX: i64 = 10 * RATE;
/// Or earlier than this before.
const BACK_MAX: i64 = RATE / 2;
/// Jumps that are remembered, since not all streams jump at the same place of the file.
const SHIFTS_MAX: usize = 8;

/// The clock of a programme.
#[derive(Debug, Default)]
pub(in crate::container) struct Clock {
    /// What is added to stamps, for each jump: the latest last.
    shifts: Vec<i64>,
    /// The latest time that was given.
    latest: i64,
}

impl Clock {
    /// The time of a stamp of a stream that goes on at `expected`; `None` at its beginning.
    pub(super) fn time(&mut self, stamp: u64, expected: Option<i64>) -> i64 {
        let stamp = stamp.cast_signed() & (WRAP - 1);
        if self.shifts.is_empty() {
            self.shifts.push(0);
            self.latest = stamp;
            return stamp;
        }
        let near = expected.unwrap_or(self.latest);
        let candidates = self.shifts.iter().rev().map(|shift| unwrap(stamp, near - shift) + shift);
        let nearest = candidates.min_by_key(|time| (time - near).abs()).unwrap_or(near);
        let has_jumped = nearest - near > GAP_MAX || near - nearest > BACK_MAX;
        let time = if expected.is_some() && has_jumped {
            if self.shifts.len() >= SHIFTS_MAX {
                self.shifts.remove(0);
            }
            self.shifts.push(near - stamp);
            near
        } else {
            nearest
        };
        self.latest = self.latest.max(time);
        time
    }
}

/// The time nearest to `near` that has this stamp.
const fn unwrap(stamp: i64, near: i64) -> i64 {
    near + difference(stamp, near)
}

/// How much later one stamp is than another, the shorter way round.
pub(super) const fn difference(stamp: i64, other: i64) -> i64 {
    (stamp.wrapping_sub(other).wrapping_add(WRAP / 2)).rem_euclid(WRAP) - WRAP / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stamps of two streams in the file's order, and their times.
    fn check(rows: &[(usize, i64, i64)]) {
        let mut clock = Clock::default();
        let mut expected = [None, None];
        for (stream, stamp, time) in rows {
            let found = clock.time(stamp.rem_euclid(WRAP) as u64, expected[*stream]);
            assert_eq!(found, *time, "{stream} {stamp} of {rows:?}");
            expected[*stream] = Some(found + 3600);
        }
    }

    #[test]
    fn stamps_run_over() {
        let end = WRAP - 3600;
        check(&[(0, end, end), (1, end + 10, end + 10), (0, 0, WRAP), (1, 3610, WRAP + 3610)]);
        check(&[(0, 100, 100), (1, -200, -200), (0, 3700, 3700)]);
    }

    #[test]
    fn jumps_are_closed_for_all_streams_alike() {
        let far = 1 << 32;
        check(&[
            (0, 1000, 1000),
            (1, 1100, 1100),
            (0, far, 4600),
            (1, 4700, 4700), // still before the jump
            (0, far + 3600, 8200),
            (1, far + 3700, 8300),
        ]);
        // A loop of 5 s.
        check(&[(0, 90_000, 90_000), (0, 540_000, 540_000), (0, 90_000, 543_600)]);
        // Neither a gap of 9 s nor a little disorder is a jump.
        check(&[(0, 0, 0), (0, 9 * RATE, 9 * RATE), (0, 9 * RATE - 100, 9 * RATE - 100)]);
    }

    #[test]
    fn a_stream_may_begin_late() {
        check(&[(0, 1000, 1000), (1, 100 * RATE, 100 * RATE)]);
    }

    #[test]
    fn many_jumps_cost_no_memory() {
        let mut clock = Clock::default();
        let mut expected = None;
        for jump in 0..1000_u64 {
            expected = Some(clock.time(jump * 7_777_777_777 % (1 << 33), expected));
            assert!(clock.shifts.len() <= SHIFTS_MAX);
        }
    }
}
