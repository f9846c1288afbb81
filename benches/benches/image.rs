//! What it costs to lay out a segment, against copying its bytes; and to number it for a viewer.

#![allow(missing_docs, clippy::cast_possible_truncation, reason = "a bench of small numbers")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use packetizer::codec::CodecConfig;
use packetizer::codec::aac::AacConfig;
use packetizer::codec::h264::H264Config;
use packetizer::codec::nal::NalFraming;
use packetizer::image::{
    Bursts, Framing, ImageRequest, ImageStorage, Numbering, PacketImage, PayloadClass,
};
use packetizer::index::{
    AccessUnitEntry, IndexBuilder, MediaIndex, SegmentId, TrackDescription, TrackId,
};
use packetizer::rtp::Ssrc;
use packetizer::time::{ClockRate, Npt};
use std::hint::black_box;

const NUMBERING: Numbering =
    Numbering { ssrc: Ssrc(7), sequence: 1, timestamp_zero: 99, channel: 0 };

struct Segment {
    index: MediaIndex,
    file: Vec<u8>,
}

impl Segment {
    fn new(codec: CodecConfig, media_rate: ClockRate, duration: u32, sizes: &[usize]) -> Self {
        let track = TrackDescription::new(1, codec, media_rate);
        let mut builder = IndexBuilder::new();
        let track = builder.add_track(track).expect("the first");
        let mut file = Vec::new();
        for (bytes, decode) in sizes.iter().zip((0..).step_by(duration as usize)) {
            let offset = file.len() as u64;
            builder
                .push(track, offset, *bytes as u32, decode, decode, duration, decode == 0)
                .expect("a good unit");
            file.extend_from_slice(&(*bytes as u32 - 4).to_be_bytes());
            file.resize(file.len() + bytes - 4, 0x41);
        }
        Self { index: builder.finish(Npt::ZERO), file }
    }

    /// 1.6 s of about 1 Mbit/s: a sync sample and small pictures.
    fn video() -> Self {
        let codec = CodecConfig::H264(H264Config {
            framing: NalFraming::Length(4),
            sequence_parameter_sets: vec![],
            picture_parameter_sets: vec![],
        });
        let sizes: Vec<_> = (0..40).map(|unit| if unit == 0 { 60_000 } else { 3_500 }).collect();
        Self::new(codec, ClockRate::VIDEO, 3600, &sizes)
    }

    /// 2 s of 128 kbit/s.
    fn audio() -> Self {
        let rate = ClockRate::new(48_000).expect("not zero");
        let codec = CodecConfig::Aac(AacConfig {
            audio_specific_config: vec![0x11, 0x90],
            rtp_rate: rate,
            channels: 2,
            unit_samples: 1024,
        });
        Self::new(codec, rate, 1024, &[341; 93])
    }

    fn build(&self, framing: Framing, storage: ImageStorage) -> PacketImage {
        let request = ImageRequest {
            index: &self.index,
            track: TrackId(0),
            segment: SegmentId(0),
            class: PayloadClass { packet_bytes_max: 1400 },
            framing,
            payload_type: 96,
            bursts: Bursts::default(),
        };
        let unit_bytes = |unit: &AccessUnitEntry| {
            self.file.get(unit.offset as usize..unit.offset as usize + unit.bytes as usize)
        };
        PacketImage::build(request, unit_bytes, storage).expect("good units")
    }
}

fn image(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("image");
    for (name, segment) in [("video", Segment::video()), ("audio", Segment::audio())] {
        group.throughput(Throughput::Bytes(segment.file.len() as u64));
        group.bench_function(BenchmarkId::new("memcpy", name), |bencher| {
            let mut copy = segment.file.clone();
            bencher.iter(|| black_box(&mut copy).copy_from_slice(black_box(&segment.file)));
        });
        for framing in [Framing::Datagram, Framing::Interleaved] {
            let id = BenchmarkId::new(format!("build {framing:?}"), name);
            group.bench_function(id, |bencher| {
                let mut storage = ImageStorage::default();
                bencher.iter(|| {
                    let image = segment.build(framing, std::mem::take(&mut storage));
                    storage = black_box(image).into_storage();
                });
            });
        }
        let mut image = segment.build(Framing::Datagram, ImageStorage::default());
        group.throughput(Throughput::Elements(u64::from(image.packet_count)));
        group.bench_function(BenchmarkId::new("number", name), |bencher| {
            let mut turn = 0;
            bencher.iter(|| {
                turn += 1;
                black_box(image.number_all(black_box(NUMBERING), turn));
            });
        });
        group.bench_function(BenchmarkId::new("stamp", name), |bencher| {
            let mut arena = Vec::new();
            bencher.iter(|| {
                arena.clear();
                for train in &image.trains {
                    for packet in 0..train.packet_count {
                        image.stamp(train, packet, black_box(&NUMBERING), &mut arena);
                    }
                }
                black_box(&arena);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, image);
criterion_main!(benches);
