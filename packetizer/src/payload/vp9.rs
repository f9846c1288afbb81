//! VP9 in RTP (RFC 9628).

use super::{PacketWriter, UnitError};

/// Writes the packets.
///
/// # Errors
/// When it cannot be cut.
pub fn write_superframe(
    writer: &mut PacketWriter,
    unit: &[u8],
    is_sync: bool,
) -> Result<(), UnitError> {
    let _ = (writer, unit, is_sync);
    Err(UnitError::Malformed("not yet"))
}
