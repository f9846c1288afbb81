//! The index of a title: which access units its tracks have, when, and where their bytes lie.
//!
//! All times a [`MediaIndex`] gives are on the presentation's axis: the edit list is applied, tick
//! 0 is normal play time 0, and what an edit list cut off in front has negative times.

mod builder;
mod cue;
#[cfg(test)]
mod fixture;
mod join;
mod reservoir;
mod segments;
mod skim;
mod units;

use std::fmt;

pub use builder::{BuildError, IndexBuilder, TrackDescription};
pub use cue::SeekPoint;
pub use join::{FILE_ALIGNMENT, Join, JoinError, next_file_start};
pub use segments::{EXTENT_BYTES_MAX, EXTENT_GAP_BYTES_MAX};
pub use segments::{SEGMENT_BYTES_MAX, SEGMENT_NANOS_MAX, SegmentStart};
pub use skim::Direction;

use crate::codec::CodecConfig;
use crate::time::{ClockRate, Npt};
use crate::wrapping::Wrapping;
use segments::Segments;
use units::Units;

/// Most tracks of a title: what a [`TrackSet`] holds.
pub const TRACKS_MAX: usize = 32;
/// Most access units of a title, all tracks together: about 64 hours of video and one audio track.
pub const UNITS_MAX: u32 = 1 << 24;
/// Most bytes of an access unit.
pub const UNIT_BYTES_MAX: u32 = 64 << 20;

/// Position of a track in [`MediaIndex::tracks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u8);

/// A set of tracks of one title, as a bit mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackSet(u32);

impl TrackSet {
    /// The set without tracks.
    pub const EMPTY: Self = Self(0);

    /// This set and `track`.
    #[must_use]
    pub const fn with(self, track: TrackId) -> Self {
        Self(self.0 | 1 << track.0)
    }

    /// Whether `track` is in the set.
    #[must_use]
    pub const fn contains(self, track: TrackId) -> bool {
        self.0 & (1 << track.0) != 0
    }

    /// Whether no track is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The tracks, lowest first.
    pub fn iter(self) -> impl Iterator<Item = TrackId> {
        (0..32).map(TrackId).filter(move |track| self.contains(*track))
    }
}

impl FromIterator<TrackId> for TrackSet {
    fn from_iter<T: IntoIterator<Item = TrackId>>(tracks: T) -> Self {
        tracks.into_iter().fold(Self::EMPTY, Self::with)
    }
}

/// A stretch of a title, the same for all its tracks, that is read and laid out at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub u32);

/// One timed sequence of the container that reelring can deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// The container's own number for the track (`tkhd` track_ID in ISO 14496-12 §8.3.2).
    pub container_id: u32,
    /// What SDP and the payload format need to know of the codec.
    pub codec: CodecConfig,
    /// The clock of the unit times below: the container's time scale for this track.
    pub media_rate: ClockRate,
    /// ISO 639-2/T language, if the container names one other than `und`.
    pub language: Option<[u8; 3]>,
    /// How the access units lie in the file.
    pub wrapping: Wrapping,
    /// Number of access units.
    pub unit_count: u32,
    /// Average bit rate of the media bytes over the track's duration.
    pub bits_per_second: u64,
    /// Bytes of media of the largest access unit.
    pub unit_bytes_max: u32,
}

/// One access unit: when it is due, when it is shown, where its bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessUnitEntry {
    /// Position in decode order, from 0.
    pub index: u32,
    /// Offset of the first byte in the container file.
    pub offset: u64,
    /// Length in bytes; may be 0.
    pub bytes: u32,
    /// Bytes of media that they are without what the container puts in between, and with what it
    /// has once for all units (see [`Track::wrapping`]): what the unit takes in an image.
    pub media_bytes: u32,
    /// Decode time in ticks of [`Track::media_rate`]; may be negative.
    pub decode: i64,
    /// Composition time in ticks of [`Track::media_rate`]; may be negative.
    pub composition: i64,
    /// Ticks to the next unit's decode time.
    pub duration: u32,
    /// Whether decoding may start here (sync sample).
    pub sync: bool,
}

/// A run of bytes in the container file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// First byte.
    pub offset: u64,
    /// Length; never zero.
    pub bytes: u32,
}

/// Where a range begins and ends in one track, in decode order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackCue {
    /// The track.
    pub track: TrackId,
    /// First unit to send.
    pub first_unit: u32,
    /// One past the last unit to send; equals `first_unit` when the range holds none.
    pub end_unit: u32,
    /// Units whose composition time (ticks of the media rate) is lower are not sent: leading
    /// pictures that need what came before the cue.
    pub composition_min: i64,
}

/// Index positions of a seek.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cue {
    /// Where play really starts: at or before what was asked.
    pub start: Npt,
    /// Where it ends.
    pub end: Npt,
    /// The tracks' positions, in the order of the [`TrackSet`].
    pub tracks: Vec<TrackCue>,
}

/// What a container yields: the tracks and, in a few bytes an access unit, all their units.
///
/// Holds at most [`TRACKS_MAX`] tracks and [`UNITS_MAX`] units. An ordinary title costs 3 to 6
/// bytes a unit, segments included; a test holds a ten-hour one below 8.
#[derive(Clone, Debug)]
pub struct MediaIndex {
    /// The tracks reelring can deliver, in the container's order, video first.
    pub tracks: Vec<Track>,
    /// Length of the presentation.
    pub duration: Npt,
    /// When the container says that it was made: seconds from 1970.
    pub created: Option<u64>,
    /// What the container holds besides, and why it is left out.
    pub skipped: Vec<SkippedTrack>,
    units: Vec<Units>,
    segments: Vec<Segments>,
    segment_count: u32,
}

impl MediaIndex {
    /// Memory the index takes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.tracks.capacity() * size_of::<Track>()
            + self.units.iter().map(Units::memory_bytes).sum::<usize>()
            + self.segments.capacity() * size_of::<Segments>()
            + self.segments.iter().map(|segments| segments.starts.capacity()).sum::<usize>()
                * size_of::<SegmentStart>()
    }

    /// Bytes of media of all units of a track.
    #[must_use]
    pub fn track_bytes(&self, track: TrackId) -> u64 {
        self.units.get(usize::from(track.0)).map_or(0, Units::total_bytes)
    }

    /// The unit at `index` in decode order, if the track has as many. Costs up to
    /// 64 steps; iterate with [`Self::units`] for more than a few.
    #[must_use]
    pub fn unit(&self, track: TrackId, index: u32) -> Option<AccessUnitEntry> {
        self.units.get(usize::from(track.0))?.get(index)
    }

    /// All units of a track in decode order.
    pub fn all_units(&self, track: TrackId) -> impl Iterator<Item = AccessUnitEntry> + '_ {
        self.units.get(usize::from(track.0)).into_iter().flat_map(|units| units.range(0, u32::MAX))
    }

    /// Leaves tracks out, as if they had never been added.
    pub(crate) fn leave_out(&mut self, refused: Vec<(TrackId, SkipReason)>) {
        if refused.is_empty() {
            return;
        }
        let mut left = Vec::new();
        let tracks = std::mem::take(&mut self.tracks).into_iter();
        for ((id, track), units) in (0..).map(TrackId).zip(tracks).zip(self.units.drain(..)) {
            match refused.iter().find(|(refused, _)| *refused == id) {
                Some((_, reason)) => {
                    let (container_id, reason) = (track.container_id, reason.clone());
                    self.skipped.push(SkippedTrack { container_id, reason });
                }
                None => left.push((track, units)),
            }
        }
        (self.tracks, self.units) = left.into_iter().unzip();
        (self.segments, self.segment_count) = segments::cut_segments(&self.tracks, &self.units);
        let ends = self.tracks.iter().zip(&self.units);
        let ends = ends.map(|(track, units)| track.media_rate.nanos_floor(units.composition_end()));
        let end = ends.max().unwrap_or(0).max(0).unsigned_abs();
        self.duration = self.duration.min(Npt::from_nanos(end));
    }

    /// The first unit of a track whose decode time is at least `ticks` of its media rate; the
    /// number of units if there is none.
    #[must_use]
    pub fn first_decoded_from(&self, track: TrackId, ticks: i64) -> u32 {
        self.units.get(usize::from(track.0)).map_or(0, |units| units.first_decoded_from(ticks))
    }

    /// The first sync sample at or after `unit` in decode order.
    #[must_use]
    pub fn next_sync(&self, track: TrackId, unit: u32) -> Option<u32> {
        let units = self.units.get(usize::from(track.0))?;
        units.syncs().at_or_after(unit).filter(|sync| *sync < units.count())
    }
}

/// A track of the container, or a part of one, that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedTrack {
    /// The container's own number for the track.
    pub container_id: u32,
    /// Why.
    pub reason: SkipReason,
}

impl fmt::Display for SkippedTrack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "track {}: {}", self.container_id, self.reason)
    }
}

/// Why a track, or a part of one, is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// Its media is encrypted.
    Encrypted,
    /// Neither video nor audio; the container's name for its kind (`hint`, `text`, `meta` ...).
    NotMedia(String),
    /// A codec reelring does not deliver, by the container's name for it.
    Codec(String),
    /// The codec's configuration is missing or wrong.
    Config(&'static str),
    /// Parts of its description are missing or wrong.
    Broken(&'static str),
    /// Its units use sample descriptions that differ; those before the change are delivered.
    SeveralDescriptions,
    /// Its media is in another file.
    External,
    /// Its payload format cannot tell an access unit of it.
    Payload {
        /// Bytes of the access unit.
        bytes: u32,
        /// Why it cannot.
        why: String,
    },
    /// It has no access units.
    Empty,
    /// From this access unit on its media is not in the file; the units before are delivered.
    Truncated {
        /// Units that are delivered.
        kept: u32,
        /// Units the container declares.
        declared: u32,
    },
    /// More tracks than [`TRACKS_MAX`].
    TooManyTracks,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encrypted => f.write_str("encrypted"),
            Self::NotMedia(kind) => write!(f, "neither video nor audio ({kind})"),
            Self::Codec(name) => write!(f, "codec {name} is not supported"),
            Self::Config(why) | Self::Broken(why) => f.write_str(why),
            Self::SeveralDescriptions => f.write_str(
                "its access units use different sample descriptions: only those of the first are \
                     delivered",
            ),
            Self::External => f.write_str("its media is in another file"),
            Self::Payload { bytes, why } => {
                write!(f, "an access unit of {bytes} bytes cannot be sent: {why}")
            }
            Self::Empty => f.write_str("no access units"),
            Self::Truncated { kept, declared } => {
                write!(f, "only {kept} of {declared} access units lie inside the file")
            }
            Self::TooManyTracks => write!(f, "more than {TRACKS_MAX} tracks"),
        }
    }
}
