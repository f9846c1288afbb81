//! Reading ahead on sparse tracks.
//!
//! In a file that is not interleaved, a segment's audio lies alone: a few kilobytes, a read of its
//! own every second or two for each viewer. Such a read takes the next segments' along.

use packetizer::index::{EXTENT_GAP_BYTES_MAX, Extent, MediaIndex, SegmentId, TrackId, TrackSet};

/// Bytes that a read of a sparse track may take along: 16 seconds of audio at 128 kbit/s.
pub(super) const AHEAD_BYTES_MAX: u32 = 256 << 10;
/// Segments that it may take along.
const AHEAD_SEGMENTS_MAX: usize = 64;

/// Lengthens the extent that holds `track`'s units of `segment`, and nothing else, by those of the
/// segments behind it that follow in the file. Gives those segments; there are none for a track
/// that lies among others, or that has much to read anyway.
pub(super) fn extend(
    index: &MediaIndex,
    track: TrackId,
    segment: SegmentId,
    extents: &mut [Extent],
    is_wanted: impl Fn(SegmentId) -> bool,
) -> Vec<SegmentId> {
    let mut ahead = Vec::new();
    if extents.len() < 2 {
        return ahead;
    }
    let mut own = Vec::new();
    let alone = TrackSet::EMPTY.with(track);
    index.extents(segment, alone, &mut own);
    let position = extents.iter().position(|extent| own[..] == [*extent]);
    let Some(position) = position.filter(|at| extents[*at].bytes < AHEAD_BYTES_MAX / 2) else {
        return ahead;
    };
    let limit = extents.get(position + 1).map_or(u64::MAX, |next| next.offset);
    let extent = &mut extents[position];
    for next in (segment.0 + 1..).map(SegmentId).take(AHEAD_SEGMENTS_MAX) {
        index.extents(next, alone, &mut own);
        let [more] = own[..] else { break };
        let end = more.offset + u64::from(more.bytes);
        let gap = more.offset.checked_sub(extent.offset + u64::from(extent.bytes));
        let is_near = gap.is_some_and(|gap| gap <= u64::from(EXTENT_GAP_BYTES_MAX));
        let bytes = end.saturating_sub(extent.offset);
        if !is_near || end > limit || bytes > AHEAD_BYTES_MAX.into() || !is_wanted(next) {
            break;
        }
        extent.bytes = u32::try_from(bytes).expect("below the limit");
        ahead.push(next);
    }
    ahead
}
