//! Segments: stretches of a title, the same for all its tracks, that are read and laid out at once.

use super::units::Units;
use super::{AccessUnitEntry, Extent, MediaIndex, SegmentId, Track, TrackId, TrackSet};

/// A segment ends before the unit that would bring its media, all tracks together, above this.
pub const SEGMENT_BYTES_MAX: u32 = 256 << 10;
/// A segment ends before the unit that is decoded this long after its first one.
pub const SEGMENT_NANOS_MAX: i64 = 2_000_000_000;
/// Extents this near to each other are read as one: skipping costs more than reading.
pub const EXTENT_GAP_BYTES_MAX: u32 = 32 << 10;
/// Extents are not merged beyond this. A larger access unit is an extent by itself, and access
/// units that overlap in the file are always in one.
pub const EXTENT_BYTES_MAX: u32 = 1 << 20;

/// The first unit of a track in a segment. Segments without a unit of the track have none, so that
/// there are never more starts than units.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentStart {
    segment: u32,
    unit: u32,
}

/// Cuts all tracks' units, merged by decode time, into segments; yields each track's starts, and
/// the number of segments.
pub(super) fn cut_segments(tracks: &[Track], units: &[Units]) -> (Vec<Vec<SegmentStart>>, u32) {
    let mut starts = vec![Vec::<SegmentStart>::new(); tracks.len()];
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
        segment_bytes += u64::from(unit.bytes);
        if segment_count == 0
            || segment_bytes > u64::from(SEGMENT_BYTES_MAX)
            || nanos.saturating_sub(first_nanos) >= SEGMENT_NANOS_MAX
        {
            segment_count += 1;
            (first_nanos, segment_bytes) = (nanos, u64::from(unit.bytes));
        }
        let segment = segment_count - 1;
        if starts[track].last().is_none_or(|last| last.segment != segment) {
            starts[track].push(SegmentStart { segment, unit: unit.index });
        }
        match walks[track].next() {
            Some(next) => heads[head] = due(track, next),
            None => drop(heads.swap_remove(head)),
        }
    }
    for starts in &mut starts {
        starts.shrink_to_fit();
    }
    (starts, segment_count)
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
        let starts = self.starts.get(usize::from(track.0)).map_or(&[][..], Vec::as_slice);
        let after = starts.partition_point(|start| start.unit <= unit);
        SegmentId(after.checked_sub(1).map_or(0, |last| starts[last].segment))
    }

    /// The units of a track in a segment, in decode order; there may be none.
    pub fn units(
        &self,
        track: TrackId,
        segment: SegmentId,
    ) -> impl Iterator<Item = AccessUnitEntry> + '_ {
        let track = usize::from(track.0);
        let starts = self.starts.get(track).map_or(&[][..], Vec::as_slice);
        let (first, end) = match starts.binary_search_by_key(&segment.0, |start| start.segment) {
            Ok(at) => (starts[at].unit, starts.get(at + 1).map_or(u32::MAX, |next| next.unit)),
            Err(_) => (0, 0),
        };
        self.units.get(track).map(|units| units.range(first, end)).into_iter().flatten()
    }

    /// Replaces `extents` by the byte ranges that hold all units of these tracks in the segment:
    /// sorted, disjoint, near ones merged. No unit straddles two extents.
    pub fn extents(&self, segment: SegmentId, tracks: TrackSet, extents: &mut Vec<Extent>) {
        extents.clear();
        for track in tracks.iter() {
            let units = self.units(track, segment).filter(|unit| unit.bytes > 0);
            extents.extend(units.map(|unit| Extent { offset: unit.offset, bytes: unit.bytes }));
        }
        extents.sort_unstable_by_key(|extent| extent.offset);
        extents.dedup_by(|next, merged| merge(merged, *next));
    }
}

/// Takes `next`, which does not begin before `merged`, into `merged` if that is to be.
fn merge(merged: &mut Extent, next: Extent) -> bool {
    let merged_end = merged.offset.saturating_add(u64::from(merged.bytes));
    let end = next.offset.saturating_add(u64::from(next.bytes)).max(merged_end);
    let Ok(bytes) = u32::try_from(end - merged.offset) else { return false };
    let overlaps = next.offset < merged_end;
    let near = next.offset.saturating_sub(merged_end) <= u64::from(EXTENT_GAP_BYTES_MAX);
    if overlaps || near && bytes <= EXTENT_BYTES_MAX {
        merged.bytes = bytes;
    }
    overlaps || near && bytes <= EXTENT_BYTES_MAX
}
