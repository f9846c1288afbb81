//! Files whose media is one run of PCM samples.

use super::IndexError;
use super::sole_track::{SoleTrack, refuse, refuse_codec};
use crate::codec::CodecConfig;
use crate::codec::pcm::{PcmConfig, PcmEncoding, UNIT_BYTES_MAX};
use crate::index::{MediaIndex, SkipReason, UNITS_MAX};
use crate::time::ClockRate;

/// How a header describes its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) encoding: PcmEncoding,
    pub(super) sample_rate: u32,
    pub(super) channels: u32,
}

impl Description {
    pub(super) fn config(self) -> Result<PcmConfig, SkipReason> {
        let Self { encoding, sample_rate, channels } = self;
        let rtp_rate =
            ClockRate::new(sample_rate).ok_or(SkipReason::Config("its sampling rate is 0"))?;
        let channels = u8::try_from(channels).unwrap_or(u8::MAX);
        let config = PcmConfig { encoding, rtp_rate, channels };
        if channels == 0 || config.frame_bytes() > UNIT_BYTES_MAX {
            return Err(SkipReason::Config("PCM of no channel, or of too many"));
        }
        Ok(config)
    }
}

/// The encoding of linear samples of so many bytes each.
pub(super) fn linear(sample_bytes: u32, is_big_endian: bool) -> Result<PcmEncoding, SkipReason> {
    match (sample_bytes, is_big_endian) {
        (2, true) => Ok(PcmEncoding::Signed16Big),
        (2, false) => Ok(PcmEncoding::Signed16Little),
        (3, true) => Ok(PcmEncoding::Signed24Big),
        (3, false) => Ok(PcmEncoding::Signed24Little),
        _ => Err(SkipReason::Codec(format!("PCM of {} bits", u64::from(sample_bytes) * 8))),
    }
}

/// The index of a file with `bytes` bytes of samples from `offset` on.
pub(super) fn index(config: PcmConfig, offset: u64, bytes: u64) -> Result<MediaIndex, IndexError> {
    let frame_bytes = config.frame_bytes().max(1);
    let unit_frames = (UNIT_BYTES_MAX / frame_bytes).max(1);
    let mut frames = bytes / u64::from(frame_bytes);
    if frames.div_ceil(u64::from(unit_frames)) > u64::from(UNITS_MAX) {
        return Err(IndexError::TooLarge { what: "access units", limit: u64::from(UNITS_MAX) });
    }
    let mut track = SoleTrack::new(CodecConfig::Pcm(config), config.rtp_rate)?;
    let mut at = offset;
    while frames > 0 {
        let count = u32::try_from(frames).unwrap_or(u32::MAX).min(unit_frames);
        track.push(at, count * frame_bytes, count)?;
        at += u64::from(count * frame_bytes);
        frames -= u64::from(count);
    }
    track.finish(false)
}

/// The index, or the refusal that a header came to.
pub(super) fn index_described(
    config: Result<PcmConfig, SkipReason>,
    offset: u64,
    bytes: u64,
) -> Result<MediaIndex, IndexError> {
    match config {
        Ok(config) => index(config, offset, bytes),
        Err(SkipReason::Codec(name)) => Err(refuse_codec(name)),
        Err(reason) => Err(refuse(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::places;
    use super::*;

    #[test]
    fn samples_are_cut_into_units_of_whole_frames() {
        let description =
            Description { encoding: PcmEncoding::Signed24Little, sample_rate: 48_000, channels: 6 };
        let config = description.config().unwrap();
        let index = index(config, 44, 26 * 18 + 5 * 18 + 17).unwrap();
        assert_eq!(places(&index), [(44, 468, 0), (512, 90, 26)]);
        assert_eq!(index.duration.nanos(), 31 * 1_000_000_000 / 48_000);
    }

    #[test]
    fn refuses_what_it_cannot_cut() {
        let description =
            Description { encoding: PcmEncoding::Signed24Big, sample_rate: 8000, channels: 160 };
        let config = description.config().unwrap();
        for (sample_rate, channels) in [(0, 1), (8000, 0), (8000, 161), (8000, 1 << 20)] {
            assert!(Description { sample_rate, channels, ..description }.config().is_err());
        }
        let units = u64::from(UNITS_MAX) + 1;
        assert!(matches!(index(config, 0, 480 * units), Err(IndexError::TooLarge { .. })));
        assert!(matches!(index(config, 0, 479), Err(IndexError::NoPlayableTrack { .. })));
        assert_eq!(linear(4, true), Err(SkipReason::Codec("PCM of 32 bits".to_owned())));
    }
}
