//! AAC in RTP, mode AAC-hbr (RFC 3640 §3.3.6): several access units a packet, or fragments of one.

use super::{PacketWriter, UnitError, fragment_bytes};

/// `sizeLength` of the mode: bits of AU-size.
const SIZE_LENGTH: u8 = 13;
/// `indexLength` and `indexDeltaLength` of the mode: bits of AU-Index and AU-Index-delta.
const INDEX_LENGTH: u8 = 3;
/// Bytes of the largest access unit that AU-size can describe.
pub const UNIT_BYTES_MAX: usize = (1 << SIZE_LENGTH) - 1;
/// Most access units of a bundle; keeps AU-headers-length within its 16 bits.
pub const BUNDLE_UNITS_MAX: usize = 64;

/// Bytes of AU-headers-length.
const HEADERS_LENGTH_BYTES: usize = 2;
/// Bytes of an AU-header.
const AU_HEADER_BYTES: usize = 2;

/// Whether access units, `unit_count` of them with `bytes` bytes in all, fit into one packet.
#[must_use]
pub const fn fits(writer: &PacketWriter, unit_count: usize, bytes: usize) -> bool {
    let payload_bytes = HEADERS_LENGTH_BYTES + unit_count * AU_HEADER_BYTES + bytes;
    unit_count <= BUNDLE_UNITS_MAX && payload_bytes <= writer.payload_bytes_max()
}

/// Writes consecutive access units: several that [`fits`] allows as one packet, or a single one, in
/// fragments if need be. The marker is on the packet that completes a unit (RFC 3640 §3.1).
///
/// # Errors
/// [`UnitError::TooLarge`] beyond [`UNIT_BYTES_MAX`].
pub fn write_bundle(writer: &mut PacketWriter, units: &[&[u8]]) -> Result<(), UnitError> {
    match units {
        [unit] if unit.len() > UNIT_BYTES_MAX => {
            return Err(UnitError::TooLarge { bytes_max: UNIT_BYTES_MAX });
        }
        [unit] if !fits(writer, 1, unit.len()) => write_fragments(writer, unit),
        _ => write_whole(writer, units),
    }
    writer.mark_last();
    Ok(())
}

fn write_whole(writer: &mut PacketWriter, units: &[&[u8]]) {
    writer.begin_packet();
    writer.push(&headers_length(units.len()));
    for unit in units {
        writer.push(&au_header(unit.len()));
    }
    for unit in units {
        writer.push(unit);
    }
    writer.end_packet();
}

/// Each fragment has the AU-header of the whole unit (RFC 3640 §3.2.1.1, AU-size).
fn write_fragments(writer: &mut PacketWriter, unit: &[u8]) {
    let [l0, l1] = headers_length(1);
    let [h0, h1] = au_header(unit.len());
    let bytes_max = writer.payload_bytes_max() - HEADERS_LENGTH_BYTES - AU_HEADER_BYTES;
    for fragment in unit.chunks(fragment_bytes(unit.len(), bytes_max)) {
        writer.packet([&[l0, l1, h0, h1], fragment]);
    }
}

/// AU-headers-length: bits of the AU-headers behind it.
#[allow(clippy::cast_possible_truncation, reason = "at most BUNDLE_UNITS_MAX units")]
const fn headers_length(unit_count: usize) -> [u8; HEADERS_LENGTH_BYTES] {
    ((unit_count * AU_HEADER_BYTES * 8) as u16).to_be_bytes()
}

/// AU-size, and 0 for AU-Index and AU-Index-delta: consecutive units, not interleaved.
#[allow(clippy::cast_possible_truncation, reason = "at most UNIT_BYTES_MAX bytes")]
const fn au_header(unit_bytes: usize) -> [u8; AU_HEADER_BYTES] {
    ((unit_bytes << INDEX_LENGTH) as u16).to_be_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation)]

    use super::super::tests::{payloads, writer};
    use super::*;

    #[test]
    fn units_share_a_packet_behind_their_headers() {
        let mut writer = writer(100);
        write_bundle(&mut writer, &[&[1, 2, 3], &[4; 9]]).unwrap();
        let wire = [0, 32, 0, 3 << 3, 0, 9 << 3, 1, 2, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4];
        assert_eq!(payloads(&writer), [(true, &wire[..])]);
    }

    #[test]
    fn what_fits_is_what_the_limit_allows() {
        let writer = writer(100);
        for (unit_count, bytes, expected) in
            [(1, 84, true), (1, 85, false), (2, 82, true), (2, 83, false), (65, 0, false)]
        {
            assert_eq!(fits(&writer, unit_count, bytes), expected, "{unit_count} {bytes}");
        }
    }

    #[test]
    fn every_length_is_rebuilt_from_fragments() {
        for packet_bytes_max in [64, 576, 1452] {
            for bytes in 1..=UNIT_BYTES_MAX {
                let unit: Vec<u8> = (0..bytes).map(|i| (i * 7 + i / 256) as u8).collect();
                let mut writer = writer(packet_bytes_max);
                write_bundle(&mut writer, &[&unit]).unwrap();
                let packets = payloads(&writer);
                let mut rebuilt = Vec::new();
                for (position, (marker, payload)) in packets.iter().enumerate() {
                    assert_eq!(*marker, position + 1 == packets.len());
                    let size = u16::from_be_bytes([payload[2], payload[3]]);
                    assert_eq!((payload[0], payload[1], size & 7), (0, 16, 0));
                    assert_eq!(usize::from(size >> 3), bytes, "the size is the whole unit's");
                    rebuilt.extend_from_slice(&payload[4..]);
                }
                assert_eq!(rebuilt, unit);
                assert_eq!(writer.runs().len(), 1);
            }
        }
    }
}
