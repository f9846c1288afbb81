//! Builds a [`MediaIndex`] from tracks and their units in decode order.

use std::fmt;

use super::segments::cut_segments;
use super::units::Units;
use super::{AccessUnitEntry, MediaIndex, TRACKS_MAX, Track, TrackId, UNIT_BYTES_MAX, UNITS_MAX};
use crate::codec::CodecConfig;
use crate::time::{ClockRate, NANOS_PER_SECOND, Npt};
use crate::wrapping::Wrapping;

/// What a container says of a track, apart from its units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackDescription {
    /// See [`Track::container_id`].
    pub container_id: u32,
    /// See [`Track::codec`].
    pub codec: CodecConfig,
    /// See [`Track::media_rate`].
    pub media_rate: ClockRate,
    /// See [`Track::language`].
    pub language: Option<[u8; 3]>,
    /// See [`Track::wrapping`].
    pub wrapping: Wrapping,
}

impl TrackDescription {
    /// A track of no known language, whose units lie in the file as they are.
    #[must_use]
    pub const fn new(container_id: u32, codec: CodecConfig, media_rate: ClockRate) -> Self {
        Self { container_id, codec, media_rate, language: None, wrapping: Wrapping::None }
    }
}

/// Why the index refuses a track or a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// More tracks than [`TRACKS_MAX`].
    TooManyTracks,
    /// More units than [`UNITS_MAX`].
    TooManyUnits,
    /// A unit of more than [`UNIT_BYTES_MAX`] bytes, or beyond the largest file offset.
    UnitTooLarge,
    /// A decode time before the previous unit's, or more than `u32::MAX` ticks after it.
    DecodeOrder,
    /// No such track was added.
    UnknownTrack,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyTracks => write!(f, "more than {TRACKS_MAX} tracks"),
            Self::TooManyUnits => write!(f, "more than {UNITS_MAX} access units"),
            Self::UnitTooLarge => write!(f, "an access unit of more than {UNIT_BYTES_MAX} bytes"),
            Self::DecodeOrder => f.write_str("decode times out of order"),
            Self::UnknownTrack => f.write_str("an access unit of an unknown track"),
        }
    }
}

impl std::error::Error for BuildError {}

/// Builds a [`MediaIndex`]: tracks, then their units, each track's in decode order.
#[derive(Debug, Default)]
pub struct IndexBuilder {
    tracks: Vec<(TrackDescription, Units, Option<AccessUnitEntry>)>,
    unit_count: u32,
}

impl IndexBuilder {
    /// A builder without tracks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a track; video comes before audio by the order of the calls.
    ///
    /// # Errors
    /// [`BuildError::TooManyTracks`].
    pub fn add_track(&mut self, track: TrackDescription) -> Result<TrackId, BuildError> {
        if self.tracks.len() >= TRACKS_MAX {
            return Err(BuildError::TooManyTracks);
        }
        let id = u8::try_from(self.tracks.len()).map_err(|_| BuildError::TooManyTracks)?;
        let units = Units::new(&track.wrapping);
        self.tracks.push((track, units, None));
        Ok(TrackId(id))
    }

    /// Says how the units of `track` lie in the file, where that is known only in the end.
    pub(super) fn set_wrapping(&mut self, track: TrackId, wrapping: Wrapping) {
        if let Some((description, ..)) = self.tracks.get_mut(usize::from(track.0)) {
            description.wrapping = wrapping;
        }
    }

    /// The same, and what its packets are.
    pub(crate) fn set_planned(&mut self, track: TrackId, codec: CodecConfig, wrapping: Wrapping) {
        if let Some((description, ..)) = self.tracks.get_mut(usize::from(track.0)) {
            (description.codec, description.wrapping) = (codec, wrapping);
        }
    }

    /// Appends the next unit of `track` in decode order; times are ticks of the track's media rate
    /// on the presentation's axis. `duration` counts for a track's last unit only: the others last
    /// until the next one's decode time. All its bytes are media.
    ///
    /// # Errors
    /// See [`BuildError`]; a refused unit leaves the builder as it was.
    #[allow(clippy::too_many_arguments, reason = "the fields of an access unit, in their order")]
    pub fn push(
        &mut self,
        track: TrackId,
        offset: u64,
        bytes: u32,
        decode: i64,
        composition: i64,
        duration: u32,
        sync: bool,
    ) -> Result<(), BuildError> {
        let (index, media_bytes) = (0, bytes);
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
        self.push_unit(track, unit)
    }

    /// The same with bytes in between that are the container's. The unit's index is not looked at,
    /// nor are its bytes of media where the track's wrapping tells them.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_unit(&mut self, track: TrackId, unit: AccessUnitEntry) -> Result<(), BuildError> {
        let AccessUnitEntry { offset, bytes, decode, .. } = unit;
        let (_, units, pending) =
            self.tracks.get_mut(usize::from(track.0)).ok_or(BuildError::UnknownTrack)?;
        if bytes > UNIT_BYTES_MAX || offset.checked_add(u64::from(bytes)).is_none() {
            return Err(BuildError::UnitTooLarge);
        }
        if self.unit_count >= UNITS_MAX {
            return Err(BuildError::TooManyUnits);
        }
        if let Some(mut previous) = *pending {
            let elapsed = decode.checked_sub(previous.decode).ok_or(BuildError::DecodeOrder)?;
            previous.duration = u32::try_from(elapsed).map_err(|_| BuildError::DecodeOrder)?;
            units.push(&previous);
        }
        *pending = Some(AccessUnitEntry { index: units.count(), ..unit });
        self.unit_count += 1;
        Ok(())
    }

    /// The latest end of a composition of `track`, in nanoseconds of normal play time; `None`
    /// without units.
    #[must_use]
    pub fn composition_end(&self, track: TrackId) -> Option<i64> {
        let (description, units, pending) = self.tracks.get(usize::from(track.0))?;
        let pending = (*pending)?;
        let end = pending.composition.saturating_add(i64::from(pending.duration));
        let end = if units.count() == 0 { end } else { end.max(units.composition_end()) };
        Some(description.media_rate.nanos_floor(end))
    }

    /// Cuts the segments and yields the index of a presentation of this duration, or where that is
    /// none, of as long as its units take. Tracks without units are left out.
    #[must_use]
    pub fn finish(self, duration: Npt) -> MediaIndex {
        let duration = if duration == Npt::ZERO { self.duration() } else { duration };
        let mut tracks = Vec::with_capacity(self.tracks.len());
        let mut all_units = Vec::with_capacity(self.tracks.len());
        for (description, mut units, pending) in self.tracks {
            let Some(last) = pending else { continue };
            units.push(&last);
            units.shrink();
            tracks.push(describe(description, &units));
            all_units.push(units);
        }
        let (segments, segment_count) = cut_segments(&tracks, &all_units);
        MediaIndex {
            tracks,
            duration,
            created: None,
            skipped: Vec::new(),
            units: all_units,
            segments,
            segment_count,
        }
    }
}

/// How long a picture is shown of which nothing says how long.
const PICTURE: Npt = Npt::from_nanos(NANOS_PER_SECOND.unsigned_abs() / 25);

impl IndexBuilder {
    /// Until the end of the last composition; never none at all, which would leave nothing to play.
    fn duration(&self) -> Npt {
        let tracks = (0..self.tracks.len()).filter_map(|track| u8::try_from(track).ok());
        let ends = tracks.filter_map(|track| self.composition_end(TrackId(track)));
        let end = ends.max().and_then(|end| u64::try_from(end).ok()).filter(|end| *end > 0);
        end.map_or(PICTURE, Npt::from_nanos)
    }
}

fn describe(description: TrackDescription, units: &Units) -> Track {
    let rate = description.media_rate;
    let first = units.get(0).map_or(0, |unit| unit.decode);
    let nanos = rate.nanos_floor(units.composition_end().saturating_sub(first)).max(1);
    let bits_per_nano = i128::from(units.total_bytes()) * 8 * i128::from(NANOS_PER_SECOND);
    Track {
        container_id: description.container_id,
        codec: description.codec,
        media_rate: rate,
        language: description.language,
        wrapping: description.wrapping,
        unit_count: units.count(),
        bits_per_second: u64::try_from(bits_per_nano / i128::from(nanos)).unwrap_or(u64::MAX),
        unit_bytes_max: units.unit_bytes_max(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::TrackSet;
    use super::super::fixture::{AUDIO, VIDEO, audio_description, title, video_description};
    use super::*;

    #[test]
    fn a_presentation_lasts_as_long_as_its_units_if_nothing_says_how_long() {
        for (told, unit_ticks, expected_millis) in [(0, 0, 40), (0, 128, 10), (7, 128, 7)] {
            let mut builder = IndexBuilder::new();
            let video = builder.add_track(video_description()).unwrap();
            builder.push(video, 0, 100, 0, 0, unit_ticks, true).unwrap();
            let index = builder.finish(Npt::from_nanos(told * 1_000_000));
            let millis = index.duration.nanos() / 1_000_000;
            assert_eq!(millis, expected_millis, "{told} ms told, {unit_ticks} ticks");
            let tracks = TrackSet::EMPTY.with(video);
            assert!(index.cue(tracks, Npt::ZERO, None).is_some(), "playable from its start");
        }
    }

    #[test]
    fn describes_its_tracks() {
        let index = title(10, 5000);
        let [video, audio] = &index.tracks[..] else { panic!("two tracks") };
        assert_eq!((video.unit_count, video.unit_bytes_max), (250, 5000));
        // The last composition ends two pictures past 10 s of decode time, less the edit.
        assert!(
            (990_000..=1_000_000).contains(&video.bits_per_second),
            "{}",
            video.bits_per_second
        );
        assert_eq!((audio.container_id, audio.language), (2, Some(*b"deu")));
        assert_eq!(index.unit(VIDEO, 250), None);
        assert_eq!(index.unit(AUDIO, 0).map(|unit| unit.composition), Some(-1024));
    }

    #[test]
    fn takes_durations_from_decode_times() {
        let mut builder = IndexBuilder::new();
        let track = builder.add_track(video_description()).unwrap();
        builder.push(track, 0, 1, 0, 0, 512, true).unwrap();
        builder.push(track, 1, 1, 700, 700, 512, true).unwrap();
        assert_eq!(builder.composition_end(track), Some(1212 * 1_000_000_000 / 12_800));
        let index = builder.finish(Npt::ZERO);
        let durations: Vec<_> = (0..2).map(|at| index.unit(track, at).unwrap().duration).collect();
        assert_eq!(durations, [700, 512]);
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let mut builder = IndexBuilder::new();
        let track = builder.add_track(audio_description()).unwrap();
        let mut push = |track, offset, bytes, decode| {
            builder.push(track, offset, bytes, decode, decode, 1024, true)
        };
        assert_eq!(push(track, 0, 1, 10), Ok(()));
        assert_eq!(push(track, 0, 1, 9), Err(BuildError::DecodeOrder));
        assert_eq!(push(track, 0, 1, 11 + i64::from(u32::MAX)), Err(BuildError::DecodeOrder));
        assert_eq!(push(track, 0, UNIT_BYTES_MAX + 1, 11), Err(BuildError::UnitTooLarge));
        assert_eq!(push(track, u64::MAX, 1, 11), Err(BuildError::UnitTooLarge));
        assert_eq!(push(TrackId(1), 0, 1, 11), Err(BuildError::UnknownTrack));
        assert_eq!(push(track, 0, 1, 10), Ok(()));
        for _ in 1..TRACKS_MAX {
            builder.add_track(audio_description()).unwrap();
        }
        assert_eq!(builder.add_track(audio_description()), Err(BuildError::TooManyTracks));
    }
}
