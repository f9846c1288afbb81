//! AV1 in RTP (RTP Payload Format For AV1, version 1.0).

use super::{PacketWriter, UnitError};
use crate::codec::av1::Av1Config;

/// Writes the packets.
///
/// # Errors
/// When it cannot be cut.
pub fn write_temporal_unit(
    writer: &mut PacketWriter,
    config: &Av1Config,
    unit: &[u8],
    is_sync: bool,
) -> Result<(), UnitError> {
    let _ = (writer, config, unit, is_sync);
    Err(UnitError::Malformed("not yet"))
}
