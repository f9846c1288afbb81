//! AMR and AMR-WB in RTP, octet-aligned (RFC 4867 §4.4).

use super::{PacketWriter, UnitError};

/// Writes the packets.
///
/// # Errors
/// When it cannot be cut.
pub fn write_bundle(writer: &mut PacketWriter, units: &[&[u8]]) -> Result<(), UnitError> {
    let _ = (writer, units);
    Err(UnitError::Malformed("not yet"))
}

/// Whether access units of so many bytes in all fit into one packet.
#[must_use]
pub const fn fits(writer: &PacketWriter, unit_count: usize, bytes: usize) -> bool {
    let _ = (writer, unit_count, bytes);
    false
}
