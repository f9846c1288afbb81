//! Churn: what viewers do besides playing, at rates that do not depend on how the server copes.

use crate::clock::MonoTime;
use std::str::FromStr;
use std::time::Duration;

/// What a viewer may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// TEARDOWN; a new viewer takes the place.
    Stop,
    /// PLAY elsewhere.
    Seek,
    /// PAUSE, and PLAY some seconds later.
    Pause,
    /// Closes all sockets without a word; a new viewer takes the place.
    Vanish,
}

const ACTS: [(&str, Act); 4] =
    [("stop", Act::Stop), ("seek", Act::Seek), ("pause", Act::Pause), ("vanish", Act::Vanish)];

/// How often viewers do things, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Churn {
    /// Times a second, in the order of `ACTS`.
    rates: [f64; ACTS.len()],
}

impl FromStr for Churn {
    type Err = String;

    /// Reads `stop=5/s,seek=0.5/s`; `/s` may be left out.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut churn = Self::default();
        for part in text.split(',') {
            let (name, rate) = part.split_once('=').ok_or("a list like stop=5/s,seek=10/s")?;
            let position = ACTS.iter().position(|(known, _)| *known == name);
            let position = position
                .ok_or_else(|| format!("{name} is none of stop, seek, pause and vanish"))?;
            let rate: f64 = rate.strip_suffix("/s").unwrap_or(rate).parse().unwrap_or(-1.0);
            if !(0.0..=100_000.0).contains(&rate) {
                return Err(format!("{part}: a rate like 5/s or 0.2/s"));
            }
            churn.rates[position] = rate;
        }
        Ok(churn)
    }
}

/// When a thread's viewers are to do what.
#[derive(Clone, Debug)]
pub(super) struct Agenda {
    /// When each act is due next, and how long after that again.
    entries: Vec<(MonoTime, Duration, Act)>,
}

impl Agenda {
    /// The part of `churn` that the thread `thread` of `threads` does, from `start` on.
    pub(super) fn new(churn: Churn, start: MonoTime, thread: usize, threads: usize) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "small counts")]
        let (thread, threads) = (thread as f64, threads as f64);
        let rates = churn.rates.into_iter().zip(ACTS).filter(|(rate, _)| *rate > 0.0);
        let entries = rates.map(|(rate, (_, act))| {
            let first = start + Duration::from_secs_f64((thread + 1.0) / rate);
            (first, Duration::from_secs_f64(threads / rate), act)
        });
        Self { entries: entries.collect() }
    }

    /// What was due first by `now` and has not been returned yet, with when it was due.
    pub(super) fn due(&mut self, now: MonoTime) -> Option<(MonoTime, Act)> {
        let (at, every, act) = self.entries.iter_mut().min_by_key(|(at, ..)| *at)?;
        if *at > now {
            return None;
        }
        let due = *at;
        *at = due + *every;
        Some((due, *act))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_wrong_ones_named() {
        let churn: Churn = "stop=5/s,vanish=0.5".parse().unwrap();
        assert_eq!(churn.rates, [5.0, 0.0, 0.0, 0.5]);
        for wrong in ["", "stop", "jump=1/s", "stop=-1", "seek=x", "seek=1/min"] {
            assert!(wrong.parse::<Churn>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn acts_come_at_their_rates_however_late_they_are_asked_for() {
        let churn = "stop=2/s,seek=5/s".parse().unwrap();
        let start = MonoTime(1_000_000_000);
        let mut count = [0, 0];
        let mut last = start;
        for (thread, polls) in [(0, 1000), (1, 3)] {
            let mut agenda = Agenda::new(churn, start, thread, 2);
            last = start;
            for poll in 1..=polls {
                let now = start + Duration::from_secs(10) * poll / polls;
                while let Some((at, act)) = agenda.due(now) {
                    assert!(at >= last && at <= now);
                    last = at;
                    count[usize::from(act == Act::Seek)] += 1;
                }
            }
        }
        assert_eq!((count, last > start), ([20, 50], true));
    }
}
