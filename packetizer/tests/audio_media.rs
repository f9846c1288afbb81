//! The index of audio files, Ogg, IVF and FLV against ffprobe, on other people's files and on some
//! that are made here.
//!
//! Units are compared with ffprobe's packets by length, checksum, sync flag and composition time,
//! the last up to a constant a track; of PCM, which both cut as they like, the whole. Every segment
//! is laid out.

#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::convert::Infallible;
use std::path::Path;
use std::process::Command;

use packetizer::codec::CodecConfig;
use packetizer::container::{OpenError, open};
use packetizer::image::{Bursts, Framing, ImageRequest, ImageStorage, PacketImage, PayloadClass};
use packetizer::index::{AccessUnitEntry, MediaIndex, SegmentId, Track, TrackId};
use packetizer::wrapping::Wrapping;
use support::codecs::names;
use support::ffprobe::{Packet, Probed, adler32, probe};
use support::seeks::compare_seeks;
use support::tally::Tally;
use support::{ADTS, extensions, media_files, media_root};

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
    ("mutagen/adif.aac", "AAC in ADIF, in which nothing but decoding tells"),
    ("pypi-hachoir/ladouce_1h15.wav", "floating-point PCM is not supported"),
    ("torchcodec/sine_mono_s32.wav", "PCM of 32 bits is not supported"),
];

/// Tracks that agree today; a change that loses some is a regression.
const EXACT_TRACKS_MIN: usize = 41;

#[test]
fn index_agrees_with_ffprobe() {
    let Some(root) = media_root() else { return };
    let mut files = media_files(&root, extensions::AUDIO);
    files.push(root.join(ADTS));
    let mut tally = Tally::default();
    for path in files {
        let name = Tally::name(&root, &path);
        let file = std::fs::read(&path).unwrap();
        match open_bytes(&file) {
            Ok(index) => match compare(&index, &file, &path) {
                Ok(()) => tally.exact += index.tracks.len(),
                Err(why) => tally.differing.push((name, why)),
            },
            Err(error) => tally.refused.push((name, error.to_string())),
        }
    }
    tally.judge(EXACT_TRACKS_MIN, EXCEPTIONS);
    let refused: Vec<&str> = tally.refused.iter().map(|(name, _)| &**name).collect();
    let expected: Vec<&str> = REFUSED.iter().map(|(name, _)| *name).collect();
    assert_eq!(refused, expected, "what is refused");
    for ((name, error), (_, why)) in tally.refused.iter().zip(REFUSED) {
        assert!(error.contains(why), "{name}: {error}");
    }
}

const NOISE: &str = "-f lavfi -i anoisesrc=duration=2:sample_rate=48000:amplitude=0.3";
const PICTURES: &str = "-f lavfi -i testsrc2=size=320x240:rate=25:duration=1";

/// What other people's files do not have.
const MADE: &[(&str, &str, &str)] = &[
    ("mulaw.wav", NOISE, "-c:a pcm_mulaw -ar 8000 -ac 1"),
    ("alaw.au", NOISE, "-c:a pcm_alaw -ar 8000 -ac 2"),
    ("extensible.wav", NOISE, "-c:a pcm_s24le -ac 6"),
    ("mp3.wav", NOISE, "-c:a libmp3lame -b:a 320k"),
    ("big.aiff", NOISE, "-c:a pcm_s16be -ac 2"),
    ("mulaw.aiff", NOISE, "-c:a pcm_mulaw -ar 8000"),
    ("layer2.mp2", NOISE, "-c:a mp2 -b:a 384k -ac 2"),
    ("low.mp3", NOISE, "-c:a libmp3lame -ar 22050 -ac 1 -q:a 4 -id3v2_version 4 -write_id3v1 1"),
    ("five.eac3", NOISE, "-c:a eac3 -ac 6 -b:a 640k"),
    ("mono.ac3", NOISE, "-c:a ac3 -ac 1 -ar 44100"),
    // Packets that go on in the next page, and short ones.
    ("long.opus", NOISE, "-c:a libopus -ac 2 -vbr off -b:a 500k -page_duration 9000000"),
    ("short.opus", NOISE, "-c:a libopus -ac 1 -frame_duration 2.5 -application lowdelay"),
    ("two.ogg", NOISE, "-map 0 -map 0 -c:a:0 libvorbis -q:a:0 10 -c:a:1 libopus -b:a:1 256k"),
    ("theora.ogg", PICTURES, "-f lavfi -i sine=duration=1 -c:v libtheora -c:a libvorbis -ac 2"),
    ("vp8.ivf", PICTURES, "-c:v libvpx -g 10 -auto-alt-ref 1 -lag-in-frames 10 -deadline realtime"),
    ("vp9.ivf", PICTURES, "-c:v libvpx-vp9 -g 10 -deadline realtime -cpu-used 8"),
    ("mp3.flv", PICTURES, "-f lavfi -i sine=duration=1 -c:v libx264 -bf 2 -c:a libmp3lame"),
];

#[test]
fn index_of_made_files_agrees_with_ffprobe() {
    let directory = tempfile::tempdir().unwrap();
    let mut differing = Vec::new();
    for (name, input, arguments) in MADE {
        let path = directory.path().join(name);
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin"])
            .args(input.split(' ').chain(arguments.split(' ')))
            .arg(&path)
            .status()
            .unwrap();
        assert!(made.success(), "{name}");
        let file = std::fs::read(&path).unwrap();
        let index = open_bytes(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        if let Err(why) = compare(&index, &file, &path) {
            differing.push((*name, why));
        }
        let expected = match *name {
            "two.ogg" | "mp3.flv" => (2, 0),
            "theora.ogg" => (1, 1),
            _ => (1, 0),
        };
        assert_eq!((index.tracks.len(), index.skipped.len()), expected, "{name}");
    }
    assert!(differing.is_empty(), "{differing:#?}");
}

fn open_bytes(file: &[u8]) -> Result<MediaIndex, OpenError<Infallible>> {
    open(file.len() as u64, |offset, buffer| {
        let rest = &file[offset as usize..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    })
}

fn compare(index: &MediaIndex, file: &[u8], path: &Path) -> Result<(), String> {
    let probed = probe(path, &[]);
    for (position, track) in index.tracks.iter().enumerate() {
        let names = names(&track.codec);
        let stream = probed.iter().find(|stream| names.contains(&&*stream.codec));
        let stream = stream.ok_or(format!("ffprobe has none of {names:?}"))?;
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
            let packets = whole_packets(index, track_id, track, stream, file.len() as u64);
            compare_contents(index, track_id, track, packets, file, path)?;
            let (numerator, denominator) = stream.time_base;
            let tick = numerator as f64 / denominator as f64;
            compare_times(index, track_id, track, packets, tick, path)?;
        }
        compare_seeks(index, track_id, stream, seek_slack(index, track_id, stream))?;
        lay_out(index, track_id, file)?;
    }
    Ok(())
}

/// Lays all segments of a track out.
fn lay_out(index: &MediaIndex, track: TrackId, file: &[u8]) -> Result<(), String> {
    let unit_bytes = |unit: &AccessUnitEntry| {
        file.get(unit.offset as usize..unit.offset as usize + unit.bytes as usize)
    };
    // Opus has no fragments (RFC 7587 §4.2).
    let is_opus = matches!(index.tracks[usize::from(track.0)].codec, CodecConfig::Opus(_));
    let packet_bytes_max = if is_opus { 9000 } else { 1200 };
    for segment in (0..index.segment_count()).map(SegmentId) {
        let request = ImageRequest {
            index,
            track,
            segment,
            class: PayloadClass { packet_bytes_max },
            framing: Framing::Datagram,
            payload_type: 96,
            bursts: Bursts::default(),
        };
        PacketImage::build(request, unit_bytes, ImageStorage::default())
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// ffprobe's packets without the last, if that is only what the file ends in the middle of.
fn whole_packets<'a>(
    index: &MediaIndex,
    track_id: TrackId,
    track: &Track,
    stream: &'a Probed,
    file_bytes: u64,
) -> &'a [Packet] {
    let packets = &stream.packets[..];
    if let Some((last, whole)) = packets.split_last()
        && let Some(unit) = index.unit(track_id, track.unit_count - 1)
        && whole.len() == track.unit_count as usize
        && last.offset == Some(unit.offset + u64::from(unit.bytes))
        && last.offset.map(|offset| offset + u64::from(last.bytes)) == Some(file_bytes)
        && whole.iter().all(|packet| packet.bytes != last.bytes)
    {
        return whole;
    }
    packets
}

fn compare_contents(
    index: &MediaIndex,
    track_id: TrackId,
    track: &Track,
    packets: &[Packet],
    file: &[u8],
    path: &Path,
) -> Result<(), String> {
    if track.unit_count as usize != packets.len() {
        return Err(format!("{} units, {} packets", track.unit_count, packets.len()));
    }
    // ffprobe counts the headers of ADTS in.
    let extension = path.extension().and_then(|e| e.to_str());
    let has_headers = matches!(extension, Some("aac" | "adts")) || path.ends_with(ADTS);
    let header_bytes = if has_headers { 7 } else { 0 };
    for (at, packet) in packets.iter().enumerate() {
        let unit = index.unit(track_id, at as u32).unwrap();
        let (start, end) = (unit.offset as usize, unit.offset as usize + unit.bytes as usize);
        let mut unwrapped = Vec::new();
        track.wrapping.unwrap(unit.offset, &file[start..end], &mut unwrapped);
        if track.wrapping == Wrapping::None {
            unwrapped.extend_from_slice(&file[start - header_bytes..end]);
        }
        if unwrapped.len() as u32 != packet.bytes {
            return Err(format!("unit {at}: {} bytes, not {}", unwrapped.len(), packet.bytes));
        }
        if Some(adler32(&unwrapped)) != packet.adler32 {
            return Err(format!("unit {at}: other bytes"));
        }
        if unit.sync != packet.sync {
            return Err(format!("unit {at}: sync {}", unit.sync));
        }
    }
    Ok(())
}

/// How far times of seeks may be apart: as much as those of units, which are rounded in another
/// way, at most.
fn seek_slack(index: &MediaIndex, track: TrackId, stream: &Probed) -> i64 {
    let media = &index.tracks[usize::from(track.0)];
    let frame =
        index.unit(track, 1).map_or(0, |unit| media.media_rate.nanos_floor(unit.duration.into()));
    let rounding = if media.codec.is_video() { 0 } else { frame };
    2 * stream.nanos(1) + rounding
}

fn compare_times(
    index: &MediaIndex,
    track_id: TrackId,
    track: &Track,
    packets: &[Packet],
    tick: f64,
    path: &Path,
) -> Result<(), String> {
    let rate = f64::from(track.media_rate.ticks_per_second());
    // Vorbis' first packet takes no time; ffprobe gives it some, in front of the others.
    let start = usize::from(matches!(track.codec, CodecConfig::Vorbis(_)));
    let first_packet = packets.get(start).and_then(|packet| packet.composition);
    let first_unit = index.unit(track_id, start as u32).unwrap().composition;
    let is_flv = path.extension().is_some_and(|extension| extension == "flv");
    let is_ac3 = matches!(track.codec, CodecConfig::Ac3(_) | CodecConfig::EAc3(_));
    for (at, packet) in packets.iter().enumerate().skip(start) {
        let (Some(first), Some(composition)) = (first_packet, packet.composition) else { continue };
        let unit = index.unit(track_id, at as u32).unwrap();
        let seconds = (unit.composition - first_unit) as f64 / rate;
        let expected = (composition - first) as f64 * tick;
        let rounding = if is_ac3 {
            // ffprobe adds the frames up in ticks of 90 kHz, rounded each.
            at as f64 * tick
        } else if is_flv && !track.codec.is_video() {
            // Sound is counted by samples, from a first unit whose time was rounded too.
            2.0 * tick
        } else {
            0.0
        };
        // Half a tick of the coarser clock.
        if (seconds - expected).abs() > 0.51 * tick.max(1.0 / rate) + rounding {
            return Err(format!("unit {at}: at {seconds} s, not {expected}"));
        }
    }
    Ok(())
}
