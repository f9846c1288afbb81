//! Vorbis: its three headers (Vorbis I §4.2).

use crate::time::ClockRate;

/// What SDP must declare of a Vorbis stream (RFC 5215 §6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VorbisConfig {
    /// The sampling rate, which is the RTP clock.
    pub rtp_rate: ClockRate,
    /// Channels.
    pub channels: u8,
    /// The identification header packet: 30 bytes.
    pub identification: Vec<u8>,
    /// The setup header packet.
    pub setup: Vec<u8>,
}
