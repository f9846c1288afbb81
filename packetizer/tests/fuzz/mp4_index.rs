//! A container file of any bytes: bounded demands, no panic, and an index that keeps its promises.
//!
//! The first four bytes say how much longer than its bytes the file claims to be.

use packetizer::container::{Demuxer, HEADER_BYTES_MAX};
use packetizer::index::{Extent, MediaIndex, SegmentId, TrackId, TrackSet};
use packetizer::time::Npt;

pub(crate) fn check(data: &[u8]) {
    let Some((padding, bytes)) = data.split_first_chunk::<4>() else { return };
    let file_bytes = bytes.len() as u64 + u64::from(u32::from_le_bytes(*padding));
    let Ok(mut demuxer) = Demuxer::new(file_bytes) else { return };
    loop {
        let demand = demuxer.demand();
        assert!(demand.bytes > 0 && demand.bytes <= HEADER_BYTES_MAX);
        assert!(demand.offset + u64::from(demand.bytes) <= file_bytes);
        let rest = usize::try_from(demand.offset).ok().and_then(|at| bytes.get(at..));
        let rest = rest.unwrap_or_default();
        let given = &rest[..rest.len().min(demand.bytes as usize)];
        match demuxer.supply(given) {
            Ok(None) => {}
            Ok(Some(index)) => return check_index(&index, file_bytes),
            Err(_) => return,
        }
    }
}

fn check_index(index: &MediaIndex, file_bytes: u64) {
    let tracks =
        (0..index.tracks.len()).fold(TrackSet::EMPTY, |set, track| set.with(TrackId(track as u8)));
    let mut extents = Vec::new();
    for segment in (0..index.segment_count().min(1000)).map(SegmentId) {
        index.extents(segment, tracks, &mut extents);
        let end = |extent: &Extent| extent.offset + u64::from(extent.bytes);
        for pair in extents.windows(2) {
            assert!(pair[0].offset < pair[1].offset && end(&pair[0]) < end(&pair[1]));
        }
        for track in tracks.iter() {
            for unit in index.units(track, segment).filter(|unit| unit.bytes > 0) {
                assert!(unit.offset + u64::from(unit.bytes) <= file_bytes);
                let behind = extents.partition_point(|extent| extent.offset <= unit.offset);
                let holding = behind.checked_sub(1).and_then(|last| extents.get(last));
                let unit_end = unit.offset + u64::from(unit.bytes);
                assert!(holding.is_some_and(|extent| unit_end <= end(extent)));
                assert_eq!(index.segment_of(track, unit.index), segment);
            }
        }
    }
    for start in [0, index.duration.nanos() / 2, index.duration.nanos().saturating_sub(1)] {
        let Some(cue) = index.cue(tracks, Npt::from_nanos(start), None) else { continue };
        for track in cue.tracks {
            assert!(track.first_unit <= track.end_unit);
            assert!(track.end_unit <= index.tracks[usize::from(track.track.0)].unit_count);
        }
    }
}
