//! H.263 in RTP (RFC 4629).

use super::PacketWriter;

/// The P bit: the payload begins with a start code, whose two zero bytes are left out
/// (RFC 4629 §5.1). All else in the header is zero: no redundancy coding, no extra picture header.
const START: [u8; 2] = [0x04, 0x00];
/// The header of a packet that goes on with what the one in front of it began (RFC 4629 §6.1.2).
const FOLLOW_ON: [u8; 2] = [0x00, 0x00];
/// The bytes of a start code that do not travel.
const ZEROS: &[u8] = &[0, 0];

/// Writes the packets of one picture, the last one marked (RFC 4629 §4). A unit that does not begin
/// with a start code is sent all the same, as what follows on something that is missing.
pub fn write_picture(writer: &mut PacketWriter, unit: &[u8]) {
    let (first, rest) = match unit.strip_prefix(ZEROS) {
        Some(rest) => (START, rest),
        None => (FOLLOW_ON, unit),
    };
    for fragment in writer.fragments(rest, writer.payload_bytes_max() - START.len()) {
        let header = if fragment.offset == 0 { first } else { FOLLOW_ON };
        writer.packet([&header, fragment.bytes]);
    }
    writer.mark_last();
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_even, payloads, unit, writer};
    use super::*;

    #[test]
    fn every_length_is_rebuilt_with_its_start_code() {
        for packet_bytes_max in [64, 576, 1452] {
            for bytes in 1..=3000 {
                for start in [&[0, 0, 0x80][..], &[]] {
                    let picture = [start, &unit(bytes)].concat();
                    let mut writer = writer(packet_bytes_max);
                    write_picture(&mut writer, &picture);
                    let packets = payloads(&writer);
                    assert_even(&packets);
                    let mut rebuilt = Vec::new();
                    for (position, (marker, payload)) in packets.iter().enumerate() {
                        let begins = position == 0 && !start.is_empty();
                        assert_eq!(*marker, position + 1 == packets.len());
                        assert_eq!(payload[..2], if begins { [4, 0] } else { [0, 0] });
                        rebuilt.extend_from_slice(if begins { &[0, 0] } else { &[] });
                        rebuilt.extend_from_slice(&payload[2..]);
                    }
                    assert_eq!(rebuilt, picture, "{bytes} in {packet_bytes_max}");
                }
            }
        }
    }
}
