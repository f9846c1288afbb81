//! Files with one track whose access units follow each other without gaps.

use super::IndexError;
use crate::codec::CodecConfig;
use crate::index::{
    AccessUnitEntry, BuildError, IndexBuilder, MediaIndex, SkipReason, SkippedTrack,
    TrackDescription, TrackId, UNIT_BYTES_MAX, UNITS_MAX,
};
use crate::time::{ClockRate, Npt};
use crate::wrapping::Wrapping;

/// The number of the track where the format has none.
const CONTAINER_ID: u32 = 1;

/// The index of a file with one track, in the making.
#[derive(Debug)]
pub(super) struct SoleTrack {
    builder: IndexBuilder,
    track: TrackId,
    /// Ticks of the media rate at which the next unit begins.
    position: i64,
    unit_count: u32,
}

impl SoleTrack {
    /// Before its first unit, which begins at 0 in ticks of `media_rate`.
    pub(super) fn new(codec: CodecConfig, media_rate: ClockRate) -> Result<Self, IndexError> {
        Self::wrapped(codec, media_rate, Wrapping::None)
    }

    /// The same with units that lie in the file like this.
    pub(super) fn wrapped(
        codec: CodecConfig,
        media_rate: ClockRate,
        wrapping: Wrapping,
    ) -> Result<Self, IndexError> {
        let mut builder = IndexBuilder::new();
        let description =
            TrackDescription { wrapping, ..TrackDescription::new(CONTAINER_ID, codec, media_rate) };
        let track = builder.add_track(description).map_err(refusal)?;
        Ok(Self { builder, track, position: 0, unit_count: 0 })
    }

    /// Appends an access unit of sound that lasts `duration` ticks.
    pub(super) fn push(
        &mut self,
        offset: u64,
        bytes: u32,
        duration: u32,
    ) -> Result<(), IndexError> {
        self.push_at(offset, bytes, self.position, duration, true)
    }

    /// The same of one with so many bytes of its own.
    pub(super) fn push_wrapped(
        &mut self,
        offset: u64,
        bytes: u32,
        media_bytes: u32,
        duration: u32,
    ) -> Result<(), IndexError> {
        let (decode, composition) = (self.position, self.position);
        let (index, sync) = (0, true);
        let unit = AccessUnitEntry {
            index,
            offset,
            bytes,
            media_bytes,
            decode,
            composition,
            duration,
            sync,
        };
        self.builder.push_unit(self.track, unit).map_err(refusal)?;
        self.position = self.position.saturating_add(i64::from(duration));
        self.unit_count += 1;
        Ok(())
    }

    /// Appends an access unit that begins at `position` and, if it is the last, lasts `duration`
    /// ticks.
    pub(super) fn push_at(
        &mut self,
        offset: u64,
        bytes: u32,
        position: i64,
        duration: u32,
        sync: bool,
    ) -> Result<(), IndexError> {
        self.builder
            .push(self.track, offset, bytes, position, position, duration, sync)
            .map_err(refusal)?;
        self.position = position.saturating_add(i64::from(duration));
        self.unit_count += 1;
        Ok(())
    }

    /// The index; `is_cut_short` says that the file ends inside a further unit.
    pub(super) fn finish(self, is_cut_short: bool) -> Result<MediaIndex, IndexError> {
        let kept = self.unit_count;
        let end = self.builder.composition_end(self.track).unwrap_or(0);
        if kept == 0 {
            let reason = match is_cut_short {
                true => SkipReason::Truncated { kept: 0, declared: 1 },
                false => SkipReason::Empty,
            };
            return Err(refuse(reason));
        }
        let mut index = self.builder.finish(Npt::from_nanos(end.max(0).unsigned_abs()));
        if is_cut_short {
            let reason = SkipReason::Truncated { kept, declared: kept.saturating_add(1) };
            index.skipped.push(SkippedTrack { container_id: CONTAINER_ID, reason });
        }
        Ok(index)
    }
}

/// Says that a file's one track cannot be delivered.
pub(super) fn refuse(reason: SkipReason) -> IndexError {
    let track = SkippedTrack { container_id: CONTAINER_ID, reason };
    IndexError::NoPlayableTrack { tracks: vec![track] }
}

/// Says that a file's one track is of a codec that is not delivered.
pub(super) fn refuse_codec(name: impl Into<String>) -> IndexError {
    refuse(SkipReason::Codec(name.into()))
}

/// What an index that cannot be built means for a file.
pub(super) fn refusal(error: BuildError) -> IndexError {
    match error {
        BuildError::TooManyUnits => {
            IndexError::TooLarge { what: "access units", limit: u64::from(UNITS_MAX) }
        }
        BuildError::UnitTooLarge => IndexError::TooLarge {
            what: "bytes of an access unit",
            limit: u64::from(UNIT_BYTES_MAX),
        },
        BuildError::TooManyTracks => refuse(SkipReason::TooManyTracks),
        BuildError::DecodeOrder | BuildError::UnknownTrack => {
            refuse(SkipReason::Broken("its times are out of order"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::amr::AmrConfig;

    fn track() -> SoleTrack {
        let config = AmrConfig { is_wideband: false };
        SoleTrack::new(CodecConfig::Amr(config), config.rtp_rate()).unwrap()
    }

    #[test]
    fn units_follow_each_other() {
        let mut track = track();
        track.push(10, 5, 160).unwrap();
        track.push(15, 7, 160).unwrap();
        let index = track.finish(true).unwrap();
        let last = index.unit(TrackId(0), 1).unwrap();
        assert_eq!((last.offset, last.bytes, last.decode, last.sync), (15, 7, 160, true));
        assert_eq!(index.duration.nanos(), 40_000_000);
        let reason = SkipReason::Truncated { kept: 2, declared: 3 };
        assert_eq!(index.skipped, [SkippedTrack { container_id: 1, reason }]);
    }

    #[test]
    fn nothing_is_no_track() {
        assert_eq!(track().finish(false).unwrap_err(), refuse(SkipReason::Empty));
        let too_large = track().push(0, UNIT_BYTES_MAX + 1, 1).unwrap_err();
        assert!(matches!(too_large, IndexError::TooLarge { .. }));
    }
}
