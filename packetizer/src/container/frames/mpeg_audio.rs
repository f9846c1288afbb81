//! MPEG audio (ISO 11172-3, 13818-3): .mp3, .mp2.

use super::{Header, Role};
use crate::codec::CodecConfig;
use crate::codec::mpeg_audio::{self, FRAME_BYTES_MAX, FrameHeader};
use crate::index::SkipReason;
use crate::time::ClockRate;

impl Header for FrameHeader {
    const FRAME_BYTES_MAX: u32 = FRAME_BYTES_MAX;
    const SYNC_BYTE: u8 = 0xff;

    fn parse(bytes: &[u8]) -> Option<Self> {
        Self::parse(bytes)
    }

    fn frame_bytes(&self) -> u32 {
        self.bytes
    }

    /// Encoders put the number of frames and a table for seeking into a frame of their own: Xing's
    /// behind where the side information would end, VBRI always at the same place.
    fn is_information(&self, frame: &[u8]) -> bool {
        let side_bytes = match (self.is_mpeg1, self.channels) {
            (true, 2) => 32,
            (true, _) | (false, 2) => 17,
            (false, _) => 9,
        };
        let is_at = |at: usize, name: &[u8]| {
            frame.get(at..).is_some_and(|bytes| self.layer == 3 && bytes.starts_with(name))
        };
        is_at(4 + side_bytes, b"Xing") || is_at(4 + side_bytes, b"Info") || is_at(4 + 32, b"VBRI")
    }

    fn role(&self, first: &Self) -> Role {
        let is_alike = self.sample_rate == first.sample_rate
            && self.layer == first.layer
            && self.samples == first.samples;
        if is_alike { Role::Unit } else { Role::Foreign }
    }

    fn codec(&self) -> Result<CodecConfig, SkipReason> {
        Ok(CodecConfig::MpegAudio(self.config()))
    }

    fn sample_rate(&self) -> Option<ClockRate> {
        Some(self.sample_rate)
    }

    fn samples(&self) -> u32 {
        u32::from(self.samples)
    }
}

/// Whether `bytes` begin with frames of free format, which do not tell their length: three with
/// the same distance, up to a slot.
pub(super) fn is_free_format_run(bytes: &[u8]) -> bool {
    const SLOT_BYTES_MAX: usize = 4;
    let is_like_first = |at: usize| {
        let frame = bytes.get(at..).unwrap_or_default();
        mpeg_audio::is_free_format(frame) && frame.get(..2) == bytes.get(..2)
    };
    let distances = 24..=2 * FRAME_BYTES_MAX as usize;
    is_like_first(0)
        && distances.filter(|distance| is_like_first(*distance)).any(|distance| {
            (2 * distance - SLOT_BYTES_MAX..=2 * distance + SLOT_BYTES_MAX).any(is_like_first)
        })
}
