use super::super::sole_track::refuse_codec;
use super::super::testing::{open_slice, places};
use super::*;

/// A frame of 10 bytes: 44.1 kHz, stereo.
const ADTS: [u8; 10] = [0xff, 0xf1, 0x50, 0x80, 0x01, 0x5f, 0xfc, 1, 2, 3];

/// A frame of 96 bytes: MPEG-2 layer III, 24 kHz.
fn mp3() -> Vec<u8> {
    let mut frame = vec![0; 96];
    frame[..4].copy_from_slice(&[0xff, 0xf3, 0x44, 0xc0]);
    frame
}

/// A frame of 128 bytes and 256 samples.
fn eac3(substream: u8) -> Vec<u8> {
    let mut frame = vec![0; 128];
    frame[..6].copy_from_slice(&[0x0b, 0x77, substream, 0x3f, 0x04, 0x80]);
    frame
}

/// A frame of 128 bytes.
fn ac3() -> Vec<u8> {
    let mut frame = vec![0; 128];
    frame[..7].copy_from_slice(&[0x0b, 0x77, 0, 0, 0x00, 0x40, 0x40]);
    frame
}

#[test]
fn headers_of_adts_are_left_out() {
    let index = open_slice(&ADTS.repeat(4)).unwrap();
    assert_eq!(places(&index), [(7, 3, 0), (17, 3, 1024), (27, 3, 2048), (37, 3, 3072)]);
    assert_eq!(index.tracks[0].media_rate, ClockRate::new(44_100).unwrap());
    assert_eq!(index.skipped, []);
}

#[test]
fn junk_between_frames_is_passed_over() {
    let frames = ADTS.repeat(3);
    // What looks like a frame of the stream, but leads nowhere.
    let lure = [0, 0xff, 0xf1, 0x50, 0x80, 0x01, 0x5f, 0xfc, 0, 0, 0, 0, 0];
    let tag = b"ID3\x04\0\0\0\0\0\x0a\xff\xf1\x50\x80\x01\x5f\xfc\0\0\0";
    for junk in [&[0][..], &[0xff; 50], b"TAG", &lure, tag] {
        let file = [&frames, junk, &frames].concat();
        let index = open_slice(&file).unwrap();
        let behind = (frames.len() + junk.len()) as u64;
        let offsets: Vec<u64> = places(&index).iter().map(|(offset, ..)| *offset).collect();
        assert_eq!(offsets, [7, 17, 27, behind + 7, behind + 17, behind + 27], "{junk:x?}");
        assert_eq!(index.skipped, []);
        // In front, too.
        let index = open_slice(&[junk, &frames].concat()).unwrap();
        assert_eq!(index.tracks[0].unit_count, 3, "{junk:x?}");
    }
}

#[test]
fn a_file_may_be_cut_short() {
    let file = ADTS.repeat(4);
    for end in 31..39 {
        let index = open_slice(&file[..end]).unwrap();
        let is_told = end >= 37;
        assert_eq!((index.tracks[0].unit_count, index.skipped.len()), (3, usize::from(is_told)));
    }
}

#[test]
fn three_frames_in_a_row_make_a_stream() {
    let junk = [0; 5];
    for (file, is_known) in [
        (ADTS.repeat(3), true),
        (ADTS.repeat(2), true), // the whole file
        (ADTS.to_vec(), true),
        ([&ADTS[..], &ADTS, &junk].concat(), false),
        ([&junk[..], &ADTS, &ADTS, &ADTS].concat(), true),
        (ADTS[..9].to_vec(), false),
    ] {
        let opened = open_slice(&file);
        assert_eq!(opened.is_ok(), is_known, "{file:x?}");
    }
}

#[test]
fn frames_that_describe_the_file_are_not_delivered() {
    for (at, name, is_information) in
        [(13, "Xing", true), (13, "Info", true), (36, "VBRI", true), (14, "Xing", false)]
    {
        let mut information = mp3();
        information[at..at + 4].copy_from_slice(name.as_bytes());
        let file = [information, mp3(), mp3()].concat();
        let index = open_slice(&file).unwrap();
        assert_eq!(index.tracks[0].unit_count, if is_information { 2 } else { 3 });
        assert_eq!(places(&index)[0].0, if is_information { 96 } else { 0 });
    }
    // Later it is a frame like others.
    let mut information = mp3();
    information[13..17].copy_from_slice(b"Xing");
    let index = open_slice(&[mp3(), information, mp3()].concat()).unwrap();
    assert_eq!(index.tracks[0].unit_count, 3);
    assert_eq!(places(&index)[2], (192, 96, 1152));
}

#[test]
fn substreams_of_a_period_are_one_unit() {
    let file = [eac3(0), eac3(0x40), eac3(0x08), eac3(0), eac3(0x40)].concat();
    let index = open_slice(&file).unwrap();
    assert_eq!(places(&index), [(0, 384, 0), (384, 256, 256)]);
    let CodecConfig::EAc3(config) = &index.tracks[0].codec else { panic!("Enhanced AC-3") };
    assert_eq!((config.channels, config.unit_samples), (2, 256));
    // A stream that begins in the middle of a period.
    let index = open_slice(&[eac3(0x40), eac3(0), eac3(0x40), eac3(0)].concat()).unwrap();
    assert_eq!(places(&index), [(128, 256, 0), (384, 128, 256)]);
    // AC-3 without what extends it.
    let index = open_slice(&[ac3(), eac3(0x40), ac3(), eac3(0x40)].concat()).unwrap();
    assert_eq!(places(&index), [(0, 128, 0), (256, 128, 1536)]);
}

#[test]
fn what_cannot_be_delivered_is_named() {
    let several = [0xff, 0xf1, 0x50, 0x80, 0x01, 0x5f, 0xfd, 1, 2, 3].repeat(3);
    let name = "AAC with several access units in an ADTS frame";
    assert_eq!(open_slice(&several).unwrap_err(), refuse_codec(name));
    let mut free = [0; 100];
    free[..4].copy_from_slice(&[0xff, 0xfb, 0x00, 0xc0]);
    let error = open_slice(&free.repeat(3)).unwrap_err();
    assert_eq!(error, refuse_codec("MPEG audio, free format"));
}

#[test]
fn long_streams_are_read_in_pieces() {
    let mut frame = vec![7; 8191];
    frame[..7].copy_from_slice(&[0xff, 0xf1, 0x50, 0x83, 0xff, 0xff, 0xfc]);
    let index = open_slice(&frame.repeat(300)).unwrap();
    let places = places(&index);
    assert_eq!(places.len(), 300);
    let expected = |at: u64| (8191 * at + 7, 8184, at.cast_signed() * 1024);
    assert!(places.iter().zip(0..).all(|(place, at)| *place == expected(at)));
}
