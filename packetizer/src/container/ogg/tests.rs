#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use super::super::testing::{open_slice, places, units};
use super::*;
use crate::codec::CodecConfig;

/// No packet ends in the page.
const NONE: i64 = -1;
const FIRST: u8 = 2;
const CONTINUED: u8 = 1;
const LAST: u8 = 4;

struct Writer(Vec<u8>);

impl Writer {
    fn page(&mut self, serial: u32, flags: u8, granule: i64, sequence: u32, packets: &[&[u8]]) {
        let mut lacing = Vec::new();
        for packet in packets {
            lacing.extend(vec![255; packet.len() / 255]);
            lacing.push((packet.len() % 255) as u8);
        }
        self.raw_page(serial, flags, granule, sequence, &lacing, &packets.concat());
    }

    fn raw_page(
        &mut self,
        serial: u32,
        flags: u8,
        granule: i64,
        sequence: u32,
        lacing: &[u8],
        body: &[u8],
    ) {
        self.0.extend_from_slice(&[&b"OggS\0"[..], &[flags], &granule.to_le_bytes()].concat());
        self.0.extend_from_slice(&[serial.to_le_bytes(), sequence.to_le_bytes(), [0; 4]].concat());
        self.0.push(u8::try_from(lacing.len()).unwrap());
        self.0.extend_from_slice(&[lacing, body].concat());
    }

    fn opus(&mut self, serial: u32) {
        self.page(serial, FIRST, 0, 0, &[b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0"]);
        self.page(serial, 0, 0, 1, &[b"OpusTags\0\0\0\0\0\0\0\0"]);
    }
}

/// A packet of 20 ms.
fn packet(bytes: usize) -> Vec<u8> {
    let mut packet = vec![0xfc];
    packet.resize(bytes, 7);
    packet
}

fn begun() -> Writer {
    let mut writer = Writer(Vec::new());
    writer.opus(5);
    writer
}

fn times(file: &[u8]) -> Vec<i64> {
    places(&open_slice(file).unwrap()).iter().map(|(.., decode)| *decode).collect()
}

#[test]
fn packets_are_timed_by_granule_positions() {
    let mut writer = begun();
    let head = writer.0.len() as u64;
    writer.page(5, 0, 1920, 2, &[&packet(10), &packet(300)]);
    let index = open_slice(&writer.0).unwrap();
    assert_eq!(places(&index), [(head + 30, 10, 0), (head + 40, 300, 960)]);
    assert_eq!(index.duration.nanos(), 40_000_000);
    assert_eq!(index.tracks[0].container_id, 5);
    assert_eq!(index.tracks[0].wrapping, Wrapping::Ogg(Serial(5)));

    // A page was lost, so was time; what is lost is no gap if time goes on.
    let mut gap = writer.0.clone();
    std::mem::swap(&mut gap, &mut writer.0);
    writer.page(5, 0, 4800, 4, &[&packet(10)]);
    writer.page(5, 0, 4800, 5, &[&packet(10)]);
    assert_eq!(times(&writer.0), [0, 960, 3840, 4800]);

    // A stream that was recorded from its middle on, and one whose end is cut off.
    let mut writer = begun();
    writer.page(5, 0, 1_001_920, 2, &[&packet(10), &packet(9)]);
    writer.page(5, LAST, 1_002_000, 3, &[&packet(10), &packet(8)]);
    assert_eq!(times(&writer.0), [0, 960, 1920, 2880]);
    let mut writer = begun();
    writer.page(5, LAST, 500, 2, &[&packet(10), &packet(8)]);
    assert_eq!(times(&writer.0), [0, 960]);
}

#[test]
fn packets_go_on_in_the_next_page() {
    let long = packet(1000);
    let mut writer = begun();
    let head = writer.0.len() as u64;
    writer.raw_page(5, 0, NONE, 2, &[255, 255], &long[..510]);
    writer.page(9, 0, NONE, 0, &[b"of no known bitstream"]);
    writer.raw_page(5, CONTINUED, 1920, 3, &[255, 235, 10], &[&long[510..], &packet(10)].concat());
    let index = open_slice(&writer.0).unwrap();
    let (first, second) = (places(&index)[0], places(&index)[1]);
    assert_eq!((first.0, first.2, second.1, second.2), (head + 29, 0, 10, 960));
    assert_eq!(first.0 + u64::from(first.1), second.0);
    let mut unit = Vec::new();
    let stretch = &writer.0[first.0 as usize..][..first.1 as usize];
    index.tracks[0].wrapping.unwrap(first.0, stretch, &mut unit);
    assert_eq!(unit, long);

    // A packet whose beginning, or whose end, is lost.
    for (flags, sequence) in [(CONTINUED, 4), (0, 3)] {
        let mut writer = begun();
        writer.raw_page(5, 0, 960, 2, &[10, 255], &[&packet(10), &long[..255]].concat());
        writer.raw_page(5, flags, 2880, sequence, &[20, 10], &[packet(20), packet(10)].concat());
        let lengths: Vec<u32> =
            places(&open_slice(&writer.0).unwrap()).iter().map(|(_, bytes, _)| *bytes).collect();
        assert_eq!(lengths, if flags == 0 { vec![10, 20, 10] } else { vec![10, 10] });
    }
}

/// Vorbis' identification header: windows of 256 and 2048 samples.
fn identification() -> Vec<u8> {
    let head = b"\x01vorbis\0\0\0\0\x01\x44\xac\0\0";
    [&head[..], &[0; 12], &[0xb8, 1]].concat()
}

/// A setup header that ends in a mode of short and one of long windows: their number less one, 1,
/// in 6 bits; each a flag, 32 zeros and a mapping of 8 bits; the framing bit.
fn setup() -> Vec<u8> {
    let bits = ["100000", "0", &"0".repeat(40), "1", &"0".repeat(32), "10000000", "1"].concat();
    let bytes = bits
        .as_bytes()
        .chunks(8)
        .map(|byte| byte.iter().rev().fold(0, |sum, bit| sum << 1 | (bit - b'0')));
    [&b"\x05vorbis\xff\xff"[..], &bytes.collect::<Vec<u8>>()].concat()
}

#[test]
fn vorbis_needs_its_three_headers() {
    let mut writer = Writer(Vec::new());
    writer.page(1, FIRST, 0, 0, &[&identification()]);
    writer.page(1, 0, 0, 1, &[b"\x03vorbis", &setup()]);
    writer.page(1, 0, 128, 2, &[&[0; 9], &[0; 8]]);
    writer.page(1, LAST, 800, 3, &[&[2; 7]]);
    let index = open_slice(&writer.0).unwrap();
    let CodecConfig::Vorbis(config) = &index.tracks[0].codec else { panic!("Vorbis") };
    assert_eq!(config.setup, setup());
    assert_eq!(times(&writer.0), [0, 0, 128]);
    let headless = [&writer.0[..58], &writer.0[58 + 29 + 7 + setup().len()..]];
    assert!(matches!(open_slice(&headless.concat()), Err(IndexError::NoPlayableTrack { .. })));
}

#[test]
fn bitstreams_side_by_side_are_tracks() {
    let mut writer = Writer(Vec::new());
    writer.page(3, FIRST, 0, 0, &[b"\x80theora\x03\x02"]);
    writer.page(4, FIRST, 0, 0, &[b"fishead\0\x03"]);
    writer.opus(5);
    writer.page(6, FIRST, 0, 0, &[b"OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0"]);
    writer.page(6, 0, 0, 1, &[b"OpusTags"]);
    writer.page(5, 0, 960, 2, &[&packet(10)]);
    writer.page(3, 0, 1, 1, &[b"picture"]);
    writer.page(6, 0, 1440, 2, &[&packet(11)]);
    let index = open_slice(&writer.0).unwrap();
    assert_eq!(index.tracks.len(), 2);
    assert_eq!((units(&index, 0)[0].decode, units(&index, 1)[0].decode), (0, 480));
    let reasons: Vec<String> = index.skipped.iter().map(ToString::to_string).collect();
    assert!(reasons[0].contains("track 3: codec Theora"), "{reasons:?}");
    assert!(reasons[1].contains("track 4: neither video nor audio"), "{reasons:?}");
}

#[test]
fn of_chained_streams_the_first_is_delivered() {
    for serial in [5, 6] {
        let mut writer = begun();
        // Headers twice over are no chain.
        writer.opus(5);
        writer.page(5, 0, 960, 2, &[&packet(10)]);
        writer.opus(serial);
        writer.page(serial, 0, 960, 2, &[&packet(10)]);
        assert_eq!(times(&writer.0), [0]);
    }
}

#[test]
fn garbage_between_pages_is_passed_over() {
    let mut writer = begun();
    writer.page(5, 0, 960, 2, &[&packet(10)]);
    for (garbage, at) in [(&[0; 70_000][..], 960), (b"OggOggS", 1920), (b"\0OggS\0\0", 2880)] {
        writer.0.extend_from_slice(garbage);
        let sequence = 2 + (at / 960) as u32;
        writer.page(5, 0, at + 960, sequence, &[&packet(10)]);
    }
    assert_eq!(times(&writer.0), [0, 960, 1920, 2880]);
    // And a page that the file ends in.
    let whole = writer.0.len();
    writer.page(5, 0, 4800, 6, &[&packet(10)]);
    for end in whole..writer.0.len() {
        assert_eq!(times(&writer.0[..end]), [0, 960, 1920, 2880]);
    }
}

#[test]
fn damaged_granule_positions_move_nothing() {
    let pages = |damaged: usize, position: i64| {
        let mut writer = begun();
        for page in 0..5 {
            let end = if page == damaged { position } else { (page as i64 + 1) * 960 };
            writer.page(5, 0, end, 2 + page as u32, &[&packet(10)]);
        }
        times(&writer.0)
    };
    for damaged in 0..5 {
        for position in [0, 1, 3_000_000, 1 << 40, i64::MAX, i64::MIN, -2] {
            let found = pages(damaged, position);
            // The first tells where the presentation begins, which is 0 anyway.
            assert_eq!(found[0], 0, "{position} at {damaged}");
            // A first position below the others is a gap once two others say so.
            let from = if damaged == 0 && position < 960 { 3 } else { 1 };
            for at in from..5 {
                assert_eq!(found[at] - found[at - 1], 960, "{position} at {damaged}: {found:?}");
            }
        }
    }
}

#[test]
fn bitstreams_that_begin_far_apart_are_damaged() {
    let mut writer = begun();
    writer.page(6, FIRST, 0, 0, &[b"OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0"]);
    writer.page(5, 0, 1 << 40, 2, &[&packet(10)]);
    writer.page(6, 0, 960, 1, &[&packet(11)]);
    let index = open_slice(&writer.0).unwrap();
    assert_eq!((units(&index, 0)[0].decode, units(&index, 1)[0].decode), (0, 0));
}

#[test]
fn packets_that_are_too_large_are_left_out() {
    const SEGMENTS: usize = 255;
    let mut writer = begun();
    writer.page(5, 0, 960, 2, &[&packet(10)]);
    let (lacing, body) = ([255; SEGMENTS], packet(SEGMENTS * 255));
    let pages = UNIT_BYTES_MAX as usize / body.len() + 1;
    for page in 0..pages {
        let flags = if page == 0 { 0 } else { CONTINUED };
        writer.raw_page(5, flags, NONE, 3 + page as u32, &lacing, &body);
    }
    writer.raw_page(5, CONTINUED, 1920, 3 + pages as u32, &[0], &[]);
    writer.page(5, 0, 2880, 4 + pages as u32, &[&packet(12)]);
    let index = open_slice(&writer.0).unwrap();
    let found: Vec<_> = places(&index).iter().map(|(_, bytes, time)| (*bytes, *time)).collect();
    assert_eq!(found, [(10, 0), (12, 1920)]);
    assert!(index.skipped[0].to_string().contains("too large"), "{:?}", index.skipped);
}

#[test]
fn units_have_the_bytes_of_their_packets() {
    let long = packet(1000);
    let mut writer = begun();
    writer.raw_page(5, 0, NONE, 2, &[255, 255], &long[..510]);
    writer.page(9, 0, NONE, 0, &[&[0; 5000]]);
    writer.raw_page(5, CONTINUED, 1920, 3, &[255, 235, 10], &[&long[510..], &packet(10)].concat());
    let index = open_slice(&writer.0).unwrap();
    let bytes: Vec<_> = units(&index, 0).iter().map(|unit| unit.media_bytes).collect();
    assert_eq!(bytes, [1000, 10]);
    assert!(units(&index, 0)[0].bytes > 6000);
    assert_eq!((index.track_bytes(TrackId(0)), index.tracks[0].unit_bytes_max), (1010, 1000));
    assert_eq!(index.segment_bytes_max(TrackId(0)), 1010);
}
