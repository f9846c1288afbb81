#![allow(clippy::cast_possible_truncation)]

use super::super::testing::{open_slice, units};
use super::*;

fn tag(kind: u8, time: u32, data: &[u8]) -> Vec<u8> {
    let [t0, t1, t2, t3] = time.to_be_bytes();
    let [_, s0, s1, s2] = (data.len() as u32).to_be_bytes();
    let header = [kind, s0, s1, s2, t1, t2, t3, t0, 0, 0, 0];
    [&header[..], data, &(data.len() as u32 + 11).to_be_bytes()].concat()
}

fn file(tags: &[Vec<u8>]) -> Vec<u8> {
    [&b"FLV\x01\x05\0\0\0\x09\0\0\0\0"[..], &tags.concat()].concat()
}

/// An AVCDecoderConfigurationRecord with parameter sets of this level.
fn avc_config(level: u8) -> Vec<u8> {
    let sps = [0x67, 0x64, 0, level, 0xac, 0xd9];
    let record = [&[1, 0x64, 0, level, 0xff, 0xe1, 0, 6][..], &sps, &[1, 0, 2, 0x68, 0xeb]];
    [&[0x17, 0, 0, 0, 0][..], &record.concat()].concat()
}

fn picture(first: u8, composition_offset: i32, bytes: usize) -> Vec<u8> {
    let [_, c0, c1, c2] = composition_offset.to_be_bytes();
    [&[first, 1, c0, c1, c2][..], &vec![9; bytes]].concat()
}

const AAC_CONFIG: [u8; 4] = [0xaf, 0, 0x12, 0x10];
const AAC_UNIT: [u8; 6] = [0xaf, 1, 1, 2, 3, 4];

#[test]
fn tags_become_units() {
    let file = file(&[
        tag(18, 0, b"onMetaData"),
        tag(9, 0, &avc_config(21)),
        tag(8, 0, &AAC_CONFIG),
        tag(9, 100, &picture(0x17, 80, 10)),
        tag(8, 110, &AAC_UNIT),
        tag(9, 140, &picture(0x27, -20, 300)),
        tag(8, 133, &AAC_UNIT),
        tag(9, 180, &[0x57, 0]),          // a command
        tag(9, 180, &[0x17, 2, 0, 0, 0]), // the end of a sequence
        tag(9, 0, &avc_config(21)),       // repeated
        tag(8, 156, &AAC_UNIT),
        tag(8, 300, &AAC_UNIT),
    ]);
    let index = open_slice(&file).unwrap();
    assert_eq!(index.skipped, []);
    assert_eq!((index.tracks[0].container_id, index.tracks[1].container_id), (9, 8));
    let pictures: Vec<_> = units(&index, 0)
        .iter()
        .map(|unit| (unit.bytes, unit.decode, unit.composition, unit.sync))
        .collect();
    // The presentation begins at 110 ms.
    assert_eq!(pictures, [(10, -10, 70, true), (300, 30, 10, false)]);
    let sound = units(&index, 1);
    let times: Vec<_> = sound.iter().map(|unit| (unit.bytes, unit.decode)).collect();
    assert_eq!(times, [(4, 0), (4, 1024), (4, 2048), (4, 190 * 441 / 10)]);
    assert_eq!(file[sound[0].offset as usize..][..4], AAC_UNIT[2..]);
}

#[test]
fn mp3_tells_its_configuration_itself() {
    let mut frame = vec![0; 97];
    frame[..5].copy_from_slice(&[0x2f, 0xff, 0xf3, 0x44, 0xc0]);
    let file = file(&[tag(8, 0, &[0x2f, 0, 0]), tag(8, 5, &frame), tag(8, 29, &frame)]);
    let index = open_slice(&file).unwrap();
    let times: Vec<_> = units(&index, 0).iter().map(|unit| (unit.bytes, unit.decode)).collect();
    assert_eq!(times, [(96, 0), (96, 576)]);
}

#[test]
fn what_cannot_be_delivered_is_named() {
    let media = [tag(8, 0, &AAC_CONFIG), tag(8, 0, &AAC_UNIT)].concat();
    for (other, reason) in [
        (tag(9, 0, &[0x14, 0, 0]), "codec VP6"),
        (tag(9, 0, b"\x90hvc1\0"), "codec hvc1 in FLV"),
        (tag(9, 0, &[0x17, 0, 0, 0, 0, 1]), "avcC"),
        (tag(0x29, 0, &[0x17, 0, 0, 0, 0, 1]), "encrypted"),
        ([tag(9, 0, &avc_config(21))].concat(), "no access units"),
        (
            [
                tag(9, 0, &avc_config(21)),
                tag(9, 0, &picture(0x17, 0, 5)),
                tag(9, 0, &avc_config(30)),
                tag(9, 0, &picture(0x17, 0, 5)),
            ]
            .concat(),
            "different sample descriptions",
        ),
    ] {
        let index = open_slice(&file(&[media.clone(), other])).unwrap();
        let [skipped] = &index.skipped[..] else { panic!("{reason}: {:?}", index.skipped) };
        assert!(skipped.to_string().contains(reason), "{reason}: {skipped}");
        let pictures = index.tracks.iter().find(|track| track.codec.is_video());
        assert!(pictures.is_none_or(|track| track.unit_count == 1), "{reason}");
    }
    assert!(matches!(open_slice(&file(&[])), Err(IndexError::NoPlayableTrack { .. })));
    let error = open_slice(&file(&[tag(8, 0, &[0xb0, 0])])).unwrap_err();
    assert!(error.to_string().contains("Speex"), "{error}");
}

#[test]
fn a_file_may_be_cut_short() {
    let unit = tag(8, 0, &AAC_UNIT);
    let whole = file(&[tag(8, 0, &AAC_CONFIG), unit.clone(), unit.clone()]);
    for end in whole.len() - unit.len()..whole.len() - 4 {
        let index = open_slice(&whole[..end]).unwrap();
        assert_eq!(index.tracks[0].unit_count, 1);
    }
}

#[test]
fn large_pictures_are_not_read() {
    let large = tag(9, 0, &picture(0x17, 0, 3 << 20));
    let file = file(&[tag(9, 0, &avc_config(21)), large.clone(), large.clone(), large]);
    assert_eq!(open_slice(&file).unwrap().tracks[0].unit_count, 3);
}

#[test]
fn sound_follows_its_stamps() {
    // Milliseconds between units of 1024 samples at 44.1 kHz, which take 23.2.
    for step in [10, 23, 24, 40] {
        let sound = (0..200).map(|at| tag(8, at * step, &AAC_UNIT));
        let tags: Vec<_> = std::iter::once(tag(8, 0, &AAC_CONFIG)).chain(sound).collect();
        let index = open_slice(&file(&tags)).unwrap();
        let mut last = 0;
        for (at, unit) in units(&index, 0).iter().enumerate() {
            let told = i64::from(at as u32 * step) * 441 / 10;
            let apart = unit.decode - told;
            assert!(apart.abs() <= 1025, "{step} ms, unit {at}: {apart} samples off");
            assert!(unit.decode >= last, "{step} ms, unit {at} goes back");
            last = unit.decode;
        }
    }
}

#[test]
fn units_are_counted_over_both_tracks() {
    let tags = [
        tag(9, 0, &avc_config(21)),
        tag(8, 0, &AAC_CONFIG),
        tag(9, 0, &picture(0x17, 0, 10)),
        tag(8, 0, &AAC_UNIT),
        tag(8, 20, &AAC_UNIT),
    ];
    let bytes = file(&tags);
    for (units_max, is_refused) in [(2, true), (3, false)] {
        let mut demuxer = Demuxer::new(Scan::new(bytes.len() as u64), bytes.len() as u64);
        demuxer.units_max = units_max;
        demuxer.scan.consume(13);
        let opened = demuxer.supply(&bytes[13..]);
        let too_large = IndexError::TooLarge { what: "access units", limit: 2 };
        assert_eq!(opened.err(), is_refused.then_some(too_large), "at most {units_max}");
    }
}
