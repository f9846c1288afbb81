//! AMR and AMR-WB: frame types and their lengths (RFC 4867 §5.3, 3GPP TS 26.101 and 26.201).

use crate::time::ClockRate;

/// What SDP must declare of an AMR stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmrConfig {
    /// AMR-WB: 16 kHz instead of 8.
    pub is_wideband: bool,
}

/// Milliseconds of a frame (RFC 4867 §3.1).
pub const FRAME_MILLIS: u16 = 20;

const NARROW: ClockRate = ClockRate::new(8000).expect("not zero");
const WIDE: ClockRate = ClockRate::new(16_000).expect("not zero");

impl AmrConfig {
    /// The sampling rate, which is the RTP clock (RFC 4867 §8.1, §8.2).
    #[must_use]
    pub const fn rtp_rate(self) -> ClockRate {
        if self.is_wideband { WIDE } else { NARROW }
    }
}
