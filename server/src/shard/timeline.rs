//! When a session's packets are due, and how play time maps to RTP time.
//!
//! A session has a *media clock* that runs with the wallclock from its first PLAY on. Each PLAY
//! maps the start of its range to a time of that clock that is not before now and not before what
//! was already sent, the same for all its streams. So RTP timestamps are continuous and monotonic
//! across seeks (RFC 2326 App. B), and a pause shows as the time it took (RFC 7826 App. C).

use crate::clock::MonoTime;
use packetizer::time::{ClockRate, Npt};

/// The clock of [`Npt`].
const NANOS: ClockRate = ClockRate::new(1_000_000_000).expect("not zero");

/// Ticks of an RTP clock in `nanos`, rounded to nearest.
pub(super) fn rtp_ticks(rate: ClockRate, nanos: i64) -> i64 {
    NANOS.convert_nearest(nanos, rate)
}

/// The low 32 bits of a count of ticks: RTP timestamps wrap (RFC 3550 §5.1).
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "wraps by definition")]
pub(super) const fn wrap(ticks: i64) -> u32 {
    ticks as u32
}

/// One PLAY's range on the session's media clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeline {
    /// Start of the range.
    pub(super) start: Npt,
    /// End of the range.
    pub(super) end: Npt,
    /// The media clock's time of `start`, in nanoseconds.
    pub(super) media_start: i64,
    /// When packets began to leave.
    pub(super) started: MonoTime,
}

impl Timeline {
    /// When a train leaves whose presentation time is `due`: what is due before the start of the
    /// range (a first picture is decoded before it is shown) leaves at once.
    pub(super) fn leaves_at(&self, due: i64) -> MonoTime {
        self.started.offset_by(due.saturating_sub(self.start_nanos()).max(0))
    }

    /// The presentation time whose trains leave at `now`: the reverse of [`Self::leaves_at`].
    pub(super) fn due_at(&self, now: MonoTime) -> i64 {
        now.nanos_since(self.started).saturating_add(self.start_nanos())
    }

    /// Where play stands at `now`: from the start to the end of the range.
    pub(super) fn position(&self, now: MonoTime) -> Npt {
        self.within(self.due_at(now))
    }

    /// A presentation time as normal play time, no further than the range goes.
    pub(super) fn within(&self, nanos: i64) -> Npt {
        let npt = Npt::from_nanos(u64::try_from(nanos).unwrap_or(0));
        npt.min(self.end).max(self.start)
    }

    /// The RTP timestamp at `now` of a stream whose composition time 0 has `timestamp_zero`, for
    /// sender reports (RFC 3550 §6.4.1). It runs on behind the end of the range.
    pub(super) fn rtp_now(&self, now: MonoTime, rate: ClockRate, timestamp_zero: u32) -> u32 {
        timestamp_zero.wrapping_add(wrap(rtp_ticks(rate, self.due_at(now))))
    }

    /// The media clock at `now`.
    pub(super) const fn media_now(&self, now: MonoTime) -> i64 {
        now.nanos_since(self.started).saturating_add(self.media_start)
    }

    fn start_nanos(&self) -> i64 {
        i64::try_from(self.start.nanos()).unwrap_or(i64::MAX)
    }

    /// Moves everything that has not left yet `nanos` later.
    pub(super) const fn delay(&mut self, nanos: i64) {
        self.started = self.started.offset_by(nanos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = packetizer::time::NANOS_PER_SECOND;

    fn at(seconds: u64) -> MonoTime {
        MonoTime(seconds * 1_000_000_000)
    }

    fn timeline() -> Timeline {
        Timeline {
            start: Npt::from_nanos(10_000_000_000),
            end: Npt::from_nanos(20_000_000_000),
            media_start: 3 * SECOND,
            started: at(100),
        }
    }

    #[test]
    fn the_first_train_leaves_at_the_start() {
        let timeline = timeline();
        assert_eq!(timeline.leaves_at(10 * SECOND - 80_000_000), at(100));
        assert_eq!(timeline.leaves_at(10 * SECOND), at(100));
        assert_eq!(timeline.leaves_at(11 * SECOND), at(101));
        assert_eq!(timeline.due_at(at(101)), 11 * SECOND);
    }

    #[test]
    fn the_position_stays_in_the_range() {
        let timeline = timeline();
        assert_eq!(timeline.position(at(99)), timeline.start);
        assert_eq!(timeline.position(at(104)), Npt::from_nanos(14_000_000_000));
        assert_eq!(timeline.position(at(1000)), timeline.end);
    }

    #[test]
    fn rtp_time_runs_with_the_wallclock_and_wraps() {
        let timeline = timeline();
        let zero = u32::MAX - 900_000 + 1;
        assert_eq!(timeline.rtp_now(at(100), ClockRate::VIDEO, zero), 0);
        assert_eq!(timeline.rtp_now(at(101), ClockRate::VIDEO, zero), 90_000);
        assert_eq!(timeline.media_now(at(101)), 4 * SECOND);
    }
}
