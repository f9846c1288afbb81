//! Opus: the table-of-contents byte and identification header (RFC 6716 §3.1, RFC 7845 §5.1).

use crate::time::ClockRate;

/// What SDP must declare of an Opus stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusConfig {
    /// Channels: 1 or 2.
    pub channels: u8,
}

/// The RTP clock, whatever the sampling rate (RFC 7587 §4.1).
pub const RTP_RATE: ClockRate = ClockRate::new(48_000).expect("not zero");
