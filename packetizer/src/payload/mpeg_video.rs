//! MPEG-1 and MPEG-2 video in RTP (RFC 2250 §3), without the MPEG-2 specific header extension.
//!
//! Packets hold whole slices; only a slice that fits no packet is cut.

use super::{PacketWriter, fragments_of};
use crate::codec::nal::START_CODE;
use std::ops::Range;

/// Bytes of the header in front of each payload (RFC 2250 §3.4).
const HEADER_BYTES: usize = 4;
/// Bits of the header's third octet: a sequence header is present, the payload begins with a slice
/// (or headers and a slice), it ends with the end of one.
const SEQUENCE: u8 = 0x20;
const BEGINS_SLICE: u8 = 0x10;
const ENDS_SLICE: u8 = 0x08;

/// Start code values (ISO 13818-2 §6.2.1); slices are 0x01 to 0xaf.
const PICTURE_START: u8 = 0x00;
const SEQUENCE_START: u8 = 0xb3;
const GROUP_START: u8 = 0xb8;

/// Writes the packets of one access unit, a picture (or two fields) with the headers in front of
/// it, the last one marked (RFC 2250 §3.3).
pub fn write_access_unit(writer: &mut PacketWriter, unit: &[u8]) {
    let bytes_max = writer.payload_bytes_max() - HEADER_BYTES;
    let mut picture = Picture::default();
    let mut open: Option<Piece> = None;
    for piece in (Pieces { unit, at: 0 }) {
        // Headers begin a packet (RFC 2250 §3.1).
        if let Some(packet) = open.as_mut().filter(|packet| {
            !piece.has_headers && piece.range.end - packet.range.start <= bytes_max
        }) {
            packet.range.end = piece.range.end;
            packet.slice = packet.slice.or(piece.slice);
            continue;
        }
        if let Some(packet) = open.replace(piece) {
            write_piece(writer, unit, &packet, &mut picture);
        }
    }
    if let Some(packet) = open {
        write_piece(writer, unit, &packet, &mut picture);
    }
    writer.mark_last();
}

/// Writes a stretch of the unit, in fragments if need be; the first holds all the headers if any
/// packet can (RFC 2250 §3.1).
fn write_piece(writer: &mut PacketWriter, unit: &[u8], piece: &Piece, picture: &mut Picture) {
    let bytes_max = writer.payload_bytes_max() - HEADER_BYTES;
    *picture = piece.picture.unwrap_or(*picture);
    let bytes = &unit[piece.range.clone()];
    let slice = piece.slice.map(|at| at - piece.range.start);
    let with_headers = slice.map_or(0, |at| at + START_CODE.len() + 1).min(bytes_max);
    let even = writer.fragment_bytes(bytes.len(), bytes_max);
    for fragment in fragments_of(bytes, even.max(with_headers)) {
        let is_first = fragment.offset == 0;
        let begins = is_first && slice.is_some_and(|at| at < fragment.bytes.len());
        let sequence = if is_first && piece.has_sequence { SEQUENCE } else { 0 };
        let begins = if begins { BEGINS_SLICE } else { 0 };
        let ends = if fragment.is_last && slice.is_some() { ENDS_SLICE } else { 0 };
        writer.packet([&picture.header(sequence | begins | ends), fragment.bytes]);
    }
}

/// What packets say of the picture they belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Picture {
    /// temporal_reference, 10 bits.
    temporal_reference: u16,
    /// picture_coding_type: 1 to 4; 0 before the first picture header.
    kind: u8,
    /// FBV, BFC, FFV and FFC as the header's last octet has them.
    vectors: u8,
}

impl Picture {
    /// Parses what follows a picture start code (ISO 11172-2 §2.4.2.5, 13818-2 §6.2.3).
    fn parse(bytes: &[u8]) -> Option<Self> {
        let [b0, b1, _, b3, rest @ ..] = bytes else { return None };
        let kind = b1 >> 3 & 7;
        let b4 = rest.first().copied().unwrap_or(0);
        let forward = if matches!(kind, 2 | 3) { (b3 & 7) << 1 | b4 >> 7 } else { 0 };
        let backward = if kind == 3 { b4 >> 3 & 0x0f } else { 0 };
        Some(Self {
            temporal_reference: u16::from(*b0) << 2 | u16::from(b1 >> 6),
            kind,
            vectors: backward << 4 | forward,
        })
    }

    /// The header of a payload (RFC 2250 §3.4); AN and N are not used.
    const fn header(self, flags: u8) -> [u8; HEADER_BYTES] {
        let [t0, t1] = self.temporal_reference.to_be_bytes();
        [t0, t1, flags | self.kind, self.vectors]
    }
}

/// A stretch of an access unit that may not be cut but for want of room: headers with the slice
/// behind them, or a slice.
struct Piece {
    range: Range<usize>,
    /// Whether it begins with a sequence, group or picture header.
    has_headers: bool,
    has_sequence: bool,
    /// The picture that begins in it.
    picture: Option<Picture>,
    /// Where its (first) slice begins.
    slice: Option<usize>,
}

/// Cuts an access unit into its pieces, all bytes in their order.
struct Pieces<'a> {
    unit: &'a [u8],
    at: usize,
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let start = self.at;
        let mut piece = Piece {
            range: start..self.unit.len(),
            has_headers: false,
            has_sequence: false,
            picture: None,
            slice: None,
        };
        let mut code = next_start_code(self.unit, start);
        while let Some((at, value)) = code {
            let is_header = matches!(value, PICTURE_START | SEQUENCE_START | GROUP_START);
            let is_slice = matches!(value, 0x01..=0xaf);
            if piece.slice.is_some() && (is_header || is_slice) {
                piece.range.end = at;
                break;
            }
            piece.has_headers |= is_header;
            piece.has_sequence |= value == SEQUENCE_START;
            if value == PICTURE_START {
                piece.picture = Picture::parse(&self.unit[at + 4..]).or(piece.picture);
            }
            if is_slice {
                piece.slice = Some(at);
            }
            code = next_start_code(self.unit, at + START_CODE.len());
        }
        self.at = piece.range.end;
        (!piece.range.is_empty()).then_some(piece)
    }
}

/// Where the next start code from `from` on begins, and its value.
fn next_start_code(unit: &[u8], from: usize) -> Option<(usize, u8)> {
    let at = from + memchr::memmem::find(unit.get(from..)?, START_CODE)?;
    Some((at, *unit.get(at + START_CODE.len())?))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_even, payloads, unit, writer};
    use super::*;

    fn start(value: u8, body: &[u8]) -> Vec<u8> {
        [&[0, 0, 1, value][..], body].concat()
    }

    /// A picture header of this temporal reference, type and forward and backward f_codes.
    fn picture(reference: u16, kind: u8, forward: u8, backward: u8) -> Vec<u8> {
        let bits = u64::from(reference) << 30
            | u64::from(kind) << 27
            | 0xffff << 11
            | u64::from(forward) << 7
            | u64::from(backward) << 3;
        start(PICTURE_START, &bits.to_be_bytes()[3..])
    }

    fn slices(lengths: &[usize]) -> Vec<u8> {
        let slices = lengths.iter().zip(1..).map(|(bytes, row)| start(row, &unit(*bytes)));
        slices.collect::<Vec<_>>().concat()
    }

    fn write(packet_bytes_max: u16, file: &[u8]) -> PacketWriter {
        let mut writer = writer(packet_bytes_max);
        write_access_unit(&mut writer, file);
        writer
    }

    /// Checks what RFC 2250 demands of packets, and puts the payloads together.
    fn depacketize(payloads: &[(bool, &[u8])]) -> Vec<u8> {
        let mut rebuilt = Vec::new();
        let mut is_open = false;
        for (position, (marker, payload)) in payloads.iter().enumerate() {
            assert_eq!(*marker, position + 1 == payloads.len());
            let (header, body) = payload.split_at(4);
            assert_eq!((header[0] & 0xfc, header[2] & 0xc0), (0, 0), "MBZ, T, AN, N");
            let begins = body.starts_with(START_CODE);
            assert_eq!(header[2] & BEGINS_SLICE != 0, begins, "B of packet {position}");
            assert_ne!(is_open, begins, "packet {position}");
            is_open = header[2] & ENDS_SLICE == 0;
            assert_eq!(header[2] & SEQUENCE != 0, body.starts_with(&[0, 0, 1, SEQUENCE_START]));
            for value in [SEQUENCE_START, GROUP_START, PICTURE_START] {
                let at = memchr::memmem::find(body, &[0, 0, 1, value]);
                let slice =
                    (0..body.len()).find(|at| matches!(body[*at..], [0, 0, 1, 0x01..=0xaf, ..]));
                assert!(at.is_none_or(|at| slice.is_none_or(|slice| at < slice)), "{value:x}");
            }
            rebuilt.extend_from_slice(body);
        }
        assert!(!is_open);
        rebuilt
    }

    #[test]
    fn pictures_are_rebuilt_from_whole_slices() {
        let headers = [
            start(SEQUENCE_START, &[0x14, 0, 0xf0, 0x13, 0xff]),
            start(0xb5, &[0x14, 0x8a]),
            start(GROUP_START, &[0, 8, 0, 0x40]),
        ]
        .concat();
        for packet_bytes_max in [64, 100, 576, 1452] {
            let limit = usize::from(packet_bytes_max) - 12;
            for length in (1..120).chain([500, 564, 1400, 3000]) {
                let slices = slices(&[length, 20, length, length + 1, 7]);
                for front in [&headers[..], &[]] {
                    let file = [front, &picture(5, 1, 0, 0), &slices].concat();
                    let writer = write(packet_bytes_max, &file);
                    let packets = payloads(&writer);
                    assert_eq!(depacketize(&packets), file, "{length} in {packet_bytes_max}");
                    if length + 60 < limit {
                        for (_, payload) in &packets {
                            assert_eq!(payload[2] & 0x18, 0x18, "no slice is cut");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_slice_that_fits_no_packet_is_cut_evenly() {
        let file = slices(&[3000]);
        assert_even(&payloads(&write(576, &file)));
    }

    #[test]
    fn packets_tell_their_picture() {
        for (picture, expected) in [
            (picture(5, 1, 7, 7), [0, 5, 0x19, 0]),
            (picture(1023, 2, 7, 5), [3, 0xff, 0x1a, 7]),
            (picture(513, 3, 3, 2), [2, 1, 0x1b, 0x23]),
            (picture(0, 4, 1, 1), [0, 0, 0x1c, 0]),
            (start(PICTURE_START, &[]), [0, 0, 0x18, 0]),
        ] {
            let file = [picture, slices(&[9])].concat();
            assert_eq!(payloads(&write(100, &file))[0].1[..4], expected);
        }
    }

    #[test]
    fn the_second_field_begins_a_packet() {
        let field = |kind| [picture(7, kind, 1, 1), slices(&[20, 20])].concat();
        let end = start(0xb7, &[]);
        let file = [field(1), field(2), end].concat();
        let writer = write(1452, &file);
        let packets = payloads(&writer);
        let kinds: Vec<_> = packets.iter().map(|(_, payload)| payload[2] & 7).collect();
        assert_eq!(kinds, [1, 2]);
        assert_eq!(depacketize(&packets), file);
    }

    #[test]
    fn what_is_no_picture_is_sent_as_it_is() {
        for file in [&[1, 2, 3][..], &[0, 0, 1], &[0, 0, 1, 0xb7], &[0, 0, 1, 0], &[9, 0, 0, 1, 5]]
        {
            let writer = write(100, file);
            let packets = payloads(&writer);
            let rebuilt: Vec<u8> = packets.iter().flat_map(|(_, p)| p[4..].to_vec()).collect();
            assert_eq!(rebuilt, file);
        }
    }
}
