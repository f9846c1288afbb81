//! Opus in RTP (RFC 7587).

use super::{PacketWriter, UnitError};

/// Writes the packets.
///
/// # Errors
/// When it cannot be cut.
pub fn write_packet(writer: &mut PacketWriter, units: &[&[u8]]) -> Result<(), UnitError> {
    let _ = (writer, units);
    Err(UnitError::Malformed("not yet"))
}
