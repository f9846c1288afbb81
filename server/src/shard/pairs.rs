//! The shard's RTP/RTCP socket pairs: which stream a datagram that arrives belongs to.
//!
//! Streams to the same client address take different pairs, so that (client address, pair) names
//! one stream.

use super::operation::PairId;
use std::collections::HashMap;
use std::net::IpAddr;

/// Which stream has which pair.
#[derive(Debug)]
pub(super) struct Pairs {
    /// The RTP port of each pair.
    ports: Vec<u16>,
    /// Streams on each pair, to spread them.
    load: Vec<u32>,
    /// The number of the last stream that each pair was given to: of pairs with the same load the
    /// one that rested longest is next, so that what still comes for its last stream is over.
    last_given: Vec<u64>,
    given_count: u64,
    streams: HashMap<(IpAddr, PairId), u32>,
}

impl Pairs {
    /// Pairs with these RTP ports.
    pub(super) fn new(ports: Vec<u16>) -> Self {
        let (load, last_given) = (vec![0; ports.len()], vec![0; ports.len()]);
        Self { ports, load, last_given, given_count: 0, streams: HashMap::new() }
    }

    /// Gives `stream`, which goes to `client`, the least loaded pair that no other stream to that
    /// address has.
    pub(super) fn take(&mut self, client: IpAddr, stream: u32) -> Option<PairId> {
        let count = u8::try_from(self.ports.len()).expect("SHARD_PAIRS_MAX fits");
        let pair = (0..count)
            .map(PairId)
            .filter(|pair| !self.streams.contains_key(&(client, *pair)))
            .min_by_key(|PairId(pair)| {
                (self.load[usize::from(*pair)], self.last_given[usize::from(*pair)])
            })?;
        self.load[usize::from(pair.0)] += 1;
        self.given_count += 1;
        self.last_given[usize::from(pair.0)] = self.given_count;
        self.streams.insert((client, pair), stream);
        Some(pair)
    }

    /// Takes the pair back from the stream to `client`.
    pub(super) fn give_back(&mut self, client: IpAddr, pair: PairId) {
        self.streams.remove(&(client, pair)).expect("a stream has its pair");
        self.load[usize::from(pair.0)] -= 1;
    }

    /// The stream to `client` on `pair`.
    pub(super) fn stream(&self, client: IpAddr, pair: PairId) -> Option<u32> {
        self.streams.get(&(client, pair)).copied()
    }

    /// The RTP port of `pair`.
    pub(super) fn port(&self, pair: PairId) -> u16 {
        self.ports[usize::from(pair.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn streams_to_one_address_take_different_pairs() {
        let mut pairs = Pairs::new(vec![6970, 6972]);
        let (a, b) = (IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from([10, 0, 0, 1]));
        let first = pairs.take(a, 1).unwrap();
        let second = pairs.take(a, 2).unwrap();
        assert_ne!(first, second);
        assert_eq!(pairs.take(a, 3), None, "none is left for this address");
        let other = pairs.take(b, 4).unwrap();
        assert_eq!(pairs.stream(a, first), Some(1));
        assert_eq!(pairs.stream(b, other), Some(4));
        pairs.give_back(a, first);
        assert_eq!(pairs.take(a, 5), Some(first));
        assert_eq!(pairs.port(second), 6972);
    }

    #[test]
    fn a_pair_rests_while_there_are_others() {
        let mut pairs = Pairs::new(vec![6970, 6972, 6974]);
        let client = IpAddr::from(Ipv4Addr::LOCALHOST);
        let given = (0..6).map(|stream| {
            let pair = pairs.take(client, stream).unwrap();
            pairs.give_back(client, pair);
            pair.0
        });
        assert_eq!(given.collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2]);
    }
}
