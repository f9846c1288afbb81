//! Titles of made-up units, and what every image promises.
#![allow(clippy::cast_possible_truncation)]

use super::{
    Bursts, Framing, ImageError, ImageRequest, ImageStorage, Numbering, PacketImage, PayloadClass,
    TRAIN_BYTES_MAX, TRAIN_PACKETS_MAX,
};
use crate::codec::CodecConfig;
use crate::codec::aac::AacConfig;
use crate::codec::h264::H264Config;
use crate::codec::nal::NalFraming;
use crate::index::{
    AccessUnitEntry, IndexBuilder, MediaIndex, SegmentId, TrackDescription, TrackId,
};
use crate::rtp::{Packet, Ssrc};
use crate::time::{ClockRate, Npt};

pub(super) const NUMBERING: Numbering =
    Numbering { ssrc: Ssrc(7), sequence: 0xfff0, timestamp_zero: 0xffff_ff00, channel: 4 };

/// A track of one segment, and its bytes.
pub(super) struct Title {
    index: MediaIndex,
    pub(super) file: Vec<u8>,
}

impl Title {
    /// Units of so many bytes, each `duration` after the one before, shown `composition` later.
    pub(super) fn new(
        codec: CodecConfig,
        rate: u32,
        units: &[(usize, u32)],
        composition: i64,
        is_sync: impl Fn(usize) -> bool,
    ) -> Self {
        let description = TrackDescription::new(1, codec, ClockRate::new(rate).unwrap());
        let mut builder = IndexBuilder::new();
        let track = builder.add_track(description).unwrap();
        let (mut file, mut decode) = (Vec::new(), 0);
        for (position, (bytes, duration)) in units.iter().enumerate() {
            let offset = file.len() as u64;
            let (length, shown) = (*bytes as u32, decode + composition);
            builder
                .push(track, offset, length, decode, shown, *duration, is_sync(position))
                .unwrap();
            file.extend((0..*bytes).map(|i| (i * 7 + i / 256) as u8 | 1));
            decode += i64::from(*duration);
        }
        Self { index: builder.finish(Npt::ZERO), file }
    }

    /// Access units of one slice each, the first a sync sample.
    pub(super) fn video(units: &[(usize, u32)]) -> Self {
        Self::video_of(units, |position| position == 0, 1)
    }

    /// Access units of so many slices each.
    pub(super) fn video_of(
        units: &[(usize, u32)],
        is_sync: impl Fn(usize) -> bool,
        slices: usize,
    ) -> Self {
        let config = H264Config {
            framing: NalFraming::Length(4),
            sequence_parameter_sets: vec![],
            picture_parameter_sets: vec![],
        };
        let mut title = Self::new(CodecConfig::H264(config), 1000, units, 80, is_sync);
        let mut start = 0;
        for bytes in units.iter().flat_map(|(bytes, _)| vec![bytes / slices; slices]) {
            title.file[start..start + 4].copy_from_slice(&(bytes as u32 - 4).to_be_bytes());
            title.file[start + 4] = 0x41;
            start += bytes;
        }
        title
    }

    pub(super) fn audio(rtp_rate: u32, media_rate: u32, units: &[(usize, u32)]) -> Self {
        let config = AacConfig {
            audio_specific_config: vec![0x11, 0x90],
            rtp_rate: ClockRate::new(rtp_rate).unwrap(),
            channels: 2,
            unit_samples: 1024,
        };
        Self::new(CodecConfig::Aac(config), media_rate, units, 0, |_| true)
    }

    /// One of pictures of a slice, or of sound that shares packets or does not. The units are about
    /// as long as each other, so that they lie at the limits of what leaves together.
    pub(super) fn random(random: &mut fastrand::Rng) -> Self {
        let is_video = random.bool();
        let bytes = match random.u8(0..8) {
            0 => random.usize(30_000..80_000),
            1..=3 => random.usize(1300..12_000),
            _ => random.usize(30..1300),
        };
        let bytes = if is_video { bytes } else { bytes % 1300 + 8 };
        let part = random.choice([1, 4, 8, 9]).expect("some");
        let duration = random.choice([2, 5, 16, 21, 40, 90, 110]).expect("some");
        let count = random.usize(1..16);
        let units: Vec<_> =
            (0..count).map(|_| (bytes + random.usize(0..=bytes / part), duration)).collect();
        // Sound that lasts 21 ms a unit shares packets: that is what a receiver counts with.
        if is_video { Self::video(&units) } else { Self::audio(48_000, 1000, &units) }
    }

    pub(super) fn request(&self, packet_bytes_max: u16, framing: Framing) -> ImageRequest<'_> {
        ImageRequest {
            index: &self.index,
            track: TrackId(0),
            segment: SegmentId(0),
            class: PayloadClass { packet_bytes_max },
            framing,
            payload_type: 98,
            bursts: Bursts::default(),
        }
    }

    pub(super) fn build(&self, request: ImageRequest<'_>) -> Result<PacketImage, ImageError> {
        let unit_bytes = |unit: &AccessUnitEntry| {
            let start = unit.offset as usize;
            self.file.get(start..start + unit.bytes as usize)
        };
        PacketImage::build(request, unit_bytes, ImageStorage::default())
    }
}

/// Checks what every image promises, before and after it was numbered for a viewer.
pub(super) fn check(image: &mut PacketImage, packet_bytes_max: u16) {
    check_numbered(image, packet_bytes_max, Numbering::ZERO);
    image.number_all(NUMBERING, 1);
    check_numbered(image, packet_bytes_max, NUMBERING);
}

fn check_numbered(image: &PacketImage, packet_bytes_max: u16, numbering: Numbering) {
    let (mut offset, mut packets, mut due) = (0, 0, i64::MIN);
    for train in &image.trains {
        assert_eq!(train.offset, offset);
        assert!((1..=TRAIN_PACKETS_MAX).contains(&train.packet_count));
        assert!(train.last_packet_bytes <= train.packet_bytes);
        assert!(train.packet_bytes <= packet_bytes_max + image.framing.prefix_bytes());
        assert!(train.bytes() <= TRAIN_BYTES_MAX);
        assert!(train.due >= due);
        for packet in 0..train.packet_count {
            let (start, bytes) = train.packet_range(packet);
            assert_eq!(start, offset);
            let bytes = &image.bytes[start as usize..(start + bytes) as usize];
            let prefix = usize::from(image.framing.prefix_bytes());
            if prefix > 0 {
                let length = (bytes.len() - prefix) as u16;
                assert_eq!(bytes[..2], [b'$', numbering.channel]);
                assert_eq!(bytes[2..4], length.to_be_bytes());
            }
            let header = Packet::parse(&bytes[prefix..]).unwrap().header;
            let sequence = numbering.sequence.wrapping_add(packets as u16);
            assert_eq!((header.ssrc, header.payload_type), (numbering.ssrc, 98));
            assert_eq!(header.sequence, sequence);
            assert_eq!(header.timestamp, numbering.timestamp(train.timestamp));
            let last = train.ends_unit && packet + 1 == train.packet_count;
            assert_eq!(header.marker, last);
            offset += bytes.len() as u32;
            packets += 1;
        }
        due = train.due;
    }
    assert_eq!(offset as usize, image.bytes.len());
    assert_eq!(packets, image.packet_count);
}
