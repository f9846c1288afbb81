//! H.264 in RTP, packetization mode 1 (RFC 6184): single NAL unit packets, STAP-A and FU-A.

use super::PacketWriter;
use crate::codec::h264::NalType;
use std::iter::Peekable;

/// NAL unit type of a single-time aggregation packet (RFC 6184 §5.7.1).
const STAP_A: u8 = 24;
/// NAL unit type of a fragmentation unit (RFC 6184 §5.8).
const FU_A: u8 = 28;
/// Bytes of FU indicator and FU header.
const FU_BYTES: usize = 2;
/// Bytes in front of each NAL unit in an aggregation packet: its length.
const STAP_LENGTH_BYTES: usize = 2;

/// Writes the packets of one access unit, the last one marked (RFC 6184 §5.1).
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
/// Access unit delimiters (9) and filler data (12) carry nothing that marker, timestamp and packet
/// lengths do not say already. Types 0 and 24–31 are no part of a byte stream: ISO 14496-15 uses
/// some inside files, and a receiver would take them for the packet types of RFC 6184 §5.2.
fn travels(nal_unit: &[u8]) -> bool {
    let kept = |kind| !matches!(kind, NalType::DELIMITER | NalType::FILLER | NalType(0 | 24..=31));
    NalType::of(nal_unit).is_some_and(kept)
}

/// Writes a NAL unit that fits a packet, together with those behind it that fit in the same one.
fn write_whole<'a, E>(
    writer: &mut PacketWriter,
    first: &'a [u8],
    rest: &mut Peekable<impl Iterator<Item = Result<&'a [u8], E>>>,
) {
    let mut free = writer.payload_bytes_max().saturating_sub(1 + STAP_LENGTH_BYTES + first.len());
    let Some(second) = next_fitting(rest, &mut free) else {
        writer.packet([first, &[]]);
        return;
    };
    writer.begin_packet();
    writer.push(&[0]);
    let mut header = push_aggregated(writer, 0, first);
    header = push_aggregated(writer, header, second);
    while let Some(nal_unit) = next_fitting(rest, &mut free) {
        header = push_aggregated(writer, header, nal_unit);
    }
    writer.payload()[0] = header | STAP_A;
    writer.end_packet();
}

/// Takes the next NAL unit if it still fits into an aggregation packet with `free` bytes left.
fn next_fitting<'a, E>(
    nal_units: &mut Peekable<impl Iterator<Item = Result<&'a [u8], E>>>,
    free: &mut usize,
) -> Option<&'a [u8]> {
    let fits = |unit: &Result<&'a [u8], E>| {
        unit.as_ref().is_ok_and(|unit| STAP_LENGTH_BYTES + unit.len() <= *free)
    };
    let nal_unit = nal_units.next_if(fits)?.ok()?;
    *free -= STAP_LENGTH_BYTES + nal_unit.len();
    Some(nal_unit)
}

/// Adds a NAL unit to the aggregation packet and gives the packet's F and NRI bits: F if any has
/// it, NRI the highest of all (RFC 6184 §5.7).
fn push_aggregated(writer: &mut PacketWriter, header: u8, nal_unit: &[u8]) -> u8 {
    #[allow(clippy::cast_possible_truncation, reason = "it fits a packet, whose limit has 16 bits")]
    let length = nal_unit.len() as u16;
    writer.push(&length.to_be_bytes());
    writer.push(nal_unit);
    let forbidden = (header | nal_unit[0]) & 0x80;
    forbidden | (header & 0x60).max(nal_unit[0] & 0x60)
}

/// Writes a NAL unit as fragments that share it evenly (RFC 6184 §5.8).
fn write_fragments(writer: &mut PacketWriter, nal_unit: &[u8]) {
    let indicator = nal_unit[0] & 0xe0 | FU_A;
    let kind = nal_unit[0] & 0x1f;
    let shared = &nal_unit[1..];
    let bytes_max = writer.payload_bytes_max() - FU_BYTES;
    let fragments = shared.chunks(writer.fragment_bytes(shared.len(), bytes_max));
    let last = fragments.len() - 1;
    for (position, fragment) in fragments.enumerate() {
        let start = if position == 0 { 0x80 } else { 0 };
        let end = if position == last { 0x40 } else { 0 };
        writer.packet([&[indicator, start | end | kind], fragment]);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation)]

    use super::super::tests::{payloads, writer};
    use super::*;
    use crate::codec::nal::{NalFraming, nal_units};
    use std::convert::Infallible;

    fn write(packet_bytes_max: u16, nal_units: &[&[u8]]) -> PacketWriter {
        let mut writer = writer(packet_bytes_max);
        let nal_units = nal_units.iter().map(|unit| Ok::<_, Infallible>(*unit));
        write_access_unit(&mut writer, nal_units).unwrap();
        writer
    }

    /// A NAL unit whose bytes differ from their neighbours.
    fn nal_unit(header: u8, bytes: usize) -> Vec<u8> {
        (0..bytes).map(|i| if i == 0 { header } else { (i * 7 + i / 256) as u8 }).collect()
    }

    /// Rebuilds the NAL units from packets, as RFC 6184 §5.6–5.8 tells a receiver to.
    fn depacketize(payloads: &[(bool, &[u8])]) -> Vec<Vec<u8>> {
        let mut nal_units: Vec<Vec<u8>> = Vec::new();
        let mut fragmented = false;
        for (position, (marker, payload)) in payloads.iter().enumerate() {
            assert_eq!(*marker, position + 1 == payloads.len(), "marker of packet {position}");
            match payload[0] & 0x1f {
                STAP_A => {
                    let mut rest = &payload[1..];
                    while let [l0, l1, tail @ ..] = rest {
                        let (unit, tail) = tail.split_at(usize::from(*l0) << 8 | usize::from(*l1));
                        nal_units.push(unit.to_vec());
                        rest = tail;
                    }
                    assert!(rest.is_empty());
                }
                FU_A => {
                    let start = payload[1] & 0x80 != 0;
                    assert_ne!(start, fragmented);
                    if start {
                        nal_units.push(vec![payload[0] & 0xe0 | payload[1] & 0x1f]);
                    }
                    assert_ne!(payload[1] & 0xc0, 0xc0, "start and end in one packet");
                    nal_units.last_mut().unwrap().extend_from_slice(&payload[2..]);
                    fragmented = payload[1] & 0x40 == 0;
                }
                _ => nal_units.push(payload.to_vec()),
            }
        }
        assert!(!fragmented);
        nal_units
    }

    #[test]
    fn every_length_is_rebuilt_from_few_packets_of_one_length() {
        for packet_bytes_max in [64, 65, 100, 576, 1200, 1400, 1452] {
            let limit = usize::from(packet_bytes_max) - 12;
            for bytes in 1..=4500 {
                let unit = nal_unit(0x65, bytes);
                let writer = write(packet_bytes_max, &[&unit]);
                let packets = payloads(&writer);
                assert_eq!(depacketize(&packets), [unit], "{bytes} in {packet_bytes_max}");
                assert_eq!(writer.runs().len(), 1);
                let (last, others) = packets.split_last().unwrap();
                let length = others.first().map_or(last.1.len(), |first| first.1.len());
                assert!(length <= limit && others.iter().all(|(_, p)| p.len() == length));
                assert!(length - last.1.len() <= others.len(), "{bytes} in {packet_bytes_max}");
                let few = if bytes > limit { (bytes - 1).div_ceil(limit - 2) } else { 1 };
                assert_eq!(packets.len(), few);
            }
        }
    }

    #[test]
    fn neighbours_of_every_length_are_rebuilt_in_order() {
        for first in (1..120).chain(180..200) {
            for second in 1..120 {
                for third in [1, 20, 60, 100] {
                    let units = [(0x06, first), (0x68, second), (0x41, third)]
                        .map(|(header, bytes)| nal_unit(header, bytes));
                    let writer = write(100, &[&units[0], &units[1], &units[2]]);
                    let packets = payloads(&writer);
                    assert_eq!(depacketize(&packets), units);
                    assert!(packets.iter().all(|(_, payload)| payload.len() <= 88));
                }
            }
        }
    }

    #[test]
    fn small_nal_units_share_a_packet() {
        let big = nal_unit(0x65, 300);
        let fill = nal_unit(0x41, 188 - 1 - 2 - 3 - 2);
        let tables: [(&[&[u8]], &[u8]); 6] = [
            // NRI is the highest, 0 + 3 (RFC 6184 §5.7).
            (&[&[0x06, 1], &[0x67, 2, 3]], &[0x78, 0, 2, 0x06, 1, 0, 3, 0x67, 2, 3]),
            // F is any.
            (&[&[0x26, 1], &[0xc1, 2]], &[0xd8, 0, 2, 0x26, 1, 0, 2, 0xc1, 2]),
            // Alone: no aggregation packet.
            (&[&[0x41, 9]], &[0x41, 9]),
            // Delimiter and filler do not travel, nor what a receiver would misread, nor nothing.
            (&[&[0x09, 0xf0], &[0x41, 9], &[0x0c, 0xff, 0x80]], &[0x41, 9]),
            (&[&[], &[0x78, 0, 1, 9], &[0x7e, 1], &[0x00], &[0x41, 9]], &[0x41, 9]),
            // A big one before or behind stays out of it.
            (&[&big, &[0x06, 1], &[0x06, 2]], &[0x18, 0, 2, 0x06, 1, 0, 2, 0x06, 2]),
        ];
        for (units, last) in tables {
            let writer = write(200, units);
            assert_eq!(payloads(&writer).last().unwrap(), &(true, last), "{units:x?}");
        }
        let aggregated = write(200, &[&[0x41, 1, 2], &fill]);
        assert_eq!(payloads(&aggregated).len(), 1, "exactly full");
        let apart = write(200, &[&[0x41, 1, 2], &[fill.as_slice(), &[1]].concat()]);
        assert_eq!(payloads(&apart).len(), 2, "one byte too many");
    }

    proptest::proptest! {
        #[test]
        fn whatever_an_access_unit_holds_is_rebuilt_or_refused(
            bytes in proptest::collection::vec(0..4_u8, 0..600),
            packet_bytes_max in 64..200_u16,
        ) {
            // One-byte lengths of 0 to 3 and headers of as few types: many units, some cut off.
            let cut = nal_units(&bytes, NalFraming::Length(1));
            let expected: Result<Vec<_>, _> = cut.collect();
            let mut writer = writer(packet_bytes_max);
            let cut = nal_units(&bytes, NalFraming::Length(1));
            let written = write_access_unit(&mut writer, cut);
            proptest::prop_assert_eq!(written.is_err(), expected.is_err());
            if let Ok(expected) = expected {
                let expected: Vec<_> = expected.into_iter().filter(|unit| travels(unit)).collect();
                proptest::prop_assert_eq!(depacketize(&payloads(&writer)), expected);
            }
        }
    }

    #[test]
    fn nothing_to_send_is_no_packet() {
        assert!(payloads(&write(200, &[&[0x09, 0xf0]])).is_empty());
        assert!(payloads(&write(200, &[])).is_empty());
    }

    #[test]
    fn an_error_behind_units_that_share_a_packet_is_found() {
        let mut writer = writer(200);
        let units = [Ok(&[0x41, 1][..]), Ok(&[0x41, 2][..]), Err("cut off")];
        assert_eq!(write_access_unit(&mut writer, units.into_iter()), Err("cut off"));
    }
}
