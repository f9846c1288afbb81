//! Access units of any bytes as H.264 packets: what travels of them comes out again, or the unit
//! is refused.
//!
//! Input: payload class, framing and sequence number (5 bytes), width of the NAL unit lengths,
//! media rate and start (7), then access units of either raw bytes or NAL units of a given size.

use super::image::{self, MEDIA_BYTES_MAX, Manner, Sent, Title, Unit};
use super::input::Input;
use packetizer::codec::CodecConfig;
use packetizer::codec::h264::H264Config;
use packetizer::codec::nal::NalFraming;
use packetizer::image::ImageErrorKind;
use packetizer::payload::UnitError;
use packetizer::rtp::HEADER_BYTES;
use packetizer::time::ClockRate;

pub(crate) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let manner = Manner::read(&mut input);
    let length_bytes = [4, 1, 2, 4][usize::from(input.byte() & 3)];
    let rate = ClockRate::new(input.u16().into()).unwrap_or(ClockRate::VIDEO);
    let start = i64::from(input.number::<4>() as i32).wrapping_mul(0x0001_0001_0001);
    let units = read_units(&mut input, length_bytes);
    let codec = CodecConfig::H264(H264Config {
        framing: NalFraming::Length(length_bytes),
        sequence_parameter_sets: vec![],
        picture_parameter_sets: vec![],
    });
    let title = Title::new(codec, rate, start, &units);
    for segment in title.segments() {
        // What must travel of each unit, or `None` if its lengths do not add up.
        let expected: Vec<_> = title
            .units(segment)
            .map(|unit| (unit.index, travelling(title.bytes_of(&unit), length_bytes)))
            .collect();
        match image::build(&title, segment, manner) {
            Ok(image) => {
                let sent = image::check(&title, &image, manner);
                let received: Vec<_> =
                    sent.iter().map(|sent| (sent.unit.index, depacketize(sent, manner))).collect();
                let expected: Vec<_> = expected
                    .into_iter()
                    .map(|(index, units)| (index, units.expect("a malformed unit was taken")))
                    .filter(|(_, units)| !units.is_empty())
                    .collect();
                assert!(received == expected, "other NAL units came out");
                image::check_stamps(&title, &image, manner);
            }
            Err(error) if !manner.is_possible() => {
                assert_eq!(error.kind, ImageErrorKind::PayloadClass);
            }
            Err(error) => {
                assert!(matches!(error.kind, ImageErrorKind::Unit(UnitError::Nal(_))), "{error}");
                let malformed = expected.iter().find(|(_, units)| units.is_none());
                assert_eq!(malformed.map(|(index, _)| *index), Some(error.unit));
            }
        }
    }
}

/// Each unit: kind and duration (2 bytes), composition offset (1), length of the rest (2).
fn read_units(input: &mut Input<'_>, length_bytes: u8) -> Vec<Unit> {
    let (mut units, mut media_bytes) = (Vec::new(), 0);
    while !input.is_empty() && media_bytes < MEDIA_BYTES_MAX {
        let kind = input.byte();
        let duration = u32::from(input.byte()) << (kind >> 4);
        let composition_offset = i32::from(input.byte() as i8) << (kind >> 4);
        let length = usize::from(input.u16());
        let description = input.piece(length);
        let bytes = if kind & 1 == 0 {
            description.to_vec()
        } else {
            sized_nal_units(description, length_bytes)
        };
        media_bytes += bytes.len();
        units.push(Unit { bytes, duration, composition_offset });
    }
    units
}

/// NAL units by header (1 byte) and length (2): packets by the hundred from a few bytes.
fn sized_nal_units(description: &[u8], length_bytes: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (descriptions, _) = description.as_chunks::<3>();
    for &[header, low, high] in descriptions {
        let mask = if length_bytes == 1 { 0xff } else { 0xffff };
        let length = u32::from(u16::from_le_bytes([low, high])) & mask;
        bytes.extend_from_slice(&length.to_be_bytes()[4 - usize::from(length_bytes)..]);
        let body = (0..length).map(|at| if at == 0 { header } else { (at * 7 + at / 256) as u8 });
        bytes.extend(body);
        if bytes.len() > MEDIA_BYTES_MAX {
            break;
        }
    }
    bytes
}

/// The NAL units of an access unit that RFC 6184 can carry and that are not redundant there.
fn travelling(mut bytes: &[u8], length_bytes: u8) -> Option<Vec<Vec<u8>>> {
    let mut nal_units = Vec::new();
    while !bytes.is_empty() {
        let (prefix, rest) = bytes.split_at_checked(length_bytes.into())?;
        let length = prefix.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        let (nal_unit, rest) = rest.split_at_checked(length)?;
        match nal_unit.first().map(|header| header & 0x1f) {
            None | Some(0 | 9 | 12 | 24..) => {}
            Some(_) => nal_units.push(nal_unit.to_vec()),
        }
        bytes = rest;
    }
    Some(nal_units)
}

/// Rebuilds the NAL units of an access unit (RFC 6184 §5.6, §5.7.1, §5.8), as strictly as it goes.
fn depacketize(sent: &Sent<'_>, manner: Manner) -> Vec<Vec<u8>> {
    let limit = usize::from(manner.packet_bytes_max) - HEADER_BYTES;
    let mut nal_units: Vec<Vec<u8>> = Vec::new();
    let mut fragmented: Option<Vec<u8>> = None;
    let mut lengths = Vec::new();
    for payload in &sent.payloads {
        let kind = payload[0] & 0x1f;
        assert_eq!(fragmented.is_some(), kind == 28 && payload[1] & 0x80 == 0);
        match kind {
            1..=23 => nal_units.push(payload.to_vec()),
            24 => {
                let units = aggregated(&payload[1..]);
                assert!(units.len() > 1, "an aggregation of one");
                let forbidden = units.iter().fold(0, |bits, unit| bits | unit[0] & 0x80);
                let importance = units.iter().map(|unit| unit[0] & 0x60).max();
                assert_eq!(payload[0], forbidden | importance.unwrap() | 24);
                nal_units.extend(units);
            }
            28 => {
                let (start, end) = (payload[1] & 0x80 != 0, payload[1] & 0x40 != 0);
                assert!(payload[1] & 0x20 == 0 && !(start && end) && payload.len() > 2);
                lengths.push(payload.len() - 2);
                let header = payload[0] & 0xe0 | payload[1] & 0x1f;
                let mut nal_unit = fragmented.take().unwrap_or_else(|| vec![header]);
                assert_eq!(nal_unit[0], header);
                nal_unit.extend_from_slice(&payload[2..]);
                if end {
                    if !manner.joins {
                        assert!(nal_unit.len() > limit, "it would have fitted whole");
                        check_fragments(&lengths, limit - 2);
                    }
                    lengths.clear();
                    nal_units.push(nal_unit);
                } else {
                    fragmented = Some(nal_unit);
                }
            }
            _ => panic!("packet type {kind}"),
        }
    }
    assert!(fragmented.is_none(), "a NAL unit without end");
    nal_units
}

/// Fragments are as few as can be, and equal but for the last, which is shorter by less than there
/// are fragments.
fn check_fragments(lengths: &[usize], bytes_max: usize) {
    let (last, others) = lengths.split_last().expect("it has a last one");
    let length = others[0];
    assert!(length <= bytes_max && others.iter().all(|other| *other == length));
    assert!(*last <= length && length - last < lengths.len());
    assert_eq!(lengths.len(), lengths.iter().sum::<usize>().div_ceil(bytes_max));
}

fn aggregated(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut units = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let (unit, rest) = rest.split_at(u16::from_be_bytes(*length).into());
        units.push(unit.to_vec());
        bytes = rest;
    }
    assert!(bytes.is_empty(), "bytes behind the last aggregated unit");
    units
}
