//! Whole files, made here, through the demuxer.

#![allow(clippy::cast_possible_truncation, clippy::panic_in_result_fn)]

use super::ebml::Id;
use super::writer::{element, number, open_element};
use crate::container::{Demand, Demuxer, IndexError};
use crate::index::{AccessUnitEntry, MediaIndex, SkipReason, TrackId};
use crate::wrapping::Wrapping;

/// What an index must say of a track: offset in the media, length, decode and composition time,
/// sync.
type Row = (u64, u32, i64, i64, bool);

fn file(segment: &[Vec<u8>]) -> Vec<u8> {
    [head(), element(Id::SEGMENT, &segment.concat())].concat()
}

fn head() -> Vec<u8> {
    element(Id::EBML, &element(Id::DOC_TYPE, b"webm"))
}

fn track(track: u64, kind: u64, codec: &str, extra: &[Vec<u8>]) -> Vec<u8> {
    let codec = element(Id::CODEC_ID, codec.as_bytes());
    let parts = [number(Id::TRACK_NUMBER, track), number(Id::TRACK_TYPE, kind), codec];
    element(Id::TRACK_ENTRY, &[&parts[..], extra].concat().concat())
}

/// Track 1: pictures.
fn video() -> Vec<u8> {
    track(1, 1, "V_VP8", &[])
}

/// Track 2: sound of 1152 samples a frame.
fn audio() -> Vec<u8> {
    let rate = element(Id::SAMPLING_FREQUENCY, &48_000_f64.to_be_bytes());
    track(2, 2, "A_MPEG/L3", &[element(Id::AUDIO, &rate)])
}

fn tracks() -> Vec<u8> {
    element(Id::TRACKS, &[video(), audio()].concat())
}

fn block(track: u8, time: i16, flags: u8, frames: &[u8]) -> Vec<u8> {
    [&[0x80 | track][..], &time.to_be_bytes(), &[flags], frames].concat()
}

fn simple(track: u8, time: i16, flags: u8, frames: &[u8]) -> Vec<u8> {
    element(Id::SIMPLE_BLOCK, &block(track, time, flags, frames))
}

fn group(block: &[u8], extra: &[Vec<u8>]) -> Vec<u8> {
    element(Id::BLOCK_GROUP, &[element(Id::BLOCK, block), extra.concat()].concat())
}

fn cluster(ticks: u64, blocks: &[Vec<u8>]) -> Vec<u8> {
    element(Id::CLUSTER, &[number(Id::TIMESTAMP, ticks), blocks.concat()].concat())
}

/// Opens a file, of which `bytes` are the beginning and zeros the rest; also how many bytes were
/// asked for.
fn open_long(bytes: &[u8], file_bytes: u64) -> Result<(MediaIndex, u64), IndexError> {
    let mut demuxer = Demuxer::new(file_bytes)?;
    let mut read_bytes = 0;
    loop {
        let Demand { offset, bytes: wanted } = demuxer.demand();
        assert!(wanted > 0 && offset + u64::from(wanted) <= file_bytes);
        read_bytes += u64::from(wanted);
        assert!(read_bytes < 3 * file_bytes + (1 << 20), "no end");
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let mut piece = rest[..rest.len().min(wanted as usize)].to_vec();
        piece.resize(wanted as usize, 0);
        if let Some(index) = demuxer.supply(&piece)? {
            return Ok((index, read_bytes));
        }
    }
}

fn open(bytes: &[u8]) -> Result<MediaIndex, IndexError> {
    open_long(bytes, bytes.len() as u64).map(|(index, _)| index)
}

fn rows(index: &MediaIndex, track: u8) -> Vec<Row> {
    let units = (0..).map_while(|unit| index.unit(TrackId(track), unit));
    units
        .map(|AccessUnitEntry { offset, bytes, decode, composition, sync, .. }| {
            (offset, bytes, decode, composition, sync)
        })
        .collect()
}

/// The rows with the frames' bytes in place of their offsets.
fn frames<'a>(index: &MediaIndex, file: &'a [u8], track: u8) -> Vec<(&'a [u8], i64, i64, bool)> {
    let named = rows(index, track).into_iter().map(|(offset, bytes, decode, composition, sync)| {
        (&file[offset as usize..][..bytes as usize], decode, composition, sync)
    });
    named.collect()
}

#[test]
fn simple_blocks_and_groups() {
    let reference = || number(Id::REFERENCE_BLOCK, 1);
    let file = file(&[
        element(Id::INFO, &element(Id::DATE_UTC, &1_500_000_000_i64.to_be_bytes())),
        tracks(),
        cluster(
            1000,
            &[
                simple(1, 0, 0x80, b"one"),
                simple(2, 2, 0x80, b"a"),
                simple(1, 40, 0, b"two"),
                group(&block(2, 26, 0, b"b"), &[]),
            ],
        ),
        cluster(
            1080,
            &[
                group(&block(1, 0, 0, b"three"), &[reference(), number(Id::BLOCK_DURATION, 55)]),
                group(&block(1, 40, 0, b"four"), &[number(Id::BLOCK_DURATION, 55)]),
                simple(9, 0, 0, b"of no track"),
            ],
        ),
    ]);
    let index = open(&file).unwrap();
    let expected: [(&[u8], _, _, _); 4] = [
        (b"one", 0, 0, true),
        (b"two", 40, 40, false),
        (b"three", 80, 80, false),
        (b"four", 120, 120, true),
    ];
    assert_eq!(frames(&index, &file, 0), expected);
    let expected: [(&[u8], _, _, _); 2] = [(b"a", 96, 96, true), (b"b", 1248, 1248, true)];
    assert_eq!(frames(&index, &file, 1), expected);
    assert_eq!((index.created, index.duration.nanos()), (Some(978_307_201), 175_000_000));
    assert_eq!(index.tracks[1].media_rate.ticks_per_second(), 48_000);
    assert_eq!(index.skipped, []);
}

#[test]
fn pictures_out_of_order_and_laced_sound() {
    let times = [0, 120, 40, 80];
    let mut blocks: Vec<_> = times.map(|time| simple(1, time, 0x80, b"p")).to_vec();
    blocks.push(simple(2, 0, 0x84, b"\x02aabbcc")); // fixed size
    blocks.push(simple(2, 72, 0x82, b"\x01\x01dee")); // Xiph
    blocks.push(simple(2, 120, 0x86, b"\x01\x82ffg")); // EBML
    let file = file(&[tracks(), cluster(0, &blocks)]);
    let index = open(&file).unwrap();
    let times: Vec<_> = rows(&index, 0).iter().map(|row| (row.2, row.3)).collect();
    assert_eq!(times, [(-40, 0), (0, 120), (40, 40), (80, 80)]);
    let (found, times): (Vec<_>, Vec<_>) =
        frames(&index, &file, 1).iter().map(|frame| (frame.0, frame.1)).unzip();
    assert_eq!(found, [&b"aa"[..], b"bb", b"cc", b"d", b"ee", b"ff", b"g"]);
    assert_eq!(times, [0, 1152, 2304, 3456, 4608, 5760, 6912]);
}

#[test]
fn elements_of_unknown_size_and_unknown_elements() {
    let void = element(Id(0xec), &[0; 30]);
    let checksum = element(Id(0xbf), &[1, 2, 3, 4]);
    let unknown = element(Id(0x4fff), &simple(1, 0, 0x80, b"not this"));
    let blocks = |at| [number(Id::TIMESTAMP, at), void.clone(), simple(1, 0, 0x80, b"x")].concat();
    let segment = [
        checksum,
        void.clone(),
        tracks(),
        open_element(Id::CLUSTER, &blocks(0)),
        open_element(Id::CLUSTER, &blocks(40)),
        unknown,
        element(Id::CLUSTER, &blocks(80)),
    ];
    let file = [head(), void, open_element(Id::SEGMENT, &segment.concat())].concat();
    let index = open(&file).unwrap();
    let times: Vec<_> = rows(&index, 0).iter().map(|row| (row.1, row.2, row.3)).collect();
    assert_eq!(times, [(1, 0, 0), (1, 40, 40), (1, 80, 80)]);
    let reasons: Vec<_> = index.skipped.iter().map(|skipped| &skipped.reason).collect();
    assert_eq!(reasons, [&SkipReason::Empty]); // the sound
}

#[test]
fn tracks_behind_the_clusters() {
    let clusters = [0, 40].map(|at| cluster(at, &[simple(1, 0, 0x80, b"x")])).concat();
    let late = file(&[clusters.clone(), tracks(), cluster(80, &[simple(1, 0, 0x80, b"y")])]);
    let index = open(&late).unwrap();
    let times: Vec<_> = rows(&index, 0).iter().map(|row| row.2).collect();
    assert_eq!(times, [0, 40, 80]);
}

#[test]
fn damage_costs_what_it_hits() {
    let clusters: Vec<_> =
        [0, 40, 80].map(|at| cluster(at, &[simple(1, 0, 0x80, b"xxxxxxxx")])).to_vec();
    let good = file(&[&[tracks()][..], &clusters].concat());
    assert_eq!(rows(&open(&good).unwrap(), 0).len(), 3);
    let second = good.len() - 2 * clusters[1].len();
    let block_at = second + clusters[1].len() - 21;
    for (what, at, bytes) in [
        ("the block's size", block_at + 1, &[1, 0, 0, 0, 9, 9, 9, 9][..]),
        ("the block's ID", block_at, &[0]),
        ("the cluster's ID", second, &[9, 9]),
        ("the cluster's size", second + 4, &[0x01, 0, 0, 0, 0, 0, 0, 1]),
    ] {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        let index = open(&bad).unwrap();
        let times: Vec<_> = rows(&index, 0).iter().map(|row| row.2).collect();
        assert!(times.first() == Some(&0) && times.last() == Some(&80), "{what}: {times:?}");
        let is_said = index.skipped.iter().any(|s| s.to_string().contains("damaged"));
        assert!(is_said || times.len() == 3, "{what}: {:?}", index.skipped);
    }
    for end in good.len() - clusters[2].len()..good.len() {
        let index = open(&good[..end]).unwrap();
        assert_eq!(rows(&index, 0).len(), 2, "{end}");
    }
}

#[test]
fn wrong_lacing_and_large_frames_are_left_out() {
    let blocks = [
        simple(1, 0, 0x80, b"good"),
        simple(1, 40, 0x82, b"\x01\x09short"), // Xiph
        simple(1, 40, 0x84, b"\x01odd"),       // fixed size
        simple(1, 40, 0x80, b""),              // nothing
        element(Id::SIMPLE_BLOCK, &[0x81, 0]),
        simple(1, 80, 0x80, b"good"),
    ];
    let index = open(&file(&[tracks(), cluster(0, &blocks)])).unwrap();
    assert_eq!(rows(&index, 0).iter().map(|row| row.3).collect::<Vec<_>>(), [0, 80]);
    assert!(index.skipped.iter().any(|skipped| skipped.to_string().contains("damaged")));
}

#[test]
fn pcm_is_cut_into_whole_frames() {
    let settings = [
        element(Id::SAMPLING_FREQUENCY, &8000_f64.to_be_bytes()),
        number(Id::CHANNELS, 2),
        number(Id::BIT_DEPTH, 16),
    ];
    let pcm = track(1, 2, "A_PCM/INT/LIT", &[element(Id::AUDIO, &settings.concat())]);
    let sound = |time, bytes| simple(1, time, 0x80, &vec![7; bytes]);
    // 1603 bytes are 400 frames of 4 bytes and three bytes that are none.
    let blocks = [sound(0, 1603), sound(50, 480), sound(165, 4)];
    let file = file(&[element(Id::TRACKS, &pcm), cluster(0, &blocks)]);
    let index = open(&file).unwrap();
    let found: Vec<_> = rows(&index, 0).iter().map(|row| (row.1, row.2)).collect();
    let expected = [(480, 0), (480, 120), (480, 240), (160, 360), (480, 400), (4, 1320)];
    assert_eq!(found, expected);
    assert!(frames(&index, &file, 0).iter().all(|frame| frame.0.iter().all(|byte| *byte == 7)));
}

#[test]
fn opus_tells_its_durations_and_delay() {
    let head = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";
    let extra = [element(Id::CODEC_PRIVATE, head), number(Id::CODEC_DELAY, 6_500_000)];
    let opus = track(2, 2, "A_OPUS", &extra);
    let blocks = [
        simple(1, 0, 0x80, b"picture"),
        simple(2, 0, 0x80, b"\xfc20 ms"),
        simple(2, 21, 0x84, b"\x01\xf8\xf8"), // 20 ms each
        simple(2, 61, 0x80, b"\x80"),         // 2.5 ms
        simple(2, 63, 0x80, b"\xfc"),
    ];
    let file = file(&[element(Id::TRACKS, &[opus, video()].concat()), cluster(0, &blocks)]);
    let index = open(&file).unwrap();
    let times: Vec<_> = rows(&index, 1).iter().map(|row| row.2).collect();
    assert_eq!(times, [0, 960, 1920, 2880, 3000]);
    // The sound begins before the picture by its delay.
    assert_eq!(rows(&index, 0)[0].3, 7);
}

#[test]
fn stripped_headers_are_the_tracks_wrapping() {
    let settings = element(Id::CONTENT_COMP_SETTINGS, b"\xfc");
    let parts = [number(Id::CONTENT_COMP_ALGO, 3), settings].concat();
    let encoding = element(Id::CONTENT_ENCODING, &element(Id::CONTENT_COMPRESSION, &parts));
    let head = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";
    let extra = [element(Id::CODEC_PRIVATE, head), element(Id::CONTENT_ENCODINGS, &encoding)];
    let blocks = [simple(1, 0, 0x84, b"\x01\x01\x02")];
    let opus = track(1, 2, "A_OPUS", &extra);
    let index = open(&file(&[element(Id::TRACKS, &opus), cluster(0, &blocks)])).unwrap();
    assert_eq!(index.tracks[0].wrapping, Wrapping::Prefix(b"\xfc"[..].into()));
    // The stripped byte is the one that tells 20 ms.
    assert_eq!(rows(&index, 0).iter().map(|row| row.2).collect::<Vec<_>>(), [0, 960]);
}

#[test]
fn large_frames_are_not_read() {
    let frame_bytes = 4_u64 << 20;
    let count = 50;
    let mut file = file(&[tracks()]);
    let at = head().len() + 4;
    let block_bytes = frame_bytes + 4;
    let media_bytes = count * (block_bytes + 9);
    let segment_bytes = tracks().len() as u64 + media_bytes + 12;
    file[at..at + 8].copy_from_slice(&(1 << 56 | segment_bytes).to_be_bytes());
    file.extend(open_element(Id::CLUSTER, &[]));
    let head_bytes = file.len() as u64;
    let file_bytes = head_bytes + media_bytes;
    let mut demuxer = Demuxer::new(file_bytes).unwrap();
    let mut read_bytes = 0;
    let index = loop {
        let Demand { offset, bytes } = demuxer.demand();
        read_bytes += u64::from(bytes);
        let byte = |at: u64| match at.checked_sub(head_bytes) {
            None => file[at as usize],
            Some(at) => {
                let size = (1 << 56 | block_bytes).to_be_bytes();
                let (number, at) = (at / (block_bytes + 9), at % (block_bytes + 9));
                let time = ((number * 40) as u16).to_be_bytes();
                let block = [&[0xa3][..], &size, &[0x81], &time, &[0x80]].concat();
                block.get(at as usize).copied().unwrap_or(0)
            }
        };
        let piece: Vec<u8> = (offset..offset + u64::from(bytes)).map(byte).collect();
        if let Some(index) = demuxer.supply(&piece).unwrap() {
            break index;
        }
    };
    assert_eq!(u64::from(index.tracks[0].unit_count), count);
    assert!(read_bytes < 512 << 10, "{read_bytes} bytes read");
}

#[test]
fn files_that_cannot_be_played_say_why() {
    let bad_type = element(Id::EBML, &element(Id::DOC_TYPE, b"doom"));
    let subtitles = element(Id::TRACKS, &track(1, 0x11, "S_TEXT/UTF8", &[]));
    let huge = [&[0x16, 0x54, 0xae, 0x6b, 1][..], &(1_u64 << 30).to_be_bytes()[1..]].concat();
    for (bytes, file_bytes, expected) in [
        (bad_type, 5000, "neither matroska nor webm"),
        (head(), head().len() as u64, "no tracks"),
        (head(), 5000, "an element that makes no sense"),
        (file(&[cluster(0, &[])]), 0, "no tracks"),
        (file(&[subtitles]), 0, "(subtitles)"),
        (file(&[tracks()]), 0, "no access units"),
        ([head(), huge].concat(), 2 << 30, "more than 16777216 bytes"),
        (vec![0x1a, 0x45, 0xdf, 0xa3], 4, "no tracks"),
    ] {
        let file_bytes = if file_bytes == 0 { bytes.len() as u64 } else { file_bytes };
        let error = open_long(&bytes, file_bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}: {expected}");
    }
}

#[test]
fn timestamps_may_be_anything() {
    let scale = |scale| element(Id::INFO, &number(Id::TIMESTAMP_SCALE, scale));
    for scale_nanos in [0, 1, 999_999, 1_000_000_000, u64::MAX] {
        for ticks in [0, 1 << 40, u64::MAX] {
            let blocks = [
                simple(1, -32_768, 0x80, b"x"),
                simple(1, 32_767, 0x80, b"x"),
                simple(2, -32_768, 0x80, b"x"),
                simple(2, 32_767, 0x80, b"x"),
                group(&block(1, 0, 0, b"x"), &[number(Id::BLOCK_DURATION, u64::MAX)]),
            ];
            let other = cluster(7, &blocks);
            let file = file(&[scale(scale_nanos), tracks(), cluster(ticks, &blocks), other]);
            let index = open(&file).unwrap_or_else(|why| panic!("{scale_nanos} {ticks}: {why}"));
            for track in [0, 1] {
                let rows = rows(&index, track);
                assert_eq!(rows.len(), if track == 0 { 6 } else { 4 });
                assert!(rows.is_sorted_by_key(|row| row.2), "{scale_nanos} {ticks}: {rows:?}");
                assert!(rows.iter().all(|row| row.2 <= row.3), "{scale_nanos} {ticks}: {rows:?}");
            }
        }
    }
}
