//! Which access units of sound share a packet: of a segment's units, from the first on, as many as
//! the payload format lets into one, and no longer than [`BUNDLE_NANOS_MAX`].

use super::{BUNDLE_NANOS_MAX, PayloadClass};
use crate::codec::CodecConfig;
use crate::index::{AccessUnitEntry, MediaIndex, TrackId};
use crate::payload::{self, PacketWriter};
use crate::rtp::{Header, Ssrc};
use crate::time::ClockRate;
use std::ops::Range;

/// The access units of a track that share a packet with one of them: whoever wants that one begins
/// with the first, or does without and begins behind the last. A picture shares none; how long the
/// application data units of MP3 are is not known before they are laid out: it seems to share none.
///
/// Costs a step for each unit of the segment up to there.
#[must_use]
pub fn bundle_of(index: &MediaIndex, track: TrackId, unit: u32, class: PayloadClass) -> Range<u32> {
    let alone = unit..unit.saturating_add(1);
    let Some(found) = index.tracks.get(usize::from(track.0)) else { return alone };
    if found.codec.is_video() || matches!(found.codec, CodecConfig::Mp3Adu(_)) {
        return alone;
    }
    let (payload_type, sequence, timestamp, ssrc) = (0, 0, 0, Ssrc(0));
    let header = Header { marker: false, payload_type, sequence, timestamp, ssrc };
    let writer = PacketWriter::new(Vec::new(), header, None, class.packet_bytes_max);
    let clocks = Clocks::new(found.media_rate, found.codec.rtp_rate());
    let mut range = alone;
    let mut bundle: Option<Bundled> = None;
    for next in index.units(track, index.segment_of(track, unit)) {
        let bytes = next.media_bytes as usize;
        // What has no bytes leaves no packet.
        let joins = bytes == 0
            || bundle
                .as_ref()
                .is_some_and(|so_far| clocks.may_join(&writer, &found.codec, so_far, &next, bytes));
        if !joins && next.index > unit {
            return range.start..next.index;
        }
        if !joins {
            (range.start, bundle) = (next.index, Some(Bundled::new(next)));
        }
        if let Some(bundle) = &mut bundle {
            bundle.add(bytes);
        }
        range.end = range.end.max(next.index + 1);
    }
    range
}

/// The clocks of a track.
pub(super) struct Clocks {
    pub(super) media_rate: ClockRate,
    pub(super) rtp_rate: ClockRate,
    /// What a tick of the media clock is on the RTP clock: times are known no better.
    media_tick: u64,
}

/// A bundle as far as it goes.
pub(super) struct Bundled {
    pub(super) first: AccessUnitEntry,
    count: usize,
    bytes: usize,
}

impl Bundled {
    /// One that has nothing in it yet.
    pub(super) const fn new(first: AccessUnitEntry) -> Self {
        Self { first, count: 0, bytes: 0 }
    }

    /// A unit of so many bytes joins; one of none has no place in a packet.
    pub(super) fn add(&mut self, bytes: usize) {
        self.count += usize::from(bytes > 0);
        self.bytes += bytes;
    }
}

impl Clocks {
    pub(super) fn new(media_rate: ClockRate, rtp_rate: ClockRate) -> Self {
        let media_tick = media_rate.convert_nearest(1, rtp_rate).unsigned_abs();
        Self { media_rate, rtp_rate, media_tick }
    }

    /// The composition time of a unit in ticks of the RTP clock.
    pub(super) fn timestamp(&self, unit: &AccessUnitEntry) -> i64 {
        self.media_rate.convert_nearest(unit.composition, self.rtp_rate)
    }

    /// Whether a unit of so many bytes may join a bundle. Receivers tell the timestamps of units
    /// behind the first by counting (RFC 3640 §3.2.3.2), so its own must be what they will find,
    /// give or take the rounding of a coarse media clock.
    pub(super) fn may_join(
        &self,
        writer: &PacketWriter,
        codec: &CodecConfig,
        bundle: &Bundled,
        unit: &AccessUnitEntry,
        bytes: usize,
    ) -> bool {
        let (count, bytes) = (bundle.count + 1, bundle.bytes + bytes);
        if !payload::may_join(writer, codec, count, bytes) {
            return false;
        }
        let Some(elapsed) = codec.duration_ticks(bundle.count, bundle.bytes) else {
            let start = self.media_rate.nanos_floor(bundle.first.decode);
            return self.media_end(unit).saturating_sub(start) <= BUNDLE_NANOS_MAX;
        };
        let counted = self.timestamp(&bundle.first).saturating_add(elapsed);
        let end = codec.duration_ticks(count, bytes).unwrap_or(i64::MAX);
        self.timestamp(unit).abs_diff(counted) <= self.media_tick + 1
            && self.rtp_rate.nanos_floor(end) <= BUNDLE_NANOS_MAX
    }

    /// When a unit has been played, in nanoseconds.
    fn media_end(&self, unit: &AccessUnitEntry) -> i64 {
        self.media_rate.nanos_floor(unit.decode.saturating_add(i64::from(unit.duration)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::aac::AacConfig;
    use crate::codec::opus::OpusConfig;
    use crate::codec::pcm::{PcmConfig, PcmEncoding};
    use crate::image::{Bursts, Framing, ImageRequest, ImageStorage, PacketImage};
    use crate::index::{IndexBuilder, SegmentId, TrackDescription};
    use crate::time::Npt;

    const TRACK: TrackId = TrackId(0);

    /// Units of so many bytes and ticks of their own clock.
    fn title(codec: CodecConfig, rate: ClockRate, units: &[(u32, u32)]) -> MediaIndex {
        let mut builder = IndexBuilder::new();
        let track = builder.add_track(TrackDescription::new(1, codec, rate)).unwrap();
        let (mut offset, mut time) = (0, 0);
        for (bytes, duration) in units {
            builder.push(track, offset, *bytes, time, time, *duration, true).unwrap();
            (offset, time) = (offset + u64::from(*bytes), time + i64::from(*duration));
        }
        builder.finish(Npt::from_nanos(rate.nanos_floor(time).unsigned_abs()))
    }

    /// The first unit of each packet of all segments, as they are laid out.
    fn laid_out(index: &MediaIndex, class: PayloadClass) -> Vec<u32> {
        let zeros = vec![0; 10_000];
        let firsts = (0..index.segment_count()).map(SegmentId).flat_map(|segment| {
            let request = ImageRequest {
                index,
                track: TRACK,
                segment,
                class,
                framing: Framing::Datagram,
                payload_type: 96,
                bursts: Bursts::default(),
            };
            let unit_bytes = |unit: &AccessUnitEntry| zeros.get(..unit.bytes as usize);
            let image = PacketImage::build(request, unit_bytes, ImageStorage::default()).unwrap();
            image.trains.into_iter().map(|train| train.unit)
        });
        let mut firsts: Vec<u32> = firsts.collect();
        firsts.dedup();
        firsts
    }

    #[test]
    fn bundles_are_those_that_are_laid_out() {
        let rate = |ticks| ClockRate::new(ticks).unwrap();
        let aac = CodecConfig::Aac(AacConfig::parse(&[0x11, 0x90]).unwrap());
        let pcm = CodecConfig::Pcm(PcmConfig {
            encoding: PcmEncoding::Signed16Little,
            rtp_rate: rate(8000),
            channels: 1,
        });
        let opus = CodecConfig::Opus(OpusConfig { channels: 2 });
        let odd = |unit: u32| (20 + unit * 37 % 600, if unit % 29 == 7 { 3000 } else { 1024 });
        let gaps: Vec<_> = (0..500).map(odd).collect();
        let holes: Vec<_> = gaps.iter().map(|(bytes, ticks)| (bytes / 200 * 60, *ticks)).collect();
        for (codec, rate, units) in [
            (aac.clone(), rate(48_000), vec![(300, 1024); 500]),
            (aac.clone(), rate(48_000), gaps),
            (aac.clone(), rate(48_000), holes),
            (aac.clone(), rate(1000), (0..300).map(|unit| (90, 21 + unit % 3 / 2)).collect()),
            (aac, rate(48_000), vec![(300, 1024), (6000, 1024), (300, 1024), (20, 1024)]),
            (pcm, rate(8000), vec![(480, 240); 200]),
            (opus, rate(48_000), vec![(100, 960); 200]),
        ] {
            let index = title(codec, rate, &units);
            for class in [576, 1400, 9000].map(|packet_bytes_max| PayloadClass { packet_bytes_max })
            {
                let firsts = laid_out(&index, class);
                let count = index.tracks[0].unit_count;
                for unit in (0..count).filter(|unit| units[*unit as usize].0 > 0) {
                    let bundle = bundle_of(&index, TRACK, unit, class);
                    let first = firsts.iter().rfind(|first| **first <= unit).unwrap();
                    assert_eq!(bundle.start, *first, "{unit} {class:?} {rate:?}");
                    // What has no bytes may be of either packet, or of none.
                    let next = firsts.iter().find(|first| **first > unit).unwrap_or(&count);
                    let sent = |unit: &u32| units[*unit as usize].0 > 0;
                    let end = (bundle.end..count).find(sent).unwrap_or(count);
                    assert_eq!(end, *next, "{unit} {class:?} {rate:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_there_is_alone() {
        let aac = CodecConfig::Aac(AacConfig::parse(&[0x11, 0x90]).unwrap());
        let index = title(aac, ClockRate::new(48_000).unwrap(), &[(300, 1024); 10]);
        let class = PayloadClass { packet_bytes_max: 1400 };
        assert_eq!(bundle_of(&index, TrackId(3), 7, class), 7..8);
        assert_eq!(bundle_of(&index, TRACK, u32::MAX, class).end, u32::MAX);
        assert_eq!(bundle_of(&index, TRACK, 5, class), 4..8);
    }
}
