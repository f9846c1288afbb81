//! How a segment's access units become packets, and packets become trains.

use super::adus::Adus;
use super::bundles::{Bundled, Clocks};
use super::joint::{Joint, Open};
use super::unwrapped::Unwrapped;
use super::{
    AHEAD_NANOS_MAX, Bursts, Framing, ImageRequest, ImageStorage, Numbered, Numbering, PacketImage,
    SPREAD_NANOS_MAX, TRAIN_PACKETS_MAX, Train, train_packets_max,
};
use crate::codec::CodecConfig;
use crate::index::AccessUnitEntry;
use crate::payload::{
    self, INTERLEAVED_PREFIX_BYTES, PACKET_BYTES_MIN, PacketWriter, Run, UnitError,
};
use crate::rtp::{HEADER_BYTES, Header};
use crate::time::ClockRate;
use crate::wrapping::Wrapping;
use std::fmt;

/// Why a segment could not be laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageError {
    /// The access unit in decode order at which it failed.
    pub unit: u32,
    /// What is wrong with it.
    pub kind: ImageErrorKind,
}

/// What is wrong with an access unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageErrorKind {
    /// Its bytes were not given.
    BytesMissing,
    /// It cannot be cut into packets.
    Unit(UnitError),
    /// The payload class is below [`PACKET_BYTES_MIN`] or leaves no room in a train.
    PayloadClass,
    /// The image's offsets would not fit 32 bits.
    ImageTooLarge,
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "access unit {}: ", self.unit)?;
        match self.kind {
            ImageErrorKind::BytesMissing => f.write_str("its bytes are missing"),
            ImageErrorKind::Unit(error) => error.fmt(f),
            ImageErrorKind::PayloadClass => f.write_str("the payload class is out of range"),
            ImageErrorKind::ImageTooLarge => f.write_str("the image exceeds 4 GiB"),
        }
    }
}

impl std::error::Error for ImageError {}

pub(super) fn build<'b>(
    request: &ImageRequest<'_>,
    unit_bytes: impl Fn(&AccessUnitEntry) -> Option<&'b [u8]>,
    storage: ImageStorage,
) -> Result<PacketImage, ImageError> {
    let track = &request.index.tracks[usize::from(request.track.0)];
    let units = || request.index.units(request.track, request.segment);
    let mut layout = Layout::new(request, storage, track.media_rate, track.codec.rtp_rate())?;
    layout.reserve(units());
    if let CodecConfig::Mp3Adu(_) = track.codec {
        let around = || request.index.units_around(request.track, request.segment);
        let adus = if track.wrapping == Wrapping::None {
            Adus::new(around(), unit_bytes)
        } else {
            let unwrapped = Unwrapped::new(&track.wrapping, around(), unit_bytes);
            Adus::new(around(), |unit| unwrapped.unit(unit))
        };
        layout.track(&track.codec, units(), |unit| adus.unit(unit))?;
    } else if track.wrapping == Wrapping::None {
        layout.track(&track.codec, units(), unit_bytes)?;
    } else {
        let unwrapped = Unwrapped::new(&track.wrapping, units(), unit_bytes);
        layout.track(&track.codec, units(), |unit| unwrapped.unit(unit))?;
    }
    let count = layout.trains.len();
    Ok(PacketImage {
        bytes: layout.writer.into_bytes(),
        trains: layout.trains,
        framing: request.framing,
        packet_count: layout.packet_count,
        segment: request.segment,
        track: request.track,
        payload_type: request.payload_type,
        numbered: Numbered::new(count),
    })
}

/// An image in the making.
struct Layout {
    writer: PacketWriter,
    trains: Vec<Train>,
    packet_count: u32,
    packet_bytes_max: u16,
    prefix_bytes: u16,
    burst_packets_max: u16,
    joint: Joint,
    clocks: Clocks,
}

impl Layout {
    fn new(
        request: &ImageRequest<'_>,
        storage: ImageStorage,
        media_rate: ClockRate,
        rtp_rate: ClockRate,
    ) -> Result<Self, ImageError> {
        let packet_bytes_max = request.class.packet_bytes_max;
        if packet_bytes_max < PACKET_BYTES_MIN || train_packets_max(packet_bytes_max) == 0 {
            return Err(ImageError { unit: 0, kind: ImageErrorKind::PayloadClass });
        }
        let Bursts { packets_max, joined_nanos } = request.bursts;
        let burst_packets_max = packets_max.clamp(1, TRAIN_PACKETS_MAX);
        let prefix_bytes = request.framing.prefix_bytes();
        let joint = Joint::new(joined_nanos.min(AHEAD_NANOS_MAX), burst_packets_max, prefix_bytes);
        let ImageStorage { mut bytes, mut trains } = storage;
        bytes.clear();
        trains.clear();
        let Numbering { ssrc, sequence, channel, .. } = Numbering::ZERO;
        let header = Header {
            marker: false,
            payload_type: request.payload_type,
            sequence,
            timestamp: 0,
            ssrc,
        };
        let channel = match request.framing {
            Framing::Datagram => None,
            Framing::Interleaved => Some(channel),
        };
        let writer = PacketWriter::new(bytes, header, channel, packet_bytes_max);
        Ok(Self {
            writer,
            trains,
            packet_count: 0,
            packet_bytes_max,
            prefix_bytes,
            burst_packets_max,
            joint,
            clocks: Clocks::new(media_rate, rtp_rate),
        })
    }

    /// Makes room for what the units will probably need, so that memory is taken once.
    fn reserve(&mut self, units: impl Iterator<Item = AccessUnitEntry>) {
        let overhead = INTERLEAVED_PREFIX_BYTES + HEADER_BYTES + 4;
        let payload_bytes_max = self.writer.payload_bytes_max();
        self.writer.reserve(
            units
                .map(|unit| unit.media_bytes as usize)
                .map(|bytes| bytes + (bytes / payload_bytes_max + 2) * overhead)
                .sum(),
        );
    }

    fn track<'b>(
        &mut self,
        codec: &CodecConfig,
        units: impl Iterator<Item = AccessUnitEntry>,
        unit_bytes: impl Fn(&AccessUnitEntry) -> Option<&'b [u8]>,
    ) -> Result<(), ImageError> {
        let mut bundle = Bundle::default();
        for unit in units.filter(|unit| unit.bytes > 0) {
            let missing = ImageError { unit: unit.index, kind: ImageErrorKind::BytesMissing };
            let bytes = unit_bytes(&unit).ok_or(missing)?;
            if bytes.is_empty() {
                continue;
            }
            if codec.is_video() {
                self.picture(codec, &unit, bytes)?;
            } else {
                self.sound(codec, unit, bytes, &mut bundle)?;
            }
        }
        self.end_bundle(codec, &mut bundle)
    }

    fn picture(
        &mut self,
        codec: &CodecConfig,
        unit: &AccessUnitEntry,
        bytes: &[u8],
    ) -> Result<(), ImageError> {
        let decode = self.clocks.media_rate.nanos_floor(unit.decode);
        let room = self.writer.payload_bytes_max();
        // Planned packets are as long as they are.
        if !matches!(codec, CodecConfig::Hinted(_))
            && let Some(open) = self.joint.open_for(unit, decode, room)
            && self.join(codec, unit, bytes, open)?
        {
            return Ok(());
        }
        self.begin_unit(unit);
        self.write_picture(codec, unit, bytes)?;
        self.end_unit(unit, None)
    }

    /// Lays out a picture in packets as long as those before it, if that makes one train that may
    /// leave with them. Whether it does.
    fn join(
        &mut self,
        codec: &CodecConfig,
        unit: &AccessUnitEntry,
        bytes: &[u8],
        open: Open,
    ) -> Result<bool, ImageError> {
        let place = self.writer.place();
        self.writer.pad(open.last_packet_bytes, open.padding_bytes(), 0);
        self.writer.limit(open.packet_bytes, true);
        self.begin_unit(unit);
        let written = self.write_picture(codec, unit, bytes);
        self.writer.limit(self.packet_bytes_max, false);
        // Formats that may not cut refuse packets that are too short for them.
        let fits = match self.writer.runs() {
            [run] if written.is_ok() => self.joint.fits(&open, run.packet_count, run.packet_bytes),
            _ => false,
        };
        if !fits {
            self.writer.go_back(place);
            self.writer.unpad(open.last_packet_bytes);
            self.joint.misfit();
            return Ok(false);
        }
        self.pad_train(&open);
        self.end_unit(unit, Some(open))?;
        Ok(true)
    }

    /// The last packet of the last train was padded.
    fn pad_train(&mut self, open: &Open) {
        let train = self.trains.last_mut().expect("it is open");
        train.padding_bytes = open.padding_bytes();
        train.last_packet_bytes += u16::from(open.padding_bytes());
        if train.packet_count == 1 {
            train.packet_bytes = train.last_packet_bytes;
        }
    }

    fn write_picture(
        &mut self,
        codec: &CodecConfig,
        unit: &AccessUnitEntry,
        bytes: &[u8],
    ) -> Result<(), ImageError> {
        payload::write_picture(&mut self.writer, codec, bytes, unit.sync)
            .map_err(|error| ImageError { unit: unit.index, kind: ImageErrorKind::Unit(error) })
    }

    fn sound<'b>(
        &mut self,
        codec: &CodecConfig,
        unit: AccessUnitEntry,
        bytes: &'b [u8],
        bundle: &mut Bundle<'b>,
    ) -> Result<(), ImageError> {
        let joins = bundle.so_far.as_ref().is_none_or(|so_far| {
            self.clocks.may_join(&self.writer, codec, so_far, &unit, bytes.len())
        });
        if !joins {
            self.end_bundle(codec, bundle)?;
        }
        bundle.so_far.get_or_insert(Bundled::new(unit)).add(bytes.len());
        bundle.units.push(bytes);
        Ok(())
    }

    fn end_bundle(
        &mut self,
        codec: &CodecConfig,
        bundle: &mut Bundle<'_>,
    ) -> Result<(), ImageError> {
        if let Some(Bundled { first, .. }) = bundle.so_far.take() {
            self.begin_unit(&first);
            payload::write_sound(&mut self.writer, codec, &bundle.units).map_err(|error| {
                ImageError { unit: first.index, kind: ImageErrorKind::Unit(error) }
            })?;
            let joined = self.join_packet(codec, &first);
            self.end_unit(&first, joined)?;
        }
        bundle.units.clear();
        Ok(())
    }

    /// Joins a bundle that became one packet to the trains before it, if they may leave together.
    fn join_packet(&mut self, codec: &CodecConfig, first: &AccessUnitEntry) -> Option<Open> {
        let &[Run { packet_count: 1, packet_bytes, .. }] = self.writer.runs() else { return None };
        let decode = self.clocks.media_rate.nanos_floor(first.decode);
        let open = self.joint.open_for_packet(packet_bytes, decode);
        // Planned packets are as long as they are.
        let open = open.filter(|_| !matches!(codec, CodecConfig::Hinted(_)))?;
        self.writer.pad(open.last_packet_bytes, open.padding_bytes(), packet_bytes);
        self.pad_train(&open);
        Some(open)
    }

    fn begin_unit(&mut self, unit: &AccessUnitEntry) {
        self.writer.begin_unit(Numbering::ZERO.timestamp(self.clocks.timestamp(unit)));
    }

    /// Makes trains of the packets just written. A unit's last train is due at its decode time;
    /// those of a big one lie before it in proportion to the packets still to come.
    fn end_unit(&mut self, unit: &AccessUnitEntry, joined: Option<Open>) -> Result<(), ImageError> {
        let too_large = ImageError { unit: unit.index, kind: ImageErrorKind::ImageTooLarge };
        let end = u32::try_from(self.writer.bytes().len()).map_err(|_| too_large)?;
        let runs = self.writer.runs();
        let unit_bytes: u32 = runs.iter().map(Run::bytes).sum();
        let unit_packets: u32 = runs.iter().map(|run| run.packet_count).sum();
        let decode = self.clocks.media_rate.nanos_floor(unit.decode);
        let (burst, spread) = if unit_packets > u32::from(self.burst_packets_max) {
            (self.burst_packets_max, self.spread_nanos(unit, decode))
        } else {
            (TRAIN_PACKETS_MAX, 0)
        };
        let timestamp = self.clocks.timestamp(unit);
        let mut offset = end - unit_bytes;
        let mut behind = unit_packets;
        let before = self.trains.len();
        let prefix_bytes = self.prefix_bytes;
        for part in runs.iter().flat_map(|run| split(*run, burst, prefix_bytes)) {
            behind -= part.packet_count;
            self.trains.push(Train {
                due: decode.saturating_sub(spread * i64::from(behind) / i64::from(unit_packets)),
                timestamp,
                unit: unit.index,
                offset,
                #[allow(clippy::cast_possible_truncation, reason = "at most TRAIN_PACKETS_MAX")]
                packet_count: part.packet_count as u16,
                packet_bytes: part.packet_bytes,
                last_packet_bytes: part.last_packet_bytes,
                ends_unit: behind == 0,
                padding_bytes: 0,
            });
            offset += part.bytes();
            self.packet_count += part.packet_count;
        }
        let count = self.trains.len() - before;
        self.joint.laid_out(joined, self.trains.last().filter(|_| count == 1));
        Ok(())
    }

    /// How long before `due` a big access unit may begin to leave: not before the end of the unit
    /// in front of it, so that trains are due in the order in which they leave.
    fn spread_nanos(&self, unit: &AccessUnitEntry, due: i64) -> i64 {
        let since_previous =
            self.trains.last().map_or(i64::MAX, |train| due.saturating_sub(train.due));
        let duration = self.clocks.media_rate.nanos_floor(i64::from(unit.duration));
        duration.min(SPREAD_NANOS_MAX).min(since_previous).max(0)
    }
}

/// Cuts a run into parts of equal packet counts that a train may have: at most `packet_count_max`
/// packets, and as many as fit a train in either framing.
fn split(run: Run, packet_count_max: u16, prefix_bytes: u16) -> impl Iterator<Item = Run> {
    let fit = train_packets_max(run.packet_bytes - prefix_bytes);
    let most = u32::from(packet_count_max).min(fit);
    let count = run.packet_count.div_ceil(run.packet_count.div_ceil(most));
    (0..run.packet_count).step_by(count as usize).map(move |first| {
        let left = run.packet_count - first;
        let last = if left > count { run.packet_bytes } else { run.last_packet_bytes };
        Run { packet_count: left.min(count), last_packet_bytes: last, ..run }
    })
}

/// Consecutive audio access units that will share a packet.
#[derive(Default)]
struct Bundle<'b> {
    so_far: Option<Bundled>,
    units: Vec<&'b [u8]>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation)]

    use super::super::testing::{NUMBERING, Title, check};
    use super::*;
    use crate::codec::mpeg_audio::MpegAudioConfig;
    use crate::codec::nal::NalError;
    use crate::payload::aac;
    use crate::rtp::{Packet, Ssrc};

    /// Bytes and milliseconds; 44,357 bytes are 32 packets of 1400.
    const UNITS: [(usize, u32); 7] =
        [(100_000, 40), (9, 40), (45_000, 5), (45_000, 40), (1391, 40), (1392, 40), (44_357, 100)];

    #[test]
    fn video_keeps_every_promise_of_an_image() {
        let title = Title::video(&UNITS);
        for packet_bytes_max in [64, 576, 1400, 9000, 65_503] {
            for framing in [Framing::Datagram, Framing::Interleaved] {
                let request = title.request(packet_bytes_max, framing);
                check(&mut title.build(request).unwrap(), packet_bytes_max);
                let bursts = Bursts { joined_nanos: 0, ..request.bursts };
                let mut image = title.build(ImageRequest { bursts, ..request }).unwrap();
                check(&mut image, packet_bytes_max);
                let ends: Vec<_> =
                    image.trains.iter().filter(|t| t.ends_unit).map(|t| (t.unit, t.due)).collect();
                let decodes = [0, 40, 80, 85, 125, 165, 205].map(|ms| ms * 1_000_000);
                assert!(ends.into_iter().eq((0..).zip(decodes)), "{packet_bytes_max}");
                assert_eq!(image.trains[0].timestamp, 80 * 90);
            }
        }
    }

    #[test]
    fn big_access_units_are_spread_and_others_are_not() {
        let title = Title::video(&UNITS);
        let image = title.build(title.request(1400, Framing::Datagram)).unwrap();
        let trains_of = |unit| {
            let trains = image.trains.iter().filter(move |train| train.unit == unit);
            trains.map(|train| (train.packet_count, train.due / 100_000)).collect::<Vec<_>>()
        };
        assert_eq!(trains_of(0), [(25, -263), (25, -126), (23, 0)]);
        assert_eq!(trains_of(2), [(17, 775), (16, 800)]); // it lasts 5 ms
        assert_eq!(trains_of(3), [(17, 825), (16, 850)]); // 5 ms behind the one before
        assert_eq!(trains_of(6), [(32, 2050)]);
    }

    #[test]
    fn audio_units_share_packets_of_up_to_100_ms() {
        type Row = (u32, u32, &'static [(usize, u32)], &'static [u32]);
        // RTP rate, media rate, units, first unit of each train.
        let tables: [Row; 7] = [
            (48_000, 48_000, &[(300, 1024); 9], &[0, 4, 8]),
            (48_000, 48_000, &[(400, 1024); 7], &[0, 3, 6]),
            (8000, 8000, &[(100, 1024); 3], &[0, 1, 2]),
            (22_050, 22_050, &[(100, 1024); 3], &[0, 2]),
            // A gap behind unit 1; a clock that rounds; a unit of no bytes.
            (48_000, 48_000, &[(300, 1024), (300, 2000), (300, 1024), (300, 1024)], &[0, 2]),
            (48_000, 1000, &[(300, 21), (300, 22), (300, 21), (300, 21)], &[0]),
            (48_000, 48_000, &[(300, 1024), (0, 1024), (300, 1024), (300, 1024)], &[0, 2]),
        ];
        for (rtp_rate, media_rate, units, firsts) in tables {
            let title = Title::audio(rtp_rate, media_rate, units);
            for framing in [Framing::Datagram, Framing::Interleaved] {
                let mut image = title.build(title.request(1400, framing)).unwrap();
                check(&mut image, 1400);
                let found: Vec<_> = image.trains.iter().map(|train| train.unit).collect();
                assert_eq!(found, firsts, "{units:?}");
                let decode: u32 =
                    units[..firsts[firsts.len() - 1] as usize].iter().map(|unit| unit.1).sum();
                let timestamp = u64::from(decode) * u64::from(rtp_rate) / u64::from(media_rate);
                assert_eq!(image.trains.last().unwrap().timestamp as u64, timestamp);
            }
        }
        let title = Title::audio(48_000, 48_000, &[(300, 1024), (5000, 1024), (300, 1024)]);
        let mut image = title.build(title.request(1400, Framing::Datagram)).unwrap();
        check(&mut image, 1400);
        let counts: Vec<_> = image.trains.iter().map(|t| (t.unit, t.packet_count)).collect();
        assert_eq!(counts, [(0, 1), (1, 4), (2, 1)], "a fragmented unit is alone");
    }

    #[test]
    fn stamped_headers_are_those_of_numbered_packets() {
        let (sample_rate, channels) = (ClockRate::new(48_000).unwrap(), 2);
        let frames = MpegAudioConfig { sample_rate, channels, frame_samples: 1152 };
        for title in [
            Title::video(&UNITS),
            Title::audio(48_000, 48_000, &[(300, 1024); 50]),
            // Without markers.
            Title::new(CodecConfig::MpegAudio(frames), 48_000, &[(300, 1152); 50], 0, |_| true),
        ] {
            for framing in [Framing::Datagram, Framing::Interleaved] {
                let image = title.build(title.request(1400, framing)).unwrap();
                let mut numbered = title.build(title.request(1400, framing)).unwrap();
                numbered.number_all(NUMBERING, 1);
                let header_bytes = image.header_bytes();
                let (mut stamped, mut sequence) = (Vec::new(), NUMBERING.sequence);
                for train in &image.trains {
                    let numbering = Numbering { sequence, ..NUMBERING };
                    for packet in 0..train.packet_count {
                        let (start, bytes) = train.packet_range(packet);
                        image.stamp(train, packet, &numbering, &mut stamped);
                        let payload = start as usize + header_bytes..(start + bytes) as usize;
                        stamped.extend_from_slice(&image.bytes[payload]);
                    }
                    sequence = sequence.wrapping_add(train.packet_count);
                }
                assert!(stamped == numbered.bytes);
            }
        }
    }

    #[test]
    fn a_train_is_one_viewers_for_a_turn() {
        let title = Title::video(&UNITS);
        let mut image = title.build(title.request(1400, Framing::Interleaved)).unwrap();
        let other = Numbering { ssrc: Ssrc(8), sequence: 1, timestamp_zero: 5, channel: 6 };
        let header = |image: &PacketImage, packet: u16| {
            let (start, bytes) = image.trains[0].packet_range(packet);
            let bytes = &image.bytes[start as usize..(start + bytes) as usize];
            (bytes[1], Packet::parse(&bytes[4..]).unwrap().header.sequence)
        };
        let [first, second] = [image.trains[0], image.trains[1]];
        assert!(image.number((0, &first), 0, &NUMBERING, 1));
        assert!(!image.number((0, &first), 0, &other, 1));
        assert_eq!((header(&image, 0), header(&image, 2)), ((4, 0xfff0), (4, 0xfff2)));
        assert!(image.number((1, &second), 0, &other, 1), "others are free");
        assert!(image.number((0, &first), 2, &other, 2), "and it is, in the next turn");
        assert_eq!((header(&image, 1), header(&image, 2)), ((4, 0xfff1), (6, 3)));
    }

    #[test]
    fn an_image_made_from_the_other_framing_is_the_one_made_from_the_file() {
        let titles = [
            Title::video(&UNITS),
            Title::audio(48_000, 48_000, &[(300, 1024), (5000, 1024), (40, 1024)]),
        ];
        let framings = [Framing::Datagram, Framing::Interleaved];
        for (title, class) in titles.iter().flat_map(|title| [512, 1400, 1472].map(|c| (title, c)))
        {
            for (from, to) in [(0, 1), (1, 0)] {
                let mut source = title.build(title.request(class, framings[from])).unwrap();
                let mut expected = title.build(title.request(class, framings[to])).unwrap();
                let dirty = ImageStorage { bytes: vec![9; 100], trains: source.trains.clone() };
                let made = source.reframed(framings[to], dirty);
                assert!(made.bytes == expected.bytes, "{class} {from}");
                assert_eq!(made.trains, expected.trains);
                assert_eq!(
                    (made.framing, made.packet_count, made.segment, made.track),
                    (framings[to], expected.packet_count, expected.segment, expected.track)
                );
                source.number_all(NUMBERING, 1);
                let mut made = source.reframed(framings[to], ImageStorage::default());
                made.number_all(NUMBERING, 1);
                expected.number_all(NUMBERING, 1);
                assert!(made.bytes == expected.bytes, "{class} {from}, once numbered");
            }
        }
    }

    #[test]
    fn memory_is_used_again() {
        let title = Title::video(&UNITS);
        let request = title.request(1400, Framing::Datagram);
        let first = title.build(request).unwrap();
        let (bytes, memory) = (first.bytes.clone(), first.memory_bytes());
        let place = first.bytes.as_ptr();
        let unit_bytes = |unit: &AccessUnitEntry| {
            title.file.get(unit.offset as usize..(unit.offset + u64::from(unit.bytes)) as usize)
        };
        let second = PacketImage::build(request, unit_bytes, first.into_storage()).unwrap();
        assert!(second.bytes == bytes && second.bytes.as_ptr() == place);
        assert_eq!(second.memory_bytes(), memory);
        assert!(memory < title.file.len() * 11 / 10, "the estimate is close");
    }

    #[test]
    fn malformed_units_are_named() {
        let error = |unit, kind| Some(ImageError { unit, kind });
        let mut title = Title::video(&[(100, 40), (100, 40)]);
        title.file[103] = 97;
        let nal = NalError { position: 0, declared_bytes: 97 };
        let request =
            |title: &Title, bytes| title.build(title.request(bytes, Framing::Datagram)).err();
        assert_eq!(request(&title, 1400), error(1, ImageErrorKind::Unit(UnitError::Nal(nal))));
        title.file.truncate(150);
        assert_eq!(request(&title, 1400), error(1, ImageErrorKind::BytesMissing));
        assert_eq!(request(&title, 63), error(0, ImageErrorKind::PayloadClass));
        assert_eq!(request(&title, 65_508), error(0, ImageErrorKind::PayloadClass));
        let audio = Title::audio(48_000, 48_000, &[(8191, 1024), (8192, 1024)]);
        let large = UnitError::TooLarge { bytes_max: aac::UNIT_BYTES_MAX };
        assert_eq!(request(&audio, 1400), error(1, ImageErrorKind::Unit(large)));
    }
}
