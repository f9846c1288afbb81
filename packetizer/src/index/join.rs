//! Several files as one presentation: what a playlist is.
//!
//! Their bytes lie one behind the other in one space, each file's from a start of its own; whoever
//! reads finds the file by the offset. All else has one [`MediaIndex`] before it, as of one file.

use std::fmt;

use super::segments::EXTENT_GAP_BYTES_MAX;
use super::{AccessUnitEntry, BuildError, IndexBuilder, MediaIndex, SkippedTrack, Track};
use super::{TrackCue, TrackDescription, TrackId, TrackSet};
use crate::time::{ClockRate, Npt};
use crate::wrapping::{FileWrapping, Wrapping};

/// What the starts of joined files are multiples of, so that an offset is aligned in its file when
/// it is in the space that all share; no read wants more.
pub const FILE_ALIGNMENT: u64 = 64 << 10;

/// Where a file may start if those before it end at `end`: so far behind that no extent holds bytes
/// of two. `None` if there are no such offsets.
#[must_use]
pub const fn next_file_start(end: u64) -> Option<u64> {
    match end.checked_add(EXTENT_GAP_BYTES_MAX as u64 + 1) {
        Some(start) => start.checked_next_multiple_of(FILE_ALIGNMENT),
        None => None,
    }
}

/// Why a file cannot be joined to those before it, in words for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinError {
    /// It lasts no time.
    Empty,
    /// It has more or fewer tracks than the first.
    TrackCount {
        /// The first file's.
        expected: usize,
        /// Its own.
        found: usize,
    },
    /// A track has another codec than in the first.
    Codec {
        /// Which, from 1.
        track: usize,
        /// The first file's.
        expected: &'static str,
        /// Its own.
        found: &'static str,
    },
    /// A track has the same codec with other parameters: parameter sets, profile, channels.
    Parameters {
        /// Which, from 1.
        track: usize,
        /// Its codec.
        codec: &'static str,
    },
    /// A track's times are counted by another clock.
    MediaRate {
        /// Which, from 1.
        track: usize,
        /// The first file's.
        expected: ClockRate,
        /// Its own.
        found: ClockRate,
    },
    /// All together are more than an index holds.
    Build(BuildError),
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it lasts no time"),
            Self::TrackCount { expected, found } => {
                write!(f, "tracks that can be delivered: {found}, in the first file {expected}")
            }
            Self::Codec { track, expected, found } => {
                write!(f, "track {track} is {found}, in the first file {expected}")
            }
            Self::Parameters { track, codec } => {
                write!(f, "track {track}, {codec}, has other parameters than in the first file")
            }
            Self::MediaRate { track, expected, found } => write!(
                f,
                "track {track} has {} ticks a second, in the first file {}",
                found.ticks_per_second(),
                expected.ticks_per_second()
            ),
            Self::Build(error) => write!(f, "joined to those before it: {error}"),
        }
    }
}

impl std::error::Error for JoinError {}

impl From<BuildError> for JoinError {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

/// Joins files into one presentation. Each is played as it would be alone, from its start to its
/// end, and begins when the last track of the one before has ended, so that tracks stay in step.
#[derive(Debug, Default)]
pub struct Join {
    builder: IndexBuilder,
    tracks: Vec<JoinedTrack>,
    /// Length of the presentation so far, in nanoseconds.
    duration: i64,
    created: Option<u64>,
    skipped: Vec<SkippedTrack>,
}

#[derive(Debug)]
struct JoinedTrack {
    id: TrackId,
    /// As the first file has it.
    first: Track,
    /// When its last unit ends, so far; `None` without units.
    until: Option<Until>,
    wrappings: Vec<FileWrapping>,
}

/// Ends of decode and of composition times, in ticks of the presentation.
#[derive(Clone, Copy, Debug)]
struct Until {
    decode: i64,
    composition: i64,
}

impl Join {
    /// A join without files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a file whose bytes start at `start` in the space of bytes. A file may come several
    /// times, with the same start.
    ///
    /// # Errors
    /// [`JoinError`]; the join is then of no use.
    pub fn append(&mut self, file: &MediaIndex, start: u64) -> Result<(), JoinError> {
        if self.tracks.is_empty() {
            self.begin(file)?;
        }
        self.compare(file)?;
        let all = self.tracks.iter().fold(TrackSet::EMPTY, |set, track| set.with(track.id));
        let cue = file.cue(all, Npt::ZERO, None).ok_or(JoinError::Empty)?;
        let begins = self.tracks.iter().map(|track| track.earliest(file, &cue.tracks)).max();
        let begins = begins.unwrap_or(0).max(0);
        for cue in &cue.tracks {
            let Some(track) = self.tracks.get_mut(usize::from(cue.track.0)) else { continue };
            track.add_wrapping(start, &file.tracks);
            track.push_units(&mut self.builder, file, cue, (start, begins))?;
        }
        let duration = i64::try_from(file.duration.nanos()).unwrap_or(i64::MAX);
        self.duration = begins.saturating_add(duration);
        Ok(())
    }

    /// The index of all files together. What the container says besides is the first file's.
    ///
    /// # Errors
    /// [`JoinError::Empty`] without files.
    pub fn finish(self) -> Result<MediaIndex, JoinError> {
        if self.tracks.is_empty() {
            return Err(JoinError::Empty);
        }
        let mut builder = self.builder;
        for track in self.tracks {
            if track.wrappings.iter().any(|file| file.wrapping != Wrapping::None) {
                builder.set_wrapping(track.id, Wrapping::Joined(track.wrappings.into()));
            }
        }
        let mut index = builder.finish(Npt::from_nanos(self.duration.unsigned_abs()));
        index.created = self.created;
        index.skipped = self.skipped;
        Ok(index)
    }

    /// Takes the tracks of the first file.
    fn begin(&mut self, file: &MediaIndex) -> Result<(), JoinError> {
        for track in &file.tracks {
            // Units of wrapped tracks tell how much of them is media; in which files is known last.
            let is_wrapped = track.wrapping != Wrapping::None;
            let wrapping = is_wrapped.then(|| Wrapping::Joined([].into()));
            let id = self.builder.add_track(TrackDescription {
                language: track.language,
                wrapping: wrapping.unwrap_or_default(),
                ..TrackDescription::new(track.container_id, track.codec.clone(), track.media_rate)
            })?;
            let (first, wrappings) = (track.clone(), Vec::new());
            self.tracks.push(JoinedTrack { id, first, until: None, wrappings });
        }
        self.created = file.created;
        self.skipped.clone_from(&file.skipped);
        Ok(())
    }

    /// Whether the file has the first one's tracks.
    fn compare(&self, file: &MediaIndex) -> Result<(), JoinError> {
        let (expected, found) = (self.tracks.len(), file.tracks.len());
        if expected != found {
            return Err(JoinError::TrackCount { expected, found });
        }
        let pairs = self.tracks.iter().map(|track| &track.first).zip(&file.tracks);
        for (track, (first, other)) in (1..).zip(pairs) {
            let (expected, found) = (first.codec.name(), other.codec.name());
            if expected != found {
                return Err(JoinError::Codec { track, expected, found });
            }
            if first.codec != other.codec {
                return Err(JoinError::Parameters { track, codec: found });
            }
            let (expected, found) = (first.media_rate, other.media_rate);
            if expected != found {
                return Err(JoinError::MediaRate { track, expected, found });
            }
        }
        Ok(())
    }
}

impl JoinedTrack {
    /// The earliest time, in nanoseconds, at which the file may begin so that what it has of this
    /// track comes after what there is. What is decoded or heard before the file's beginning
    /// (priming, pictures that are reordered) must have its time as well.
    fn earliest(&self, file: &MediaIndex, cues: &[TrackCue]) -> i64 {
        let Some(until) = self.until else { return 0 };
        let first = cues.iter().find(|cue| cue.track == self.id && cue.first_unit < cue.end_unit);
        let first = first.and_then(|cue| file.unit(self.id, cue.first_unit));
        let (decode, composition) = first.map_or((0, 0), |unit| (unit.decode, unit.composition));
        let decode = until.decode.saturating_sub(decode.min(0));
        let composition = until.composition.saturating_sub(composition.min(0));
        self.first.media_rate.nanos_ceil(decode.max(composition))
    }

    fn add_wrapping(&mut self, start: u64, tracks: &[Track]) {
        let Some(track) = tracks.get(usize::from(self.id.0)) else { return };
        if let Err(at) = self.wrappings.binary_search_by_key(&start, |file| file.start) {
            let wrapping = track.wrapping.clone();
            self.wrappings.insert(at, FileWrapping { start, wrapping });
        }
    }

    /// Pushes what `cue` has of the file's units, whose bytes start at `start` and whose time 0 is
    /// `begins` nanoseconds of the presentation.
    fn push_units(
        &mut self,
        builder: &mut IndexBuilder,
        file: &MediaIndex,
        cue: &TrackCue,
        (start, begins): (u64, i64),
    ) -> Result<(), JoinError> {
        let Some((units, rate)) = file.track(cue.track) else { return Ok(()) };
        // Not before `begins` for the track whose end that is, since that was rounded up.
        let later = rate.ticks_floor(begins);
        let sent = units.range(cue.first_unit, cue.end_unit);
        for unit in sent.filter(|unit| unit.composition >= cue.composition_min) {
            let AccessUnitEntry { duration, .. } = unit;
            let offset = start.checked_add(unit.offset).ok_or(BuildError::UnitTooLarge)?;
            let decode = unit.decode.saturating_add(later);
            let composition = unit.composition.saturating_add(later);
            let entry = AccessUnitEntry { offset, decode, composition, ..unit };
            builder.push_unit(self.id, entry)?;
            let end = |time: i64| time.saturating_add(i64::from(duration));
            let before = self.until.map_or(i64::MIN, |until| until.composition);
            let composition = end(composition).max(before);
            self.until = Some(Until { decode: end(decode), composition });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{AUDIO, VIDEO, audio_description, both, title, video_description};
    use super::super::{Extent, SegmentId};
    use super::*;
    use crate::codec::CodecConfig;
    use crate::codec::aac::AacConfig;
    use crate::wrapping::ogg::Serial;

    /// 20 s each: 500 pictures, of which the two behind the first are not to be shown, and 938
    /// units of sound, whose last ends at 959,488 of 48,000 a second; a file's first is priming.
    const SECONDS: u32 = 20;
    const PICTURES: u32 = 498;
    const SOUNDS: u32 = 938;

    fn joined(files: &[(&MediaIndex, u64)]) -> MediaIndex {
        let mut join = Join::new();
        for (file, start) in files {
            join.append(file, *start).unwrap();
        }
        join.finish().unwrap()
    }

    #[test]
    fn each_file_begins_when_all_tracks_of_the_one_before_have_ended() {
        let file = title(SECONDS, 8000);
        let start = next_file_start(1 << 30).unwrap();
        let index = joined(&[(&file, 0), (&file, start), (&file, 0)]);
        assert_eq!((index.tracks[0].unit_count, index.tracks[1].unit_count), (1494, 2814));
        // The sound of a file, its priming included, begins where that before ends, to the tick:
        // 959,488 + 1,024. Pictures come with it: 12,800 ticks a second, rounded down.
        for (part, sound, picture) in [(0, 0, 0), (1, 960_512, 256_136), (2, 1_921_024, 512_273)] {
            let first = index.unit(AUDIO, part * SOUNDS).unwrap();
            assert_eq!(first.decode, sound - 1024, "file {part}");
            let last = index.unit(AUDIO, part * SOUNDS + SOUNDS - 1).unwrap();
            assert_eq!(last.decode + i64::from(last.duration), sound + 959_488, "file {part}");
            let first = index.unit(VIDEO, part * PICTURES).unwrap();
            let expected = (picture - 2 * 512, picture, true);
            assert_eq!((first.decode, first.composition, first.sync), expected, "file {part}");
            let offset = if part == 1 { start } else { 0 };
            assert_eq!(first.offset, offset + 48, "file {part}");
        }
        assert_eq!(index.duration, Npt::from_nanos(40_021_333_334 + 20_000_000_000));
    }

    #[test]
    fn units_are_those_of_the_files_one_after_another() {
        let file = title(SECONDS, 8000);
        let start = next_file_start(1 << 30).unwrap();
        let index = joined(&[(&file, 0), (&file, start)]);
        for (track, count, dropped) in [(VIDEO, PICTURES, 2), (AUDIO, SOUNDS, 0)] {
            let rate = index.tracks[usize::from(track.0)].media_rate;
            for (first, base, begins) in [(0, 0, 0), (count, start, 20_010_666_667)] {
                for at in 0..count {
                    let unit = index.unit(track, first + at).unwrap();
                    let alone = file.unit(track, if at == 0 { 0 } else { at + dropped }).unwrap();
                    let later = rate.ticks_floor(begins);
                    let expected = (alone.offset + base, alone.bytes, alone.sync);
                    assert_eq!((unit.offset, unit.bytes, unit.sync), expected, "{track:?} {at}");
                    let expected = (alone.decode + later, alone.composition + later);
                    assert_eq!((unit.decode, unit.composition), expected, "{track:?} {at}");
                }
            }
        }
    }

    #[test]
    fn a_seek_into_a_file_begins_at_its_sync_sample() {
        let file = title(SECONDS, 8000);
        let start = next_file_start(1 << 30).unwrap();
        let index = joined(&[(&file, 0), (&file, start)]);
        for (seconds, first) in [(19, 432 - 2), (21, PICTURES), (22, PICTURES + 48 - 2)] {
            let at = Npt::from_nanos(seconds * 1_000_000_000 + 10_000_000);
            let cue = index.cue(both(), at, None).unwrap();
            assert_eq!(cue.tracks[0].first_unit, first, "{seconds} s");
            assert!(cue.start <= at && index.unit(VIDEO, first).unwrap().sync);
            assert_eq!(cue.tracks[0].end_unit, 2 * PICTURES);
        }
    }

    #[test]
    fn a_read_holds_bytes_of_one_file() {
        // The second file starts as near as it may to the first one's last unit.
        let file = title(SECONDS, 800);
        let end = |track, count| {
            let last = file.unit(track, count - 1).unwrap();
            last.offset + u64::from(last.bytes)
        };
        let end = end(VIDEO, 500).max(end(AUDIO, SOUNDS));
        let start = next_file_start(end).unwrap();
        assert!(start.is_multiple_of(FILE_ALIGNMENT) && start - end > 64 << 10);
        let index = joined(&[(&file, 0), (&file, start)]);
        let (mut together, mut both_files) = (Vec::new(), 0);
        let mut seen = 0;
        for segment in (0..index.segment_count()).map(SegmentId) {
            index.extents(segment, both(), &mut together);
            let is_first = |extent: &Extent| extent.offset + u64::from(extent.bytes) <= end;
            assert!(together.iter().all(|extent| is_first(extent) || extent.offset >= start));
            both_files +=
                u32::from(together.iter().any(is_first) && !together.iter().all(is_first));
            seen += index.units(VIDEO, segment).count() + index.units(AUDIO, segment).count();
        }
        assert_eq!((seen, both_files), (2 * (PICTURES + SOUNDS) as usize, 1), "one has the join");
        assert_eq!(next_file_start(u64::MAX - 1000), None);
    }

    /// One track of a second: `codec` by `rate`, its units from `first` on.
    fn sound(rate: u32, config: [u8; 2], first: i64, wrapping: Wrapping) -> MediaIndex {
        let codec = CodecConfig::Aac(AacConfig::parse(&config).unwrap());
        let media_rate = ClockRate::new(rate).unwrap();
        let description = TrackDescription::new(1, codec, media_rate);
        let mut builder = IndexBuilder::new();
        let track = builder.add_track(TrackDescription { wrapping, ..description }).unwrap();
        for unit in 0..10 {
            let (time, duration) = (first + i64::from(unit * rate / 10), rate / 10);
            builder.push(track, u64::from(unit), 1, time, time, duration, true).unwrap();
        }
        builder.finish(Npt::from_nanos(1_000_000_000))
    }

    const STEREO: [u8; 2] = [0x11, 0x90];
    const MONO: [u8; 2] = [0x11, 0x88];

    #[test]
    fn files_that_differ_are_refused_by_what_differs() {
        let one_track = |description: TrackDescription, units| {
            let mut builder = IndexBuilder::new();
            let track = builder.add_track(description).unwrap();
            for unit in 0..units {
                builder.push(track, 0, 1, unit, unit, 1, true).unwrap();
            }
            builder.finish(Npt::from_nanos(units.unsigned_abs() * 1_000_000))
        };
        let stereo = || sound(48_000, STEREO, 0, Wrapping::None);
        for (first, second, expected) in [
            (title(1, 10), stereo(), "tracks that can be delivered: 1, in the first file 2"),
            (
                stereo(),
                one_track(video_description(), 9),
                "track 1 is H.264, in the first file AAC",
            ),
            (
                stereo(),
                sound(48_000, MONO, 0, Wrapping::None),
                "track 1, AAC, has other parameters than in the first file",
            ),
            (
                stereo(),
                sound(44_100, STEREO, 0, Wrapping::None),
                "track 1 has 44100 ticks a second, in the first file 48000",
            ),
            (
                stereo(),
                one_track(audio_description(), 0),
                "tracks that can be delivered: 0, in the first file 1",
            ),
        ] {
            let mut join = Join::new();
            join.append(&first, 0).unwrap();
            assert_eq!(join.append(&second, 0).unwrap_err().to_string(), expected);
        }
        let mut untimed = stereo();
        untimed.duration = Npt::ZERO;
        assert_eq!(Join::new().append(&untimed, 0), Err(JoinError::Empty));
        assert_eq!(Join::new().append(&stereo(), u64::MAX), Err(BuildError::UnitTooLarge.into()));
        assert_eq!(Join::new().finish().unwrap_err(), JoinError::Empty);
    }

    #[test]
    fn what_an_edit_list_cut_off_is_not_joined() {
        // Cut off are three seconds of the sound, more than any decoder's priming.
        let cut = || {
            let mut cut = sound(48_000, STEREO, -3 * 48_000, Wrapping::None);
            let later = sound(48_000, STEREO, 0, Wrapping::None);
            let mut builder = IndexBuilder::new();
            let track = &later.tracks[0];
            let description = TrackDescription::new(1, track.codec.clone(), track.media_rate);
            let id = builder.add_track(description).unwrap();
            for unit in [&cut, &later].into_iter().flat_map(|part| part.units(id, SegmentId(0))) {
                let AccessUnitEntry { offset, bytes, decode, composition, .. } = unit;
                builder.push(id, offset, bytes, decode, composition, 4800, true).unwrap();
            }
            cut = builder.finish(Npt::from_nanos(1_000_000_000));
            cut
        };
        let index = joined(&[(&cut(), 0), (&cut(), 1 << 20)]);
        let times: Vec<_> = (0..20).map(|unit| index.unit(VIDEO, unit).unwrap().decode).collect();
        assert_eq!(times, (0..20).map(|unit| unit * 4800).collect::<Vec<_>>());
        assert_eq!(index.tracks[0].unit_count, 20);
        assert_eq!(index.duration, Npt::from_nanos(2_000_000_000));
    }

    #[test]
    fn each_file_has_a_wrapping_of_its_own() {
        let file = |wrapping| sound(48_000, STEREO, 0, wrapping);
        let wrapped = |serial| Wrapping::Ogg(Serial(serial));
        let plain = joined(&[(&file(Wrapping::None), 0), (&file(Wrapping::None), 99)]);
        assert_eq!(plain.tracks[0].wrapping, Wrapping::None);
        let (one, two, none) = (file(wrapped(1)), file(wrapped(2)), file(Wrapping::None));
        let index = joined(&[(&one, 0), (&two, 100), (&one, 0), (&none, 200)]);
        let files = [(0, wrapped(1)), (100, wrapped(2)), (200, Wrapping::None)];
        let files = files.map(|(start, wrapping)| FileWrapping { start, wrapping });
        assert_eq!(index.tracks[0].wrapping, Wrapping::Joined(files.into()));
    }
}
