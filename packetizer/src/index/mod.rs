//! The index of a title: which access units its tracks have, when, and where their bytes lie.
//!
//! All times a [`MediaIndex`] gives are on the presentation's axis: the edit list is applied, tick
//! 0 is normal play time 0, and what an edit list cut off in front has negative times.

use crate::codec::CodecConfig;
use crate::time::{ClockRate, Npt};

/// Position of a track in [`MediaIndex::tracks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u8);

/// A set of tracks of one title, as a bit mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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
    /// Number of access units.
    pub unit_count: u32,
    /// Average bit rate of the media bytes over the track's duration.
    pub bits_per_second: u64,
    /// Bytes of the largest access unit.
    pub unit_bytes_max: u32,
}

/// One access unit: when it is due, when it is shown, where its bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessUnitEntry {
    /// Position in decode order, from 0.
    pub index: u32,
    /// Offset of the first byte in the container file.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u32,
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

/// What a container yields.
#[derive(Debug)]
pub struct MediaIndex {
    /// The tracks reelring can deliver, in the container's order, video first.
    pub tracks: Vec<Track>,
    /// Length of the presentation.
    pub duration: Npt,
}
