//! MPEG-1 and MPEG-2 audio: the frame header (ISO 11172-3 §2.4.1.3, 13818-3 §2.4.1).

use crate::time::ClockRate;

/// What the payload format must know of an MPEG audio stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MpegAudioConfig {
    /// The sampling rate; the RTP clock is 90 kHz all the same (RFC 3551 §4.5.13).
    pub sample_rate: ClockRate,
    /// Channels: 1 or 2.
    pub channels: u8,
    /// Samples of a frame: 384, 576 or 1152.
    pub frame_samples: u16,
}
