//! MPEG audio in RTP (RFC 2250 §3.5), layers I to III: several whole frames a packet, or fragments
//! of one. Frames of layer III go as they are; the application data units of RFC 5219 are not sent.

use super::{PacketWriter, UnitError, fragments};

/// Bytes of the header: zeros, and where in its frame the payload begins.
const HEADER_BYTES: usize = 4;
/// Bytes of the largest frame whose every byte Frag_offset can tell.
const FRAME_BYTES_MAX: usize = 1 << 16;

/// Whether access units of so many bytes in all fit into one packet.
#[must_use]
pub const fn fits(writer: &PacketWriter, bytes: usize) -> bool {
    HEADER_BYTES + bytes <= writer.payload_bytes_max()
}

/// Writes consecutive frames: several that [`fits`] allows as one packet, or a single one, in
/// fragments if need be. The marker stays clear: silence is not left out (RFC 2250 §3.3).
///
/// # Errors
/// [`UnitError::TooLarge`] beyond 64 KiB.
pub fn write_bundle(writer: &mut PacketWriter, units: &[&[u8]]) -> Result<(), UnitError> {
    match units {
        [unit] if unit.len() > FRAME_BYTES_MAX => {
            return Err(UnitError::TooLarge { bytes_max: FRAME_BYTES_MAX });
        }
        [unit] => {
            for fragment in fragments(unit, writer.payload_bytes_max() - HEADER_BYTES) {
                #[allow(clippy::cast_possible_truncation, reason = "below FRAME_BYTES_MAX")]
                let [o0, o1] = (fragment.offset as u16).to_be_bytes();
                writer.packet([&[0, 0, o0, o1], fragment.bytes]);
            }
        }
        _ => {
            writer.begin_packet();
            writer.push(&[0; HEADER_BYTES]);
            for unit in units {
                writer.push(unit);
            }
            writer.end_packet();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_even, payloads, unit, writer};
    use super::*;

    #[test]
    fn frames_share_a_packet() {
        let mut writer = writer(100);
        write_bundle(&mut writer, &[&[1, 2], &[3], &[4, 5]]).unwrap();
        assert_eq!(payloads(&writer), [(false, &[0, 0, 0, 0, 1, 2, 3, 4, 5][..])]);
        assert!(fits(&writer, 84) && !fits(&writer, 85));
    }

    #[test]
    fn every_length_is_rebuilt_from_fragments() {
        for bytes in (1..3000).chain([FRAME_BYTES_MAX - 1, FRAME_BYTES_MAX]) {
            let frame = unit(bytes);
            let mut writer = writer(576);
            write_bundle(&mut writer, &[&frame]).unwrap();
            let packets = payloads(&writer);
            assert_even(&packets);
            let mut rebuilt = Vec::new();
            for (marker, payload) in packets {
                let (header, part) = payload.split_at(4);
                let offset = u32::from_be_bytes(header.try_into().unwrap());
                assert_eq!((marker, offset as usize), (false, rebuilt.len()));
                rebuilt.extend_from_slice(part);
            }
            assert_eq!(rebuilt, frame);
        }
        let error = write_bundle(&mut writer(576), &[&unit(FRAME_BYTES_MAX + 1)]);
        assert_eq!(error, Err(UnitError::TooLarge { bytes_max: FRAME_BYTES_MAX }));
    }
}
