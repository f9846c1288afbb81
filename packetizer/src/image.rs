//! Packet images: a segment's packets of one track as they go on the wire, laid out once and sent
//! to every viewer of that segment.

use crate::index::{SegmentId, TrackId};
use crate::rtp::Ssrc;

/// The largest RTP packet of a layout, header included, without the interleaved prefix. Few
/// classes exist, so that `Blocksize` cannot thrash the image cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadClass {
    /// RTP packet bytes, 12-byte header included.
    pub packet_bytes_max: u16,
}

/// Whether packets travel as datagrams or in an RTSP connection (RFC 2326 §10.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// The numbering that an image's packets carry as they lie: that of the viewer who caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbering {
    /// Synchronization source of every packet.
    pub ssrc: Ssrc,
    /// Sequence number of the image's first packet.
    pub sequence: u16,
    /// RTP timestamp of composition time 0 (wrapping).
    pub timestamp_zero: u32,
    /// Interleaved channel in the prefix; 0 for datagrams.
    pub channel: u8,
}

/// A run of packets that lie one behind the other in the image, all of `packet_bytes` but the
/// last, which may be shorter: what one send with segmentation offload takes. All packets of a
/// train belong to the same access unit (or audio bundle) and have the same timestamp.
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
    /// Ordinal of the first packet in the image.
    pub first_packet: u32,
    /// Packets, 1..=[`TRAIN_PACKETS_MAX`].
    pub packet_count: u16,
    /// Bytes from one packet's start to the next, prefix included.
    pub packet_bytes: u16,
    /// Bytes of the last packet, prefix included; at most `packet_bytes`.
    pub last_packet_bytes: u16,
    /// Whether the access unit ends with this train (for video: its last packet has the marker).
    pub ends_unit: bool,
    /// Whether the unit is a sync sample.
    pub sync: bool,
}

/// Most packets of a train: the kernel's `UDP_MAX_SEGMENTS` before 6.9.
pub const TRAIN_PACKETS_MAX: u16 = 64;
/// Most bytes of a train: what one UDP send over IPv4 takes.
pub const TRAIN_BYTES_MAX: u32 = 65_507;

/// A segment's packets of one track as they go on the wire, and its trains.
#[derive(Debug)]
pub struct PacketImage {
    /// The packets.
    pub bytes: Vec<u8>,
    /// The trains, in decode order.
    pub trains: Vec<Train>,
    /// The numbering in the packets as they lie.
    pub numbering: Numbering,
    /// Packets in the image.
    pub packet_count: u32,
    /// Which segment.
    pub segment: SegmentId,
    /// Which track.
    pub track: TrackId,
}
