//! MPEG transport streams as such in RTP (RFC 2250 §2).

use super::{PacketWriter, UnitError};
use crate::codec::mp2t::PACKET_BYTES;

/// Writes the packets of a unit: whole transport stream packets, as many as fit each. None is
/// marked: time stamps go on evenly (§2, M bit).
///
/// # Errors
/// When an RTP packet takes none, or the unit is not whole packets.
pub fn write_packets(writer: &mut PacketWriter, unit: &[u8]) -> Result<(), UnitError> {
    let count = writer.payload_bytes_max() / PACKET_BYTES;
    if count == 0 {
        return Err(UnitError::Malformed("transport stream packets are longer than RTP's may be"));
    }
    if unit.is_empty() || !unit.len().is_multiple_of(PACKET_BYTES) {
        return Err(UnitError::Malformed("no whole transport stream packets"));
    }
    for packets in unit.chunks(count * PACKET_BYTES) {
        writer.packet([packets, &[]]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{payloads, unit, writer};
    use super::*;

    #[test]
    fn whole_packets_are_sent_and_none_is_marked() {
        for (packet_bytes_max, lengths) in
            [(1452, &[7][..]), (1327, &[6, 1]), (576, &[3, 3, 1]), (200, &[1; 7])]
        {
            let unit = unit(7 * PACKET_BYTES);
            let mut writer = writer(packet_bytes_max);
            write_packets(&mut writer, &unit).unwrap();
            let packets = payloads(&writer);
            let counts: Vec<_> = packets.iter().map(|(_, p)| p.len() / PACKET_BYTES).collect();
            assert_eq!(counts, lengths, "{packet_bytes_max}");
            assert!(packets.iter().all(|(marker, _)| !marker));
            let sent: Vec<_> = packets.iter().flat_map(|(_, payload)| *payload).copied().collect();
            assert_eq!(sent, unit);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(write_packets(&mut writer(199), &unit(PACKET_BYTES)).is_err());
        for bytes in [0, 1, PACKET_BYTES - 1, PACKET_BYTES + 1] {
            assert!(write_packets(&mut writer(1452), &unit(bytes)).is_err(), "{bytes}");
        }
    }
}
