//! JPEG in RTP (RFC 2435).

use super::{PacketWriter, UnitError};

/// Writes the packets.
///
/// # Errors
/// When it cannot be cut.
pub fn write_image(writer: &mut PacketWriter, unit: &[u8]) -> Result<(), UnitError> {
    let _ = (writer, unit);
    Err(UnitError::Malformed("not yet"))
}
