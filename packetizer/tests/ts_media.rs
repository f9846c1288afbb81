//! The index of transport streams and elementary streams against ffprobe and ffmpeg, on other
//! people's files.
//!
//! Of transport streams, times are compared up to one constant a file; of elementary streams, which
//! have none, the order in which pictures are shown is. The bytes of all units must be those that
//! ffmpeg copies out of the file.

#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::path::Path;
use std::process::Command;

use packetizer::codec::CodecConfig;
use packetizer::codec::aac::AdtsHeader;
use packetizer::index::{AccessUnitEntry, MediaIndex, TrackId};
use packetizer::wrapping::Wrapping;
use support::codecs::{is_delivered, names};
use support::ffprobe::{Packet, Probed, ffprobe, number, probe};
use support::seeks::compare_seeks;
use support::tally::Tally;
use support::{ADTS, extensions, media_files, media_root, open_file};

/// Files where ffprobe or ffmpeg and the index differ, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("androidx-media/sample_dts_hd_across_pes.ts", "DTS: ffprobe guesses MP3 from garbage"),
    ("fuzzing-corpus/FM1_FT_E.264", "slices in any order: ffmpeg takes some for new pictures"),
    ("fuzzing-corpus/H264_bad_decoding.264", "no parameter sets in the first 64 KiB"),
    (
        "fuzzing-corpus/MVCDS-6_old.264",
        "prefix NAL units belong to the access unit they begin (ISO 14496-10 §7.4.1.2.3)",
    ),
    ("fuzzing-corpus/station.1080p.h264", "begins with text: a file of a revision control system"),
];

/// Files that agree today; a change that loses some is a regression.
const EXACT_FILES_MIN: usize = 75;

#[test]
fn index_agrees_with_ffmpeg() {
    let Some(root) = media_root() else { return };
    let mut files = media_files(&root, extensions::STREAMS);
    files.retain(|path| !path.ends_with(ADTS));
    assert!(files.len() > 60, "only {} files", files.len());
    let verdicts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = files
            .chunks(files.len().div_ceil(THREADS))
            .map(|files| scope.spawn(|| files.iter().map(|path| judge(path)).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut tally = Tally::default();
    for (path, verdict) in files.iter().zip(verdicts) {
        let name = Tally::name(&root, path);
        match verdict {
            Verdict::Exact => tally.exact += 1,
            Verdict::Refused(error) => tally.refused.push((name, error)),
            Verdict::Differs(why) => tally.differing.push((name, why)),
        }
    }
    tally.judge(EXACT_FILES_MIN, EXCEPTIONS);
}

/// Kinds of streams of which there are no other people's files, made with ffmpeg.
#[test]
fn index_agrees_with_ffmpeg_on_streams_it_makes() {
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in [
        ("simple.m4v", "-c:v mpeg4 -bf 0 -g 12 -f m4v"),
        ("reordered.m4v", "-c:v mpeg4 -bf 2 -g 12 -f m4v"),
        ("simple.m1v", "-c:v mpeg1video -bf 0 -g 12 -f mpeg1video"),
        ("reordered.m2v", "-c:v mpeg2video -bf 2 -g 12 -f mpeg2video"),
        ("fields.m2v", "-c:v mpeg2video -bf 2 -g 12 -flags +ilme+ildct -f mpeg2video"),
        ("disc.m2ts", "-c:v mpeg2video -bf 2 -g 12 -f mpegts -mpegts_m2ts_mode 1"),
        ("visual.ts", "-c:v mpeg4 -bf 2 -g 12 -f mpegts"),
    ] {
        let path = folder.path().join(name);
        let status = Command::new("ffmpeg")
            .args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=3"])
            .args(["-pix_fmt", "yuv420p"])
            .args(options.split(' '))
            .arg(&path)
            .status()
            .unwrap();
        assert!(status.success(), "{name}");
        match judge(&path) {
            Verdict::Exact => {}
            Verdict::Refused(why) | Verdict::Differs(why) => panic!("{name}: {why}"),
        }
    }
}

/// ffprobe and ffmpeg run side by side.
const THREADS: usize = 4;

enum Verdict {
    Exact,
    /// Neither does ffprobe find anything that is delivered.
    Refused(String),
    Differs(String),
}

fn judge(path: &Path) -> Verdict {
    let probed = probe(path, &[]);
    match open_file(path) {
        Ok(index) => {
            compare(path, &index, &probed).map_or_else(Verdict::Differs, |()| Verdict::Exact)
        }
        Err(error) if !probed.iter().any(is_deliverable) => Verdict::Refused(error.to_string()),
        Err(error) => Verdict::Differs(error.to_string()),
    }
}

fn is_deliverable(probed: &Probed) -> bool {
    is_delivered(&probed.codec) && !probed.packets.is_empty()
}

/// What differs first.
fn compare(path: &Path, index: &MediaIndex, probed: &[Probed]) -> Result<(), String> {
    let file = std::fs::read(path).unwrap();
    let mut constant = None;
    for (position, track) in index.tracks.iter().enumerate() {
        let id = track.container_id;
        let other = probed
            .iter()
            .find(|probed| probed.container_id.is_none_or(|other| other == id))
            .ok_or(format!("ffprobe has no track {id}"))?;
        let entries: Vec<AccessUnitEntry> = (0..track.unit_count)
            .filter_map(|unit| index.unit(TrackId(position as u8), unit))
            .collect();
        let units: Vec<Vec<u8>> =
            entries.iter().map(|unit| unwrapped(&track.wrapping, unit, &file)).collect();
        let named = |why: String| format!("track {id} ({}): {why}", other.codec);
        if matches!(track.wrapping, Wrapping::LatmIn(..)) {
            // ffmpeg copies the elements; `latm_media` has what is in them.
            if units.len() != other.packets.len() || units.iter().any(Vec::is_empty) {
                let packets = other.packets.len();
                return Err(named(format!("{} units, {packets} packets", units.len())));
            }
        } else {
            compare_bytes(path, &track.codec, &units, other).map_err(named)?;
            compare_units(&entries, &units, other, &track.codec).map_err(named)?;
        }
        if track.wrapping == Wrapping::None {
            compare_order(path, &entries).map_err(named)?;
        } else {
            compare_times(&entries, &other.packets, &mut constant).map_err(named)?;
        }
        if !names(&track.codec).contains(&&*other.codec) {
            return Err(named(format!("is {:?}", names(&track.codec))));
        }
        // Ticks between stamps are rounded in another way.
        let slack = 2 * other.nanos(1);
        compare_seeks(index, TrackId(position as u8), other, slack).map_err(named)?;
    }
    for other in probed.iter().filter(|other| is_deliverable(other)) {
        let id = other.container_id.unwrap_or(1);
        if !index.tracks.iter().any(|track| track.container_id == id) {
            return Err(format!("track {id} ({}) is missing: {:?}", other.codec, index.skipped));
        }
    }
    Ok(())
}

fn unwrapped(wrapping: &Wrapping, unit: &AccessUnitEntry, file: &[u8]) -> Vec<u8> {
    let bytes = &file[unit.offset as usize..][..unit.bytes as usize];
    let mut unwrapped = Vec::new();
    wrapping.unwrap(unit.offset, bytes, &mut unwrapped);
    if *wrapping == Wrapping::None { bytes.to_vec() } else { unwrapped }
}

/// All units together against what ffmpeg copies.
fn compare_bytes(
    path: &Path,
    codec: &CodecConfig,
    units: &[Vec<u8>],
    other: &Probed,
) -> Result<(), String> {
    let output = Command::new("ffmpeg")
        .args(["-v", "quiet", "-i"])
        .arg(path)
        .args(["-map", &format!("0:{}", other.number), "-c", "copy", "-copyinkf"])
        .args(["-f", "data", "-"])
        .output()
        .unwrap();
    let mut copied = output.stdout;
    if matches!(codec, CodecConfig::Aac(_)) {
        copied = without_adts(&copied);
    }
    let ours = units.concat();
    let rest = if codec.is_video() { 0 } else { units[0].len().saturating_sub(1) };
    if copied.len() <= ours.len() + rest && copied.starts_with(&ours) {
        return Ok(());
    }
    let same = ours.iter().zip(&copied).take_while(|(a, b)| a == b).count();
    Err(format!("{} bytes against {}, the first {same} alike", ours.len(), copied.len()))
}

fn without_adts(mut frames: &[u8]) -> Vec<u8> {
    let mut payloads = Vec::new();
    while let Some(header) = AdtsHeader::parse(frames) {
        let end = frames.len().min(header.frame_bytes as usize);
        payloads.extend_from_slice(&frames[header.header_bytes as usize..end]);
        frames = &frames[end..];
    }
    payloads
}

fn compare_units(
    entries: &[AccessUnitEntry],
    units: &[Vec<u8>],
    other: &Probed,
    codec: &CodecConfig,
) -> Result<(), String> {
    // What is left of a frame of sound at the end is a packet to ffprobe.
    let mut packets = &other.packets[..];
    if !codec.is_video() && packets.len() == units.len() + 1 {
        packets = &packets[..units.len()];
    }
    if units.len() != packets.len() {
        return Err(format!("{} units, {} packets", units.len(), packets.len()));
    }
    for (at, ((entry, unit), packet)) in entries.iter().zip(units).zip(packets).enumerate() {
        let header_bytes = if matches!(codec, CodecConfig::Aac(_)) { [7, 9] } else { [0, 0] };
        // The zero in front of a start code counts with the unit before at ffmpeg.
        let slack = usize::from(codec.is_video());
        let agrees = |header: usize| (unit.len() + header).abs_diff(packet.bytes as usize) <= slack;
        if !header_bytes.into_iter().any(agrees) {
            return Err(format!("unit {at}: {} bytes against {}", unit.len(), packet.bytes));
        }
        if packet.sync != entry.sync {
            return Err(format!("unit {at}: sync {} against {}", entry.sync, packet.sync));
        }
    }
    Ok(())
}

/// `constant` is what all tracks of the file differ by.
fn compare_times(
    entries: &[AccessUnitEntry],
    packets: &[Packet],
    constant: &mut Option<i64>,
) -> Result<(), String> {
    for (at, (unit, packet)) in entries.iter().zip(packets).enumerate() {
        let Some(composition) = packet.composition else { continue };
        let constant = *constant.get_or_insert(unit.composition - composition);
        // Ticks between stamps are rounded in another way.
        if (unit.composition - composition - constant).abs() > 2 {
            return Err(format!(
                "unit {at}: composition {} against {composition} + {constant}",
                unit.composition
            ));
        }
        if packet.decode.is_some_and(|decode| (unit.decode - decode - constant).abs() > 2) {
            return Err(format!(
                "unit {at}: decode {} against {:?} + {constant}",
                unit.decode, packet.decode
            ));
        }
    }
    Ok(())
}

/// The units in the order of their composition against the frames that are decoded, which are
/// fewer if they are of two fields.
fn compare_order(path: &Path, entries: &[AccessUnitEntry]) -> Result<(), String> {
    let mut units: Vec<&AccessUnitEntry> = entries.iter().collect();
    units.sort_by_key(|unit| unit.composition);
    let mut units = units.into_iter();
    // Strictly: by the rules of the specification, and not by what is seldom wrong.
    let json = ffprobe(path, &["-strict", "1", "-show_entries", "frame=pkt_pos"]);
    let frames = json["frames"].as_array().cloned().unwrap_or_default();
    for (at, frame) in frames.iter().enumerate() {
        let Some(position) = number(&frame["pkt_pos"]) else { continue };
        // The zero in front of a start code counts with the unit before at ffmpeg.
        if !units.any(|unit| unit.offset.abs_diff(position as u64) <= 1) {
            return Err(format!("frame {at}, at {position}, is shown in another order"));
        }
    }
    let compared = frames.iter().filter(|frame| number(&frame["pkt_pos"]).is_some()).count();
    if compared * 3 < entries.len() {
        return Err(format!("only {compared} of {} were shown", entries.len()));
    }
    let shown = entries.iter().all(|unit| unit.decode <= unit.composition);
    if shown { Ok(()) } else { Err("a unit is shown before it is decoded".to_owned()) }
}
