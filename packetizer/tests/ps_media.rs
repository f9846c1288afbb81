//! The index of programme streams against ffprobe and ffmpeg, on files that ffmpeg makes: how many
//! access units, when, which of them are sync samples, and all their bytes.

#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::convert::Infallible;
use std::path::Path;
use std::process::Command;

use packetizer::container::open;
use packetizer::index::{AccessUnitEntry, MediaIndex, Track, TrackId};
use packetizer::wrapping::Wrapping;
use serde_json::Value;
use support::{extensions, media_files, media_root};

/// A file's name, what ffmpeg is to make it of, its format.
const FILES: [(&str, &str, &str); 8] = [
    ("system.mpg", "-c:v mpeg1video -bf 2 -c:a mp2", "-f mpeg"),
    ("video-cd.mpg", "-c:v mpeg1video -bf 0 -c:a mp2 -ac 2 -b:a 224k", "-f vcd"),
    ("super-video-cd.mpg", "-c:v mpeg2video -bf 2 -c:a mp2", "-f svcd"),
    ("disc.mpg", "-c:v mpeg2video -bf 2 -flags +ilme+ildct -c:a mp2", "-f dvd"),
    ("disc.vob", "-c:v mpeg2video -bf 2 -c:a ac3", "-f vob"),
    ("layer3.mpg", "-c:v libx264 -bf 2 -c:a mp3", "-f vob"),
    ("h265.mpg", "-c:v libx265 -x265-params log-level=none -c:a ac3", "-f vob"),
    ("lpcm.vob", "-c:v mpeg2video -bf 0 -c:a pcm_s16be", "-f vob"),
];
/// Seconds of each file.
const SECONDS: &str = "4";

#[test]
fn index_agrees_with_ffmpeg() {
    let folder = tempfile::tempdir().unwrap();
    for (name, codecs, format) in FILES {
        let path = folder.path().join(name);
        make(&path, codecs, format);
        check(&path, name);
    }
}

#[test]
fn index_agrees_with_ffmpeg_on_other_peoples_files() {
    let Some(root) = media_root() else { return };
    let files = media_files(&root, extensions::PROGRAMME_STREAMS);
    assert!(!files.is_empty());
    for path in files {
        check(&path, path.to_str().unwrap());
    }
}

/// Recordings put one behind the other: time stamps and clock jump, in the middle of a picture.
#[test]
fn joined_files_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("part.vob");
    make(&part, "-c:v mpeg2video -bf 2 -c:a ac3", "-f vob");
    let part = std::fs::read(part).unwrap();
    let joined = [&part[..part.len() / 2], &part[..]].concat();
    let index = opened(&joined);
    let alone = opened(&part);
    for (whole, one) in index.tracks.iter().zip(&alone.tracks) {
        assert!(whole.unit_count > one.unit_count * 5 / 4, "{} units", whole.unit_count);
    }
    let seconds = |index: &MediaIndex| index.duration.nanos() / 1_000_000_000;
    assert!((seconds(&alone) + 1..=2 * seconds(&alone)).contains(&seconds(&index)));
}

fn make(path: &Path, codecs: &str, format: &str) {
    let sound = format!("sine=r=44100:d={SECONDS},aresample=48000,pan=stereo|c0=c0|c1=c0");
    let sound = if format.ends_with("cd") { sound.replace("48000", "44100") } else { sound };
    let status = Command::new("ffmpeg")
        .args(["-v", "quiet", "-f", "lavfi", "-i"])
        .arg(format!("testsrc2=s=352x288:r=25:d={SECONDS}"))
        .args(["-f", "lavfi", "-i", &sound])
        .args(["-pix_fmt", "yuv420p", "-g", "12", "-b:v", "900k"])
        .args(codecs.split(' '))
        .args(format.split(' '))
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success(), "{}", path.display());
}

fn opened(file: &[u8]) -> MediaIndex {
    try_open(file).unwrap()
}

fn try_open(file: &[u8]) -> Option<MediaIndex> {
    let read = |offset: u64, buffer: &mut [u8]| -> Result<usize, Infallible> {
        let rest = &file[offset as usize..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    };
    open(file.len() as u64, read).ok()
}

fn check(path: &Path, name: &str) {
    let file = std::fs::read(path).unwrap();
    let index = opened(&file);
    let json = probe(path);
    let streams = json["streams"].as_array().unwrap();
    let (mut constant, mut found) = (None, 0);
    for (number, stream) in streams.iter().enumerate() {
        let id = u32::from_str_radix(&stream["id"].as_str().unwrap()[2..], 16).unwrap() & 0xff;
        let codec = stream["codec_name"].as_str().unwrap();
        if codec == "dvd_nav_packet" {
            continue; // no media, and no PES packets with a header
        }
        if codec == "pcm_dvd" {
            let skipped = index.skipped.iter().find(|skipped| skipped.container_id == id).unwrap();
            assert_eq!(skipped.to_string(), "track 160: codec LPCM of a DVD is not supported");
            continue;
        }
        found += 1;
        let track = index.tracks.iter().position(|track| track.container_id == id).unwrap();
        let units: Vec<_> = (0..).map_while(|at| index.unit(TrackId(track as u8), at)).collect();
        let packets = json["packets"].as_array().unwrap();
        let packets: Vec<&Value> =
            packets.iter().filter(|packet| packet["stream_index"] == number).collect();
        let named = format!("{name}, {codec}");
        compare(&units, &packets, &mut constant, &named);
        let wrapping = &index.tracks[track].wrapping;
        let mut ours = Vec::new();
        for unit in &units {
            let before = ours.len();
            let bytes = &file[unit.offset as usize..][..unit.bytes as usize];
            wrapping.unwrap(unit.offset, bytes, &mut ours);
            assert_eq!(ours.len() - before, unit.media_bytes as usize, "{named}");
        }
        let copied = copied(path, number);
        assert!(ours == copied, "{named}: {} bytes against {}", ours.len(), copied.len());
    }
    assert_eq!(found, index.tracks.len(), "{name}");
    println!("{name}: {found} tracks agree");
}

/// `constant` is what all tracks of the file differ by in time.
fn compare(units: &[AccessUnitEntry], packets: &[&Value], constant: &mut Option<i64>, named: &str) {
    assert_eq!(units.len(), packets.len(), "{named}");
    for (at, (unit, packet)) in units.iter().zip(packets).enumerate() {
        let is_sync = packet["flags"].as_str().unwrap().starts_with('K');
        assert_eq!(unit.sync, is_sync, "{named}, unit {at}");
        let bytes: u32 = packet["size"].as_str().unwrap().parse().unwrap();
        // The zero in front of a start code counts with the unit before at ffmpeg.
        assert!(unit.media_bytes.abs_diff(bytes) <= 1, "{named}, unit {at}: {bytes} {unit:?}");
        let Some(composition) = packet["pts"].as_i64() else { continue };
        let constant = *constant.get_or_insert(unit.composition - composition);
        // Ticks between stamps are rounded in another way.
        let apart = unit.composition - composition - constant;
        assert!(apart.abs() <= 2, "{named}, unit {at}: {apart} ticks");
    }
}

fn probe(path: &Path) -> Value {
    let output = Command::new("ffprobe")
        .args(["-v", "quiet", "-print_format", "json", "-show_entries"])
        .args(["stream=index,id,codec_name", "-show_entries"])
        .arg("packet=stream_index,size,pts,flags")
        .arg(path)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn copied(path: &Path, stream: usize) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "quiet", "-i"])
        .arg(path)
        .args(["-map", &format!("0:{stream}"), "-c", "copy", "-copyinkf", "-f", "data", "-"])
        .output()
        .unwrap();
    output.stdout
}

/// Damaged copies: no panic, memory in proportion, and what is taken out of a unit's stretch of the
/// file is always what was found when it was opened.
#[test]
fn damaged_files_neither_panic_nor_grow() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = 0;
    for (name, codecs, format) in FILES {
        let path = folder.path().join(name);
        make(&path, codecs, format);
        let mut file = std::fs::read(&path).unwrap();
        file.truncate(60_000);
        for seed in 0..MUTANTS {
            let mutant = damaged(&file, seed + 1);
            let Some(index) = try_open(&mutant) else { continue };
            opened += 1;
            assert!(index.bytes() < 16 * file.len(), "{name}, {seed}: {} bytes", index.bytes());
            // What begins otherwise may be taken for the sound in it.
            let is_program_stream = |track: &Track| track.wrapping != Wrapping::None;
            for (track, described) in (0..).zip(&index.tracks).filter(|t| is_program_stream(t.1)) {
                for unit in (0..).map_while(|at| index.unit(TrackId(track), at)) {
                    let bytes = &mutant[unit.offset as usize..][..unit.bytes as usize];
                    let mut own = Vec::new();
                    described.wrapping.unwrap(unit.offset, bytes, &mut own);
                    assert_eq!(own.len(), unit.media_bytes as usize, "{name}, {seed}: {unit:?}");
                }
            }
        }
    }
    assert!(opened > FILES.len() as u64 * MUTANTS * 9 / 10, "only {opened} opened");
}

/// Of each file.
const MUTANTS: u64 = 300;

/// Bytes that are changed, left out, or come once more.
fn damaged(file: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % limit
    };
    let mut mutant = file.to_vec();
    for _ in 0..=below(8) {
        let at = below(mutant.len());
        let end = (at + 1 + below(600)).min(mutant.len());
        match below(8) {
            0 => drop(mutant.drain(at..end)),
            1 => {
                let piece = mutant[at..end].to_vec();
                mutant.splice(at..at, piece);
            }
            2 => mutant[at] = [0, 1, 0xba, 0xe0, 0xc0, 0xbd][below(6)],
            // Where headers are: in the first bytes of a sector.
            3 => {
                let at = (at / 2048 * 2048 + below(40)).min(mutant.len() - 1);
                mutant[at] = below(256) as u8;
            }
            _ => mutant[at] ^= 1 << below(8),
        }
    }
    mutant
}
