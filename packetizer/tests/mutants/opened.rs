//! What an index of a damaged file must still be.

use packetizer::image::{Bursts, Framing, ImageRequest, ImageStorage, PacketImage, PayloadClass};
use packetizer::index::{MediaIndex, SegmentId, TrackId, TrackSet};
use packetizer::time::Npt;

/// Segments that are laid out: the first and the last.
const IMAGES_MAX: u32 = 2;

/// Reads the index whole; what it names lies in the file, can be unwrapped, sought and, for some of
/// it, be laid out or refused.
pub(super) fn look_through(index: &MediaIndex, file: &[u8]) {
    let ids: Vec<_> = (0..index.tracks.len() as u8).map(TrackId).collect();
    let tracks = ids.iter().fold(TrackSet::EMPTY, |set, track| set.with(*track));
    let file_bytes = file.len() as u64;
    let mut extents = Vec::new();
    for segment in (0..index.segment_count()).map(SegmentId) {
        index.extents(segment, tracks, &mut extents);
        assert!(extents.iter().all(|e| e.offset + u64::from(e.bytes) <= file_bytes));
    }
    ids.iter().for_each(|track| look_through_track(index, *track, file));
    for start in [0, index.duration.nanos() / 2, index.duration.nanos().saturating_sub(1)] {
        let cue = index.cue(tracks, Npt::from_nanos(start), None);
        for track in cue.into_iter().flat_map(|cue| cue.tracks) {
            let count = index.tracks[usize::from(track.track.0)].unit_count;
            assert!(track.first_unit <= track.end_unit && track.end_unit <= count);
        }
    }
    let last = index.segment_count().saturating_sub(1);
    for segment in [0, last].into_iter().take(IMAGES_MAX.min(last + 1) as usize) {
        ids.iter().for_each(|track| lay_out(index, *track, SegmentId(segment), file));
    }
}

fn look_through_track(index: &MediaIndex, track_id: TrackId, file: &[u8]) {
    let track = &index.tracks[usize::from(track_id.0)];
    let (mut unwrapped, mut last, mut count, mut media_bytes) = (Vec::new(), i64::MIN, 0, 0);
    let segments = (0..index.segment_count()).map(SegmentId);
    for unit in segments.flat_map(|segment| index.units(track_id, segment)) {
        assert!(unit.decode >= last, "unit {} goes back in time", unit.index);
        let bytes = &file[unit.offset as usize..][..unit.bytes as usize];
        unwrapped.clear();
        track.wrapping.unwrap(unit.offset, bytes, &mut unwrapped);
        assert!(unwrapped.len() <= bytes.len().max(unit.media_bytes as usize), "{unit:?}");
        (last, count) = (unit.decode, count + 1);
        media_bytes += u64::from(unit.media_bytes);
    }
    assert_eq!((count, media_bytes), (track.unit_count, index.track_bytes(track_id)));
    // Bytes in a few of which all are.
    assert!(index.bytes() < 4096 * index.tracks.len() + 64 * file.len(), "{}", index.bytes());
}

fn lay_out(index: &MediaIndex, track: TrackId, segment: SegmentId, file: &[u8]) {
    let request = ImageRequest {
        index,
        track,
        segment,
        class: PayloadClass { packet_bytes_max: 1452 },
        framing: Framing::Datagram,
        payload_type: 96,
        bursts: Bursts::default(),
    };
    let storage = ImageStorage::default();
    let built = PacketImage::build(
        request,
        |unit| file.get(unit.offset as usize..(unit.offset + u64::from(unit.bytes)) as usize),
        storage,
    );
    let Ok(image) = built else { return };
    let packets: u32 = image.trains.iter().map(|train| u32::from(train.packet_count)).sum();
    assert_eq!(packets, image.packet_count);
    let last = image.trains.last();
    let end = last.map_or(0, |train| train.offset + train.bytes());
    assert_eq!(end as usize, image.bytes.len(), "trains are all of an image");
}
