//! How many of the shards' port pairs the streams to each client address take. A pair carries one
//! stream to an address, so an address may have as many streams over UDP on a shard as that has
//! pairs.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// The streams over UDP, reserved and set up.
#[derive(Debug)]
pub(super) struct PairLedger {
    /// Pairs that each shard has.
    pairs: usize,
    /// Streams of each shard to each address.
    streams: BTreeMap<(usize, IpAddr), usize>,
}

impl PairLedger {
    /// No streams, of shards that have so many pairs each.
    pub(super) const fn new(pairs: usize) -> Self {
        Self { pairs, streams: BTreeMap::new() }
    }

    /// Whether a shard has so many pairs left for streams to an address.
    pub(super) fn has_left(&self, shard: usize, address: IpAddr, count: usize) -> bool {
        let taken = self.streams.get(&(shard, address)).copied().unwrap_or(0);
        taken.saturating_add(count) <= self.pairs
    }

    /// One more stream; its shard knows whether there is a pair for it.
    pub(super) fn take(&mut self, shard: usize, address: IpAddr) {
        *self.streams.entry((shard, address)).or_insert(0) += 1;
    }

    /// A stream less.
    pub(super) fn release(&mut self, shard: usize, address: IpAddr) {
        let count = self.streams.get_mut(&(shard, address)).expect("released once a reservation");
        *count -= 1;
        if *count == 0 {
            self.streams.remove(&(shard, address));
        }
    }

    /// Whether no stream has a pair.
    pub(super) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }
}
