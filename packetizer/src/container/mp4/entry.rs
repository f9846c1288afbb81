//! Sample descriptions: the codec of a track (`stsd`; ISO 14496-12 §8.5.2, 14496-14 §5.6, 14496-15
//! §5.4.2; QuickTime sound descriptions).

use super::boxes::{Box, Bytes, boxes, find};
use crate::codec::CodecConfig;
use crate::codec::aac::AacConfig;
use crate::codec::h264::H264Config;
use crate::index::SkipReason;

/// Bytes of a visual sample entry in front of its boxes (ISO 14496-12 §12.1.3).
const VISUAL_ENTRY_BYTES: usize = 78;
/// Bytes of an audio sample entry in front of its boxes (ISO 14496-12 §12.2.3).
const AUDIO_ENTRY_BYTES: usize = 28;
/// What QuickTime's sound descriptions of version 1 and 2 have behind that.
const SOUND_VERSION_1_BYTES: usize = 16;
const SOUND_VERSION_2_BYTES: usize = 36;

/// The codec that the sample descriptions in use (numbers from 1) agree on.
pub(super) fn parse_codec(
    mut stsd: Bytes<'_>,
    in_use: impl Iterator<Item = u32>,
) -> Result<CodecConfig, SkipReason> {
    let cut_short = SkipReason::Broken("its sample description (stsd) is cut short");
    let (Some(_), Some(_count)) = (stsd.version_and_flags(), stsd.u32()) else {
        return Err(cut_short);
    };
    let entry_count =
        boxes(stsd.0).zip(1..=DESCRIPTIONS_MAX).last().map_or(1, |(_, number)| number);
    // A set, so that each is parsed once however often a hostile track switches.
    let mut wanted = 0_u64;
    for number in in_use {
        wanted |= 1 << (number.clamp(1, entry_count) - 1);
    }
    let mut codec = None;
    for (position, entry) in (0..entry_count).zip(boxes(stsd.0)) {
        if wanted & 1 << position == 0 {
            continue;
        }
        let parsed = parse_entry(&entry)?;
        match &codec {
            Some(codec) if *codec != parsed => return Err(SkipReason::SeveralDescriptions),
            Some(_) => {}
            None => codec = Some(parsed),
        }
    }
    codec.ok_or(cut_short)
}

fn parse_entry(entry: &Box<'_>) -> Result<CodecConfig, SkipReason> {
    match &entry.kind.0 {
        b"avc1" | b"avc3" => parse_visual(entry).map(CodecConfig::H264),
        b"mp4a" => parse_audio(entry).map(CodecConfig::Aac),
        b"encv" | b"enca" | b"drmi" | b"drms" => Err(SkipReason::Encrypted),
        _ => Err(SkipReason::Codec(entry.kind.to_string())),
    }
}

fn parse_visual(entry: &Box<'_>) -> Result<H264Config, SkipReason> {
    let inside = entry.body.get(VISUAL_ENTRY_BYTES..).unwrap_or_default();
    let record = find(inside, b"avcC")
        .ok_or(SkipReason::Broken("its H.264 configuration (avcC) is missing"))?;
    H264Config::parse(record.body).map_err(|error| SkipReason::Config(error.0))
}

fn parse_audio(entry: &Box<'_>) -> Result<AacConfig, SkipReason> {
    let version = entry.body.get(8..10).map_or(0, |v| u16::from_be_bytes([v[0], v[1]]));
    // ISO files have a version 1 too, without QuickTime's fields: what fits is what holds an esds.
    let declared = match version {
        1 => SOUND_VERSION_1_BYTES,
        2 => SOUND_VERSION_2_BYTES,
        _ => 0,
    };
    let descriptor = [declared, 0, SOUND_VERSION_1_BYTES, SOUND_VERSION_2_BYTES]
        .into_iter()
        .filter_map(|extra| entry.body.get(AUDIO_ENTRY_BYTES + extra..))
        .find_map(|inside| {
            let nested = || find(inside, b"wave").and_then(|wave| find(wave.body, b"esds"));
            find(inside, b"esds").or_else(nested)
        })
        .ok_or(SkipReason::Broken("its elementary stream descriptor (esds) is missing"))?;
    parse_elementary_stream(descriptor.bytes())
}

/// The AAC configuration in an `esds` box (ISO 14496-1 §7.2.6).
fn parse_elementary_stream(mut esds: Bytes<'_>) -> Result<AacConfig, SkipReason> {
    let cut_short = || SkipReason::Broken("its elementary stream descriptor (esds) is cut short");
    esds.version_and_flags().ok_or_else(cut_short)?;
    let stream = descriptor(&mut esds, ES_DESCRIPTOR).ok_or_else(cut_short)?;
    let mut decoder = decoder_config(stream).ok_or_else(cut_short)?;
    let object_type = decoder.u8().ok_or_else(cut_short)?;
    match object_type {
        0x40 | 0x66..=0x68 => {}
        0x69 | 0x6b => return Err(SkipReason::Codec("mp4a (MPEG-1/2 audio)".to_owned())),
        other => return Err(SkipReason::Codec(format!("mp4a (object type {other:#04x})"))),
    }
    decoder.take(12).ok_or_else(cut_short)?; // stream type, buffer size, bit rates
    let config = descriptor(&mut decoder, DECODER_SPECIFIC_INFO)
        .ok_or(SkipReason::Broken("its AudioSpecificConfig is missing"))?;
    AacConfig::parse(config.0).map_err(|error| SkipReason::Config(error.0))
}

/// The DecoderConfigDescriptor in an ES_Descriptor.
fn decoder_config(mut stream: Bytes<'_>) -> Option<Bytes<'_>> {
    stream.u16()?; // ES_ID
    let flags = stream.u8()?;
    if flags & 0x80 != 0 {
        stream.u16()?; // dependsOn_ES_ID
    }
    if flags & 0x40 != 0 {
        let url_bytes = stream.u8()?;
        stream.take(usize::from(url_bytes))?;
    }
    if flags & 0x20 != 0 {
        stream.u16()?; // OCR_ES_Id
    }
    descriptor(&mut stream, DECODER_CONFIG)
}

/// The body of the next descriptor with this tag; a size beyond what is there is cut.
fn descriptor<'a>(bytes: &mut Bytes<'a>, wanted: u8) -> Option<Bytes<'a>> {
    loop {
        let tag = bytes.u8()?;
        let mut size = 0_usize;
        for _ in 0..4 {
            let byte = bytes.u8()?;
            size = size << 7 | usize::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                break;
            }
        }
        let body = bytes.take(size.min(bytes.0.len()))?;
        if tag == wanted {
            return Some(Bytes(body));
        }
    }
}

const ES_DESCRIPTOR: u8 = 3;
const DECODER_CONFIG: u8 = 4;
const DECODER_SPECIFIC_INFO: u8 = 5;

/// Sample descriptions of a track that are looked at.
const DESCRIPTIONS_MAX: u32 = u64::BITS;
