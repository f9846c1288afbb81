//! Vorbis in RTP (RFC 5215): several packets of the codec a packet, or fragments of one, and the
//! headers as SDP carries them.

use super::{PacketWriter, fragments};
use crate::codec::vorbis::VorbisConfig;

/// Bytes of Ident and the octet of fragment type, data type and packet count (RFC 5215 §2.2).
const HEADER_BYTES: usize = 4;
/// Bytes in front of the data of each Vorbis packet or fragment: its length (RFC 5215 §2.3).
const LENGTH_BYTES: usize = 2;
/// The most Vorbis packets whose number the header can tell.
const COUNT_MAX: usize = 15;
/// Fragment types, in their place (RFC 5215 §2.2): start, continuation, end.
const START: u8 = 1 << 6;
const CONTINUATION: u8 = 2 << 6;
const END: u8 = 3 << 6;

/// Whether access units, `unit_count` of them with `bytes` bytes in all, fit into one packet.
#[must_use]
pub const fn fits(writer: &PacketWriter, unit_count: usize, bytes: usize) -> bool {
    let payload_bytes = HEADER_BYTES + unit_count * LENGTH_BYTES + bytes;
    unit_count <= COUNT_MAX && payload_bytes <= writer.payload_bytes_max()
}

/// Writes consecutive Vorbis packets: several that [`fits`] allows as one packet, or a single one,
/// in fragments if need be. The marker stays clear (RFC 5215 §2.1).
pub fn write_bundle(writer: &mut PacketWriter, config: &VorbisConfig, units: &[&[u8]]) {
    let [i0, i1, i2] = config.identifier;
    match units {
        [unit] if !fits(writer, 1, unit.len()) => {
            let bytes_max = writer.payload_bytes_max() - HEADER_BYTES - LENGTH_BYTES;
            for fragment in fragments(unit, bytes_max) {
                let kind = match (fragment.offset, fragment.is_last) {
                    (0, _) => START,
                    (_, false) => CONTINUATION,
                    (_, true) => END,
                };
                let [l0, l1] = length(fragment.bytes);
                writer.packet([&[i0, i1, i2, kind, l0, l1], fragment.bytes]);
            }
        }
        _ => {
            writer.begin_packet();
            #[allow(clippy::cast_possible_truncation, reason = "at most COUNT_MAX, as fits says")]
            writer.push(&[i0, i1, i2, units.len() as u8]);
            for unit in units {
                writer.push(&length(unit));
                writer.push(unit);
            }
            writer.end_packet();
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "it fits a packet, whose limit has 16 bits")]
const fn length(part: &[u8]) -> [u8; LENGTH_BYTES] {
    (part.len() as u16).to_be_bytes()
}

/// A comment header without comments, in place of the file's (RFC 5215 §3.1.1, Vorbis I §5.2):
/// vendor and list of length 0, and the framing bit.
const COMMENT: &[u8] = b"\x03vorbis\0\0\0\0\0\0\0\0\x01";

/// The headers as SDP carries them, in base64, in `configuration` (RFC 5215 §3.2.1, §6): one packed
/// header with Ident and the three headers of Vorbis, all their lengths but the last in front.
#[must_use]
pub fn packed_configuration(config: &VorbisConfig) -> Vec<u8> {
    let VorbisConfig { identification, setup, .. } = config;
    let bytes = identification.len() + COMMENT.len() + setup.len();
    let mut packed = vec![0, 0, 0, 1];
    packed.extend_from_slice(&config.identifier);
    packed.extend_from_slice(&u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes());
    packed.push(2); // the headers whose lengths follow
    push_base128(&mut packed, identification.len());
    push_base128(&mut packed, COMMENT.len());
    packed.extend_from_slice(identification);
    packed.extend_from_slice(COMMENT);
    packed.extend_from_slice(setup);
    packed
}

/// A number with 7 bits a byte, the most significant first (RFC 5215 §3.1.1).
fn push_base128(packed: &mut Vec<u8>, value: usize) {
    let digits = (usize::BITS - value.leading_zeros()).div_ceil(7).max(1);
    for digit in (0..digits).rev() {
        let more = if digit > 0 { 0x80 } else { 0 };
        #[allow(clippy::cast_possible_truncation, reason = "seven bits are wanted")]
        packed.push(more | (value >> (7 * digit)) as u8 & 0x7f);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_even, payloads, unit, writer};
    use super::*;
    use crate::time::ClockRate;

    fn config(setup_bytes: usize) -> VorbisConfig {
        let identification = [b"\x01vorbis", &unit(23)[..]].concat();
        VorbisConfig::of(ClockRate::new(44_100).unwrap(), 2, identification, unit(setup_bytes))
    }

    #[test]
    fn packets_share_a_packet_behind_their_lengths() {
        let mut writer = writer(100);
        let config = config(100);
        write_bundle(&mut writer, &config, &[&[7; 3], &[8]]);
        let packets = payloads(&writer);
        let [(marker, payload)] = packets[..] else { panic!("one packet") };
        assert!(!marker);
        assert_eq!(payload[..3], config.identifier);
        assert_eq!(payload[3..], [2, 0, 3, 7, 7, 7, 0, 1, 8]);
        for (unit_count, bytes, expected) in
            [(1, 82, true), (1, 83, false), (3, 79, false), (15, 54, true), (16, 0, false)]
        {
            assert_eq!(fits(&writer, unit_count, bytes), expected, "{unit_count} {bytes}");
        }
    }

    #[test]
    fn every_length_is_rebuilt_from_fragments() {
        let config = config(4000);
        for packet_bytes_max in [64, 576] {
            for bytes in 1..=3000 {
                let packet = unit(bytes);
                let mut writer = writer(packet_bytes_max);
                write_bundle(&mut writer, &config, &[&packet]);
                let packets = payloads(&writer);
                assert_even(&packets);
                let mut rebuilt = Vec::new();
                for (position, (marker, payload)) in packets.iter().enumerate() {
                    let kind = match (position, packets.len() - 1 - position) {
                        (0, 0) => 1,
                        (0, _) => 0x40,
                        (_, 0) => 0xc0,
                        _ => 0x80,
                    };
                    let length = u16::from_be_bytes([payload[4], payload[5]]);
                    assert_eq!((*marker, payload[3]), (false, kind));
                    assert_eq!(payload[..3], config.identifier);
                    assert_eq!(usize::from(length), payload.len() - 6);
                    rebuilt.extend_from_slice(&payload[6..]);
                }
                assert_eq!(rebuilt, packet, "{bytes} in {packet_bytes_max}");
            }
        }
    }

    #[test]
    fn the_packed_configuration_holds_three_headers() {
        let config = config(3000);
        let packed = packed_configuration(&config);
        let (head, headers) = packed.split_at(12);
        assert_eq!(head[..4], [0, 0, 0, 1]);
        assert_eq!(head[4..7], config.identifier, "as in the packets");
        assert_eq!(usize::from(u16::from_be_bytes([head[7], head[8]])), headers.len());
        assert_eq!(head[9..], [2, 30, 16]);
        let (identification, rest) = headers.split_at(30);
        let (comment, setup) = rest.split_at(16);
        assert_eq!(identification, config.identification);
        assert_eq!((&comment[..7], comment[15]), (&b"\x03vorbis"[..], 1));
        assert_eq!(setup, config.setup);
    }

    #[test]
    fn lengths_are_written_in_base_128() {
        for (value, expected) in [
            (0, &[0][..]),
            (30, &[30]),
            (127, &[127]),
            (128, &[0x81, 0]),
            (0x3fff, &[0xff, 0x7f]),
            (0x4000, &[0x81, 0x80, 0]),
        ] {
            let mut packed = Vec::new();
            push_base128(&mut packed, value);
            assert_eq!(packed, expected, "{value}");
        }
    }

    #[test]
    fn other_headers_have_another_identifier() {
        let identifiers: std::collections::BTreeSet<_> =
            (0..500).map(|bytes| config(bytes).identifier).collect();
        assert!(identifiers.len() > 498, "{}", identifiers.len());
        assert_eq!(config(77).identifier, config(77).identifier);
    }
}
