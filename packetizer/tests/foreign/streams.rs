//! A short stream of each codec, made by ffmpeg or GStreamer, cut into access units by ffprobe.

use crate::titles::Title;
use packetizer::codec::CodecConfig;
use packetizer::codec::ac3::Ac3Config;
use packetizer::codec::amr::AmrConfig;
use packetizer::codec::av1::Av1Config;
use packetizer::codec::h265::H265Config;
use packetizer::codec::mpeg_audio::MpegAudioConfig;
use packetizer::codec::mpeg4_visual::Mpeg4VisualConfig;
use packetizer::codec::nal::NalFraming;
use packetizer::codec::opus::OpusConfig;
use packetizer::codec::pcm::{PcmConfig, PcmEncoding};
use packetizer::codec::vorbis::VorbisConfig;
use packetizer::index::{IndexBuilder, MediaIndex, TrackDescription, TrackId};
use packetizer::time::{ClockRate, Npt};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Makes a stream and indexes it. `codec` gets the codec's extradata.
pub(crate) fn pictures(
    directory: &Path,
    file: &str,
    arguments: &str,
    codec: impl Fn(&[u8]) -> CodecConfig,
) -> Title {
    let source = "-f lavfi -i testsrc2=size=480x288:rate=25:duration=1.2,noise=alls=12:allf=t";
    encode(directory, file, source, arguments);
    probed(directory, file, codec)
}

/// The same of two hundred pictures, among them large ones and, where nothing moves, tiny ones.
pub(crate) fn many_pictures(
    directory: &Path,
    file: &str,
    arguments: &str,
    codec: impl Fn(&[u8]) -> CodecConfig,
) -> Title {
    let source = "-f lavfi -i testsrc2=size=480x288:rate=25:duration=4,\
                  noise=alls=12:allf=t,tpad=stop_mode=clone:stop_duration=4";
    encode(directory, file, source, arguments);
    probed(directory, file, codec)
}

/// The same of sound.
pub(crate) fn sound(
    directory: &Path,
    file: &str,
    arguments: &str,
    codec: impl Fn(&[u8]) -> CodecConfig,
) -> Title {
    let source = "-f lavfi -i anoisesrc=duration=1.5:amplitude=0.3:seed=1";
    encode(directory, file, source, arguments);
    probed(directory, file, codec)
}

/// PCM as it lies in a file without a header, in units of whole frames.
pub(crate) fn pcm(directory: &Path, format: &str, rate: u32, encoding: PcmEncoding) -> Title {
    let channels = if rate == 8000 { 1 } else { 2 };
    let file = format!("sound.{format}");
    let source = "-f lavfi -i anoisesrc=duration=1.5:amplitude=0.3:seed=1";
    let arguments = format!("-ac {channels} -ar {rate} -f {format}");
    encode(directory, &file, source, &arguments);
    let config = PcmConfig { encoding, rtp_rate: ClockRate::new(rate).unwrap(), channels };
    let frame_bytes = config.frame_bytes() as usize;
    let bytes = std::fs::read(directory.join(&file)).unwrap();
    let mut stream = Stream::new(CodecConfig::Pcm(config), config.rtp_rate);
    for unit in bytes.chunks(480 / frame_bytes * frame_bytes) {
        let (time, duration) = (stream.end, (unit.len() / frame_bytes) as u32);
        stream.push(unit, time, time, duration, true);
    }
    stream.title(&directory.join(file))
}

/// AMR, which GStreamer encodes.
pub(crate) fn amr(directory: &Path, is_wideband: bool) -> Title {
    let (rate, encoder, magic) = if is_wideband {
        (16_000, "voamrwbenc band-mode=5", "#!AMR-WB\n")
    } else {
        (8000, "amrnbenc band-mode=7", "#!AMR\n")
    };
    let (frames, file) = (directory.join("frames"), format!("sound-{rate}.amr"));
    let source = "audiotestsrc wave=ticks num-buffers=60";
    launch(&format!("{source} ! audio/x-raw,rate={rate},channels=1 ! {encoder}"), &frames);
    let stored = [magic.as_bytes(), &std::fs::read(frames).unwrap()].concat();
    std::fs::write(directory.join(&file), stored).unwrap();
    probed(directory, &file, |_| CodecConfig::Amr(AmrConfig { is_wideband }))
}

/// JPEG sampled 4:2:2, of which ffmpeg's encoder makes something that is not in RFC 2435.
pub(crate) fn jpeg_422(directory: &Path) -> Title {
    let raw = "video/x-raw,format=Y42B,width=480,height=288";
    let source = "videotestsrc pattern=smpte num-buffers=10";
    launch(&format!("{source} ! {raw} ! jpegenc"), &directory.join("422.mjpeg"));
    probed(directory, "422.mjpeg", |_| CodecConfig::Jpeg)
}

fn launch(pipeline: &str, output: &Path) {
    let pipeline = format!("{pipeline} ! filesink location={}", output.display());
    let mut command = Command::new("gst-launch-1.0");
    assert!(command.arg("-q").args(pipeline.split_whitespace()).status().unwrap().success());
}

fn encode(directory: &Path, file: &str, source: &str, arguments: &str) {
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-threads", "2"])
        .args(source.split_whitespace())
        .args(arguments.split_whitespace())
        .args(["-fflags", "+bitexact", "-map_metadata", "-1"])
        .arg(directory.join(file))
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success(), "{arguments}");
}

/// A file's only stream as ffprobe cuts it.
fn probed(directory: &Path, file: &str, codec: impl Fn(&[u8]) -> CodecConfig) -> Title {
    let path = directory.join(file);
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_packets", "-show_streams", "-show_data", "-of", "json"])
        .arg(&path)
        .output()
        .unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let extradata = json["streams"][0]["extradata"].as_str().map(dumped).unwrap_or_default();
    let time_base = json["streams"][0]["time_base"].as_str().unwrap();
    let ticks = time_base.strip_prefix("1/").unwrap().parse().unwrap();
    let packets = json["packets"].as_array().unwrap();
    let start = packets.iter().filter_map(|packet| packet["pts"].as_i64()).min().unwrap_or(0);
    let mut stream = Stream::new(codec(&extradata), ClockRate::new(ticks).unwrap());
    for packet in packets {
        let data = dumped(packet["data"].as_str().unwrap());
        let composition = packet["pts"].as_i64().map_or(stream.end, |pts| pts - start);
        let decode = packet["dts"].as_i64().map_or(composition, |dts| dts - start);
        let duration = packet["duration"].as_i64().unwrap_or(1) as u32;
        let sync = packet["flags"].as_str().unwrap().starts_with('K');
        stream.push(&data, decode, composition, duration, sync);
    }
    stream.title(&path)
}

/// The bytes that ffprobe prints 16 a line, with their offset in front and their letters behind.
fn dumped(dump: &str) -> Vec<u8> {
    let digits = dump.lines().filter(|line| line.len() > 50).flat_map(|line| {
        line[10..50].chars().filter_map(|digit| digit.to_digit(16)).collect::<Vec<_>>()
    });
    let digits: Vec<_> = digits.collect();
    digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// A title in the making: access units one behind the other.
struct Stream {
    builder: IndexBuilder,
    file: Vec<u8>,
    end: i64,
}

impl Stream {
    const TRACK: TrackId = TrackId(0);

    fn new(codec: CodecConfig, media_rate: ClockRate) -> Self {
        let mut builder = IndexBuilder::new();
        builder.add_track(TrackDescription::new(1, codec, media_rate)).unwrap();
        Self { builder, file: Vec::new(), end: 0 }
    }

    fn push(&mut self, unit: &[u8], decode: i64, composition: i64, duration: u32, sync: bool) {
        let (offset, bytes) = (self.file.len() as u64, unit.len() as u32);
        let pushed =
            self.builder.push(Self::TRACK, offset, bytes, decode, composition, duration, sync);
        pushed.unwrap();
        self.file.extend_from_slice(unit);
        self.end = decode + i64::from(duration);
    }

    fn title(self, path: &Path) -> Title {
        let end = self.builder.composition_end(Self::TRACK).unwrap();
        let index: MediaIndex = self.builder.finish(Npt::from_nanos(end as u64));
        Title { path: path.to_owned(), file: self.file, index }
    }
}

/// From an HEVCDecoderConfigurationRecord (ISO 14496-15 §8.3.3.1).
pub(crate) fn h265(record: &[u8]) -> CodecConfig {
    let mut sets = [const { Vec::new() }; 3];
    let mut rest = &record[23..];
    for _ in 0..record[22] {
        let kind = usize::from(rest[0] & 0x3f);
        let count = u16::from_be_bytes([rest[1], rest[2]]);
        rest = &rest[3..];
        for _ in 0..count {
            let (set, behind) =
                rest[2..].split_at(usize::from(rest[0]) << 8 | usize::from(rest[1]));
            if let Some(sets) = sets.get_mut(kind - 32) {
                sets.push(set.to_vec());
            }
            rest = behind;
        }
    }
    let [video_parameter_sets, sequence_parameter_sets, picture_parameter_sets] = sets;
    CodecConfig::H265(H265Config {
        framing: NalFraming::Length((record[21] & 3) + 1),
        video_parameter_sets,
        sequence_parameter_sets,
        picture_parameter_sets,
    })
}

pub(crate) fn mpeg4_visual(headers: &[u8]) -> CodecConfig {
    CodecConfig::Mpeg4Visual(Mpeg4VisualConfig { profile_level: 1, headers: headers.to_vec() })
}

/// The sequence header is in the stream.
pub(crate) fn av1(_: &[u8]) -> CodecConfig {
    CodecConfig::Av1(Av1Config { profile: 0, level: 0, tier: 0, sequence_header: Vec::new() })
}

/// From the three headers with Xiph lacing, all lengths below 255 but the last.
pub(crate) fn vorbis(headers: &[u8]) -> CodecConfig {
    let [2, identification, comment, rest @ ..] = headers else { panic!("{headers:x?}") };
    let (identification, rest) = rest.split_at(usize::from(*identification));
    let setup = rest[usize::from(*comment)..].to_vec();
    let rtp_rate = ClockRate::new(44_100).unwrap();
    CodecConfig::Vorbis(VorbisConfig::of(rtp_rate, 2, identification.to_vec(), setup))
}

pub(crate) fn opus(_: &[u8]) -> CodecConfig {
    CodecConfig::Opus(OpusConfig { channels: 2 })
}

pub(crate) fn mpeg_audio(_: &[u8]) -> CodecConfig {
    let sample_rate = ClockRate::new(44_100).unwrap();
    CodecConfig::MpegAudio(MpegAudioConfig { sample_rate, channels: 2, frame_samples: 1152 })
}

pub(crate) fn ac3() -> Ac3Config {
    Ac3Config { rtp_rate: ClockRate::new(48_000).unwrap(), channels: 2, unit_samples: 1536 }
}
