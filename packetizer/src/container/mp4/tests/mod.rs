//! The demuxer on movie headers written for the purpose; `packetizer/tests` has other people's.

#![allow(clippy::cast_possible_truncation)]

mod fragments;
mod hints;
mod hostile;
pub(super) mod writer;

use std::convert::Infallible;

use writer::*;

use crate::container::{Demand, Demuxer, IndexError, OpenError, open};
use crate::index::{AccessUnitEntry, MediaIndex, SkipReason, SkippedTrack, TrackId};

/// Opens a file that is longer than its bytes, as if media followed.
fn open_padded(bytes: &[u8], file_bytes: u64) -> Result<MediaIndex, IndexError> {
    let read = |offset: u64, buffer: &mut [u8]| -> Result<usize, Infallible> {
        let rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    };
    open(file_bytes, read).map_err(|error| match error {
        OpenError::Index(error) => error,
    })
}

fn open_movie(tracks: &[TrackBoxes]) -> Result<MediaIndex, IndexError> {
    let mdat = make_box(b"mdat", &[&[0; 4000]]);
    let file = [make_file_type(), mdat, make_movie(tracks)].concat();
    open_padded(&file, file.len() as u64)
}

fn open_track(track: TrackBoxes) -> Result<MediaIndex, IndexError> {
    open_movie(&[track])
}

fn units(index: &MediaIndex, track: u8) -> Vec<AccessUnitEntry> {
    (0..).map_while(|unit| index.unit(TrackId(track), unit)).collect()
}

fn skip_reason(result: Result<MediaIndex, IndexError>) -> SkipReason {
    match result {
        Err(IndexError::NoPlayableTrack { mut tracks }) => tracks.remove(0).reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_movie_says_when_it_was_made() {
    let moov = make_movie(&[TrackBoxes::video()]);
    for (version, words_before_scale, created) in [
        (0, vec![0, 0], None),
        (0, vec![2_082_844_799, 0], None),
        (0, vec![2_082_844_810, 0], Some(10)),
        (0, vec![u32::MAX, 0], Some(2_212_122_495)),
        (1, vec![0, 2_082_844_810, 0, 0], Some(10)),
        (1, vec![u32::MAX, u32::MAX, 0, 0], Some(u64::MAX - 2_082_844_800)),
    ] {
        let header = [vec![version << 24], words_before_scale, vec![1000, 0]].concat();
        let mvhd = make_box(b"mvhd", &[&words(&header), &[0; 80]]);
        let old = make_box(b"mvhd", &[&words(&[0, 0, 0, 1000, 0]), &[0; 80]]);
        let moov = make_box(b"moov", &[&mvhd, &moov[8 + old.len()..]]);
        let file = [make_file_type(), moov].concat();
        assert_eq!(open_padded(&file, 4096).unwrap().created, created);
    }
}

#[test]
fn reads_tables_into_units() {
    // Audio first in the container; video comes first in the index.
    let index = open_movie(&[TrackBoxes::audio(), TrackBoxes::video()]).unwrap();
    assert_eq!(index.tracks.iter().map(|track| track.container_id).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((index.tracks[0].language, index.tracks[1].language), (None, Some(*b"deu")));
    let unit = |index, offset, bytes, decode, composition, sync| AccessUnitEntry {
        index,
        offset,
        bytes,
        media_bytes: bytes,
        decode,
        composition,
        duration: 512,
        sync,
    };
    let expected = [
        unit(0, 1000, 100, 0, 1024, true),
        unit(1, 1100, 50, 512, 2560, false),
        unit(2, 1150, 20, 1024, 1024, false),
        unit(3, 2000, 10, 1536, 1536, false),
    ];
    assert_eq!(units(&index, 0), expected);
    let audio: Vec<_> = units(&index, 1).iter().map(|u| (u.offset, u.bytes, u.decode)).collect();
    assert_eq!(audio, [(1500, 30, 0), (1530, 30, 1024), (1560, 30, 2048)]);
    assert_eq!(index.duration.nanos(), 240_000_000); // 3072 of 12,800
    assert_eq!(index.skipped, []);
}

#[test]
fn enabled_tracks_come_before_others_of_their_kind() {
    let audio = |id, flags| TrackBoxes { id, flags, ..TrackBoxes::audio() };
    let video = |id, flags| TrackBoxes { id, flags, ..TrackBoxes::video() };
    let tracks = [audio(1, 6), audio(2, 7), video(3, 0), audio(4, 1), video(5, 3)];
    let index = open_movie(&tracks).unwrap();
    let order: Vec<u32> = index.tracks.iter().map(|track| track.container_id).collect();
    assert_eq!(order, [5, 3, 2, 4, 1]);
}

#[test]
fn languages_are_terminological() {
    for (code, expected) in [
        (*b"deu", Some(*b"deu")),
        (*b"ger", Some(*b"deu")),
        (*b"yue", Some(*b"yue")),
        (*b"und", None),
    ] {
        let mdhd = make_media_header(48_000, code);
        let audio = TrackBoxes { mdhd, ..TrackBoxes::audio() };
        assert_eq!(open_movie(&[audio]).unwrap().tracks[0].language, expected);
    }
}

#[test]
fn compact_sizes_long_offsets_and_signed_composition_offsets() {
    let sizes = |bits: u32, data: &[u8]| make_box(b"stz2", &[&words(&[0, bits, 4]), data]);
    for (table, expected) in [
        (sizes(4, &[0x12, 0x34]), [1, 2, 3, 4]),
        (sizes(8, &[9, 8, 7, 6]), [9, 8, 7, 6]),
        (sizes(16, &[1, 0, 0, 2, 0, 3, 0, 4]), [256, 2, 3, 4]),
    ] {
        let track = TrackBoxes::video().without_table(b"stsz").with_table(table);
        let index = open_track(track).unwrap();
        assert_eq!(units(&index, 0).iter().map(|u| u.bytes).collect::<Vec<_>>(), expected);
    }
    let long = make_box(b"co64", &[&words(&[0, 2, 0, 1000, 0, 2000])]);
    let index = open_track(TrackBoxes::video().without_table(b"stco").with_table(long)).unwrap();
    assert_eq!(units(&index, 0)[3].offset, 2000);

    let signed = make_box(b"ctts", &[&words(&[1 << 24, 1, 4, (-512_i32).cast_unsigned()])]);
    let index = open_track(TrackBoxes::video().with_table(signed)).unwrap();
    assert_eq!(units(&index, 0)[1].composition, 0);
}

#[test]
fn sync_samples_are_all_or_listed_or_only_the_first() {
    for (track, expected) in [
        (TrackBoxes::video().without_table(b"stss"), [true; 4]),
        (
            TrackBoxes::video().with_table(make_table(b"stss", &[[2], [4], [9]])),
            [false, true, false, true],
        ),
        (
            TrackBoxes::video().with_table(make_table::<1>(b"stss", &[])),
            [true, false, false, false],
        ),
    ] {
        let index = open_track(track).unwrap();
        assert_eq!(units(&index, 0).iter().map(|u| u.sync).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn short_tables_go_on_as_they_end() {
    let track = TrackBoxes::video()
        .with_table(make_table(b"stts", &[[1, 500], [1, 700]]))
        .with_table(make_table(b"ctts", &[[1, 9]]));
    let found: Vec<_> = units(&open_track(track).unwrap(), 0)
        .iter()
        .map(|unit| (unit.decode, unit.composition - unit.decode))
        .collect();
    assert_eq!(found, [(0, 9), (500, 0), (1200, 0), (1900, 0)]);
    // A negative duration lasts a tick.
    let track = TrackBoxes::video().with_table(make_table(b"stts", &[[1, u32::MAX - 5], [3, 512]]));
    assert_eq!(units(&open_track(track).unwrap(), 0)[1].decode, 1);
}

#[test]
fn edit_lists_place_the_media_in_the_presentation() {
    for (edits, shift, duration_ms) in [
        (&[(160, 1024)][..], -1024, 160),
        (&[(100, 1024)], -1024, 100),           // the tail is cut off
        (&[(9999, 1024)], -1024, 160),          // longer than the media
        (&[(0, 1024)], -1024, 160),             // no duration: all
        (&[(500, -1), (160, 1024)], 5376, 660), // delayed
        (&[(250, -1), (250, -1), (160, 1024)], 5376, 660),
        (&[(80, 1024), (80, 2048)], -1024, 160), // as if it were one
        (&[(500, -1)], 0, 240),                  // nothing but empty: ignored
        (&[], 0, 240),
    ] {
        let track = TrackBoxes { edts: make_edits(edits), ..TrackBoxes::video() };
        let index = open_track(track).unwrap();
        let unit = units(&index, 0)[1];
        assert_eq!((unit.decode, unit.composition), (512 + shift, 2560 + shift), "{edits:?}");
        assert_eq!(index.duration.nanos(), duration_ms * 1_000_000, "{edits:?}");
    }
    let long = make_box(b"elst", &[&words(&[1 << 24, 1, 0, 160, 0, 1024, 1 << 16])]);
    let track = TrackBoxes { edts: make_box(b"edts", &[&long]), ..TrackBoxes::video() };
    assert_eq!(units(&open_track(track).unwrap(), 0)[0].composition, 0);
    let absurd = make_box(b"elst", &[&words(&[1 << 24, 1, 0, 160, 1 << 30, 0, 1 << 16])]);
    let track = TrackBoxes { edts: make_box(b"edts", &[&absurd]), ..TrackBoxes::video() };
    assert_eq!(units(&open_track(track).unwrap(), 0)[0].composition, 1024);
}

#[test]
fn sound_descriptions_of_iso_and_quicktime() {
    let esds = make_esds(0x40, &[0x11, 0x90]);
    let wave =
        make_box(b"wave", &[&make_box(b"frma", &[b"mp4a"]), &esds, &[0, 0, 0, 8, 0, 0, 0, 0]]);
    let extended = |version, extra: usize, inside: &[u8]| {
        make_mp4a(version, &[&vec![0; extra][..], inside].concat())
    };
    for entry in [
        make_mp4a(0, &esds),
        extended(1, 16, &wave),
        extended(1, 16, &esds),
        make_mp4a(1, &esds), // ISO's version 1 has no more fields
        extended(2, 36, &wave),
    ] {
        let index = open_track(TrackBoxes { entry, ..TrackBoxes::audio() }).unwrap();
        assert_eq!(index.tracks[0].codec.rtp_rate().ticks_per_second(), 48_000);
    }
}

#[test]
fn tracks_that_cannot_be_delivered_are_left_out_by_name() {
    let video = TrackBoxes::video;
    let audio = TrackBoxes::audio;
    let with_entry = |track: TrackBoxes, kind: &[u8; 4]| {
        let mut entry = track.entry.clone();
        entry[4..8].copy_from_slice(kind);
        TrackBoxes { entry, ..track }
    };
    let elsewhere = make_box(b"url ", &[&words(&[0]), b"file:///other.mov\0"]);
    let dref = make_box(b"dref", &[&words(&[0, 1]), &elsewhere]);
    let usac = make_mp4a(0, &make_esds(0x40, &[0xf9, 0x48, 0x80]));
    let eight = [
        make_table(b"stts", &[[8, 512]]),
        make_table(b"stss", &[[1]]),
        make_table(b"stsc", &[[1, 8, 1]]),
        make_box(b"stsz", &[&words(&[0, 10, 8])]),
        make_table(b"stco", &[[1000]]),
    ];
    let edts = make_edits(&[(80, 0), (80, 4 * 512)]);
    let cut_between_syncs = TrackBoxes { edts, tables: eight.to_vec(), ..video() };
    for (track, expected) in [
        (with_entry(video(), b"encv"), "encrypted"),
        (with_entry(audio(), b"enca"), "encrypted"),
        (with_entry(video(), b"hvc1"), "hvcC"),
        (with_entry(video(), b"SVQ3"), "codec SVQ3"),
        (with_entry(audio(), b"ac-3"), "dac3"),
        (with_entry(audio(), b"alac"), "codec alac"),
        (TrackBoxes { handler: *b"hint", ..video() }, "neither video nor audio (hint)"),
        (TrackBoxes { handler: *b"te\0t", ..video() }, "(te\\x00t)"),
        (TrackBoxes { handler: *b"soun", ..video() }, "contradict"),
        (TrackBoxes { entry: make_avc1(&[]), ..video() }, "avcC"),
        (TrackBoxes { entry: make_mp4a(0, &[]), ..audio() }, "esds"),
        (TrackBoxes { entry: make_mp4a(0, &make_esds(0x6b, &[])), ..audio() }, "makes no sense"),
        (TrackBoxes { entry: make_mp4a(0, &make_esds(0xdd, &[2])), ..audio() }, "Vorbis headers"),
        (TrackBoxes { entry: make_mp4a(0, &make_esds(0xe1, &[])), ..audio() }, "0xe1"),
        (TrackBoxes { entry: usac, ..audio() }, "USAC"),
        (TrackBoxes { dinf: make_box(b"dinf", &[&dref]), ..video() }, "another file"),
        (TrackBoxes { mdhd: make_media_header(0, *b"und"), ..video() }, "time scale"),
        (cut_between_syncs, "begins between sync samples"),
        (video().without_table(b"stsz"), "stsz"),
        (video().without_table(b"stco"), "stco"),
        (video().without_table(b"stsc"), "stsc"),
        (video().without_table(b"stts"), "stts"),
        (video().with_table(make_box(b"stsz", &[&words(&[0, 0, 0])])), "no access units"),
        (audio().with_table(make_table(b"stco", &[[9_000_000]])), "0 of 3 access units"),
    ] {
        let refused = open_track(track.clone()).unwrap_err();
        let found = refused.to_string();
        assert!(matches!(refused, IndexError::NoPlayableTrack { .. }), "{found}");
        assert!(found.contains(expected), "{found}: {expected}");
        // Beside a good track, only it is left out.
        let good = if track.handler == *b"soun" { video() } else { audio() };
        let index = open_movie(&[TrackBoxes { id: 7, ..track }, good]).unwrap();
        assert_eq!(index.tracks.len(), 1);
        let [SkippedTrack { container_id: 7, .. }] = &index.skipped[..] else {
            panic!("{:?}", index.skipped)
        };
    }
}

#[test]
fn units_end_where_their_description_changes() {
    let different = {
        let mut record = avcc();
        let last = record.len() - 1;
        record[last] ^= 1;
        make_avc1(&record)
    };
    let entries = |second: &[u8]| [TrackBoxes::video().entry, second.to_vec()].concat();
    let chunks = make_table(b"stsc", &[[1, 3, 1], [2, 1, 2]]);
    let mut track = TrackBoxes::video().with_table(chunks);
    track.entry = entries(&different);
    let index = open_track(track.clone()).unwrap();
    let reason = SkipReason::SeveralDescriptions;
    assert_eq!(index.skipped, [SkippedTrack { container_id: 1, reason }]);
    assert_eq!(units(&index, 0).len(), 3);
    track.entry = entries(&TrackBoxes::video().entry);
    assert_eq!(units(&open_track(track.clone()).unwrap(), 0).len(), 4);
    // Parameter sets that are in the stream may change.
    let in_stream = |avc1: &[u8]| [&avc1[..4], b"avc3", &avc1[8..]].concat();
    track.entry = [in_stream(&TrackBoxes::video().entry), in_stream(&different)].concat();
    let index = open_track(track.clone()).unwrap();
    assert_eq!((units(&index, 0).len(), index.skipped.len()), (4, 0));
    // What cannot be delivered at all is left out where it comes, and first refused.
    let encrypted = make_box(b"encv", &[&[0; 78]]);
    track.entry = entries(&encrypted);
    assert_eq!(units(&open_track(track.clone()).unwrap(), 0).len(), 3);
    track.entry = [encrypted, TrackBoxes::video().entry].concat();
    assert_eq!(skip_reason(open_track(track)), SkipReason::Encrypted);
    let unused = TrackBoxes { entry: entries(&different), ..TrackBoxes::video() };
    assert!(open_track(unused).is_ok());
}

#[test]
fn units_beyond_the_end_of_the_file_are_left_out() {
    let track = TrackBoxes::video().with_table(make_table(b"stco", &[[1000], [900_000]]));
    let index = open_track(track).unwrap();
    assert_eq!(index.tracks[0].unit_count, 3);
    let reason = SkipReason::Truncated { kept: 3, declared: 4 };
    assert_eq!(index.skipped, [SkippedTrack { container_id: 1, reason }]);
}

#[test]
fn never_reads_media_and_little_else() {
    let movie = make_movie(&[TrackBoxes::video(), TrackBoxes::audio()]);
    let media_bytes = 5_u64 << 30;
    let head = make_file_type();
    let mdat_header = [&words(&[1])[..], b"mdat", &(media_bytes + 16).to_be_bytes()].concat();
    let at_end = head.len() as u64 + 16 + media_bytes;
    let file_bytes = at_end + movie.len() as u64;
    let mut demuxer = Demuxer::new(file_bytes).unwrap();
    let mut demands = Vec::new();
    let index = loop {
        let Demand { offset, bytes } = demuxer.demand();
        demands.push((offset, bytes));
        let mut buffer = vec![0; bytes as usize];
        for (start, part) in [(0, &head), (head.len() as u64, &mdat_header), (at_end, &movie)] {
            for (at, byte) in (start..).zip(part) {
                let position = at.checked_sub(offset).map(|position| position as usize);
                if let Some(slot) = position.and_then(|position| buffer.get_mut(position)) {
                    *slot = *byte;
                }
            }
        }
        if let Some(index) = demuxer.supply(&buffer).unwrap() {
            break index;
        }
    };
    assert_eq!(index.tracks.len(), 2);
    let head_bytes = head.len() as u64;
    let movie_bytes = movie.len() as u32;
    // The beginning, which tells that it is MP4, and then what that needs.
    let movie = (at_end + 8, movie_bytes - 8);
    let expected = [(0, 65_536), (0, 16), (head_bytes, 16), (at_end, 16), movie];
    assert_eq!(demands, expected);
}

#[test]
fn movie_header_in_front_with_large_or_open_size() {
    let movie = make_movie(&[TrackBoxes::video()]);
    let front = [make_file_type(), movie.clone()].concat();
    assert!(open_padded(&front, 5000).is_ok());
    let large = [make_file_type(), make_large_box(b"moov", &movie[8..])].concat();
    assert!(open_padded(&large, 5000).is_ok());
    let mut open_size = front.clone();
    let at = make_file_type().len();
    open_size[at..at + 4].fill(0);
    assert!(open_padded(&open_size, front.len() as u64).is_err(), "its media is not there");
    let free = make_box(b"free", &[&[0; 4000]]);
    let behind = [make_file_type(), free, open_size[at..].to_vec()].concat();
    assert!(open_padded(&behind, behind.len() as u64).is_ok());
}

#[test]
fn files_that_cannot_be_played_say_why() {
    let movie = make_movie(&[TrackBoxes::video()]);
    let head = make_file_type();
    let announces = |movie: &[u8]| make_box(b"moov", &[&movie[8..], &make_box(b"mvex", &[])]);
    let no_samples = TrackBoxes::video().with_table(make_box(b"stsz", &[&words(&[0, 0, 0])]));
    let init = announces(&make_movie(&[no_samples]));
    let huge = [&head[..], &words(&[400 << 20]), b"moov", &[0; 8]].concat();
    for (parts, file_bytes, expected) in [
        (vec![], 0, "known format"),
        (vec![b"\x00\x00\x00\x08".to_vec()], 4, "known format"),
        (vec![b"This is a letter and no film at all".to_vec()], 5000, "known format"),
        (vec![head.clone()], head.len() as u64, "no movie header"),
        (vec![head.clone(), vec![0, 0, 0]], head.len() as u64 + 3, "no movie header"),
        (
            vec![head.clone(), words(&[9999]), b"mdat".to_vec(), vec![0; 8]],
            5000,
            "cut short: box mdat at 20",
        ),
        (vec![head.clone(), movie[..300].to_vec()], 320, "cut short: box moov at 20"),
        (vec![head.clone(), movie.clone()], 200, "cut short"),
        (vec![head.clone(), movie[..300].to_vec()], 5000, "cut short: box file"),
        (
            vec![head.clone(), words(&[4]), b"mdat".to_vec(), vec![0; 8]],
            5000,
            "box mdat at 20: its size",
        ),
        (vec![head.clone(), words(&[1]), b"mdat".to_vec(), vec![0; 8]], 5000, "its size"),
        (vec![huge], 1 << 30, "more than 268435456 bytes of movie header"),
        (vec![head.clone(), make_box(b"moov", &[]), vec![0; 8]], 5000, "no tracks"),
        (vec![head.clone(), make_box(b"moov", &[&make_box(b"cmov", &[])])], 5000, "compressed"),
        (vec![head.clone(), init], 4, "no access units"),
    ] {
        let file_bytes = if file_bytes == 4 { parts.concat().len() as u64 } else { file_bytes };
        let error = open_padded(&parts.concat(), file_bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}: {expected}");
    }
    // Fragments are announced, but there are none; what follows is broken.
    let broken = [head, announces(&movie), vec![0, 0, 0, 1], vec![0; 3000]].concat();
    assert!(open_padded(&broken, broken.len() as u64).is_ok());
}

#[test]
fn read_errors_and_short_reads() {
    let file = [make_file_type(), make_movie(&[TrackBoxes::video()]), vec![0; 4000]].concat();
    let failing = open(file.len() as u64, |_, _| Err("disk on fire"));
    assert!(matches!(failing, Err(OpenError::Read("disk on fire"))));
    let one_byte = |offset: u64, buffer: &mut [u8]| -> Result<usize, Infallible> {
        buffer[0] = file[offset as usize];
        Ok(1)
    };
    assert!(open(file.len() as u64, one_byte).is_ok());
}
