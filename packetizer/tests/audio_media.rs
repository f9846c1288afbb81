//! The index of audio files, Ogg, IVF and FLV against ffprobe, on other people's files.
//!
//! Units are compared with ffprobe's packets by length and composition time, up to a constant a
//! track, and by the bytes themselves where the container does not put its own in between.

#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use packetizer::codec::CodecConfig;
use packetizer::container::{OpenError, open};
use packetizer::index::{MediaIndex, Track, TrackId};
use packetizer::wrapping::Wrapping;
use serde_json::Value;
use support::{media_files, media_root};

const EXTENSIONS: [&str; 17] = [
    "wav", "mp3", "mp2", "aac", "adts", "ac3", "eac3", "ogg", "oga", "opus", "ivf", "flv", "amr",
    "awb", "au", "aiff", "flac",
];

/// Files where ffprobe and the index differ, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "androidx-media/bbb_1ch_16kHz_q10_vorbis.ogg",
        "ffprobe counts a short block behind a long one as if a short one were in front",
    ),
    ("androidx-media/play-trimmed.mp3", "a single frame: ffprobe finds no stream"),
];

/// Files in which nothing can be delivered, and what the refusal says.
const REFUSED: &[(&str, &str)] = &[
    ("androidx-media/bear_flac.ogg", "codec FLAC is not supported"),
    ("androidx-media/bear_flac_noseektable.ogg", "codec FLAC is not supported"),
    ("androidx-media/sample_float64.wav", "floating-point PCM is not supported"),
    ("fq/fmt_cb_size_unknown.wav", "PCM of 32 bits is not supported"),
    ("mutagen/adif.aac", "AAC in ADIF is not supported"),
    ("pypi-hachoir/ladouce_1h15.wav", "floating-point PCM is not supported"),
    ("torchcodec/sine_mono_s32.wav", "PCM of 32 bits is not supported"),
];

/// Tracks that agree today; a change that loses some is a regression.
const EXACT_TRACKS_MIN: usize = 30;

#[test]
fn index_agrees_with_ffprobe() {
    let Some(root) = media_root() else { return };
    let (mut exact, mut refused, mut differing) = (0, Vec::new(), Vec::new());
    for path in media_files(&root, &EXTENSIONS) {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        match open_file(&path) {
            Ok(index) => match compare(&index, &path) {
                Ok(()) => exact += index.tracks.len(),
                Err(why) => differing.push((name, why)),
            },
            Err(error) => refused.push((name, error.to_string())),
        }
    }
    println!("{exact} tracks exact, {} refused, {} differing", refused.len(), differing.len());
    for (name, why) in refused.iter().chain(&differing) {
        println!("{name}: {why}");
    }
    assert!(exact >= EXACT_TRACKS_MIN, "only {exact} tracks exact");
    let names = |list: &[(String, String)]| -> Vec<String> {
        list.iter().map(|(name, _)| name.clone()).collect()
    };
    let expected = |list: &[(&str, &str)]| -> Vec<String> {
        list.iter().map(|(name, _)| (*name).to_owned()).collect()
    };
    assert_eq!(names(&differing), expected(EXCEPTIONS), "what differs");
    assert_eq!(names(&refused), expected(REFUSED), "what is refused");
    for ((name, error), (_, why)) in refused.iter().zip(REFUSED) {
        assert!(error.contains(why), "{name}: {error}");
    }
}

fn open_file(path: &Path) -> Result<MediaIndex, OpenError<std::io::Error>> {
    let file = File::open(path).unwrap();
    open(file.metadata().unwrap().len(), |offset, buffer| file.read_at(buffer, offset))
}

/// A stream as ffprobe sees it.
struct Probed {
    codec: String,
    /// Seconds of a tick.
    tick: f64,
    packets: Vec<Packet>,
}

struct Packet {
    offset: Option<u64>,
    bytes: u32,
    composition: Option<i64>,
    sync: bool,
}

fn probe(path: &Path) -> Vec<Probed> {
    let output = Command::new("ffprobe")
        .args(["-v", "quiet", "-print_format", "json"])
        .args(["-show_entries", "stream=index,codec_name,time_base"])
        .args(["-show_entries", "packet=stream_index,pos,size,pts,flags"])
        .arg(path)
        .output()
        .unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    let number = |value: &Value| -> Option<i64> {
        value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
    };
    let list = |name: &str| json[name].as_array().cloned().unwrap_or_default();
    let mut streams: Vec<Probed> = list("streams")
        .iter()
        .map(|stream| {
            let base = stream["time_base"].as_str().unwrap_or("1/1").split_once('/').unwrap();
            let (numerator, denominator): (f64, f64) =
                (base.0.parse().unwrap(), base.1.parse().unwrap());
            let codec = stream["codec_name"].as_str().unwrap_or_default().to_owned();
            Probed { codec, tick: numerator / denominator, packets: Vec::new() }
        })
        .collect();
    for packet in list("packets") {
        let stream = number(&packet["stream_index"]).unwrap() as usize;
        streams[stream].packets.push(Packet {
            offset: number(&packet["pos"]).map(i64::cast_unsigned),
            bytes: number(&packet["size"]).unwrap() as u32,
            composition: number(&packet["pts"]),
            sync: packet["flags"].as_str().unwrap_or_default().starts_with('K'),
        });
    }
    streams
}

fn compare(index: &MediaIndex, path: &Path) -> Result<(), String> {
    let probed = probe(path);
    for (position, track) in index.tracks.iter().enumerate() {
        let name = codec_name(&track.codec);
        let stream = probed
            .iter()
            .find(|stream| {
                stream.codec == name || (name == "pcm" && stream.codec.starts_with(name))
            })
            .ok_or(format!("ffprobe has no {name}"))?;
        let track_id = TrackId(position as u8);
        if let CodecConfig::Pcm(config) = &track.codec {
            let lengths = stream.packets.iter().map(|packet| u64::from(packet.bytes));
            let bytes = lengths.sum::<u64>();
            if index.track_bytes(track_id) != bytes {
                return Err(format!("{} bytes, not {bytes}", index.track_bytes(track_id)));
            }
            let frames = bytes / u64::from(config.frame_bytes());
            let nanos = config.rtp_rate.nanos_floor(frames.cast_signed());
            if index.duration.nanos() != nanos.unsigned_abs() {
                return Err(format!("{} of {nanos} ns", index.duration.nanos()));
            }
        } else {
            compare_units(index, track_id, track, stream, path)?;
        }
    }
    Ok(())
}

const fn codec_name(codec: &CodecConfig) -> &'static str {
    match codec {
        CodecConfig::Vp8 => "vp8",
        CodecConfig::Vp9 => "vp9",
        CodecConfig::Av1(_) => "av1",
        CodecConfig::H264(_) => "h264",
        CodecConfig::Aac(_) => "aac",
        CodecConfig::Opus(_) => "opus",
        CodecConfig::Vorbis(_) => "vorbis",
        CodecConfig::MpegAudio(_) => "mp3",
        CodecConfig::Ac3(_) => "ac3",
        CodecConfig::EAc3(_) => "eac3",
        CodecConfig::Amr(_) => "amr_nb",
        CodecConfig::Pcm(_) => "pcm",
        CodecConfig::H265(_)
        | CodecConfig::Mpeg4Visual(_)
        | CodecConfig::H263
        | CodecConfig::MpegVideo
        | CodecConfig::Jpeg => "no codec of these files",
    }
}

fn compare_units(
    index: &MediaIndex,
    track_id: TrackId,
    track: &Track,
    stream: &Probed,
    path: &Path,
) -> Result<(), String> {
    let file = File::open(path).unwrap();
    let first = stream.packets.first().and_then(|packet| packet.composition);
    // ffprobe counts the headers of ADTS in.
    let header_bytes = if is_adts(path) { 7 } else { 0 };
    // What the file ends in the middle of is a packet all the same.
    let mut packets = &stream.packets[..];
    if let Some((last, whole)) = packets.split_last()
        && whole.len() == track.unit_count as usize
        && let Some(unit) = index.unit(track_id, track.unit_count - 1)
        && last.offset == Some(unit.offset + u64::from(unit.bytes))
        && last.offset.unwrap() + u64::from(last.bytes) == file.metadata().unwrap().len()
        && whole.iter().all(|packet| packet.bytes != last.bytes)
    {
        packets = whole;
    }
    if track.unit_count as usize != packets.len() {
        return Err(format!("{} units, {} packets", track.unit_count, packets.len()));
    }
    // ffprobe adds frames of AC-3 up in ticks of 90 kHz, rounded each.
    let is_flv = path.extension().is_some_and(|extension| extension == "flv");
    let is_rounded = matches!(track.codec, CodecConfig::Ac3(_) | CodecConfig::EAc3(_));
    for (at, packet) in packets.iter().enumerate() {
        let unit = index.unit(track_id, at as u32).unwrap();
        let mut bytes = vec![0; unit.bytes as usize];
        file.read_exact_at(&mut bytes, unit.offset).unwrap();
        let mut unwrapped = Vec::new();
        track.wrapping.unwrap(unit.offset, &bytes, &mut unwrapped);
        let length = if track.wrapping == Wrapping::None { bytes.len() } else { unwrapped.len() };
        if length as u32 + header_bytes != packet.bytes {
            return Err(format!("unit {at}: {length} bytes, not {}", packet.bytes));
        }
        if unit.sync != packet.sync {
            return Err(format!("unit {at}: sync {}", unit.sync));
        }
        let (Some(first), Some(composition)) = (first, packet.composition) else { continue };
        let rate = f64::from(track.media_rate.ticks_per_second());
        let start = index.unit(track_id, 0).unwrap().composition;
        let seconds = (unit.composition - start) as f64 / rate;
        let expected = (composition - first) as f64 * stream.tick;
        let rounding = if is_rounded {
            at as f64 * stream.tick
        } else if is_flv && !track.codec.is_video() {
            // Sound is counted by samples, from a first unit whose time was rounded too.
            2.0 * stream.tick
        } else {
            0.0
        };
        // Half a tick of the coarser clock.
        if (seconds - expected).abs() > 0.51 * stream.tick.max(1.0 / rate) + rounding {
            return Err(format!("unit {at}: at {seconds} s, not {expected}"));
        }
    }
    Ok(())
}

fn is_adts(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str());
    matches!(extension, Some("aac" | "adts"))
}
