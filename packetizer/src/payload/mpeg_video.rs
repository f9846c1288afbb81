//! MPEG-1 and MPEG-2 video in RTP (RFC 2250 §3).

use super::{PacketWriter, UnitError};

/// Writes the packets.
///
/// # Errors
/// When it cannot be cut.
pub fn write_access_unit(writer: &mut PacketWriter, unit: &[u8]) -> Result<(), UnitError> {
    let _ = (writer, unit);
    Err(UnitError::Malformed("not yet"))
}
