//! The titles that are laid out: some made by ffmpeg for what is hard, and other people's files.

use packetizer::codec::CodecConfig;
use packetizer::codec::nal::{NalFraming, nal_units};
use packetizer::container::{Delivery, TransportStreams, open_as};
use packetizer::image::{
    Bursts, Framing, ImageRequest, ImageStorage, Numbering, PacketImage, PayloadClass,
};
use packetizer::index::{AccessUnitEntry, MediaIndex, SegmentId, TrackId};
use packetizer::rtp::Ssrc;
use packetizer::sdp::payload_type;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file and its index.
pub(crate) struct Title {
    pub(crate) path: PathBuf,
    pub(crate) file: Vec<u8>,
    pub(crate) index: MediaIndex,
}

impl Title {
    pub(crate) fn open(path: &Path, delivery: impl Into<Delivery>) -> Self {
        let file = std::fs::read(path).unwrap();
        let index = open_as(file.len() as u64, delivery, |offset, buffer: &mut [u8]| {
            let rest = file.get(offset as usize..).unwrap_or_default();
            let bytes = rest.len().min(buffer.len());
            buffer[..bytes].copy_from_slice(&rest[..bytes]);
            Ok::<_, std::io::Error>(bytes)
        });
        let index = index.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path: path.to_owned(), file, index }
    }

    pub(crate) fn track_ids(&self) -> impl Iterator<Item = TrackId> + use<> {
        (0..self.index.tracks.len() as u8).map(TrackId)
    }

    /// A track's units in decode order.
    pub(crate) fn units(&self, track: TrackId) -> Vec<AccessUnitEntry> {
        let count = self.index.tracks[usize::from(track.0)].unit_count;
        let units = (0..count).map(|unit| self.index.unit(track, unit).unwrap());
        units.filter(|unit| unit.bytes > 0).collect()
    }

    pub(crate) fn bytes(&self, unit: &AccessUnitEntry) -> Option<&[u8]> {
        let start = unit.offset as usize;
        self.file.get(start..start + unit.bytes as usize)
    }

    /// The units of a track as a depacketizer gives them: NAL units in byte stream format with
    /// four-byte start codes, without what does not travel.
    pub(crate) fn delivered(&self, track: TrackId) -> Vec<Vec<u8>> {
        let units = self.units(track);
        let bytes = units.iter().map(|unit| self.bytes(unit).unwrap());
        let codec = &self.index.tracks[usize::from(track.0)].codec;
        if let CodecConfig::H264(config) = codec {
            bytes.map(|bytes| byte_stream(bytes, config.framing, is_dropped)).collect()
        } else if let CodecConfig::H265(config) = codec {
            bytes.map(|bytes| byte_stream(bytes, config.framing, is_dropped_h265)).collect()
        } else {
            bytes.map(<[u8]>::to_vec).collect()
        }
    }

    /// The images of all segments, numbered through.
    pub(crate) fn images(
        &self,
        track: TrackId,
        packet_bytes_max: u16,
        framing: Framing,
    ) -> Vec<PacketImage> {
        let mut numbering = Numbering { channel: track.0 * 2, ..numbering(track) };
        let segments = (0..self.index.segment_count()).map(SegmentId);
        let images = segments.map(|segment| {
            let request = ImageRequest {
                index: &self.index,
                track,
                segment,
                class: PayloadClass { packet_bytes_max },
                framing,
                payload_type: payload_type(track, &self.index.tracks[usize::from(track.0)].codec),
                bursts: Bursts::default(),
            };
            let unit_bytes = |unit: &AccessUnitEntry| self.bytes(unit);
            let storage = ImageStorage::default();
            let mut image = PacketImage::build(request, unit_bytes, storage).unwrap();
            numbering = image.number_all(numbering, 1);
            image
        });
        images.collect()
    }
}

/// A numbering that wraps soon.
pub(crate) fn numbering(track: TrackId) -> Numbering {
    Numbering {
        ssrc: Ssrc(0x1000 + u32::from(track.0)),
        sequence: 0xfff0,
        timestamp_zero: 0xffff_8000 + u32::from(track.0),
        channel: 0,
    }
}

fn byte_stream(unit: &[u8], framing: NalFraming, is_dropped: fn(&[u8]) -> bool) -> Vec<u8> {
    let mut stream = Vec::new();
    for nal_unit in nal_units(unit, framing).map(Result::unwrap) {
        if !is_dropped(nal_unit) {
            stream.extend_from_slice(&[0, 0, 0, 1]);
            stream.extend_from_slice(nal_unit);
        }
    }
    stream
}

/// Delimiters and filler do not travel.
pub(crate) fn is_dropped(nal_unit: &[u8]) -> bool {
    nal_unit.is_empty() || [9, 12].contains(&(nal_unit[0] & 0x1f))
}

/// The same of H.265.
fn is_dropped_h265(nal_unit: &[u8]) -> bool {
    nal_unit.is_empty() || [35, 38].contains(&(nal_unit[0] >> 1 & 0x3f))
}

const DEMUXED: TransportStreams = TransportStreams::Demuxed;

/// All titles. Other people's files are left out, by name, where they are absent.
pub(crate) fn titles(directory: &Path) -> Vec<Title> {
    let mut titles: Vec<_> = GENERATED
        .iter()
        .map(|(name, arguments)| Title::open(&generate(&directory.join(name), arguments), DEMUXED))
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/media");
    if root.is_dir() {
        titles.extend(MEDIA.iter().map(|name| Title::open(&root.join(name), DEMUXED)));
    } else {
        assert!(std::env::var_os("REELRING_REQUIRE_MEDIA").is_none(), "{root:?} is missing");
        println!("skipped: {MEDIA:?}");
    }
    titles
}

/// Makes a file.
pub(crate) fn generate(path: &Path, arguments: &str) -> PathBuf {
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-threads", "2"])
        .args(arguments.split_whitespace())
        .args(["-fflags", "+bitexact"])
        .arg(path)
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success(), "{arguments}");
    path.to_owned()
}

const GENERATED: &[(&str, &str)] = &[
    // B-frames, several slices, delimiters, and audio in the usual packets.
    (
        "slices.mp4",
        "-f lavfi -i testsrc2=size=640x360:rate=25:duration=3 -f lavfi -i sine=duration=3 \
         -c:v libx264 -bf 3 -g 25 -x264-params slices=4:aud=1 -c:a aac -ac 2 -ar 48000",
    ),
    // Access units of hundreds of packets, parameter sets in each sync sample.
    (
        "big.mp4",
        "-f lavfi -i testsrc2=size=1280x720:rate=30000/1001:duration=1,noise=alls=40:allf=t \
         -c:v libx264 -preset veryfast -qp 12 -g 10 -x264-params repeat-headers=1",
    ),
    // Access units of a few bytes, filler, and audio of a few bytes.
    (
        "tiny.mp4",
        "-f lavfi -i color=size=64x64:rate=15:duration=4 -f lavfi -i anullsrc=r=44100:cl=mono:d=4 \
         -shortest -c:v libx264 -bf 0 -g 30 -b:v 40k -maxrate 40k -bufsize 40k \
         -x264-params nal-hrd=cbr:force-cfr=1:filler=1 -c:a aac -b:a 16k -movflags +faststart",
    ),
    // Audio units that need fragments in the small class, and last longer than a bundle may.
    (
        "audio.mp4",
        "-f lavfi -i anoisesrc=duration=3:sample_rate=48000 -f lavfi -i \
         anoisesrc=duration=3:sample_rate=8000 -map 0 -map 1 -c:a aac -ac:a:0 6 -b:a:0 640k -b:a:1 24k",
    ),
];

const MEDIA: &[&str] = &[
    "alfg-mp4-rust/big_buck_bunny_metadata.m4v",
    "androidx-media/sample_2_byte_NAL_length.mp4",
    "androidx-media/sample_no_bframes.mp4",
    "androidx-media/sample_shorter_audio.mp4",
    "androidx-media/trim_optimization_failure.mp4",
    "darwin-streaming-server/sample_h264_300kbit.mp4",
    "mediabunny/edts.mp4",
    "mp4ff/bbb_prog_10s.mp4",
    "mp4ff/prog_8s.mp4",
    "pypi-absolutely-not-scikit-video/bigbuckbunny.mp4",
    "sannies-mp4parser/Tiny Sample - OLD.mp4",
    "sannies-mp4parser/v1.mp4",
    "shaka-player/small.mp4",
];
