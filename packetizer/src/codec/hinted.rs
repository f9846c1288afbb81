//! Packets that whoever made the file has planned (ISO 14496-12 §9.1), of whatever codec.

use crate::time::ClockRate;

/// The largest RTP packet that is sent as a hint track plans it: what Ethernet carries in IPv4.
pub const PACKET_BYTES_MAX: u16 = 1472;

/// Bytes of the RTP header in front of each payload (RFC 3550 §5.1).
pub const RTP_HEADER_BYTES: usize = 12;

/// Units consist of packets, each behind a head of 16 bits: the length of its payload, with this
/// bit if its RTP header has the marker.
pub const HEAD_MARKER: u16 = 1 << 15;

/// What a hint track's own description says of its packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HintedConfig {
    /// Whether they carry pictures.
    pub is_video: bool,
    /// The payload type that its encoding has for good (RFC 3551 §6).
    pub static_type: Option<u8>,
    /// The encoding name, of letters, digits and `-_.+`.
    pub encoding: Box<str>,
    /// The RTP clock.
    pub rtp_rate: ClockRate,
    /// Channels of sound, if they are told.
    pub channels: Option<u8>,
    /// What `a=fmtp` says behind the payload type: printable, on one line.
    pub parameters: Option<Box<str>>,
    /// Attributes of its maker's own (`x-bufferdelay:3.66`): printable, on one line each.
    pub attributes: Box<[Box<str>]>,
    /// Bytes of its largest packet, RTP header included. Nobody can cut it.
    pub packet_bytes: u16,
}
