//! Vorbis in RTP (RFC 5215).

use super::{PacketWriter, UnitError};
use crate::codec::vorbis::VorbisConfig;

/// Writes the packets.
///
/// # Errors
/// When it cannot be cut.
pub fn write_bundle(
    writer: &mut PacketWriter,
    config: &VorbisConfig,
    units: &[&[u8]],
) -> Result<(), UnitError> {
    let _ = (writer, config, units);
    Err(UnitError::Malformed("not yet"))
}

/// Whether access units of so many bytes in all fit into one packet.
#[must_use]
pub const fn fits(writer: &PacketWriter, unit_count: usize, bytes: usize) -> bool {
    let _ = (writer, unit_count, bytes);
    false
}

/// The headers as SDP carries them (RFC 5215 §3.2.1).
#[must_use]
pub fn packed_configuration(config: &VorbisConfig) -> Vec<u8> {
    config.setup.clone()
}
