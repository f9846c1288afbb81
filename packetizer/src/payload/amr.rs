//! AMR and AMR-WB in RTP, octet-aligned (RFC 4867 §4.4), without CRCs and interleaving.

use super::{PacketWriter, UnitError};
use crate::codec::amr::AmrConfig;

/// The payload header: no codec mode is asked of the peer (RFC 4867 §4.4.1).
const NO_REQUEST: u8 = 15 << 4;
/// The F bit of a table of contents entry: another one follows (RFC 4867 §4.4.2).
const FOLLOWED: u8 = 0x80;
/// Frame type and quality bit, which lie alike in storage and in the table of contents
/// (RFC 4867 §4.4.2, §5.3).
const TYPE_AND_QUALITY: u8 = 0x7c;

/// Whether access units of so many bytes in all fit into one packet. A stored frame's header octet
/// becomes its entry in the table of contents, so the payload header is all that is added.
#[must_use]
pub const fn fits(writer: &PacketWriter, bytes: usize) -> bool {
    bytes < writer.payload_bytes_max()
}

/// Writes consecutive access units of stored frames as one packet. The marker stays clear: no
/// talkspurt is known to begin (RFC 4867 §4.1).
///
/// # Errors
/// [`UnitError::TooLarge`] when they do not fit, since a frame may not be cut;
/// [`UnitError::Malformed`] when a frame's type has no length or is cut short.
pub fn write_bundle(
    writer: &mut PacketWriter,
    config: AmrConfig,
    units: &[&[u8]],
) -> Result<(), UnitError> {
    let bytes_max = writer.payload_bytes_max() - 1;
    if !fits(writer, units.iter().map(|unit| unit.len()).sum()) {
        return Err(UnitError::TooLarge { bytes_max });
    }
    let frames = || units.iter().flat_map(|unit| Frames { config, rest: unit });
    writer.begin_packet();
    writer.push(&[NO_REQUEST]);
    for frame in frames() {
        writer.push(&[FOLLOWED | frame?.header & TYPE_AND_QUALITY]);
    }
    if let Some(last) = writer.payload().last_mut().filter(|_| !units.is_empty()) {
        *last &= !FOLLOWED;
    }
    for frame in frames() {
        writer.push(frame?.speech);
    }
    writer.end_packet();
    Ok(())
}

/// A frame as it is stored (RFC 4867 §5.3).
struct Frame<'a> {
    header: u8,
    speech: &'a [u8],
}

/// The frames of an access unit; nothing follows an error.
struct Frames<'a> {
    config: AmrConfig,
    rest: &'a [u8],
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, UnitError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (header, tail) = self.rest.split_first()?;
        self.rest = &[];
        let Some(bytes) = speech_bytes(self.config, header >> 3 & 0x0f) else {
            return Some(Err(UnitError::Malformed("an AMR frame of a type without a length")));
        };
        let Some((speech, behind)) = tail.split_at_checked(bytes) else {
            return Some(Err(UnitError::Malformed("an AMR frame is cut short")));
        };
        self.rest = behind;
        Some(Ok(Frame { header: *header, speech }))
    }
}

/// Bytes of a frame's speech bits by its type (3GPP TS 26.101 table 1a, 26.201 table 1a); `None`
/// where the type is for future use.
fn speech_bytes(config: AmrConfig, frame_type: u8) -> Option<usize> {
    /// GSM-EFR, TDMA-EFR and PDC-EFR comfort noise are 9 to 11.
    const NARROW: [usize; 12] = [12, 13, 15, 17, 19, 20, 26, 31, 5, 6, 5, 5];
    const WIDE: [usize; 10] = [17, 23, 32, 36, 40, 46, 50, 58, 60, 5];
    let bytes: &[usize] = if config.is_wideband { &WIDE } else { &NARROW };
    match frame_type {
        14 if config.is_wideband => Some(0), // speech lost
        15 => Some(0),                       // no data
        _ => bytes.get(usize::from(frame_type)).copied(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation)]

    use super::super::tests::{payloads, unit, writer};
    use super::*;

    const NARROW: AmrConfig = AmrConfig { is_wideband: false };
    const WIDE: AmrConfig = AmrConfig { is_wideband: true };

    fn stored(header: u8, speech_bytes: usize) -> Vec<u8> {
        [&[header][..], &unit(speech_bytes)].concat()
    }

    /// Rebuilds stored frames, with only the lengths that the entries have by RFC 4867.
    fn depacketize(payload: &[u8], lengths: &[usize]) -> Vec<u8> {
        let (contents, mut speech) = payload[1..].split_at(lengths.len());
        let mut rebuilt = Vec::new();
        for (position, (entry, bytes)) in contents.iter().zip(lengths).enumerate() {
            assert_eq!(entry & 0x80 != 0, position + 1 < lengths.len(), "F");
            let (part, behind) = speech.split_at(*bytes);
            rebuilt.push(entry & 0x7f);
            rebuilt.extend_from_slice(part);
            speech = behind;
        }
        assert!(speech.is_empty());
        rebuilt
    }

    #[test]
    fn frames_of_every_type_share_a_packet() {
        let narrow = [12, 13, 15, 17, 19, 20, 26, 31, 5];
        let wide = [17, 23, 32, 36, 40, 46, 50, 58, 60, 5];
        for (config, lengths) in [(NARROW, &narrow[..]), (WIDE, &wide)] {
            for quality in [0, 4] {
                let units: Vec<_> = lengths
                    .iter()
                    .enumerate()
                    .map(|(kind, bytes)| stored((kind as u8) << 3 | quality, *bytes))
                    .chain([stored(15 << 3 | quality, 0)])
                    .collect();
                let lengths: Vec<_> = lengths.iter().copied().chain([0]).collect();
                let units: Vec<&[u8]> = units.iter().map(Vec::as_slice).collect();
                let mut apart = writer(1452);
                write_bundle(&mut apart, config, &units).unwrap();
                let mut joined = writer(1452);
                write_bundle(&mut joined, config, &[&units.concat()]).unwrap();
                assert_eq!(apart.bytes(), joined.bytes(), "several frames in an access unit");
                let packets = payloads(&apart);
                let [(marker, payload)] = packets[..] else { panic!("one packet") };
                assert_eq!((marker, payload[0]), (false, 0xf0));
                assert_eq!(depacketize(payload, &lengths), units.concat());
            }
        }
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        let malformed = |why| Err(UnitError::Malformed(why));
        for (config, unit, expected) in [
            (NARROW, stored(12 << 3, 5), malformed("an AMR frame of a type without a length")),
            (WIDE, stored(10 << 3, 5), malformed("an AMR frame of a type without a length")),
            (NARROW, stored(0, 11), malformed("an AMR frame is cut short")),
            (NARROW, stored(0, 12), Ok(())),
            (WIDE, stored(14 << 3, 0), Ok(())),
            (NARROW, vec![15 << 3; 88], Err(UnitError::TooLarge { bytes_max: 87 })),
        ] {
            let mut writer = writer(100);
            assert_eq!(write_bundle(&mut writer, config, &[&unit]), expected, "{unit:?}");
        }
        assert!(fits(&writer(100), 87) && !fits(&writer(100), 88));
    }
}
