//! Opus in RTP (RFC 7587): a packet of the codec is a packet on the wire, never more, never less.

use super::{PacketWriter, UnitError};

/// Writes one Opus packet. The marker stays clear: silence is not left out (RFC 3551 §4.1).
///
/// # Errors
/// [`UnitError::TooLarge`] when it does not fit a packet, since it may not be cut (RFC 7587 §4.2).
pub fn write_packet(writer: &mut PacketWriter, units: &[&[u8]]) -> Result<(), UnitError> {
    for unit in units {
        let bytes_max = writer.payload_bytes_max();
        if unit.len() > bytes_max {
            return Err(UnitError::TooLarge { bytes_max });
        }
        writer.packet([unit, &[]]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{payloads, unit, writer};
    use super::*;

    #[test]
    fn a_packet_is_a_packet() {
        let mut writer = writer(100);
        write_packet(&mut writer, &[&unit(88)]).unwrap();
        assert_eq!(payloads(&writer), [(false, &unit(88)[..])]);
        let error = write_packet(&mut writer, &[&unit(89)]);
        assert_eq!(error, Err(UnitError::TooLarge { bytes_max: 88 }));
    }
}
