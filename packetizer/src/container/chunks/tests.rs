use super::super::sole_track::refuse_codec;
use super::super::testing::{open_slice, places};
use super::*;
use crate::codec::CodecConfig;
use crate::codec::pcm::PcmEncoding;

fn chunk(kind: &[u8; 4], size: u32, body: &[u8]) -> Vec<u8> {
    let mut chunk = [kind, &size.to_le_bytes()[..], body].concat();
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

fn whole(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    chunk(kind, u32::try_from(body.len()).unwrap(), body)
}

fn format(tag: u16, channels: u16, rate: u32, block_bytes: u16, bits: u16) -> Vec<u8> {
    let mut body = [tag.to_le_bytes(), channels.to_le_bytes()].concat();
    body.extend_from_slice(&rate.to_le_bytes());
    body.extend_from_slice(&(rate * u32::from(block_bytes)).to_le_bytes());
    body.extend_from_slice(&block_bytes.to_le_bytes());
    body.extend_from_slice(&bits.to_le_bytes());
    body
}

fn wave(chunks: &[Vec<u8>]) -> Vec<u8> {
    [&b"RIFF\xff\xff\xff\xffWAVE"[..], &chunks.concat()].concat()
}

fn encoding(file: &[u8]) -> Result<PcmEncoding, IndexError> {
    let index = open_slice(file)?;
    let codec = &index.tracks[0].codec;
    let pcm = if let CodecConfig::Pcm(config) = codec { Some(config.encoding) } else { None };
    Ok(pcm.unwrap())
}

#[test]
fn wave_formats_are_told_apart() {
    let no_codec = |name: &str| Err(refuse_codec(name));
    for (tag, block_bytes, bits, expected) in [
        (1, 2, 8, Ok(PcmEncoding::Unsigned8)),
        (1, 4, 16, Ok(PcmEncoding::Signed16Little)),
        (1, 4, 12, Ok(PcmEncoding::Signed16Little)),
        (1, 0, 16, Ok(PcmEncoding::Signed16Little)),
        (1, 6, 24, Ok(PcmEncoding::Signed24Little)),
        (1, 6, 20, Ok(PcmEncoding::Signed24Little)),
        (1, 8, 24, no_codec("PCM of 32 bits")),
        (3, 8, 32, no_codec("floating-point PCM")),
        (6, 2, 8, Ok(PcmEncoding::Alaw)),
        (7, 2, 8, Ok(PcmEncoding::Mulaw)),
        (2, 1024, 4, no_codec("Microsoft ADPCM")),
        (0x1234, 2, 8, no_codec("WAVE format 0x1234")),
    ] {
        let plain = format(tag, 2, 8000, block_bytes, bits);
        let data = whole(b"data", &[0; 48]);
        assert_eq!(encoding(&wave(&[whole(b"fmt ", &plain), data.clone()])), expected, "{tag}");
        let mut extensible = format(0xfffe, 2, 8000, block_bytes, bits);
        extensible.extend_from_slice(&[22, 0, 0, 0, 0, 0, 0, 0]);
        extensible.extend_from_slice(&tag.to_le_bytes());
        extensible.extend_from_slice(b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71");
        assert_eq!(encoding(&wave(&[whole(b"fmt ", &extensible), data])), expected, "{tag}");
    }
}

#[test]
fn media_lies_where_the_data_chunk_says() {
    let stereo = whole(b"fmt ", &format(1, 2, 44_100, 4, 16));
    let odd = whole(b"LIST", &[7; 5]);
    let first = 12 + 24 + 8;
    for (chunks, offset, bytes) in [
        (vec![stereo.clone(), whole(b"data", &[1; 40]), odd.clone()], first, 40),
        (vec![odd.clone(), stereo.clone(), whole(b"data", &[1; 40])], first + 14, 40),
        (vec![whole(b"data", &[1; 41]), stereo.clone()], 20, 40),
        (vec![stereo.clone(), chunk(b"data", 0, &[1; 42])], first, 40),
        (vec![stereo.clone(), chunk(b"data", u32::MAX, &[1; 42])], first, 40),
        (vec![stereo.clone(), chunk(b"data", 400, &[1; 42])], first, 40),
    ] {
        let index = open_slice(&wave(&chunks)).unwrap();
        assert_eq!(places(&index), [(offset, bytes, 0)]);
    }
    let sizes = [&[0; 8][..], &40_u64.to_le_bytes(), &[0; 12]].concat();
    let long = [
        whole(b"ds64", &sizes),
        stereo,
        chunk(b"data", u32::MAX, &[1; 40]),
        whole(b"junk", &[2; 40]),
    ];
    let file = [&b"RF64\xff\xff\xff\xffWAVE"[..], &long.concat()].concat();
    assert_eq!(places(&open_slice(&file).unwrap()), [(first + 36, 40, 0)]);
}

#[test]
fn mpeg_audio_in_wave_is_found() {
    let mut frame = vec![0; 96];
    frame[..4].copy_from_slice(&[0xff, 0xf3, 0x44, 0xc0]);
    let chunks = [
        whole(b"fmt ", &format(0x55, 1, 24_000, 1, 0)),
        whole(b"data", &frame.repeat(2)),
        whole(b"LIST", &frame),
    ];
    assert_eq!(places(&open_slice(&wave(&chunks)).unwrap()), [(44, 96, 0), (140, 96, 576)]);
    let empty = [whole(b"fmt ", &format(0x55, 1, 24_000, 1, 0)), whole(b"data", &[])];
    assert!(open_slice(&wave(&empty)).is_err());
}

#[test]
fn broken_files_are_refused() {
    let stereo = whole(b"fmt ", &format(1, 2, 44_100, 4, 16));
    for (file, why) in [
        (wave(&[]), "no media in it"),
        (wave(std::slice::from_ref(&stereo)), "no media in it"),
        (wave(&[whole(b"data", &[1; 40])]), "nothing says what its media is"),
        (wave(&[whole(b"fmt ", &[1; 9]), whole(b"data", &[1; 40])]), "cut short"),
        (wave(&[stereo, whole(b"data", &[1; 3])]), "no access units"),
    ] {
        let error = open_slice(&file).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    let endless = wave(&[whole(b"junk", &[]).repeat(20_000)]);
    assert!(matches!(open_slice(&endless), Err(IndexError::TooLarge { .. })));
    let avi = b"RIFF\x10\0\0\0AVI LIST";
    assert_eq!(open_slice(avi).unwrap_err(), IndexError::Unrecognized);
}

#[test]
fn aiff_is_the_same_the_other_way_round() {
    let rate = [0x40, 0x0e, 0xac, 0x44, 0, 0, 0, 0, 0, 0];
    let common = |bits: u8, kind: &[u8]| {
        let body = [&[0, 2, 0, 0, 0, 9, 0, bits][..], &rate, kind].concat();
        let size = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&b"COMM"[..], &size, &body].concat()
    };
    let sound = b"SSND\0\0\0\x2a\0\0\0\x02\0\0\0\0";
    for (form, common, expected) in [
        (b"AIFF", common(16, b""), Ok(PcmEncoding::Signed16Big)),
        (b"AIFF", common(8, b""), Ok(PcmEncoding::Signed8)),
        (b"AIFC", common(24, b"NONE"), Ok(PcmEncoding::Signed24Big)),
        (b"AIFC", common(16, b"sowt"), Ok(PcmEncoding::Signed16Little)),
        (b"AIFC", common(16, b"ulaw"), Ok(PcmEncoding::Mulaw)),
        (b"AIFC", common(16, b"ima4"), Err(refuse_codec("ima4"))),
    ] {
        let file = [&b"FORM\0\0\0\0"[..], form, &common, sound, &[1; 34]].concat();
        assert_eq!(encoding(&file), expected);
        if let Ok(index) = open_slice(&file) {
            let (offset, bytes, _) = places(&index)[0];
            let start = (12 + common.len() + sound.len() + 2) as u64;
            assert_eq!((offset, bytes / 2), (start, if bytes == 30 { 15 } else { 16 }));
        }
    }
}
