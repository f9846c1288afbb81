//! Packets whose payloads a hint track has planned (ISO 14496-12 §9.1.3).

use super::{PacketWriter, UnitError};
use crate::codec::hinted::{HEAD_MARKER, RTP_HEADER_BYTES};
use crate::rtp::HEADER_BYTES;

const _: () = assert!(RTP_HEADER_BYTES == HEADER_BYTES);

/// Writes the packets of a unit, which consists of them: the head of each and its payload. Marked
/// are those that the hint track marks.
///
/// # Errors
/// When a packet may not be so long, or the unit is cut short.
pub fn write_packets(writer: &mut PacketWriter, unit: &[u8]) -> Result<(), UnitError> {
    let mut rest = unit;
    while !rest.is_empty() {
        let cut_short = UnitError::Malformed("a planned packet is cut short");
        let (head, behind) = rest.split_first_chunk().ok_or(cut_short)?;
        let head = u16::from_be_bytes(*head);
        let (payload, behind) =
            behind.split_at_checked(usize::from(head & !HEAD_MARKER)).ok_or(cut_short)?;
        if payload.len() > writer.payload_bytes_max() {
            return Err(UnitError::Malformed("a planned packet is longer than packets may be"));
        }
        writer.packet([payload, &[]]);
        if head & HEAD_MARKER != 0 {
            writer.mark_last();
        }
        rest = behind;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{payloads, writer};
    use super::*;

    #[test]
    fn packets_are_written_as_they_were_planned() {
        let unit = [&[0x80, 3, 1, 2, 3][..], &[0, 1, 4], &[0x80, 0], &[0, 2, 5, 6]].concat();
        let mut writer = writer(64);
        write_packets(&mut writer, &unit).unwrap();
        let expected: [(bool, &[u8]); 4] =
            [(true, &[1, 2, 3]), (false, &[4]), (true, &[]), (false, &[5, 6])];
        assert_eq!(payloads(&writer), expected);
    }

    #[test]
    fn what_is_too_long_or_cut_short_is_refused() {
        let long = |bytes: u8| [&[0, bytes][..], &vec![7; usize::from(bytes)]].concat();
        assert_eq!(write_packets(&mut writer(64), &long(52)), Ok(()));
        assert!(write_packets(&mut writer(64), &long(53)).is_err());
        for unit in [&[0][..], &[0, 2, 1], &[0, 1, 9, 0x80], &[0xff, 0xff, 1]] {
            assert!(write_packets(&mut writer(64), unit).is_err(), "{unit:?}");
        }
    }
}
