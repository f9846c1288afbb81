//! Reading ahead: what a read takes along besides the segment that it is for.
//!
//! A disk that seeks takes as long to get somewhere as to read a megabyte there, and every read
//! costs the processor about the same. So a read that is not urgent takes the segments behind its
//! own along ([`follow`]). In a file that is not interleaved, a segment's audio lies alone: a few
//! kilobytes, a read of its own every second or two for each viewer. Such a read takes the next
//! segments' along in any case ([`extend`]).

use packetizer::index::{EXTENT_GAP_BYTES_MAX, Extent, MediaIndex, SegmentId, TrackId, TrackSet};

/// Bytes that a read of a sparse track may take along: 16 seconds of audio at 128 kbit/s.
pub(super) const AHEAD_BYTES_MAX: u32 = 256 << 10;
/// Segments that it may take along.
const AHEAD_SEGMENTS_MAX: usize = 64;
/// What a load that takes whole segments along may read.
pub(super) const LOAD_BYTES_MAX: u32 = 1 << 20;
/// How long after its own the segments begin that it takes along, in nanoseconds: whoever leaves
/// or seeks has had them read in vain.
pub(super) const LOAD_NANOS_MAX: i64 = 4_000_000_000;

/// What another read costs, in bytes of a longer one.
const SEEK_BYTES: u64 = 1 << 20;

/// Adds the extents of `tracks` in `next` to those of a load, if that spares a read and leaves
/// `bytes_max` bytes in all. Whether it does.
pub(super) fn follow(
    index: &MediaIndex,
    tracks: TrackSet,
    next: SegmentId,
    bytes_max: u32,
    extents: &mut Vec<Extent>,
) -> bool {
    let (mut longer, mut own) = (extents.clone(), Vec::new());
    index.extents(next, tracks, &mut own);
    index.add_extents(next, tracks, &mut longer);
    let follows = longer.len() < extents.len() + own.len() && bytes(&longer) <= bytes_max.into();
    if follows {
        *extents = longer;
    }
    follows
}

/// What it costs to read a segment of a load of so many.
pub(super) fn cost(extents: &[Extent], segments: u64) -> u64 {
    (bytes(extents) + SEEK_BYTES * extents.len() as u64) / segments.max(1)
}

fn bytes(extents: &[Extent]) -> u64 {
    extents.iter().map(|extent| u64::from(extent.bytes)).sum()
}

/// Lengthens the extent that holds `track`'s units of `segments`, and nothing else, by those of the
/// segments behind them that follow in the file. Gives those segments; there are none for a track
/// that lies among others, or that has much to read anyway.
pub(super) fn extend(
    index: &MediaIndex,
    track: TrackId,
    segments: &[SegmentId],
    extents: &mut [Extent],
    is_wanted: impl Fn(SegmentId) -> bool,
) -> Vec<SegmentId> {
    let mut ahead = Vec::new();
    let Some(last) = segments.last().filter(|_| extents.len() > 1) else { return ahead };
    let mut own = Vec::new();
    let alone = TrackSet::EMPTY.with(track);
    segments.iter().for_each(|segment| index.add_extents(*segment, alone, &mut own));
    let position = extents.iter().position(|extent| own[..] == [*extent]);
    let Some(position) = position.filter(|at| extents[*at].bytes < AHEAD_BYTES_MAX / 2) else {
        return ahead;
    };
    let limit = extents.get(position + 1).map_or(u64::MAX, |next| next.offset);
    let extent = &mut extents[position];
    for next in (last.0 + 1..).map(SegmentId).take(AHEAD_SEGMENTS_MAX) {
        index.extents(next, alone, &mut own);
        let [more] = own[..] else { break };
        let end = more.offset + u64::from(more.bytes);
        // It may begin with units that the segment in front has too.
        let gap = more.offset.saturating_sub(extent.offset + u64::from(extent.bytes));
        let is_behind =
            more.offset >= extent.offset && end > extent.offset + u64::from(extent.bytes);
        let is_near = is_behind && gap <= u64::from(EXTENT_GAP_BYTES_MAX);
        let bytes = end.saturating_sub(extent.offset);
        if !is_near || end > limit || bytes > AHEAD_BYTES_MAX.into() || !is_wanted(next) {
            break;
        }
        extent.bytes = u32::try_from(bytes).expect("below the limit");
        ahead.push(next);
    }
    ahead
}

#[cfg(test)]
mod tests {
    use super::*;
    use packetizer::codec::CodecConfig;
    use packetizer::codec::mpeg_audio::MpegAudioConfig;
    use packetizer::index::{IndexBuilder, TrackDescription};
    use packetizer::time::{ClockRate, Npt};

    /// Pictures, and behind them all frames of layer III, as `codec` has them.
    fn not_interleaved(codec: fn(MpegAudioConfig) -> CodecConfig) -> MediaIndex {
        let sample_rate = ClockRate::new(48_000).unwrap();
        let config = MpegAudioConfig { sample_rate, channels: 2, frame_samples: 1152 };
        let mut builder = IndexBuilder::new();
        let video = TrackDescription::new(1, CodecConfig::Vp8, sample_rate);
        let sound = TrackDescription::new(2, codec(config), sample_rate);
        let (video, sound) = (builder.add_track(video).unwrap(), builder.add_track(sound).unwrap());
        for unit in 0..1000_u32 {
            let decode = i64::from(unit) * 1152;
            let (picture, frame) = (u64::from(unit) * 10_000, 20_000_000 + u64::from(unit) * 384);
            builder.push(video, picture, 10_000, decode, decode, 1152, true).unwrap();
            builder.push(sound, frame, 384, decode, decode, 1152, true).unwrap();
        }
        builder.finish(Npt::ZERO)
    }

    #[test]
    fn sound_that_lies_alone_comes_along() {
        let (first, sound) = (SegmentId(3), TrackId(1));
        for codec in [CodecConfig::MpegAudio, CodecConfig::Mp3Adu] {
            let index = not_interleaved(codec);
            let mut extents = Vec::new();
            index.extents(first, TrackSet::EMPTY.with(TrackId(0)).with(sound), &mut extents);
            let [_, alone] = extents[..] else { panic!("{extents:?}") };
            let ahead = extend(&index, sound, &[first], &mut extents, |_| true);
            assert_eq!(ahead.first(), Some(&SegmentId(4)));
            assert!(ahead.len() > 10, "{ahead:?}");
            let last = index.units(sound, ahead[ahead.len() - 1]).last().unwrap();
            let end = extents[1].offset + u64::from(extents[1].bytes);
            assert_eq!(extents[1].offset, alone.offset);
            assert!((last.offset + 384..=last.offset + 768).contains(&end), "{last:?} {end}");
            assert!(extents[1].bytes <= AHEAD_BYTES_MAX);
        }
    }
}
