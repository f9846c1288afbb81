//! The Matroska index against ffprobe, on other people's files.
//!
//! ffprobe shows the timestamps of the file, rounded to its ticks. The index has pictures at the
//! same times, and sound where its samples put it, so near that less than a frame and a tick is
//! between; PCM is cut into smaller units. The bytes of every unit are those of ffprobe's packet.

#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use packetizer::codec::CodecConfig;
use packetizer::codec::pcm::PcmEncoding;
use packetizer::container::{IndexError, OpenError, open};
use packetizer::index::{AccessUnitEntry, MediaIndex, SkipReason, Track, TrackId};
use packetizer::wrapping::Wrapping;
use serde_json::Value;
use support::{media_files, media_root};

/// Files where ffprobe and the index differ, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("libwebm/accurate_cluster_duration_last_frame.webm", ZEROS),
    ("libwebm/accurate_cluster_duration_two_tracks.webm", ZEROS),
    ("libwebm/cues_before_clusters.webm", ZEROS),
    ("libwebm/estimate_duration.webm", ZEROS),
    ("libwebm/force_new_cluster.webm", ZEROS),
    ("libwebm/long_tag_string.webm", ZEROS),
    ("libwebm/max_cluster_duration.webm", ZEROS),
    ("libwebm/output_cues.webm", ZEROS),
    ("libwebm/projection.webm", ZEROS),
    ("libwebm/segment_duration.webm", ZEROS),
    ("libwebm/segment_info.webm", ZEROS),
    ("libwebm/set_cues_track_number.webm", ZEROS),
    ("libwebm/set_segment_duration.webm", ZEROS),
    ("libwebm/simple_block.webm", ZEROS),
    ("libwebm/webm_doctype.webm", ZEROS),
    (
        "libwebm/blockgroup_block_ends_beyond_blockgroup.mkv",
        "damaged in its first cluster: ffprobe gives up on Vorbis headers it finds corrupt",
    ),
    ("libwebm/invalid_vp9_bitstream-bug_1416.webm", "the document type is 0000"),
    ("libwebm/invalid_vp9_bitstream-bug_1417.webm", "the document type is 0000"),
    ("libwebm/tracks.webm", "ffprobe gives up on the second track, which has no headers"),
];
/// Frames without the key flag, of which ffprobe reads the contents.
const ZEROS: &str = "frames of zeros, which ffprobe takes for key frames";

/// Tracks that agree today; a change that loses some is a regression.
const EXACT_TRACKS_MIN: usize = 43;

/// Codecs, by ffprobe's names, that are delivered.
const DELIVERED: &[&str] = &[
    "h264",
    "hevc",
    "av1",
    "vp8",
    "vp9",
    "mpeg4",
    "mpeg1video",
    "mpeg2video",
    "mjpeg",
    "aac",
    "opus",
    "vorbis",
    "mp1",
    "mp2",
    "mp3",
    "ac3",
    "eac3",
    "pcm_u8",
    "pcm_s16le",
    "pcm_s16be",
    "pcm_s24le",
    "pcm_s24be",
    "pcm_mulaw",
    "pcm_alaw",
];

#[test]
fn index_agrees_with_ffprobe() {
    let Some(root) = media_root() else { return };
    let files = media_files(&root, &["mkv", "webm", "mka"]);
    assert!(files.len() > 50, "only {} files", files.len());
    let (mut exact, mut refused, mut differing) = (0, 0, Vec::new());
    for path in files {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        let probed = probe(&path);
        match open_file(&path) {
            Ok(index) => match compare(&index, &std::fs::read(&path).unwrap(), &probed) {
                Ok(tracks) => exact += tracks,
                Err(why) => differing.push((name, why)),
            },
            Err(OpenError::Index(error)) if is_justified(&error, &probed) => refused += 1,
            Err(error) => differing.push((name, error.to_string())),
        }
    }
    println!("{exact} tracks agree, {} files differ, {refused} rightly refused", differing.len());
    for (name, why) in &differing {
        println!("differs: {name}: {why}");
    }
    assert!(exact >= EXACT_TRACKS_MIN, "only {exact} tracks agree");
    for (exception, why) in EXCEPTIONS {
        let differs = differing.iter().any(|(name, _)| name == exception);
        assert!(differs, "{exception} agrees: it is no exception ({why})");
    }
    let unexplained: Vec<_> = differing
        .iter()
        .filter(|(name, _)| !EXCEPTIONS.iter().any(|(exception, _)| name == exception))
        .collect();
    assert!(unexplained.is_empty(), "{} unexplained", unexplained.len());
}

/// Video and audio encoders whose streams Matroska can hold, with their options.
const ENCODERS: &[(&[&str], &[&str])] = &[
    (&["libx264", "-bf", "3", "-g", "10"], &["aac"]),
    (&["libx265", "-bf", "3", "-x265-params", "log-level=none:keyint=10"], &["ac3"]),
    (&["libsvtav1", "-preset", "12", "-g", "10"], &["eac3"]),
    (&["libvpx", "-g", "10", "-deadline", "realtime"], &["libvorbis"]),
    (&["libvpx-vp9", "-g", "10", "-deadline", "realtime"], &["libopus"]),
    (&["mpeg4", "-bf", "2"], &["libmp3lame"]),
    (&["mpeg2video", "-bf", "2"], &["mp2"]),
    (&["mpeg1video"], &["libmp3lame", "-ar", "22050"]),
    (&["mjpeg", "-huffman", "default", "-pix_fmt", "yuvj420p"], &["pcm_s24le"]),
    // ffprobe takes every picture of H.263 for a key frame.
    (&["h263", "-s", "176x144", "-g", "1"], &["pcm_mulaw"]),
    (&["libx264", "-bf", "2", "-vtag", "H264", "-bsf:v", "h264_mp4toannexb"], &["pcm_s16be"]),
];

/// What ffmpeg writes of each codec: sizes known, and unknown as into a pipe.
#[test]
fn every_codec_agrees_with_ffprobe() {
    let folder = tempfile::tempdir().unwrap();
    for (number, (video, audio)) in ENCODERS.iter().enumerate() {
        let path = folder.path().join(format!("{number}.mkv"));
        run_ffmpeg(|ffmpeg| {
            ffmpeg
                .args(["-f", "lavfi", "-i", "testsrc2=s=128x96:r=24000/1001"])
                .args(["-f", "lavfi", "-i", "sine=r=44100", "-t", "1.5", "-c:v"])
                .args(*video)
                .arg("-c:a")
                .args(*audio)
                .arg(&path)
        });
        let live = folder.path().join(format!("{number}-live.mkv"));
        run_ffmpeg(|ffmpeg| {
            ffmpeg.arg("-i").arg(&path).args(["-c", "copy", "-cluster_time_limit", "400"]);
            ffmpeg.args(["-live", "1"]).arg(&live)
        });
        for path in [path, live] {
            let index = open_file(&path).unwrap();
            let agreed = compare(&index, &std::fs::read(&path).unwrap(), &probe(&path));
            assert_eq!(agreed, Ok(2), "{}, {video:?} {audio:?}", path.display());
            let pictures = (0..).map_while(|unit| index.unit(TrackId(0), unit));
            let decoded: Vec<i64> = pictures.map(|picture| picture.decode).collect();
            // 41.7 ms apart, and at most three pictures before the first is composed at 0.
            let is_even = decoded.windows(2).all(|two| (41..=43).contains(&(two[1] - two[0])));
            assert!(is_even && decoded[0] >= -130, "{video:?}: {decoded:?}");
        }
    }
}

fn run_ffmpeg(arguments: impl FnOnce(&mut Command) -> &mut Command) {
    let output = arguments(Command::new("ffmpeg").args(["-v", "error"])).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Whether a file is refused for a reason ffprobe confirms: nothing of what it finds is delivered.
fn is_justified(error: &IndexError, probed: &[Probed]) -> bool {
    let deliverable =
        |track: &&Probed| DELIVERED.contains(&track.codec.as_str()) && !track.packets.is_empty();
    match error {
        IndexError::NoPlayableTrack { tracks } => {
            let known = tracks.iter().filter(|track| {
                matches!(&track.reason, SkipReason::Encrypted)
                    || track.to_string().contains("no RTP payload format")
            });
            probed.iter().filter(deliverable).count() <= known.count()
        }
        IndexError::Unrecognized
        | IndexError::Invalid { .. }
        | IndexError::MoovMissing
        | IndexError::Truncated { .. }
        | IndexError::BoxInvalid { .. }
        | IndexError::TooLarge { .. } => !probed.iter().any(|track| deliverable(&track)),
    }
}

fn open_file(path: &Path) -> Result<MediaIndex, OpenError<std::io::Error>> {
    let file = File::open(path).unwrap();
    open(file.metadata().unwrap().len(), |offset, buffer| file.read_at(buffer, offset))
}

/// A track as ffprobe sees it; in the file's order, but tracks have no numbers there.
struct Probed {
    codec: String,
    time_base: (i64, i64),
    packets: Vec<Packet>,
}

struct Packet {
    bytes: u32,
    adler32: u32,
    composition: Option<i64>,
    sync: bool,
}

fn probe(path: &Path) -> Vec<Probed> {
    let output = Command::new("ffprobe")
        .args(["-v", "quiet", "-print_format", "json"])
        .args(["-show_entries", "stream=index,codec_name,codec_type,time_base"])
        .args(["-show_entries", "packet=stream_index,size,pts,flags,data_hash"])
        .args(["-show_data_hash", "adler32"])
        .arg(path)
        .output()
        .unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    let number = |value: &Value| -> Option<i64> {
        value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
    };
    let list = |name: &str| json[name].as_array().cloned().unwrap_or_default();
    let mut tracks: Vec<Probed> = list("streams")
        .iter()
        .map(|stream| {
            let base = stream["time_base"].as_str().unwrap_or("1/1000");
            let (numerator, denominator) = base.split_once('/').unwrap();
            Probed {
                codec: stream["codec_name"].as_str().unwrap_or_default().to_owned(),
                time_base: (numerator.parse().unwrap(), denominator.parse().unwrap()),
                packets: Vec::new(),
            }
        })
        .collect();
    for packet in list("packets") {
        let stream = number(&packet["stream_index"]).unwrap() as usize;
        let hash = packet["data_hash"].as_str().unwrap();
        tracks[stream].packets.push(Packet {
            bytes: number(&packet["size"]).unwrap() as u32,
            adler32: u32::from_str_radix(hash.trim_start_matches("adler32:"), 16).unwrap(),
            composition: number(&packet["pts"]),
            sync: packet["flags"].as_str().unwrap_or_default().starts_with('K'),
        });
    }
    tracks
}

/// The number of tracks that agree, all of the file's; otherwise what differs first.
fn compare(index: &MediaIndex, file: &[u8], probed: &[Probed]) -> Result<usize, String> {
    // Streams come in the order of the entries, which is that of the numbers in all files here.
    let skipped = index.skipped.iter().filter(|s| !s.to_string().contains("damaged"));
    let mut numbers: Vec<u32> = index.tracks.iter().map(|track| track.container_id).collect();
    numbers.extend(skipped.map(|skipped| skipped.container_id));
    numbers.sort_unstable();
    let stream_of = |number| {
        let at = numbers.iter().position(|other| *other == number)?;
        probed.get(at)
    };
    let zero = index
        .tracks
        .iter()
        .filter_map(|track| earliest_nanos(stream_of(track.container_id)?))
        .min()
        .unwrap_or(0);
    for (position, track) in index.tracks.iter().enumerate() {
        let id = track.container_id;
        let other = stream_of(id).ok_or(format!("ffprobe has no track {id}"))?;
        let units: Vec<AccessUnitEntry> = (0..track.unit_count)
            .filter_map(|unit| index.unit(TrackId(position as u8), unit))
            .collect();
        compare_codec(&track.codec, &other.codec)
            .and_then(|()| {
                if matches!(track.codec, CodecConfig::Pcm(_)) {
                    compare_pcm(&units, file, other)
                } else {
                    compare_track(track, &units, file, other, zero)
                }
            })
            .map_err(|why| format!("track {id}: {why}"))?;
    }
    for number in &numbers {
        let is_delivered = index.tracks.iter().any(|track| track.container_id == *number);
        let has_packets = stream_of(*number).is_some_and(|other| {
            DELIVERED.contains(&other.codec.as_str()) && !other.packets.is_empty()
        });
        if has_packets && !is_delivered {
            return Err(format!("track {number} is missing: {:?}", index.skipped));
        }
    }
    Ok(index.tracks.len())
}

fn compare_codec(codec: &CodecConfig, probed: &str) -> Result<(), String> {
    let names: &[&str] = match codec {
        CodecConfig::H264(_) => &["h264"],
        CodecConfig::H265(_) => &["hevc"],
        CodecConfig::Av1(_) => &["av1"],
        CodecConfig::Vp8 => &["vp8"],
        CodecConfig::Vp9 => &["vp9"],
        CodecConfig::Mpeg4Visual(_) => &["mpeg4"],
        CodecConfig::H263 => &["h263"],
        CodecConfig::MpegVideo => &["mpeg1video", "mpeg2video"],
        CodecConfig::Jpeg => &["mjpeg"],
        CodecConfig::Mp2t => &[],
        CodecConfig::Aac(_) => &["aac"],
        CodecConfig::Opus(_) => &["opus"],
        CodecConfig::Vorbis(_) => &["vorbis"],
        CodecConfig::MpegAudio(_) => &["mp1", "mp2", "mp3"],
        CodecConfig::Ac3(_) => &["ac3"],
        CodecConfig::EAc3(_) => &["eac3"],
        CodecConfig::Pcm(config) => match config.encoding {
            PcmEncoding::Mulaw => &["pcm_mulaw"],
            PcmEncoding::Alaw => &["pcm_alaw"],
            PcmEncoding::Unsigned8 => &["pcm_u8"],
            PcmEncoding::Signed8 => &["pcm_s8"],
            PcmEncoding::Signed16Big => &["pcm_s16be"],
            PcmEncoding::Signed16Little => &["pcm_s16le"],
            PcmEncoding::Signed24Big => &["pcm_s24be"],
            PcmEncoding::Signed24Little => &["pcm_s24le"],
        },
        CodecConfig::Amr(_) => &["amr_nb"],
    };
    if names.contains(&probed) { Ok(()) } else { Err(format!("{names:?} is {probed}")) }
}

fn nanos(probed: &Probed, ticks: i64) -> i64 {
    let (numerator, denominator) = probed.time_base;
    (i128::from(ticks) * i128::from(numerator) * 1_000_000_000 / i128::from(denominator)) as i64
}

fn earliest_nanos(probed: &Probed) -> Option<i64> {
    probed.packets.iter().filter_map(|packet| packet.composition).min().map(|t| nanos(probed, t))
}

fn compare_track(
    track: &Track,
    units: &[AccessUnitEntry],
    file: &[u8],
    other: &Probed,
    zero: i64,
) -> Result<(), String> {
    if units.len() != other.packets.len() {
        return Err(format!("{} units, {} packets", units.len(), other.packets.len()));
    }
    let is_video = track.codec.is_video();
    for (at, (unit, packet)) in units.iter().zip(&other.packets).enumerate() {
        let bytes = &file[unit.offset as usize..][..unit.bytes as usize];
        let mut unwrapped = Vec::new();
        track.wrapping.unwrap(unit.offset, bytes, &mut unwrapped);
        let bytes = if track.wrapping == Wrapping::None { bytes } else { &unwrapped };
        if (bytes.len() as u32, adler32(bytes)) != (packet.bytes, packet.adler32) {
            return Err(format!("unit {at}: other bytes at {}+{}", unit.offset, unit.bytes));
        }
        if let Some(composition) = packet.composition {
            let expected = nanos(other, composition) - zero;
            let found = track.media_rate.nanos_floor(unit.composition);
            let tick = nanos(other, 1).max(1);
            let frame = track.media_rate.nanos_floor(unit.duration.into());
            let slack = if is_video { tick } else { tick * 2 + frame };
            if (found - expected).abs() > slack {
                return Err(format!("unit {at}: composed at {found} against {expected}"));
            }
        }
        if unit.decode > unit.composition {
            return Err(format!("unit {at}: decoded after it is composed"));
        }
        if packet.sync != unit.sync {
            return Err(format!("unit {at}: sync {} against {}", unit.sync, packet.sync));
        }
    }
    Ok(())
}

/// That the units of PCM are the packets, cut into pieces one behind the other.
fn compare_pcm(units: &[AccessUnitEntry], file: &[u8], other: &Probed) -> Result<(), String> {
    let (mut pieces, mut found) = (units.iter(), Vec::new());
    for (at, packet) in other.packets.iter().enumerate() {
        found.clear();
        while found.len() < packet.bytes as usize {
            let unit = pieces.next().ok_or("too few units")?;
            found.extend_from_slice(&file[unit.offset as usize..][..unit.bytes as usize]);
        }
        if (found.len() as u32, adler32(&found)) != (packet.bytes, packet.adler32) {
            return Err(format!("packet {at} has other bytes"));
        }
    }
    let is_gapless = units
        .windows(2)
        .all(|two| two[0].composition + i64::from(two[0].duration) == two[1].composition);
    if is_gapless && pieces.next().is_none() { Ok(()) } else { Err("there are gaps".to_owned()) }
}

/// As ffprobe takes it of packets (RFC 1950 §9).
fn adler32(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    high << 16 | low
}
