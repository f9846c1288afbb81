//! PCM: how samples lie in a file and travel in RTP (RFC 3551 §4.5, RFC 3190).

use crate::time::ClockRate;

/// A PCM stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcmConfig {
    /// How its samples lie in the file.
    pub encoding: PcmEncoding,
    /// The sampling rate, which is the RTP clock.
    pub rtp_rate: ClockRate,
    /// Channels, interleaved sample by sample.
    pub channels: u8,
}

/// How a sample lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PcmEncoding {
    /// G.711 µ-law, 8 bits.
    Mulaw,
    /// G.711 A-law, 8 bits.
    Alaw,
    /// Linear, 8 bits with an offset of 128.
    Unsigned8,
    /// Linear, signed, 8 bits.
    Signed8,
    /// Linear, signed, 16 bits, most significant byte first.
    Signed16Big,
    /// Linear, signed, 16 bits, least significant byte first.
    Signed16Little,
    /// Linear, signed, 24 bits, most significant byte first.
    Signed24Big,
    /// Linear, signed, 24 bits, least significant byte first.
    Signed24Little,
}

impl PcmEncoding {
    /// Bytes of a sample.
    #[must_use]
    pub const fn sample_bytes(self) -> u8 {
        match self {
            Self::Mulaw | Self::Alaw | Self::Unsigned8 | Self::Signed8 => 1,
            Self::Signed16Big | Self::Signed16Little => 2,
            Self::Signed24Big | Self::Signed24Little => 3,
        }
    }

    /// The encoding name of `a=rtpmap` (RFC 3551 §4.5, RFC 3190 §4).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mulaw => "PCMU",
            Self::Alaw => "PCMA",
            Self::Unsigned8 | Self::Signed8 => "L8",
            Self::Signed16Big | Self::Signed16Little => "L16",
            Self::Signed24Big | Self::Signed24Little => "L24",
        }
    }
}

impl PcmConfig {
    /// Bytes of one sample of every channel.
    #[must_use]
    pub const fn frame_bytes(&self) -> u32 {
        self.encoding.sample_bytes() as u32 * self.channels as u32
    }
}

/// Bytes of an access unit at most: demuxers cut PCM into whole frames of about so many bytes, so
/// that a unit fits any packet and several fill one.
pub const UNIT_BYTES_MAX: u32 = 480;
