//! Phases of viewers who come together. Pictures are due at the same moments of each viewer's play,
//! so those who start at once would send at once, again and again: a burst that fills the card's
//! queue, and a turn that is late for its last. Each of them starts a little after the one before.

use crate::clock::MonoTime;
use crate::limits::START_DELAY_MAX;
use std::time::Duration;

/// Who start within this time come together: about a picture's.
const TOGETHER: Duration = Duration::from_millis(40);
/// From one to the next: many times what it takes to send a picture.
const STEP: Duration = Duration::from_micros(250);
/// As many phases as nobody who waits for a first picture notices.
const PHASES: u32 = 64;
const _: () = assert!(STEP.as_nanos() * PHASES as u128 <= START_DELAY_MAX.as_nanos());

/// Gives each viewer who starts a phase.
#[derive(Debug, Default)]
pub(super) struct Phases {
    first_at: MonoTime,
    count: u32,
}

impl Phases {
    /// How long after `now` a viewer starts: not at all, unless others did just before.
    pub(super) fn delay(&mut self, now: MonoTime) -> Duration {
        if now >= self.first_at + TOGETHER {
            (self.first_at, self.count) = (now, 0);
        }
        let phase = self.count % PHASES;
        self.count += 1;
        STEP * phase
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_spread_and_a_lone_viewer_does_not_wait() {
        let mut phases = Phases::default();
        let at = |millis: u64| MonoTime(1_000_000_000 + millis * 1_000_000);
        assert_eq!(phases.delay(at(0)), Duration::ZERO);
        assert_eq!(phases.delay(at(40)), Duration::ZERO);
        let crowd: Vec<_> = (0..1000).map(|_| phases.delay(at(60))).collect();
        assert_eq!(crowd[..3], [250, 500, 750].map(Duration::from_micros));
        assert!(crowd.iter().all(|delay| *delay < START_DELAY_MAX));
        for phase in 0..64 {
            let alike = crowd.iter().filter(|delay| **delay == STEP * phase).count();
            assert!((15..=16).contains(&alike), "{alike} of 1000 in phase {phase}");
        }
        assert_eq!(phases.delay(at(80)), Duration::ZERO);
    }
}
