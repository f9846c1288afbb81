//! Programme streams written by hand, whole and with all that may be wrong with them.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]

use super::super::testing::{open_slice, units};
use super::probe;
use crate::codec::CodecConfig;
use crate::container::IndexError;
use crate::index::{MediaIndex, SkipReason, SkippedTrack};

/// Ticks of a frame of 1152 samples at 48 kHz.
const FRAME_TICKS: i64 = 2160;
const PACK: [u8; 14] = [0, 0, 1, 0xba, 0x44, 0, 4, 0, 4, 1, 0, 0, 3, 0xf8];
const MPEG1_PACK: [u8; 12] = [0, 0, 1, 0xba, 0x21, 0, 1, 0, 1, 0x80, 0, 1];

/// A packet with this behind its length.
fn packet(stream_id: u8, behind: &[u8]) -> Vec<u8> {
    let [high, low] = (behind.len() as u16).to_be_bytes();
    [&[0, 0, 1, stream_id, high, low], behind].concat()
}

fn stamp(mark: u8, time: i64) -> [u8; 5] {
    let bits = |from: u32, width: u32| (time >> from & ((1 << width) - 1)) as u16;
    let [b, c] = (bits(15, 15) << 1 | 1).to_be_bytes();
    let [d, e] = (bits(0, 15) << 1 | 1).to_be_bytes();
    [mark << 4 | 1 | (bits(30, 3) as u8) << 1, b, c, d, e]
}

/// The header of an MPEG-2 PES packet, from its flags on.
fn header(time: Option<i64>) -> Vec<u8> {
    match time {
        Some(time) => [&[0x80, 0x80, 7][..], &stamp(2, time), &[0xff; 2]].concat(),
        None => vec![0x80, 0, 0],
    }
}

/// The same of an MPEG-1 packet, with stuffing and the size of a buffer.
fn mpeg1_header(time: Option<i64>) -> Vec<u8> {
    let stamp = time.map_or(vec![0x0f], |time| stamp(2, time).to_vec());
    [&[0xff, 0xff, 0x40, 0x20][..], &stamp].concat()
}

/// A frame of MPEG-1 layer II at 48 kHz and 32 kbit/s.
fn frame(number: usize) -> Vec<u8> {
    let mut frame = vec![0xff, 0xfd, 0x14, 0xc0];
    frame.resize(96, number as u8 & 0x7f);
    frame
}

/// A frame that looks like a packet of its own stream, and like one that begins at its end.
fn lure(number: usize) -> Vec<u8> {
    let mut frame = frame(number);
    frame[20..32].copy_from_slice(&[0, 0, 1, 0xc0, 0, 60, 0x80, 0, 0, 0, 0, 1]);
    frame[93..].copy_from_slice(&[0, 0, 1]);
    frame
}

/// Frames of AC-3 at 48 kHz and 32 kbit/s.
fn ac3(number: usize) -> Vec<u8> {
    let mut frame = vec![0x0b, 0x77, 0, 0, 0, 0x40, 0x40];
    frame.resize(128, number as u8);
    frame
}

/// Frames in packets of 110 bytes, of which those in which a frame begins have its time, with
/// `between` after each.
fn sound(
    header: impl Fn(Option<i64>) -> Vec<u8>,
    frames: &[Vec<u8>],
    between: &[u8],
    wrap: impl Fn(&[u8]) -> Vec<u8>,
) -> Vec<u8> {
    let (bytes, each) = (frames.concat(), frames[0].len());
    let mut file = Vec::new();
    for (at, piece) in bytes.chunks(110).enumerate() {
        let begins = (at * 110).div_ceil(each);
        let time = (begins * each < at * 110 + piece.len())
            .then_some(90_000 + begins as i64 * FRAME_TICKS);
        file.extend(wrap(&[&header(time)[..], piece].concat()));
        file.extend_from_slice(between);
    }
    file
}

fn frames(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(frame).collect()
}

/// Composition times and bytes of the units of a track.
fn unwrapped(index: &MediaIndex, track: u8, file: &[u8]) -> Vec<(i64, Vec<u8>)> {
    let wrapping = &index.tracks[usize::from(track)].wrapping;
    let unwrap = |unit: &crate::index::AccessUnitEntry| {
        let mut bytes = Vec::new();
        let stretch = &file[unit.offset as usize..][..unit.bytes as usize];
        wrapping.unwrap(unit.offset, stretch, &mut bytes);
        assert_eq!(bytes.len(), unit.media_bytes as usize);
        (unit.composition, bytes)
    };
    units(index, track).iter().map(unwrap).collect()
}

fn timed(frames: &[Vec<u8>], each: i64) -> Vec<(i64, Vec<u8>)> {
    (0..).map(|at| at * each).zip(frames.iter().cloned()).collect()
}

#[test]
fn frames_are_taken_out_of_packets_of_either_kind() {
    let own = |payload: &[u8]| packet(0xc0, payload);
    let other = [&PACK[..], &packet(0xe0, &[0x80, 0, 0, 1, 2, 3])].concat();
    let padding = packet(0xbe, &[0xff; 90]);
    let frames = frames(40);
    let lures: Vec<_> = (0..40).map(lure).collect();
    for (file, frames) in [
        ([&PACK[..], &sound(header, &frames, &[], own)].concat(), &frames),
        ([&PACK[..], &sound(header, &frames, &other, own)].concat(), &frames),
        ([&MPEG1_PACK[..], &sound(mpeg1_header, &frames, &MPEG1_PACK, own)].concat(), &frames),
        ([&PACK[..], &sound(header, &lures, &other, own)].concat(), &lures),
        ([&PACK[..], &sound(header, &lures, &[0; 9], own)].concat(), &lures),
        ([&PACK[..], &sound(header, &frames, &[0, 0, 1, 0xb3, 7], own)].concat(), &frames),
        (sound(header, &frames, &padding, own), &frames),
        ([vec![0; 40], sound(header, &frames, &[0, 0, 1, 0xb9], own)].concat(), &frames),
    ] {
        let index = open_slice(&file).unwrap();
        assert_eq!(unwrapped(&index, 0, &file), timed(frames, FRAME_TICKS));
        assert_eq!(index.tracks[0].container_id, 0xc0);
        assert!(matches!(index.tracks[0].codec, CodecConfig::MpegAudio(_)));
    }
}

#[test]
fn what_is_lost_costs_no_more_than_its_frames() {
    let own = |payload: &[u8]| packet(0xc0, payload);
    let frames = frames(60);
    let whole = [&PACK[..], &sound(header, &frames, &PACK, own)].concat();
    for (from, to) in [(0, 1), (1000, 1001), (1000, 1700), (3000, 3020), (2000, 2500)] {
        for filling in [&[][..], &[0xc0; 1], &[0, 0, 1], &[0x55; 300]] {
            let file = [&whole[..from], filling, &whole[to..]].concat();
            let Ok(index) = open_slice(&file) else {
                assert_eq!(from, 0, "{from}..{to} {filling:x?}");
                continue;
            };
            let found: Vec<_> =
                unwrapped(&index, 0, &file).into_iter().map(|unit| unit.1).collect();
            let right = frames.iter().filter(|frame| found.contains(frame)).count();
            assert!(right >= 60 - 12, "{right} of 60, {from}..{to} {filling:x?}");
        }
    }
}

#[test]
fn private_stream_1_is_several_on_discs_and_one_elsewhere() {
    let frames: Vec<_> = (0..30).map(ac3).collect();
    let sub = |payload: &[u8]| {
        let (header, elementary) = payload.split_at(3 + usize::from(payload[2]));
        let wrap = |substream| packet(0xbd, &[header, &[substream, 1, 0, 1], elementary].concat());
        [wrap(0x81), wrap(0x20), wrap(0xa0)].concat()
    };
    let file = [&PACK[..], &sound(header, &frames, &PACK, sub)].concat();
    let index = open_slice(&file).unwrap();
    let units: Vec<_> = unwrapped(&index, 0, &file).into_iter().map(|unit| unit.1).collect();
    assert_eq!((units, index.tracks[0].container_id), (frames.clone(), 0x81));
    let skipped = |container_id, reason| SkippedTrack { container_id, reason };
    assert_eq!(
        index.skipped,
        [
            skipped(0x20, SkipReason::NotMedia("DVD subtitles".into())),
            skipped(0xa0, SkipReason::Codec("LPCM of a DVD".into())),
        ]
    );
    let file = [&PACK[..], &sound(header, &frames, &PACK, |p| packet(0xbd, p))].concat();
    let index = open_slice(&file).unwrap();
    let units: Vec<_> = unwrapped(&index, 0, &file).into_iter().map(|unit| unit.1).collect();
    assert_eq!((units, index.tracks[0].container_id), (frames, 0xbd));
}

/// MPEG-2 video of 352 × 288 samples: headers and intra pictures.
fn picture(number: usize) -> Vec<u8> {
    let mut picture = vec![0, 0, 1, 0xb3, 0x16, 1, 0x20, 0x33, 0xff, 0xff, 0xe0, 0xa0];
    picture.extend([0, 0, 1, 0xb5, 0x14, 0x8a, 0, 1, 0, 0]);
    picture.extend([0, 0, 1, 0xb8, 0, 8, 0, 0x40]);
    picture.extend([0, 0, 1, 0, 0, 0x0f, 0xff, 0xf8]);
    picture.extend([0, 0, 1, 0xb5, 0x8f, 0xff, 0xf3, 0xc1, 0x80]);
    picture.extend([0, 0, 1, 1]);
    picture.resize(700, number as u8 | 1);
    picture
}

#[test]
fn packets_without_length_end_where_the_next_begins() {
    let pictures: Vec<_> = (0..20).map(picture).collect();
    let endless = |payload: &[u8]| [&[0, 0, 1, 0xe0, 0, 0], payload].concat();
    for between in [&[][..], &PACK, &packet(0xc0, &[0x80, 0, 0, 1, 2, 3])] {
        let mut file = PACK.to_vec();
        for (at, picture) in pictures.iter().enumerate() {
            let time = 90_000 + at as i64 * 3600;
            file.extend(endless(&[&header(Some(time))[..], &picture[..300]].concat()));
            file.extend_from_slice(between);
            file.extend(endless(&[&header(None)[..], &picture[300..]].concat()));
            file.extend_from_slice(between);
        }
        let index = open_slice(&file).unwrap();
        assert_eq!(unwrapped(&index, 0, &file), timed(&pictures, 3600), "{between:x?}");
    }
}

#[test]
fn scrambled_and_unknown_streams_are_left_out_by_name() {
    let map = [&[0xe1, 0xff, 0, 0, 0, 4, 0x83, 0xc0, 0, 0][..], &[9; 4]].concat();
    let scrambled = |payload: &[u8]| {
        let mut packet = packet(0xc0, payload);
        packet[6] |= 0x10;
        packet
    };
    let noise = vec![vec![0x55; 1000]; 3];
    for (file, reason) in [
        (sound(header, &frames(9), &PACK, scrambled), SkipReason::Encrypted),
        (
            sound(header, &noise, &PACK, |payload| packet(0xc0, payload)),
            SkipReason::Config("what it holds cannot be told"),
        ),
        (
            [packet(0xbc, &map), sound(header, &frames(9), &PACK, |p| packet(0xc0, p))].concat(),
            SkipReason::Codec("TrueHD".into()),
        ),
    ] {
        let error = open_slice(&[&PACK[..], &file].concat()).unwrap_err();
        let tracks = vec![SkippedTrack { container_id: 0xc0, reason }];
        assert_eq!(error, IndexError::NoPlayableTrack { tracks });
    }
}

#[test]
fn is_told_by_its_packets() {
    let packets = [packet(0xbb, &[0; 6]), packet(0xe0, &[0x80, 0, 0]), PACK.to_vec()].concat();
    for (head, expected) in [
        (&PACK[..], true),
        (&MPEG1_PACK, true),
        (&[&[0; 20], &PACK[..]].concat(), true),
        (&packets, true),
        (&packets[..20], false),
        (&[0, 0, 1, 0xba, 0x84, 0, 0, 0, 0, 0, 0, 0, 0, 0], false),
        (&[0, 0, 1, 0xb3, 0x44, 0], false),
        (&[0; 100], false),
        (&[0, 0, 1], false),
        (&[], false),
    ] {
        assert_eq!(probe(head, 2048).is_some(), expected, "{head:x?}");
    }
}
