//! Packet images: a segment's packets of one track as they go on the wire, laid out once and sent
//! to every viewer of that segment. What differs from viewer to viewer, the numbering, is written
//! into a train's headers where they lie, just before it leaves.

mod adus;
mod bundles;
mod joint;
mod layout;
mod reframe;
#[cfg(test)]
mod testing;
mod unwrapped;

use crate::index::{AccessUnitEntry, MediaIndex, SegmentId, TrackId};
use crate::payload::INTERLEAVED_PREFIX_BYTES;
use crate::rtp::{HEADER_BYTES, Ssrc};
pub use bundles::bundle_of;
pub use layout::{ImageError, ImageErrorKind};

/// The largest RTP packet of a layout, header included, without the interleaved prefix. Few
/// classes exist, so that `Blocksize` cannot thrash the image cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadClass {
    /// RTP packet bytes, 12-byte header included.
    pub packet_bytes_max: u16,
}

/// Whether packets travel as datagrams or in an RTSP connection (RFC 2326 §10.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Framing {
    /// Packets follow each other without anything between.
    Datagram,
    /// Each packet has its 4-byte `$` prefix in front.
    Interleaved,
}

impl Framing {
    /// Bytes in front of each packet.
    #[must_use]
    pub const fn prefix_bytes(self) -> u16 {
        match self {
            Self::Datagram => 0,
            Self::Interleaved => 4,
        }
    }
}

/// What differs from viewer to viewer in the headers of the same packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbering {
    /// Synchronization source of every packet.
    pub ssrc: Ssrc,
    /// Sequence number of the first packet of the train it is used with.
    pub sequence: u16,
    /// RTP timestamp of composition time 0 (wrapping).
    pub timestamp_zero: u32,
    /// Interleaved channel in the prefix; 0 for datagrams.
    pub channel: u8,
}

impl Numbering {
    /// That of an image in which no train has been numbered yet; sequence numbers count from the
    /// image's first packet.
    pub const ZERO: Self = Self { ssrc: Ssrc(0), sequence: 0, timestamp_zero: 0, channel: 0 };

    /// The RTP timestamp of a composition time in ticks of the RTP clock; wraps.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it wraps")]
    pub const fn timestamp(&self, ticks: i64) -> u32 {
        self.timestamp_zero.wrapping_add(ticks as u32)
    }
}

/// A run of packets that lie one behind the other in the image, all of `packet_bytes` but the
/// last, which may be shorter: what one send with segmentation offload takes. All packets of a
/// train belong to the same access unit (or audio bundle) and have the same timestamp.
///
/// Trains of which one [follows](Self::follows) the other may leave in the same send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Train {
    /// When to send: nanoseconds on the presentation's axis. Decode time, less the spread of big
    /// access units; never after the decode time.
    pub due: i64,
    /// Composition time in ticks of the track's RTP clock, from normal play time 0.
    pub timestamp: i64,
    /// The access unit in decode order (the first of a bundle).
    pub unit: u32,
    /// Position in the image's bytes of the first packet (its prefix, if interleaved).
    pub offset: u32,
    /// Packets, 1..=[`TRAIN_PACKETS_MAX`].
    pub packet_count: u16,
    /// Bytes from one packet's start to the next, prefix included.
    pub packet_bytes: u16,
    /// Bytes of the last packet, prefix included; at most `packet_bytes`.
    pub last_packet_bytes: u16,
    /// Whether the access unit ends with this train (for video: its last packet has the marker).
    pub ends_unit: bool,
    /// Bytes of padding at the end of the last packet (RFC 3550 §5.1).
    pub padding_bytes: u8,
}

impl Train {
    /// Bytes of all its packets, at most [`TRAIN_BYTES_MAX`].
    #[must_use]
    pub const fn bytes(&self) -> u32 {
        (self.packet_count as u32 - 1) * self.packet_bytes as u32 + self.last_packet_bytes as u32
    }

    /// Whether it may leave in one send with `before`, whose segments have so many bytes: it lies
    /// behind it, and all packets but its last have the same length.
    #[must_use]
    pub const fn follows(&self, before: &Self, segment_bytes: u16) -> bool {
        before.packet_bytes == segment_bytes
            && before.last_packet_bytes == segment_bytes
            && self.offset == before.offset + before.bytes()
            && (self.packet_bytes == segment_bytes
                || self.packet_count == 1 && self.packet_bytes < segment_bytes)
    }

    /// Where a packet of the train lies in the image: offset and length, prefix included.
    #[must_use]
    pub const fn packet_range(&self, packet: u16) -> (u32, u32) {
        debug_assert!(packet < self.packet_count);
        let last = packet + 1 == self.packet_count;
        let bytes = if last { self.last_packet_bytes } else { self.packet_bytes };
        (self.offset + packet as u32 * self.packet_bytes as u32, bytes as u32)
    }
}

/// Most packets of a train: the kernel's `UDP_MAX_SEGMENTS` before 6.9.
pub const TRAIN_PACKETS_MAX: u16 = 64;
/// Most bytes of a train: what one UDP send over IPv4 takes.
pub const TRAIN_BYTES_MAX: u32 = 65_507;

/// Most packets of so many bytes, without prefix, that [`TRAIN_BYTES_MAX`] lets into a train. They
/// are counted with the interleaved prefix in either framing: images are cut alike in both, so
/// that one can be made from the other ([`PacketImage::reframed`]), and the limit is to hold in the
/// longer one too.
const fn train_packets_max(packet_bytes: u16) -> u32 {
    TRAIN_BYTES_MAX / (packet_bytes as u32 + Framing::Interleaved.prefix_bytes() as u32)
}

/// A burst that suits most networks: a train of 32 packets costs the sender hardly more a packet
/// than one of 64, and is what a small router or a default socket buffer on the way still swallows.
pub const BURST_PACKETS_DEFAULT: u16 = 32;
/// How long before its decode time the first packets of a big access unit may leave.
pub const SPREAD_NANOS_MAX: i64 = 40_000_000;
/// How long before its decode time media may leave at most with what is before it.
pub const AHEAD_NANOS_MAX: i64 = 100_000_000;
/// The longest time that access units in one audio packet may cover: what a lost packet costs the
/// listener, and what a viewer waits for more.
pub const BUNDLE_NANOS_MAX: i64 = 100_000_000;

/// What to lay out, and how.
#[derive(Clone, Copy, Debug)]
pub struct ImageRequest<'a> {
    /// The title's index.
    pub index: &'a MediaIndex,
    /// A track of the index.
    pub track: TrackId,
    /// A segment of the index.
    pub segment: SegmentId,
    /// How big packets may be.
    pub class: PayloadClass,
    /// What lies between packets.
    pub framing: Framing,
    /// The payload type in every packet, as the presentation description declares it.
    pub payload_type: u8,
    /// What leaves at once.
    pub bursts: Bursts,
}

/// What leaves at once, and what does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bursts {
    /// Most packets that leave at once, 1..=[`TRAIN_PACKETS_MAX`]. An access unit with more leaves
    /// as trains of at most so many, spread over up to [`SPREAD_NANOS_MAX`] before its decode time.
    pub packets_max: u16,
    /// Pictures, or packets of sound, leave together that are decoded so many nanoseconds apart, at
    /// most [`AHEAD_NANOS_MAX`]; 0 if each leaves in its own time.
    pub joined_nanos: i64,
}

impl Default for Bursts {
    /// As far ahead as a packet of sound reaches anyway.
    fn default() -> Self {
        Self { packets_max: BURST_PACKETS_DEFAULT, joined_nanos: AHEAD_NANOS_MAX }
    }
}

/// Memory of an image, to be used again for another.
#[derive(Debug, Default)]
pub struct ImageStorage {
    /// For the packets.
    pub bytes: Vec<u8>,
    /// For the trains.
    pub trains: Vec<Train>,
}

/// A segment's packets of one track as they go on the wire, and its trains.
#[derive(Debug)]
pub struct PacketImage {
    /// The packets.
    pub bytes: Vec<u8>,
    /// The trains, in decode order.
    pub trains: Vec<Train>,
    /// What lies between packets.
    pub framing: Framing,
    /// Packets in the image.
    pub packet_count: u32,
    /// Which segment.
    pub segment: SegmentId,
    /// Which track.
    pub track: TrackId,
    /// The payload type in every packet.
    pub payload_type: u8,
    /// Which of its trains have been numbered in this turn.
    pub numbered: Numbered,
}

/// Which trains of an image have been numbered in a turn. It lies beside the image, whose trains
/// are memory far away.
#[derive(Debug, Default)]
pub struct Numbered {
    turn: u32,
    /// A bit for each of the first 64 trains: most images have no more.
    first: u64,
    /// A bit for each of the others.
    more: Vec<u64>,
}

impl Numbered {
    /// For so many trains, of which none is.
    #[must_use]
    pub fn new(trains: usize) -> Self {
        Self { turn: 0, first: 0, more: vec![0; trains.saturating_sub(64).div_ceil(64)] }
    }

    /// Whether the train was not numbered in the turn yet; now it is.
    fn claim(&mut self, train: usize, turn: u32) -> bool {
        if self.turn != turn {
            (self.turn, self.first) = (turn, 0);
            self.more.fill(0);
        }
        let bits = match train.checked_sub(64) {
            None => &mut self.first,
            Some(behind) => &mut self.more[behind / 64],
        };
        let bit = 1 << (train % 64);
        let is_new = *bits & bit == 0;
        *bits |= bit;
        is_new
    }
}

impl PacketImage {
    /// Lays out a segment's packets. `unit_bytes` gives an access unit's bytes; a unit that has no
    /// bytes in the container leaves no packet.
    ///
    /// # Errors
    /// When `unit_bytes` has no answer for a unit or a unit is malformed; says which unit and why.
    pub fn build<'b>(
        request: ImageRequest<'_>,
        unit_bytes: impl Fn(&AccessUnitEntry) -> Option<&'b [u8]>,
        storage: ImageStorage,
    ) -> Result<Self, ImageError> {
        layout::build(&request, unit_bytes, storage)
    }

    /// Gives back the memory of an image that is no longer needed.
    #[must_use]
    pub fn into_storage(self) -> ImageStorage {
        ImageStorage { bytes: self.bytes, trains: self.trains }
    }

    /// Bytes of memory it holds, used or not: what it counts against a cache's budget.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.trains.capacity() * size_of::<Train>()
    }

    /// Bytes in front of each packet's payload: what [`Self::stamp`] writes.
    #[must_use]
    pub const fn header_bytes(&self) -> usize {
        self.framing.prefix_bytes() as usize + HEADER_BYTES
    }

    /// Numbers the packets of the train at `position`, from `packet` on, for one viewer, where they
    /// lie. The numbering's sequence number is that of the train's first packet.
    ///
    /// Nothing is done if they were numbered in the same `turn` already: until it is over, they
    /// are another viewer's. Whether it was done.
    ///
    /// # Panics
    /// If `train` is not that of the image at `position`, and lies outside of it.
    pub fn number(
        &mut self,
        (position, train): (usize, &Train),
        packet: u16,
        numbering: &Numbering,
        turn: u32,
    ) -> bool {
        if !self.numbered.claim(position, turn) {
            return false;
        }
        let header_bytes = usize::from(self.framing.prefix_bytes()) + HEADER_BYTES;
        let start = train.packet_range(packet).0 as usize;
        let end = (train.offset + train.bytes()) as usize;
        let mut sequence = numbering.sequence.wrapping_add(packet);
        let timestamp = numbering.timestamp(train.timestamp);
        for packet in self.bytes[start..end].chunks_mut(usize::from(train.packet_bytes)) {
            let header = &mut packet[..header_bytes];
            if self.framing == Framing::Interleaved {
                header[1] = numbering.channel;
            }
            let header = &mut header[header_bytes - HEADER_BYTES..];
            header[2..4].copy_from_slice(&sequence.to_be_bytes());
            header[4..8].copy_from_slice(&timestamp.to_be_bytes());
            header[8..12].copy_from_slice(&numbering.ssrc.0.to_be_bytes());
            sequence = sequence.wrapping_add(1);
        }
        true
    }

    /// Numbers all trains of an image that has not been numbered in the `turn`, for one viewer from
    /// the first packet on, and gives the numbering that follows.
    pub fn number_all(&mut self, mut numbering: Numbering, turn: u32) -> Numbering {
        for position in 0..self.trains.len() {
            let train = self.trains[position];
            self.number((position, &train), 0, &numbering, turn);
            numbering.sequence = numbering.sequence.wrapping_add(train.packet_count);
        }
        numbering
    }

    /// Appends the header (and interleaved prefix, [`Self::header_bytes`] in all) that
    /// [`Self::number`] would write into one packet of the train.
    pub fn stamp(&self, train: &Train, packet: u16, numbering: &Numbering, out: &mut Vec<u8>) {
        let (start, packet_bytes) = train.packet_range(packet);
        let lies = start as usize + usize::from(self.framing.prefix_bytes());
        let mut header = [0; HEADER_BYTES];
        header[..2].copy_from_slice(&self.bytes[lies..lies + 2]);
        let sequence = numbering.sequence.wrapping_add(packet);
        header[2..4].copy_from_slice(&sequence.to_be_bytes());
        header[4..8].copy_from_slice(&numbering.timestamp(train.timestamp).to_be_bytes());
        header[8..].copy_from_slice(&numbering.ssrc.0.to_be_bytes());
        if self.framing == Framing::Interleaved {
            #[allow(clippy::cast_possible_truncation, reason = "packets have 16-bit lengths")]
            let bytes = packet_bytes as u16 - self.framing.prefix_bytes();
            out.extend_from_slice(&prefix(numbering.channel, bytes));
        }
        out.extend_from_slice(&header);
    }
}

/// What stands in front of an interleaved packet of so many bytes (RFC 2326 §10.12).
const fn prefix(channel: u8, bytes: u16) -> [u8; INTERLEAVED_PREFIX_BYTES] {
    let [high, low] = bytes.to_be_bytes();
    [b'$', channel, high, low]
}
