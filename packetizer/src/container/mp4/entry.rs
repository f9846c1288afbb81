//! Sample descriptions: the codec of a track (`stsd`; ISO 14496-12 §8.5.2, 14496-14 §5.6, 14496-15
//! §5.4.2 and §8.4.1, AV1 and VP codec bindings).

mod sound;

use super::boxes::{Box, Bytes, boxes, find};
use crate::codec::av1::Av1Config;
use crate::codec::h264::H264Config;
use crate::codec::h265::H265Config;
use crate::codec::mpeg4_visual::Mpeg4VisualConfig;
use crate::codec::{CodecConfig, ConfigError};
use crate::index::SkipReason;

/// Bytes of a visual sample entry in front of its boxes (ISO 14496-12 §12.1.3).
const VISUAL_ENTRY_BYTES: usize = 78;

/// What a track's sample descriptions say.
#[derive(Clone, Debug)]
pub(super) struct Descriptions {
    /// The codec of the first in use.
    pub(super) codec: CodecConfig,
    /// Which agree with that one.
    pub(super) served: Served,
}

/// Sample descriptions of a track whose units are delivered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Served {
    /// The lowest bit is that of number 1.
    mask: u64,
    /// How many there are.
    count: u32,
}

impl Served {
    /// Any.
    pub(super) const ALL: Self = Self { mask: u64::MAX, count: DESCRIPTIONS_MAX };

    /// Whether it has this number, from 1. One that is not there is taken for the nearest.
    pub(super) fn contains(self, number: u32) -> bool {
        self.mask >> (number.clamp(1, self.count) - 1) & 1 != 0
    }
}

/// The codec of the first sample description in use (numbers from 1), and which of the others in
/// use agree with it: they are the same, or differ in parameter sets that the stream has too.
pub(super) fn parse_descriptions(
    mut stsd: Bytes<'_>,
    in_use: impl Iterator<Item = u32>,
) -> Result<Descriptions, SkipReason> {
    let cut_short = SkipReason::Broken("its sample description (stsd) is cut short");
    let (Some(_), Some(_count)) = (stsd.version_and_flags(), stsd.u32()) else {
        return Err(cut_short);
    };
    let count = boxes(stsd.0).zip(1..=DESCRIPTIONS_MAX).last().map_or(1, |(_, number)| number);
    // A set, so that each is parsed once however often a hostile track switches.
    let (mut first, mut wanted) = (None, 0_u64);
    for number in in_use {
        let position = number.clamp(1, count) - 1;
        first.get_or_insert(position);
        wanted |= 1 << position;
    }
    let first_position = first.unwrap_or(0) as usize;
    let first = boxes(stsd.0).nth(first_position).ok_or(cut_short)?;
    let codec = parse_entry(&first)?;
    let mut served = Served { mask: 0, count };
    for (position, entry) in (0..count).zip(boxes(stsd.0)) {
        let is_wanted = wanted & 1 << position != 0;
        if is_wanted
            && parse_entry(&entry).is_ok_and(|other| agrees(&first, &codec, &entry, &other))
        {
            served.mask |= 1 << position;
        }
    }
    Ok(Descriptions { codec, served })
}

/// Whether units of two sample descriptions may follow each other.
fn agrees(first: &Box<'_>, codec: &CodecConfig, entry: &Box<'_>, other: &CodecConfig) -> bool {
    let is_in_stream = |entry: &Box<'_>| matches!(&entry.kind.0, b"avc3" | b"hev1");
    let framing = |codec: &CodecConfig| {
        if let CodecConfig::H264(config) = codec {
            return Some((config.framing, false));
        }
        if let CodecConfig::H265(config) = codec {
            return Some((config.framing, true));
        }
        None
    };
    codec == other
        || is_in_stream(first)
            && is_in_stream(entry)
            && framing(codec).is_some_and(|f| Some(f) == framing(other))
}

fn parse_entry(entry: &Box<'_>) -> Result<CodecConfig, SkipReason> {
    match &entry.kind.0 {
        b"avc1" | b"avc3" => configured(entry, b"avcC", H264Config::parse).map(CodecConfig::H264),
        b"hvc1" | b"hev1" => configured(entry, b"hvcC", H265Config::parse).map(CodecConfig::H265),
        b"av01" => configured(entry, b"av1C", Av1Config::parse).map(CodecConfig::Av1),
        b"vp08" => Ok(CodecConfig::Vp8),
        b"vp09" => Ok(CodecConfig::Vp9),
        b"s263" | b"h263" | b"H263" => Ok(CodecConfig::H263),
        b"jpeg" => Ok(CodecConfig::Jpeg),
        b"mp1v" | b"mp2v" | b"m1v " | b"m2v1" | b"mpeg" | b"hdv2" | b"hdv3" => {
            Ok(CodecConfig::MpegVideo)
        }
        b"mp4v" => parse_mp4v(entry),
        b"encv" | b"enca" | b"drmi" | b"drms" => Err(SkipReason::Encrypted),
        _ => sound::parse(entry),
    }
}

/// The codec whose configuration lies in a box of the visual sample entry.
fn configured<C>(
    entry: &Box<'_>,
    kind: &[u8; 4],
    parse: impl Fn(&[u8]) -> Result<C, ConfigError>,
) -> Result<C, SkipReason> {
    let record = find(inside(entry, VISUAL_ENTRY_BYTES), kind)
        .ok_or(SkipReason::Broken("its codec configuration (avcC, hvcC, av1C) is missing"))?;
    parse(record.body).map_err(|error| SkipReason::Config(error.0))
}

/// The boxes of a sample entry.
fn inside<'a>(entry: &Box<'a>, entry_bytes: usize) -> &'a [u8] {
    entry.body.get(entry_bytes..).unwrap_or_default()
}

/// The object type of an elementary stream and its configuration, as an `esds` box among these
/// boxes tells them (ISO 14496-1 §7.2.6).
fn elementary_stream(boxes: &[u8]) -> Result<(u8, &[u8]), SkipReason> {
    let mut esds = find(boxes, b"esds")
        .ok_or(SkipReason::Broken("its elementary stream descriptor (esds) is missing"))?
        .bytes();
    let cut_short = || SkipReason::Broken("its elementary stream descriptor (esds) is cut short");
    esds.version_and_flags().ok_or_else(cut_short)?;
    let stream = descriptor(&mut esds, ES_DESCRIPTOR).ok_or_else(cut_short)?;
    let mut decoder = decoder_config(stream).ok_or_else(cut_short)?;
    let object_type = decoder.u8().ok_or_else(cut_short)?;
    decoder.take(12).ok_or_else(cut_short)?; // stream type, buffer size, bit rates
    let config = descriptor(&mut decoder, DECODER_SPECIFIC_INFO);
    Ok((object_type, config.map_or(&[], |config| config.0)))
}

/// Video of MPEG-4 systems (MP4 registration authority, object types).
fn parse_mp4v(entry: &Box<'_>) -> Result<CodecConfig, SkipReason> {
    match elementary_stream(inside(entry, VISUAL_ENTRY_BYTES))? {
        (0x20, headers) => Ok(CodecConfig::Mpeg4Visual(Mpeg4VisualConfig::new(headers))),
        (0x60..=0x65 | 0x6a, _) => Ok(CodecConfig::MpegVideo),
        (0x6c, _) => Ok(CodecConfig::Jpeg),
        (other, _) => Err(SkipReason::Codec(format!("mp4v (object type {other:#04x})"))),
    }
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
