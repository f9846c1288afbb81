//! Bursts: packets of a stream that follow one another without a pause.

use crate::clock::MonoTime;

/// Packets closer together than this are one burst.
const BURST_GAP_NANOS: i64 = 1_000_000;

/// The burst under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bursts {
    packets: u64,
    last_arrival: MonoTime,
}

impl Bursts {
    /// `count` packets arrived at once; returns how long the burst before was if they begin a new
    /// one.
    pub fn receive(&mut self, arrival: MonoTime, count: u64) -> Option<u64> {
        let goes_on = self.packets == 0 || arrival.nanos_since(self.last_arrival) < BURST_GAP_NANOS;
        self.last_arrival = arrival;
        if goes_on {
            self.packets += count;
            return None;
        }
        Some(std::mem::replace(&mut self.packets, count))
    }

    /// How long the last burst was, once no more can come.
    pub fn end(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.packets)).filter(|packets| *packets > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_are_runs_without_a_pause() {
        let mut bursts = Bursts::default();
        let seen: Vec<Option<u64>> = [(0, 3), (500, 1), (1499, 1), (2499, 2), (5000, 1), (5999, 4)]
            .map(|(micros, count)| bursts.receive(MonoTime(micros * 1000), count))
            .to_vec();
        assert_eq!(seen, [None, None, None, Some(5), Some(2), None]);
        assert_eq!((bursts.end(), bursts.end()), (Some(5), None));
    }
}
