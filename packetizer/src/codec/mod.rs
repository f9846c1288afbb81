//! What SDP must declare of each codec and how its access units are cut; one file a codec.

pub mod aac;
mod bits;
pub mod h264;

use std::fmt;

use crate::time::ClockRate;

/// A codec with what SDP and the payload format need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodecConfig {
    /// H.264 in length-prefixed NAL units (ISO 14496-15).
    H264(h264::H264Config),
    /// AAC with its AudioSpecificConfig (ISO 14496-3).
    Aac(aac::AacConfig),
}

impl CodecConfig {
    /// Whether it is pictures.
    #[must_use]
    pub const fn is_video(&self) -> bool {
        match self {
            Self::H264(_) => true,
            Self::Aac(_) => false,
        }
    }

    /// The RTP clock: 90 kHz for video (RFC 6184 §8.2.1), the sampling rate for AAC (RFC 3640
    /// §4.1).
    #[must_use]
    pub const fn rtp_rate(&self) -> ClockRate {
        match self {
            Self::H264(_) => ClockRate::VIDEO,
            Self::Aac(config) => config.rtp_rate,
        }
    }
}

/// Why a codec's configuration cannot be used, in words for an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigError(pub &'static str);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for ConfigError {}
