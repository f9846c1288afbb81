//! VP9 in RTP (RFC 9628), non-flexible mode without picture IDs or layers.
//!
//! A superframe, which is how files keep a hidden frame together with the one that is shown, is
//! sent whole and with its index, as one frame: the frames of one layer have one timestamp anyway
//! (RFC 9628 §4.1), and receivers that take the marker for the end of the only frame in front of it
//! get what decoders want, the superframe.

use super::PacketWriter;

/// Inter-picture predicted frame, the P bit (RFC 9628 §4.2).
const PREDICTED: u8 = 0x40;
/// Start of a frame, the B bit.
const BEGIN: u8 = 0x08;
/// End of a frame, the E bit.
const END: u8 = 0x04;

/// Writes the packets of one frame or superframe, the last one marked. `is_sync` says whether it is
/// a key picture.
pub fn write_superframe(writer: &mut PacketWriter, unit: &[u8], is_sync: bool) {
    let predicted = if is_sync { 0 } else { PREDICTED };
    for fragment in writer.fragments(unit, writer.payload_bytes_max() - 1) {
        let begin = if fragment.offset == 0 { BEGIN } else { 0 };
        let end = if fragment.is_last { END } else { 0 };
        writer.packet([&[predicted | begin | end], fragment.bytes]);
    }
    writer.mark_last();
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_even, payloads, unit, writer};
    use super::*;

    #[test]
    fn every_length_is_rebuilt() {
        for (packet_bytes_max, is_sync) in [(64, true), (576, false), (1452, true)] {
            for bytes in 1..=3000 {
                let frame = unit(bytes);
                let mut writer = writer(packet_bytes_max);
                write_superframe(&mut writer, &frame, is_sync);
                let packets = payloads(&writer);
                assert_even(&packets);
                let mut rebuilt = Vec::new();
                for (position, (marker, payload)) in packets.iter().enumerate() {
                    let is_last = position + 1 == packets.len();
                    assert_eq!(*marker, is_last);
                    assert_eq!(payload[0] & 0x40 == 0, is_sync, "P");
                    assert_eq!(payload[0] & 0x08 != 0, position == 0, "B");
                    assert_eq!(payload[0] & 0x04 != 0, is_last, "E");
                    assert_eq!(payload[0] & 0xb3, 0, "I, L, F, V, Z");
                    rebuilt.extend_from_slice(&payload[1..]);
                }
                assert_eq!(rebuilt, frame, "{bytes} in {packet_bytes_max}");
            }
        }
    }
}
