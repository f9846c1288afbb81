//! When a session's packets are due, and how play time maps to RTP time.
//!
//! A session has a *media clock* that runs while it plays, with the wallclock (times the speed of
//! delivery). Each range is mapped to it: its start to a time that is not before now and not before
//! what was already sent, the same for all its streams. So RTP timestamps are continuous and
//! monotonic across seeks (RFC 2326 App. B) and tell the time of viewing whatever the scale. They
//! do not tell how long a pause was, as RFC 7826 App. C.4 has it: GStreamer, whose own clock stands
//! still in a pause, would take that for the end of the range.

use crate::clock::MonoTime;
use crate::pace::{Pace, Speed};
use packetizer::index::Direction;
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

/// One range on the session's media clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timeline {
    /// Start of the range.
    pub(super) start: Npt,
    /// End of the range; before its start when play goes backwards.
    pub(super) end: Npt,
    /// How fast it is played.
    pub(super) pace: Pace,
    /// The media clock's time of `start`, in nanoseconds.
    pub(super) media_start: i64,
    /// When the time of `start` leaves.
    pub(super) started: MonoTime,
    /// Nanoseconds of viewing by which packets may leave before that: a first picture is decoded
    /// before it is shown, and a big one is spread over some time before that.
    pub(super) preroll: u32,
}

impl Timeline {
    /// A timeline that nothing has been sent on.
    pub(super) const UNUSED: Self = Self {
        start: Npt::ZERO,
        end: Npt::ZERO,
        pace: Pace::NORMAL,
        media_start: 0,
        started: MonoTime(0),
        preroll: 0,
    };

    /// When a train leaves whose presentation time is `due`: what is due earlier than the preroll
    /// before the start of the range leaves at once.
    pub(super) fn leaves_at(&self, due: i64) -> MonoTime {
        self.started.offset_by(self.delivery(self.viewing(due).max(-i64::from(self.preroll))))
    }

    /// When the first packet may leave.
    pub(super) fn begins_at(&self) -> MonoTime {
        self.started.offset_by(-self.delivery(self.preroll.into()))
    }

    /// Has the first packet leave at `now`.
    pub(super) fn begin_at(&mut self, now: MonoTime) {
        self.started = now.offset_by(self.delivery(self.preroll.into()));
    }

    /// Has it start so many nanoseconds of viewing after another has ended.
    pub(super) fn begin_behind(&mut self, before: &Self, gap: u32) {
        self.media_start = before.media_end().saturating_add(gap.into());
        self.started = before.ends_at().offset_by(self.delivery(gap.into()));
    }

    /// The presentation time whose trains leave at `now`: the reverse of [`Self::leaves_at`].
    pub(super) fn due_at(&self, now: MonoTime) -> i64 {
        let viewed = self.viewed(now);
        signed_nanos(self.start).saturating_add(viewed.saturating_mul(self.scale()))
    }

    /// Where play stands at `now`: from the start to the end of the range.
    pub(super) fn position(&self, now: MonoTime) -> Npt {
        self.within(self.due_at(now))
    }

    /// A presentation time as normal play time, no further than the range goes.
    pub(super) fn within(&self, nanos: i64) -> Npt {
        let npt = Npt::from_nanos(u64::try_from(nanos).unwrap_or(0));
        npt.min(self.start.max(self.end)).max(self.start.min(self.end))
    }

    /// Whether it plays a time; its end is not played.
    pub(super) fn contains(&self, npt: Npt) -> bool {
        match self.pace.scale.direction() {
            Direction::Forward => (self.start..self.end).contains(&npt),
            Direction::Backward => npt <= self.start && npt > self.end,
        }
    }

    /// Nanoseconds of viewing from the start of the range to a presentation time.
    pub(super) fn viewing(&self, nanos: i64) -> i64 {
        let nanos = nanos.saturating_sub(signed_nanos(self.start));
        // Almost always; a division is not for nothing.
        if self.scale() == 1 { nanos } else { nanos.saturating_div(self.scale()) }
    }

    /// The media clock's time of a presentation time of the range.
    pub(super) fn media_at(&self, nanos: i64) -> i64 {
        self.media_start.saturating_add(self.viewing(nanos))
    }

    /// The media clock at `now`.
    pub(super) fn media_now(&self, now: MonoTime) -> i64 {
        self.media_start.saturating_add(self.viewed(now))
    }

    /// The media clock when the range has been viewed.
    pub(super) fn media_end(&self) -> i64 {
        self.media_at(signed_nanos(self.end))
    }

    /// When the range has been viewed to its end.
    pub(super) fn ends_at(&self) -> MonoTime {
        self.leaves_at(signed_nanos(self.end))
    }

    /// Moves everything that has not left yet `nanos` later.
    pub(super) const fn delay(&mut self, nanos: i64) {
        self.started = self.started.offset_by(nanos);
    }

    /// Nanoseconds of viewing delivered by `now`.
    fn viewed(&self, now: MonoTime) -> i64 {
        self.viewed_in(now.nanos_since(self.started))
    }

    /// Nanoseconds of viewing that are delivered in so many.
    pub(super) fn viewed_in(&self, elapsed: i64) -> i64 {
        match self.pace.speed {
            Speed::NORMAL => elapsed,
            speed => scaled(elapsed, speed.thousandths().into(), 1000),
        }
    }

    /// Nanoseconds in which so many of viewing are delivered.
    fn delivery(&self, viewing: i64) -> i64 {
        match self.pace.speed {
            Speed::NORMAL => viewing,
            speed => scaled(viewing, 1000, speed.thousandths().into()),
        }
    }

    fn scale(&self) -> i64 {
        self.pace.scale.factor().into()
    }
}

/// Normal play time for differences.
pub(super) fn signed_nanos(npt: Npt) -> i64 {
    i64::try_from(npt.nanos()).unwrap_or(i64::MAX)
}

fn scaled(nanos: i64, multiplier: i64, divisor: i64) -> i64 {
    let scaled = i128::from(nanos) * i128::from(multiplier) / i128::from(divisor);
    i64::try_from(scaled).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::Scale;

    const SECOND: i64 = packetizer::time::NANOS_PER_SECOND;

    fn at(seconds: u64) -> MonoTime {
        MonoTime(seconds * 1_000_000_000)
    }

    fn timeline() -> Timeline {
        Timeline {
            start: Npt::from_nanos(10_000_000_000),
            end: Npt::from_nanos(20_000_000_000),
            pace: Pace::NORMAL,
            media_start: 3 * SECOND,
            started: at(100),
            preroll: 0,
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
    fn a_preroll_is_kept_before_the_start() {
        let mut timeline = Timeline { preroll: 120_000_000, ..timeline() };
        timeline.begin_at(at(100));
        let after = |millis: i64| at(100).offset_by(millis * 1_000_000);
        assert_eq!((timeline.begins_at(), timeline.started), (at(100), after(120)));
        assert_eq!(timeline.leaves_at(9 * SECOND), at(100));
        assert_eq!(timeline.leaves_at(10 * SECOND - 80_000_000), after(40));
        assert_eq!(timeline.leaves_at(10 * SECOND), after(120));
        assert_eq!(
            (timeline.position(at(100)), timeline.ends_at()),
            (timeline.start, after(10_120))
        );
        timeline.pace.speed = Speed::nearest(2.0);
        timeline.begin_at(at(100));
        assert_eq!((timeline.begins_at(), timeline.started), (at(100), after(60)));
        assert_eq!(timeline.leaves_at(10 * SECOND - 80_000_000), after(20));
    }

    #[test]
    fn the_position_stays_in_the_range() {
        let timeline = timeline();
        assert_eq!(timeline.position(at(99)), timeline.start);
        assert_eq!(timeline.position(at(104)), Npt::from_nanos(14_000_000_000));
        assert_eq!(timeline.position(at(1000)), timeline.end);
    }

    #[test]
    fn the_media_clock_runs_with_the_wallclock() {
        let timeline = timeline();
        assert_eq!(timeline.media_now(at(101)), 4 * SECOND);
        assert_eq!((timeline.media_end(), timeline.ends_at()), (13 * SECOND, at(110)));
        let ticks = rtp_ticks(ClockRate::VIDEO, timeline.media_now(at(101)));
        assert_eq!(wrap(ticks).wrapping_add(u32::MAX - 360_000 + 1), 0);
    }

    #[test]
    fn scale_and_speed() {
        let with = |scale, speed| Timeline {
            pace: Pace { scale: Scale::nearest(scale), speed: Speed::nearest(speed) },
            ..timeline()
        };
        let fast = with(4.0, 1.0);
        assert_eq!(fast.leaves_at(14 * SECOND), at(101));
        assert_eq!(fast.position(at(102)), Npt::from_nanos(18_000_000_000));
        assert_eq!((fast.media_at(18 * SECOND), fast.media_now(at(102))), (5 * SECOND, 5 * SECOND));
        let hurried = with(1.0, 4.0);
        assert_eq!(hurried.leaves_at(14 * SECOND), at(101));
        assert_eq!(hurried.position(at(102)), Npt::from_nanos(18_000_000_000));
        assert_eq!(
            (hurried.media_at(18 * SECOND), hurried.ends_at().0),
            (11 * SECOND, 102_500_000_000)
        );
        assert_eq!(hurried.media_now(at(102)), 11 * SECOND);
        let (start, end) = (timeline().end, timeline().start);
        let back = Timeline { start, end, ..with(-2.0, 1.0) };
        assert_eq!(back.leaves_at(18 * SECOND), at(101));
        assert_eq!(back.leaves_at(20 * SECOND + 1), at(100));
        assert_eq!(back.position(at(101)), Npt::from_nanos(18_000_000_000));
        assert_eq!((back.position(at(1000)), back.position(at(99))), (end, start));
        assert_eq!((back.media_end(), back.ends_at()), (8 * SECOND, at(105)));
        let extreme = Timeline { start: Npt::from_nanos(u64::MAX), ..back };
        extreme.leaves_at(i64::MIN);
        extreme.due_at(MonoTime(u64::MAX));
    }
}
