//! Segments: stretches of a title, the same for all its tracks, that are read and laid out at once.

use std::cmp::Reverse;

use super::units::Units;
use super::{AccessUnitEntry, Extent, MediaIndex, SegmentId, Track, TrackId, TrackSet};

/// A segment ends before the unit that would bring its media, all tracks together, above this.
pub const SEGMENT_BYTES_MAX: u32 = 256 << 10;
/// A segment ends before the unit that is decoded this long after its first one.
pub const SEGMENT_NANOS_MAX: i64 = 2_000_000_000;
/// Extents this near to each other are read as one: skipping costs more than reading. A direct read
/// took 50 µs and 0.5 µs a KiB where it was measured (virtio disk), so that a gap costs what a read
/// of its own does at about 90 KiB; on a disk that seeks, at more.
pub const EXTENT_GAP_BYTES_MAX: u32 = 64 << 10;
/// Extents are not merged beyond this. A larger access unit is an extent by itself; of access units
/// that overlap in the file some bytes may be in two. A segment ends before the unit that would
/// bring what one of its tracks lies in above this.
pub const EXTENT_BYTES_MAX: u32 = 1 << 20;

/// The first unit of a track in a segment. Segments without a unit of the track have none, so that
/// there are never more starts than units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentStart {
    /// The segment.
    pub segment: SegmentId,
    /// The unit.
    pub unit: u32,
    /// Presentation time at which it is decoded, in nanoseconds.
    pub nanos: i64,
}

/// The segments of a track that hold units of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Segments {
    pub(super) starts: Vec<SegmentStart>,
    /// Bytes of media of the track in the last one so far.
    bytes: u64,
    /// Bytes of media of the track in the one that has most.
    bytes_max: u64,
    /// Bytes in the file of the track's units in the last one.
    file_bytes: u64,
}

impl Segments {
    fn push(&mut self, segment: u32, unit: AccessUnitEntry, nanos: i64) {
        if self.starts.last().is_none_or(|last| last.segment.0 != segment) {
            let segment = SegmentId(segment);
            self.starts.push(SegmentStart { segment, unit: unit.index, nanos });
            (self.bytes, self.file_bytes) = (0, 0);
        }
        self.bytes += u64::from(unit.media_bytes);
        self.bytes_max = self.bytes_max.max(self.bytes);
        self.file_bytes += u64::from(unit.bytes);
    }

    /// Whether the track would lie in too much of the file if this segment had the unit too.
    fn is_too_long_with(&self, segment: u32, unit: AccessUnitEntry) -> bool {
        let is_in = self.starts.last().is_some_and(|last| last.segment.0 == segment);
        is_in && self.file_bytes + u64::from(unit.bytes) > u64::from(EXTENT_BYTES_MAX)
    }
}

/// Cuts all tracks' units, merged by decode time, into segments; yields those of each track, and
/// the number of segments.
pub(super) fn cut_segments(tracks: &[Track], units: &[Units]) -> (Vec<Segments>, u32) {
    let mut segments = vec![Segments::default(); tracks.len()];
    let mut walks: Vec<_> = units.iter().map(|units| units.range(0, u32::MAX)).collect();
    let due = |track: usize, unit: AccessUnitEntry| {
        (tracks[track].media_rate.nanos_floor(unit.decode), track, unit)
    };
    let mut heads: Vec<_> =
        walks.iter_mut().enumerate().filter_map(|(i, walk)| Some(due(i, walk.next()?))).collect();
    let mut segment_count = 0_u32;
    let (mut first_nanos, mut segment_bytes) = (0, 0_u64);
    while let Some(head) = (0..heads.len()).min_by_key(|head| (heads[*head].0, heads[*head].1)) {
        let (nanos, track, unit) = heads[head];
        segment_bytes += u64::from(unit.media_bytes);
        if segment_count == 0
            || segment_bytes > u64::from(SEGMENT_BYTES_MAX)
            || nanos.saturating_sub(first_nanos) >= SEGMENT_NANOS_MAX
            || segments[track].is_too_long_with(segment_count - 1, unit)
        {
            segment_count += 1;
            (first_nanos, segment_bytes) = (nanos, u64::from(unit.media_bytes));
        }
        let segment = segment_count - 1;
        segments[track].push(segment, unit, nanos);
        match walks[track].next() {
            Some(next) => heads[head] = due(track, next),
            None => drop(heads.swap_remove(head)),
        }
    }
    for segments in &mut segments {
        segments.starts.shrink_to_fit();
    }
    (segments, segment_count)
}

impl MediaIndex {
    /// Number of segments.
    #[must_use]
    pub const fn segment_count(&self) -> u32 {
        self.segment_count
    }

    /// The segment that holds a unit; for a unit past the track's last one, the last that holds
    /// any of the track's.
    #[must_use]
    pub fn segment_of(&self, track: TrackId, unit: u32) -> SegmentId {
        let starts = self.starts(track);
        let after = starts.partition_point(|start| start.unit <= unit);
        after.checked_sub(1).map_or(SegmentId(0), |last| starts[last].segment)
    }

    /// The units of a track in a segment, in decode order; there may be none.
    pub fn units(
        &self,
        track: TrackId,
        segment: SegmentId,
    ) -> impl Iterator<Item = AccessUnitEntry> + '_ {
        let (first, end) = self.unit_range(track, segment);
        let units = self.units.get(usize::from(track.0));
        units.map(|units| units.range(first, end)).into_iter().flatten()
    }

    /// The first unit of a track in a segment, and the first behind it.
    pub(super) fn unit_range(&self, track: TrackId, segment: SegmentId) -> (u32, u32) {
        let starts = self.starts(track);
        match position(starts, segment) {
            Ok(at) => (starts[at].unit, starts.get(at + 1).map_or(u32::MAX, |next| next.unit)),
            Err(_) => (0, 0),
        }
    }

    /// How many units a track has in a segment.
    fn unit_count(&self, track: TrackId, segment: SegmentId) -> usize {
        let starts = self.starts(track);
        let Ok(at) = position(starts, segment) else { return 0 };
        let all = self.units.get(usize::from(track.0)).map_or(0, Units::len);
        let end = starts.get(at + 1).map_or(all, |next| next.unit);
        end.saturating_sub(starts[at].unit) as usize
    }

    /// Bytes of media of a track in the segment that has most of it.
    #[must_use]
    pub fn segment_bytes_max(&self, track: TrackId) -> u64 {
        self.segments.get(usize::from(track.0)).map_or(0, |segments| segments.bytes_max)
    }

    /// Presentation time of the first unit of a track in a segment, in nanoseconds; `None` when
    /// there is none.
    #[must_use]
    pub fn segment_start(&self, track: TrackId, segment: SegmentId) -> Option<i64> {
        let starts = self.starts(track);
        Some(starts[position(starts, segment).ok()?].nanos)
    }

    /// Where a track starts in the first segment from `segment` on that has units of it.
    #[must_use]
    pub fn start_from(&self, track: TrackId, segment: SegmentId) -> Option<SegmentStart> {
        let starts = self.starts(track);
        let (Ok(at) | Err(at)) = position(starts, segment);
        starts.get(at).copied()
    }

    /// Replaces `extents` by the byte ranges that hold all units of these tracks in the segment,
    /// and what [`Self::units_around`] has besides: sorted, near ones merged, none within another.
    /// Each unit lies in the last extent that begins no later. Only where units overlap in the
    /// file may extents do so too.
    pub fn extents(&self, segment: SegmentId, tracks: TrackSet, extents: &mut Vec<Extent>) {
        extents.clear();
        self.add_extents(segment, tracks, extents);
    }

    /// Adds the byte ranges that hold all units of these tracks in the segment to `extents`, which
    /// are as [`Self::extents`] gave them; they are so again.
    pub fn add_extents(&self, segment: SegmentId, tracks: TrackSet, extents: &mut Vec<Extent>) {
        for track in tracks.iter() {
            extents.reserve(self.unit_count(track, segment));
            let units = self.units_around(track, segment).filter(|unit| unit.bytes > 0);
            extents.extend(units.map(|unit| Extent { offset: unit.offset, bytes: unit.bytes }));
        }
        // Stable, because what is sorted is runs of tracks that are, which it finds.
        extents.sort_by_key(|extent| (extent.offset, Reverse(extent.bytes)));
        extents.dedup_by(|next, merged| merge(merged, *next));
    }

    fn starts(&self, track: TrackId) -> &[SegmentStart] {
        self.segments.get(usize::from(track.0)).map_or(&[], |segments| &segments.starts)
    }
}

/// Where the start in `segment` is, or would be. Most tracks have units in every segment.
fn position(starts: &[SegmentStart], segment: SegmentId) -> Result<usize, usize> {
    let at = segment.0 as usize;
    match starts.get(at) {
        Some(start) if start.segment == segment => Ok(at),
        _ => starts.binary_search_by_key(&segment, |start| start.segment),
    }
}

/// Takes `next`, which does not begin before `merged`, into `merged` if that is to be.
fn merge(merged: &mut Extent, next: Extent) -> bool {
    let merged_end = merged.offset.saturating_add(u64::from(merged.bytes));
    let end = next.offset.saturating_add(u64::from(next.bytes)).max(merged_end);
    let Ok(bytes) = u32::try_from(end - merged.offset) else { return false };
    let is_within = end == merged_end;
    let is_near = next.offset.saturating_sub(merged_end) <= u64::from(EXTENT_GAP_BYTES_MAX);
    let is_taken = is_within || is_near && bytes <= EXTENT_BYTES_MAX;
    if is_taken {
        merged.bytes = bytes;
    }
    is_taken
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{AUDIO, VIDEO, audio_description, both, title, video_description};
    use super::super::{IndexBuilder, MediaIndex, TrackDescription};
    use super::*;
    use crate::time::Npt;
    use crate::wrapping::Wrapping;
    use crate::wrapping::ogg::Serial;

    fn segments(index: &MediaIndex) -> impl Iterator<Item = SegmentId> {
        (0..index.segment_count()).map(SegmentId)
    }

    #[test]
    fn segments_hold_every_unit_once_and_keep_their_limits() {
        for (video_bytes, least) in [(500, 10), (20_000, 38), (300_000, 500)] {
            let index = title(20, video_bytes);
            for track in [VIDEO, AUDIO] {
                let mut next = 0;
                for segment in segments(&index) {
                    for unit in index.units(track, segment) {
                        assert_eq!((unit.index, index.segment_of(track, next)), (next, segment));
                        next += 1;
                    }
                }
                assert_eq!(next, index.tracks[usize::from(track.0)].unit_count);
                let of_segment = |segment| index.units(track, segment).map(|unit| unit.bytes);
                let bytes: Vec<u64> = segments(&index)
                    .map(|segment| of_segment(segment).sum::<u32>().into())
                    .collect();
                assert_eq!(index.segment_bytes_max(track), *bytes.iter().max().unwrap());
                assert_eq!(index.track_bytes(track), bytes.iter().sum::<u64>());
            }
            for segment in segments(&index) {
                let units = || index.units(VIDEO, segment).chain(index.units(AUDIO, segment));
                let bytes: u32 = units().map(|unit| unit.bytes).sum();
                assert!(bytes <= SEGMENT_BYTES_MAX || units().count() == 1, "{bytes}");
                let pictures = index.units(VIDEO, segment).count();
                assert!((0..=50).contains(&pictures), "{pictures} pictures are more than 2 s");
            }
            assert!(index.segment_count() >= least, "{} segments", index.segment_count());
        }
    }

    #[test]
    fn segment_boundaries_are_the_same_time_in_all_tracks() {
        let index = title(20, 8000);
        let seconds = |track: TrackId, ticks: i64| {
            index.tracks[usize::from(track.0)].media_rate.nanos_floor(ticks)
        };
        for segment in segments(&index) {
            let next = SegmentId(segment.0 + 1);
            for (before, after) in [(VIDEO, AUDIO), (AUDIO, VIDEO)] {
                let last = index.units(before, segment).last();
                let first = index.units(after, next).next();
                let (Some(last), Some(first)) = (last, first) else { continue };
                assert!(seconds(before, last.decode) <= seconds(after, first.decode));
            }
        }
    }

    #[test]
    fn extents_cover_the_asked_units_and_merge_near_ones() {
        let index = title(20, 8000);
        let (mut extents, mut video_only) = (vec![Extent { offset: 9, bytes: 9 }], Vec::new());
        for segment in segments(&index) {
            index.extents(segment, both(), &mut extents);
            // Interleaved without gaps: one extent, with a unit or two of the neighbouring segments
            // between, since the file is not interleaved by exact decode time.
            let bytes: u32 = [VIDEO, AUDIO]
                .iter()
                .flat_map(|track| index.units(*track, segment))
                .map(|unit| unit.bytes)
                .sum();
            let [extent] = &extents[..] else { panic!("{extents:?}") };
            assert!((bytes..=bytes + 2 * 8000).contains(&extent.bytes), "{extent:?} for {bytes}");
            // The audio between is less than a gap.
            index.extents(segment, TrackSet::EMPTY.with(VIDEO), &mut video_only);
            assert_eq!(video_only.len(), 1);
        }
        index.extents(SegmentId(0), TrackSet::EMPTY, &mut extents);
        assert_eq!(extents, []);
        index.extents(SegmentId(u32::MAX), both(), &mut extents);
        assert_eq!(extents, []);
    }

    #[test]
    fn extents_of_segments_that_follow_each_other_are_one() {
        let index = title(20, 8000);
        let (mut together, mut one) = (Vec::new(), Vec::new());
        for segment in segments(&index).take(3) {
            index.add_extents(segment, both(), &mut together);
            index.extents(segment, both(), &mut one);
            let [extent] = &together[..] else { panic!("{together:?}") };
            let [own] = &one[..] else { panic!("{one:?}") };
            let end = |extent: &Extent| extent.offset + u64::from(extent.bytes);
            assert_eq!(end(extent), end(own), "it ends with the last segment");
        }
        // The last extent may not become too long.
        for segment in segments(&index).skip(3) {
            index.add_extents(segment, both(), &mut together);
        }
        assert!(together.len() > 1);
        assert!(together.iter().all(|extent| extent.bytes <= EXTENT_BYTES_MAX), "{together:?}");
    }

    /// Two tracks of a transport stream that holds `others` times as much besides: a picture of
    /// 10,000 bytes every 40 ms, between whose packets lies sound.
    fn wrapped(seconds: u32, others: u32) -> MediaIndex {
        let wrapping = Wrapping::Ogg(Serial(1));
        let mut builder = IndexBuilder::new();
        let [video, audio] = [video_description(), audio_description()].map(|description| {
            builder.add_track(TrackDescription { wrapping: wrapping.clone(), ..description })
        });
        let (video, audio) = (video.unwrap(), audio.unwrap());
        let (mut offset, bytes) = (0, 10_000 * (others + 1));
        for unit in 0..seconds * 25 {
            let (index, media_bytes, sync) = (0, 10_000, true);
            let (decode, duration) = (i64::from(unit) * 512, 512);
            let composition = decode;
            let picture = AccessUnitEntry {
                index,
                offset,
                bytes,
                media_bytes,
                decode,
                composition,
                duration,
                sync,
            };
            builder.push_unit(video, picture).unwrap();
            let (decode, duration) = (i64::from(unit) * 1920, 1920);
            let sound = AccessUnitEntry {
                offset: offset + u64::from(bytes / 2),
                media_bytes: 500,
                decode,
                composition: decode,
                duration,
                ..picture
            };
            builder.push_unit(audio, sound).unwrap();
            offset += u64::from(bytes);
        }
        builder.finish(Npt::from_nanos(u64::from(seconds) * 1_000_000_000))
    }

    #[test]
    fn what_lies_between_a_units_bytes_is_read_and_not_counted() {
        for (others, segment_pictures) in [(0, 25), (1, 25), (20, 4)] {
            let index = wrapped(20, others);
            assert_eq!(index.track_bytes(VIDEO), 500 * 10_000);
            assert_eq!(index.tracks[0].unit_bytes_max, 10_000);
            assert_eq!(index.segment_bytes_max(VIDEO), segment_pictures * 10_000);
            assert!(index.segment_bytes_max(AUDIO) <= segment_pictures * 500);
            let mut extents = Vec::new();
            for segment in segments(&index) {
                // As it is read along with the segments before it, too.
                index.add_extents(segment, both(), &mut extents);
                assert!(extents.iter().all(|extent| extent.bytes <= EXTENT_BYTES_MAX), "{others}");
                let units = [VIDEO, AUDIO].map(|track| index.units(track, segment));
                for unit in units.into_iter().flatten() {
                    let behind = extents.partition_point(|extent| extent.offset <= unit.offset);
                    let extent = extents[behind - 1];
                    let end = extent.offset + u64::from(extent.bytes);
                    assert!(unit.offset + u64::from(unit.bytes) <= end, "{unit:?} {extents:?}");
                }
            }
        }
    }

    /// (units as offset and bytes, extents)
    type Case<'a> = (&'a [(u64, u32)], &'a [(u64, u32)]);

    #[test]
    fn extents_of_scattered_large_empty_and_overlapping_units() {
        const GAP: u64 = EXTENT_GAP_BYTES_MAX as u64;
        const MAX: u32 = EXTENT_BYTES_MAX;
        let cases: &[Case<'_>] = &[
            (&[(0, 10), (10 + GAP, 10)], &[(0, 20 + EXTENT_GAP_BYTES_MAX)]),
            (&[(0, 10), (11 + GAP, 10)], &[(0, 10), (11 + GAP, 10)]),
            (&[(5000, 10), (100, 10)], &[(100, 4910)]),
            (&[(0, 0), (7, 0)], &[]),
            (&[(0, MAX + 1)], &[(0, MAX + 1)]),
            (&[(50, 100), (0, 100), (60, 5)], &[(0, 150)]),
            (&[(7, 9), (7, 9)], &[(7, 9)]),
        ];
        for (units, expected) in cases {
            let mut builder = IndexBuilder::new();
            let track = builder.add_track(video_description()).unwrap();
            for (offset, bytes) in *units {
                builder.push(track, *offset, *bytes, 0, 0, 0, true).unwrap();
            }
            let index = builder.finish(Npt::ZERO);
            let mut extents = Vec::new();
            index.extents(SegmentId(0), TrackSet::EMPTY.with(track), &mut extents);
            let found: Vec<_> = extents.iter().map(|e| (e.offset, e.bytes)).collect();
            assert_eq!(found, *expected, "{units:?}");
        }
    }

    #[test]
    fn near_extents_are_not_merged_beyond_the_limit() {
        const KIB: u32 = 1 << 10;
        /// Extents in KiB, and what they are merged into.
        type Case<'a> = (&'a [(u32, u32)], &'a [(u32, u32)]);
        let cases: &[Case<'_>] = &[
            (&[(0, 600), (600, 500), (1101, 1)], &[(0, 600), (600, 502)]),
            // So they overlap.
            (&[(0, 600), (500, 600), (550, 9)], &[(0, 600), (500, 600)]),
            (&[(0, 600), (500, 524)], &[(0, 1024)]),
            (&[(0, 5000), (9, 100), (4000, 1000), (4500, 501)], &[(0, 5000), (4500, 501)]),
        ];
        for (units, expected) in cases {
            let extent = |(offset, bytes): &(u32, u32)| Extent {
                offset: u64::from(offset * KIB),
                bytes: bytes * KIB,
            };
            let mut extents: Vec<_> = units.iter().map(extent).collect();
            extents.dedup_by(|next, merged| merge(merged, *next));
            assert_eq!(extents, expected.iter().map(extent).collect::<Vec<_>>(), "{units:?}");
        }
    }
}
