//! AAC: the AudioSpecificConfig (ISO 14496-3 §1.6.2.1).

use crate::time::ClockRate;

/// What SDP must declare of an AAC stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AacConfig {
    /// The AudioSpecificConfig as it stands in the container, for `config=` (RFC 3640 §4.1).
    pub audio_specific_config: Vec<u8>,
    /// The RTP clock, as `a=rtpmap` declares it: the sampling rate the decoder puts out.
    pub rtp_rate: ClockRate,
    /// Channels, 1..=8.
    pub channels: u8,
    /// Samples in an access unit: 1024 or 960.
    pub unit_samples: u16,
}
