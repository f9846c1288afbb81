//! The MP4 index against ffprobe, on other people's files.
//!
//! ffprobe reads each file with `-ignore_editlist 1`, so its times are the media's own; it shifts a
//! track so that negative composition offsets become positive, so times are compared up to a
//! constant a track.

#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use packetizer::codec::CodecConfig;
use packetizer::container::{IndexError, OpenError, open};
use packetizer::index::{AccessUnitEntry, MediaIndex, SkipReason, SkippedTrack, TrackId};
use packetizer::time::ClockRate;
use serde_json::Value;
use support::{media_files, media_root};

const EXTENSIONS: [&str; 6] = ["mp4", "mov", "m4a", "m4v", "m4b", "3gp"];

/// Files where ffprobe and the index differ, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("abema-go-mp4/sample_qt.mp4", "cut short: ffprobe yields the units beyond the end as packets"),
    ("aflnet-live555/ffmpeg-h264-bad-read.mp4", "damaged: the handler type is overwritten"),
    (
        "androidx-media/iibbibb_editlist_videoonly.mp4",
        "the edit begins between two pictures: ffprobe begins it with the later one",
    ),
    (
        "androidx-media/sample_fragmented_uuid.mp4",
        "its NAL units are damaged: ffprobe takes the sync flag from them, not from the fragment",
    ),
    ("fq/fragmented.mp4", "its NAL units are damaged, as those above"),
    (
        "gstreamer/av1c_two_entries.mp4",
        "units of two sample descriptions, which one media section cannot describe",
    ),
    ("gpac/gpac_cfg_test.mp4", "ffprobe gives up on the scene description tracks"),
    (
        "mediabunny/rotate-buck-bunny.mp4",
        "composition offsets are negative without an edit list: ffprobe shifts all it tells",
    ),
    ("mozilla-mp4parse/chunk_out_of_range.mp4", "ffprobe gives up on one bad chunk table"),
    (
        "mozilla-mp4parse/test_case_1185230.mp4",
        "no media: ffprobe takes the sync flag from garbage",
    ),
    ("mp4ff/cbcsdec.mp4", "recorded from a live source: here it begins with its first fragment"),
    ("mp4ff/main_1.mp4", "recorded from a live source, as the one above"),
    ("mutagen/truncated-64bit.mp4", "cut short: ffprobe yields the unit at the end as a packet"),
    ("sannies-mp4parser/example-sans-amf0.mp4", "without stss all units are sync samples"),
    ("sannies-mp4parser/Tiny Sample - NEW - Untouched.mp4", "ffprobe marks a unit stss does not"),
];

/// Codecs that are delivered, as ffprobe names them.
const DELIVERED: [&str; 19] = [
    "h264",
    "hevc",
    "av1",
    "vp8",
    "vp9",
    "mpeg4",
    "h263",
    "mpeg1video",
    "mpeg2video",
    "mjpeg",
    "aac",
    "opus",
    "mp3",
    "ac3",
    "eac3",
    "amr_nb",
    "amr_wb",
    "pcm_s16le",
    "pcm_s16be",
];

/// Tracks that agree today; a change that loses some is a regression.
const EXACT_TRACKS_MIN: usize = 227;

#[test]
fn index_agrees_with_ffprobe() {
    let Some(root) = media_root() else { return };
    let files = media_files(&root, &EXTENSIONS);
    assert!(files.len() > 100, "only {} files", files.len());
    let (mut exact, mut refused, mut differing) = (0, 0, Vec::new());
    for path in files {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        let probed = probe(&path, &["-ignore_editlist", "1"]);
        match open_file(&path) {
            Ok(index) => {
                let edited = probe(&path, &["-read_intervals", "%+#64"]);
                let agreed = compare(&index, &probed)
                    .and_then(|tracks| compare_edit_lists(&index, &edited).map(|()| tracks));
                match agreed {
                    Ok(tracks) => exact += tracks,
                    Err(why) => differing.push((name, why)),
                }
            }
            Err(OpenError::Index(error)) if is_justified(&error, &probed) => refused += 1,
            Err(error) => differing.push((name, error.to_string())),
        }
    }
    println!(
        "{exact} tracks exact, {} files differing, {refused} rightly refused",
        differing.len()
    );
    for (name, why) in &differing {
        println!("differs: {name}: {why}");
    }
    assert!(exact >= EXACT_TRACKS_MIN, "only {exact} tracks exact");
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

/// Whether a file is refused for a reason ffprobe, or its bytes, confirm.
fn is_justified(error: &IndexError, probed: &[Probed]) -> bool {
    let deliverable =
        |track: &Probed| DELIVERED.contains(&track.codec.as_str()) && !track.packets.is_empty();
    match error {
        IndexError::NoPlayableTrack { tracks } => probed
            .iter()
            .filter(|track| deliverable(track))
            .all(|track| is_encrypted(tracks, track.container_id)),
        IndexError::Unrecognized
        | IndexError::MoovMissing
        | IndexError::Truncated { .. }
        | IndexError::BoxInvalid { .. }
        | IndexError::Invalid { .. }
        | IndexError::TooLarge { .. } => !probed.iter().any(deliverable),
    }
}

fn is_encrypted(skipped: &[SkippedTrack], container_id: u32) -> bool {
    let encrypted = SkippedTrack { container_id, reason: SkipReason::Encrypted };
    skipped.contains(&encrypted)
}

fn open_file(path: &Path) -> Result<MediaIndex, OpenError<std::io::Error>> {
    let file = File::open(path).unwrap();
    open(file.metadata().unwrap().len(), |offset, buffer| file.read_at(buffer, offset))
}

/// A track as ffprobe sees it.
struct Probed {
    container_id: u32,
    codec: String,
    /// Of audio: as its decoder puts it out.
    sample_rate: Option<i64>,
    channels: Option<i64>,
    /// Of video.
    level: Option<i64>,
    packets: Vec<Packet>,
}

struct Packet {
    offset: u64,
    bytes: u32,
    decode: Option<i64>,
    composition: Option<i64>,
    sync: bool,
    discarded: bool,
}

fn probe(path: &Path, options: &[&str]) -> Vec<Probed> {
    let output = Command::new("ffprobe")
        .args(["-v", "quiet", "-print_format", "json"])
        .args(options)
        .args(["-show_entries", "stream=index,id,codec_name,sample_rate,channels,profile,level"])
        .args(["-show_entries", "packet=stream_index,size,pos,dts,pts,flags"])
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
            let id = stream["id"].as_str().unwrap_or("0x0").trim_start_matches("0x");
            Probed {
                container_id: u32::from_str_radix(id, 16).unwrap(),
                codec: stream["codec_name"].as_str().unwrap_or_default().to_owned(),
                sample_rate: number(&stream["sample_rate"]),
                channels: number(&stream["channels"]),
                level: number(&stream["level"]),
                packets: Vec::new(),
            }
        })
        .collect();
    for packet in list("packets") {
        let stream = number(&packet["stream_index"]).unwrap() as usize;
        tracks[stream].packets.push(Packet {
            offset: number(&packet["pos"]).unwrap_or(-1) as u64,
            bytes: number(&packet["size"]).unwrap() as u32,
            decode: number(&packet["dts"]),
            composition: number(&packet["pts"]),
            sync: packet["flags"].as_str().unwrap_or_default().starts_with('K'),
            discarded: packet["flags"].as_str().unwrap_or_default().contains('D'),
        });
    }
    tracks
}

/// The number of tracks that agree, all of the file's; otherwise what differs first.
fn compare(index: &MediaIndex, probed: &[Probed]) -> Result<usize, String> {
    for (position, track) in index.tracks.iter().enumerate() {
        let other = probed
            .iter()
            .find(|probed| probed.container_id == track.container_id)
            .ok_or(format!("ffprobe has no track {}", track.container_id))?;
        compare_codec(&track.codec, other)
            .map_err(|why| format!("track {}: {why}", track.container_id))?;
        let units: Vec<AccessUnitEntry> = (0..track.unit_count)
            .filter_map(|unit| index.unit(TrackId(position as u8), unit))
            .collect();
        compare_track(&track.codec, &units, &other.packets)
            .map_err(|why| format!("track {}: {why}", track.container_id))?;
    }
    for other in probed.iter().filter(|other| DELIVERED.contains(&other.codec.as_str())) {
        let id = other.container_id;
        // A picture among the tags has no track.
        if id == 0 {
            continue;
        }
        let delivered = index.tracks.iter().any(|track| track.container_id == id);
        if !delivered && !other.packets.is_empty() && !is_encrypted(&index.skipped, id) {
            return Err(format!("track {id} is missing: {:?}", index.skipped));
        }
    }
    Ok(index.tracks.len())
}

fn compare_codec(codec: &CodecConfig, probed: &Probed) -> Result<(), String> {
    let sound = |name, rate: ClockRate, channels: u8| {
        let found = (Some(i64::from(rate.ticks_per_second())), Some(i64::from(channels)));
        (name, found, (probed.sample_rate, probed.channels))
    };
    let picture = |name| (name, (None, None), (None, None));
    let (name, found, expected) = match codec {
        CodecConfig::H264(config) => {
            let level = i64::from(config.profile_level_id()[2]);
            // Without pictures ffprobe knows of none.
            let known = probed.level.filter(|level| *level >= 0).or(Some(level));
            ("h264", (Some(level), None), (known, None))
        }
        CodecConfig::H265(_) => picture("hevc"),
        CodecConfig::Av1(_) => picture("av1"),
        CodecConfig::Vp8 => picture("vp8"),
        CodecConfig::Vp9 => picture("vp9"),
        CodecConfig::Mpeg4Visual(_) => picture("mpeg4"),
        CodecConfig::H263 => picture("h263"),
        CodecConfig::MpegVideo if probed.codec == "mpeg1video" => picture("mpeg1video"),
        CodecConfig::MpegVideo => picture("mpeg2video"),
        CodecConfig::Jpeg => picture("mjpeg"),
        CodecConfig::Mp2t => picture("nothing in MP4"),
        CodecConfig::Aac(config) => sound("aac", config.rtp_rate, config.channels),
        CodecConfig::Opus(config) => sound("opus", codec.rtp_rate(), config.channels),
        CodecConfig::Vorbis(config) => sound("vorbis", config.rtp_rate, config.channels),
        CodecConfig::MpegAudio(config) => sound("mp3", config.sample_rate, config.channels),
        CodecConfig::Ac3(config) => sound("ac3", config.rtp_rate, config.channels),
        CodecConfig::EAc3(config) => sound("eac3", config.rtp_rate, config.channels),
        CodecConfig::Amr(config) if config.is_wideband => sound("amr_wb", config.rtp_rate(), 1),
        CodecConfig::Amr(config) => sound("amr_nb", config.rtp_rate(), 1),
        CodecConfig::Pcm(config) => {
            let is_it = probed.codec.starts_with("pcm_");
            sound(if is_it { &*probed.codec } else { "pcm" }, config.rtp_rate, config.channels)
        }
    };
    if probed.codec == name && found == expected {
        return Ok(());
    }
    Err(format!("{name} {found:?} is {} {expected:?}", probed.codec))
}

fn compare_track(
    codec: &CodecConfig,
    units: &[AccessUnitEntry],
    packets: &[Packet],
) -> Result<(), String> {
    // Uncompressed sound is cut where each likes.
    if let CodecConfig::Pcm(_) = codec {
        let bytes = units.iter().map(|unit| u64::from(unit.bytes)).sum::<u64>();
        let expected = packets.iter().map(|packet| u64::from(packet.bytes)).sum::<u64>();
        let is_same = bytes == expected;
        return is_same.then_some(()).ok_or(format!("{bytes} bytes, {expected} of packets"));
    }
    if units.len() != packets.len() {
        return Err(format!("{} units, {} packets", units.len(), packets.len()));
    }
    let (Some(unit), Some(packet)) = (units.first(), packets.first()) else { return Ok(()) };
    let constant = unit.decode - packet.decode.ok_or("no first dts")?;
    let composition_constant = unit.composition - packet.composition.ok_or("no first pts")?;
    for (at, (unit, packet)) in units.iter().zip(packets).enumerate() {
        if (unit.offset, unit.bytes) != (packet.offset, packet.bytes) {
            return Err(format!(
                "unit {at}: {}+{} against {}+{}",
                unit.offset, unit.bytes, packet.offset, packet.bytes
            ));
        }
        if packet.decode.is_some_and(|decode| decode + constant != unit.decode) {
            return Err(format!(
                "unit {at}: decode {} against {:?} + {constant}",
                unit.decode, packet.decode
            ));
        }
        if packet.composition.is_some_and(|c| c + composition_constant != unit.composition) {
            return Err(format!(
                "unit {at}: composition {} against {:?} + {composition_constant}",
                unit.composition, packet.composition
            ));
        }
        if packet.sync != unit.sync {
            return Err(format!("unit {at}: sync {} against {}", unit.sync, packet.sync));
        }
    }
    Ok(())
}

/// With edit lists applied, the first packets ffprobe does not discard are composed when the index
/// says.
fn compare_edit_lists(index: &MediaIndex, edited: &[Probed]) -> Result<(), String> {
    for (position, track) in index.tracks.iter().enumerate() {
        let packets = edited
            .iter()
            .find(|probed| probed.container_id == track.container_id)
            .map_or(&[][..], |probed| &probed.packets);
        for packet in packets.iter().filter(|packet| !packet.discarded) {
            let unit = (0..track.unit_count)
                .filter_map(|unit| index.unit(TrackId(position as u8), unit))
                .find(|unit| (unit.offset, unit.bytes) == (packet.offset, packet.bytes));
            let (Some(unit), Some(composition)) = (unit, packet.composition) else { continue };
            if unit.composition != composition {
                let id = track.container_id;
                let Packet { offset, .. } = packet;
                return Err(format!(
                    "edit list, track {id}, packet at {offset}: {} against {composition}",
                    unit.composition
                ));
            }
        }
    }
    Ok(())
}
