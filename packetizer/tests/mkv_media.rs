//! The Matroska index against ffprobe, on other people's files.
//!
//! ffprobe shows the timestamps of the file, rounded to its ticks. The index has pictures at the
//! same times, and sound where its samples put it, so near that less than a frame and a tick is
//! between; PCM is cut into smaller units. The bytes of every unit are those of ffprobe's packet.

#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::process::Command;

use packetizer::codec::CodecConfig;
use packetizer::container::{IndexError, OpenError};
use packetizer::index::{AccessUnitEntry, MediaIndex, SkipReason, Track, TrackId};
use packetizer::wrapping::Wrapping;
use support::codecs::{is_delivered, names};
use support::ffprobe::{Probed, adler32, probe};
use support::seeks::compare_seeks;
use support::tally::Tally;
use support::{extensions, media_files, media_root, open_file};

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

#[test]
fn index_agrees_with_ffprobe() {
    let Some(root) = media_root() else { return };
    let files = media_files(&root, extensions::MATROSKA);
    assert!(files.len() > 50, "only {} files", files.len());
    let mut tally = Tally::default();
    for path in files {
        let name = Tally::name(&root, &path);
        let probed = probe(&path, &[]);
        match open_file(&path) {
            Ok(index) => match compare(&index, &std::fs::read(&path).unwrap(), &probed) {
                Ok(tracks) => tally.exact += tracks,
                Err(why) => tally.differing.push((name, why)),
            },
            Err(OpenError::Index(error)) if is_justified(&error, &probed) => {
                tally.refused.push((name, error.to_string()));
            }
            Err(error) => tally.differing.push((name, error.to_string())),
        }
    }
    tally.judge(EXACT_TRACKS_MIN, EXCEPTIONS);
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
            let agreed = compare(&index, &std::fs::read(&path).unwrap(), &probe(&path, &[]));
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
    let deliverable = |track: &&Probed| is_delivered(&track.codec) && !track.packets.is_empty();
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
        let track_id = TrackId(position as u8);
        compare_codec(&track.codec, &other.codec)
            .and_then(|()| {
                if matches!(track.codec, CodecConfig::Pcm(_)) {
                    compare_pcm(&units, file, other)
                } else {
                    compare_track(track, &units, file, other, zero)
                }
            })
            .and_then(|()| compare_seeks(index, track_id, other, slack(track, &units, other)))
            .map_err(|why| format!("track {id}: {why}"))?;
    }
    for number in &numbers {
        let is_there = index.tracks.iter().any(|track| track.container_id == *number);
        let has_packets = stream_of(*number)
            .is_some_and(|other| is_delivered(&other.codec) && !other.packets.is_empty());
        if has_packets && !is_there {
            return Err(format!("track {number} is missing: {:?}", index.skipped));
        }
    }
    Ok(index.tracks.len())
}

fn compare_codec(codec: &CodecConfig, probed: &str) -> Result<(), String> {
    let names = names(codec);
    if names.contains(&probed) { Ok(()) } else { Err(format!("{names:?} is {probed}")) }
}

/// How far times may be apart: a tick, and of sound another and a frame.
fn slack(track: &Track, units: &[AccessUnitEntry], other: &Probed) -> i64 {
    let tick = other.nanos(1).max(1);
    if track.codec.is_video() {
        return tick;
    }
    let frame = units.iter().map(|unit| unit.duration).max().unwrap_or(0);
    tick * 2 + track.media_rate.nanos_floor(frame.into())
}

fn earliest_nanos(probed: &Probed) -> Option<i64> {
    probed.packets.iter().filter_map(|packet| packet.composition).min().map(|t| probed.nanos(t))
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
        if (bytes.len() as u32, adler32(bytes)) != (packet.bytes, packet.adler32.unwrap()) {
            return Err(format!("unit {at}: other bytes at {}+{}", unit.offset, unit.bytes));
        }
        if let Some(composition) = packet.composition {
            let expected = other.nanos(composition) - zero;
            let found = track.media_rate.nanos_floor(unit.composition);
            let tick = other.nanos(1).max(1);
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
        if (found.len() as u32, adler32(&found)) != (packet.bytes, packet.adler32.unwrap()) {
            return Err(format!("packet {at} has other bytes"));
        }
    }
    let is_gapless = units
        .windows(2)
        .all(|two| two[0].composition + i64::from(two[0].duration) == two[1].composition);
    if is_gapless && pieces.next().is_none() { Ok(()) } else { Err("there are gaps".to_owned()) }
}
