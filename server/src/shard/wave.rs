//! Waves: what falls due within a short time leaves together, at its beginning. A turn costs its
//! wake-up and a system call a socket whatever it sends, so the fewer trains there are, the longer
//! a wave is. The wheel has been asked for all of a wave when it begins; what comes up later and is
//! to happen before its end waits apart ([`Wave::look`]).

use super::wheel::TimerId;
use crate::clock::MonoTime;
use std::collections::BTreeSet;
use std::time::Duration;

/// Timers that make a wave worth its turn: with half of them, the next one is twice as long.
const TIMERS_WORTH_A_TURN: usize = 128;
/// How much longer the longest wave is than the shortest, at most.
pub const LENGTHENED_MAX: u32 = 4;
/// No wave is lengthened beyond this: a picture's time.
const LENGTHENED_TO: Duration = Duration::from_millis(40);

/// The wave that is under way.
#[derive(Debug)]
pub(super) struct Wave {
    /// What is due by then has been handed over.
    until: MonoTime,
    /// How long the next one is.
    span: Duration,
    shortest: Duration,
    longest: Duration,
    /// What is to be looked at before its end.
    looks: BTreeSet<(MonoTime, TimerId)>,
}

impl Wave {
    /// Waves of `shortest` at least.
    pub(super) fn new(shortest: Duration) -> Self {
        let longest = (shortest * LENGTHENED_MAX).min(LENGTHENED_TO.max(shortest));
        let looks = BTreeSet::new();
        Self { until: MonoTime(0), span: shortest, shortest, longest, looks }
    }

    /// When the next wave begins, if anything is due by then.
    pub(super) const fn until(&self) -> MonoTime {
        self.until
    }

    /// By when whatever is looked at now is to leave.
    pub(super) fn horizon(&self, now: MonoTime) -> MonoTime {
        self.until.max(now)
    }

    /// By when a train of those that a picture is spread over is to leave if it leaves now: no
    /// further ahead than in the shortest wave, or what was spread would leave at once.
    pub(super) fn spread_horizon(&self, now: MonoTime) -> MonoTime {
        self.horizon(now).min(now + self.shortest)
    }

    /// When such a train leaves that is due then.
    pub(super) fn spread_at(&self, due: MonoTime) -> MonoTime {
        due.offset_by(-i64::try_from(self.shortest.as_nanos()).expect("at most 20 ms"))
    }

    /// Has what belongs to a timer looked at then, before the wave's end: perhaps in vain, when it
    /// has been looked at since.
    pub(super) fn look(&mut self, timer: TimerId, at: MonoTime) {
        self.looks.insert((at, timer));
    }

    /// The next one that is to be looked at by now.
    pub(super) fn take_look(&mut self, now: MonoTime) -> Option<TimerId> {
        let (at, _) = self.looks.first()?;
        if *at > now {
            return None;
        }
        self.looks.pop_first().map(|(_, timer)| timer)
    }

    /// When the next one is to be looked at.
    pub(super) fn looks_at(&self) -> Option<MonoTime> {
        self.looks.first().map(|(at, _)| *at)
    }

    /// Begins a wave.
    pub(super) fn begin(&mut self, now: MonoTime) {
        self.until = now + self.span;
    }

    /// So many timers were due in it.
    pub(super) fn had(&mut self, timers: usize) {
        if timers < TIMERS_WORTH_A_TURN {
            self.span = (self.span * 2).min(self.longest);
        } else if timers > 2 * TIMERS_WORTH_A_TURN {
            self.span = (self.span / 2).max(self.shortest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long waves come to be, in milliseconds, with so many timers a millisecond.
    fn settled(shortest: u64, timers_a_milli: usize) -> u128 {
        let mut wave = Wave::new(Duration::from_millis(shortest));
        let mut now = MonoTime(1_000_000_000);
        let mut spans = Vec::new();
        for _ in 0..20 {
            assert_eq!(wave.horizon(now), now);
            wave.begin(now);
            let span = wave.until() - now;
            assert_eq!(wave.horizon(now), now + span);
            spans.push(span.as_millis());
            wave.had(timers_a_milli * usize::try_from(span.as_millis()).unwrap());
            now = wave.until();
        }
        assert!(spans[10..].iter().all(|span| *span == spans[10]), "{spans:?}");
        spans[10]
    }

    #[test]
    fn waves_are_as_long_as_they_are_worth_a_turn() {
        for (timers_a_milli, expected) in
            [(0, 16), (1, 16), (7, 16), (8, 16), (15, 16), (16, 8), (32, 4), (400, 4)]
        {
            assert_eq!(settled(4, timers_a_milli), expected, "{timers_a_milli}");
        }
        assert_eq!((settled(0, 1), settled(1, 1), settled(1, 400)), (0, 4, 1));
        assert_eq!((settled(20, 1), settled(20, 400)), (40, 20));
    }

    #[test]
    fn a_wave_shortens_when_a_crowd_comes() {
        let mut wave = Wave::new(Duration::from_millis(4));
        for _ in 0..5 {
            wave.had(1);
        }
        for expected in [8, 4, 4] {
            wave.had(1000);
            wave.begin(MonoTime(0));
            assert_eq!(wave.until(), MonoTime(expected * 1_000_000));
        }
    }
}
