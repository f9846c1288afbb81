//! Transport streams written by hand, whole and with all that may be wrong with them.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]

use super::psi::tests::section;
use super::stream::PIECES_MAX;
use super::{Packet, Packets, Program, Stream};
use crate::container::{IndexError, OpenError, open};
use crate::index::{MediaIndex, SkipReason, SkippedTrack, TrackId};

const MAP: u16 = 0x100;
const SOUND: u16 = 0x101;
/// Ticks of a frame of 1152 samples at 48 kHz.
const FRAME_TICKS: i64 = 2160;

/// A packet with stuffing in front of what it carries.
fn packet(pid: u16, start: bool, counter: usize, carried: &[u8]) -> Vec<u8> {
    let [high, low] = pid.to_be_bytes();
    let start = if start { 0x40 } else { 0 };
    let stuffing = 183 - carried.len();
    let mut packet = vec![0x47, high | start, low, 0x30 | (counter & 15) as u8, stuffing as u8];
    packet.extend(vec![0xff; stuffing]);
    packet.extend_from_slice(carried);
    assert_eq!(packet.len(), 188);
    packet
}

fn table(pid: u16, section: &[u8]) -> Vec<u8> {
    packet(pid, true, 0, &[&[0], section].concat())
}

fn association() -> Vec<u8> {
    table(0, &section(0, 1, &[0, 1, 0xe1, 0, 0, 2, 0xe2, 0]))
}

/// A map of streams as type and packet identifier.
fn map(pid: u16, program: u16, streams: &[(u8, u16)]) -> Vec<u8> {
    let mut body = vec![0xe1, 1, 0xf0, 0];
    for (kind, pid) in streams {
        let [high, low] = (pid | 0xe000).to_be_bytes();
        body.extend([*kind, high, low, 0xf0, 0]);
    }
    table(pid, &section(2, program, &body))
}

fn stamp(time: i64) -> [u8; 5] {
    let bits = |from: u32, width: u32| (time >> from & ((1 << width) - 1)) as u16;
    let [b, c] = (bits(15, 15) << 1 | 1).to_be_bytes();
    let [d, e] = (bits(0, 15) << 1 | 1).to_be_bytes();
    [0x21 | (bits(30, 3) as u8) << 1, b, c, d, e]
}

/// A frame of MPEG-1 layer II at 48 kHz and 32 kbit/s.
fn frame(number: usize) -> Vec<u8> {
    let mut frame = vec![0xff, 0xfd, 0x14, 0xc0];
    frame.resize(96, number as u8 & 0x7f);
    frame
}

/// PES packets of three frames each, in packets of which none begins where a frame does.
fn sound(pid: u16, times: impl IntoIterator<Item = i64>) -> Vec<Vec<u8>> {
    let (mut packets, mut number) = (Vec::new(), 0);
    for time in times {
        let header = [&[0, 0, 1, 0xc0, 0, 0, 0x80, 0x80, 5], &stamp(time)[..]].concat();
        let frames: Vec<u8> = (number..number + 3).flat_map(frame).collect();
        number += 3;
        for (at, piece) in [header, frames].concat().chunks(110).enumerate() {
            packets.push(packet(pid, at == 0, packets.len(), piece));
        }
    }
    packets
}

fn opened(file: &[u8]) -> Result<MediaIndex, IndexError> {
    let read = |offset: u64, buffer: &mut [u8]| -> Result<usize, ()> {
        let rest = &file[offset as usize..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    };
    open(file.len() as u64, read).map_err(|error| match error {
        OpenError::Index(error) => error,
        OpenError::Read(()) => unreachable!("reading never fails"),
    })
}

/// Composition times and bytes of the units of a track.
fn units(index: &MediaIndex, track: usize, file: &[u8]) -> Vec<(i64, Vec<u8>)> {
    let wrapping = &index.tracks[track].wrapping;
    let entries = (0..).map_while(|at| index.unit(TrackId(track as u8), at));
    let unwrapped = entries.map(|unit| {
        let mut bytes = Vec::new();
        let stretch = &file[unit.offset as usize..][..unit.bytes as usize];
        wrapping.unwrap(unit.offset, stretch, &mut bytes);
        (unit.composition, bytes)
    });
    unwrapped.collect()
}

fn frames(count: usize) -> Vec<(i64, Vec<u8>)> {
    (0..count).map(|number| (number as i64 * FRAME_TICKS, frame(number))).collect()
}

fn times(count: i64) -> impl Iterator<Item = i64> {
    (0..count).map(|at| 90_000 + at * 3 * FRAME_TICKS)
}

fn tables() -> Vec<Vec<u8>> {
    vec![association(), map(MAP, 1, &[(3, SOUND)])]
}

#[test]
fn packets_of_all_lengths_repeated_and_with_garbage_in_between() {
    let plain = [tables(), sound(SOUND, times(10))].concat();
    for (front, back) in [(0, 0), (4, 0), (0, 16)] {
        for (repeated, garbage) in [(1, 0), (2, 0), (1, 777), (2, 91)] {
            let mut file = Vec::new();
            for (at, packet) in plain.iter().enumerate() {
                for _ in 0..repeated {
                    file.extend(vec![0x11; front]);
                    file.extend_from_slice(packet);
                    file.extend(vec![0x22; back]);
                }
                if at % 16 == 15 {
                    file.extend(vec![0x33; garbage]);
                }
            }
            let index = opened(&file).unwrap();
            let found = units(&index, 0, &file);
            assert!(found == frames(30), "{front} {back} {repeated} {garbage}: {}", found.len());
        }
    }
}

#[test]
fn what_lies_before_the_tables_counts() {
    let file = [sound(SOUND, times(4)), tables(), sound(SOUND, times(8).skip(4))].concat().concat();
    let found = units(&opened(&file).unwrap(), 0, &file);
    assert_eq!(found.len(), 24);
    assert_eq!((found[0].0, found[23].0), (0, 23 * FRAME_TICKS));
    let bits = opened(&file).unwrap().tracks[0].bits_per_second;
    assert!((31_900..=32_100).contains(&bits), "{bits}: packets count too");
}

#[test]
fn the_first_programme_is_delivered_and_what_is_left_out_named() {
    let file = [
        vec![association()],
        vec![map(MAP, 1, &[(0x83, 0x110), (3, SOUND), (0x1b, 0x111), (4, 0x112)])],
        vec![map(0x200, 2, &[(3, 0x201)])],
        sound(SOUND, times(4)),
        sound(0x201, times(4)),
        sound(0x112, times(4))
            .into_iter()
            .map(|mut packet| {
                packet[3] |= 0x80; // scrambled
                packet
            })
            .collect(),
        // A later version of the map, with one stream more.
        vec![map(MAP, 1, &[(3, SOUND), (3, 0x102)])],
        sound(0x102, times(2)),
    ]
    .concat()
    .concat();
    let index = opened(&file).unwrap();
    let ids: Vec<_> = index.tracks.iter().map(|track| track.container_id).collect();
    assert_eq!(ids, [u32::from(SOUND), 0x102]);
    assert_eq!((units(&index, 0, &file), units(&index, 1, &file)), (frames(12), frames(6)));
    let skipped = |container_id, reason| SkippedTrack { container_id, reason };
    assert_eq!(
        index.skipped,
        [
            skipped(0x110, SkipReason::Codec("TrueHD".to_owned())),
            skipped(0x201, SkipReason::Broken("of another programme than the first")),
            skipped(0x111, SkipReason::Empty),
            skipped(0x112, SkipReason::Encrypted),
        ]
    );
}

#[test]
fn time_goes_on_where_stamps_run_over_or_jump() {
    let wrap = 1_i64 << 33;
    let steps = |start: i64, count: i64| (0..count).map(move |at| start + at * 3 * FRAME_TICKS);
    for times in [
        steps(wrap - 5 * FRAME_TICKS, 10).collect::<Vec<_>>(),
        steps(90_000, 5).chain(steps(1 << 32, 5)).collect(),
        steps(1 << 32, 5).chain(steps(0, 5)).collect(),
    ] {
        let times = times.into_iter().map(|time| time.rem_euclid(wrap));
        let file = [tables(), sound(SOUND, times)].concat().concat();
        assert!(units(&opened(&file).unwrap(), 0, &file) == frames(30));
    }
}

#[test]
fn missing_packets_cost_the_frames_they_held() {
    let mut packets = [tables(), sound(SOUND, times(10))].concat();
    packets.remove(10); // the third of the third PES packet
    let file = packets.concat();
    let found = units(&opened(&file).unwrap(), 0, &file);
    let intact = found.iter().filter(|unit| frames(30).contains(unit)).count();
    assert!(intact >= 28 && found.len() <= 29, "{intact} of {}", found.len());
}

#[test]
fn files_without_programme_or_sound_are_refused() {
    for (packets, why) in [
        (vec![packet(0x1fff, false, 0, &[]); 20], "no tracks"),
        ([tables(), vec![packet(0x1fff, false, 0, &[]); 20]].concat(), "no access units"),
        (vec![association(), map(MAP, 1, &[(0xdb, 9)]), association()], "encrypted"),
    ] {
        let error = opened(&packets.concat()).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn units_have_the_bytes_of_their_frames() {
    let other = || vec![packet(0x1fff, false, 0, &[0; 100]); 3];
    let interleaved = sound(SOUND, times(10)).into_iter().map(|sound| [vec![sound], other()]);
    let file = [tables(), interleaved.flatten().flatten().collect()].concat().concat();
    let index = opened(&file).unwrap();
    assert!(units(&index, 0, &file) == frames(30));
    let track = TrackId(0);
    let entries: Vec<_> = (0..30).map(|at| index.unit(track, at).unwrap()).collect();
    assert!(entries.iter().all(|unit| unit.media_bytes == 96), "{entries:?}");
    assert!(entries.iter().any(|unit| unit.bytes > 4 * 188), "{entries:?}");
    assert_eq!((index.track_bytes(track), index.tracks[0].unit_bytes_max), (30 * 96, 96));
    assert_eq!(index.segment_bytes_max(track), 30 * 96);
}

#[test]
fn an_access_unit_that_does_not_end_is_left_out() {
    const VIDEO: u16 = 0x110;
    const PICTURE: [u8; 13] = [0, 0, 1, 0, 0, 0x0f, 0xff, 0xf8, 0, 0, 1, 1, 0x12];
    let sequence = [0, 0, 1, 0xb3, 0x16, 1, 0x20, 0x13, 0xff, 0xff, 0xe0, 0x18];
    let pes = |time: i64| [&[0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5], &stamp(time)[..]].concat();
    // Pictures in front of the one that does not end, and behind it.
    for pictures in [false, true] {
        let mut program = Program::default();
        let (mut offset, mut counter) = (0, 0);
        let mut take = |program: &mut Program, bytes: &[u8]| {
            program.take(offset, &Packet::parse(bytes).unwrap()).unwrap();
            offset += 188;
        };
        take(&mut program, &association());
        take(&mut program, &map(MAP, 1, &[(2, VIDEO), (3, SOUND)]));
        let mut video = |program: &mut Program, start: bool, carried: &[u8]| {
            take(program, &packet(VIDEO, start, counter, carried));
            counter += 1;
        };
        // Headers, and what belongs to the first picture.
        let begin = [pes(90_000), sequence.to_vec(), vec![0, 0, 1, 0xb2, 9]].concat();
        video(&mut program, true, &begin);
        for at in 0..6 {
            if pictures {
                video(&mut program, true, &[pes(90_000 + at * 3600), PICTURE.to_vec()].concat());
            }
            for _ in 0..if at == 2 { PIECES_MAX + 10 } else { 1 } {
                video(&mut program, false, &[0x55]);
            }
        }
        sound(SOUND, times(4)).iter().for_each(|packet| take(&mut program, packet));
        assert!(program.streams.iter().map(Stream::piece_count).sum::<usize>() < 100);
        let index = program.finish(Packets::new(188)).unwrap();
        let counts: Vec<_> = index.tracks.iter().map(|track| track.unit_count).collect();
        assert_eq!(counts, if pictures { vec![5, 12] } else { vec![12] });
        let reason = SkipReason::Broken("an access unit that is too large is left out");
        assert_eq!(index.skipped, [SkippedTrack { container_id: u32::from(VIDEO), reason }]);
    }
}
