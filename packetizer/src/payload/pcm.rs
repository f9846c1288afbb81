//! PCM in RTP (RFC 3551 §4.5, RFC 3190).

use super::{PacketWriter, UnitError};
use crate::codec::pcm::PcmConfig;

/// Writes the packets.
///
/// # Errors
/// When it cannot be cut.
pub fn write_bundle(
    writer: &mut PacketWriter,
    config: &PcmConfig,
    units: &[&[u8]],
) -> Result<(), UnitError> {
    let _ = (writer, config, units);
    Err(UnitError::Malformed("not yet"))
}

/// Whether access units of so many bytes in all fit into one packet.
#[must_use]
pub const fn fits(writer: &PacketWriter, bytes: usize) -> bool {
    let _ = (writer, bytes);
    false
}
