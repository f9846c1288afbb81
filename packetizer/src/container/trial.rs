//! What only access units show: whether they can be sent, since some payload formats cannot tell
//! all that their codec may hold, and parameter sets that are in the stream alone.

use super::{Demand, IndexError, LayerIii};
use crate::codec::CodecConfig;
use crate::codec::layer_iii::Frame;
use crate::index::{AccessUnitEntry, MediaIndex, SkipReason, TrackId};
use crate::payload;

/// Bytes of the packets that are tried: what the server sends unless it is told otherwise.
const PACKET_BYTES_MAX: u16 = 1400;
/// Sound of units no longer than this is always sent.
const SOUND_BYTES_SURE: u32 = 1280;
/// Longer units are not tried.
const UNIT_BYTES_MAX: u32 = 4 << 20;

/// Reads a unit of each track that may not be sent and lays it out, the first sync sample of each
/// without parameter sets, and the first unit of MPEG audio, whose layer it tells.
///
/// Of pictures the first shows what all are like; of sound the longest, because frames that may not
/// be cut must fit a packet.
#[derive(Debug)]
pub(super) struct Trial {
    index: MediaIndex,
    layer_iii: LayerIii,
    /// What is to be tried yet.
    units: Vec<(TrackId, AccessUnitEntry)>,
    refused: Vec<(TrackId, SkipReason)>,
}

impl Trial {
    pub(super) fn new(index: MediaIndex, layer_iii: LayerIii) -> Self {
        let tracks = (0..).map(TrackId).take(index.tracks.len());
        let units = tracks.flat_map(|track| {
            let units =
                [first(&index, track, layer_iii), longest(&index, track), sync(&index, track)];
            units.into_iter().flatten().map(move |unit| (track, unit))
        });
        let units = units.filter(|(_, unit)| (1..=UNIT_BYTES_MAX).contains(&unit.bytes)).collect();
        Self { index, layer_iii, units, refused: Vec::new() }
    }

    /// The bytes it wants next; `None` when all has been tried.
    pub(super) fn demand(&self) -> Option<Demand> {
        let (_, unit) = self.units.last()?;
        Some(Demand { offset: unit.offset, bytes: unit.bytes })
    }

    /// Takes the bytes of the current demand.
    pub(super) fn supply(&mut self, bytes: &[u8]) {
        let Some((track, unit)) = self.units.pop() else { return };
        let Some(described) = self.index.tracks.get_mut(usize::from(track.0)) else { return };
        let mut unwrapped = Vec::new();
        described.wrapping.unwrap(unit.offset, bytes, &mut unwrapped);
        let own = if unwrapped.is_empty() { bytes } else { &unwrapped };
        if let CodecConfig::H264(config) = &mut described.codec {
            return config.take_sets(own);
        }
        if let CodecConfig::H265(config) = &mut described.codec {
            return config.take_sets(own);
        }
        if let CodecConfig::MpegAudio(config) = &described.codec
            && self.layer_iii == LayerIii::Adus
            && Frame::parse(own).is_some_and(|f| f.head.len() + f.data.len() == own.len())
        {
            described.codec = CodecConfig::Mp3Adu(config.clone());
            return;
        }
        let tried = payload::try_unit(&described.codec, own, unit.sync, PACKET_BYTES_MAX);
        let is_new = self.refused.iter().all(|(refused, _)| *refused != track);
        if let Err(error) = tried
            && is_new
        {
            let reason = SkipReason::Payload { bytes: unit.media_bytes, why: error.to_string() };
            self.refused.push((track, reason));
        }
    }

    /// The index without the tracks that cannot be sent.
    pub(super) fn finish(mut self) -> Result<MediaIndex, IndexError> {
        for (id, track) in (0..).map(TrackId).zip(&self.index.tracks) {
            if lacks_parameter_sets(&track.codec) {
                let why = "neither its description nor its first picture has parameter sets";
                self.refused.push((id, SkipReason::Config(why)));
            }
        }
        self.index.leave_out(self.refused);
        if self.index.tracks.is_empty() {
            return Err(IndexError::NoPlayableTrack { tracks: self.index.skipped });
        }
        Ok(self.index)
    }
}

/// The first unit of a track whose payload format cannot tell everything, or depends on it.
fn first(index: &MediaIndex, track: TrackId, layer_iii: LayerIii) -> Option<AccessUnitEntry> {
    let codec = &index.tracks.get(usize::from(track.0))?.codec;
    let is_tried = matches!(codec, CodecConfig::Jpeg | CodecConfig::Amr(_))
        || matches!(codec, CodecConfig::MpegAudio(_)) && layer_iii == LayerIii::Adus;
    let mut units = index.all_units(track).take(EMPTY_MAX).filter(|_| is_tried);
    units.find(|unit| unit.bytes > 0)
}

/// The first sync sample of a track whose parameter sets are in the stream alone.
fn sync(index: &MediaIndex, track: TrackId) -> Option<AccessUnitEntry> {
    let described = index.tracks.get(usize::from(track.0))?;
    let first = lacks_parameter_sets(&described.codec).then(|| index.next_sync(track, 0))?;
    index.unit(track, first.unwrap_or(0))
}

const fn lacks_parameter_sets(codec: &CodecConfig) -> bool {
    if let CodecConfig::H264(config) = codec {
        return !config.is_complete();
    }
    if let CodecConfig::H265(config) = codec {
        return !config.is_complete();
    }
    false
}

/// Units without bytes that are passed over.
const EMPTY_MAX: usize = 64;

/// The longest unit of sound, if it is so long that it may not be sent.
fn longest(index: &MediaIndex, track: TrackId) -> Option<AccessUnitEntry> {
    let described = index.tracks.get(usize::from(track.0))?;
    // Planned packets have been measured.
    let is_sure = described.codec.is_video() || matches!(described.codec, CodecConfig::Hinted(_));
    if is_sure || described.unit_bytes_max <= SOUND_BYTES_SURE {
        return None;
    }
    index.all_units(track).find(|unit| unit.media_bytes == described.unit_bytes_max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::opus::OpusConfig;
    use crate::index::{IndexBuilder, TrackDescription};
    use crate::time::{ClockRate, Npt};
    use crate::wrapping::Wrapping;

    /// Two tracks of Opus with units of these lengths.
    fn index(lengths: [&[u32]; 2]) -> MediaIndex {
        let mut builder = IndexBuilder::new();
        for (number, lengths) in (7..).zip(lengths) {
            let codec = CodecConfig::Opus(OpusConfig { channels: 2 });
            let rate = ClockRate::new(48_000).unwrap();
            let wrapping = Wrapping::Prefix([9; 8][..].into());
            let description =
                TrackDescription { wrapping, ..TrackDescription::new(number, codec, rate) };
            let track = builder.add_track(description).unwrap();
            for (at, bytes) in (0..).zip(lengths) {
                let (offset, time) = (at as u64 * 10, at * 960);
                builder.push(track, offset, *bytes, time, time, 960, true).unwrap();
            }
        }
        builder.finish(Npt::from_nanos(60_000_000))
    }

    #[test]
    fn tracks_that_cannot_be_sent_are_left_out_by_name() {
        let reason = SkipReason::Payload {
            bytes: 1389,
            why: "more than the 1388 bytes that the payload format can tell".to_owned(),
        };
        for (lengths, demanded, left) in [
            ([&[3, 1271][..], &[5]], None, &[7, 8][..]),
            ([&[3, 1380, 8], &[5]], Some((10, 1380)), &[7, 8]),
            ([&[3, 8, 1381], &[5, 9]], Some((20, 1381)), &[8]),
            ([&[3], &[5, 1381]], Some((10, 1381)), &[7]),
            ([&[1381], &[0]], Some((0, 1381)), &[8]),
        ] {
            let mut trial = Trial::new(index(lengths), LayerIii::Frames);
            let demand = trial.demand().map(|demand| (demand.offset, demand.bytes));
            assert_eq!(demand, demanded, "{lengths:?}");
            while let Some(demand) = trial.demand() {
                trial.supply(&vec![1; demand.bytes as usize]);
            }
            let index = trial.finish().unwrap();
            let ids: Vec<_> = index.tracks.iter().map(|track| track.container_id).collect();
            assert_eq!(ids, left, "{lengths:?}");
            assert!(index.skipped.iter().all(|skipped| skipped.reason == reason));
            assert_eq!(index.skipped.len(), 2 - left.len());
            for (position, container_id) in (0..).zip(left) {
                let expected = lengths[*container_id as usize - 7].len();
                assert_eq!(index.all_units(TrackId(position)).count(), expected, "{lengths:?}");
            }
        }
    }

    #[test]
    fn layer_iii_is_delivered_as_is_asked_for() {
        use crate::codec::mpeg_audio::FrameHeader;
        let frame = |header: [u8; 4], bytes| {
            let mut frame = header.to_vec();
            frame.resize(bytes, 7);
            frame
        };
        let third = frame([0xff, 0xfb, 0x90, 0], 417);
        for (unit, layer_iii, expected) in [
            (&third, LayerIii::Adus, true),
            (&third, LayerIii::Frames, false),
            (&[&third[..], &third].concat(), LayerIii::Adus, false), // two in a unit
            (&third[..416].to_vec(), LayerIii::Adus, false),
            (&frame([0xff, 0xfd, 0x80, 0], 417), LayerIii::Adus, false), // layer II
        ] {
            let config = FrameHeader::parse(unit).unwrap().config();
            let codec = CodecConfig::MpegAudio(config.clone());
            let description = TrackDescription::new(1, codec, config.sample_rate);
            let mut builder = IndexBuilder::new();
            let track = builder.add_track(description).unwrap();
            let bytes = u32::try_from(unit.len()).unwrap();
            builder.push(track, 0, 0, 0, 0, 1152, true).unwrap();
            builder.push(track, 9, bytes, 1152, 1152, 1152, true).unwrap();
            let mut trial = Trial::new(builder.finish(Npt::ZERO), layer_iii);
            let demand = (layer_iii == LayerIii::Adus).then_some(Demand { offset: 9, bytes });
            assert_eq!(trial.demand(), demand);
            trial.supply(unit);
            assert_eq!(trial.demand(), None);
            let index = trial.finish().unwrap();
            let codec = &index.tracks[0].codec;
            assert_eq!(*codec == CodecConfig::Mp3Adu(config), expected, "{}", unit.len());
        }
    }

    #[test]
    fn parameter_sets_are_taken_from_the_first_sync_sample() {
        use crate::codec::h264::H264Config;
        use crate::codec::h265::H265Config;
        let h264 = || H264Config::parse(&[1, 66, 0, 10, 0xfc, 0xe0, 0]).unwrap();
        let mut record = [0; 23];
        record[0] = 1;
        let h265 = || H265Config::parse(&record).unwrap();
        let h264_unit = [5, 9, 9, 9, 9, 9, 5, 0x67, 66, 0, 10, 1, 3, 0x68, 2, 3, 2, 0x65, 1];
        let h265_unit = [3, 0x40, 1, 7, 3, 0x42, 1, 8, 3, 0x44, 1, 9, 3, 0x26, 1, 4];
        for (codec, unit, expected) in [
            (CodecConfig::H264(h264()), &h264_unit[..], true),
            (CodecConfig::H264(h264()), &h264_unit[..14], false),
            (CodecConfig::H265(h265()), &h265_unit, true),
            (CodecConfig::H265(h265()), &h265_unit[4..], false),
        ] {
            let mut builder = IndexBuilder::new();
            let description = TrackDescription::new(3, codec, ClockRate::VIDEO);
            let track = builder.add_track(description).unwrap();
            let bytes = u32::try_from(unit.len()).unwrap();
            for (time, sync) in [(0_i64, false), (10, true), (20, true)] {
                let offset = 100 + time.unsigned_abs();
                builder.push(track, offset, bytes, time, time, 10, sync).unwrap();
            }
            let mut trial = Trial::new(builder.finish(Npt::from_nanos(9)), LayerIii::Frames);
            assert_eq!(trial.demand(), Some(Demand { offset: 110, bytes }));
            trial.supply(unit);
            assert_eq!(trial.demand(), None);
            match trial.finish() {
                Ok(index) => {
                    assert!(expected && !lacks_parameter_sets(&index.tracks[0].codec));
                    let CodecConfig::H264(config) = &index.tracks[0].codec else { continue };
                    assert_eq!(config.profile_level_id(), [66, 0, 10]);
                    assert_eq!(config.picture_parameter_sets, [[0x68, 2, 3]]);
                }
                Err(error) => assert!(!expected, "{error}"),
            }
        }
    }

    /// A JPEG image with this kind of frame, sampled so, of this width.
    fn jpeg(frame: u8, luma: u8, width: u16, huffman: &[u8]) -> Vec<u8> {
        let segment = |marker: u8, body: &[u8]| {
            let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
            [&[0xff, marker], &length[..], body].concat()
        };
        let [w0, w1] = width.to_be_bytes();
        [
            vec![0xff, 0xd8],
            segment(0xdb, &[&[0][..], &[7; 64]].concat()),
            segment(frame, &[8, 0, 8, w0, w1, 3, 1, luma, 0, 2, 0x11, 0, 3, 0x11, 0]),
            segment(0xc4, huffman),
            segment(0xda, &[3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0]),
            vec![1, 2, 3, 0xff, 0xd9],
        ]
        .concat()
    }

    /// A track of units that are stored one behind the other.
    fn stored(codec: CodecConfig, units: &[Vec<u8>]) -> MediaIndex {
        let mut builder = IndexBuilder::new();
        let rate = codec.rtp_rate();
        let track = builder.add_track(TrackDescription::new(1, codec, rate)).unwrap();
        let mut offset = 0;
        for (time, unit) in (0..).zip(units) {
            let bytes = u32::try_from(unit.len()).unwrap();
            builder.push(track, offset, bytes, time, time, 1, true).unwrap();
            offset += u64::from(bytes);
        }
        builder.finish(Npt::from_nanos(1_000_000_000))
    }

    #[test]
    fn images_and_speech_that_cannot_be_told_are_refused_by_name() {
        use crate::codec::amr::AmrConfig;
        let image = |frame, luma, width, huffman: &[u8]| {
            (CodecConfig::Jpeg, vec![vec![], jpeg(frame, luma, width, huffman), vec![1]])
        };
        let narrow = || CodecConfig::Amr(AmrConfig { is_wideband: false });
        let wide = || CodecConfig::Amr(AmrConfig { is_wideband: true });
        let frame = |kind: u8, bytes: usize| [&[kind << 3][..], &vec![5; bytes]].concat();
        let codes = [&[0; 17][..], &[1]].concat();
        for ((codec, units), refused) in [
            (image(0xc0, 0x22, 640, &[]), None),
            (image(0xc0, 0x21, 2040, &[]), None),
            (image(0xc2, 0x22, 640, &[]), Some("progressive JPEG has no payload format")),
            (image(0xc1, 0x22, 640, &[]), Some("JPEG other than baseline has no payload format")),
            (image(0xc0, 0x11, 640, &[]), Some("JPEG sampled otherwise than 4:2:2 and 4:2:0")),
            (image(0xc0, 0x22, 2041, &[]), Some("JPEG of more than 2040 pixels a side, or none")),
            (image(0xc0, 0x22, 640, &codes), Some("JPEG with Huffman tables of its own")),
            ((CodecConfig::Jpeg, vec![b"BM".to_vec()]), Some("not a JPEG image")),
            // Of pictures the first is looked at, and no other.
            ((CodecConfig::Jpeg, vec![jpeg(0xc0, 0x22, 8, &[]), vec![1]]), None),
            ((narrow(), vec![vec![], frame(7, 31), frame(12, 0)]), None),
            ((wide(), vec![frame(8, 60)]), None),
            ((narrow(), vec![frame(7, 30)]), Some("an AMR frame is cut short")),
            (
                (narrow(), vec![vec![], frame(12, 3)]),
                Some("an AMR frame of a type without a length"),
            ),
            ((wide(), vec![frame(8, 59)]), Some("an AMR frame is cut short")),
            // Of sound the first, and the longest where it may be too long.
            ((wide(), vec![frame(8, 60), frame(10, 9)]), None),
            (
                (wide(), vec![frame(8, 60), vec![15 << 3; 1388]]),
                Some("more than the 1387 bytes that the payload format can tell"),
            ),
            ((wide(), vec![frame(8, 60), vec![15 << 3; 1387]]), None),
        ] {
            let name = format!("{codec:?} {:x?}", units.last());
            let file = units.concat();
            let mut trial = Trial::new(stored(codec, &units), LayerIii::Frames);
            while let Some(Demand { offset, bytes }) = trial.demand() {
                let start = usize::try_from(offset).unwrap();
                assert!(bytes > 0, "{name}");
                trial.supply(&file[start..start + bytes as usize]);
            }
            let found = trial.finish().map_err(|error| error.to_string());
            match (found, refused) {
                (Ok(index), None) => assert!(index.skipped.is_empty(), "{name}"),
                (Err(error), Some(why)) => assert!(error.ends_with(why), "{name}: {error}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
    }

    #[test]
    fn nothing_that_can_be_sent_is_no_title() {
        let mut trial = Trial::new(index([&[1381], &[1382]]), LayerIii::Frames);
        while let Some(demand) = trial.demand() {
            trial.supply(&vec![1; demand.bytes as usize]);
        }
        let error = trial.finish().unwrap_err().to_string();
        assert!(error.starts_with("no track can be delivered; track "), "{error}");
        assert!(
            error.contains("an access unit of 1390 bytes cannot be sent: more than"),
            "{error}"
        );
    }
}
