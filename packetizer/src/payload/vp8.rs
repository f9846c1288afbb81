//! VP8 in RTP (RFC 7741).
//!
//! A frame is sent as if it were one partition: receivers put the pieces together either way, and
//! packets that share the frame evenly make longer trains than packets that end with partitions.

use super::PacketWriter;

/// Start of a VP8 partition, the S bit (RFC 7741 §4.2). All else in the descriptor is zero: no
/// extensions, partition 0, and every frame taken for one that others may refer to.
const START: u8 = 0x10;

/// Writes the packets of one frame, the last one marked (RFC 7741 §4.1).
pub fn write_frame(writer: &mut PacketWriter, unit: &[u8]) {
    for fragment in writer.fragments(unit, writer.payload_bytes_max() - 1) {
        let descriptor = if fragment.offset == 0 { START } else { 0 };
        writer.packet([&[descriptor], fragment.bytes]);
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
                let frame = unit(bytes);
                let mut writer = writer(packet_bytes_max);
                write_frame(&mut writer, &frame);
                let packets = payloads(&writer);
                assert_even(&packets);
                let mut rebuilt = Vec::new();
                for (position, (marker, payload)) in packets.iter().enumerate() {
                    assert_eq!(payload[0], if position == 0 { 0x10 } else { 0 });
                    assert_eq!(*marker, position + 1 == packets.len());
                    rebuilt.extend_from_slice(&payload[1..]);
                }
                assert_eq!(rebuilt, frame, "{bytes} in {packet_bytes_max}");
            }
        }
    }
}
