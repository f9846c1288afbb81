//! H.263 in RTP (RFC 4629).

use super::{PacketWriter, UnitError};

/// Writes the packets.
///
/// # Errors
/// When it cannot be cut.
pub fn write_picture(writer: &mut PacketWriter, unit: &[u8]) -> Result<(), UnitError> {
    let _ = (writer, unit);
    Err(UnitError::Malformed("not yet"))
}
