//! MPEG-4 Visual in RTP (RFC 6416 §5): the stream as it is, without a header of its own.

use super::PacketWriter;

/// Writes the packets of one access unit, a VOP with the headers in front of it, the last one
/// marked (RFC 6416 §5.1). The unit begins a packet, so that headers do, too; within it, a VOP may
/// be cut at any byte (§5.2, rule 5).
pub fn write_access_unit(writer: &mut PacketWriter, unit: &[u8]) {
    for fragment in writer.fragments(unit, writer.payload_bytes_max()) {
        writer.packet([fragment.bytes, &[]]);
    }
    writer.mark_last();
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_even, payloads, unit, writer};
    use super::*;

    #[test]
    fn every_length_is_rebuilt() {
        for packet_bytes_max in [64, 576, 1452] {
            for bytes in 1..=3000 {
                let vop = unit(bytes);
                let mut writer = writer(packet_bytes_max);
                write_access_unit(&mut writer, &vop);
                let packets = payloads(&writer);
                assert_even(&packets);
                let markers = packets.iter().map(|(marker, _)| *marker);
                assert!(markers.eq((1..=packets.len()).map(|at| at == packets.len())));
                let rebuilt: Vec<u8> = packets.iter().flat_map(|(_, p)| p.to_vec()).collect();
                assert_eq!(rebuilt, vop, "{bytes} in {packet_bytes_max}");
            }
        }
    }
}
