//! The control header in front of each Opus packet of an elementary stream, which tells where the
//! packet ends (Opus in ISO 13818-1, `opus_control_header`).

/// Bytes of the shortest header: prefix and flags, and one of length.
pub(super) const HEADER_BYTES_MIN: usize = 3;
/// Bytes of the longest packet: 48 frames, each with a length of two bytes (RFC 6716 §3.2.5).
const PACKET_BYTES_MAX: usize = 2 + 48 * (2 + 1275);

const START_TRIM: u8 = 0x10;
const END_TRIM: u8 = 0x08;
const EXTENSION: u8 = 0x04;

/// Bytes of the header that `bytes` begin with, and of it and its packet; `None` if there is none.
/// Of a header that is cut short both are more than there is.
pub(super) fn frame_bytes(bytes: &[u8]) -> Option<(usize, usize)> {
    let [0x7f, flags, lengths @ ..] = bytes else { return None };
    if flags & 0xe0 != 0xe0 {
        return None;
    }
    let cut_short = (bytes.len() + 1, bytes.len() + 2);
    let full = lengths.iter().take_while(|length| **length == 255).count();
    if 255 * full > PACKET_BYTES_MAX {
        return None;
    }
    let Some(last) = lengths.get(full) else { return Some(cut_short) };
    let packet_bytes = 255 * full + usize::from(*last);
    let mut header_bytes = HEADER_BYTES_MIN + full;
    header_bytes += 2 * usize::from(flags & START_TRIM != 0);
    header_bytes += 2 * usize::from(flags & END_TRIM != 0);
    if flags & EXTENSION != 0 {
        let Some(extension) = bytes.get(header_bytes) else { return Some(cut_short) };
        header_bytes += 1 + usize::from(*extension);
    }
    (1..=PACKET_BYTES_MAX)
        .contains(&packet_bytes)
        .then_some((header_bytes, header_bytes + packet_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_where_packets_begin_and_end() {
        let endless = [&[0x7f, 0xe0][..], &[255; 300]].concat();
        for (bytes, expected) in [
            (&[0x7f, 0xe0, 9][..], Some((3, 12))),
            (&[0x7f, 0xe0, 255, 0], Some((4, 259))),
            (&[0x7f, 0xe0, 255, 255, 1], Some((5, 516))),
            (&[0x7f, 0xf0, 9], Some((5, 14))),
            (&[0x7f, 0xf8, 9], Some((7, 16))),
            (&[0x7f, 0xfc, 9, 0, 0, 0, 0, 2], Some((10, 19))),
            (&[0x7f, 0xe4, 9, 0], Some((4, 13))),
            (&[0x7f, 0xe0, 255], Some((4, 5))), // cut short
            (&[0x7f, 0xe4, 9], Some((4, 5))),
            (&[0x7f, 0xe0, 0], None),
            (&[0x7f, 0xc0, 9], None),
            (&[0x7e, 0xe0, 9], None),
            (&[0x7f], None),
            (&endless, None),
        ] {
            assert_eq!(frame_bytes(bytes), expected, "{bytes:x?}");
        }
    }
}
