//! AC-3 and Enhanced AC-3: the syncframe header (ETSI TS 102 366 §4.3, §E.1.2).

use crate::time::ClockRate;

/// What SDP must declare of an AC-3 or Enhanced AC-3 stream (RFC 4184 §4.1, RFC 4598 §5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ac3Config {
    /// The sampling rate, which is the RTP clock.
    pub rtp_rate: ClockRate,
    /// Channels, the low frequency one included: 1 to 16.
    pub channels: u8,
    /// Samples of an access unit: 1536 for AC-3, 256 to 1536 for Enhanced AC-3.
    pub unit_samples: u16,
}
