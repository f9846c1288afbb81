//! AAC in LATM, made by ffmpeg, against the same access units in ADTS.

#![allow(clippy::cast_possible_truncation, clippy::unwrap_used)]

use std::convert::Infallible;
use std::path::Path;
use std::process::Command;

use packetizer::codec::aac::AdtsHeader;
use packetizer::container::open;
use packetizer::index::{MediaIndex, TrackId};
use packetizer::wrapping::Wrapping;

/// Of each file.
const MUTANTS: u64 = 400;

#[test]
fn units_are_those_of_adts() {
    let folder = tempfile::tempdir().unwrap();
    for (rate, channels, interval) in [(44_100, 2, 20), (8000, 1, 1), (48_000, 6, 7)] {
        let (adts, latm) = (folder.path().join("a.aac"), folder.path().join("a.latm"));
        let source = format!("anoisesrc=r={rate}:d=3:a=0.2:seed=1");
        let encode = format!("-f lavfi -i {source} -ac {channels} -c:a aac -b:a 64k");
        run(&encode, &adts);
        let copy = format!("-i {} -c copy -f latm -smc-interval {interval}", adts.display());
        run(&copy, &latm);
        let file = std::fs::read(&latm).unwrap();
        let index = try_open(&file).unwrap();
        let expected = payloads(&std::fs::read(&adts).unwrap());
        assert!(expected.len() > 20 && index.skipped.is_empty());
        assert_eq!(index.tracks[0].codec.rtp_rate().ticks_per_second(), rate);
        assert!(units(&index, &file) == expected, "{rate} {channels}");
        mutate(&file[..file.len().min(8000)]);
    }
}

#[test]
fn units_in_transport_streams_are_those_of_adts() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = "-f lavfi -i testsrc2=s=128x96:r=25:d=3 -c:v mpeg2video -b:v 2M ";
    for (rate, channels, video) in [(44_100, 2, ""), (48_000, 6, pictures), (8000, 1, pictures)] {
        let [mp4, adts, stream] = ["a.m4a", "a.aac", "a.ts"].map(|name| folder.path().join(name));
        let source = format!("anoisesrc=r={rate}:d=12:a=0.2:seed=1");
        run(&format!("-f lavfi -i {source} -ac {channels} -c:a aac -b:a 64k"), &mp4);
        let copy = format!("-ignore_editlist 1 -i {}", mp4.display());
        run(&format!("{copy} -c copy"), &adts);
        run(&format!("{copy} {video}-c:a copy -f mpegts -mpegts_flags latm"), &stream);
        let file = std::fs::read(&stream).unwrap();
        let expected = payloads(&std::fs::read(&adts).unwrap());
        let index = try_open(&file).unwrap();
        assert!(index.skipped.is_empty());
        assert_eq!(times_and_units(&index, &file, rate), (0, expected.clone()), "{rate}");
        // From within, sound begins with the first PES packet that tells its configuration.
        let packets: Vec<&[u8]> = file.chunks(188).collect();
        let tables = packets[..3].concat();
        for first in [packets.len() / 7, packets.len() / 5, packets.len() / 3] {
            let rest = [&tables[..], &packets[first..].concat()].concat();
            let index = try_open(&rest).unwrap();
            let (_, units) = times_and_units(&index, &rest, rate);
            let (count, all) = (units.len(), expected.len());
            assert!(count > all / 4 && count < all, "{rate} from {first}: {count} of {all}");
            assert!(expected.ends_with(&units), "{rate} from {first}");
        }
        mutate(&file[..file.len().min(40_000)]);
    }
}

/// When sound begins after the pictures, in ticks, if its units follow one another, and the units.
fn times_and_units(index: &MediaIndex, file: &[u8], rate: i64) -> (i64, Vec<Vec<u8>>) {
    let track = index.tracks.iter().position(|track| !track.codec.is_video()).unwrap();
    let codec = &index.tracks[track].codec;
    assert_eq!(i64::from(codec.rtp_rate().ticks_per_second()), rate);
    let wrapping = &index.tracks[track].wrapping;
    assert!(matches!(wrapping, Wrapping::LatmIn(..)));
    let track = TrackId(track as u8);
    let start = index.unit(track, 0).unwrap().composition;
    let entries = (0..).map_while(|at| index.unit(track, at));
    for (at, unit) in (0..).zip(entries) {
        let due = start + at * 1024 * 90_000 / rate;
        assert!((unit.composition - due).abs() <= 2, "unit {at}: {} not {due}", unit.composition);
    }
    (start, units_of(index, track, file))
}

fn run(arguments: &str, path: &Path) {
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(arguments.split(' '))
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success(), "{arguments}");
}

fn payloads(mut frames: &[u8]) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    while let Some(header) = AdtsHeader::parse(frames) {
        let (frame, behind) = frames.split_at(header.frame_bytes as usize);
        payloads.push(frame[header.header_bytes as usize..].to_vec());
        frames = behind;
    }
    payloads
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

fn units(index: &MediaIndex, file: &[u8]) -> Vec<Vec<u8>> {
    units_of(index, TrackId(0), file)
}

fn units_of(index: &MediaIndex, track: TrackId, file: &[u8]) -> Vec<Vec<u8>> {
    let wrapping = &index.tracks[usize::from(track.0)].wrapping;
    let entries = (0..).map_while(|at| index.unit(track, at));
    let units = entries.map(|unit| {
        let mut bytes = Vec::new();
        let element = &file[unit.offset as usize..][..unit.bytes as usize];
        wrapping.unwrap(unit.offset, element, &mut bytes);
        assert_eq!(bytes.len(), unit.media_bytes as usize);
        bytes
    });
    units.collect()
}

/// Damaged copies: no panic, and what is taken out is what was found when the file was opened.
fn mutate(file: &[u8]) {
    let mut opened = 0;
    for seed in 1..=MUTANTS {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut below = |limit: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % limit
        };
        let mut mutant = file.to_vec();
        for _ in 0..=below(6) {
            let at = below(mutant.len());
            match below(4) {
                0 => drop(mutant.drain(at..(at + 1 + below(200)).min(file.len() / 2).max(at))),
                // Where the first configuration is.
                1 => mutant[at % 12] = below(256) as u8,
                _ => mutant[at] ^= 1 << below(8),
            }
        }
        let Some(index) = try_open(&mutant) else { continue };
        assert!(index.bytes() < 16 * file.len());
        for (number, track) in (0..).zip(&index.tracks) {
            if matches!(track.wrapping, Wrapping::Latm(_) | Wrapping::LatmIn(..)) {
                opened += 1;
                units_of(&index, TrackId(number), &mutant);
            }
        }
    }
    assert!(opened > MUTANTS / 4, "only {opened} opened");
}
