//! WAVE: what its chunks mean (Multimedia Programming Interface 1.0; EBU Tech 3306 for RF64).

use super::{Chunk, Coding, Form, Media};
use crate::codec::pcm::PcmEncoding;
use crate::container::pcm::{self, Description};
use crate::index::SkipReason;

/// The form of a file that begins with `head`.
pub(super) fn form(head: &[u8]) -> Option<Form> {
    let is_wave = head.get(8..12) == Some(b"WAVE");
    let is_form = [b"RIFF", b"RF64", b"BW64"].iter().any(|magic| head.starts_with(*magic));
    (is_wave && is_form).then_some(Form { name: "WAVE", read_size: u32::from_le_bytes, read_chunk })
}

fn read_chunk(kind: &[u8; 4], body: &[u8]) -> Chunk {
    match kind {
        b"fmt " => {
            let cut_short = Err(SkipReason::Broken("its format chunk is cut short"));
            Chunk::Coding(read_format(body).unwrap_or(cut_short))
        }
        b"data" => Chunk::Media { at: 0 },
        b"ds64" => match body.get(8..).and_then(|rest| rest.first_chunk()) {
            Some(bytes) => Chunk::MediaBytes(u64::from_le_bytes(*bytes)),
            None => Chunk::Other,
        },
        _ => Chunk::Other,
    }
}

/// WAVEFORMATEX, and WAVEFORMATEXTENSIBLE behind it; `None` if it is cut short.
fn read_format(body: &[u8]) -> Option<Coding> {
    const EXTENSIBLE: u16 = 0xfffe;
    let word = |at: usize| Some(u16::from_le_bytes(*body.get(at..)?.first_chunk()?));
    let channels = u32::from(word(2)?);
    let sample_rate = u32::from_le_bytes(*body.get(4..)?.first_chunk()?);
    let (block_bytes, bits) = (u32::from(word(12)?), u32::from(word(14).unwrap_or(0)));
    let tag = match word(0)? {
        EXTENSIBLE => word(24)?,
        tag => tag,
    };
    let sample_bytes = match block_bytes.checked_div(channels) {
        Some(bytes) if bytes > 0 && bytes * channels == block_bytes => bytes,
        _ => bits.div_ceil(8),
    };
    let encoding = match tag {
        1 if sample_bytes == 1 => Ok(PcmEncoding::Unsigned8),
        1 => pcm::linear(sample_bytes, false),
        6 if sample_bytes == 1 => Ok(PcmEncoding::Alaw),
        7 if sample_bytes == 1 => Ok(PcmEncoding::Mulaw),
        0x50 | 0x55 => return Some(Ok(Media::MpegAudio)),
        tag => Err(SkipReason::Codec(name(tag))),
    };
    let described =
        encoding.map(|encoding| Media::Pcm(Description { encoding, sample_rate, channels }));
    Some(described)
}

/// What a format tag stands for.
fn name(tag: u16) -> String {
    match tag {
        2 => "Microsoft ADPCM".to_owned(),
        3 => "floating-point PCM".to_owned(),
        0x11 => "IMA ADPCM".to_owned(),
        0x31 => "GSM 6.10".to_owned(),
        0xff => "AAC in WAVE".to_owned(),
        0x2000 => "AC-3 in WAVE".to_owned(),
        0xf1ac => "FLAC".to_owned(),
        tag => format!("WAVE format {tag:#06x}"),
    }
}
