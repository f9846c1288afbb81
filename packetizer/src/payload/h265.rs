//! H.265 in RTP (RFC 7798): single NAL unit packets, aggregation packets and fragmentation units.
//! PACI packets are never sent, and decoding order numbers never needed.

use super::PacketWriter;
use std::iter::Peekable;

/// NAL unit type of an aggregation packet (RFC 7798 §4.4.2).
const AGGREGATION: u8 = 48;
/// NAL unit type of a fragmentation unit (RFC 7798 §4.4.3).
const FRAGMENTATION: u8 = 49;
/// Bytes of a NAL unit header, and of the payload header that looks like one.
const HEADER_BYTES: usize = 2;
/// Bytes of payload header and FU header.
const FU_BYTES: usize = HEADER_BYTES + 1;
/// Bytes in front of each NAL unit in an aggregation packet: its length.
const LENGTH_BYTES: usize = 2;

/// Writes the packets of one access unit, the last one marked (RFC 7798 §4.1).
///
/// # Errors
/// The first error `nal_units` yields; what was written of the unit until then is of no use.
pub fn write_access_unit<'a, E>(
    writer: &mut PacketWriter,
    nal_units: impl Iterator<Item = Result<&'a [u8], E>>,
) -> Result<(), E> {
    let mut nal_units =
        nal_units.filter(|unit| unit.as_ref().map_or(true, |unit| travels(unit))).peekable();
    while let Some(nal_unit) = nal_units.next().transpose()? {
        if nal_unit.len() > writer.payload_bytes_max() {
            write_fragments(writer, nal_unit);
        } else {
            write_whole(writer, nal_unit, &mut nal_units);
        }
    }
    writer.mark_last();
    Ok(())
}

/// Whether a NAL unit is sent.
///
/// Access unit delimiters (35) and filler data (38) carry nothing that marker, timestamp and packet
/// lengths do not say already. Types 48–63 are no part of a byte stream: files use some for what is
/// theirs, and a receiver would take them for the packet types of RFC 7798 §4.4.
fn travels(nal_unit: &[u8]) -> bool {
    matches!(nal_unit, [first, _, ..] if !matches!(first >> 1 & 0x3f, 35 | 38 | 48..))
}

/// Writes a NAL unit that fits a packet, together with those behind it that fit in the same one.
fn write_whole<'a, E>(
    writer: &mut PacketWriter,
    first: &'a [u8],
    rest: &mut Peekable<impl Iterator<Item = Result<&'a [u8], E>>>,
) {
    let overhead = HEADER_BYTES + LENGTH_BYTES;
    let mut free = writer.payload_bytes_max().saturating_sub(overhead + first.len());
    let Some(second) = next_fitting(rest, &mut free) else {
        writer.packet([first, &[]]);
        return;
    };
    writer.begin_packet();
    writer.push(&[0; HEADER_BYTES]);
    let mut header = Header::of(first);
    push_aggregated(writer, first);
    header = header.with(Header::of(second));
    push_aggregated(writer, second);
    while let Some(nal_unit) = next_fitting(rest, &mut free) {
        header = header.with(Header::of(nal_unit));
        push_aggregated(writer, nal_unit);
    }
    writer.payload()[..HEADER_BYTES].copy_from_slice(&header.to_bytes(AGGREGATION));
    writer.end_packet();
}

/// Takes the next NAL unit if it still fits into an aggregation packet with `free` bytes left.
fn next_fitting<'a, E>(
    nal_units: &mut Peekable<impl Iterator<Item = Result<&'a [u8], E>>>,
    free: &mut usize,
) -> Option<&'a [u8]> {
    let fits = |unit: &Result<&'a [u8], E>| {
        unit.as_ref().is_ok_and(|unit| LENGTH_BYTES + unit.len() <= *free)
    };
    let nal_unit = nal_units.next_if(fits)?.ok()?;
    *free -= LENGTH_BYTES + nal_unit.len();
    Some(nal_unit)
}

fn push_aggregated(writer: &mut PacketWriter, nal_unit: &[u8]) {
    #[allow(clippy::cast_possible_truncation, reason = "it fits a packet, whose limit has 16 bits")]
    let length = nal_unit.len() as u16;
    writer.push(&length.to_be_bytes());
    writer.push(nal_unit);
}

/// Writes a NAL unit as fragments that share it evenly (RFC 7798 §4.4.3).
fn write_fragments(writer: &mut PacketWriter, nal_unit: &[u8]) {
    let kind = nal_unit[0] >> 1 & 0x3f;
    let [h0, h1] = Header::of(nal_unit).to_bytes(FRAGMENTATION);
    let bytes_max = writer.payload_bytes_max() - FU_BYTES;
    for fragment in writer.fragments(&nal_unit[HEADER_BYTES..], bytes_max) {
        let start = if fragment.offset == 0 { 0x80 } else { 0 };
        let end = if fragment.is_last { 0x40 } else { 0 };
        writer.packet([&[h0, h1, start | end | kind], fragment.bytes]);
    }
}

/// A NAL unit header without its type (RFC 7798 §1.1.4).
#[derive(Clone, Copy)]
struct Header {
    /// forbidden_zero_bit, in its place.
    forbidden: u8,
    /// nuh_layer_id, 6 bits.
    layer: u8,
    /// nuh_temporal_id_plus1, 3 bits.
    temporal: u8,
}

impl Header {
    /// That of a NAL unit of two bytes at least.
    const fn of(nal_unit: &[u8]) -> Self {
        let [h0, h1] = [nal_unit[0], nal_unit[1]];
        Self { forbidden: h0 & 0x80, layer: (h0 & 1) << 5 | h1 >> 3, temporal: h1 & 7 }
    }

    /// What a packet says of both: F if either has it, the lower LayerId and TID (RFC 7798 §4.4.2).
    fn with(self, other: Self) -> Self {
        Self {
            forbidden: self.forbidden | other.forbidden,
            layer: self.layer.min(other.layer),
            temporal: self.temporal.min(other.temporal),
        }
    }

    const fn to_bytes(self, kind: u8) -> [u8; HEADER_BYTES] {
        [self.forbidden | kind << 1 | self.layer >> 5, self.layer << 3 | self.temporal]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_even, payloads, unit, writer};
    use super::*;
    use std::convert::Infallible;

    fn write(packet_bytes_max: u16, nal_units: &[Vec<u8>]) -> PacketWriter {
        let mut writer = writer(packet_bytes_max);
        let nal_units = nal_units.iter().map(|unit| Ok::<_, Infallible>(unit.as_slice()));
        write_access_unit(&mut writer, nal_units).unwrap();
        writer
    }

    /// A NAL unit of so many bytes, header included.
    fn nal_unit(kind: u8, layer: u8, temporal: u8, bytes: usize) -> Vec<u8> {
        let header = Header { forbidden: 0, layer, temporal }.to_bytes(kind);
        [&header[..], &unit(bytes - HEADER_BYTES)].concat()
    }

    /// Rebuilds the NAL units from packets, as RFC 7798 §4.4 tells a receiver to.
    fn depacketize(payloads: &[(bool, &[u8])]) -> Vec<Vec<u8>> {
        let mut nal_units: Vec<Vec<u8>> = Vec::new();
        let mut fragmented = false;
        for (position, (marker, payload)) in payloads.iter().enumerate() {
            assert_eq!(*marker, position + 1 == payloads.len(), "marker of packet {position}");
            match payload[0] >> 1 & 0x3f {
                AGGREGATION => {
                    let mut rest = &payload[2..];
                    while let [l0, l1, tail @ ..] = rest {
                        let (unit, tail) = tail.split_at(usize::from(*l0) << 8 | usize::from(*l1));
                        nal_units.push(unit.to_vec());
                        rest = tail;
                    }
                    assert!(rest.is_empty());
                }
                FRAGMENTATION => {
                    let start = payload[2] & 0x80 != 0;
                    assert_ne!(start, fragmented);
                    if start {
                        let header = payload[0] & 0x81 | (payload[2] & 0x3f) << 1;
                        nal_units.push(vec![header, payload[1]]);
                    }
                    assert_ne!(payload[2] & 0xc0, 0xc0, "start and end in one packet");
                    nal_units.last_mut().unwrap().extend_from_slice(&payload[3..]);
                    fragmented = payload[2] & 0x40 == 0;
                }
                _ => nal_units.push(payload.to_vec()),
            }
        }
        assert!(!fragmented);
        nal_units
    }

    #[test]
    fn every_length_is_rebuilt_from_few_packets_of_one_length() {
        for packet_bytes_max in [64, 65, 576, 1452] {
            let limit = usize::from(packet_bytes_max) - 12;
            for bytes in 2..=4500 {
                let unit = nal_unit(19, 0, 1, bytes);
                let writer = write(packet_bytes_max, std::slice::from_ref(&unit));
                let packets = payloads(&writer);
                assert_eq!(depacketize(&packets), [unit], "{bytes} in {packet_bytes_max}");
                assert_eq!(writer.runs().len(), 1);
                assert_even(&packets);
                let few = if bytes > limit { (bytes - 2).div_ceil(limit - 3) } else { 1 };
                assert_eq!(packets.len(), few);
            }
        }
    }

    #[test]
    fn neighbours_of_every_length_are_rebuilt_in_order() {
        for first in (2..100).chain(180..190) {
            for second in 2..100 {
                let lengths = [(32, first), (34, second), (1, 20), (1, 60)];
                let units = lengths.map(|(kind, bytes)| nal_unit(kind, 0, 1, bytes));
                let writer = write(100, &units);
                assert_eq!(depacketize(&payloads(&writer)), units);
            }
        }
    }

    #[test]
    fn an_aggregation_has_the_lowest_layer_and_temporal_id() {
        for (ids, header) in [
            ([(0, 1), (0, 1)], [AGGREGATION << 1, 1]),
            ([(3, 4), (2, 6)], [AGGREGATION << 1, 2 << 3 | 4]),
            ([(40, 3), (33, 2)], [AGGREGATION << 1 | 1, 1 << 3 | 2]),
        ] {
            let units = ids.map(|(layer, temporal)| nal_unit(1, layer, temporal, 10));
            let writer = write(100, &units);
            let packets = payloads(&writer);
            assert_eq!((packets.len(), &packets[0].1[..2]), (1, &header[..]));
        }
        let mut forbidden = [nal_unit(1, 0, 1, 10), nal_unit(1, 0, 1, 10)];
        forbidden[1][0] |= 0x80;
        assert_eq!(payloads(&write(100, &forbidden))[0].1[0], 0x80 | AGGREGATION << 1);
    }

    #[test]
    fn what_says_nothing_is_not_sent() {
        let kept = [0, 1, 19, 21, 31, 32, 33, 34, 36, 37, 39, 40, 41, 47];
        let units: Vec<_> = (0..64).map(|kind| nal_unit(kind, 0, 1, 4)).collect();
        for unit in &units {
            let writer = write(100, std::slice::from_ref(unit));
            let kind = unit[0] >> 1;
            let expected = !matches!(kind, 35 | 38 | 48..);
            assert_eq!(payloads(&writer).len(), usize::from(expected), "{kind}");
            assert!(expected || !kept.contains(&kind));
        }
        assert!(payloads(&write(100, &[vec![0x26], vec![]])).is_empty(), "no header, no NAL unit");
    }

    #[test]
    fn an_error_ends_it() {
        let units = [Ok(&[0x26, 1, 2][..]), Err("cut short")];
        assert_eq!(write_access_unit(&mut writer(100), units.into_iter()), Err("cut short"));
    }
}
