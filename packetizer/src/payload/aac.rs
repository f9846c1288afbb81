//! AAC in RTP, mode AAC-hbr (RFC 3640 §3.3.6): several access units a packet, or fragments of one.

use super::PacketWriter;

/// `sizeLength` of the mode: bits of AU-size.
pub const SIZE_LENGTH: u8 = 13;
/// `indexLength` and `indexDeltaLength` of the mode: bits of AU-Index and AU-Index-delta.
pub const INDEX_LENGTH: u8 = 3;
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

/// Writes consecutive access units, of at most [`UNIT_BYTES_MAX`] bytes each: several that
/// [`fits`] allows as one packet, or a single one of any length, in fragments if need be. The
/// marker is on the packet that completes a unit (RFC 3640 §3.1).
pub fn write_bundle(writer: &mut PacketWriter, units: &[&[u8]]) {
    match units {
        [unit] if !fits(writer, 1, unit.len()) => write_fragments(writer, unit),
        _ => write_whole(writer, units),
    }
    writer.mark_last();
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
    for fragment in unit.chunks(writer.payload_bytes_max() - HEADERS_LENGTH_BYTES - AU_HEADER_BYTES)
    {
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
