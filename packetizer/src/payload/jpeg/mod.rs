//! JPEG in RTP (RFC 2435): the scan data of baseline images, with what a receiver needs to write
//! their headers anew.

mod headers;

use super::{PacketWriter, UnitError, fragment_bytes, fragments_of};
use headers::Image;

/// Bytes of the main header (RFC 2435 §3.1).
const MAIN_BYTES: usize = 8;
/// Bytes of the restart marker header (RFC 2435 §3.1.7).
const RESTART_BYTES: usize = 4;
/// Added to the type of images with restart markers.
const TYPE_RESTART: u8 = 64;
/// F and L set and a count of all ones: packets do not end with restart intervals, the whole image
/// is to be put together first (RFC 2435 §3.1.7).
const WHOLE_IMAGE: [u8; 2] = [0xff, 0xff];
/// The tables are in the image's first packet, and may change with the next (RFC 2435 §4.2).
const Q_DYNAMIC: u8 = 255;
/// Bytes of the quantization table header and two tables of 8 bits a coefficient (§3.1.8).
const TABLES_BYTES: usize = 4 + 2 * 64;
/// Fragment offsets have 24 bits.
const SCAN_BYTES_MAX: usize = 1 << 24;

/// Writes the packets of one image, the last one marked (RFC 2435 §3).
///
/// # Errors
/// [`UnitError::Malformed`] when it is no image that the payload format can tell;
/// [`UnitError::TooLarge`] beyond 16 MiB.
pub fn write_image(writer: &mut PacketWriter, unit: &[u8]) -> Result<(), UnitError> {
    let image = Image::parse(unit)?;
    if image.scan.len() > SCAN_BYTES_MAX {
        return Err(UnitError::TooLarge { bytes_max: SCAN_BYTES_MAX });
    }
    let restart_bytes = if image.restart_interval.is_some() { RESTART_BYTES } else { 0 };
    let room = writer.payload_bytes_max() - MAIN_BYTES - restart_bytes;
    let Some(beside_tables) = room.checked_sub(TABLES_BYTES).filter(|bytes| *bytes > 0) else {
        return Err(UnitError::Malformed("packets too small for a JPEG image's tables"));
    };
    // The tables share the first packet, which thereby is as long as the others.
    let even = fragment_bytes(TABLES_BYTES + image.scan.len(), room).max(TABLES_BYTES + 1);
    let first_bytes = (even - TABLES_BYTES).min(beside_tables).min(image.scan.len());
    let (first, rest) = image.scan.split_at(first_bytes);
    begin(writer, &image, 0);
    #[allow(clippy::cast_possible_truncation, reason = "a constant of 128")]
    writer.push(&[0, 0, 0, (TABLES_BYTES - 4) as u8]);
    for table in image.tables {
        writer.push(table);
    }
    writer.push(first);
    writer.end_packet();
    for fragment in fragments_of(rest, even) {
        begin(writer, &image, first.len() + fragment.offset);
        writer.push(fragment.bytes);
        writer.end_packet();
    }
    writer.mark_last();
    Ok(())
}

/// Begins a packet with the main header and, where there are restart markers, theirs.
fn begin(writer: &mut PacketWriter, image: &Image<'_>, offset: usize) {
    #[allow(clippy::cast_possible_truncation, reason = "below SCAN_BYTES_MAX")]
    let [_, o0, o1, o2] = (offset as u32).to_be_bytes();
    let kind = image.sampling as u8;
    let kind = if image.restart_interval.is_some() { TYPE_RESTART | kind } else { kind };
    writer.begin_packet();
    writer.push(&[0, o0, o1, o2, kind, Q_DYNAMIC, image.width_blocks, image.height_blocks]);
    if let Some(interval) = image.restart_interval {
        writer.push(&interval.get().to_be_bytes());
        writer.push(&WHOLE_IMAGE);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_even, payloads, unit, writer};
    use super::headers::tests::{Jpeg, TABLES};
    use super::*;

    #[test]
    fn every_length_is_rebuilt_with_its_tables() {
        for (packet_bytes_max, restart_interval, luma) in
            [(576, None, 0x22), (1452, Some(40), 0x21), (200, Some(1), 0x22)]
        {
            for bytes in (1..2000).chain([100_000]) {
                let scan = unit(bytes).iter().map(|byte| byte & 0x7f).collect::<Vec<_>>();
                let jpeg = Jpeg { restart_interval, luma, ..Jpeg::default() };
                let mut writer = writer(packet_bytes_max);
                write_image(&mut writer, &jpeg.file(&scan)).unwrap();
                let packets = payloads(&writer);
                if bytes > 300 {
                    assert_even(&packets);
                }
                let mut rebuilt = Vec::new();
                for (position, (marker, payload)) in packets.iter().enumerate() {
                    let (main, mut rest) = payload.split_at(8);
                    let offset = u32::from_be_bytes(main[..4].try_into().unwrap());
                    assert_eq!(offset as usize, rebuilt.len());
                    let restarts = if restart_interval.is_some() { 64 } else { 0 };
                    let kind = restarts | u8::from(luma == 0x22);
                    assert_eq!(main[4..], [kind, 255, 80, 45]);
                    if let Some(interval) = restart_interval {
                        let (header, behind) = rest.split_at(4);
                        let [i0, i1] = u16::to_be_bytes(interval);
                        assert_eq!(header, [i0, i1, 0xff, 0xff]);
                        rest = behind;
                    }
                    if position == 0 {
                        let (header, behind) = rest.split_at(4);
                        let (tables, behind) = behind.split_at(128);
                        assert_eq!(header, [0, 0, 0, 128]);
                        assert_eq!(tables, TABLES.concat());
                        rest = behind;
                    }
                    assert_eq!(*marker, position + 1 == packets.len());
                    rebuilt.extend_from_slice(rest);
                }
                assert_eq!(rebuilt, scan, "{bytes} in {packet_bytes_max}");
            }
        }
    }

    #[test]
    fn packets_that_hold_no_tables_are_refused() {
        let file = Jpeg::default().file(&[1, 2, 3]);
        for (packet_bytes_max, expected) in [(64, false), (152, false), (153, true)] {
            let written = write_image(&mut writer(packet_bytes_max), &file);
            assert_eq!(written.is_ok(), expected, "{packet_bytes_max}");
        }
    }
}
