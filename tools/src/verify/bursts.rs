//! Bursts: what arrives without a pause, as a queue on the way or a small buffer has to take it.

use crate::clock::MonoTime;

/// A pause this long or longer is between two bursts. A packet of 1400 bytes takes 0.1 ms at
/// 100 Mbit/s, and a server's turns and a video's pictures are further apart than this.
const PAUSE_NANOS: i64 = 1_000_000;

/// How much arrived without a pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Burst {
    /// Packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The burst under way.
///
/// A packet belongs to the burst of the one before it if it arrived less than 1 ms after that one,
/// however long the burst has become. Packets that the kernel took as one train have one time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bursts {
    under_way: Burst,
    last_arrival: MonoTime,
}

impl Bursts {
    /// So much arrived at once; returns the burst before if it begins a new one.
    pub fn receive(&mut self, arrival: MonoTime, arrived: Burst) -> Option<Burst> {
        let goes_on =
            self.under_way.packets == 0 || arrival.nanos_since(self.last_arrival) < PAUSE_NANOS;
        self.last_arrival = arrival;
        if !goes_on {
            return Some(std::mem::replace(&mut self.under_way, arrived));
        }
        self.under_way.packets += arrived.packets;
        self.under_way.bytes += arrived.bytes;
        None
    }

    /// The last burst, once no more can come.
    pub fn end(&mut self) -> Option<Burst> {
        Some(std::mem::take(&mut self.under_way)).filter(|burst| burst.packets > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_are_runs_without_a_pause() {
        let burst = |packets| Burst { packets, bytes: packets * 100 };
        let mut bursts = Bursts::default();
        let seen: Vec<Option<Burst>> =
            [(0, 3), (500, 1), (1499, 1), (2499, 2), (5000, 1), (5999, 4), (5000, 1)]
                .map(|(micros, packets)| bursts.receive(MonoTime(micros * 1000), burst(packets)))
                .to_vec();
        assert_eq!(seen, [None, None, None, Some(burst(5)), Some(burst(2)), None, None]);
        assert_eq!((bursts.end(), bursts.end()), (Some(burst(6)), None));
    }
}
