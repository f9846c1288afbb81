//! AC-3 and Enhanced AC-3 in RTP (RFC 4184, RFC 4598): several whole frames a packet, or fragments
//! of one.

use super::{PacketWriter, UnitError, fragments};

/// Bytes of the header: the kind of payload, and how many frames or fragments.
const HEADER_BYTES: usize = 2;
/// The most frames of a packet, and fragments of a frame, that the header can tell.
const COUNT_MAX: usize = 255;

/// What the header's first octet says of a payload.
#[derive(Clone, Copy)]
struct Kinds {
    /// Whole frames.
    whole: u8,
    /// A frame's first fragment that holds its first 5/8 at least: those can be decoded without the
    /// rest (RFC 4184 §3.1.1).
    beginning: u8,
    /// A first fragment that holds less.
    short_beginning: u8,
    /// Any other fragment.
    rest: u8,
}

/// FT of RFC 4184 §4.1.1.
const AC3: Kinds = Kinds { whole: 0, beginning: 1, short_beginning: 2, rest: 3 };
/// F of RFC 4598 §4.1.1: fragments are all alike.
const ENHANCED: Kinds = Kinds { whole: 0, beginning: 1, short_beginning: 1, rest: 1 };

/// Whether access units, `unit_count` of them with `bytes` bytes in all, fit into one packet.
#[must_use]
pub const fn fits(writer: &PacketWriter, unit_count: usize, bytes: usize) -> bool {
    unit_count <= COUNT_MAX && HEADER_BYTES + bytes <= writer.payload_bytes_max()
}

/// Writes consecutive AC-3 frames: several that [`fits`] allows as one packet, or a single one, in
/// fragments if need be. The marker is on packets that complete a frame (RFC 4184 §4.1).
///
/// # Errors
/// [`UnitError::TooLarge`] when a frame needs more fragments than the header can tell.
pub fn write_bundle(writer: &mut PacketWriter, units: &[&[u8]]) -> Result<(), UnitError> {
    write(writer, AC3, units)
}

/// The same of Enhanced AC-3, whose frames are those of all substreams of a period.
///
/// # Errors
/// As [`write_bundle`].
pub fn write_enhanced_bundle(writer: &mut PacketWriter, units: &[&[u8]]) -> Result<(), UnitError> {
    write(writer, ENHANCED, units)
}

fn write(writer: &mut PacketWriter, kinds: Kinds, units: &[&[u8]]) -> Result<(), UnitError> {
    match units {
        [unit] if !fits(writer, 1, unit.len()) => write_fragments(writer, kinds, unit)?,
        _ => {
            writer.begin_packet();
            #[allow(clippy::cast_possible_truncation, reason = "at most COUNT_MAX, as fits says")]
            writer.push(&[kinds.whole, units.len() as u8]);
            for unit in units {
                writer.push(unit);
            }
            writer.end_packet();
        }
    }
    writer.mark_last();
    Ok(())
}

fn write_fragments(writer: &mut PacketWriter, kinds: Kinds, unit: &[u8]) -> Result<(), UnitError> {
    let bytes_max = writer.payload_bytes_max() - HEADER_BYTES;
    let fragments = fragments(unit, bytes_max);
    let too_large = UnitError::TooLarge { bytes_max: bytes_max * COUNT_MAX };
    let count = u8::try_from(fragments.len()).map_err(|_| too_large)?;
    for fragment in fragments {
        let kind = match fragment.offset {
            0 if fragment.bytes.len() * 8 >= unit.len() * 5 => kinds.beginning,
            0 => kinds.short_beginning,
            _ => kinds.rest,
        };
        writer.packet([&[kind, count], fragment.bytes]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation)]

    use super::super::tests::{assert_even, payloads, unit, writer};
    use super::*;

    #[test]
    fn frames_share_a_packet() {
        for write in [write_bundle, write_enhanced_bundle] {
            let mut writer = writer(100);
            write(&mut writer, &[&[0x0b, 0x77], &[0x0b], &[3]]).unwrap();
            assert_eq!(payloads(&writer), [(true, &[0, 3, 0x0b, 0x77, 0x0b, 3][..])]);
        }
        let writer = writer(100);
        for (unit_count, bytes, expected) in [(1, 86, true), (2, 87, false), (256, 86, false)] {
            assert_eq!(fits(&writer, unit_count, bytes), expected, "{unit_count} {bytes}");
        }
    }

    #[test]
    fn every_length_is_rebuilt_from_fragments() {
        for (is_enhanced, first, rest) in [(false, 2, 3), (true, 1, 1)] {
            for bytes in 1..=4096 {
                let frame = unit(bytes);
                let mut writer = writer(300);
                let write = if is_enhanced { write_enhanced_bundle } else { write_bundle };
                write(&mut writer, &[&frame]).unwrap();
                let packets = payloads(&writer);
                assert_even(&packets);
                let mut rebuilt = Vec::new();
                for (position, (marker, payload)) in packets.iter().enumerate() {
                    let (header, part) = payload.split_at(2);
                    let kind = match (position, packets.len()) {
                        (0, 1) => 0,
                        (0, _) => first,
                        _ => rest,
                    };
                    let count = packets.len() as u8;
                    assert_eq!(header, [kind, count], "{bytes}");
                    assert_eq!(*marker, position + 1 == packets.len());
                    rebuilt.extend_from_slice(part);
                }
                assert_eq!(rebuilt, frame);
            }
            let write = if is_enhanced { write_enhanced_bundle } else { write_bundle };
            let error = write(&mut writer(64), &[&unit(50 * 255 + 1)]);
            assert_eq!(error, Err(UnitError::TooLarge { bytes_max: 50 * 255 }));
        }
    }
}
