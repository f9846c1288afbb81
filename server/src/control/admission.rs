//! Who may come in, and which shard serves them: limits by count, by address, by reserved bit rate,
//! by reserved memory and by port pairs.

use super::memory::{MemoryLedger, MemoryNeed};
use super::pairs::PairLedger;
use crate::config::{Config, shard_pairs};
use crate::title::ByteSourceId;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// Why something was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The server has all the connections or sessions it may have.
    ServerFull,
    /// The client's address has.
    AddressFull,
    /// The bit rate would exceed what may leave the machine.
    BandwidthExceeded,
    /// The images would exceed the shard's memory.
    MemoryExceeded,
}

/// Keeps the counts and the reservations. Everything admitted is released by the same amount.
#[derive(Debug)]
pub(super) struct Admission {
    connections: Quota,
    sessions: Quota,
    egress_bits_per_second_max: u64,
    /// What is reserved on each shard.
    reserved_bits_per_second: Vec<u64>,
    /// What is reserved of each shard's image memory.
    memory: Vec<MemoryLedger>,
    pairs: PairLedger,
    /// How many sessions of a title each shard has.
    sessions_of_title: BTreeMap<ByteSourceId, Vec<u32>>,
}

impl Admission {
    pub(super) fn new(config: &Config, shard_count: usize) -> Self {
        let image_bytes = config.budget().shard_image_bytes;
        let ledgers = (0..shard_count.max(1)).map(|_| MemoryLedger::new(image_bytes));
        Self {
            connections: Quota::new(config.connections_max, config.connections_per_address_max),
            sessions: Quota::new(config.sessions_max, config.sessions_per_address_max),
            egress_bits_per_second_max: config.egress_bits_per_second.unwrap_or(u64::MAX),
            reserved_bits_per_second: vec![0; shard_count.max(1)],
            memory: ledgers.collect(),
            pairs: PairLedger::new(shard_pairs(&config.rtp_ports, shard_count)),
            sessions_of_title: BTreeMap::new(),
        }
    }

    pub(super) fn admit_connection(&mut self, peer: IpAddr) -> Result<(), Refusal> {
        self.connections.admit(peer)
    }

    pub(super) fn release_connection(&mut self, peer: IpAddr) {
        self.connections.release(peer);
    }

    /// The shard for a viewer of the title, whose first stream is `need`, of those that have memory
    /// for him, and over UDP a pair for each of up to `streams` or at least for the first: one that
    /// already serves it, so that its viewers share one image cache, unless that shard has
    /// [`AFFINITY_BITS_PER_SECOND`] more reserved than the least loaded.
    pub(super) fn choose_shard(
        &self,
        source: ByteSourceId,
        need: &MemoryNeed,
        peer: IpAddr,
        streams: usize,
    ) -> usize {
        let shard_count = self.reserved_bits_per_second.len();
        let has_room = |shard: &usize, pairs: usize| {
            let has_pairs = !need.is_datagrams() || self.pairs.has_left(*shard, peer, pairs);
            has_pairs && self.memory[*shard].fits(need)
        };
        let somewhere = |pairs: &usize| (0..shard_count).any(|shard| has_room(&shard, *pairs));
        let pairs = [streams, 1].into_iter().find(somewhere).unwrap_or(0);
        let least_loaded = |shards: &mut dyn Iterator<Item = usize>| {
            let shards = shards.filter(|shard| has_room(shard, pairs));
            shards.min_by_key(|shard| self.reserved_bits_per_second[*shard])
        };
        let least = least_loaded(&mut (0..shard_count)).unwrap_or(0);
        let sharing = self.sessions_of_title.get(&source).and_then(|counts| {
            least_loaded(&mut (0..counts.len()).filter(|shard| counts[*shard] > 0))
        });
        match sharing {
            Some(shard)
                if self.reserved_bits_per_second[shard]
                    <= self.reserved_bits_per_second[least]
                        .saturating_add(AFFINITY_BITS_PER_SECOND) =>
            {
                shard
            }
            Some(_) | None => least,
        }
    }

    /// Counts a session of the title on the shard.
    pub(super) fn admit_session(
        &mut self,
        peer: IpAddr,
        source: ByteSourceId,
        shard: usize,
    ) -> Result<(), Refusal> {
        self.sessions.admit(peer)?;
        let shard_count = self.reserved_bits_per_second.len();
        let counts = self.sessions_of_title.entry(source).or_insert_with(|| vec![0; shard_count]);
        counts[shard] += 1;
        Ok(())
    }

    pub(super) fn release_session(&mut self, peer: IpAddr, source: ByteSourceId, shard: usize) {
        self.sessions.release(peer);
        if let Some(counts) = self.sessions_of_title.get_mut(&source) {
            counts[shard] = counts[shard].saturating_sub(1);
            if counts.iter().all(|count| *count == 0) {
                self.sessions_of_title.remove(&source);
            }
        }
    }

    /// Reserves a stream's bit rate, memory and pair on the shard.
    pub(super) fn reserve(
        &mut self,
        shard: usize,
        peer: IpAddr,
        bits_per_second: u64,
        need: &MemoryNeed,
    ) -> Result<(), Refusal> {
        self.reserve_bits(shard, bits_per_second)?;
        if !self.memory[shard].reserve(need) {
            self.release_bits(shard, bits_per_second);
            return Err(Refusal::MemoryExceeded);
        }
        self.take_pair(shard, peer, need);
        Ok(())
    }

    pub(super) fn release(
        &mut self,
        shard: usize,
        peer: IpAddr,
        bits_per_second: u64,
        need: &MemoryNeed,
    ) {
        self.release_bits(shard, bits_per_second);
        self.memory[shard].release(need);
        self.release_pair(shard, peer, need);
    }

    fn take_pair(&mut self, shard: usize, peer: IpAddr, need: &MemoryNeed) {
        if need.is_datagrams() {
            self.pairs.take(shard, peer);
        }
    }

    fn release_pair(&mut self, shard: usize, peer: IpAddr, need: &MemoryNeed) {
        if need.is_datagrams() {
            self.pairs.release(shard, peer);
        }
    }

    /// Reserves bit rate alone.
    pub(super) fn reserve_bits(
        &mut self,
        shard: usize,
        bits_per_second: u64,
    ) -> Result<(), Refusal> {
        let reserved = self.reserved_bits_per_second();
        if reserved.saturating_add(bits_per_second) > self.egress_bits_per_second_max {
            return Err(Refusal::BandwidthExceeded);
        }
        self.reserved_bits_per_second[shard] += bits_per_second;
        Ok(())
    }

    /// Reserves memory for a stream that is to replace one with the memory `old`, at the same bit
    /// rate: both are reserved until one is released.
    pub(super) fn reserve_instead(
        &mut self,
        shard: usize,
        peer: IpAddr,
        need: &MemoryNeed,
        old: Option<&MemoryNeed>,
    ) -> Result<(), Refusal> {
        if !self.memory[shard].reserve_instead(need, old) {
            return Err(Refusal::MemoryExceeded);
        }
        self.take_pair(shard, peer, need);
        Ok(())
    }

    /// Reserves `need` in place of `reserved`, perhaps for a stream that is to replace one with the
    /// memory `old`; whether it fits.
    pub(super) fn exchange(
        &mut self,
        shard: usize,
        peer: IpAddr,
        reserved: &MemoryNeed,
        need: &MemoryNeed,
        old: Option<&MemoryNeed>,
    ) -> bool {
        let fits = self.memory[shard].exchange(reserved, need, old);
        if fits {
            self.release_pair(shard, peer, reserved);
            self.take_pair(shard, peer, need);
        }
        fits
    }

    pub(super) fn release_bits(&mut self, shard: usize, bits_per_second: u64) {
        let reserved = &mut self.reserved_bits_per_second[shard];
        *reserved = reserved.saturating_sub(bits_per_second);
    }

    /// What is reserved on all shards.
    pub(super) fn reserved_bits_per_second(&self) -> u64 {
        self.reserved_bits_per_second.iter().sum()
    }

    /// Whether nothing is admitted or reserved.
    pub(super) fn is_idle(&self) -> bool {
        self.connections.total == 0
            && self.sessions.total == 0
            && self.sessions.by_address.is_empty()
            && self.connections.by_address.is_empty()
            && self.sessions_of_title.is_empty()
            && self.reserved_bits_per_second.iter().all(|bits| *bits == 0)
            && self.memory.iter().all(MemoryLedger::is_empty)
            && self.pairs.is_empty()
    }
}

/// What a stream with this average media bit rate takes on the wire: packet headers, and the room
/// that variable bit rates need.
pub(super) const fn reservation(media_bits_per_second: u64) -> u64 {
    let overhead = media_bits_per_second / 100 * RESERVATION_OVERHEAD_PERCENT;
    let reserved = media_bits_per_second.saturating_add(overhead);
    // A hostile index may claim any bit rate; sums of reservations must not overflow.
    if reserved > RESERVATION_BITS_PER_SECOND_MAX {
        RESERVATION_BITS_PER_SECOND_MAX
    } else {
        reserved
    }
}

/// A count in total and by address.
#[derive(Debug)]
struct Quota {
    total: u32,
    total_max: u32,
    by_address: BTreeMap<IpAddr, u32>,
    address_max: u32,
}

impl Quota {
    const fn new(total_max: u32, address_max: u32) -> Self {
        Self { total: 0, total_max, by_address: BTreeMap::new(), address_max }
    }

    fn admit(&mut self, address: IpAddr) -> Result<(), Refusal> {
        if self.total >= self.total_max {
            return Err(Refusal::ServerFull);
        }
        let address = network(address);
        let count = self.by_address.get(&address).copied().unwrap_or(0);
        if count >= self.address_max {
            return Err(Refusal::AddressFull);
        }
        self.by_address.insert(address, count + 1);
        self.total += 1;
        Ok(())
    }

    fn release(&mut self, address: IpAddr) {
        let address = network(address);
        if let Some(count) = self.by_address.get_mut(&address) {
            *count -= 1;
            self.total = self.total.saturating_sub(1);
            if *count == 0 {
                self.by_address.remove(&address);
            }
        }
    }
}

/// What counts as one client: an IPv4 address, or an IPv6 network of 64 bits, because that is what
/// one host is given (RFC 4291 §2.5.4).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// How much more than the least loaded shard one may have reserved and still get the viewers of
/// the titles it serves.
const AFFINITY_BITS_PER_SECOND: u64 = 250_000_000;
/// Headers (RTP, UDP, IP: 40 bytes in 1400) and slack.
const RESERVATION_OVERHEAD_PERCENT: u64 = 5;
/// No stream reserves more than this.
const RESERVATION_BITS_PER_SECOND_MAX: u64 = 1 << 40;

#[cfg(test)]
mod tests {
    use super::super::testing::{config, title};
    use super::*;
    use packetizer::image::{Framing, PayloadClass};
    use packetizer::index::TrackId;

    const TITLE: ByteSourceId = ByteSourceId(1);
    const OTHER: ByteSourceId = ByteSourceId(2);

    fn need(source: u64) -> MemoryNeed {
        let class = PayloadClass { packet_bytes_max: 1400 };
        MemoryNeed::of(&title("movie.mp4", source, false), TrackId(0), class, Framing::Datagram)
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn counts_are_limited_in_total_and_by_address() {
        let config = Config { sessions_max: 3, sessions_per_address_max: 2, ..config() };
        let mut admission = Admission::new(&config, 1);
        assert_eq!(admission.admit_session(address(1), TITLE, 0), Ok(()));
        assert_eq!(admission.admit_session(address(1), TITLE, 0), Ok(()));
        assert_eq!(admission.admit_session(address(1), TITLE, 0), Err(Refusal::AddressFull));
        assert_eq!(admission.admit_session(address(2), TITLE, 0), Ok(()));
        assert_eq!(admission.admit_session(address(3), TITLE, 0), Err(Refusal::ServerFull));
        admission.release_session(address(1), TITLE, 0);
        assert_eq!(admission.admit_session(address(3), TITLE, 0), Ok(()));
    }

    #[test]
    fn an_ipv6_network_counts_as_one_client() {
        let config = Config { connections_per_address_max: 1, ..config() };
        let mut admission = Admission::new(&config, 1);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(admission.admit_connection(address("2001:db8::1")), Ok(()));
        assert_eq!(admission.admit_connection(address("2001:db8::2")), Err(Refusal::AddressFull));
        assert_eq!(admission.admit_connection(address("2001:db8:0:1::1")), Ok(()));
        assert_eq!(admission.admit_connection(address("::ffff:192.0.2.1")), Ok(()));
        assert_eq!(admission.admit_connection(address("192.0.2.1")), Err(Refusal::AddressFull));
    }

    #[test]
    fn viewers_of_a_title_share_a_shard_until_it_is_overloaded() {
        let mut admission = Admission::new(&config(), 3);
        admission.reserve(0, address(1), 10, &need(1)).unwrap();
        assert_eq!(admission.choose_shard(TITLE, &need(1), address(9), 2), 1, "the least loaded");
        admission.admit_session(address(1), TITLE, 1).unwrap();
        admission.reserve(1, address(1), AFFINITY_BITS_PER_SECOND, &need(1)).unwrap();
        assert_eq!(admission.choose_shard(TITLE, &need(1), address(9), 2), 1, "affinity");
        assert_eq!(admission.choose_shard(OTHER, &need(2), address(9), 2), 2);
        admission.reserve(1, address(1), 1, &need(1)).unwrap();
        assert_eq!(admission.choose_shard(TITLE, &need(1), address(9), 2), 2, "overloaded");
        admission.admit_session(address(1), TITLE, 2).unwrap();
        admission.reserve(2, address(1), 100, &need(1)).unwrap();
        let chosen = admission.choose_shard(TITLE, &need(1), address(9), 2);
        assert_eq!(chosen, 2, "the less loaded of two that serve it");
        admission.release_session(address(1), TITLE, 1);
        admission.release_session(address(1), TITLE, 2);
        assert_eq!(admission.choose_shard(TITLE, &need(1), address(9), 2), 0);
    }

    #[test]
    fn the_sum_of_reservations_stays_below_the_egress_limit() {
        let config = Config { egress_bits_per_second: Some(100), ..config() };
        let mut admission = Admission::new(&config, 2);
        assert_eq!(admission.reserve(0, address(1), 60, &need(1)), Ok(()));
        assert_eq!(admission.reserve(1, address(1), 41, &need(1)), Err(Refusal::BandwidthExceeded));
        assert_eq!(admission.reserve(1, address(1), 40, &need(1)), Ok(()));
        admission.release(0, address(1), 60, &need(1));
        assert_eq!(admission.reserve(1, address(1), 60, &need(1)), Ok(()));
        admission.release(1, address(1), 60, &need(1));
        assert!(!admission.is_idle());
        admission.release(1, address(1), 40, &need(1));
        assert!(admission.is_idle());
    }

    #[test]
    fn a_shard_without_memory_is_not_chosen_while_another_has_some() {
        // The least memory of all: 22 MiB of images a shard, of which a form takes what it holds.
        let memory_bytes = crate::config::SHARD_MEMORY_BYTES_MIN * 2;
        let config = Config { memory_bytes, shard_cpus: vec![None; 2], ..config() };
        let mut admission = Admission::new(&config, 2);
        admission.reserve(1, address(1), 1000, &need(0)).unwrap();
        let filled =
            (1..).take_while(|source| admission.reserve(0, address(1), 0, &need(*source)).is_ok());
        let (first, count) = (need(1), filled.count() as u64);
        assert_eq!(
            admission.reserve(0, address(1), 0, &need(count + 1)),
            Err(Refusal::MemoryExceeded)
        );
        assert_eq!(
            admission.choose_shard(OTHER, &need(count + 1), address(9), 2),
            1,
            "more loaded, but free"
        );
        assert_eq!(admission.choose_shard(TITLE, &first, address(9), 2), 1);
        admission.release(0, address(1), 0, &first);
        assert_eq!(admission.choose_shard(TITLE, &first, address(9), 2), 0);
        (2..=count).for_each(|source| admission.release(0, address(1), 0, &need(source)));
        admission.release(1, address(1), 1000, &need(0));
        assert!(admission.is_idle());
    }

    #[test]
    fn no_claimed_bit_rate_overflows_a_reservation() {
        assert_eq!(reservation(2_000_000), 2_100_000);
        assert_eq!(reservation(u64::MAX), RESERVATION_BITS_PER_SECOND_MAX);
    }
}
