//! Damaged copies of other people's audio, Ogg, IVF and FLV files.

use super::damage::Container;
use super::fields::{Field, bytes_between, fields_at};

/// Files that begin so, whatever they are called.
fn check(
    name: &'static str,
    extensions: &'static [&'static str],
    take: fn(&[u8]) -> Option<Vec<u8>>,
    fields: fn(&[u8]) -> Vec<Field>,
    files_min: usize,
) {
    Container { name, extensions, take, fields, files_min, opened_min: 40 }.check();
}

fn all(file: &[u8]) -> Option<Vec<u8>> {
    Some(file.to_vec())
}

#[test]
fn damaged_wave() {
    check("WAVE", &["wav"], all, |file| chunks(file, 12, true), 5);
}

/// What AIFF would be of a WAVE file with 16 bits a sample.
#[test]
fn damaged_aiff() {
    let take = |file: &[u8]| pcm16(file).map(aiff);
    check("AIFF", &["wav"], take, |file| chunks(file, 12, false), 2);
}

#[test]
fn damaged_au() {
    let take = |file: &[u8]| pcm16(file).map(au);
    check("AU", &["wav"], take, |_| fields_at(4, &[4, 4, 4, 4, 4], false), 2);
}

#[test]
fn damaged_mpeg_audio() {
    check("MPEG audio", &["mp3"], all, |file| frames(file, 0xff), 4);
}

#[test]
fn damaged_adts() {
    check("ADTS", &["aac", "adts"], all, |file| frames(file, 0xff), 4);
}

#[test]
fn damaged_ac3() {
    check("AC-3", &["ac3", "eac3"], all, |file| frames(file, 0x0b), 3);
}

/// There are none: frames of 12.2 kbit/s, and of 23.85 kbit/s wideband.
#[test]
fn damaged_amr() {
    let take = |file: &[u8]| Some(amr(file.len()));
    let fields = |file: &[u8]| bytes_between(0, file.len().min(4000));
    check("AMR", &["mp3", "aac"], take, fields, 2);
}

#[test]
fn damaged_ogg() {
    check("Ogg", &["ogg", "opus"], all, ogg, 4);
}

#[test]
fn damaged_flv() {
    check("FLV", &["flv"], all, flv, 2);
}

#[test]
fn damaged_ivf() {
    check("IVF", &["ivf"], all, ivf, 1);
}

/// Names and lengths of chunks, and what is in them.
fn chunks(file: &[u8], start: usize, is_little: bool) -> Vec<Field> {
    let (mut fields, mut at) = (fields_at(4, &[4, 4], is_little), start);
    while let Some(header) = file.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let [.., l0, l1, l2, l3] = *header;
        let length = [l0, l1, l2, l3];
        let length = match is_little {
            true => u32::from_le_bytes(length),
            false => u32::from_be_bytes(length),
        };
        fields.extend(fields_at(at, &[4, 4, 2, 2, 4, 4, 2, 2, 2, 2], is_little));
        at += 8 + (length as usize).next_multiple_of(2);
    }
    fields
}

/// The sound of a WAVE file of 16 bits a sample, at most as much as is needed.
fn pcm16(file: &[u8]) -> Option<Vec<u8>> {
    let is_pcm16 = file.get(20..22) == Some(&[1, 0]) && file.get(34..36) == Some(&[16, 0]);
    let sound = file.get(44..)?.get(..40_000)?;
    is_pcm16.then(|| sound.to_vec())
}

fn aiff(sound: Vec<u8>) -> Vec<u8> {
    let bytes = |count: usize| u32::try_from(count).unwrap().to_be_bytes();
    let rate = [0x40, 0x0e, 0xac, 0x44, 0, 0, 0, 0, 0, 0]; // 44,100 as an extended float
    let common = [&[0, 2][..], &bytes(sound.len() / 4), &[0, 16], &rate].concat();
    let form = [
        &b"AIFFCOMM"[..],
        &bytes(common.len()),
        &common,
        b"SSND",
        &bytes(sound.len() + 8),
        &[0; 8],
        &sound,
    ];
    let form = form.concat();
    [&b"FORM"[..], &bytes(form.len()), &form].concat()
}

fn au(sound: Vec<u8>) -> Vec<u8> {
    let words = [24, u32::try_from(sound.len()).unwrap(), 3, 44_100, 2];
    [&b".snd"[..], words.map(u32::to_be_bytes).as_flattened(), &sound].concat()
}

fn amr(length: usize) -> Vec<u8> {
    let (magic, frame): (&[u8], &[u8]) = match length.is_multiple_of(2) {
        true => (b"#!AMR\n", &[0x3c; 32]),
        false => (b"#!AMR-WB\n", &[0x44; 61]),
    };
    [magic, &frame.repeat(500)].concat()
}

/// Bytes behind those that frames begin with.
fn frames(file: &[u8], sync: u8) -> Vec<Field> {
    let begins = |pair: &[u8]| pair[0] == sync && (pair[1] & 0xe0 == 0xe0 || pair[1] == 0x77);
    let syncs = file.windows(2).enumerate().filter(|(_, pair)| begins(pair));
    let mut fields = bytes_between(0, file.len().min(200));
    fields.extend(syncs.flat_map(|(at, _)| bytes_between(at, (at + 7).min(file.len()))));
    fields
}

/// Flags, granule positions, serial and page numbers, and the segments' lengths.
fn ogg(file: &[u8]) -> Vec<Field> {
    let pages = file.windows(4).enumerate().filter(|(_, bytes)| *bytes == b"OggS");
    let mut fields = bytes_between(28, file.len().min(300));
    for (at, _) in pages {
        fields.extend(fields_at(at + 4, &[1, 1, 8, 4, 4, 4, 1, 1, 1, 1, 1], true));
    }
    fields
}

/// Headers of tags, and the first bytes of what is in them.
fn flv(file: &[u8]) -> Vec<Field> {
    let (mut fields, mut at) = (bytes_between(0, 13), 13);
    while let Some(header) = file.get(at..).and_then(<[u8]>::first_chunk::<4>) {
        let [_, s0, s1, s2] = *header;
        fields.extend(fields_at(at, &[1, 3, 3, 1, 3, 1, 1, 3, 1, 1, 1, 1, 1, 1], false));
        at += 15 + u32::from_be_bytes([0, s0, s1, s2]) as usize;
    }
    fields
}

/// The file's header, and those of its frames.
fn ivf(file: &[u8]) -> Vec<Field> {
    let (mut fields, mut at) = (fields_at(4, &[2, 2, 4, 2, 2, 4, 4, 4], true), 32);
    while let Some(header) = file.get(at..).and_then(<[u8]>::first_chunk::<4>) {
        fields.extend(fields_at(at, &[4, 8, 1, 1, 1, 1], true));
        at += 12 + u32::from_le_bytes(*header) as usize;
    }
    fields
}
