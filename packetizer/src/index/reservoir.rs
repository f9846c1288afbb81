//! Units whose packets have bytes of their neighbours: application data units of MPEG audio layer
//! III (RFC 5219), which have what their frame decodes of the frames before.

use super::{AccessUnitEntry, MediaIndex, SegmentId, Track, TrackId};
use crate::codec::CodecConfig;
use crate::codec::layer_iii::Reservoir;

/// Frames at most in which the main data of one lies: with more, they are so small that hardly any
/// of them is main data.
const FRAMES_MAX: u32 = 64;

impl MediaIndex {
    /// The units of a track in a segment, in decode order, with those next to them that their
    /// packets have bytes of: of application data units the frames before, in which their main
    /// data may begin, and the one behind, with whose main data theirs ends.
    pub fn units_around(
        &self,
        track: TrackId,
        segment: SegmentId,
    ) -> impl Iterator<Item = AccessUnitEntry> + '_ {
        let (mut first, mut end) = self.unit_range(track, segment);
        let described = self.tracks.get(usize::from(track.0)).filter(|_| first < end);
        if let Some(Track { codec: CodecConfig::Mp3Adu(config), .. }) = described {
            first = self.reservoir_start(track, first, Reservoir::of(config));
            end = end.saturating_add(1);
        }
        let units = self.units.get(usize::from(track.0));
        units.map(|units| units.range(first, end)).into_iter().flatten()
    }

    /// The frame in which the main data of the frame `unit` begins at the earliest.
    fn reservoir_start(&self, track: TrackId, unit: u32, reservoir: Reservoir) -> u32 {
        let (mut first, mut bytes) = (unit, 0);
        while first > 0 && unit - first < FRAMES_MAX && bytes < reservoir.bytes {
            first -= 1;
            let frame_bytes = self.unit(track, first).map_or(0, |unit| unit.media_bytes as usize);
            bytes += frame_bytes.saturating_sub(reservoir.head_bytes);
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{AUDIO, both, title};
    use super::super::{IndexBuilder, TrackDescription, TrackSet};
    use super::*;
    use crate::codec::mpeg_audio::MpegAudioConfig;
    use crate::time::{ClockRate, Npt};

    const FRAMES: u32 = 1000;

    /// Frames of so many bytes with as much of something else in between.
    fn frames(frame_bytes: u32, frame_samples: u16) -> MediaIndex {
        let sample_rate = ClockRate::new(24_000).unwrap();
        let config = MpegAudioConfig { sample_rate, channels: 2, frame_samples };
        let description = TrackDescription::new(1, CodecConfig::Mp3Adu(config), sample_rate);
        let mut builder = IndexBuilder::new();
        let track = builder.add_track(description).unwrap();
        for unit in 0..FRAMES {
            let (offset, duration) = (u64::from(2 * unit * frame_bytes), u32::from(frame_samples));
            let decode = i64::from(unit * duration);
            builder.push(track, offset, frame_bytes, decode, decode, duration, true).unwrap();
        }
        builder.finish(Npt::ZERO)
    }

    #[test]
    fn segments_have_the_frames_that_their_units_are_made_of() {
        let track = TrackId(0);
        for (frame_bytes, frame_samples, before) in
            [(417, 1152, 2), (549, 1152, 1), (96, 1152, 9), (192, 576, 2), (24, 576, FRAMES_MAX)]
        {
            let index = frames(frame_bytes, frame_samples);
            assert!(index.segment_count() > 10);
            let (mut next, mut extents) = (0, Vec::new());
            for segment in (0..index.segment_count()).map(SegmentId) {
                let own: Vec<_> = index.units(track, segment).collect();
                let around: Vec<_> = index.units_around(track, segment).collect();
                let (first, last) = (own[0].index, own[own.len() - 1].index);
                assert_eq!(first, next, "{frame_bytes}");
                next = last + 1;
                assert_eq!(around[0].index, first.saturating_sub(before), "{frame_bytes}");
                assert_eq!(around[around.len() - 1].index, (last + 1).min(FRAMES - 1));
                index.extents(segment, TrackSet::EMPTY.with(track), &mut extents);
                let is_read = |unit: &AccessUnitEntry| {
                    extents.iter().any(|extent| {
                        let end = extent.offset + u64::from(extent.bytes);
                        extent.offset <= unit.offset && unit.offset + u64::from(unit.bytes) <= end
                    })
                };
                assert!(around.iter().all(is_read), "{frame_bytes}: {extents:?}");
            }
            let none = index.units_around(track, SegmentId(index.segment_count()));
            assert_eq!(none.count(), 0);
        }
    }

    #[test]
    fn other_units_are_enough_by_themselves() {
        let index = title(20, 8000);
        for segment in (0..index.segment_count()).map(SegmentId) {
            for track in both().iter() {
                let around = index.units_around(track, segment);
                assert!(around.eq(index.units(track, segment)), "{segment:?}");
            }
        }
        assert_eq!(index.units_around(AUDIO, SegmentId(u32::MAX)).count(), 0);
    }
}
