//! AIFF and AIFF-C: what their chunks mean (Audio Interchange File Format 1.3, AIFF-C).

use super::{Chunk, Coding, Form, Media};
use crate::codec::pcm::PcmEncoding;
use crate::container::pcm::{self, Description};
use crate::index::SkipReason;

/// Bytes of SSND in front of its samples.
const SOUND_HEADER_BYTES: u64 = 8;

/// The form of a file that begins with `head`.
pub(super) fn form(head: &[u8]) -> Option<Form> {
    let kind = head.get(8..12)?;
    let is_aiff = head.starts_with(b"FORM") && (kind == b"AIFF" || kind == b"AIFC");
    is_aiff.then_some(Form { name: "AIFF", read_size: u32::from_be_bytes, read_chunk })
}

fn read_chunk(kind: &[u8; 4], body: &[u8]) -> Chunk {
    match kind {
        b"COMM" => {
            let cut_short = Err(SkipReason::Broken("its common chunk is cut short"));
            Chunk::Coding(read_common(body).unwrap_or(cut_short))
        }
        b"SSND" => {
            let offset = body.first_chunk().map_or(0, |offset| u32::from_be_bytes(*offset));
            Chunk::Media { at: SOUND_HEADER_BYTES + u64::from(offset) }
        }
        _ => Chunk::Other,
    }
}

/// `None` if it is cut short.
fn read_common(body: &[u8]) -> Option<Coding> {
    let (channels, rest) = body.split_first_chunk()?;
    let channels = u32::from(u16::from_be_bytes(*channels));
    let (_frames, rest) = rest.split_first_chunk::<4>()?;
    let (bits, rest) = rest.split_first_chunk()?;
    let sample_bytes = u32::from(u16::from_be_bytes(*bits)).div_ceil(8);
    let (rate, rest) = rest.split_first_chunk()?;
    let sample_rate = parse_extended(rate);
    let encoding = match rest.first_chunk::<4>() {
        None | Some(b"NONE" | b"twos") if sample_bytes == 1 => Ok(PcmEncoding::Signed8),
        None | Some(b"NONE" | b"twos") => pcm::linear(sample_bytes, true),
        Some(b"sowt") => pcm::linear(sample_bytes, false),
        Some(b"raw ") => Ok(PcmEncoding::Unsigned8),
        Some(b"ulaw" | b"ULAW") => Ok(PcmEncoding::Mulaw),
        Some(b"alaw" | b"ALAW") => Ok(PcmEncoding::Alaw),
        Some(kind) => Err(SkipReason::Codec(kind.escape_ascii().to_string())),
    };
    Some(encoding.map(|encoding| Media::Pcm(Description { encoding, sample_rate, channels })))
}

/// An IEEE 754 number of 80 bits, its fraction cut off; 0 if it does not fit 32 bits.
fn parse_extended(number: &[u8; 10]) -> u32 {
    let [e0, e1, m0, m1, m2, m3, m4, m5, m6, m7] = *number;
    let mantissa = u64::from_be_bytes([m0, m1, m2, m3, m4, m5, m6, m7]);
    let exponent = u16::from_be_bytes([e0, e1]);
    let shift = (16_383_u16 + 63).checked_sub(exponent).map(u32::from);
    let value = shift.and_then(|shift| mantissa.checked_shr(shift)).unwrap_or(0);
    u32::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_extended_numbers() {
        for (number, rate) in [
            ([0x40, 0x0e, 0xac, 0x44, 0, 0, 0, 0, 0, 0], 44_100),
            ([0x40, 0x0e, 0xbb, 0x80, 0, 0, 0, 0, 0, 0], 48_000),
            ([0x40, 0x0b, 0xfa, 0x00, 0, 0, 0, 0, 0, 0], 8000),
            ([0x40, 0x0d, 0xad, 0x9c, 0xba, 0, 0, 0, 0, 0], 22_222),
            ([0x40, 0x2e, 0xac, 0x44, 0, 0, 0, 0, 0, 0], 0),
            ([0xc0, 0x0e, 0xac, 0x44, 0, 0, 0, 0, 0, 0], 0),
            ([0; 10], 0),
            ([0xff; 10], 0),
        ] {
            assert_eq!(parse_extended(&number), rate, "{number:x?}");
        }
    }
}
